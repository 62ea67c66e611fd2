/* report/report_json.c - see report.h: the content as JSON, whole and as the page embeds
 * it, and the lines that the command prints. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/evidence/strength.h"
#include "report/plots/plot.h"
#include "report/report.h"
#include "report/page/configurations.h"
#include "report/sections/trivial.h"
#include <math.h>
#include <stdlib.h>

/* The verdict of a column, with the learning rate that stands for each group. */
static json_t *column_verdict(const struct report *r, size_t column)
{
    const struct matrix *m = &r->matrix;
    const char **names = xcalloc(m->groups + 1, sizeof *names);
    for (size_t g = 0; g < m->groups; g++)
        names[g] = r->data.groups.items[g].label;
    json_t *v = verdict_json(m->verdicts[column], names);
    for (size_t g = 0; g < m->groups; g++) {
        json_t *c = json_object_get(json_object_get(v, "configs"), names[g]);
        const struct report_cell *cell = matrix_cell(m, column, g);
        json_t *facts = r->data.variants.items[cell->variant].facts;
        if (!c)
            continue;
        json_object_set(c, "variant", facts);
        json_object_set(c, "learning_rate",
                        json_object_get(facts, "learning_rate")
                            ? json_object_get(facts, "learning_rate")
                        : cell->count
                            ? (json_t *)trial_value(cell->trials[0], "learning_rate")
                            : NULL);
        json_object_set_new(c, "learning_rates_tried",
                            json_integer((json_int_t)evidence_rates(r, column, g)));
    }
    free(names);
    if (trivial_undecides(r, column))
        json_object_set_new(v, "decision", json_string("none"));
    json_object_set_new(v, "column", json_string(r->data.columns.items[column].label));
    return v;
}

/* All columns; the members of the main one stand at the top as well. */
static json_t *verdicts_json(const struct report *r)
{
    json_t *main = column_verdict(r, r->matrix.main_column), *all = json_array();
    for (size_t c = 0; c < r->matrix.columns; c++)
        json_array_append_new(all, column_verdict(r, c));
    json_object_set_new(main, "columns", all);
    return main;
}

enum { MAX_EMBEDDED = 200, LEAST_EMBEDDED = 10, MAX_EMBEDDED_BYTES = 250000 };

/* Adds to what is told to be missing. */
static void leave_out(json_t *verdict, const char *key, size_t n)
{
    json_object_set_new(verdict, key,
                        json_integer(json_get_int(verdict, key, 0) + (json_int_t)n));
}

static size_t json_bytes(const json_t *o)
{
    return json_dumpb(o, NULL, 0, JSON_COMPACT);
}

/* Pairs come in the order of ranks, so that those of the best stand first. */
static void shorten_pairs(json_t *verdict, size_t most)
{
    json_t *pairs = json_object_get(verdict, "pairs"),
           *best = json_object_get(verdict, "best");
    size_t all = json_array_size(pairs), keep = 0, i = 0;
    const char *name;
    json_t *config, *configs = json_object_get(verdict, "configs");
    void *next;
    json_object_foreach_safe(configs, next, name, config)
    {
        if (i++ >= most && !str_eq(name, json_string_value(best)))
            json_object_del(configs, name);
    }
    if (i > most)
        leave_out(verdict, "configs_left_out", i - most);
    if (all <= most)
        return;
    while (keep < all && keep < most &&
           json_equal(json_object_get(json_array_get(pairs, keep), "a"), best))
        keep++;
    while (json_array_size(pairs) > keep)
        json_array_remove(pairs, json_array_size(pairs) - 1);
    leave_out(verdict, "pairs_left_out", all - keep);
}

static void collect_takeaways(const struct report *r, json_t *out)
{
    const struct section *s;
    for (size_t i = 0; (s = report_section(i)); i++) {
        json_t *list = json_object_get(json_object_get(r->sections, s->id), "takeaways");
        json_object_set_new(out, s->id, list ? json_incref(list) : json_array());
    }
}

json_t *report_json(const struct report *r)
{
    json_t *takeaways = json_object(), *figures = json_array();
    collect_takeaways(r, takeaways);
    for (size_t i = 0; i < r->figure_count; i++)
        json_array_append_new(figures, figure_json(&r->figures[i]));
    json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:s, s:f}", "schema_version", 1, "about",
                          r->data.title, "metric", r->settings.metric, "select_metric",
                          r->settings.select_metric, "goal",
                          r->settings.rules.minimize ? "minimize" : "maximize", "delta",
                          r->settings.rules.delta);
    json_object_set_new(o, "collapsed_at_or_below",
                        isnan(r->settings.rules.collapse)
                            ? json_null()
                            : json_real(r->settings.rules.collapse));
    json_object_set_new(o, "group_by",
                        r->options.scope.group_by ? json_incref(r->options.scope.group_by)
                                                  : json_null());
    json_object_set_new(o, "scope", json_incref(r->data.scope));
    json_object_set_new(o, "store_rows_sha256", json_string(r->data.rows_sha256));
    json_object_set_new(o, "verdicts", verdicts_json(r));
    json_object_set_new(o, "matrix", json_incref(json_object_get(r->sections, "matrix")));
    json_object_set_new(o, "configurations", configurations_json(r));
    json_object_set_new(o, "takeaways", takeaways);
    json_object_set_new(o, "figures", figures);
    json_object_set(o, "sections", r->sections);
    return o;
}

/* The same without what it says twice; of a long table of pairs those with the best, of
 * a large matrix the verdicts alone. */
json_t *report_embedded_json(const struct report *r)
{
    json_t *o = report_json(r), *verdicts = json_object_get(o, "verdicts"),
           *columns = json_object_get(verdicts, "columns"), *column;
    size_t i;
    json_object_del(o, "matrix");
    json_object_del(o, "takeaways");
    if (json_array_size(columns) == 1) {
        json_object_del(verdicts, "columns");
        columns = NULL;
    }
    if (r->data.groups.count * r->data.columns.count > MAX_EMBEDDED ||
        json_bytes(json_object_get(o, "sections")) > MAX_EMBEDDED_BYTES) {
        json_object_del(o, "sections");
        json_object_set_new(o, "sections_left_out", json_true());
    }
    json_t *configurations = json_incref(json_object_get(o, "configurations"));
    json_object_del(o, "configurations"); /* whole, whatever else is left out */
    for (size_t most = MAX_EMBEDDED; most >= LEAST_EMBEDDED; most /= 2) {
        shorten_pairs(verdicts, most);
        json_array_foreach(columns, i, column)
        {
            shorten_pairs(column, most);
        }
        if (json_bytes(o) <= MAX_EMBEDDED_BYTES)
            break;
    }
    json_object_set_new(o, "configurations", configurations);
    return o;
}

static void add_lines(struct buf *out, const struct report *r, const char *section)
{
    const json_t *line;
    size_t i;
    json_array_foreach(
        json_object_get(json_object_get(r->sections, section), "takeaways"), i, line)
    {
        buf_printf(out, "%s\n", json_string_value(line));
    }
}

char *report_lines(const struct report *r)
{
    struct buf out = BUF_INIT;
    add_lines(&out, r, "tasks");
    add_lines(&out, r, "decision");
    const json_t *next =
        json_object_get(json_object_get(r->sections, "decision"), "next");
    buf_printf(&out, "Next: %s (%s)\n", json_get_str(next, "command", ""),
               json_get_str(next, "why", ""));
    return buf_detach(&out, NULL);
}
