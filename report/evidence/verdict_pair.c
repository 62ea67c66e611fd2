/* report/evidence/verdict_pair.c - the test of one pair (verdict.h, rule 2 and single
 * runs). */
#include "lib/mem.h"
#include "report/evidence/verdict.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NO_SPREAD 1e-12

static const struct stat_interval nowhere = {NAN, NAN};

size_t verdict_hits(const struct verdict_config *c)
{
    return (size_t)llround(c->scores[0] * (double)c->items);
}

static size_t block_of(const struct verdict_config *c, size_t i)
{
    return c->blocks ? c->blocks[i] : 0;
}

static bool have_common_block(const struct verdict_config *a,
                              const struct verdict_config *b)
{
    for (size_t i = 0; i < a->n_ok; i++)
        for (size_t k = 0; k < b->n_ok; k++)
            if (block_of(a, i) == block_of(b, k))
                return true;
    return false;
}

/* Scores of shared seeds side by side; both lists are ascending. */
static size_t share(const struct verdict_config *a, const struct verdict_config *b,
                    bool same_block, double *x, double *y)
{
    size_t n = 0;
    for (size_t i = 0, j = 0; i < a->n_ok && j < b->n_ok;) {
        if (a->seeds[i] == b->seeds[j]) {
            x[n] = a->scores[i];
            y[n] = b->scores[j];
            n += !same_block || block_of(a, i) == block_of(b, j);
            i++;
            j++;
        } else if (a->seeds[i] < b->seeds[j]) {
            i++;
        } else {
            j++;
        }
    }
    return n;
}

/* Whether the scores of both differ by the same everywhere: then nothing varies. */
static bool is_constant(const double *x, const double *y, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (fabs((x[i] - y[i]) - (x[0] - y[0])) >= NO_SPREAD)
            return false;
    return n > 0;
}

/* Completes a comparison from its difference and the spread of that. */
static void judge(struct verdict_pair *p, double diff, struct verdict_spread s,
                  double delta)
{
    double se = sqrt(s.variance), df = s.df;
    p->diff = diff;
    p->df = df;
    p->se = se;
    if (!(se >= NO_SPREAD)) {
        p->p = p->p_winner = fabs(diff) < NO_SPREAD ? 1 : 0;
        p->p_tost = fabs(diff) < delta ? 0 : 1;
        p->ci95 = p->ci90 = (struct stat_interval){diff, diff};
        return;
    }
    double half95 = -stat_t_quantile(0.025, df) * se,
           half90 = -stat_t_quantile(0.05, df) * se;
    p->p = 2 * stat_t_cdf(-fabs(diff) / se, df);
    p->p_winner = 2 * stat_t_cdf(-fabs(diff) / se, sqrt(df * s.pool_df));
    p->p_tost =
        fmax(stat_t_cdf(-(diff + delta) / se, df), stat_t_cdf((diff - delta) / se, df));
    p->ci95 = (struct stat_interval){diff - half95, diff + half95};
    p->ci90 = (struct stat_interval){diff - half90, diff + half90};
}

/* Two runs on items: z with the pooled share for p, with each its own for intervals. */
static void judge_items(struct verdict_pair *p, const struct verdict_config *a,
                        const struct verdict_config *b, double delta)
{
    double na = (double)a->items, nb = (double)b->items;
    double pa = (double)verdict_hits(a) / na, pb = (double)verdict_hits(b) / nb;
    double pool = (pa * na + pb * nb) / (na + nb);
    double se = sqrt(pa * (1 - pa) / na + pb * (1 - pb) / nb),
           pooled = sqrt(pool * (1 - pool) * (1 / na + 1 / nb));
    p->test = "items";
    p->se = se;
    p->p = p->p_winner = pooled > 0 ? 2 * stat_normal_cdf(-fabs(p->diff) / pooled) : 1;
    double half95 = stat_normal_quantile(0.975) * se,
           half90 = stat_normal_quantile(0.95) * se;
    p->ci95 = (struct stat_interval){p->diff - half95, p->diff + half95};
    p->ci90 = (struct stat_interval){p->diff - half90, p->diff + half90};
    if (se > 0)
        p->p_tost = fmax(stat_normal_cdf(-(p->diff + delta) / se),
                         stat_normal_cdf((p->diff - delta) / se));
    else
        p->p_tost = fabs(p->diff) < delta ? 0 : 1;
}

