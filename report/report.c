/* report/report.c - see report.h: building, the frame of the page, JSON, the three
 * lines. */
#include "report/report.h"
#include "lib/embed.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/evidence/strength.h"
#include "report/evidence/row_scores.h"
#include "report/page/glossary.h"
#include "report/page/verify.h"
#include "report/page/words.h"
#include "report/plots/plot.h"
#include "report/sections/compare/changes.h"
#include "report/sections/trivial.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

EMBED(report_css, "report/page/report.css");

static const struct section *const sections[] = {
#define SECTION(name) &section_##name,
#include "report/sections/sections.def"
#undef SECTION
};

/* ---- building ---- */

int report_judge(struct store *s, const struct report_options *o, struct report **out,
                 struct err *err)
{
    struct report *r = xcalloc(1, sizeof *r);
    r->options = *o;
    r->store = s;
    r->sections = json_object();
    int rc = catalog_load(o->gpus_path, o->prices_path, &r->catalog, err);
    if (!rc && o->sla_path)
        rc = sla_load(o->sla_path, &r->sla, err);
    if (!rc)
        rc = report_data_load(s, &o->scope, &r->data, err);
    if (!rc)
        rc = settings_choose(&r->data, o, &r->settings, err);
    if (!rc)
        kept_rows_load(s, &r->data, r->settings.metric, row_scores, &r->kept);
    if (!rc)
        matrix_build(&r->matrix, &r->data, &r->settings, &r->kept);
    if (rc)
        report_free(r);
    else
        *out = r;
    return rc;
}

int report_build(struct store *s, const struct report_options *o, struct report **out,
                 struct err *err)
{
    struct report *r;
    int rc = report_judge(s, o, &r, err);
    if (rc)
        return rc;
    rc = claims_judge(&r->data, &r->settings, &r->matrix, &r->claims, err);
    if (!rc && r->sla)
        r->services = sla_judge(r);
    if (!rc)
        rc = changes_load(r, err);
    for (size_t i = 0; !rc && i < ARRAY_LEN(sections); i++)
        json_object_set_new(r->sections, sections[i]->id, sections[i]->numbers(r));
    if (!rc && !o->no_figures)
        rc = figures_draw(r, err);
    if (rc)
        report_free(r);
    else
        *out = r;
    return rc;
}

void report_free(struct report *r)
{
    if (!r)
        return;
    report_free(r->before);
    figures_free(r->figures, r->figure_count);
    matrix_release(&r->matrix);
    kept_rows_release(&r->kept);
    report_data_release(&r->data);
    catalog_release(&r->catalog);
    claims_release(&r->claims);
    sla_free(r->sla);
    free(r->services);
    json_decref(r->sections);
    free(r);
}

/* ---- for sections ---- */

void add_takeaway(json_t *numbers, const char *fmt, ...)
{
    json_t *list = json_object_get(numbers, "takeaways");
    if (!list)
        json_object_set_new(numbers, "takeaways", list = json_array());
    struct buf text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    char *clean = str_clean(buf_str(&text), text.len);
    json_array_append_new(list, json_string(clean));
    free(clean);
    buf_release(&text);
}

void put_number(json_t *object, const char *key, double v)
{
    if (!isnan(v))
        json_object_set_new(object, key, json_number_or_word(v));
}

json_t *spread_json(const struct spread *s)
{
    json_t *o = json_object();
    put_number(o, "mean", s->mean);
    put_number(o, "sd", s->sd);
    put_number(o, "low95", s->ci.low);
    put_number(o, "high95", s->ci.high);
    json_object_set_new(o, "n", json_integer((json_int_t)s->n));
    return o;
}

const char *cell_name(const struct report *r, const struct report_cell *c)
{
    const char *group = r->data.groups.items[c->group].label;
    const char *variant = r->data.variants.items[c->variant].label;
    /* A group by a name of its own that was tried in one way needs no more words. */
    if (!r->data.by_method && c->verdict && c->verdict->variants_tried == 1)
        variant = "";
    return *variant && c->word != CELL_NOT_RUN ? word_f("%s (%s)", group, variant)
                                               : word_f("%s", group);
}

