/* report/evidence/verdict_spread.c - what scores vary by, and what may be said of all
 * pairs at once (verdict.h, rules 2 and 3). */
#include "lib/mem.h"
#include "lib/stats/pooled.h"
#include "lib/stats/range.h"
#include "report/evidence/verdict.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- of one configuration ---- */

/* The larger of pooled and own. Its degrees of freedom are the pool's where the own
 * variance is not above it; from there they fall to the configuration's own, by 1 / df and
 * the square of 2 P(F > own / pooled). What else was tried, false "better" with one noisy
 * configuration of 8 x 3 and power for a lead of four s.d. in 8 x 3, per cent: always the
 * pool's 6.5 and 73; always its own when larger 3.6 and 25; this 3.9 and 57; a test of
 * equal variances that decides what to pool 12 and 47. */
static struct verdict_spread spread_of_config(const struct stat_pooled *p, size_t i)
{
    struct verdict_spread s = {p->used[i], p->df, p->df};
    double own = p->own_df[i];
    if (!(p->df > 0))
        return (struct verdict_spread){NAN, NAN, NAN};
    if (p->own[i] > p->variance && own < p->df) {
        double fits = fmin(2 * stat_f_sf(p->own[i] / p->variance, own, p->df), 1);
        s.df = 1 / (1 / own + (1 / p->df - 1 / own) * fits * fits);
    }
    return s;
}

/* Cells share a block where seed and environment are the same. */
static size_t collect_cells(const struct verdict_config *configs, size_t count,
                            struct stat_cell **out)
{
    struct {
        int64_t seed;
        size_t block;
    } *keys = NULL;
    size_t n = 0, known = 0, cap = 0, all = 0;
    for (size_t i = 0; i < count; i++)
        all += configs[i].n_ok;
    *out = xcalloc(all + 1, sizeof **out);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < configs[i].n_ok; j++) {
            const struct verdict_config *c = &configs[i];
            size_t block = c->blocks ? c->blocks[j] : 0, k = 0;
            while (k < known && (keys[k].seed != c->seeds[j] || keys[k].block != block))
                k++;
            if (k == known) {
                keys = xgrow(keys, &cap, known + 1, sizeof *keys);
                keys[known].seed = c->seeds[j];
                keys[known++].block = block;
            }
            (*out)[n++] = (struct stat_cell){i, k, c->scores[j]};
        }
    free(keys);
    return n;
}

void verdict_fill_spreads(struct verdict_config *configs, size_t count)
{
    struct stat_cell *cells;
    size_t n = collect_cells(configs, count, &cells);
    for (int paired = 0; paired < 2; paired++) {
        struct stat_pooled p;
        stat_pooled_init(&p, cells, n, count, paired);
        for (size_t i = 0; i < count; i++)
            *(paired ? &configs[i].paired : &configs[i].plain) = spread_of_config(&p, i);
        stat_pooled_release(&p);
    }
    free(cells);
}

/* ---- of a difference ---- */

/* Welch and Satterthwaite: variances add, and so do their own variances. */
static double sum_df(double x, double x_df, double y, double y_df)
{
    double unsure = x * x / x_df + y * y / y_df;
    return unsure > 0 ? (x + y) * (x + y) / unsure : fmin(x_df, y_df);
}

static struct verdict_spread add_rows(struct verdict_spread s, double rows)
{
    if (!(rows > 0))
        return s;
    return (struct verdict_spread){s.variance + rows,
                                   sum_df(s.variance, s.df, rows, INFINITY),
                                   sum_df(s.variance, s.pool_df, rows, INFINITY)};
}

struct verdict_spread verdict_difference_spread(const struct verdict_config *a,
                                                const struct verdict_config *b, size_t n,
                                                const struct verdict_rules *rules)
{
    struct verdict_spread x = n ? a->paired : a->plain, y = n ? b->paired : b->plain;
    x.variance /= (double)(n ? n : a->n_ok);
    y.variance /= (double)(n ? n : b->n_ok);
    /* Both have theirs from one pool, which is not better known for being used twice. */
    struct verdict_spread s = {
        x.variance + y.variance,
        fmin(sum_df(x.variance, x.df, y.variance, y.df), x.pool_df), x.pool_df};
    return add_rows(s,
                    rules->row_variance ? rules->row_variance(rules->rows, a, b) : NAN);
}

/* ---- all pairs at once ---- */

static bool is_of_best(const struct verdict *v, const struct verdict_pair *p)
{
    return p->a == v->ranking[0];
}

/* alpha - P(range of k - 2 > the critical value for k). */
static double winner_alpha(const struct verdict *v, const struct stat_range *range)
{
    double df = 0;
    for (size_t i = 0; i < v->pair_count; i++)
        df = fmax(df, v->pairs[i].df); /* the pool's, or nearly */
    df = df > 0 ? df : INFINITY;
    if (range->k < 4)
        return VERDICT_ALPHA;
    struct stat_range rest;
    stat_range_init(&rest, range->k - 2);
    double critical = stat_range_quantile(range, VERDICT_ALPHA, df);
    return VERDICT_ALPHA - stat_range_sf(&rest, critical, df);
}