/* Exactly, where a row is right or wrong; NaN where it is not. */
static double mcnemar_p(const double *d, size_t n)
{
    size_t ours = 0, theirs = 0;
    for (size_t i = 0; i < n; i++) {
        if (d[i] != 0 && fabs(d[i]) != 1)
            return NAN;
        ours += d[i] > 0;
        theirs += d[i] < 0;
    }
    return stat_mcnemar_p(ours, theirs);
}

/* Two runs on the same rows. */
static bool judge_rows(struct verdict_pair *p, const struct verdict_config *a,
                       const struct verdict_config *b, const struct verdict_rules *rules)
{
    size_t n = 0;
    double *d = rules->row_differences && a->n_ok == 1 && b->n_ok == 1
                    ? rules->row_differences(rules->rows, a, b, &n)
                    : NULL;
    if (!d)
        return false;
    const double sd = stat_sd(d, n), exact = mcnemar_p(d, n);
    p->test = "rows";
    p->sd = sd;
    judge(p, p->diff,
          (struct verdict_spread){.variance = sd * sd / (double)n,
                                  .df = (double)n - 1,
                                  .pool_df = (double)n - 1},
          rules->delta);
    p->p = isnan(exact) ? p->p : exact;
    free(d);
    return true;
}

size_t verdict_tested(const struct verdict_config *c)
{
    return c->items ? c->items : c->rows;
}

bool verdict_is_single(const struct verdict_pair *p)
{
    return !strcmp(p->test, "items") || !strcmp(p->test, "rows");
}

struct verdict_pair verdict_test_pair(const struct verdict_config *a,
                                      const struct verdict_config *b,
                                      const struct verdict_rules *rules)
{
    struct verdict_pair p = {.a = a->index,
                             .b = b->index,
                             .test = "none",
                             .sd = NAN,
                             .se = NAN,
                             .df = NAN,
                             .p = NAN,
                             .p_winner = NAN,
                             .p_adjusted = NAN,
                             .p_tost = NAN,
                             .p_tost_holm = NAN,
                             .ci95 = nowhere,
                             .ci90 = nowhere,
                             .ci_all = nowhere,
                             .equal_effort_diff = NAN,
                             .word = VERDICT_UNDECIDED};
    double sign = rules->minimize ? -1 : 1;
    double *x = xcalloc(a->n_ok + 1, sizeof *x), *y = xcalloc(b->n_ok + 1, sizeof *y);
    p.n = share(a, b, true, x, y);
    if (p.n < 3)
        p.n = share(a, b, false, x, y);
    p.apart = a->n_ok && b->n_ok && !have_common_block(a, b);
    p.diff = sign * (a->mean - b->mean);
    bool paired = p.n >= 3;
    if (p.apart) {
        p.n = 0; /* neither test nor interval */
    } else if (paired || (a->n_ok >= 2 && b->n_ok >= 2)) {
        struct verdict_spread s =
            verdict_difference_spread(a, b, paired ? p.n : 0, rules);
        double diff = paired ? stat_mean(x, p.n) - stat_mean(y, p.n) : a->mean - b->mean;
        if (paired && is_constant(x, y, p.n) && fabs(diff) < NO_SPREAD)
            s.variance = 0; /* one and the same, whatever others vary by */
        const double rows =
            rules->row_variance ? rules->row_variance(rules->rows, a, b) : NAN;
        p.rows = rows > 0 ? rows : 0;
        p.test = paired ? "paired" : "welch";
        p.sd = sqrt(paired ? a->paired.variance + b->paired.variance
                           : a->plain.variance + b->plain.variance);
        judge(&p, sign * diff, s, rules->delta);
    } else if (judge_rows(&p, a, b, rules)) {
        /* done */
    } else if (a->items && b->items) {
        judge_items(&p, a, b, rules->delta);
    }
    free(x);
    free(y);
    return p;
}

struct verdict_pair verdict_compare(const struct verdict_config *a,
                                    const struct verdict_config *b,
                                    const struct verdict_rules *rules)
{
    struct verdict_config both[] = {*a, *b};
    verdict_fill_spreads(both, 2);
    struct verdict_pair p = verdict_test_pair(&both[0], &both[1], rules);
    p.p_adjusted = p.p;
    p.ci_all = p.ci95;
    return p;
}