const char *pair_evidence(const struct report *r, const struct verdict_pair *p)
{
    double delta = r->settings.rules.delta, judged = p->p_adjusted;
    if (isnan(p->ci95.low))
        return "no interval, too few seeds";
    /* The interval for all pairs at once, so that it and the adjusted p say the same; the
     * winner's test (verdict.h, rule 3) may know more. */
    const bool together =
        isfinite(p->ci_all.low) && !(judged < VERDICT_ALPHA && p->ci_all.low <= 0);
    return word_f(
        "95 %% %s%s%s%s%s%s", word_change_range(together ? p->ci_all : p->ci95, delta),
        together ? " for all pairs at once" : "", isnan(judged) ? "" : ", adjusted ",
        isnan(judged) ? "" : word_p(judged),
        isnan(p->equal_effort_diff) ? "" : ", at equal tuning effort ",
        isnan(p->equal_effort_diff) ? "" : word_change(p->equal_effort_diff, delta));
}

const char *metric_of(const struct report *r)
{
    return r->settings.metric;
}

const char *best_word(const struct report *r)
{
    return r->settings.rules.minimize ? "lowest" : "highest";
}

const char *worst_word(const struct report *r)
{
    return r->settings.rules.minimize ? "highest" : "lowest";
}

/* ---- the page ---- */

static void write_head(const struct report *r, struct html *h)
{
    const char *overruled = settings_overruled(&r->settings);
    html_raw(h, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, "
                "initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" "
                "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src "
                "data:\">\n<meta name=\"color-scheme\" content=\"light dark\">\n");
    verify_write_seal(h);
    html_raw(h, "<title>");
    html_textf(h, "%s: which configuration to choose", r->data.title);
    html_raw(h, "</title>\n<style>\n");
    html_raw(h, report_css);
    html_raw(h, "</style>\n</head>\n<body>\n<header>\n");
    html_el(h, "p", "kicker", "peftlab report");
    html_el(h, "h1", NULL, "Which configuration to choose: %s", r->data.title);
    html_el(
        h, "p", "sub",
        "%s, judged by %s (%s is better%s%s), chosen by %s, on runs of %s.",
        word_plural(r->data.count, "trial"), metric_of(r),
        r->settings.rules.minimize ? "lower" : "higher", *overruled ? "; " : "",
        overruled, r->settings.select_metric,
        r->data.first_ms &&
                strcmp(word_date(r->data.first_ms), word_date(r->data.last_ms)) != 0
            ? word_f("%s to %s", word_date(r->data.first_ms), word_date(r->data.last_ms))
            : word_date(r->data.last_ms));
    html_raw(h, "</header>\n<main>\n");
}

static void write_takeaways(const json_t *numbers, struct html *h)
{
    const json_t *line;
    size_t i;
    json_array_foreach(json_object_get(numbers, "takeaways"), i, line)
    {
        html_el(h, "p", "takeaway", "%s", json_string_value(line));
    }
}

static bool has_content(const struct report *r, const struct section *s)
{
    const json_t *n = json_object_get(r->sections, s->id);
    for (size_t i = 0; i < r->figure_count; i++)
        if (str_eq(r->figures[i].plot->section, s->id))
            return true;
    return !json_is_true(json_object_get(n, "empty"));
}

/* Its number on the page: sections without content have none. ARRAY_LEN(sections): that of
 * the glossary. */
static size_t number_of(const struct report *r, size_t index)
{
    size_t n = 0;
    for (size_t i = 0; i < index; i++)
        n += has_content(r, sections[i]);
    return n;
}

static void write_section(const struct report *r, size_t index, struct html *h)
{
    const struct section *s = sections[index];
    const json_t *numbers = json_object_get(r->sections, s->id);
    buf_printf(&h->out, "<section id=\"%s\" aria-labelledby=\"h-%s\">\n<h2 id=\"h-%s\">",
               s->id, s->id, s->id);
    html_textf(h, "%zu  %s", number_of(r, index), s->title);
    html_close(h, "h2");
    if (index > 0)
        write_takeaways(numbers, h);
    s->write(r, numbers, h);
    for (size_t i = 0; i < r->figure_count; i++)
        if (str_eq(r->figures[i].plot->section, s->id))
            figure_write(&r->figures[i], h);
    html_close(h, "section");
}

