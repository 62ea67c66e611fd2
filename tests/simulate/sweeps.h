/* tests/simulate/sweeps.h - sweeps with a known truth, judged by
 * report/evidence/verdict.h.
 *
 * A scenario says how scores come about; each simulated sweep is a table of trials, and
 * what the verdict says of it is held against the true means:
 *   false better      some pair is called better whose true difference is <= 0; per
 *                     sweep, nominal .05
 *   false equivalent  a pair is called equivalent whose true difference is >= delta; per
 *                     pair, nominal .05 (TOST is not adjusted over pairs; how often
 *                     some pair of a sweep is, is printed beside it)
 *   best missed       a truly best configuration is not in the tied set; per sweep,
 *                     nominal .05
 *   true equivalent   of the pairs whose true difference is below delta
 *   power             the best is named alone, of the sweeps with one true best that is
 *                     ahead by at least delta
 *   cover, cover all  of the 95 % intervals of differences: so many pairs, and sweeps with
 *                     all pairs, have the true difference inside
 *   regret            true best less what is taken (the best mean): true, and as expected
 *   beyond delta      the same is more than delta: so often, and as the chances said
 *   not within        of the configurations said to stay within delta of the best with 95
 *                     %, so many do not; nominal .05
 * A configuration's truth is the true mean of the variant that was chosen for it: what
 * somebody would deploy. Intervals: Wilson, with the number of sweeps that the spread
 * over sweeps is worth where pairs are counted. */
#ifndef TESTS_SIMULATE_SWEEPS_H
#define TESTS_SIMULATE_SWEEPS_H

#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/stats/basic.h"
#include "report/evidence/verdict.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOMINAL     0.05
#define MOST_ROWS   1024
#define MOST_CONFIG 64
#define FLOOR       (-50.0) /* score of a collapsed seed */

/* True means: all 0; the first ahead of the rest by `gap`; a staircase of `gap`; the
 * first two, the first and the last, the first half ahead; normal with s.d. `gap`, drawn anew in each sweep. */
enum truth { EQUAL, ONE_AHEAD, STAIRS, TWO_AHEAD, ENDS_AHEAD, HALF_AHEAD, DRAWN };
enum noise { NORMAL, HEAVY /* t with 3 df */, SKEWED /* exponential */ };

struct scenario {
    const char *name;
    size_t configs, seeds;
    enum truth truth;
    double gap, delta;
    double sd;        /* of a score over seeds, apart from what follows */
    double shared_sd; /* effect of a seed on all configurations alike */
    double last_sd;   /* of the last configuration; 0: as the others */
    enum noise noise;
    bool no_line;         /* the report was not told where a score counts as collapsed */
    double collapse;      /* share of trials that collapse */
    double missing;       /* share of trials that were never run */
    double items;         /* a single run, right on so many of them; 0: see sd */
    bool own_seeds;       /* no seed is shared: Welch instead of pairs */
    size_t variants;      /* learning rates of each configuration; 0: 1 */
    size_t variants_last; /* of the last one; 0: the same */
    double variant_sd;    /* of the learning rates' true effects */
    double select_rho;    /* correlation of selection and report score in one trial */
};

struct tally {
    double hits, of;        /* `of`: sweeps or pairs */
    double *share, *weight; /* per sweep */
};

struct rates {
    size_t sweeps;
    struct tally better, equivalent, any_equivalent, missed, power, same;
    struct tally cover, cover_all;
    struct tally regret, expected, beyond, chance, outside;
};

/* ---- one sweep ---- */

struct world {
    const struct scenario *s;
    struct philox_key key;
    uint64_t sweep, next;
    double truth[MOST_CONFIG][64]; /* config, variant */
    struct verdict_row rows[MOST_ROWS];
    size_t count;
};

static double uniform(struct world *w)
{
    return rng_uniform(&w->key, w->sweep, w->next++);
}

static double normal(struct world *w)
{
    return rng_normal(&w->key, w->sweep, w->next++);
}

/* Mean 0, variance 1. */
static double draw_noise(struct world *w)
{
    if (w->s->noise == NORMAL)
        return normal(w);
    if (w->s->noise == SKEWED)
        return -1 - log(1 - uniform(w));
    double z = normal(w), a = normal(w), b = normal(w), c = normal(w);
    return z / sqrt((a * a + b * b + c * c) / 3) / sqrt(3);
}

static double true_mean(struct world *w, size_t config)
{
    const struct scenario *s = w->s;
    switch (s->truth) {
    case EQUAL:
        return 0;
    case ONE_AHEAD:
        return config == 0 ? s->gap : 0;
    case STAIRS:
        return -(double)config * s->gap;
    case TWO_AHEAD:
        return config < 2 ? s->gap : 0;
    case ENDS_AHEAD:
        return config == 0 || config + 1 == s->configs ? s->gap : 0;
    case DRAWN:
        return s->gap * normal(w);
    case HALF_AHEAD:
        return config < (s->configs + 1) / 2 ? s->gap : 0;
    }
    return 0;
}

