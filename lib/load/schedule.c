/* lib/load/schedule.c - see schedule.h. */
#include "lib/load/schedule.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

const char *const popularity_names[POPULARITY_COUNT] = {
#define X(name, number) #name,
    POPULARITIES(X)
#undef X
};

/* Gamma(shape, 1): Marsaglia and Tsang (2000); below 1 by Gamma(shape + 1) u^(1/shape). */
static double gamma_of(const struct philox_key *key, uint64_t i, double shape)
{
    const double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3, c = 1 / sqrt(9 * d);
    uint64_t at = 1;
    double x = 0;
    for (bool taken = false; !taken; at += 2) {
        const double z = rng_normal(key, i, at), u = rng_uniform(key, i, at + 1),
                     v = pow(1 + c * z, 3);
        taken = v > 0 && log(u) < z * z / 2 + d - d * v + d * log(v);
        x = d * v;
    }
    return shape < 1 ? x * pow(1 - rng_uniform(key, i, 0), 1 / shape) : x;
}

static size_t fan_out_of(const struct schedule_spec *s)
{
    return s->fan_out ? s->fan_out : 1;
}

static double gap_of(const struct schedule_spec *s, const struct philox_key *key,
                     uint64_t i)
{
    const double rate = s->rate / (double)fan_out_of(s);
    if (s->cv <= 0)
        return 1 / rate;
    if (s->cv == 1)
        return -log(1 - rng_uniform(key, i, 0)) / rate;
    const double shape = 1 / (s->cv * s->cv);
    return gamma_of(key, i, shape) / (shape * rate);
}

/* Sums of 1 / k^s. */
static double *zipf_sums(size_t n, double s)
{
    double *sum = xcalloc(n + 1, sizeof *sum);
    for (size_t k = 0; k < n; k++)
        sum[k + 1] = sum[k] + pow((double)k + 1, -s);
    return sum;
}

/* The last k with sum[k] <= x. */
static size_t place_in(const double *sum, size_t n, double x)
{
    size_t low = 0, high = n;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        *(sum[middle] <= x ? &low : &high) = middle;
    }
    return low;
}

static size_t adapter_of(const struct schedule_spec *s, const double *sums,
                         const struct philox_key *key, uint64_t i)
{
    const double u = rng_uniform(key, i, 0);
    const size_t n = s->adapters;
    size_t k = 0;
    switch (s->popularity) {
    case POPULARITY_round_robin:
        return (size_t)(i % n);
    case POPULARITY_zipf:
        return place_in(sums, n, u * sums[n]);
    case POPULARITY_hot:
        k = u < s->number || n == 1
                ? 0
                : 1 + (size_t)((u - s->number) / (1 - s->number) * (double)(n - 1));
        break;
    case POPULARITY_power:
        k = (size_t)((double)n * pow(u, 1 / s->number));
        break;
    case POPULARITY_uniform:
    case POPULARITY_COUNT:
        k = (size_t)(u * (double)n);
        break;
    }
    return k < n ? k : n - 1;
}

struct planned_request *schedule_draw(const struct schedule_spec *s, size_t *count)
{
    const struct philox_key gaps = rng_key(s->seed, "arrivals"),
                            who = rng_key(s->seed, "adapters"),
                            what = rng_key(s->seed, "texts");
    double *sums =
        s->popularity == POPULARITY_zipf ? zipf_sums(s->adapters, s->number) : NULL;
    struct planned_request *out = NULL;
    const size_t fan_out = fan_out_of(s);
    size_t n = 0, cap = 0;
    double at = gap_of(s, &gaps, 0);
    for (uint64_t burst = 0; at < s->duration_s; at += gap_of(s, &gaps, ++burst))
        for (size_t k = 0; k < fan_out; k++, n++) {
            out = xgrow(out, &cap, n + 1, sizeof *out);
            out[n] = (struct planned_request){
                .at_s = at,
                .adapter = (uint32_t)adapter_of(s, sums, &who, n),
                .text = (uint32_t)rng_below(&what, burst, 0, s->texts)};
        }
    free(sums);
    *count = n;
    return out;
}
