/* report/sections/threats.c - what may be wrong with the decision, filled in by rule
 * (threats.def), worst first. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/evidence/strength.h"
#include "report/page/words.h"
#include "report/sections/trivial.h"
#include <math.h>
#include <stdlib.h>

static const char *const levels[] = {"may change the decision", "weakens it",
                                     "limits where it holds"};

static const struct verdict *main_verdict(const struct report *r)
{
    return r->matrix.verdicts[r->matrix.main_column];
}

static const char *group_name(const struct report *r, size_t group)
{
    return r->data.groups.items[group].label;
}

/* ---- the rules ---- */

static bool threat_leakage(const struct report *r, struct buf *out)
{
    size_t n = evidence_leaks(r);
    if (n)
        buf_printf(out,
                   "In %s the training file is also an evaluation file, byte by byte: "
                   "those scores measure memory.",
                   word_plural(n, "trial"));
    return n > 0;
}

static bool threat_different_evaluation(const struct report *r, struct buf *out)
{
    size_t n = evidence_test_files(r);
    if (n > 1)
        buf_printf(out,
                   "Scores of one case were taken on %zu different files (by hash): "
                   "they cannot be compared.",
                   n);
    return n > 1;
}

static bool threat_collapsed(const struct report *r, struct buf *out)
{
    struct trivial t = trivial_of(r, r->matrix.main_column);
    if (t.collapsed)
        buf_printf(
            out,
            "%zu of %zu trials answer one class for all rows: they have collapsed, "
            "and their scores say nothing of their configurations.",
            t.collapsed, t.judged);
    return t.collapsed > 0;
}

static bool threat_not_learned(const struct report *r, struct buf *out)
{
    const struct verdict *v = main_verdict(r);
    struct trivial t = trivial_of(r, r->matrix.main_column);
    bool below = isfinite(t.baseline) && t.above < v->ranked;
    if (below)
        buf_printf(
            out,
            "%zu of %zu %s are not shown to be better than the trivial answer (%s: "
            "%s).",
            v->ranked - t.above, v->ranked, r->data.by_method ? "methods" : "groups",
            trivial_name(r), word_score(t.baseline, r->settings.rules.delta));
    else if (t.all_same)
        buf_str_add(out, "All trials have the same score, as trials have that did not "
                         "learn: nothing that was tried changed it.");
    return below || t.all_same;
}

static bool threat_seeds_change_nothing(const struct report *r, struct buf *out)
{
    const struct verdict *v = main_verdict(r);
    struct trivial t = trivial_of(r, r->matrix.main_column);
    if (t.same_seeds)
        buf_printf(
            out,
            "In %zu of %zu %s all seeds gave the same value: either the seed has no "
            "effect, and they are one observation, or the metric is too coarse to "
            "show one. A spread of zero is no certainty.",
            t.same_seeds, v->ranked, r->data.by_method ? "methods" : "groups");
    return t.same_seeds > 0;
}

static bool threat_single_seed(const struct report *r, struct buf *out)
{
    const struct verdict *v = main_verdict(r);
    size_t n = 0;
    for (size_t i = 0; i < v->ranked; i++)
        n += v->configs[v->ranking[i]].n_ok == 1;
    if (n)
        buf_printf(
            out, "%zu of %zu %s rest on a single seed: how much they vary is unknown%s.",
            n, v->ranked, r->data.by_method ? "methods" : "groups",
            v->item_level ? "; words come from the number of evaluation items alone"
                          : "");
    return n > 0;
}

static bool threat_unbridged_environments(const struct report *r, struct buf *out)
{
    const struct verdict *v = main_verdict(r);
    size_t n = 0;
    for (size_t i = 1; i < v->ranked; i++)
        n += !cells_share_block(
            matrix_cell(&r->matrix, r->matrix.main_column, v->ranking[0]),
            matrix_cell(&r->matrix, r->matrix.main_column, v->ranking[i]));
    if (n)
        buf_printf(
            out,
            "%zu of %zu comparisons with %s are refused, as they are across environments "
            "without a common one: a new software stack alone has moved scores by 1.6 "
            "points in peft's table, more than most methods do. Run a few trials of both "
            "in one.",
            n, v->ranked - 1, group_name(r, v->ranking[0]));
    return n > 0;
}

