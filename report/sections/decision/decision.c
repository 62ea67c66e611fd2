/* report/sections/decision/decision.c - the first box: what to choose, how sure that is, what it
 * costs, what would settle or flip it. Its three takeaways are also what the command
 * prints. */
#include "report/sections/decision/decision.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "report/cost/cost.h"
#include "report/evidence/strength.h"
#include "report/page/words.h"
#include "report/sections/next/next_step.h"
#include "report/sections/trivial.h"
#include <math.h>
#include <stdlib.h>

enum confidence {
    CONFIDENCE_HIGH,
    CONFIDENCE_MODERATE,
    CONFIDENCE_TIED,
    CONFIDENCE_NONE
};

static const char *const confidence_words[] = {"high confidence", "moderate confidence",
                                               "cannot tell", "screening only"};

static const struct verdict *main_verdict(const struct report *r)
{
    return r->matrix.verdicts[r->matrix.main_column];
}

static const struct report_cell *cell_of(const struct report *r, size_t group)
{
    return matrix_cell(&r->matrix, r->matrix.main_column, group);
}

static const char *group_name(const struct report *r, size_t group)
{
    return r->data.groups.items[group].label;
}

static const char *where(const struct report *r)
{
    return r->data.columns.items[r->matrix.main_column].label;
}

/* The pair of the best that is closest to not being better. */
static const struct verdict_pair *closest_pair(const struct verdict *v)
{
    const struct verdict_pair *worst = NULL;
    for (size_t i = 0; i < v->pair_count; i++)
        if (v->pairs[i].a == v->ranking[0] &&
            (!worst || v->pairs[i].p_adjusted > worst->p_adjusted))
            worst = &v->pairs[i];
    return worst;
}

/* high: every comparison has an adjusted p < .01 and the interval of the closest one
 * starts at delta or above, from five seeds or more. */
static enum confidence confidence_of(const struct report *r, size_t column)
{
    const struct verdict *v = r->matrix.verdicts[column];
    size_t fewest = SIZE_MAX;
    for (size_t i = 0; i < v->ranked; i++)
        if (v->configs[v->ranking[i]].n_ok < fewest)
            fewest = v->configs[v->ranking[i]].n_ok;
    if (v->item_level || trivial_undecides(r, column))
        return CONFIDENCE_NONE;
    if (v->ranked < 2 || fewest < 2)
        return v->tied_count == 1 && v->ranked > 1 ? CONFIDENCE_MODERATE
                                                   : CONFIDENCE_NONE;
    if (v->tied_count > 1)
        return CONFIDENCE_TIED;
    const struct verdict_pair *p = closest_pair(v);
    return p->p_adjusted < .01 && p->ci95.low >= v->rules.delta && fewest >= 5
               ? CONFIDENCE_HIGH
               : CONFIDENCE_MODERATE;
}

const char *decision_confidence(const struct report *r, size_t column)
{
    return confidence_words[r->matrix.verdicts[column]->ranked ? confidence_of(r, column)
                                                               : CONFIDENCE_NONE];
}

static char *tied_names(const struct report *r, size_t from)
{
    const struct verdict *v = main_verdict(r);
    struct buf out = BUF_INIT;
    size_t shown = v->tied_count - from > 6 ? 5 : v->tied_count - from;
    for (size_t i = 0; i < shown; i++)
        buf_printf(&out, "%s%s",
                   i == 0                                            ? ""
                   : i + 1 == shown && shown == v->tied_count - from ? " and "
                                                                     : ", ",
                   group_name(r, v->tied[from + i]));
    if (shown < v->tied_count - from)
        buf_printf(&out, " and %zu more", v->tied_count - from - shown);
    return buf_detach(&out, NULL);
}

/* ---- line 1: the verdict ---- */

static bool all_equivalent(const struct verdict *v)
{
    for (size_t i = 1; i < v->tied_count; i++)
        if (verdict_find(v, v->tied[0], v->tied[i])->word != VERDICT_EQUIVALENT)
            return false;
    return true;
}