static size_t variants_of(const struct scenario *s, size_t config)
{
    size_t n = s->variants ? s->variants : 1;
    return config + 1 == s->configs && s->variants_last ? s->variants_last : n;
}

/* The noise of one trial: what training did, which both splits see, and each split's own
 * part. */
static void add_trial(struct world *w, size_t config, size_t variant, size_t seed,
                      double shared)
{
    const struct scenario *s = w->s;
    double sd = config + 1 == s->configs && s->last_sd > 0 ? s->last_sd : s->sd;
    double common = draw_noise(w), own = normal(w), of_select = normal(w);
    double a = sqrt(s->select_rho), b = sqrt(1 - s->select_rho);
    /* Without a selection split the score is all training noise. */
    double report = s->select_rho > 0 ? a * common + b * own : common;
    double mean = w->truth[config][variant] + shared;
    bool collapsed = uniform(w) < s->collapse;
    w->rows[w->count++] = (struct verdict_row){
        .config = config,
        .variant = variant,
        .order = (double)variant,
        .seed = (int64_t)(s->own_seeds ? config * s->seeds + seed : seed),
        .complete = true,
        .select = collapsed ? FLOOR : mean + sd * (a * common + b * of_select),
        .score = collapsed ? FLOOR : mean + sd * report,
    };
}

/* One run of half the items right, give or take the truth: binomial, rounded normal. */
static void add_item_trial(struct world *w, size_t config)
{
    double n = w->s->items, p = 0.5 + w->truth[config][0];
    double hits = rint(n * p + sqrt(n * p * (1 - p)) * normal(w));
    w->rows[w->count++] = (struct verdict_row){.config = config,
                                               .complete = true,
                                               .items = n,
                                               .score = fmin(fmax(hits, 0), n) / n};
}

static void fill_world(struct world *w)
{
    const struct scenario *s = w->s;
    double shared[64];
    w->count = 0;
    w->next = 0;
    for (size_t i = 0; i < s->seeds; i++)
        shared[i] = s->shared_sd * normal(w);
    for (size_t c = 0; c < s->configs; c++)
        for (size_t v = 0; v < variants_of(s, c); v++) {
            w->truth[c][v] = true_mean(w, c) + s->variant_sd * normal(w);
            if (s->items > 0)
                add_item_trial(w, c);
            else
                for (size_t i = 0; i < s->seeds; i++) {
                    add_trial(w, c, v, i, shared[i]);
                    if (s->missing > 0 && uniform(w) < s->missing)
                        w->count--;
                }
        }
}

/* ---- counting ---- */

static void tally_init(struct tally *t, size_t sweeps)
{
    *t = (struct tally){.share = xcalloc(sweeps + 1, sizeof(double)),
                        .weight = xcalloc(sweeps + 1, sizeof(double))};
}

/* A share of yes and no, or a mean. */
static void tally_add(struct tally *t, size_t sweep, double hit)
{
    t->hits += hit;
    t->of++;
    t->share[sweep] += hit;
    t->weight[sweep]++;
}

static double tally_rate(const struct tally *t)
{
    return t->of > 0 ? t->hits / t->of : NAN;
}

/* Wilson, with as many trials as the spread over sweeps allows: pairs of one sweep go
 * together. */
static struct stat_interval tally_interval(const struct tally *t, size_t sweeps)
{
    double p = tally_rate(t), square = 0, used = 0;
    for (size_t i = 0; i < sweeps; i++) {
        double off = t->share[i] - p * t->weight[i];
        square += off * off;
        used += t->weight[i] > 0;
    }
    double variance = square / (t->of * t->of);
    double n = variance > 0 ? fmin(p * (1 - p) / variance, t->of) : used;
    return stat_wilson((size_t)lround(p * n), (size_t)lround(n), 0.95);
}

#define ALL_TALLIES(r)                                                                   \
    {                                                                                    \
        &(r)->better, &(r)->equivalent, &(r)->any_equivalent, &(r)->missed, &(r)->power, \
            &(r)->same, &(r)->cover, &(r)->cover_all, &(r)->regret, &(r)->expected,      \
            &(r)->beyond, &(r)->chance, &(r)->outside                                    \
    }

static void rates_init(struct rates *r, size_t sweeps)
{
    *r = (struct rates){.sweeps = sweeps};
    struct tally *all[] = ALL_TALLIES(r);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tally_init(all[i], sweeps);
}

static void rates_release(struct rates *r)
{
    struct tally *all[] = ALL_TALLIES(r);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        free(all[i]->share);
        free(all[i]->weight);
    }
}

#define HAIR 1e-9 /* truths that are equal on paper */

