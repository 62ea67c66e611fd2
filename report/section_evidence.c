/* report/section_evidence.c - how much the numbers can carry: trials, seeds, failures,
 * environments, size of the evaluation set, tuning effort. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/report.h"
#include "report/words.h"
#include <math.h>
#include <stdlib.h>

struct counts {
    size_t complete, failed, open, pruned;
};

static struct counts count_states(const struct report *r)
{
    struct counts c = {0};
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        c.pruned += t->state == TRIAL_pruned;
        c.open += trial_is_open(t) && t->state != TRIAL_pruned;
        c.failed += trial_is_failed(t);
        c.complete += t->state == TRIAL_complete;
    }
    return c;
}

static void seeds_per_cell(const struct report *r, size_t *fewest, size_t *most)
{
    *fewest = SIZE_MAX;
    *most = 0;
    for (size_t i = 0; i < r->matrix.columns * r->matrix.groups; i++) {
        size_t n = r->matrix.cells[i].count;
        if (n == 0)
            continue;
        *fewest = n < *fewest ? n : *fewest;
        *most = n > *most ? n : *most;
    }
    if (*most == 0)
        *fewest = 0;
}

/* Median half-width of the 95 % intervals of differences to the best: what this design
 * can see at all. NaN: no intervals. */
static double visible_by_seeds(const struct report *r)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    double *half = xcalloc(v->pair_count + 1, sizeof *half), median;
    size_t n = 0;
    for (size_t i = 0; i < v->pair_count; i++) {
        const struct verdict_pair *p = &v->pairs[i];
        if (p->a == v->ranking[0] && isfinite(p->ci95.low))
            half[n++] = (p->ci95.high - p->ci95.low) / 2;
    }
    median = stat_median(half, n);
    free(half);
    return median;
}

static const char *split_of(const struct report *r)
{
    return str_has_prefix(metric_of(r), "test/")   ? "test"
           : str_has_prefix(metric_of(r), "eval/") ? "eval"
                                                   : "";
}

/* Rows of the split that the metric was taken on; NaN: not recorded. */
static double evaluation_rows(const struct report *r)
{
    const char *key = word_f("data/%s_rows", split_of(r));
    for (size_t i = 0; i < r->data.count; i++)
        if (isfinite(trial_metric(&r->data.trials[i], key)))
            return trial_metric(&r->data.trials[i], key);
    return NAN;
}

/* Difference of two unpaired shares that N rows show with 80 % power at .05. */
static double visible_by_rows(const struct report *r, double rows)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    double p = v->ranked ? v->configs[v->ranking[0]].mean : NAN;
    if (!(p > 0 && p < 1) || r->settings.rules.minimize)
        return NAN;
    return (1.959964 + 0.841621) * sqrt(2 * p * (1 - p) / rows);
}

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

static bool effort_is_unequal(const json_t *groups)
{
    json_int_t fewest = INT64_MAX, most = 0;
    const json_t *g;
    size_t i;
    json_array_foreach((json_t *)groups, i, g)
    {
        json_int_t n = json_integer_value(json_object_get(g, "variants_tried"));
        fewest = n > 0 && n < fewest ? n : fewest;
        most = n > most ? n : most;
    }
    return most >= 2 * fewest;
}

/* ---- numbers ---- */

static void warn(json_t *o, const char *text)
{
    json_t *list = json_object_get(o, "warnings");
    if (!list)
        json_object_set_new(o, "warnings", list = json_array());
    json_array_append_new(list, json_string(text));
}

static void add_warnings(const struct report *r, json_t *o, const struct counts *c)
{
    size_t fewest = (size_t)json_get_int(o, "seeds_fewest", 0);
    if (fewest < 3)
        warn(o, word_f("Some cells have %s only: a screening, not a comparison.",
                       word_plural(fewest, "seed")));
    if (c->open)
        warn(o, word_f("%s not finished; the verdicts may change.",
                       c->open == 1 ? "1 trial is" : word_f("%zu trials are", c->open)));
    if (r->data.machines.count > 1)
        warn(o, word_f("Trials ran in %zu environments (appendix); a new software stack "
                       "alone can move scores by more than most methods do, so compare "
                       "across them only with a bridging run.",
                       r->data.machines.count));
    if (r->settings.same_split)
        warn(o, word_f("Configurations were chosen and judged on the same numbers (%s), "
                       "which flatters the winner; a separate test split would not.",
                       metric_of(r)));
    if (effort_is_unequal(json_object_get(o, "groups")))
        warn(o, "Tuning effort differs: some were tried in at least twice as many "
                "variants. A lead over a less tuned one counts only if it holds at equal "
                "effort.");
    if (r->settings.delta_chosen)
        warn(o,
             word_f("The smallest difference of interest, %g, is a default; state yours "
                    "with --delta.",
                    r->settings.rules.delta));
}

