/* report/sections/tasks/chapter.c - several tasks on one base or on several: what each
 * reaches where, which may share, ways to serve them, what breaks first. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/page/words.h"
#include "report/sections/service_levels.h"
#include "report/sections/tasks/tasks_parts.h"
#include <math.h>
#include <stdlib.h>

/* ---- numbers ---- */

static json_t *fit_json(const struct report *r, const struct tasks *t, size_t task,
                        size_t base)
{
    const struct task_fit *f = &tasks_at(t, task, base)->shared;
    json_t *o = json_pack("{s:s}", "base", t->bases[base].name);
    if (!f->cell) {
        json_object_set_new(o, "word", json_string("not tried"));
        return o;
    }
    json_object_set_new(o, "configuration", json_string(cell_name(r, f->cell)));
    json_object_set_new(o, "seeds", json_integer((json_int_t)f->cell->count));
    json_object_set_new(
        o, "trial",
        json_integer((json_int_t)task_trial(r, &t->sla->tasks[task], f->cell)->id));
    put_number(o, "measured", f->quality.measured);
    put_number(o, "lower", f->quality.lower);
    put_number(o, "upper", f->quality.upper);
    put_number(o, "margin", isnan(f->quality.limit) ? NAN : f->quality.margin);
    json_object_set_new(o, "word", json_string(sla_words[task_word(f)]));
    return o;
}

static json_t *task_json(const struct report *r, const struct tasks *t, size_t task)
{
    const struct sla_task *s = &t->sla->tasks[task];
    json_t *bases = json_array();
    for (size_t b = 0; b < t->base_count; b++)
        json_array_append_new(bases, fit_json(r, t, task, b));
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:f, s:o}", "task", s->name, "data", s->data, "metric",
                  task_metric(r, s), "requests_per_s", s->requests_per_s, "bases", bases);
    put_number(o, "quality_floor", sla_task_number(t->sla, s, "quality_floor"));
    return o;
}