/* The pair of the best with the largest p; NULL: one of them was not compared. */
static const struct verdict_pair *weakest_of_best(const struct verdict *v)
{
    const struct verdict_pair *weakest = NULL;
    for (size_t i = 0; i < v->pair_count; i++) {
        const struct verdict_pair *p = &v->pairs[i];
        if (is_of_best(v, p) && isnan(p->p))
            return NULL;
        if (is_of_best(v, p) && (!weakest || p->p_winner > weakest->p_winner))
            weakest = p;
    }
    return weakest;
}

/* |t| of a pair, infinite where there is no spread: of tests by a spread what p is of, of
 * others from p, so that all are one. */
static double t_of(const struct verdict_pair *p, double df)
{
    if (!(p->p > 0))
        return INFINITY;
    bool spread = !strcmp(p->test, "paired") || !strcmp(p->test, "welch");
    return spread && p->se > 0 ? fabs(p->diff) / p->se : -stat_t_quantile(p->p / 2, df);
}

static void adjust_pair(struct verdict_pair *p, const struct stat_range *range,
                        const struct stat_range_critical *many)
{
    double df = isnan(p->df) ? INFINITY : p->df, t = t_of(p, df);
    if (isnan(p->p))
        return;
    p->p_adjusted = p->p > 0 ? stat_range_sf(range, M_SQRT2 * t, df) : 0;
    double critical = many ? stat_range_critical(many, df)
                           : stat_range_quantile(range, VERDICT_ALPHA, df);
    double half = p->se > 0 ? critical / M_SQRT2 * p->se : 0;
    p->ci_all = (struct stat_interval){p->diff - half, p->diff + half};
}

/* Over the whole family: what was not compared counts as the weakest of all. */
static void adjust_equivalence(struct verdict *v)
{
    double *tost = xcalloc(v->family + 1, sizeof *tost);
    for (size_t i = 0; i < v->family; i++)
        tost[i] = i < v->pair_count ? v->pairs[i].p_tost : 1;
    stat_holm(tost, tost, v->family);
    for (size_t i = 0; i < v->pair_count; i++)
        v->pairs[i].p_tost_holm = tost[i];
    free(tost);
}

void verdict_adjust(struct verdict *v)
{
    enum { MANY = 5000 }; /* pairs from which a table of critical values pays */
    adjust_equivalence(v);
    v->winner_alpha = VERDICT_ALPHA;
    if (v->ranked < 2)
        return;
    struct stat_range range;
    stat_range_init(&range, v->ranked);
    struct stat_range_critical critical;
    if (v->pair_count > MANY)
        stat_range_critical_init(&critical, &range, VERDICT_ALPHA);
    for (size_t i = 0; i < v->pair_count; i++)
        adjust_pair(&v->pairs[i], &range, v->pair_count > MANY ? &critical : NULL);
    const struct verdict_pair *weakest = weakest_of_best(v);
    if (!weakest)
        return;
    v->winner_alpha = winner_alpha(v, &range);
    double alone = fmin(weakest->p_winner * VERDICT_ALPHA / v->winner_alpha, 1);
    for (size_t i = 0; i < v->pair_count; i++)
        if (is_of_best(v, &v->pairs[i]))
            v->pairs[i].p_adjusted = fmin(v->pairs[i].p_adjusted, alone);
}

/* ---- taking one now ---- */

/* Where seeds are shared their effect cancels in every comparison. With the pool's degrees
 * of freedom: the variance is already the larger one, and on one or two of its own a
 * noisy configuration's tails would be all that the regret is made of. */
static struct stat_arm arm_of(const struct verdict *v, const struct verdict_config *c)
{
    const struct verdict_rules *r = &v->rules;
    struct verdict_spread s = c->paired.variance >= 0 ? c->paired : c->plain;
    s.variance /= (double)c->n_ok;
    double rows = r->row_variance ? r->row_variance(r->rows, c, NULL) : NAN;
    if (rows >= 0 && (c->items || !(s.variance >= 0)))
        s = (struct verdict_spread){rows, INFINITY, INFINITY};
    else if (c->items)
        s = (struct verdict_spread){c->mean * (1 - c->mean) / (double)c->items, INFINITY,
                                    INFINITY};
    else
        s = add_rows(s, rows);
    if (!c->n_ok || !(s.variance >= 0))
        return (struct stat_arm){NAN, NAN, NAN};
    return (struct stat_arm){r->minimize ? -c->level : c->level, sqrt(s.variance),
                             s.pool_df};
}

void verdict_fill_regrets(struct verdict *v)
{
    struct stat_arm *arms = xcalloc(v->config_count + 1, sizeof *arms);
    v->regrets = xcalloc(v->config_count + 1, sizeof *v->regrets);
    for (size_t i = 0; i < v->config_count; i++)
        arms[i] = arm_of(v, &v->configs[i]);
    stat_regret(arms, v->config_count, v->rules.delta, v->regrets);
    free(arms);
}

size_t verdict_within(const struct verdict *v, bool *within)
{
    size_t n = 0;
    for (size_t i = 0; i < v->config_count; i++) {
        within[i] = v->regrets[i].chance <= VERDICT_ALPHA;
        n += within[i];
    }
    return n;
}
