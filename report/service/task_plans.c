/* report/service/task_plans.c - see task_plans.h. */
#include "report/service/task_plans.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/page/words.h"
#include "report/service/service_times.h"
#include "report/service/sla_parts.h"
#include <math.h>
#include <stdlib.h>

enum { SPARE_MOST = 8 }; /* replicas for availability, of a small service */

const char *const plan_kind_names[PLAN_KINDS] = {"one shared base", "several bases",
                                                 "merged, a model per task"};

static const char *const latency_keys[QUEUE_PERCENTILES] = {
    "latency_p50_ms", "latency_p95_ms", "latency_p99_ms"};
static const char *const latency_titles[QUEUE_PERCENTILES] = {"p50", "p95", "p99"};

static struct sla_check check_of(const struct sla *s, const char *key, const char *title,
                                 const char *unit)
{
    return (struct sla_check){.key = key,
                              .title = title,
                              .unit = unit,
                              .limit = sla_number(s, key),
                              .measured = NAN,
                              .lower = NAN,
                              .upper = NAN,
                              .margin = NAN,
                              .break_per_s = NAN,
                              .break_low_per_s = NAN};
}

static void take_word(enum sla_word *w, const struct sla_check *c)
{
    if (!isnan(c->limit) && c->word > *w)
        *w = c->word;
}

/* ---- one service ---- */

static struct replica_task *mix_of(const struct tasks *t, const struct task_service *s)
{
    struct replica_task *mix = xcalloc(s->count + 1, sizeof *mix);
    for (size_t i = 0; i < s->count; i++) {
        const struct sla_task *task = &t->sla->tasks[s->tasks[i].task];
        const double tokens = task_tokens(task, s->tasks[i].fit->cell);
        mix[i] =
            (struct replica_task){.per_s = s->tasks[i].peak_per_s,
                                  .tokens = tokens >= 1 ? (int32_t)lround(tokens) : 1};
        for (int p = 0; p < QUEUE_PERCENTILES; p++)
            mix[i].limit_ms[p] = sla_task_number(t->sla, task, latency_keys[p]);
    }
    return mix;
}

static void judge_latency(struct task_service *s, const struct service_times *x,
                          const struct replica_task *mix)
{
    struct replica_answer a = {.response_ms =
                                   xcalloc(s->count + 1, sizeof *a.response_ms)};
    replica_simulate(&x->replica, mix, s->count, s->peak_per_s / s->replicas, &a);
    for (size_t i = 0; i < s->count; i++)
        for (int p = 0; p < QUEUE_PERCENTILES; p++) {
            struct sla_check *c = &s->tasks[i].latency[p];
            c->measured = a.utilisation < 1 ? a.response_ms[i][p] : INFINITY;
            c->lower = c->measured * (1 - x->error);
            c->upper = c->measured * (1 + x->error);
            c->predicted = !x->replica.measured;
            if (!isnan(c->limit))
                sla_decide(c);
        }
    free(a.response_ms);
}

static double memory_of(const struct tasks *t, const struct task_service *s)
{
    double bytes = t->bases[s->base].weight_bytes;
    for (size_t i = 0; i < s->count && !s->merged; i++) {
        const double own = cell_spread(s->tasks[i].fit->cell, "size/adapter_bytes").mean;
        bytes += isnan(own) ? 0 : own;
    }
    return bytes;
}

/* The peak's, and those that the asked availability needs beside them; a service has its
 * part of what a plan may be down. */
static double replicas_of(const struct tasks *t, const struct task_service *s,
                          double load, size_t services)
{
    const double one = sla_number(t->sla, "replica_availability"),
                 all = pow(sla_number(t->sla, "availability"), 1 / (double)services);
    const size_t need = fleet_replicas(s->peak_per_s, load, 1);
    size_t n =
        fleet_replicas(s->peak_per_s, load, (size_t)sla_number(t->sla, "replicas_min"));
    while (one > 0 && n < 2 * need + SPARE_MOST && availability(n, need, one) < all)
        n++;
    return (double)n;
}

/* What would have been said without the bench: to stand beside it. */
static double predicted_capacity(const struct report *r, const struct tasks *t,
                                 const struct task_service *s,
                                 const struct replica_task *mix)
{
    struct service_times x;
    size_t task;
    int percentile;
    const double load =
        service_times_predict(r, t, s, &x)
            ? replica_capacity(&x.replica, mix, s->count, &task, &percentile)
            : NAN;
    service_times_release(&x);
    return load;
}