/* " This is one of 2 cases; at cola, all rows: head is best." */
static const char *other_columns(const struct report *r)
{
    enum { SHOWN = 3 };
    const struct matrix *m = &r->matrix;
    const char *text = "";
    size_t shown = 0;
    for (size_t c = 0; c < m->columns && shown < SHOWN; c++) {
        const struct verdict *v = m->verdicts[c];
        if (c == m->main_column || !v->ranked)
            continue;
        text =
            word_f("%s; at %.60s: %.60s %s", text, r->data.columns.items[c].label,
                   group_name(r, v->ranking[0]),
                   v->ranked > 1 && v->tied_count == 1 ? "is best" : "leads, undecided");
        shown++;
    }
    return m->columns > 1 ? word_f(" This is one of %zu cases%s.", m->columns, text) : "";
}

/* What the verdict rests on less than all: trials of the column that do not count, pairs
 * that are not compared, other cases. */
static const char *remarks(const struct report *r)
{
    const struct verdict *v = main_verdict(r);
    size_t open = 0, pruned = 0, spared = 0, repeated = 0, apart = 0, moved = 0;
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        if (t->column != r->matrix.main_column)
            continue;
        pruned += t->state == TRIAL_pruned;
        spared += t->state == TRIAL_spared;
        open += trial_is_open(t) && t->state != TRIAL_pruned && t->state != TRIAL_spared;
        repeated += t->repeated;
    }
    for (size_t i = 0; i + 1 < v->ranked; i++)
        apart += v->pairs[i].apart;
    for (size_t i = 0; i < v->ranked; i++) {
        const struct verdict_config *c = &v->configs[v->ranking[i]];
        moved += fabs(c->level - c->mean) > v->rules.delta / 2;
    }
    struct trivial t = trivial_of(r, r->matrix.main_column);
    bool below = isfinite(t.baseline) && !trivial_is_above(r, v->ranking[0], &t);
    const char *parts[] = {
        open ? word_f(" %s not finished.", word_are(open, "trial")) : "",
        pruned ? word_f(" %s stopped early and not counted.", word_are(pruned, "trial"))
               : "",
        spared ? word_f(" %s not run, as the sweep had stopped by its rule (until).",
                        word_are(spared, "trial"))
               : "",
        repeated ? word_f(" %s left out, as a later one has the same configuration and "
                          "seed.",
                          word_are(repeated, "trial"))
                 : "",
        apart ? word_f(" %s refused: no environment in common with it.",
                       word_are(apart, "comparison"))
              : "",
        moved ? word_f(" Ranked by means without what the environments add; that moves "
                       "%zu of %zu.",
                       moved, v->ranked)
              : "",
        below ? word_f(" It is not shown to be better than the trivial answer (%s).",
                       word_score(t.baseline, v->rules.delta))
              : "",
        other_columns(r)};
    const char *text = "";
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        text = *parts[i] ? word_f("%s%s", text, parts[i]) : text;
    return text;
}

/* Single runs on counted items: what their evaluation set can tell of them. */
static const char *item_text(const struct report *r)
{
    const struct verdict *v = main_verdict(r);
    size_t raw = 0, apart = 0;
    for (size_t i = 0; i + 1 < v->ranked; i++) {
        raw += v->pairs[i].p >= VERDICT_ALPHA;
        apart += v->pairs[i].apart;
    }
    return word_f(
        "%zu of %zu others do not differ from it after adjustment over all %zu pairs "
        "(%zu "
        "without), on %zu evaluation items alone; how much seeds vary is unknown.",
        v->tied_count - 1 - apart, v->ranked - 1 - apart, v->family, raw,
        verdict_tested(&v->configs[v->ranking[0]]));
}

