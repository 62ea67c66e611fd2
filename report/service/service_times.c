/* report/service/service_times.c - see service_times.h. */
#include "report/service/service_times.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "report/cost/cost.h"
#include "tracker/view/served.h"
#include <math.h>
#include <stdlib.h>

/* As `peftlab serve` has them where a bench file says nothing. */
enum { BATCH_ROWS = 32, BATCH_TOKENS = 2048 };

/* ---- measured ---- */

/* The largest error of the bench's simulated p99 at points that a service would run at. */
static double model_error(const struct served *b)
{
    double most = NAN;
    for (size_t i = 0; i < b->point_count; i++) {
        const struct bench_point *p = &b->points[i];
        const double error = fabs(p->simulated_p99_ms / p->p99_ms - 1);
        if (isfinite(error) && p->share <= .9 && !p->generator_late)
            most = fmax(isnan(most) ? 0 : most, error);
    }
    return isnan(most) ? TASK_MODEL_ERROR : most;
}

/* Of the wanted kind that whose number of adapters is nearest; NULL: none was fitted. */
static const struct bench_setting *nearest_setting(const struct served *b, bool merged,
                                                   size_t adapters)
{
    const struct bench_setting *best = NULL;
    for (size_t i = 0; i < b->setting_count; i++) {
        const struct bench_setting *x = &b->settings[i];
        const double far = fabs(log((double)x->adapters / (double)adapters));
        if (x->kind != (merged ? BENCH_merged : BENCH_adapters) || !x->batches)
            continue;
        if (!best || far < fabs(log((double)best->adapters / (double)adapters)))
            best = x;
    }
    return best;
}

static void take_bench(const struct report *r, const struct served *b,
                       const struct bench_setting *x, struct service_times *out)
{
    size_t n = 0;
    if (served_batches(r->store, b, x->number, &out->seen, &n, NULL) != 0)
        n = 0;
    const json_t *batch = json_object_get(b->file, "batch");
    out->bench = b->id;
    out->error = model_error(b);
    out->replica = (struct replica){
        .measured = true,
        .server = {.times = served_times(x),
                   .seen = n >= SERVED_DRAW_LEAST ? out->seen : NULL,
                   .seen_count = n >= SERVED_DRAW_LEAST ? n : 0,
                   .max_rows = (int32_t)json_get_int(batch, "max_rows", BATCH_ROWS),
                   .max_tokens = (int32_t)json_get_int(batch, "max_tokens", BATCH_TOKENS),
                   .seed = QUEUE_SEED}};
}

/* The newest bench of the base that has such a setting. */
static bool find_bench(const struct report *r, const struct tasks *t,
                       const struct task_service *s, struct service_times *out)
{
    struct served_list l;
    bool found = false;
    if (served_read(r->store, t->bases[s->base].name, &l, NULL) != 0)
        return false;
    for (size_t i = 0; i < l.count && !found; i++) {
        const struct bench_setting *x =
            nearest_setting(&l.benches[i], s->merged, s->count);
        if ((found = x != NULL))
            take_bench(r, &l.benches[i], x, out);
    }
    served_release(&l);
    return found;
}

/* ---- predicted ---- */

static void add_requests(const struct report *r, const struct tasks *t,
                         const struct task_service *s, const struct service_task *task,
                         struct service_times *out, size_t *cap)
{
    struct serving x;
    const double tokens = task_tokens(&t->sla->tasks[task->task], task->fit->cell);
    /* What has nothing to merge was measured as it is. */
    if (!(s->merged && serving_measure(r, task->fit->cell, true, &x)) &&
        !serving_measure(r, task->fit->cell, false, &x))
        return;
    const size_t n = out->replica.server.seen_count + x.service.n;
    out->seen = xgrow(out->seen, cap, n, sizeof *out->seen);
    for (size_t i = 0; i < x.service.n; i++)
        out->seen[out->replica.server.seen_count++] =
            (struct batch_seen){.rows = 1,
                                .tokens = tokens >= 1 ? (int32_t)lround(tokens) : 1,
                                .adapters = !s->merged,
                                .seconds = x.service.ms[i] / 1000};
    serving_release(&x);
}

bool service_times_predict(const struct report *r, const struct tasks *t,
                           const struct task_service *s, struct service_times *out)
{
    size_t cap = 0;
    *out = (struct service_times){0};
    struct simulated_server *server = &out->replica.server;
    *server = (struct simulated_server){.max_rows = 1, .seed = QUEUE_SEED};
    for (size_t i = 0; i < s->count; i++)
        add_requests(r, t, s, &s->tasks[i], out, &cap);
    server->seen = out->seen;
    batch_times_fit(out->seen, server->seen_count, &server->times);
    out->error = TASK_MODEL_ERROR;
    return server->seen_count > 0;
}

bool service_times_find(const struct report *r, const struct tasks *t,
                        const struct task_service *s, struct service_times *out)
{
    *out = (struct service_times){0};
    return find_bench(r, t, s, out) || service_times_predict(r, t, s, out);
}

void service_times_release(struct service_times *x)
{
    free(x->seen);
    *x = (struct service_times){0};
}
