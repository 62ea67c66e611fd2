/* report/sections/evidence.c - how much the numbers can carry: trials, seeds, failures,
 * environments, size of the evaluation set, tuning effort. */
#include "lib/json.h"
#include "lib/mem.h"
#include "report/cost/cost.h"
#include "report/evidence/strength.h"
#include "report/page/words.h"
#include "report/sections/evidence_chance.h"
#include "report/sections/trivial.h"
#include <math.h>
#include <stdlib.h>

/* ---- effort per group ---- */

static size_t rates_tried(const struct report *r, size_t group)
{
    json_t *seen = json_object();
    for (size_t i = 0; i < r->data.count; i++)
        if (r->data.trials[i].group == group) {
            char *text = value_text(trial_value(&r->data.trials[i], "learning_rate"));
            json_object_set_new(seen, text, json_true());
            free(text);
        }
    size_t n = json_object_size(seen);
    json_decref(seen);
    return n;
}

static json_t *group_json(const struct report *r, size_t group)
{
    size_t ran = 0, failed = 0;
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        if (t->group != group || trial_is_open(t))
            continue;
        ran++;
        failed += !trial_is_good(t, &r->settings);
    }
    const struct report_cell *c = matrix_cell(&r->matrix, r->matrix.main_column, group);
    struct stat_interval w = stat_wilson(failed, ran, .95);
    json_t *o = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I}", "group", r->data.groups.items[group].label,
        "variants_tried", (json_int_t)c->verdict->variants_tried, "learning_rates_tried",
        (json_int_t)rates_tried(r, group), "seeds", (json_int_t)c->count, "ran",
        (json_int_t)ran, "failed", (json_int_t)failed);
    put_number(o, "failure_low95", w.low);
    put_number(o, "failure_high95", w.high);
    return o;
}

/* ---- numbers ---- */

static json_t *column_json(const struct report *r, size_t column)
{
    const struct verdict *v = r->matrix.verdicts[column];
    size_t fewest = SIZE_MAX, most = 0;
    for (size_t i = 0; i < v->ranked; i++) {
        size_t n = v->configs[v->ranking[i]].n_ok;
        fewest = n < fewest ? n : fewest;
        most = n > most ? n : most;
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:I}", "column",
                     r->data.columns.items[column].label, "with_results",
                     (json_int_t)v->ranked, "seeds_fewest",
                     (json_int_t)(v->ranked ? fewest : 0), "seeds_most", (json_int_t)most,
                     "environments", (json_int_t)evidence_block_count(r, column));
}

static json_t *blocks_json(const struct report *r)
{
    json_t *list = json_array();
    size_t *trials = xcalloc(r->data.machines.count + 1, sizeof *trials);
    evidence_blocks(r, SIZE_MAX, trials);
    for (size_t i = 0; i < r->data.machines.count; i++)
        json_array_append_new(list,
                              json_pack("{s:I, s:O}", "trials", (json_int_t)trials[i],
                                        "facts", r->data.machines.items[i].facts));
    free(trials);
    return list;
}

static const char *seeds_text(const struct evidence *e)
{
    return e->seeds_fewest == e->seeds_most
               ? word_plural(e->seeds_most, "seed")
               : word_f("%zu to %zu seeds", e->seeds_fewest, e->seeds_most);
}

static const char *rows_word(const struct evidence *e)
{
    return e->rows_paired ? "paired by row" : "unpaired";
}

static void visible_takeaway(const struct report *r, const struct evidence *e, json_t *o)
{
    double delta = r->settings.rules.delta;
    const char *by_rows =
        isnan(e->visible_by_rows)
            ? ""
            : word_f("by chance of the %.0f evaluation rows alone, %s, about %s", e->rows,
                     rows_word(e), word_score(e->visible_by_rows, delta));
    if (r->matrix.verdicts[r->matrix.main_column]->item_level)
        add_takeaway(
            o,
            "One run each: seeds tell nothing here, and the %.0f evaluation rows "
            "alone show differences of about %s and more (80 %% power, %s), "
            "%s the smallest of interest (%g).",
            e->rows, word_score(e->visible_by_rows, delta), rows_word(e),
            e->visible_by_rows > delta ? "above" : "within", delta);
    else if (isnan(e->visible_by_seeds))
        add_takeaway(o,
                     "Cannot tell which differences this evidence could show: %s per "
                     "cell is too few for an interval%s%s.",
                     word_plural(e->seeds_fewest, "seed"), *by_rows ? "; " : "", by_rows);
    else
        add_takeaway(o,
                     "With %s per cell this evidence shows differences of "
                     "about %s and more, %s the smallest of interest (%g)%s%s.",
                     seeds_text(e), word_score(e->visible_by_seeds, delta),
                     e->visible_by_seeds > delta ? "above" : "within", delta,
                     *by_rows ? "; " : "", by_rows);
}