/* Where the values themselves say that no comparison means anything. */
static void nothing_line(const struct report *r, json_t *numbers)
{
    struct trivial t = trivial_of(r, r->matrix.main_column);
    size_t best = main_verdict(r)->ranking[0];
    const char *name = cell_name(r, cell_of(r, best));
    if (trivial_is_all(&t))
        add_takeaway(
            numbers,
            "No decision at %s: all %s answer one class for all rows (%s %s), so "
            "nothing was learned that could be chosen.%s",
            where(r), word_plural(t.collapsed, "trial"), metric_of(r),
            decision_mean_text(r, best), remarks(r));
    else if (t.all_same)
        add_takeaway(numbers,
                     "No decision at %s: all trials have the same %s, %s; nothing that "
                     "was tried changed it.%s",
                     where(r), metric_of(r), decision_mean_text(r, best), remarks(r));
    else
        add_takeaway(
            numbers,
            "No certainty at %s: %s has the %s %s, %s, but all its seeds gave the "
            "same value, as those of others did: that is one observation each.%s",
            where(r), name, best_word(r), metric_of(r), decision_mean_text(r, best),
            remarks(r));
}

/* What may be said of the best and its rivals as pairs. */
static const char *rivals_text(const struct report *r)
{
    const struct verdict *v = main_verdict(r);
    double delta = r->settings.rules.delta;
    if (v->ranked == 1)
        return "";
    if (v->item_level)
        return item_text(r);
    if (v->tied_count == 1) {
        const struct verdict_pair *p = closest_pair(v);
        return word_f("It is better than the closest, %s, by %s (%s).",
                      group_name(r, p->b), word_score(p->diff, delta),
                      pair_evidence(r, p));
    }
    char *others = tied_names(r, 1);
    const char *text =
        all_equivalent(v)
            ? word_f("Equivalent: %s lie within ±%g of it.", others, delta)
            : word_f("Cannot tell it from %s (smallest difference of interest %g).",
                     others, delta);
    free(others);
    return text;
}

static void verdict_line(const struct report *r, json_t *numbers)
{
    if (trivial_undecides(r, r->matrix.main_column) && main_verdict(r)->ranked > 1) {
        nothing_line(r, numbers);
        return;
    }
    const char *rivals = rivals_text(r);
    add_takeaway(numbers, "%s%s%s%s%s", decision_take_text(r), *rivals ? " " : "", rivals,
                 decision_shared_rate_text(r), remarks(r));
}

/* ---- line 2: what it costs ---- */

static double lean_bytes(const struct report *r, const struct report_cell *c)
{
    return cell_spread(c, r->settings.memory_key).mean;
}

/* "172 MiB of memory, 5.39 ms p50, $0.00025 per run", as far as it was recorded. */
static const char *needs_text(const struct report *r, const struct report_cell *c)
{
    double bytes = lean_bytes(r, c), usd = cell_run_usd(r, c),
           latency = cell_spread(c, "latency/p50_ms").mean;
    const char *parts[] = {
        isnan(bytes) ? "" : word_f("%s of memory", word_bytes(bytes)),
        isnan(latency) ? ""
                       : word_f("%s ms p50%s", word_ms(latency),
                                cell_busy(c) ? " (timed while other work ran)" : ""),
        isnan(usd) ? "" : word_f("%s per run", word_usd(usd))};
    const char *text = "";
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (*parts[i])
            text = word_f("%s%s%s", text, *text ? ", " : "", parts[i]);
    return text;
}

size_t decision_leanest(const struct report *r)
{
    const struct verdict *v = main_verdict(r);
    bool tied = v->tied_count > 1;
    size_t n = tied ? v->tied_count : v->ranked, best = v->ranking[0];
    for (size_t i = 1; i < n; i++) {
        size_t g = tied ? v->tied[i] : v->ranking[i];
        if (lean_bytes(r, cell_of(r, g)) < lean_bytes(r, cell_of(r, best)))
            best = g;
    }
    return best;
}

