/* report/section_decision.c - the first box: what to choose, how sure that is, what it
 * costs, what would settle or flip it. Its three takeaways are also what the command
 * prints. */
#include "lib/json.h"
#include "lib/mem.h"
#include "report/cost.h"
#include "report/words.h"
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
            (!worst || v->pairs[i].p_holm > worst->p_holm))
            worst = &v->pairs[i];
    return worst;
}

/* high: every comparison has an adjusted p < .01 and the interval of the closest one
 * starts at delta or above, from five seeds or more. */
static enum confidence confidence_of(const struct verdict *v)
{
    size_t fewest = SIZE_MAX;
    for (size_t i = 0; i < v->ranked; i++)
        if (v->configs[v->ranking[i]].n_ok < fewest)
            fewest = v->configs[v->ranking[i]].n_ok;
    if (v->ranked < 2 || fewest < 2)
        return v->tied_count == 1 && v->ranked > 1 ? CONFIDENCE_MODERATE
                                                   : CONFIDENCE_NONE;
    if (v->tied_count > 1)
        return CONFIDENCE_TIED;
    const struct verdict_pair *p = closest_pair(v);
    return p->p_holm < .01 && p->ci95.low >= v->rules.delta && fewest >= 5
               ? CONFIDENCE_HIGH
               : CONFIDENCE_MODERATE;
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

static const char *mean_text(const struct report *r, size_t group)
{
    const struct verdict_config *c = &main_verdict(r)->configs[group];
    double delta = r->settings.rules.delta;
    if (isnan(c->ci.low))
        return word_f("%s (%s, no interval)", word_score(c->mean, delta),
                      word_plural(c->n_ok, "seed"));
    return word_f("%s (95 %% %s, %s)", word_score(c->mean, delta),
                  word_range(c->ci, delta), word_plural(c->n_ok, "seed"));
}

/* ---- line 1: the verdict ---- */

static bool all_equivalent(const struct verdict *v)
{
    for (size_t i = 1; i < v->tied_count; i++)
        if (verdict_find(v, v->tied[0], v->tied[i])->word != VERDICT_EQUIVALENT)
            return false;
    return true;
}

static void verdict_line(const struct report *r, json_t *numbers)
{
    const struct verdict *v = main_verdict(r);
    double delta = r->settings.rules.delta;
    size_t best = v->ranking[0];
    const char *name = cell_name(r, cell_of(r, best));
    if (v->ranked == 1) {
        add_takeaway(numbers, "No decision at %s: only %s has results, %s %s.", where(r),
                     name, metric_of(r), mean_text(r, best));
    } else if (v->tied_count == 1) {
        const struct verdict_pair *p = closest_pair(v);
        add_takeaway(numbers,
                     "Choose %s at %s: %s %s, better than the closest, %s, by %s "
                     "(%s).",
                     name, where(r), metric_of(r), mean_text(r, best),
                     group_name(r, p->b), word_score(p->diff, delta),
                     pair_evidence(r, p));
    } else {
        char *others = tied_names(r, 1);
        bool same = all_equivalent(v);
        add_takeaway(
            numbers, "%s at %s: %s has the highest mean, %s %s, and %s %s.",
            same ? "Equivalent" : "Cannot tell", where(r), name, metric_of(r),
            mean_text(r, best), others,
            same
                ? word_f("lie within ±%g of it", delta)
                : word_f("could be as good (smallest difference of interest %g)", delta));
        free(others);
    }
}

/* ---- line 2: what it costs ---- */

static const char *needs_text(const struct report *r, const struct report_cell *c)
{
    struct spread memory = cell_spread(c, "mem/planned_bytes"),
                  rss = cell_spread(c, "mem/peak_rss_bytes"),
                  latency = cell_spread(c, "latency/p50_ms");
    double usd = cell_run_usd(r, c), bytes = isnan(memory.mean) ? rss.mean : memory.mean;
    return word_f("%s%s%s%s%s%s", isnan(bytes) ? "" : word_bytes(bytes),
                  isnan(bytes) ? "" : " of memory",
                  isnan(latency.mean) ? "" : word_f(", %s ms p50", word_ms(latency.mean)),
                  isnan(usd) ? "" : ", ", isnan(usd) ? "" : word_usd(usd),
                  isnan(usd) ? "" : " per run");
}

static double lean_bytes(const struct report_cell *c)
{
    double planned = cell_spread(c, "mem/planned_bytes").mean;
    return isnan(planned) ? cell_spread(c, "mem/peak_rss_bytes").mean : planned;
}

/* The tied configuration that needs least memory, or of all when there is a winner. */
static size_t leanest(const struct report *r)
{
    const struct verdict *v = main_verdict(r);
    bool tied = v->tied_count > 1;
    size_t n = tied ? v->tied_count : v->ranked, best = v->ranking[0];
    for (size_t i = 1; i < n; i++) {
        size_t g = tied ? v->tied[i] : v->ranking[i];
        if (lean_bytes(cell_of(r, g)) < lean_bytes(cell_of(r, best)))
            best = g;
    }
    return best;
}

static void cost_line(const struct report *r, json_t *numbers)
{
    const struct verdict *v = main_verdict(r);
    size_t best = v->ranking[0], lean = leanest(r);
    const char *mine = needs_text(r, cell_of(r, best));
    if (!*mine) {
        add_takeaway(numbers, "Memory, latency and cost were not recorded, so only the "
                              "score is judged.");
    } else if (lean == best) {
        add_takeaway(numbers, "%s needs %s, the least memory of %s.", group_name(r, best),
                     mine,
                     v->tied_count > 1 ? "what is tied with it" : "all that were tried");
    } else {
        const struct verdict_pair *p = verdict_find(v, best, lean);
        add_takeaway(numbers,
                     "%s needs %s; the leanest%s, %s, needs %s for a score %s "
                     "worse (%s).",
                     group_name(r, best), mine, v->tied_count > 1 ? " tied with it" : "",
                     group_name(r, lean), needs_text(r, cell_of(r, lean)),
                     word_score(p->diff, r->settings.rules.delta), pair_evidence(r, p));
    }
}

/* ---- line 3: what would settle or flip it ---- */

/* The undecided pair of the best that needs fewest seeds; NULL: none can be planned. */
static const struct verdict_pair *settling_pair(const struct verdict *v, size_t *seeds)
{
    const struct verdict_pair *best = NULL;
    for (size_t i = 1; i < v->tied_count; i++) {
        const struct verdict_pair *p = verdict_find(v, v->tied[0], v->tied[i]);
        size_t n = verdict_seeds_needed(p, v->rules.delta, v->pair_count);
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
    const struct verdict_pair *p = settling_pair(v, &seeds);
    if (v->ranked < 2) {
        add_takeaway(numbers,
                     "To settle: run at least one other %s with 3 seeds or more.",
                     r->data.by_method ? "method" : "group");
    } else if (v->tied_count == 1) {
        const struct verdict_pair *c = closest_pair(v);
        add_takeaway(numbers,
                     "It would flip if differences up to %s (now %g) did not matter to "
                     "you; it rests on %s and %s per configuration.",
                     word_score(c->diff, delta / 10), delta,
                     word_plural(r->data.machines.count, "environment"),
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
        add_takeaway(
            numbers,
            "To settle: about %s seeds each (now %zu) would likely decide between "
            "%s and %s (difference %s, s.d. %s)%s.",
            seeds > 200 ? "more than 200" : word_f("%zu", seeds), have,
            group_name(r, p->a), group_name(r, p->b), word_change(p->diff, delta),
            word_score(p->sd, delta),
            seeds > 30 ? "; a larger evaluation set is likely cheaper" : "");
    }
}

static json_t *numbers(struct report *r)
{
    const struct verdict *v = main_verdict(r);
    json_t *o = json_object(), *tied = json_array();
    json_object_set_new(o, "column", json_string(where(r)));
    if (!v->ranked) {
        json_object_set_new(o, "decision", json_string("none"));
        json_object_set_new(o, "confidence", json_string("screening only"));
        add_takeaway(o, "No decision: none of %s has a usable %s.",
                     word_plural(r->data.count, "trial"), metric_of(r));
        add_takeaway(o, "%zu of them failed or are not finished.", r->data.count);
        add_takeaway(o, "Look at the reasons with 'peftlab ls --state failed' and try "
                        "again with 'peftlab sweep run --retry-failed'.");
        json_decref(tied);
        return o;
    }
    for (size_t i = 0; i < v->tied_count; i++)
        json_array_append_new(tied, json_string(group_name(r, v->tied[i])));
    json_object_set_new(o, "decision",
                        json_string(v->ranked < 2        ? "none"
                                    : v->tied_count == 1 ? "winner"
                                                         : "tied"));
    json_object_set_new(o, "confidence", json_string(confidence_words[confidence_of(v)]));
    json_object_set_new(o, "configuration",
                        json_string(cell_name(r, cell_of(r, v->ranking[0]))));
    json_object_set_new(o, "tied_set", tied);
    verdict_line(r, o);
    cost_line(r, o);
    settle_line(r, o);
    return o;
}

/* ---- the box ---- */

static void fact(struct html *h, const char *name, const char *value, const char *more)
{
    html_open(h, "div", NULL);
    html_el(h, "dt", NULL, "%s", name);
    html_open(h, "dd", NULL);
    html_text(h, value);
    if (*more)
        html_el(h, "small", NULL, "%s", more);
    html_close(h, "dd");
    html_close(h, "div");
}

static void write_facts(const struct report *r, size_t group, struct html *h)
{
    const struct report_cell *c = cell_of(r, group);
    const struct verdict_config *v = c->verdict;
    double delta = r->settings.rules.delta, workers,
           thousand = cell_per_1000_usd(r, c, &workers), usd = cell_run_usd(r, c);
    struct spread memory = cell_spread(c, "mem/planned_bytes"),
                  rss = cell_spread(c, "mem/peak_rss_bytes"),
                  p50 = cell_spread(c, "latency/p50_ms"),
                  p95 = cell_spread(c, "latency/p95_ms");
    html_raw(h, "<dl class=\"facts\">\n");
    fact(h, metric_of(r), word_score(v->mean, delta),
         isnan(v->ci.low)
             ? word_plural(v->n_ok, "seed")
             : word_f("%s, %s", word_range(v->ci, delta), word_plural(v->n_ok, "seed")));
    if (!isnan(memory.mean))
        fact(h, "Peak memory", word_bytes(memory.mean),
             word_f("planned; process %s", word_bytes(rss.mean)));
    if (!isnan(p50.mean))
        fact(h, "Latency p50", word_f("%s ms", word_ms(p50.mean)),
             word_f("p95 %s ms", word_ms(p95.mean)));
    if (!isnan(usd))
        fact(h, "Training run", word_usd(usd),
             word_seconds(cell_spread(c, "time/total_s").mean));
    if (!isnan(thousand))
        fact(h, "1,000 requests", word_usd(thousand), "this machine");
    html_close(h, "dl");
}

static void write(const struct report *r, const json_t *numbers_, struct html *h)
{
    const struct verdict *v = main_verdict(r);
    const json_t *line;
    size_t i;
    html_open(h, "div", "decision");
    html_el(h, "p", "pill", "%s", json_get_str(numbers_, "confidence", ""));
    json_array_foreach(json_object_get(numbers_, "takeaways"), i, line)
    {
        html_el(h, "p", i == 0 ? "lead" : NULL, "%s", json_string_value(line));
    }
    if (v->ranked) {
        html_el(h, "p", "facts-of", "%s", cell_name(r, cell_of(r, v->ranking[0])));
        write_facts(r, v->ranking[0], h);
        if (leanest(r) != v->ranking[0]) {
            html_el(h, "p", "facts-of", "%s, the leanest%s",
                    cell_name(r, cell_of(r, leanest(r))),
                    v->tied_count > 1 ? " tied with it" : "");
            write_facts(r, leanest(r), h);
        }
    }
    html_close(h, "div");
}

const struct section section_decision = {"decision", "Decision", numbers, write};