static bool threat_repeats(const struct report *r, struct buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < r->data.count; i++)
        n += r->data.trials[i].repeated;
    if (n)
        buf_printf(
            out,
            "%s the configuration and seed of a later one: two results of the same "
            "thing, of which the later counts.",
            word_f("%s %s", word_plural(n, "trial"), n == 1 ? "has" : "have"));
    return n > 0;
}

static bool threat_unequal_tuning(const struct report *r, struct buf *out)
{
    struct evidence e = evidence_of(r);
    bool unequal = e.variants_most >= 2 * e.variants_fewest && e.variants_fewest > 0;
    if (unequal)
        buf_printf(out,
                   "Tuning effort differs: from %zu to %zu variants tried. A lead over a "
                   "less tuned one counts only where it holds at equal effort.",
                   e.variants_fewest, e.variants_most);
    return unequal;
}

static bool threat_unfinished(const struct report *r, struct buf *out)
{
    struct evidence e = evidence_of(r);
    if (e.open)
        buf_printf(out, "%zu of %s not finished: the verdicts may change.", e.open,
                   word_f("%s are", word_plural(r->data.count, "trial")));
    return e.open > 0;
}

static bool threat_overruled(const struct report *r, struct buf *out)
{
    const char *overruled = settings_overruled(&r->settings);
    if (*overruled)
        buf_printf(out, "Judged by %s, %s is better: %s.", metric_of(r),
                   r->settings.rules.minimize ? "lower" : "higher", overruled);
    return *overruled;
}

static bool threat_few_seeds(const struct report *r, struct buf *out)
{
    struct evidence e = evidence_of(r);
    double delta = r->settings.rules.delta;
    bool few = e.visible_by_seeds > delta;
    if (few)
        buf_printf(
            out,
            "With %s in the thinnest cell differences of about %s and more are seen; "
            "what matters begins at %g.",
            word_plural(e.seeds_fewest, "seed"), word_score(e.visible_by_seeds, delta),
            delta);
    return few;
}

static bool threat_small_evaluation(const struct report *r, struct buf *out)
{
    struct evidence e = evidence_of(r);
    double delta = r->settings.rules.delta;
    bool small = e.visible_by_rows > delta;
    if (small)
        buf_printf(out,
                   "%.0f evaluation rows show, %s, differences of about %s and more "
                   "by chance alone; what matters begins at %g.",
                   e.rows, e.rows_paired ? "paired by row" : "unpaired",
                   word_score(e.visible_by_rows, delta), delta);
    return small;
}

static bool threat_same_split(const struct report *r, struct buf *out)
{
    if (r->settings.same_split)
        buf_printf(out,
                   "Configurations were chosen and judged on the same numbers (%s), the "
                   "best of up to %zu: that flatters the winner; a separate test split "
                   "would not.",
                   metric_of(r), evidence_of(r).variants_most);
    return r->settings.same_split;
}

/* Least and most of a numeric parameter over the group's trials of the main column. */
static size_t value_range(const struct report *r, size_t group, const char *key,
                          double *low, double *high)
{
    size_t n = 0;
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        const json_t *v = trial_value(t, key);
        if (t->group != group || t->column != r->matrix.main_column ||
            !json_is_number(v) || trial_is_open(t))
            continue;
        *low = fmin(*low, json_number_value(v));
        *high = fmax(*high, json_number_value(v));
        n++;
    }
    return n;
}

static bool threat_edge_of_range(const struct report *r, struct buf *out)
{
    static const char *const keys[] = {"learning_rate", "rank", "alpha"};
    const struct report_cell *c = report_leader(r);
    for (size_t k = 0; c && k < ARRAY_LEN(keys); k++) {
        double low, high;
        const json_t *v = trial_value(c->trials[0], keys[k]);
        if (!json_is_number(v) || value_range(r, c->group, keys[k], &low, &high) < 2 ||
            low == high)
            continue;
        double at = json_number_value(v);
        if (at > low && at < high)
            continue;
        buf_printf(
            out,
            "The leading %s stands at the %s end of the %s tried (%g of %g to %g): "
            "better values may lie beyond.",
            group_name(r, c->group), at == low ? "lower" : "upper", keys[k], at, low,
            high);
        return true;
    }
    return false;
}