/* Every score is held against the trivial answer, where the store knows it. */
static void baseline_takeaway(const struct report *r, json_t *o)
{
    struct trivial t = trivial_of(r, r->matrix.main_column);
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    put_number(o, "baseline", t.baseline);
    if (isfinite(t.baseline))
        add_takeaway(o,
                     "The trivial answer (%s) reaches %s %s; %zu of %zu %s are shown to "
                     "be better.",
                     trivial_name(r), metric_of(r),
                     word_score(t.baseline, r->settings.rules.delta), t.above, v->ranked,
                     r->data.by_method ? "methods" : "groups");
    else
        add_takeaway(o,
                     "What the trivial answer (majority class, mean) reaches was not "
                     "recorded by these trials (baseline/%s): hold the scores against "
                     "it yourself.",
                     metric_of(r));
}

static json_t *numbers(struct report *r)
{
    struct evidence e = evidence_of(r);
    json_t *groups = json_array(), *columns = json_array();
    for (size_t g = 0; g < r->matrix.groups; g++)
        json_array_append_new(groups, group_json(r, g));
    for (size_t c = 0; c < r->matrix.columns; c++)
        json_array_append_new(columns, column_json(r, c));
    json_t *o = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
        "trials", (json_int_t)r->data.count, "complete", (json_int_t)e.complete, "failed",
        (json_int_t)e.failed, "not_finished", (json_int_t)e.open, "pruned",
        (json_int_t)e.pruned, "spared", (json_int_t)e.spared, "seeds_fewest",
        (json_int_t)e.seeds_fewest, "seeds_most", (json_int_t)e.seeds_most,
        "environments", (json_int_t)r->data.machines.count, "leaking_trials",
        (json_int_t)evidence_leaks(r), "evaluation_files",
        (json_int_t)evidence_test_files(r), "groups", groups, "columns", columns,
        "blocks", blocks_json(r));
    put_number(o, "evaluation_rows", e.rows);
    put_number(o, "visible_by_rows", e.visible_by_rows);
    put_number(o, "visible_by_seeds", e.visible_by_seeds);
    visible_takeaway(r, &e, o);
    json_object_set_new(o, "chance", chance_json(r, o));
    baseline_takeaway(r, o);
    return o;
}

/* ---- page ---- */

static void write_counts(const json_t *n, struct html *h)
{
    static const char *const items[][2] = {{"trials", "trials"},
                                           {"complete", "complete"},
                                           {"failed", "failed"},
                                           {"not_finished", "not finished"},
                                           {"pruned", "pruned"},
                                           {"spared", "not needed"},
                                           {"environments", "environments"},
                                           {"evaluation_rows", "evaluation rows"}};
    html_raw(h, "<dl class=\"facts small\">\n");
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        const json_t *v = json_object_get(n, items[i][0]);
        if (v)
            buf_printf(&h->out, "<div><dt>%s</dt><dd>%.0f</dd></div>\n", items[i][1],
                       json_number_value(v));
    }
    html_close(h, "dl");
}

/* "Seeds: 0, 1, 2": of the best. And what it is held against. */
static void write_seeds(const struct report *r, const json_t *n, struct html *h)
{
    const struct report_cell *c = report_leader(r);
    const double baseline = json_get_num(n, "baseline", NAN),
                 delta = r->settings.rules.delta;
    if (!c)
        return;
    html_raw(h, "<p id=\"seeds\">");
    html_textf(h, "%s: ", c->count == 1 ? "Seed of the best" : "Seeds of the best");
    for (size_t i = 0; i < c->count; i++)
        html_textf(h, "%s%lld", i ? ", " : "", (long long)c->trials[i]->seed);
    html_raw(h, ".</p>\n<p id=\"no-training\">");
    if (isfinite(baseline))
        html_textf(h, "Without training: %s (%s); the best: %s.",
                   word_score(baseline, delta), trivial_name(r),
                   word_score(c->verdict->mean, delta));
    else
        html_textf(h, "Without training: not recorded; the best: %s.",
                   word_score(c->verdict->mean, delta));
    html_close(h, "p");
}

static void write_columns(const json_t *n, struct html *h)
{
    const json_t *c;
    size_t i;
    html_table_open(h, NULL, "Seeds per cell",
                    "Case|>With results|>Fewest seeds|>Most seeds|>Environments");
    json_array_foreach(json_object_get(n, "columns"), i, c)
    {
        html_row(h);
        html_head_cell(h, "%s", json_get_str(c, "column", ""));
        html_number(h, "%lld", (long long)json_get_int(c, "with_results", 0));
        html_number(h, "%lld", (long long)json_get_int(c, "seeds_fewest", 0));
        html_number(h, "%lld", (long long)json_get_int(c, "seeds_most", 0));
        html_number(h, "%lld", (long long)json_get_int(c, "environments", 0));
    }
    html_table_close(h);
}

