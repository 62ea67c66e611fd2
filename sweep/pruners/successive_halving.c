/* sweep/pruners/successive_halving.c - the stopping form of asynchronous halving (rules:
 * Optuna 3.1.0's SuccessiveHalvingPruner).
 *
 * A trial that reaches rung k, at step min * eta^(rate + k), leaves its value there and
 * goes on if it is among the best floor(n / eta) of the n values left so far, itself
 * included; of the first eta - 1 only the best so far goes on. Without `min` it is 1/100
 * of the longest trial when the first ones are complete. */
#include "lib/mem.h"
#include "lib/text_table.h"
#include "sweep/pruners/pruner.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static void record(struct halving_record *r, double value)
{
    r->value = xrealloc(r->value, ((size_t)r->rungs + 1) * sizeof *r->value);
    r->value[r->rungs++] = value;
}

/* A trial that was judged before this pruner was there. If it runs it was promoted from
 * all that its reports but the last have reached; a pruned one left its last value at the
 * rung where it ended. */
static void derive(const struct pruner *p, const struct curve *c, bool is_self,
                   struct halving_record *r)
{
    const struct curve_point *last = c->count ? &c->points[c->count - 1] : NULL;
    for (bool ended = false; !ended;) {
        const struct curve_point *at = report_at(p, c, r->rungs);
        if (!at || isnan(at->value) || (is_self && at == last))
            return;
        ended = c->state == CURVE_PRUNED && at == last;
        record(r, at->value);
    }
}

/* What is known of all of them, with new ones filled in. */
static void refresh(struct pruner *p, const struct curve *curves, size_t count,
                    size_t self)
{
    for (size_t i = 0; i < count; i++) {
        size_t number = curves[i].number, cap = p->record_count;
        if (number >= cap) {
            p->record_count = number + 1 > 2 * cap ? number + 1 : 2 * cap;
            p->records = xrealloc(p->records, p->record_count * sizeof *p->records);
            memset(p->records + cap, 0, (p->record_count - cap) * sizeof *p->records);
        }
        struct halving_record *r = &p->records[number];
        if (!r->known && curves[i].count && (p->s.min || p->derived_min))
            derive(p, &curves[i], i == self, r);
        r->known = r->known || curves[i].count;
    }
}

/* Among the best floor(n / eta), at least one, of the values left at the rung. */
static bool promotable(const struct pruner *p, const struct curve *curves, size_t count,
                       int rung, double value)
{
    double sign = p->s.maximize ? -1 : 1;
    size_t n = 0, better = 0;
    for (size_t i = 0; i < count; i++) {
        const struct halving_record *r = &p->records[curves[i].number];
        if (r->rungs <= rung)
            continue;
        n++;
        better += sign * r->value[rung] < sign * value;
    }
    size_t kept = n / (size_t)p->s.eta > 1 ? n / (size_t)p->s.eta : 1;
    return n > (size_t)p->s.bootstrap && better < kept;
}

static bool judge(struct pruner *p, const struct curve *curves, size_t count, size_t self)
{
    const struct curve *c = &curves[self];
    const struct curve_point *last = &c->points[c->count - 1];
    refresh(p, curves, count, self);
    if (!p->s.min && !p->derived_min)
        derive_min(p, curves, count);
    if (!p->s.min && !p->derived_min)
        return false;
    struct halving_record *r = &p->records[c->number];
    while (last->step >= rung_step(p, r->rungs)) {
        if (isnan(last->value))
            return true;
        record(r, last->value);
        if (!promotable(p, curves, count, r->rungs - 1, last->value))
            return true;
    }
    return false;
}

static int check(struct pruner_settings *s, struct err *err)
{
    (void)err;
    s->eta = s->eta ? s->eta : 4;
    return 0;
}

static void say(const struct pruner *p, const char *unit, FILE *f)
{
    fprintf(f, "successive_halving: from ");
    if (p->s.min)
        text_print(f, "%s %lld on, each %lld times as far", unit, (long long)p->s.min,
                   (long long)p->s.eta);
    else
        fprintf(f, "a hundredth of the first complete run on, each %lld times as far",
                (long long)p->s.eta);
    fprintf(f, ", what is not among the best 1/%lld so far is stopped\n",
            (long long)p->s.eta);
}

const struct pruner_rule pruner_successive_halving = {
    .name = "successive_halving", .say = say, .check = check, .judge = judge};