static void size_service(const struct report *r, const struct tasks *t, size_t services,
                         struct task_service *s)
{
    struct service_times x;
    s->memory_bytes = memory_of(t, s);
    s->usd_per_hour = replica_usd_per_hour(r, s->tasks[0].fit->cell);
    s->replicas = s->capacity_per_s = s->predicted_per_s = NAN;
    s->first = s->count;
    if (!(s->known = service_times_find(r, t, s, &x)))
        return;
    struct replica_task *mix = mix_of(t, s);
    s->measured = x.replica.measured;
    s->bench = x.bench;
    s->error = x.error;
    s->capacity_per_s =
        replica_capacity(&x.replica, mix, s->count, &s->first, &s->first_percentile);
    /* Where not even an idle replica keeps the limits more of them do not help. */
    const double load = s->capacity_per_s > 0
                            ? s->capacity_per_s
                            : .7 * replica_most_per_s(&x.replica, mix, s->count);
    s->replicas = replicas_of(t, s, load, services);
    judge_latency(s, &x, mix);
    s->predicted_per_s =
        s->measured ? predicted_capacity(r, t, s, mix) : s->capacity_per_s;
    free(mix);
    service_times_release(&x);
}

static struct task_service *add_service(struct task_plan *p, size_t base, bool merged)
{
    struct task_service *s = &p->services[p->count++];
    *s = (struct task_service){.base = base, .merged = merged};
    return s;
}

static void add_task(const struct tasks *t, struct task_service *s, size_t task)
{
    const struct task_option *o = tasks_at(t, task, s->base);
    const double peak =
        t->sla->tasks[task].requests_per_s * t->sla->peak_per_s / t->sla->mean_per_s;
    s->tasks = xrealloc(s->tasks, (s->count + 1) * sizeof *s->tasks);
    struct service_task *x = &s->tasks[s->count++];
    *x = (struct service_task){
        .task = task, .fit = s->merged ? &o->own : &o->shared, .peak_per_s = peak};
    for (int k = 0; k < QUEUE_PERCENTILES; k++) {
        x->latency[k] = check_of(t->sla, latency_keys[k], latency_titles[k], "ms");
        x->latency[k].limit =
            sla_task_number(t->sla, &t->sla->tasks[task], latency_keys[k]);
    }
    s->peak_per_s += peak;
}

/* ---- what a plan is held against ---- */

static void judge_memory(const struct tasks *t, struct task_plan *p)
{
    p->memory = check_of(t->sla, "replica_memory_mib", "memory of a replica", "MiB");
    p->memory.measured = p->memory.lower = p->memory.upper = p->largest_bytes / (1 << 20);
    if (!isnan(p->memory.limit))
        sla_decide(&p->memory);
}

static void judge_availability(const struct tasks *t, struct task_plan *p)
{
    const double one = sla_number(t->sla, "replica_availability");
    double all = 1;
    p->availability = check_of(t->sla, "availability", "availability", "");
    p->availability.more_is_better = true;
    p->availability.ceiling = 1;
    for (size_t i = 0; i < p->count; i++) {
        const struct task_service *s = &p->services[i];
        all *=
            s->capacity_per_s > 0
                ? availability((size_t)s->replicas,
                               fleet_replicas(s->peak_per_s, s->capacity_per_s, 1), one)
                : NAN;
    }
    p->availability.measured = p->availability.lower = p->availability.upper = all;
    p->availability.predicted = !p->measured;
    if (!isnan(p->availability.limit))
        sla_decide(&p->availability);
}

static void judge_price(const struct tasks *t, struct task_plan *p)
{
    p->price = check_of(t->sla, "budget_usd_per_month", "price", "USD");
    p->price.measured = p->price.lower = p->price.upper = p->usd_per_month;
    p->price.predicted = !p->measured;
    if (!isnan(p->price.limit))
        sla_decide(&p->price);
}

static void find_first(struct task_plan *p)
{
    p->first_factor = INFINITY;
    for (size_t i = 0; i < p->count; i++) {
        const struct task_service *s = &p->services[i];
        const double factor = s->replicas * s->capacity_per_s / s->peak_per_s;
        if (factor < p->first_factor) {
            p->first_factor = factor;
            p->first = s;
        }
    }
}

static void judge_plan(const struct report *r, const struct tasks *t, struct task_plan *p)
{
    p->measured = true;
    for (size_t i = 0; i < p->count; i++) {
        struct task_service *s = &p->services[i];
        size_service(r, t, p->count, s);
        p->measured &= s->measured;
        p->replicas += s->replicas;
        p->usd_per_month += s->replicas * s->usd_per_hour * HOURS_PER_MONTH;
        p->memory_bytes += s->replicas * s->memory_bytes;
        p->largest_bytes = fmax(p->largest_bytes, s->memory_bytes);
        for (size_t k = 0; k < s->count; k++) {
            const enum sla_word q = task_word(s->tasks[k].fit);
            p->quality = q > p->quality ? q : p->quality;
            for (int c = 0; c < QUEUE_PERCENTILES; c++) {
                if (!s->known)
                    s->tasks[k].latency[c].word = SLA_UNKNOWN;
                take_word(&p->latency, &s->tasks[k].latency[c]);
            }
        }
    }
    judge_memory(t, p);
    judge_availability(t, p);
    judge_price(t, p);
    find_first(p);
    p->overall = p->quality > p->latency ? p->quality : p->latency;
    take_word(&p->overall, &p->memory);
    take_word(&p->overall, &p->availability);
    take_word(&p->overall, &p->price);
}

