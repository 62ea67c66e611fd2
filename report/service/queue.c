/* report/service/queue.c - see queue.h. */
#include "report/service/queue.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/stats/basic.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WARM_UP = QUEUE_REQUESTS / 10, MAX_SERVERS = 1000, HALVINGS = 16 };

const double queue_percentiles[QUEUE_PERCENTILES] = {.5, .95, .99};

/* ---- service times ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void finish(struct service *s)
{
    qsort(s->ms, s->n, sizeof *s->ms, ascending);
    s->mean_ms = stat_mean(s->ms, s->n);
}

void service_from_sample(struct service *s, const double *ms, size_t n)
{
    *s = (struct service){
        .ms = xcalloc(n + 1, sizeof *ms), .n = n, .requests = n, .recorded = true};
    memcpy(s->ms, ms, n * sizeof *ms);
    finish(s);
}

/* log(service) at the normal quantile z through the known points; below the median as
 * steep as above it. */
static double fitted(double z, const double *at_z, const double *log_ms, size_t points)
{
    size_t k = 1;
    while (k + 1 < points && z > at_z[k])
        k++;
    double slope = (log_ms[k] - log_ms[k - 1]) / (at_z[k] - at_z[k - 1]);
    return log_ms[k - 1] + slope * (z - at_z[k - 1]);
}

bool service_fit(struct service *s, double p50_ms, double p95_ms, double p99_ms,
                 double largest_ms, size_t requests)
{
    const double known[] = {p50_ms, p95_ms, p99_ms, largest_ms};
    size_t n = requests < 20 ? 20 : requests > 2000 ? 2000 : requests;
    const double shares[] = {.5, .95, .99, 1 - .5 / (double)n};
    double at_z[4], log_ms[4];
    size_t points = 0;
    *s = (struct service){.requests = requests};
    for (size_t i = 0; i < 4; i++) {
        if (!(known[i] > 0) || !isfinite(known[i]) || (i && !points))
            continue;
        double z = stat_normal_quantile(shares[i]);
        if (points && (log(known[i]) < log_ms[points - 1] || z <= at_z[points - 1]))
            continue; /* the largest of a small sample may lie below its p99 */
        at_z[points] = z;
        log_ms[points++] = log(known[i]);
    }
    if (points == 0)
        return false;
    s->n = n;
    s->ms = xcalloc(n, sizeof *s->ms);
    for (size_t i = 0; i < n; i++)
        s->ms[i] =
            exp(points == 1 ? log_ms[0] /* only a median: as if all took the same */
                            : fitted(stat_normal_quantile(((double)i + .5) / (double)n),
                                     at_z, log_ms, points));
    finish(s);
    return true;
}

void service_bound(const struct service *s, bool upper, struct service *out)
{
    *out = *s;
    out->ms = xcalloc(s->n + 1, sizeof *out->ms);
    size_t n = s->requests < s->n ? s->requests : s->n;
    for (size_t i = 0; i < s->n; i++) {
        double q = ((double)i + .5) / (double)s->n;
        size_t lower_rank = 0, upper_rank = 0;
        stat_quantile_ranks(n, q, .95, &lower_rank, &upper_rank);
        size_t k = upper ? upper_rank : lower_rank;
        double share = k ? ((double)k - .5) / (double)n : upper ? 1 : 0;
        out->ms[i] = service_quantile(s, share);
    }
    finish(out);
}

void service_release(struct service *s)
{
    free(s->ms);
    *s = (struct service){0};
}

double service_quantile(const struct service *s, double q)
{
    if (s->n == 0)
        return NAN;
    double at = q * (double)s->n - .5;
    if (at <= 0)
        return s->ms[0];
    size_t i = (size_t)at;
    if (i + 1 >= s->n)
        return s->ms[s->n - 1];
    return s->ms[i] + (at - (double)i) * (s->ms[i + 1] - s->ms[i]);
}

bool queue_can_claim(size_t requests, double q)
{
    return requests >= stat_quantile_sample(q, .95);
}

/* ---- simulation ---- */