/* The same with its words linked to the glossary. */
static void write_linked(const struct report *r, size_t index, struct glossary *g,
                         struct html *out)
{
    struct html section;
    html_init(&section);
    write_section(r, index, &section);
    glossary_link(g, &section, out);
    html_release(&section);
}

static void write_contents(const struct report *r, struct html *h)
{
    html_raw(h, "<nav aria-label=\"Contents\"><ol start=\"1\">\n");
    for (size_t i = 1; i < ARRAY_LEN(sections); i++) {
        if (!has_content(r, sections[i]))
            continue;
        buf_printf(&h->out, "<li value=\"%zu\"><a href=\"#%s\">", number_of(r, i),
                   sections[i]->id);
        html_text(h, sections[i]->title);
        html_raw(h, "</a></li>\n");
    }
    buf_printf(&h->out, "<li value=\"%zu\"><a href=\"#glossary\">Words</a></li>\n",
               number_of(r, ARRAY_LEN(sections)));
    html_raw(h, "</ol></nav>\n");
}

static json_t *embedded_json(const struct report *r);

void report_html(const struct report *r, struct html *out)
{
    struct glossary words = {{false}};
    write_head(r, out);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (has_content(r, sections[i]))
            write_linked(r, i, &words, out);
        if (i == 0)
            write_contents(r, out);
    }
    html_raw(out, "<section id=\"glossary\" aria-labelledby=\"h-glossary\">\n<h2 "
                  "id=\"h-glossary\">");
    html_textf(out, "%zu  Words", number_of(r, ARRAY_LEN(sections)));
    html_close(out, "h2");
    glossary_write(&words, out);
    html_close(out, "section");
    html_raw(out, "</main>\n<footer>\n");
    html_el(
        out, "p", NULL,
        "peftlab %s. Ranges are 95 %% t intervals over seeds%s unless said otherwise. "
        "Predictions are in italics behind ≈; everything else was measured.",
        PEFTLAB_VERSION, r->kept.with ? ", those of scores also over test rows," : "");
    html_raw(out, "</footer>\n");
    json_t *data = embedded_json(r);
    verify_write_data(data, out);
    json_decref(data);
    html_raw(out, "</body>\n</html>\n");
    verify_seal(out);
}

/* ---- JSON ---- */

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
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        json_t *list =
            json_object_get(json_object_get(r->sections, sections[i]->id), "takeaways");
        json_object_set_new(out, sections[i]->id,
                            list ? json_incref(list) : json_array());
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
    json_object_set_new(o, "takeaways", takeaways);
    json_object_set_new(o, "figures", figures);
    json_object_set(o, "sections", r->sections);
    return o;
}

/* The same without what it says twice; of a long table of pairs those with the best, of
 * a large matrix the verdicts alone. */
static json_t *embedded_json(const struct report *r)
{
    json_t *o = report_json(r), *verdicts = json_object_get(o, "verdicts"),
           *columns = json_object_get(verdicts, "columns"), *column;
    size_t i;
    json_object_del(o, "matrix");
    json_object_del(o, "takeaways");
    if (json_array_size(columns) == 1)
        json_object_del(verdicts, "columns");
    if (r->data.groups.count * r->data.columns.count > MAX_EMBEDDED ||
        json_bytes(json_object_get(o, "sections")) > MAX_EMBEDDED_BYTES) {
        json_object_del(o, "sections");
        json_object_set_new(o, "sections_left_out", json_true());
    }
    for (size_t most = MAX_EMBEDDED; most >= LEAST_EMBEDDED; most /= 2) {
        shorten_pairs(verdicts, most);
        json_array_foreach(columns, i, column)
        {
            shorten_pairs(column, most);
        }
        if (json_bytes(o) <= MAX_EMBEDDED_BYTES)
            break;
    }
    return o;
}

char *report_lines(const struct report *r)
{
    struct buf out = BUF_INIT;
    const json_t *line;
    size_t i;
    json_array_foreach(
        json_object_get(json_object_get(r->sections, "decision"), "takeaways"), i, line)
    {
        buf_printf(&out, "%s\n", json_string_value(line));
    }
    const json_t *next =
        json_object_get(json_object_get(r->sections, "decision"), "next");
    buf_printf(&out, "Next: %s (%s)\n", json_get_str(next, "command", ""),
               json_get_str(next, "why", ""));
    return buf_detach(&out, NULL);
}
