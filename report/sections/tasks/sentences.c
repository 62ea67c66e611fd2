/* report/sections/tasks/sentences.c - what the chapter on tasks says in words. */
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/page/words.h"
#include "report/sections/tasks/tasks_parts.h"
#include <math.h>
#include <stdlib.h>

const char *task_names(const struct tasks *t, const bool *marked)
{
    size_t left = 0, said = 0;
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < t->count; i++)
        left += marked[i];
    for (size_t i = 0; i < t->count; i++) {
        if (!marked[i])
            continue;
        left--;
        buf_printf(&out, "%s%s",
                   said == 0   ? ""
                   : left == 0 ? " and "
                               : ", ",
                   t->sla->tasks[i].name);
        said++;
    }
    const char *names = word_f("%s", said ? buf_str(&out) : "no task");
    buf_release(&out);
    return names;
}

const char *service_evidence(const struct task_service *s)
{
    return s->measured ? word_f("batches of bench %lld, within %.0f %%",
                                (long long)s->bench, 100 * s->error)
           : s->known  ? "single requests, one by one: predicted"
                       : "no latency was measured";
}

const char *first_to_break(const struct task_plans *p, const struct task_plan *plan)
{
    const struct task_service *s = plan->first;
    if (!s)
        return "";
    if (s->first == s->count)
        return word_f("throughput of %s", p->tasks.bases[s->base].name);
    return word_f("%s of %s", s->tasks[s->first].latency[s->first_percentile].title,
                  p->tasks.sla->tasks[s->tasks[s->first].task].name);
}

const char *plan_evidence(const struct task_plan *plan)
{
    for (size_t i = 1; i < plan->count; i++)
        if (plan->services[i].measured != plan->services[0].measured ||
            plan->services[i].known != plan->services[0].known)
            return "some by a bench, some by single requests: predicted";
    return service_evidence(&plan->services[0]);
}

/* Which tasks a base is good enough for. */
static void sharing(const struct task_plans *p, size_t base, json_t *numbers)
{
    static const char *const told[] = {
        ", which may share it: ", "; below their floor there: ", "; cannot tell for ",
        "; not tried for "};
    const struct tasks *t = &p->tasks;
    struct buf out = BUF_INIT;
    size_t good = 0;
    bool *marked = xcalloc(t->count + 1, sizeof *marked);
    for (size_t group = 0; group < ARRAY_LEN(told); group++) {
        size_t n = 0;
        for (size_t i = 0; i < t->count; i++) {
            const struct task_fit *f = &tasks_at(t, i, base)->shared;
            const enum sla_word w = task_word(f);
            marked[i] = group == (!f->cell          ? 3
                                  : w == SLA_MEETS  ? 0
                                  : w == SLA_BREAKS ? 1
                                                    : 2);
            n += marked[i];
        }
        good = group == 0 ? n : good;
        if (n)
            buf_printf(&out, "%s%s", told[group], task_names(t, marked));
    }
    add_takeaway(numbers, "%s is good enough for %zu of %s%s.", t->bases[base].name, good,
                 word_plural(t->count, "task"), buf_str(&out));
    buf_release(&out);
    free(marked);
}

static const struct task_plan *best_of(const struct task_plans *p, bool merged,
                                       const struct task_plan *but)
{
    for (size_t i = 0; i < p->count; i++)
        if ((p->plans[i].kind == PLAN_MERGED) == merged && &p->plans[i] != but)
            return &p->plans[i];
    return NULL;
}

static const char *plan_price(const struct task_plans *p, const struct task_plan *plan)
{
    return word_f("%s (%s, %s a month, %s)", task_plan_name(p, plan),
                  isnan(plan->replicas) ? "replicas not known"
                                        : word_plural((size_t)plan->replicas, "replica"),
                  word_usd(plan->usd_per_month), sla_words[plan->overall]);
}

static void choice(const struct task_plans *p, json_t *numbers)
{
    const struct task_plan *best = &p->plans[0],
                           *other = best_of(p, best->kind != PLAN_MERGED, NULL);
    if (other && best->overall == other->overall && isnan(other->usd_per_month))
        other = NULL;
    add_takeaway(numbers, "%s %s%s%s; by %s.",
                 best->overall == SLA_BREAKS  ? "No way of serving keeps everything; the "
                                                "nearest is"
                 : best->overall == SLA_MEETS ? "Take"
                                              : "Cannot tell whether everything is kept; "
                                                "the best way is",
                 plan_price(p, best), other ? ", against " : "",
                 other ? plan_price(p, other) : "", plan_evidence(best));
    const json_t *all = json_object_get(numbers, "takeaways");
    json_object_set(numbers, "choice", json_array_get(all, json_array_size(all) - 1));
}

static void limits(const struct task_plans *p, json_t *numbers)
{
    const struct task_plan *best = &p->plans[0];
    if (!best->first)
        return;
    if (best->first_factor <= 0)
        add_takeaway(numbers,
                     "No load is low enough for %s: it is beyond its limit on an "
                     "idle replica.",
                     first_to_break(p, best));
    else
        add_takeaway(numbers,
                     "The first to break as the load grows is %s, at %.2f times the "
                     "planned peak (%.3g requests per s on %s of that kind).",
                     first_to_break(p, best), best->first_factor,
                     best->first_factor * best->first->peak_per_s,
                     word_plural((size_t)best->first->replicas, "replica"));
}

/* How many more adapters a shared replica has room for. */
static void room(const struct task_plans *p, json_t *numbers)
{
    const struct task_plan *plan = task_plans_shared(p);
    const double limit = sla_number(p->tasks.sla, "replica_memory_mib") * (1 << 20);
    for (size_t i = 0; plan && i < plan->count; i++) {
        const struct task_service *s = &plan->services[i];
        const double weights = p->tasks.bases[s->base].weight_bytes,
                     each = (s->memory_bytes - weights) / (double)s->count;
        if (!isnan(limit) && each > 0)
            add_takeaway(
                numbers,
                "A replica of %s has room for %s adapters like these in %s (%s of "
                "weights, %s an adapter).",
                p->tasks.bases[s->base].name,
                limit > weights ? word_count(floor((limit - weights) / each)) : "no",
                word_bytes(limit), word_bytes(weights), word_bytes(each));
    }
}

void tasks_takeaways(const struct report *r, const struct task_plans *p, json_t *numbers)
{
    (void)r;
    for (size_t b = 0; b < p->tasks.base_count; b++)
        sharing(p, b, numbers);
    if (!p->count) {
        add_takeaway(numbers,
                     "No base was tried on every task, so there is no plan: train "
                     "the missing ones.");
        return;
    }
    choice(p, numbers);
    limits(p, numbers);
    room(p, numbers);
}