void queue_init(struct queue *q)
{
    struct philox_key key = rng_key(QUEUE_SEED, "queue");
    *q = (struct queue){.gaps = xcalloc(QUEUE_REQUESTS, sizeof(double)),
                        .choices = xcalloc(QUEUE_REQUESTS, sizeof(double)),
                        .response_ms = xcalloc(QUEUE_REQUESTS, sizeof(double)),
                        .wait_ms = xcalloc(QUEUE_REQUESTS, sizeof(double)),
                        .free_ms = xcalloc(MAX_SERVERS, sizeof(double))};
    for (size_t i = 0; i < QUEUE_REQUESTS; i++) {
        q->gaps[i] = -log1p(-rng_uniform(&key, 0, i));
        q->choices[i] = rng_uniform(&key, 1, i);
    }
}

void queue_release(struct queue *q)
{
    free(q->gaps);
    free(q->choices);
    free(q->response_ms);
    free(q->wait_ms);
    free(q->free_ms);
    *q = (struct queue){0};
}

/* The q-quantile (nearest rank) by Hoare's selection; reorders x. */
static double percentile_of(double *x, size_t n, double q)
{
    size_t want = (size_t)ceil(q * (double)n) - 1, low = 0, high = n - 1;
    while (low < high) {
        double pivot = x[(low + high) / 2];
        size_t i = low, k = high;
        while (i <= k) {
            while (x[i] < pivot)
                i++;
            while (x[k] > pivot)
                k--;
            if (i <= k) {
                double t = x[i];
                x[i++] = x[k];
                x[k] = t;
                if (k == 0)
                    break;
                k--;
            }
        }
        if (want <= k)
            high = k;
        else if (want >= i)
            low = i;
        else
            break;
    }
    return x[want];
}

/* Each request goes to the server that is free first. */
static void run(struct queue *q, const struct service *s, int servers, double gap_ms)
{
    double now = 0;
    memset(q->free_ms, 0, (size_t)servers * sizeof *q->free_ms);
    for (size_t i = 0; i < QUEUE_REQUESTS; i++) {
        int first = 0;
        for (int k = 1; k < servers; k++)
            if (q->free_ms[k] < q->free_ms[first])
                first = k;
        now += q->gaps[i] * gap_ms;
        double start = fmax(now, q->free_ms[first]);
        double service = s->ms[(size_t)(q->choices[i] * (double)s->n)];
        q->free_ms[first] = start + service;
        q->wait_ms[i] = start - now;
        q->response_ms[i] = start + service - now;
    }
}

void queue_simulate(struct queue *q, const struct service *s, int servers, double per_s,
                    struct load_point *out)
{
    *out = (struct load_point){.per_s = per_s,
                               .utilisation = per_s * s->mean_ms / 1000 / servers};
    bool hopeless = !(out->utilisation < 1) || servers > MAX_SERVERS;
    if (!hopeless && per_s > 0)
        run(q, s, servers, 1000 / per_s);
    size_t n = QUEUE_REQUESTS - WARM_UP;
    for (int i = 0; i < QUEUE_PERCENTILES; i++)
        out->response_ms[i] =
            hopeless    ? INFINITY
            : per_s > 0 ? percentile_of(q->response_ms + WARM_UP, n, queue_percentiles[i])
                        : service_quantile(s, queue_percentiles[i]);
    if (hopeless)
        out->mean_wait_ms = out->wait_p99_ms = INFINITY;
    else if (per_s > 0) {
        out->mean_wait_ms = stat_mean(q->wait_ms + WARM_UP, n);
        out->wait_p99_ms = percentile_of(q->wait_ms + WARM_UP, n, .99);
    }
}

double queue_break_load(struct queue *q, const struct service *s, int percentile,
                        double limit_ms)
{
    double low = 0, high = 1000 / s->mean_ms;
    if (service_quantile(s, queue_percentiles[percentile]) > limit_ms)
        return 0;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        run(q, s, 1, 1000 / middle);
        if (percentile_of(q->response_ms + WARM_UP, QUEUE_REQUESTS - WARM_UP,
                          queue_percentiles[percentile]) <= limit_ms)
            low = middle;
        else
            high = middle;
    }
    return low;
}
