/* report/cost/serving.c - see cost.h: what one replica does, merged and unmerged. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include <math.h>
#include <stdlib.h>

static double mean_of(const struct report_cell *c, bool merged, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "latency/%s%s", merged ? "merged_" : "", name);
    return cell_spread(c, key).mean;
}

/* The requests themselves, of all trials of the cell, where the store has them. */
static bool recorded(const struct report *r, const struct report_cell *c, bool merged,
                     struct service *out)
{
    json_t *ids = json_array(), *row;
    size_t i, n = 0;
    for (i = 0; i < c->count; i++)
        json_array_append_new(ids, json_integer((json_int_t)c->trials[i]->id));
    json_t *rows = report_series(
        r->store, ids, merged ? "latency/merged_request_ms" : "latency/request_ms", NULL);
    double *ms = xcalloc(json_array_size(rows) + 1, sizeof *ms);
    json_array_foreach(rows, i, row)
    {
        double v = json_number_value(json_array_get(row, 2));
        if (v > 0 && isfinite(v))
            ms[n++] = v;
    }
    if (n)
        service_from_sample(out, ms, n);
    free(ms);
    json_decref(rows);
    json_decref(ids);
    return n > 0;
}

bool serving_measure(const struct report *r, const struct report_cell *c, bool merged,
                     struct serving *out)
{
    *out = (struct serving){.merged = merged,
                            .p50_ms = mean_of(c, merged, "p50_ms"),
                            .p95_ms = mean_of(c, merged, "p95_ms"),
                            .p99_ms = mean_of(c, merged, "p99_ms")};
    double requests = mean_of(c, merged, "requests");
    if (!(out->p50_ms > 0))
        return false;
    out->requests = requests >= 1 ? (size_t)requests : 1;
    out->spread_p50 = cell_spread(c, merged ? "latency/merged_p50_ms" : "latency/p50_ms");
    if (!recorded(r, c, merged, &out->service) &&
        !service_fit(&out->service, out->p50_ms, out->p95_ms, out->p99_ms,
                     mean_of(c, merged, "p99_high_ms"), out->requests))
        return false;
    out->per_s = 1000 / out->service.mean_ms;
    return true;
}

void serving_release(struct serving *s)
{
    service_release(&s->service);
}

bool adapter_share(const struct report_cell *c, struct adapter_share *out)
{
    double *share = xcalloc(c->count + 1, sizeof *share);
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        double v = trial_metric(c->trials[i], "latency/merged_p50_ms") /
                   trial_metric(c->trials[i], "latency/p50_ms");
        if (isfinite(v) && v > 0)
            share[n++] = v;
    }
    out->one = (struct spread){.mean = stat_mean(share, n),
                               .sd = stat_sd(share, n),
                               .ci = stat_t_interval(share, n, .95),
                               .n = n};
    free(share);
    double adapter = cell_spread(c, "size/adapter_bytes").mean,
           weights = 4 * cell_spread(c, "params/total").mean;
    out->many_low = 1 / (1 / out->one.mean + adapter / weights);
    return n > 0;
}