/* What differs between environment blocks; one block needs no table. */
static void write_blocks(const json_t *blocks, struct html *h)
{
    json_t *first = json_object_get(json_array_get(blocks, 0), "facts"), *v, *b;
    const char *key;
    size_t i;
    if (json_array_size(blocks) < 2)
        return;
    html_table_open(h, NULL, "Environments: their results are never pooled",
                    ">Environment|>Trials|What differs from the first");
    json_array_foreach((json_t *)blocks, i, b)
    {
        html_row(h);
        html_number(h, "%zu", i + 1);
        html_number(h, "%lld", (long long)json_get_int(b, "trials", 0));
        html_raw(h, "<td>");
        size_t shown = 0;
        json_object_foreach(json_object_get(b, "facts"), key, v)
        {
            json_t *was = json_object_get(first, key);
            if (i == 0 || (was && json_equal(was, v)))
                continue;
            char *now = value_text(v), *then = value_text(was);
            html_textf(h, "%s%s %.120s (%.120s)", shown++ ? "; " : "", key, now, then);
            free(now);
            free(then);
        }
        html_raw(h, shown ? "</td>" : "–</td>");
    }
    html_table_close(h);
}

static void write_checks(const json_t *n, struct html *h)
{
    long long leaks = json_get_int(n, "leaking_trials", 0),
              files = json_get_int(n, "evaluation_files", 0);
    html_el(h, "p", NULL, "Leakage by hash of the files: %s. Judged on: %s.",
            files == 0 ? "unknown, no hashes were recorded"
            : leaks == 0
                ? "no training file is also an evaluation file (rows inside were "
                  "not compared)"
                : word_f("in %lld trials the training file is also an evaluation "
                         "file",
                         leaks),
            files == 0   ? "unknown files"
            : files == 1 ? "one file for all"
                         : word_f("%lld different files", files));
    if (isnan(json_get_num(n, "evaluation_rows", NAN)))
        html_el(h, "p", "note",
                "The number of evaluation rows was not recorded, so their "
                "share of the noise is unknown.");
}

enum { MAX_EFFORT_ROWS = 40 };

/* Whether two groups were tried alike in everything that the table shows. */
static bool same_effort(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"variants_tried", "learning_rates_tried", "seeds",
                                       "ran", "failed"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (json_get_int(a, keys[i], 0) != json_get_int(b, keys[i], 0))
            return false;
    return true;
}

/* The i-th group with those that were tried alike: "head, ia3"; "" where an earlier row has
 * it. */
static const char *alike_names(const json_t *groups, size_t at)
{
    enum { SHOWN = 8 };
    const json_t *mine = json_array_get(groups, at), *g;
    const char *names = "";
    size_t i, n = 0;
    json_array_foreach((json_t *)groups, i, g)
    {
        if (!same_effort(mine, g))
            continue;
        if (i < at)
            return "";
        if (n++ < SHOWN)
            names = word_f("%s%s%.80s", names, *names ? ", " : "",
                           json_get_str(g, "group", ""));
    }
    return n > SHOWN ? word_f("%s and %zu more", names, n - SHOWN) : names;
}

static void write_effort(const struct report *r, const json_t *n, struct html *h)
{
    const json_t *g, *groups = json_object_get(n, "groups");
    size_t i, rows = 0;
    html_table_open(h, NULL, "Effort and failures; tried alike is one row",
                    word_f("%s|>Variants tried|>Learning rates|>Good seeds at its "
                           "best|>Trials run|>Failed|>Failure rate, 95 %% Wilson",
                           r->data.by_method ? "Method" : "Group"));
    json_array_foreach((json_t *)groups, i, g)
    {
        const char *names = alike_names(groups, i);
        if (!*names)
            continue;
        if (rows++ == MAX_EFFORT_ROWS)
            break;
        html_row(h);
        html_head_cell(h, "%s", names);
        html_number(h, "%lld", (long long)json_get_int(g, "variants_tried", 0));
        html_number(h, "%lld", (long long)json_get_int(g, "learning_rates_tried", 0));
        html_number(h, "%lld", (long long)json_get_int(g, "seeds", 0));
        html_number(h, "%lld", (long long)json_get_int(g, "ran", 0));
        html_number(h, "%lld", (long long)json_get_int(g, "failed", 0));
        html_number(h, "%.0f to %.0f %%", 100 * json_get_num(g, "failure_low95", 0),
                    100 * json_get_num(g, "failure_high95", 1));
    }
    html_table_close(h);
    if (rows > MAX_EFFORT_ROWS)
        html_el(h, "p", "note", "More are in the data of 'peftlab report --json'.");
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    write_counts(n, h);
    write_seeds(r, n, h);
    write_blocks(json_object_get(n, "blocks"), h);
    html_fold_open(h, "Leakage, seeds, effort and failures");
    write_checks(n, h);
    chance_write(r, json_object_get(n, "chance"), h);
    write_columns(n, h);
    write_effort(r, n, h);
    html_fold_close(h);
}

const struct section section_evidence = {"evidence", "Evidence quality", numbers, write};
