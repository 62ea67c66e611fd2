/* lib/load/tails.c - see tails.h. */
#include "lib/load/tails.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include <math.h>
#include <stdlib.h>

/* Requests of an adapter, in a row of `ms`. */
struct of_adapter {
    size_t begin, sent, answered, in_time;
};

struct tally {
    struct of_adapter *of;
    size_t adapters;
    double *ms; /* of the answered, by adapter */
};

static bool counts(const struct load_record *r, double from_s, double to_s)
{
    return r->intended_s >= from_s && r->intended_s < to_s;
}

static void gather(struct tally *t, const struct load_record *r, size_t count,
                   double from_s, double to_s, double limit_ms)
{
    for (size_t i = 0; i < count; i++)
        if (counts(&r[i], from_s, to_s) && r[i].adapter >= t->adapters)
            t->adapters = (size_t)r[i].adapter + 1;
    t->of = xcalloc(t->adapters + 1, sizeof *t->of);
    t->ms = xcalloc(count + 1, sizeof *t->ms);
    for (size_t i = 0; i < count; i++)
        if (counts(&r[i], from_s, to_s))
            t->of[r[i].adapter].sent++;
    for (size_t a = 1; a < t->adapters; a++)
        t->of[a].begin = t->of[a - 1].begin + t->of[a - 1].sent;
    for (size_t i = 0; i < count; i++) {
        struct of_adapter *o = &t->of[r[i].adapter];
        if (!counts(&r[i], from_s, to_s) || !r[i].done || !r[i].ok)
            continue;
        const double ms = (r[i].done_s - r[i].intended_s) * 1e3;
        t->ms[o->begin + o->answered++] = ms;
        o->in_time += limit_ms > 0 && ms <= limit_ms;
    }
}

static int most_asked_first(const void *a, const void *b)
{
    const struct of_adapter *x = a, *y = b;
    return (x->sent < y->sent) - (x->sent > y->sent);
}

static double p99_of(const struct tally *t, const struct of_adapter *o)
{
    return stat_quantile(t->ms + o->begin, o->answered, .99);
}

/* Of the last tenth of those that were asked, which stand first. */
static double coldest_p99(const struct tally *t, size_t asked)
{
    const size_t tenth = (asked + 9) / 10;
    size_t n = 0, most = 0;
    for (size_t a = asked - tenth; a < asked; a++)
        most += t->of[a].answered;
    double *ms = xcalloc(most + 1, sizeof *ms);
    for (size_t a = asked - tenth; a < asked; a++)
        for (size_t i = 0; i < t->of[a].answered; i++)
            ms[n++] = t->ms[t->of[a].begin + i];
    const double p99 = stat_quantile(ms, n, .99);
    free(ms);
    return p99;
}

void load_measure_tails(const struct load_record *records, size_t count, double from_s,
                        double to_s, double limit_ms, struct load_tails *out)
{
    struct tally t = {0};
    gather(&t, records, count, from_s, to_s, limit_ms);
    qsort(t.of, t.adapters, sizeof *t.of, most_asked_first);
    double *p99 = xcalloc(t.adapters + 1, sizeof *p99),
           *share = xcalloc(t.adapters + 1, sizeof *share), least = INFINITY;
    size_t often = 0;
    *out = (struct load_tails){NAN, NAN, NAN, NAN, 0};
    while (out->asked < t.adapters && t.of[out->asked].sent)
        out->asked++;
    for (; often < out->asked && t.of[often].sent >= TAILS_ASKED_LEAST; often++) {
        p99[often] = p99_of(&t, &t.of[often]);
        share[often] = (double)t.of[often].in_time / (double)t.of[often].sent;
        least = fmin(least, share[often]);
    }
    if (out->asked) {
        out->hot_p99_ms = p99_of(&t, &t.of[0]);
        out->cold_p99_ms = coldest_p99(&t, out->asked);
    }
    if (often)
        out->median_p99_ms = stat_median(p99, often);
    if (often && limit_ms > 0)
        out->fairness = least / stat_median(share, often);
    free(p99);
    free(share);
    free(t.of);
    free(t.ms);
}