/* How the leanest stands to the best: "tied" is shown to be equivalent, "undecided" is not. */
const char *decision_lean_word(const struct report *r)
{
    const struct verdict *v = main_verdict(r);
    const struct verdict_pair *p = verdict_find(v, v->ranking[0], decision_leanest(r));
    return v->tied_count < 2 || !p         ? ""
           : p->word == VERDICT_EQUIVALENT ? " tied with it"
                                           : " of those undecided against it";
}

static void cost_line(const struct report *r, json_t *numbers)
{
    const struct verdict *v = main_verdict(r);
    size_t best = v->ranking[0], lean = decision_leanest(r);
    const char *mine = needs_text(r, cell_of(r, best));
    if (!*mine) {
        add_takeaway(numbers, "Memory, latency and cost were not recorded, so only the "
                              "score is judged.");
    } else if (lean == best) {
        add_takeaway(numbers, "%s needs %s, the least memory of %s.", group_name(r, best),
                     mine,
                     v->tied_count > 1 ? "what may be as good" : "all that were tried");
    } else {
        const struct verdict_pair *p = verdict_find(v, best, lean);
        add_takeaway(numbers,
                     "%s needs %s; the leanest%s, %s, needs %s for a score %s "
                     "worse (%s).",
                     group_name(r, best), mine, decision_lean_word(r),
                     group_name(r, lean), needs_text(r, cell_of(r, lean)),
                     word_score(p->diff, r->settings.rules.delta), pair_evidence(r, p));
    }
}

/* ---- line 3: what would settle or flip it ---- */

/* The undecided pair of the best that the next step is about, else the one that needs
 * fewest seeds; NULL: none can be planned. */
static const struct verdict_pair *settling_pair(const struct report *r, size_t *seeds)
{
    const struct verdict *v = main_verdict(r);
    const struct verdict_pair *best = NULL;
    struct next x;
    if (next_seeds_of_main(r, &x)) {
        best = verdict_find(v, x.group, x.rival);
        *seeds = verdict_seeds_needed(best, v->rules.delta, v->winner_alpha);
        if (*seeds)
            return best;
        best = NULL;
    }
    for (size_t i = 1; i < v->tied_count; i++) {
        const struct verdict_pair *p = verdict_find(v, v->tied[0], v->tied[i]);
        size_t n = verdict_seeds_needed(p, v->rules.delta, v->winner_alpha);
        if (p->word == VERDICT_UNDECIDED && n > 0 && (!best || n < *seeds)) {
            best = p;
            *seeds = n;
        }
    }
    return best;
}

static void settle_line(const struct report *r, json_t *numbers)
{
    const struct verdict *v = main_verdict(r);
    double delta = r->settings.rules.delta;
    size_t seeds = 0, have = v->configs[v->ranking[0]].n_ok;
    const struct verdict_pair *p = settling_pair(r, &seeds);
    if (v->ranked < 2) {
        add_takeaway(numbers,
                     "To settle: run at least one other %s with 3 seeds or more.",
                     r->data.by_method ? "method" : "group");
    } else if (trivial_undecides(r, r->matrix.main_column)) {
        add_takeaway(numbers, "To settle: see that trials learn at all (learning rate, "
                              "number of updates) and that the seed reaches what is "
                              "random in them.");
    } else if (v->item_level) {
        add_takeaway(numbers,
                     "To settle: 3 seeds or more of each of the %zu that may be best, as "
                     "one seed cannot show how much results vary.",
                     v->tied_count);
    } else if (v->tied_count == 1) {
        const struct verdict_pair *c = closest_pair(v);
        add_takeaway(numbers,
                     "It would flip if differences up to %s (now %g) did not matter to "
                     "you; it rests on %s and %s per configuration.",
                     word_score(c->diff, delta / 10), delta,
                     evidence_unrecorded(r)
                         ? "environments that were not recorded"
                         : word_plural(r->data.machines.count, "environment"),
                     word_plural(have, "seed"));
    } else if (all_equivalent(v)) {
        add_takeaway(numbers,
                     "The choice between them is free: take the leanest; a "
                     "smaller difference of interest than %g would reopen it.",
                     delta);
    } else if (!p) {
        add_takeaway(numbers,
                     "To settle: at least 3 seeds of each, as %s cannot show "
                     "how much results vary.",
                     word_plural(have, "seed"));
    } else if (isfinite(p->equal_effort_diff)) {
        add_takeaway(numbers,
                     "To settle: tune %s as much as %s; at equal effort the lead shrinks "
                     "from %s to %s.",
                     group_name(r, p->b), group_name(r, p->a), word_score(p->diff, delta),
                     word_change(p->equal_effort_diff, delta));
    } else {
        add_takeaway(numbers,
                     "To settle: %s seeds each (now %zu) would likely decide between "
                     "%s and %s (difference %s, s.d. %s)%s.",
                     seeds > 200 ? "more than 200"
                                 : word_f("about %zu", seeds > have ? seeds : have + 1),
                     have, group_name(r, p->a), group_name(r, p->b),
                     word_change(p->diff, delta), word_score(p->sd, delta),
                     seeds > 30 ? "; a larger evaluation set is likely cheaper" : "");
    }
}