/* ---- all plans ---- */

/* Whether every task was tried on a base, with a model of its own or beside the others. */
static bool has_all(const struct tasks *t, size_t base, bool own)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct task_option *o = tasks_at(t, i, base);
        if (!(own ? o->own.cell : o->shared.cell))
            return false;
    }
    return t->count > 0;
}

static struct task_plan *add_plan(struct task_plans *ps, enum plan_kind kind)
{
    struct task_plan *p = &ps->plans[ps->count++];
    *p = (struct task_plan){
        .kind = kind, .services = xcalloc(ps->tasks.count + 1, sizeof *p->services)};
    return p;
}

static void plan_on_base(struct task_plans *ps, size_t base, bool merged)
{
    struct task_plan *p = add_plan(ps, merged ? PLAN_MERGED : PLAN_SHARED);
    for (size_t i = 0; i < ps->tasks.count; i++) {
        if (merged || i == 0)
            add_service(p, base, merged);
        add_task(&ps->tasks, &p->services[p->count - 1], i);
    }
}

/* Each task where it stands best; nothing where that is one base for all, or none. */
static void plan_on_several(const struct report *r, struct task_plans *ps)
{
    const struct tasks *t = &ps->tasks;
    size_t *best = xcalloc(t->count + 1, sizeof *best);
    bool differ = false, all = true;
    for (size_t i = 0; i < t->count; i++) {
        best[i] = task_best_base(r, t, i);
        all &= best[i] < t->base_count;
        differ |= best[i] != best[0];
    }
    struct task_plan *p = all && differ ? add_plan(ps, PLAN_SEVERAL) : NULL;
    for (size_t b = 0; p && b < t->base_count; b++) {
        struct task_service *s = NULL;
        for (size_t i = 0; i < t->count; i++) {
            if (best[i] != b)
                continue;
            s = s ? s : add_service(p, b, false);
            add_task(t, s, i);
        }
    }
    free(best);
}

static int by_word_and_price(const void *x, const void *y)
{
    const struct task_plan *a = x, *b = y;
    if (a->overall != b->overall)
        return a->overall < b->overall ? -1 : 1;
    if (a->usd_per_month != b->usd_per_month)
        return a->usd_per_month < b->usd_per_month || isnan(b->usd_per_month) ? -1 : 1;
    return a->kind < b->kind ? -1 : a->kind > b->kind;
}

int task_plans_make(const struct report *r, struct task_plans *out, struct err *err)
{
    *out = (struct task_plans){0};
    tasks_find(r, &out->tasks);
    const struct tasks *t = &out->tasks;
    if (t->count && !t->base_count)
        return err_set(
            err, ERR_CONFIG,
            "SLA file: no trial of %s has a training file that ends in '%.100s'",
            r->data.title, t->sla->tasks[0].data);
    const char *serve = t->count ? sla_text(t->sla, "serve") : "";
    const bool may_merge = !sla_flag(t->sla, "base_untouched");
    out->plans = xcalloc(2 * t->base_count + 2, sizeof *out->plans);
    for (size_t b = 0; b < t->base_count; b++) {
        if (!str_eq(serve, "merged") && has_all(t, b, false))
            plan_on_base(out, b, false);
        if (!str_eq(serve, "unmerged") && may_merge && has_all(t, b, true))
            plan_on_base(out, b, true);
    }
    if (t->count && !str_eq(serve, "merged"))
        plan_on_several(r, out);
    for (size_t i = 0; i < out->count; i++)
        judge_plan(r, t, &out->plans[i]);
    qsort(out->plans, out->count, sizeof *out->plans, by_word_and_price);
    return 0;
}

void task_plans_release(struct task_plans *p)
{
    for (size_t i = 0; i < p->count; i++) {
        for (size_t k = 0; k < p->plans[i].count; k++)
            free(p->plans[i].services[k].tasks);
        free(p->plans[i].services);
    }
    free(p->plans);
    tasks_release(&p->tasks);
    *p = (struct task_plans){0};
}

const char *task_plan_name(const struct task_plans *p, const struct task_plan *plan)
{
    return plan->kind == PLAN_SEVERAL
               ? plan_kind_names[plan->kind]
               : word_f("%s, %s", plan_kind_names[plan->kind],
                        p->tasks.bases[plan->services[0].base].name);
}

const struct task_plan *task_plans_shared(const struct task_plans *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->plans[i].kind != PLAN_MERGED)
            return &p->plans[i];
    return NULL;
}