static void count_pairs(const struct world *w, const struct verdict *v,
                        const double *truth, struct rates *r)
{
    bool wrong = false, edge = false, any = false;
    for (size_t i = 0; i < v->pair_count; i++) {
        const struct verdict_pair *p = &v->pairs[i];
        double diff = truth[p->a] - truth[p->b];
        wrong = wrong || (p->word == VERDICT_BETTER && diff <= HAIR);
        if (!(w->s->delta > 0))
            continue;
        bool same = p->word == VERDICT_EQUIVALENT,
             apart = fabs(diff) >= w->s->delta - HAIR;
        tally_add(apart ? &r->equivalent : &r->same, w->sweep, same);
        edge = edge || apart;
        any = any || (apart && same);
    }
    if (edge)
        tally_add(&r->any_equivalent, w->sweep, any);
    tally_add(&r->better, w->sweep, wrong);
}

static bool is_tied(const struct verdict *v, size_t config)
{
    for (size_t i = 0; i < v->tied_count; i++)
        if (v->tied[i] == config)
            return true;
    return false;
}

static void count_best(const struct world *w, const struct verdict *v,
                       const double *truth, struct rates *r)
{
    size_t best = 0;
    double second = -INFINITY;
    bool missed = false;
    for (size_t c = 1; c < w->s->configs; c++)
        if (truth[c] > truth[best])
            best = c;
    for (size_t c = 0; c < w->s->configs; c++) {
        if (truth[c] >= truth[best] - HAIR && v->configs[c].n_ok)
            missed = missed || !is_tied(v, c);
        if (c != best)
            second = fmax(second, truth[c]);
    }
    tally_add(&r->missed, w->sweep, missed);
    if (truth[best] - second >= fmax(w->s->delta, 10 * HAIR) - HAIR)
        tally_add(&r->power, w->sweep, v->tied_count == 1 && v->tied[0] == best);
}

static void count_intervals(const struct world *w, const struct verdict *v,
                            const double *truth, struct rates *r)
{
    bool all = true, any = false;
    for (size_t i = 0; i < v->pair_count; i++) {
        const struct verdict_pair *p = &v->pairs[i];
        double diff = truth[p->a] - truth[p->b];
        if (isnan(p->ci95.low))
            continue;
        any = true;
        tally_add(&r->cover, w->sweep, p->ci95.low <= diff && diff <= p->ci95.high);
        all = all && p->ci_all.low <= diff && diff <= p->ci_all.high;
    }
    if (any)
        tally_add(&r->cover_all, w->sweep, all);
}

static void count_regret(const struct world *w, const struct verdict *v,
                         const double *truth, struct rates *r)
{
    bool within[MOST_CONFIG];
    double best = -INFINITY;
    for (size_t c = 0; c < w->s->configs; c++)
        if (v->configs[c].n_ok)
            best = fmax(best, truth[c]);
    if (!v->ranked || isnan(v->regrets[v->ranking[0]].chance))
        return;
    size_t taken = v->ranking[0];
    tally_add(&r->regret, w->sweep, best - truth[taken]);
    tally_add(&r->expected, w->sweep, v->regrets[taken].expected);
    tally_add(&r->beyond, w->sweep, best - truth[taken] > w->s->delta + HAIR);
    tally_add(&r->chance, w->sweep, v->regrets[taken].chance);
    if (!(w->s->delta > 0))
        return;
    verdict_within(v, within);
    for (size_t c = 0; c < w->s->configs; c++)
        if (within[c])
            tally_add(&r->outside, w->sweep, best - truth[c] > w->s->delta + HAIR);
}

/* Fills `r`, which the caller releases. */
static void simulate(const struct scenario *s, size_t sweeps, uint64_t seed,
                     struct rates *r)
{
    struct world *w = xcalloc(1, sizeof *w);
    struct verdict_rules rules = {
        .delta = s->delta, .collapse = s->collapse > 0 && !s->no_line ? FLOOR / 2 : NAN};
    w->s = s;
    w->key = rng_key(seed, s->name);
    rates_init(r, sweeps);
    for (w->sweep = 0; w->sweep < sweeps; w->sweep++) {
        fill_world(w);
        struct verdict *v = verdict_new(w->rows, w->count, s->configs, &rules);
        double truth[MOST_CONFIG];
        for (size_t c = 0; c < s->configs; c++)
            truth[c] = w->truth[c][v->configs[c].variant];
        count_pairs(w, v, truth, r);
        count_best(w, v, truth, r);
        count_intervals(w, v, truth, r);
        count_regret(w, v, truth, r);
        verdict_free(v);
    }
    free(w);
}

/* ---- scenarios ---- */

/* Scores are in the units of delta = 1 where there is one; delta 0 takes away the
 * protection that the smallest difference gives to "better". */
static const struct scenario scenarios[] = {
#define S(...) {__VA_ARGS__},
#include "tests/simulate/scenarios.def"
#undef S
};

#endif
