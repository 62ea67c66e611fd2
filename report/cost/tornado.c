/* report/cost/tornado.c - how far each input alone moves the cost: one input at its low
 * and its high end, all others as they are. */
#include "report/cost/tornado.h"
#include "report/page/words.h"
#include <math.h>
#include <stdlib.h>

/* ---- a month of serving ---- */

struct month {
    double usd_per_hour, peak_per_s, load_per_s, least, runs, run_usd;
};

static double month_usd(const struct month *m)
{
    double n = fmax(m->least, ceil(m->peak_per_s / m->load_per_s - 1e-9));
    return n * m->usd_per_hour * 730 + m->runs / 12 * m->run_usd;
}

static void add(struct tornado *t, const char *input, const char *range, double low,
                double high)
{
    struct tornado_bar *b = &t->bars[t->count++];
    snprintf(b->input, sizeof b->input, "%s", input);
    snprintf(b->range, sizeof b->range, "%s", range);
    b->low = fmin(low, high);
    b->high = fmax(low, high);
}

/* The result with one member of the base changed. */
#define MONTH_WITH(member, value)                                                        \
    ({                                                                                   \
        struct month changed_ = base;                                                    \
        changed_.member = (value);                                                       \
        month_usd(&changed_);                                                            \
    })

static bool month_tornado(const struct report *r, struct tornado *t)
{
    const struct sla_verdict *v = sla_leader(r);
    if (!v || isnan(v->replicas) || !(v->load_per_s > 0) || v->separate)
        return false;
    double runs;
    struct month base = {.usd_per_hour = replica_usd_per_hour(r, v->cell),
                         .peak_per_s = r->sla->peak_per_s,
                         .load_per_s = v->load_per_s,
                         .least = sla_number(r->sla, "replicas_min"),
                         .run_usd = cell_run_usd(r, v->cell)};
    refresh_usd(r, v->cell, &runs);
    base.runs = runs;
    if (isnan(base.peak_per_s) || isnan(base.run_usd))
        return false;
    t->base = month_usd(&base);
    add(t, "price of a replica", "half to double",
        MONTH_WITH(usd_per_hour, base.usd_per_hour / 2),
        MONTH_WITH(usd_per_hour, base.usd_per_hour * 2));
    add(t, "peak load", "half to double", MONTH_WITH(peak_per_s, base.peak_per_s / 2),
        MONTH_WITH(peak_per_s, base.peak_per_s * 2));
    add(t, "requests per s of a replica", "half to double",
        MONTH_WITH(load_per_s, base.load_per_s * 2),
        MONTH_WITH(load_per_s, base.load_per_s / 2));
    add(t, "replicas at any load", word_f("1 to %g", base.least + 1),
        MONTH_WITH(least, 1), MONTH_WITH(least, base.least + 1));
    add(t, "refreshes per year", "none to four times as many", MONTH_WITH(runs, 0),
        MONTH_WITH(runs, base.runs * 4));
    t->what = "USD per month";
    t->costs = "A month of serving";
    t->of = v->cell;
    t->predicted = false;
    return true;
}

/* ---- a training run on the cheapest GPU ---- */

static const struct gpu *cheapest(const struct report *r, const struct report_cell *c)
{
    const struct gpu *best = NULL;
    double least = INFINITY;
    for (size_t i = 0; i < r->catalog.gpu_count; i++) {
        struct gpu_cost g;
        predict_gpu(r, c, &r->catalog.gpus[i], &g);
        if (g.fit != FIT_NO && g.run_usd.base < least) {
            least = g.run_usd.base;
            best = &r->catalog.gpus[i];
        }
    }
    return best;
}

static bool run_tornado(const struct report *r, struct tornado *t)
{
    const struct report_cell *c = report_leader(r);
    const struct gpu *gpu = c ? cheapest(r, c) : NULL;
    struct gpu_cost g;
    if (!gpu)
        return false;
    predict_gpu(r, c, gpu, &g);
    double per_s = g.price.base / 3600;
    const struct assumption *setup = &assumptions[ASSUME_SETUP_S];
    double work = g.train_s.base - setup->base;
    t->base = g.run_usd.base;
    add(t, "price per GPU and hour", word_usd_range(g.price.low, g.price.high),
        g.train_s.base * g.price.low / 3600, g.train_s.base * g.price.high / 3600);
    add(t, "set-up of a run", word_f("%g to %g s", setup->low, setup->high),
        per_s * (work + setup->low), per_s * (work + setup->high));
    add(t, "speed of training", "all its assumptions at their ends",
        per_s * (setup->base + g.train_s.low - setup->low),
        per_s * (setup->base + g.train_s.high - setup->high));
    t->what = word_f("USD per run on %s", gpu->name);
    t->costs = word_f("A training run on %s of", gpu->name);
    t->of = c;
    t->predicted = true;
    return true;
}

static int widest_first(const void *a, const void *b)
{
    const struct tornado_bar *x = a, *y = b;
    double wx = x->high - x->low, wy = y->high - y->low;
    return (wy > wx) - (wy < wx);
}

bool cost_tornado(const struct report *r, struct tornado *out)
{
    *out = (struct tornado){0};
    if (!month_tornado(r, out) && !run_tornado(r, out))
        return false;
    qsort(out->bars, out->count, sizeof *out->bars, widest_first);
    return true;
}
