/* sweep/pruners/successive_halving.c - the stopping form of asynchronous halving (rules:
 * Optuna 3.1.0's SuccessiveHalvingPruner).
 *
 * A trial that reaches rung k, at step min * eta^(rate + k), leaves its value there and
 * goes on if it is among the best floor(n / eta) of the n values left so far, itself
 * included; of the first eta - 1 only the best so far goes on. Without `min` it is 1/100
 * of the longest trial when the first ones are complete. */
#include "lib/mem.h"
#include "sweep/pruner.h"
#include <math.h>
#include <stdlib.h>

static int64_t rung_step(const struct pruner *p, int rung)
{
    int64_t step = p->s.min ? p->s.min : p->derived_min;
    for (int64_t i = 0; i < p->s.rate + rung; i++)
        if (__builtin_mul_overflow(step, p->s.eta, &step))
            return INT64_MAX;
    return step;
}

static void derive_min(struct pruner *p, const struct curve *curves, size_t count)
{
    int64_t last = 0;
    for (size_t i = 0; i < count; i++)
        if (curves[i].state == CURVE_COMPLETE && curves[i].count) {
            int64_t step = curves[i].points[curves[i].count - 1].step;
            last = step > last ? step : last;
            p->derived_min = last / 100 > 1 ? last / 100 : 1;
        }
}

/* The first report at or after the rung; one report may serve several rungs. */
static const struct curve_point *report_at(const struct pruner *p, const struct curve *c,
                                           int rung)
{
    int64_t step = rung_step(p, rung);
    for (size_t i = 0; i < c->count; i++)
        if (c->points[i].step >= step)
            return &c->points[i];
    return NULL;
}

/* How many rungs hold a value of this trial. A trial that runs was promoted from all that
 * its reports have reached; one that was pruned left its last value at the rung where it
 * ended, and how far a report that jumps over rungs came there only `rungs` knows. */
static int rungs_of(const struct pruner *p, const struct curve *c)
{
    int rungs = 0;
    if (c->rungs)
        return c->rungs;
    for (;; rungs++) {
        const struct curve_point *at = report_at(p, c, rungs);
        if (!at || isnan(at->value))
            return rungs;
        if (c->state == CURVE_PRUNED && at == &c->points[c->count - 1])
            return rungs + 1;
    }
}

/* Among the best floor(n / eta), at least one, of the values left at the rung. */
static bool promotable(const struct pruner *p, const struct curve *curves, size_t count,
                       size_t self, int rung, double value)
{
    double sign = p->s.maximize ? -1 : 1;
    size_t n = 1, better = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == self || rungs_of(p, &curves[i]) <= rung)
            continue;
        n++;
        better += sign * report_at(p, &curves[i], rung)->value < sign * value;
    }
    size_t kept = n / (size_t)p->s.eta > 1 ? n / (size_t)p->s.eta : 1;
    return n > (size_t)p->s.bootstrap && better < kept;
}

/* The rungs that its earlier reports have passed. */
static int rungs_before(const struct pruner *p, const struct curve *c)
{
    struct curve before = *c;
    before.count--;
    before.state = CURVE_RUNNING;
    return rungs_of(p, &before);
}

static bool judge(struct pruner *p, struct curve *curves, size_t count, size_t self)
{
    struct curve *c = &curves[self];
    if (!p->s.min && !p->derived_min)
        derive_min(p, curves, count);
    if (!p->s.min && !p->derived_min)
        return false;
    const struct curve_point *last = &c->points[c->count - 1];
    for (int rung = rungs_before(p, c);; rung++) {
        if (last->step < rung_step(p, rung))
            return false;
        if (isnan(last->value))
            return true;
        c->rungs = rung + 1;
        if (!promotable(p, curves, count, self, rung, last->value))
            return true;
    }
}

static int check(struct pruner_settings *s, struct err *err)
{
    (void)err;
    s->eta = s->eta ? s->eta : 4;
    return 0;
}

const struct pruner_rule pruner_successive_halving = {
    .name = "successive_halving", .check = check, .judge = judge};
