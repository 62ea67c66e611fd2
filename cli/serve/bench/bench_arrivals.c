/* cli/serve/bench/bench_arrivals.c - how requests come: see bench_file.h. */
#include "cli/serve/bench/bench_values.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>

enum { BURST_MOST = 1024 };

/* `each`: requests that one of what the rate counts has. */
static int read_rates(struct bench_file *b, const json_t *a, double each, struct err *err)
{
    int rc = bench_numbers(json_object_get(a, "rate"), "arrivals.rate", "auto", 1e6,
                           b->rates, &b->rate_count, &b->find_rate, err);
    for (size_t i = 0; i < b->rate_count && !rc; i++) {
        rc = b->rates[i] > 0 ? 0 : bench_wrong("arrivals.rate", "rates are above 0", err);
        b->rates[i] *= each;
    }
    return rc;
}

static int read_open(struct bench_file *b, const json_t *a, struct err *err)
{
    static const struct {
        const char *name;
        double cv;
    } kinds[] = {{"poisson", 1}, {"even", 0}, {"gamma", -1}};
    const char *name = json_get_str(a, "open", "");
    size_t k = 0;
    while (k < ARRAY_LEN(kinds) && !str_eq(kinds[k].name, name))
        k++;
    if (k == ARRAY_LEN(kinds))
        return bench_wrong("arrivals.open", "poisson, gamma or even", err);
    b->cv = kinds[k].cv < 0 ? json_get_num(a, "cv", NAN) : kinds[k].cv;
    if (kinds[k].cv >= 0 && json_object_get(a, "cv"))
        return bench_wrong("arrivals", "'cv' is read with gamma only", err);
    if (!(b->cv >= 0 && b->cv <= 20))
        return bench_wrong("arrivals", "gamma needs 'cv', at most 20", err);
    return read_rates(b, a, 1, err);
}

/* Bursts come as they like, at so many a second. */
static int read_burst(struct bench_file *b, const json_t *a, struct err *err)
{
    int64_t fan_out = 0;
    int rc = bench_check_keys(a, "arrivals.burst",
                              (const char *const[]){"fan_out", "rate", NULL}, err);
    if (!rc)
        rc = bench_integer_at(a, "fan_out", 1, BURST_MOST, &fan_out, err);
    if (!rc && !fan_out)
        rc = bench_wrong("arrivals.burst",
                         "it needs 'fan_out', requests at the same moment", err);
    b->cv = 1;
    b->fan_out = (size_t)fan_out;
    return rc ? rc : read_rates(b, a, (double)fan_out, err);
}

int bench_arrivals(struct bench_file *b, struct err *err)
{
    const json_t *a = json_object_get(b->root, "arrivals");
    double clients[BENCH_LIST_MOST];
    if (!a)
        return bench_wrong("arrivals", "they are missing: {open: poisson, rate: [5, 10]}",
                           err);
    int rc = bench_check_keys(
        a, "arrivals",
        (const char *const[]){"open", "rate", "cv", "closed", "trace", "burst", NULL},
        err);
    b->trace = json_get_str(a, "trace", NULL);
    if (!rc && b->trace)
        return json_object_size(a) == 1
                   ? 0
                   : bench_wrong("arrivals", "a trace says all there is to say", err);
    if (rc || json_object_get(a, "open"))
        return rc ? rc : read_open(b, a, err);
    const json_t *burst = json_object_get(a, "burst");
    if (burst)
        return json_object_size(a) == 1
                   ? read_burst(b, burst, err)
                   : bench_wrong("arrivals", "a burst says all there is to say", err);
    rc = bench_numbers(json_object_get(a, "closed"), "arrivals.closed", NULL, 4096,
                       clients, &b->client_count, NULL, err);
    for (size_t i = 0; i < b->client_count && !rc; i++)
        if ((b->clients[i] = (size_t)clients[i]) == 0)
            rc = bench_wrong("arrivals.closed", "at least one client", err);
    return rc;
}