static json_t *latency_json(const struct tasks *t, const struct task_service *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->count; i++) {
        json_t *o = json_pack("{s:s}", "task", t->sla->tasks[s->tasks[i].task].name);
        put_number(o, "peak_requests_per_s", s->tasks[i].peak_per_s);
        for (int p = 0; p < QUEUE_PERCENTILES; p++) {
            const struct sla_check *c = &s->tasks[i].latency[p];
            put_number(o, word_f("%s_ms", c->title), c->measured);
            if (isnan(c->limit))
                continue;
            put_number(o, word_f("%s_limit_ms", c->title), c->limit);
            json_object_set_new(o, word_f("%s_word", c->title),
                                json_string(sla_words[c->word]));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *service_json(const struct tasks *t, const struct task_service *s)
{
    json_t *o = json_pack("{s:s, s:b, s:s, s:o}", "base", t->bases[s->base].name,
                          "merged", s->merged, "evidence",
                          s->measured ? "measured"
                          : s->known  ? "predicted"
                                      : "unknown",
                          "tasks", latency_json(t, s));
    if (s->measured)
        json_object_set_new(o, "bench", json_integer((json_int_t)s->bench));
    put_number(o, "error", s->known ? s->error : NAN);
    put_number(o, "replicas", s->replicas);
    put_number(o, "peak_per_s", s->peak_per_s);
    put_number(o, "capacity_per_s", s->capacity_per_s);
    put_number(o, "predicted_capacity_per_s", s->predicted_per_s);
    put_number(o, "memory_bytes", s->memory_bytes);
    return o;
}

static json_t *plan_json(const struct task_plans *p, const struct task_plan *plan)
{
    json_t *services = json_array();
    for (size_t i = 0; i < plan->count; i++)
        json_array_append_new(services, service_json(&p->tasks, &plan->services[i]));
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "plan", task_plan_name(p, plan),
                  "overall", sla_words[plan->overall], "quality",
                  sla_words[plan->quality], "latency", sla_words[plan->latency], "kind",
                  plan->measured ? "measured" : "predicted", "services", services);
    put_number(o, "replicas", plan->replicas);
    put_number(o, "usd_per_month", plan->usd_per_month);
    put_number(o, "memory_bytes", plan->memory_bytes);
    put_number(o, "availability", plan->availability.measured);
    if (plan->first) {
        json_object_set_new(o, "first_to_break", json_string(first_to_break(p, plan)));
        put_number(o, "first_at_times_the_peak", plan->first_factor);
    }
    return o;
}

static json_t *numbers(struct report *r)
{
    const struct task_plans *p = r->task_plans;
    json_t *o = json_object(), *tasks = json_array(), *plans = json_array();
    if (!p)
        json_object_set_new(o, "empty", json_true());
    for (size_t i = 0; p && i < p->tasks.count; i++)
        json_array_append_new(tasks, task_json(r, &p->tasks, i));
    for (size_t i = 0; p && i < p->count; i++)
        json_array_append_new(plans, plan_json(p, &p->plans[i]));
    json_object_set_new(o, "tasks", tasks);
    json_object_set_new(o, "plans", plans);
    if (p) {
        json_object_set_new(o, "surface", surface_json(r, &p->tasks));
        tasks_takeaways(r, p, o);
    }
    return o;
}

/* ---- page ---- */

static void write_tasks(const struct report *r, const struct tasks *t, struct html *h)
{
    const double delta = r->settings.rules.delta;
    html_table_open(
        h, NULL, "What each task reaches on each base",
        "Task|Base|Configuration|Verdict|>Measured|>95 % bound|>Floor|>Seeds");
    for (size_t i = 0; i < t->count; i++)
        for (size_t b = 0; b < t->base_count; b++) {
            const struct task_fit *f = &tasks_at(t, i, b)->shared;
            if (!f->cell)
                continue;
            html_row(h);
            html_head_cell(h, "%s", t->sla->tasks[i].name);
            html_cell(h, "%s", t->bases[b].name);
            html_cell(h, "%s", cell_name(r, f->cell));
            write_sla_word(h, task_word(f));
            html_number(h, "%s", word_score(f->quality.measured, delta));
            html_number(h, "%s",
                        word_score(f->quality.more_is_better ? f->quality.lower
                                                             : f->quality.upper,
                                   delta));
            html_number(h, "%s", word_score(f->quality.limit, delta));
            html_number(h, "%zu", f->cell->count);
        }
    html_table_close(h);
}

static void write_plans(const struct task_plans *p, struct html *h)
{
    html_table_open(
        h, NULL, "Ways to serve them",
        "Way|Verdict|>Replicas|>USD per month|>Largest replica|Quality|Latency|"
        "First to break|>at times the peak|Service times");
    for (size_t i = 0; i < p->count; i++) {
        const struct task_plan *plan = &p->plans[i];
        html_row(h);
        html_head_cell(h, "%s", task_plan_name(p, plan));
        write_sla_word(h, plan->overall);
        write_sla_figure(h, !plan->measured,
                         isnan(plan->replicas) ? "–" : word_f("%.0f", plan->replicas));
        write_sla_figure(h, !plan->measured, word_usd(plan->usd_per_month));
        html_number(h, "%s", word_bytes(plan->largest_bytes));
        write_sla_word(h, plan->quality);
        write_sla_word(h, plan->latency);
        html_cell(h, "%s", first_to_break(p, plan));
        write_sla_figure(h, !plan->measured,
                         plan->first ? word_f("%.2f", plan->first_factor) : "–");
        html_cell(h, "%s", plan_evidence(plan));
    }
    html_table_close(h);
}

static void write_responses(const struct task_plans *p, const struct task_plan *plan,
                            struct html *h)
{
    const struct tasks *t = &p->tasks;
    html_table_open(h, NULL,
                    word_f("Response times at the peak: %s", task_plan_name(p, plan)),
                    "Task|Base|>Requests per s|>p50|>Limit|>p99|>Limit|Verdict");
    for (size_t i = 0; i < plan->count; i++)
        for (size_t k = 0; k < plan->services[i].count; k++) {
            const struct task_service *s = &plan->services[i];
            const struct sla_check *c = s->tasks[k].latency;
            enum sla_word worst = SLA_MEETS;
            html_row(h);
            html_head_cell(h, "%s", t->sla->tasks[s->tasks[k].task].name);
            html_cell(h, "%s", t->bases[s->base].name);
            html_number(h, "%.3g", s->tasks[k].peak_per_s);
            for (int q = 0; q < QUEUE_PERCENTILES; q++) {
                if (!isnan(c[q].limit) && c[q].word > worst)
                    worst = c[q].word;
                if (q == QUEUE_P95)
                    continue;
                write_sla_figure(h, !s->measured,
                                 word_f("%s ms", word_ms(c[q].measured)));
                html_number(h, "%s",
                            isnan(c[q].limit) ? "–"
                                              : word_f("%s ms", word_ms(c[q].limit)));
            }
            write_sla_word(h, worst);
        }
    html_table_close(h);
}

/* Only where a bench measured something. */
static void write_capacities(const struct task_plans *p, struct html *h)
{
    bool any = false;
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < p->plans[i].count; k++)
            any |= p->plans[i].services[k].measured;
    if (!any)
        return;
    html_fold_open(
        h, "What a replica carries within the limits: by a bench, and as predicted");
    html_table_open(h, NULL, "Requests per s of a replica within the limits",
                    "Way|Tasks|>By a bench|>By single requests|>Predicted over measured");
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < p->plans[i].count; k++) {
            const struct task_service *s = &p->plans[i].services[k];
            bool *mine = xcalloc(p->tasks.count + 1, sizeof *mine);
            for (size_t t = 0; t < s->count; t++)
                mine[s->tasks[t].task] = true;
            html_row(h);
            html_head_cell(h, "%s", task_plan_name(p, &p->plans[i]));
            html_cell(h, "%s", task_names(&p->tasks, mine));
            html_number(h, "%s", s->measured ? word_f("%.3g", s->capacity_per_s) : "–");
            write_sla_figure(
                h, true,
                isnan(s->predicted_per_s) ? "–" : word_f("%.3g", s->predicted_per_s));
            html_number(h, "%s",
                        s->measured && s->capacity_per_s > 0
                            ? word_f("%.2f", s->predicted_per_s / s->capacity_per_s)
                            : "–");
            free(mine);
        }
    html_table_close(h);
    html_fold_close(h);
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    const struct task_plans *p = r->task_plans;
    if (!p)
        return;
    write_tasks(r, &p->tasks, h);
    if (p->count) {
        write_plans(p, h);
        write_responses(p, &p->plans[0], h);
        write_capacities(p, h);
    }
    write_surface(json_object_get(n, "surface"), h);
    html_el(
        h, "p", "note",
        "A task may share a base on which its worse 95 %% bound over seeds keeps its "
        "floor. Response times: event simulation of a replica, Poisson arrivals, %d "
        "requests, seed %d, its batches drawn from those that a bench measured; without "
        "a bench of the base from single requests of the trials, one after the other, "
        "which is a prediction. Memory of a replica: weights and adapters.",
        REPLICA_REQUESTS, QUEUE_SEED);
}

const struct section section_tasks = {"tasks", "Tasks on a common base", numbers, write};
