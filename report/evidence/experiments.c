/* report/evidence/experiments.c - see experiments.h. */
#include "report/evidence/experiments.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include <math.h>
#include <stdlib.h>

enum { FEWEST_SEEDS = 2, MOST_SEEDS = 20 };

double next_value(double d, double s)
{
    if (!(s > 0) || !isfinite(d))
        return 0;
    double z = d / s;
    return s * exp(-z * z / 2) / sqrt(2 * M_PI) - d * stat_normal_cdf(-z);
}

/* Spread of the means of groups: what is expected of one that was not run. */
static double spread_of_groups(const struct verdict *v)
{
    double *means = xcalloc(v->ranked + 1, sizeof *means), sd;
    for (size_t i = 0; i < v->ranked; i++)
        means[i] = v->configs[v->ranking[i]].mean;
    sd = stat_sd(means, v->ranked);
    free(means);
    return sd;
}

double next_run_price(const struct report *r, size_t column, size_t group)
{
    const struct matrix *m = &r->matrix;
    double own = cell_run_usd(r, matrix_cell(m, column, group)), sum = 0;
    size_t n = 0;
    if (isfinite(own))
        return own;
    for (size_t c = 0; c < m->columns; c++) {
        double usd = cell_run_usd(r, matrix_cell(m, c, group)),
               rows = r->data.columns.items[column].order,
               theirs = r->data.columns.items[c].order;
        if (isfinite(usd) && isfinite(rows) && isfinite(theirs) && theirs > 0)
            return usd * rows / theirs;
    }
    for (size_t g = 0; g < m->groups; g++) {
        double usd = cell_run_usd(r, matrix_cell(m, column, g));
        if (isfinite(usd)) {
            sum += usd;
            n++;
        }
    }
    return n ? sum / (double)n : NAN;
}

/* What is worth less than a thousandth of what matters is not worth a line. */
static bool is_worth(const struct next *x, const struct verdict *v)
{
    return x->value > 0 && x->value >= v->rules.delta / 1000;
}

static void finish(struct next *x)
{
    x->rate = isfinite(x->usd) && x->usd > 0 ? x->value / x->usd
                                             : x->value / (double)(x->trials + 1);
}

/* More seeds of the best and one that is not decided against it. */
static bool plan_seeds(const struct report *r, const struct verdict *v, size_t column,
                       size_t rival, struct next *x)
{
    size_t best = v->ranking[0];
    const struct verdict_pair *p = verdict_find(v, best, rival);
    if (!p || p->word != VERDICT_UNDECIDED)
        return false;
    bool items = verdict_is_single(p), known = isfinite(p->ci95.low) && !items;
    double delta = v->rules.delta,
           e = known ? sqrt(fmax(0, p->se * p->se - p->rows)) : spread_of_groups(v);
    size_t have = known ? (v->configs[best].n_ok < v->configs[rival].n_ok
                               ? v->configs[best].n_ok
                               : v->configs[rival].n_ok)
                        : 1,
           needed = known ? verdict_seeds_needed(p, delta, v->winner_alpha) : 0,
           more = needed > have ? needed - have : 0;
    more = more < FEWEST_SEEDS ? FEWEST_SEEDS : more > MOST_SEEDS ? MOST_SEEDS : more;
    *x = (struct next){.kind = NEXT_SEEDS,
                       .group = best,
                       .rival = rival,
                       .column = column,
                       .seeds = more,
                       .trials = 2 * more,
                       .assumed_spread = !known};
    double s = e * sqrt((double)more / (double)(more + have));
    x->value = next_value(p->diff, s);
    x->usd = (double)more *
             (next_run_price(r, column, best) + next_run_price(r, column, rival));
    finish(x);
    return is_worth(x, v);
}

/* A group that was not run here: believed to be like the others, on average. */
static bool plan_cell(const struct report *r, const struct verdict *v, size_t column,
                      size_t group, struct next *x)
{
    double mean = 0, sign = v->rules.minimize ? -1 : 1, e = spread_of_groups(v);
    for (size_t i = 0; i < v->ranked; i++)
        mean += v->configs[v->ranking[i]].mean / (double)v->ranked;
    *x = (struct next){.kind = NEXT_CELL,
                       .group = group,
                       .column = column,
                       .seeds = NEXT_CELL_SEEDS,
                       .trials = NEXT_CELL_SEEDS,
                       .assumed_spread = true};
    x->value = next_value(sign * (v->configs[v->ranking[0]].mean - mean), e);
    x->usd = NEXT_CELL_SEEDS * next_run_price(r, column, group);
    finish(x);
    return is_worth(x, v);
}

static int by_rate(const void *a, const void *b)
{
    const struct next *x = a, *y = b;
    if (x->rate != y->rate)
        return x->rate > y->rate ? -1 : 1;
    return x->column != y->column ? (x->column < y->column ? -1 : 1)
           : x->rival != y->rival ? (x->rival < y->rival ? -1 : 1)
                                  : (x->group > y->group) - (x->group < y->group);
}

struct next *next_experiments(const struct report *r, size_t *count)
{
    const struct matrix *m = &r->matrix;
    struct next *list = NULL, x;
    size_t n = 0, cap = 0;
    for (size_t c = 0; c < m->columns; c++) {
        const struct verdict *v = m->verdicts[c];
        if (!v->ranked)
            continue;
        for (size_t g = 0; g < m->groups; g++) {
            bool planned = v->configs[g].n_ok
                               ? g != v->ranking[0] && plan_seeds(r, v, c, g, &x)
                               : !v->configs[g].known && plan_cell(r, v, c, g, &x);
            if (!planned)
                continue;
            list = xgrow(list, &cap, n + 1, sizeof *list);
            list[n++] = x;
        }
    }
    if (n)
        qsort(list, n, sizeof *list, by_rate);
    *count = n;
    return list;
}
