/* lib/load/measures.c - see measures.h. */
#include "lib/load/measures.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A clock's grain. */
#define LAG_LEAST_MS .1

enum { GROWTH_PERCENT = 120, ANSWERED_PERCENT = 98 };

struct sums {
    double *ms, *lag_ms;
    size_t n, lags;
    double middle, last;
    size_t middles, lasts;
};

static void take(struct sums *s, const struct load_record *r, double from, double to,
                 double limit_ms, struct load_measures *out)
{
    const double ms = (r->done_s - r->intended_s) * 1e3,
                 third = (r->intended_s - from) / (to - from) * 3;
    s->lag_ms[s->lags++] = (r->sent_s - r->intended_s) * 1e3;
    out->sent++;
    out->open += !r->done;
    out->refused += r->done && r->refused;
    out->failed += r->done && !r->ok && !r->refused;
    if (!r->done || !r->ok)
        return;
    s->ms[s->n++] = ms;
    out->answered++;
    out->cold += r->cold;
    out->goodput += limit_ms <= 0 || ms <= limit_ms;
    if (third >= 2) {
        s->last += ms;
        s->lasts++;
    } else if (third >= 1) {
        s->middle += ms;
        s->middles++;
    }
}

static void finish(const struct sums *s, double seconds, double limit_ms,
                   struct load_measures *out)
{
    out->offered = (double)out->sent / seconds;
    out->completed = (double)out->answered / seconds;
    out->attainment = limit_ms > 0 ? out->goodput / (double)out->sent : NAN;
    out->goodput /= seconds;
    out->mean_ms = stat_mean(s->ms, s->n);
    out->longest_ms = stat_order_statistic(s->ms, s->n, s->n);
    out->p50_ms = stat_quantile(s->ms, s->n, .5);
    out->p95_ms = stat_quantile(s->ms, s->n, .95);
    out->p99_ms = stat_quantile(s->ms, s->n, .99);
    out->p50 = stat_quantile_interval(s->ms, s->n, .5, .95);
    out->p95 = stat_quantile_interval(s->ms, s->n, .95, .95);
    out->p99 = stat_quantile_interval(s->ms, s->n, .99, .95);
    out->lag_p99_ms = stat_quantile(s->lag_ms, s->lags, .99);
    out->generator_bound =
        out->lag_p99_ms > fmax(LAG_LEAST_MS, fmin(1, .01 * out->p50_ms));
    out->growth = s->last / (double)s->lasts / (s->middle / (double)s->middles);
}

void load_measure(const struct load_record *records, size_t count, double warmup_s,
                  double end_s, double limit_ms, struct load_measures *out)
{
    struct sums s = {.ms = xcalloc(count + 1, sizeof *s.ms),
                     .lag_ms = xcalloc(count + 1, sizeof *s.lag_ms)};
    *out = (struct load_measures){0};
    for (size_t i = 0; i < count; i++)
        if (records[i].intended_s >= warmup_s && records[i].intended_s < end_s)
            take(&s, &records[i], warmup_s, end_s, limit_ms, out);
    finish(&s, end_s - warmup_s, limit_ms, out);
    free(s.ms);
    free(s.lag_ms);
}

bool load_is_sustained(const struct load_measures *p, double limit_ms)
{
    const double worst = isnan(p->p99.high) ? p->p99_ms : p->p99.high;
    return worst <= limit_ms &&
           (double)p->answered * 100 >= ANSWERED_PERCENT * (double)p->sent &&
           !(p->growth * 100 > GROWTH_PERCENT);
}

double load_find_rate(const struct load_search *q, bool (*kept)(void *ctx, double rate),
                      void *ctx)
{
    enum { TRIED_MOST = 16, STEP_MOST = 2 };
    double low = 0, high = INFINITY, rate = q->first, step = q->step;
    for (int i = 0;
         i < TRIED_MOST && rate >= q->least && !(high / low < 1 + q->resolution); i++) {
        *(kept(ctx, rate) ? &low : &high) = rate;
        rate = isinf(high) ? step * low : low > 0 ? sqrt(low * high) : high / step;
        step = fmin(step * step, STEP_MOST);
    }
    return low;
}