static bool threat_leader_fails(const struct report *r, struct buf *out)
{
    const struct report_cell *c = report_leader(r);
    if (!c || !c->verdict->n_failed)
        return false;
    buf_printf(out, "%zu of %zu runs of %s failed (95 %% %.0f to %.0f %%).",
               c->verdict->n_failed, c->verdict->n, cell_name(r, c),
               100 * c->verdict->failure.low, 100 * c->verdict->failure.high);
    return true;
}

static bool threat_pruned(const struct report *r, struct buf *out)
{
    struct evidence e = evidence_of(r);
    if (e.pruned)
        buf_printf(
            out,
            "%zu of %zu trials were stopped early and count as not run: what starts "
            "slowly is underrated.",
            e.pruned, r->data.count);
    return e.pruned > 0;
}

/* `until`: the reason of what was spared tells the rule and how often it looked. */
static bool threat_looked(const struct report *r, struct buf *out)
{
    size_t spared = 0;
    const char *reason = "";
    for (size_t i = 0; i < r->data.count; i++)
        if (r->data.trials[i].state == TRIAL_spared) {
            spared++;
            reason = r->data.trials[i].reason;
        }
    if (spared)
        buf_printf(
            out,
            "%s not run: the sweep looked at its results after every round and "
            "stopped by its rule (%s). An expected regret may be looked at as often "
            "as one likes; the words better and equivalent are made for one look. In "
            "simulated sweeps that stopped so 'better' erred in 2 to 4 %% (nominal 5).",
            word_are(spared, "trial"), reason);
    return spared > 0;
}

static bool threat_busy_machine(const struct report *r, struct buf *out)
{
    size_t busy = 0, timed = 0;
    double most = 0;
    for (size_t i = 0; i < r->data.count; i++) {
        double others = trial_others(&r->data.trials[i], true);
        timed += isfinite(others);
        busy += others >= BUSY_CORES;
        most = others > most ? others : most;
    }
    if (busy)
        buf_printf(
            out,
            "%zu of %zu trials were timed while other work kept up to %.2g cores "
            "busy: their latency and time are not those of an idle machine, and no "
            "service level is said to be met by them. 'peftlab sweep run --jobs 1' "
            "on an idle machine times them alone.",
            busy, timed, most);
    return busy > 0;
}

static bool threat_unrecorded_environments(const struct report *r, struct buf *out)
{
    size_t n = evidence_unrecorded(r);
    if (n)
        buf_printf(
            out,
            "%zu of %zu trials do not say in which environment they ran: that they "
            "share one is taken on trust.",
            n, r->data.count);
    return n > 0;
}

static bool threat_several_environments(const struct report *r, struct buf *out)
{
    size_t n = evidence_block_count(r, r->matrix.main_column);
    if (n > 1)
        buf_printf(out,
                   "Trials of this case ran in %zu environments; seeds vary with them, "
                   "so intervals cover both.",
                   n);
    return n > 1;
}

static bool threat_default_delta(const struct report *r, struct buf *out)
{
    if (r->settings.delta_chosen)
        buf_printf(
            out,
            "The smallest difference of interest, %g, is a default; state yours with "
            "--delta.",
            r->settings.rules.delta);
    return r->settings.delta_chosen;
}

static bool threat_stale_prices(const struct report *r, struct buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < r->catalog.price_count; i++)
        n += price_age_days(&r->catalog.prices[i], r->data.last_ms) > PRICE_STALE_DAYS;
    if (n)
        buf_printf(
            out, "%zu of %zu price rows were over %d days old at the last trial (%s).", n,
            r->catalog.price_count, PRICE_STALE_DAYS, word_date(r->data.last_ms));
    return n > 0;
}

