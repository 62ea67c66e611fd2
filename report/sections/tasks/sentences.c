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

/* Which tasks a base is good enough for. */
static void sharing(const struct task_plans *p, size_t base, json_t *numbers)
{
    const struct tasks *t = &p->tasks;
    bool *may = xcalloc(t->count + 1, sizeof *may), *not = xcalloc(t->count + 1, 1);
    bool *untold = xcalloc(t->count + 1, sizeof *untold);
    size_t good = 0, bad = 0, open = 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct task_fit *f = &tasks_at(t, i, base)->shared;
        const enum sla_word w = task_word(f);
        may[i] = w == SLA_MEETS;
        not [i] = w == SLA_BREAKS && f->cell;
        untold[i] = w == SLA_AT_RISK || w == SLA_UNKNOWN;
        good += may[i];
        bad += not [i];
        open += untold[i];
    }
    add_takeaway(numbers, "%s is good enough for %zu of %s%s%s%s%s%s%s.",
                 t->bases[base].name, good, word_plural(t->count, "task"),
                 good ? ", which may share it: " : "", good ? task_names(t, may) : "",
                 bad ? "; below their floor there: " : "", bad ? task_names(t, not ) : "",
                 open ? "; cannot tell for " : "", open ? task_names(t, untold) : "");
    free(may);
    free(not );
    free(untold);
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
                 other ? plan_price(p, other) : "", service_evidence(&best->services[0]));
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
}