/* Where nothing can be ranked: how the trials stand. */
static void no_decision_hint(const struct report *r, json_t *o)
{
    size_t complete = 0, failed = 0;
    for (size_t i = 0; i < r->data.count; i++) {
        const enum trial_state s = r->data.trials[i].state;
        complete += s == TRIAL_complete;
        failed += s != TRIAL_complete && trial_state_is_final(s);
    }
    if (complete)
        add_takeaway(o, "%zu ended without a usable value (missing, NaN or infinite).",
                     complete);
    if (r->data.count > complete)
        add_takeaway(o, "%zu of them failed or are not finished.",
                     r->data.count - complete);
    if (failed)
        add_takeaway(o, "'peftlab sweep run --retry-failed' tries failed ones again.");
}

static json_t *numbers(struct report *r)
{
    const struct verdict *v = main_verdict(r);
    json_t *o = json_object(), *tied = json_array();
    json_object_set_new(o, "column", json_string(where(r)));
    json_object_set_new(o, "next", next_step_json(r));
    if (!v->ranked) {
        json_object_set_new(o, "decision", json_string("none"));
        json_object_set_new(o, "confidence", json_string("screening only"));
        add_takeaway(o, "No decision: none of %s has a usable %s.",
                     word_plural(r->data.count, "trial"), metric_of(r));
        no_decision_hint(r, o);
        json_decref(tied);
        return o;
    }
    for (size_t i = 0; i < v->tied_count; i++)
        json_array_append_new(tied, json_string(group_name(r, v->tied[i])));
    json_object_set_new(
        o, "decision",
        json_string(v->ranked < 2 || trivial_undecides(r, r->matrix.main_column) ? "none"
                    : v->tied_count == 1 ? "winner"
                                         : "tied"));
    json_object_set_new(o, "confidence",
                        json_string(decision_confidence(r, r->matrix.main_column)));
    json_object_set_new(o, "configuration",
                        json_string(cell_name(r, cell_of(r, v->ranking[0]))));
    json_object_set_new(o, "tied_set", tied);
    json_object_set_new(o, "take", decision_take_json(r));
    json_object_set_new(o, "shared_rate", json_boolean(decision_shared_rates(r) > 0));
    verdict_line(r, o);
    cost_line(r, o);
    settle_line(r, o);
    json_object_set_new(o, "flips", decision_flips(r));
    json_object_set_new(o, "status",
                        json_string(r->sla ? sla_text(r->sla, "status") : "draft"));
    const struct sla_verdict *service = r->sla ? sla_leader(r) : NULL;
    if (service)
        json_object_set_new(o, "service_levels",
                            json_string(sla_words[service->overall]));
    return o;
}

const struct section section_decision = {"decision", "Decision", numbers, decision_write};