static bool threat_predicted_gpus(const struct report *r, struct buf *out)
{
    const json_t *gpus = json_object_get(json_object_get(r->sections, "cost"), "gpus");
    size_t n = json_array_size(gpus);
    if (n)
        buf_printf(
            out,
            "Time and cost on %s are predictions from runs on other hardware; none "
            "was measured there.",
            word_plural(n, "GPU"));
    return n > 0;
}

static bool threat_one_machine(const struct report *r, struct buf *out)
{
    size_t n = evidence_block_count(r, SIZE_MAX);
    if (n == 1 && evidence_unrecorded(r))
        return false;
    if (n == 1)
        buf_printf(out,
                   "All %s ran in one environment: latency, time and memory hold for "
                   "it alone.",
                   word_plural(r->data.count, "trial"));
    return n == 1;
}

static bool threat_one_situation(const struct report *r, struct buf *out)
{
    if (r->matrix.columns == 1)
        buf_printf(out,
                   "One task at one data size (%s): whether the order holds elsewhere "
                   "is unknown.",
                   r->data.columns.items[0].label);
    return r->matrix.columns == 1;
}

static bool threat_no_service_levels(const struct report *r, struct buf *out)
{
    if (!r->sla)
        buf_str_add(out, "No service levels were given (--sla), so 0 limits on latency, "
                         "cost or quality were checked.");
    return !r->sla;
}

static const struct threat {
    const char *id;
    int level;
    bool (*applies)(const struct report *r, struct buf *out);
} threats[] = {
#define THREAT(id, level) {#id, level, threat_##id},
#include "report/sections/threats.def"
#undef THREAT
};

/* ---- the section ---- */

static json_t *numbers(struct report *r)
{
    json_t *o = json_object(), *list = json_array();
    size_t count[3] = {0};
    for (size_t i = 0; i < ARRAY_LEN(threats); i++) {
        struct buf text = BUF_INIT;
        if (threats[i].applies(r, &text)) {
            json_array_append_new(list, json_pack("{s:s, s:i, s:s}", "id", threats[i].id,
                                                  "level", threats[i].level, "text",
                                                  buf_str(&text)));
            count[threats[i].level]++;
        }
        buf_release(&text);
    }
    json_object_set_new(o, "threats", list);
    if (json_array_size(list))
        add_takeaway(
            o,
            "%s (%zu may change the decision, %zu weaken it, %zu limit where it holds.)",
            json_get_str(json_array_get(list, 0), "text", ""), count[0], count[1],
            count[2]);
    else
        add_takeaway(o, "None of %zu rules found anything.", ARRAY_LEN(threats));
    return o;
}

/* Those from a level to another. */
static void write_levels(const json_t *list, int from, int to, struct html *h)
{
    const json_t *t;
    size_t i;
    html_table_open(h, "threats", NULL, "Threat|What it does");
    json_array_foreach((json_t *)list, i, t)
    {
        int level = (int)json_get_int(t, "level", 0);
        if (level < from || level > to)
            continue;
        html_row(h);
        html_raw(h, "<th scope=\"row\">");
        html_text(h, json_get_str(t, "text", ""));
        html_raw(h, "</th>");
        buf_printf(&h->out, "<td class=\"cell w-%c\">", "fun"[level]);
        html_el(h, "span", "word", "%s", levels[level]);
        html_raw(h, "</td>");
    }
    html_table_close(h);
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    const json_t *t, *list = json_object_get(n, "threats");
    size_t i, grave = 0;
    (void)r;
    json_array_foreach((json_t *)list, i, t)
    {
        grave += json_get_int(t, "level", 0) == 0;
    }
    if (grave > 1) /* the first is the sentence above */
        write_levels(list, 0, 0, h);
    if (json_array_size(list) == grave)
        return;
    html_fold_open(h, "%zu that weaken the decision or limit where it holds",
                   json_array_size(list) - grave);
    write_levels(list, 1, 2, h);
    html_fold_close(h);
}

const struct section section_threats = {"threats", "Threats and limits", numbers, write};