static json_t *numbers(struct report *r)
{
    struct counts c = count_states(r);
    size_t fewest, most;
    double rows = evaluation_rows(r), by_rows = visible_by_rows(r, rows),
           by_seeds = visible_by_seeds(r), delta = r->settings.rules.delta;
    seeds_per_cell(r, &fewest, &most);
    json_t *groups = json_array();
    for (size_t g = 0; g < r->matrix.groups; g++)
        json_array_append_new(groups, group_json(r, g));
    json_t *o =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "trials",
                  (json_int_t)r->data.count, "complete", (json_int_t)c.complete, "failed",
                  (json_int_t)c.failed, "not_finished", (json_int_t)c.open, "pruned",
                  (json_int_t)c.pruned, "seeds_fewest", (json_int_t)fewest, "seeds_most",
                  (json_int_t)most, "environments", (json_int_t)r->data.machines.count,
                  "groups", groups);
    put_number(o, "evaluation_rows", rows);
    put_number(o, "visible_by_rows", by_rows);
    put_number(o, "visible_by_seeds", by_seeds);
    if (isnan(by_seeds))
        add_takeaway(o,
                     "Cannot tell which differences this evidence could show: %s per "
                     "cell is too few for an interval.",
                     word_plural(fewest, "seed"));
    else
        add_takeaway(o,
                     "With %zu to %zu seeds per cell this evidence shows differences of "
                     "about %s and more, %s the smallest of interest (%g)%s.",
                     fewest, most, word_score(by_seeds, delta),
                     by_seeds > delta ? "above" : "within", delta,
                     isnan(by_rows) ? ""
                                    : word_f("; by chance of the %.0f evaluation rows "
                                             "alone, unpaired, about %s",
                                             rows, word_score(by_rows, delta)));
    add_warnings(r, o, &c);
    return o;
}

/* ---- page ---- */

static void write_counts(const json_t *n, struct html *h)
{
    static const char *const items[][2] = {
        {"trials",          "trials"         },
        {"complete",        "complete"       },
        {"failed",          "failed"         },
        {"not_finished",    "not finished"   },
        {"pruned",          "pruned"         },
        {"environments",    "environments"   },
        {"evaluation_rows", "evaluation rows"}
    };
    html_raw(h, "<dl class=\"facts small\">\n");
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        const json_t *v = json_object_get(n, items[i][0]);
        if (v)
            buf_printf(&h->out, "<div><dt>%s</dt><dd>%.0f</dd></div>\n", items[i][1],
                       json_number_value(v));
    }
    html_close(h, "dl");
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    const json_t *g, *w;
    size_t i;
    write_counts(n, h);
    if (isnan(json_get_num(n, "evaluation_rows", NAN)) && *split_of(r))
        html_el(h, "p", "note",
                "The number of evaluation rows was not recorded, so their "
                "share of the noise is unknown.");
    if (json_object_get(n, "warnings"))
        html_open(h, "ul", "warnings");
    json_array_foreach(json_object_get(n, "warnings"), i, w)
    {
        html_el(h, "li", NULL, "%s", json_string_value(w));
    }
    if (json_object_get(n, "warnings"))
        html_close(h, "ul");
    html_table_open(h, NULL, "Effort and failures",
                    word_f("%s|>Variants tried|>Learning rates|>Good seeds at its "
                           "best|>Trials run|>Failed|>Failure rate, 95 %% Wilson",
                           r->data.by_method ? "Method" : "Group"));
    json_array_foreach(json_object_get(n, "groups"), i, g)
    {
        html_row(h);
        html_head_cell(h, "%s", json_get_str(g, "group", ""));
        html_number(h, "%lld", (long long)json_get_int(g, "variants_tried", 0));
        html_number(h, "%lld", (long long)json_get_int(g, "learning_rates_tried", 0));
        html_number(h, "%lld", (long long)json_get_int(g, "seeds", 0));
        html_number(h, "%lld", (long long)json_get_int(g, "ran", 0));
        html_number(h, "%lld", (long long)json_get_int(g, "failed", 0));
        html_number(h, "%.0f to %.0f %%", 100 * json_get_num(g, "failure_low95", 0),
                    100 * json_get_num(g, "failure_high95", 1));
    }
    html_table_close(h);
}

const struct section section_evidence = {"evidence", "Evidence", numbers, write};
