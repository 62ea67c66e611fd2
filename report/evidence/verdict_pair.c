/* report/evidence/verdict_pair.c - the test of one pair (verdict.h, rule 2 and single
 * runs). */
#include "lib/mem.h"
#include "report/evidence/verdict.h"
#include <math.h>
#include <stdlib.h>

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

/* Completes a comparison from its difference, standard error and degrees of freedom. */
static void judge(struct verdict_pair *p, double diff, double se, double df,
                  const struct stat_test *t, double delta)
{
    p->diff = diff;
    p->df = df;
    p->se = isnan(se) ? 0 : se;
    if (!(se >= NO_SPREAD)) {
        p->p = fabs(diff) < NO_SPREAD ? 1 : 0;
        p->p_tost = fabs(diff) < delta ? 0 : 1;
        p->ci95 = p->ci90 = (struct stat_interval){diff, diff};
        return;
    }
    double half95 = -stat_t_quantile(0.025, df) * se,
           half90 = -stat_t_quantile(0.05, df) * se;
    p->p = t->p;
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
    p->p = pooled > 0 ? 2 * stat_normal_cdf(-fabs(p->diff) / pooled) : 1;
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

struct verdict_pair verdict_compare(const struct verdict_config *a,
                                    const struct verdict_config *b,
                                    const struct verdict_rules *rules)
{
    struct verdict_pair p = {.test = "none",
                             .sd = NAN,
                             .se = NAN,
                             .df = NAN,
                             .p = NAN,
                             .p_holm = NAN,
                             .p_tost = NAN,
                             .p_tost_holm = NAN,
                             .p_holm_best = NAN,
                             .ci95 = nowhere,
                             .ci90 = nowhere,
                             .equal_effort_diff = NAN,
                             .word = VERDICT_UNDECIDED};
    double sign = rules->minimize ? -1 : 1;
    double *x = xcalloc(a->n_ok + 1, sizeof *x), *y = xcalloc(b->n_ok + 1, sizeof *y);
    p.n = share(a, b, true, x, y);
    if (p.n < 3)
        p.n = share(a, b, false, x, y);
    p.apart = a->n_ok && b->n_ok && !have_common_block(a, b);
    p.diff = sign * (a->mean - b->mean);
    if (p.apart) {
        p.n = 0; /* neither test nor interval */
    } else if (p.n >= 3) {
        struct stat_test t = stat_paired_t(x, y, p.n, rules->delta);
        p.test = "paired";
        p.sd = isnan(t.se) ? 0 : t.se * sqrt((double)p.n);
        judge(&p, sign * t.diff, t.se, (double)p.n - 1, &t, rules->delta);
    } else if (a->n_ok >= 2 && b->n_ok >= 2) {
        struct stat_test t =
            stat_welch_t(a->scores, a->n_ok, b->scores, b->n_ok, rules->delta);
        p.test = "welch";
        p.sd = hypot(a->sd, b->sd);
        judge(&p, sign * t.diff, t.se,
              isnan(t.df) ? (double)(a->n_ok + b->n_ok) - 2 : t.df, &t, rules->delta);
    } else if (a->items && b->items) {
        judge_items(&p, a, b, rules->delta);
    }
    free(x);
    free(y);
    return p;
}
