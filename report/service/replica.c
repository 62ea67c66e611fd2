/* report/service/replica.c - see replica.h. */
#include "report/service/replica.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/stats/basic.h"
#include <math.h>
#include <stdlib.h>

#define UNLIMITED_LOAD 0.7 /* of the most, where no limit says less */

static double sum_per_s(const struct replica_task *tasks, size_t count)
{
    double all = 0;
    for (size_t t = 0; t < count; t++)
        all += tasks[t].per_s;
    return all;
}

/* The task at a place between 0 and 1 of the shares laid end to end. */
static uint32_t task_at(const struct replica_task *tasks, size_t count, double place)
{
    double left = place * sum_per_s(tasks, count);
    size_t t = 0;
    while (t + 1 < count && left >= tasks[t].per_s)
        left -= tasks[t++].per_s;
    return (uint32_t)t;
}

static struct planned_request *plan_of(const struct replica_task *tasks, size_t count,
                                       double per_s)
{
    struct philox_key key = rng_key(QUEUE_SEED, "replica");
    struct planned_request *plan = xcalloc(REPLICA_REQUESTS, sizeof *plan);
    double at = 0;
    for (uint64_t i = 0; i < REPLICA_REQUESTS; i++) {
        at -= log1p(-rng_uniform(&key, 0, i)) / per_s;
        const uint32_t task = task_at(tasks, count, rng_uniform(&key, 1, i));
        plan[i] = (struct planned_request){.at_s = at, .adapter = task, .text = task};
    }
    return plan;
}

static void percentiles_of(const struct load_record *records, uint32_t task, double *room,
                           double *out)
{
    size_t n = 0;
    for (size_t i = REPLICA_REQUESTS / 10; i < REPLICA_REQUESTS; i++)
        if (records[i].adapter == task)
            room[n++] = 1000 * (records[i].done_s - records[i].intended_s);
    for (int p = 0; p < QUEUE_PERCENTILES; p++)
        out[p] = n ? stat_quantile(room, n, queue_percentiles[p]) : NAN;
}

void replica_simulate(const struct replica *r, const struct replica_task *tasks,
                      size_t count, double per_s, struct replica_answer *out)
{
    struct planned_request *plan = plan_of(tasks, count, per_s);
    struct load_record *records = xcalloc(REPLICA_REQUESTS, sizeof *records);
    int32_t *tokens = xcalloc(count + 1, sizeof *tokens);
    double *room = xcalloc(REPLICA_REQUESTS, sizeof *room);
    for (size_t t = 0; t < count; t++)
        tokens[t] = tasks[t].tokens;
    load_simulate(&r->server, plan, REPLICA_REQUESTS, tokens, records);
    out->per_s = per_s;
    out->utilisation = per_s / replica_most_per_s(r, tasks, count);
    for (size_t t = 0; t < count; t++)
        percentiles_of(records, (uint32_t)t, room, out->response_ms[t]);
    free(room);
    free(tokens);
    free(records);
    free(plan);
}

double replica_most_per_s(const struct replica *r, const struct replica_task *tasks,
                          size_t count)
{
    const double all = sum_per_s(tasks, count);
    double tokens = 0;
    for (size_t t = 0; t < count; t++)
        tokens += tasks[t].per_s / all * tasks[t].tokens;
    double rows = r->server.max_rows;
    if (r->server.max_tokens > 0)
        rows = fmax(1, fmin(rows, floor(r->server.max_tokens / tokens)));
    const struct batch_seen full = {.rows = (int32_t)rows,
                                    .tokens = (int32_t)(rows * tokens),
                                    .adapters = (int32_t)fmin(rows, (double)count)};
    return rows / batch_times_of(&r->server.times, &full);
}

/* The limit that is broken by most; false: all are kept. */
static bool first_broken(const struct replica_task *tasks, size_t count,
                         const struct replica_answer *a, size_t *task, int *percentile)
{
    double most = 1;
    for (size_t t = 0; t < count; t++)
        for (int p = 0; p < QUEUE_PERCENTILES; p++) {
            const double share = a->response_ms[t][p] / tasks[t].limit_ms[p];
            if (share > most) {
                most = share;
                *task = t;
                *percentile = p;
            }
        }
    return most > 1;
}

static bool has_limits(const struct replica_task *tasks, size_t count)
{
    for (size_t t = 0; t < count; t++)
        for (int p = 0; p < QUEUE_PERCENTILES; p++)
            if (!isnan(tasks[t].limit_ms[p]))
                return true;
    return false;
}

double replica_capacity(const struct replica *r, const struct replica_task *tasks,
                        size_t count, size_t *task, int *percentile)
{
    const double most = replica_most_per_s(r, tasks, count);
    double low = most / 1000, high = most;
    struct replica_answer a = {.response_ms = xcalloc(count + 1, sizeof *a.response_ms)};
    *task = count;
    *percentile = 0;
    if (!has_limits(tasks, count)) {
        free(a.response_ms);
        return UNLIMITED_LOAD * most;
    }
    replica_simulate(r, tasks, count, low, &a);
    if (first_broken(tasks, count, &a, task, percentile))
        high = low = 0;
    while (high > low * 1.01) {
        const double middle = (low + high) / 2;
        replica_simulate(r, tasks, count, middle, &a);
        if (first_broken(tasks, count, &a, task, percentile))
            high = middle;
        else
            low = middle;
    }
    free(a.response_ms);
    return low;
}
