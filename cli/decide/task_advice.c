/* cli/decide/task_advice.c - see task_advice.h. */
#include "cli/decide/task_advice.h"
#include "cli/command.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "report/page/words.h"
#include "report/sections/tasks/tasks_parts.h"
#include <math.h>

/* p99 at the peak and its limit; "–" where the plan does not say. */
static const char *response(const struct service_task *x)
{
    const struct sla_check *c = &x->latency[QUEUE_P99];
    return isnan(c->measured) ? "–"
           : isnan(c->limit)
               ? word_f("%s ms", word_ms(c->measured))
               : word_f("%s of %s ms", word_ms(c->measured), word_ms(c->limit));
}

static enum sla_word word_of(const struct service_task *x)
{
    enum sla_word w = task_word(x->fit);
    for (int p = 0; p < QUEUE_PERCENTILES; p++)
        if (!isnan(x->latency[p].limit) && x->latency[p].word > w)
            w = x->latency[p].word;
    return w;
}

static void print_tasks(const struct report *r, const struct task_plan *plan)
{
    static const char *const heads[] = {
        "task", "base", "configuration", "quality", "floor", "p99 at peak", "verdict"};
    const struct tasks *t = &r->task_plans->tasks;
    const double delta = r->settings.rules.delta;
    struct text_table *table = text_table_new(heads, "lllrrrl", 7);
    for (size_t i = 0; i < plan->count; i++)
        for (size_t k = 0; k < plan->services[i].count; k++) {
            const struct service_task *x = &plan->services[i].tasks[k];
            const char *cells[] = {t->sla->tasks[x->task].name,
                                   t->bases[plan->services[i].base].name,
                                   cell_name(r, x->fit->cell),
                                   word_score(x->fit->quality.measured, delta),
                                   word_score(x->fit->quality.limit, delta),
                                   response(x),
                                   sla_words[word_of(x)]};
            text_table_row(table, cells);
        }
    text_table_print(table, stdout);
    text_table_free(table);
}

static void print_plans(const struct task_plans *p)
{
    static const char *const heads[] = {
        "way",          "verdict",        "replicas",
        "USD a month",  "first to break", "at times the peak",
        "service times"};
    struct text_table *table = text_table_new(heads, "llrrlrl", 7);
    for (size_t i = 0; i < p->count; i++) {
        const struct task_plan *plan = &p->plans[i];
        const char *cells[] = {task_plan_name(p, plan),
                               sla_words[plan->overall],
                               isnan(plan->replicas) ? "–"
                                                     : word_f("%.0f", plan->replicas),
                               word_usd(plan->usd_per_month),
                               first_to_break(p, plan),
                               plan->first ? word_f("%.2f", plan->first_factor) : "–",
                               plan_evidence(plan)};
        text_table_row(table, cells);
    }
    text_table_print(table, stdout);
    text_table_free(table);
}

static void print(const struct report *r, const json_t *numbers, const char *file)
{
    const struct task_plans *p = r->task_plans;
    const json_t *line;
    size_t i;
    json_array_foreach(json_object_get(numbers, "takeaways"), i, line)
    {
        text_print(stdout, "%s\n", json_string_value(line));
    }
    if (!p->count)
        return;
    text_print(stdout, "\n");
    print_plans(p);
    text_print(stdout, "\nThe first of them:\n");
    print_tasks(r, &p->plans[0]);
    if (p->plans[0].kind != PLAN_MERGED)
        text_print(stdout, "\nServe it: peftlab serve%s%s --tasks %s\n",
                   p->plans[0].count > 1 ? " " : "", p->plans[0].count > 1 ? "MODEL" : "",
                   file);
}

int task_advice(const json_t *values, struct err *err)
{
    const char *file = json_get_str(values, "tasks", NULL);
    char *path = store_default_path(json_get_str(values, "store", NULL));
    struct store *s = NULL;
    struct report *r = NULL;
    int rc = store_open(path, STORE_READ_ONLY, &s, err);
    if (!rc)
        rc = report_judge_tasks(
            s, file, json_object_get(values, "sweep"),
            json_get_num(values, "core_price", REPORT_CORE_USD_PER_HOUR), &r, err);
    json_t *numbers = rc ? NULL : section_tasks.numbers(r);
    if (numbers && json_get_bool(values, "json", 0))
        command_print_json(json_incref(numbers));
    else if (numbers)
        print(r, numbers, file);
    if (numbers)
        rc = r->task_plans->count == 0 || r->task_plans->plans[0].overall == SLA_BREAKS;
    json_decref(numbers);
    report_free(r);
    store_close(s);
    free(path);
    return rc;
}
