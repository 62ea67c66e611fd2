/* report/service/tasks.c - see tasks.h. */
#include "report/service/tasks.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/service/sla_parts.h"
#include "tracker/view/objective.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool path_ends_in(const char *path, const char *end)
{
    const size_t n = strlen(path), k = strlen(end);
    return k > 0 && k <= n && str_eq(path + n - k, end) &&
           (k == n || path[n - k - 1] == '/' || *end == '/');
}

/* ---- by what a task is judged ---- */

const char *task_metric(const struct report *r, const struct sla_task *t)
{
    return t->metric ? t->metric : r->settings.metric;
}

/* Of a split "eval/" where the metric is one of "test/" and trials have both. */
static const char *select_metric(const struct report *r, const char *metric)
{
    const char *key;
    json_t *v;
    for (size_t i = 0; str_has_prefix(metric, "test/") && i < r->data.count; i++)
        json_object_foreach(r->data.trials[i].metrics, key, v)
        {
            if (str_has_prefix(key, "eval/") && metric_is_same(key, metric))
                return key;
        }
    return metric;
}

static struct report_settings task_settings(const struct report *r,
                                            const struct sla_task *t)
{
    struct report_settings s = r->settings;
    if (t->metric) {
        s.metric = t->metric;
        s.select_metric = select_metric(r, t->metric);
        s.rules.minimize = metric_direction(t->metric) == DIRECTION_LOWER;
        s.select_minimize = s.rules.minimize;
    }
    return s;
}

/* ---- trials ---- */

static const char *column_fact(const struct report *r, size_t column, const char *key)
{
    return json_get_str(r->data.columns.items[column].facts, key, "");
}

static size_t place_base(struct tasks *t, const char *model)
{
    size_t b = 0;
    while (b < t->base_count && !str_eq(t->bases[b].model, model))
        b++;
    if (b == t->base_count) {
        const char *slash = strrchr(model, '/');
        t->bases[t->base_count++] = (struct task_base){
            .model = model, .name = slash && slash[1] ? slash + 1 : model};
    }
    return b;
}

static bool is_of_task(const struct report *r, const struct sla_task *t, size_t column)
{
    const char *model = column_fact(r, column, "model");
    return *model && path_ends_in(column_fact(r, column, "train_data"), t->data) &&
           (!t->base || path_ends_in(model, t->base));
}

/* The configurations of a column are added to the option's. */
static void add_column(const struct report *r, const struct report_settings *s,
                       size_t column, struct task_option *o)
{
    size_t n;
    struct report_cell *more = matrix_variants(&r->data, s, column, &n);
    o->cells = xrealloc(o->cells, (o->count + n + 1) * sizeof *o->cells);
    for (size_t i = 0; i < n; i++)
        o->cells[o->count++] = more[i];
    free(more);
}

/* ---- what stands for a task on a base ---- */

static void judge(const struct report *r, const struct sla_task *t,
                  const struct report_settings *s, const struct report_cell *c,
                  struct task_fit *fit)
{
    *fit = (struct task_fit){
        .cell = c,
        .quality = {.key = "quality_floor",
                    .title = s->metric,
                    .more_is_better = !s->rules.minimize,
                    .limit = sla_task_number(r->sla, t, "quality_floor"),
                    .break_per_s = NAN,
                    .break_low_per_s = NAN}};
    sla_over_seeds(c, t->metric ? t->metric : r->settings.metric, &fit->quality);
    if (!isnan(fit->quality.limit))
        sla_decide(&fit->quality);
}

static void choose(const struct report *r, const struct sla_task *t,
                   struct task_option *o)
{
    const struct report_settings s = task_settings(r, t);
    const struct report_cell *shared = NULL, *own = NULL;
    for (size_t i = 0; i < o->count; i++) {
        const struct report_cell *c = &o->cells[i];
        const bool leaves_base = sla_changes_base(c, false) == 0;
        if (leaves_base && (!shared || cell_select(c, &s) > cell_select(shared, &s)))
            shared = c;
        if ((leaves_base || !sla_flag(r->sla, "base_untouched")) &&
            (!own || cell_select(c, &s) > cell_select(own, &s)))
            own = c;
    }
    if (shared)
        judge(r, t, &s, shared, &o->shared);
    if (own)
        judge(r, t, &s, own, &o->own);
}

void tasks_find(const struct report *r, struct tasks *out)
{
    *out = (struct tasks){.sla = r->sla};
    if (!sla_by_task(r->sla))
        return;
    const size_t columns = r->data.columns.count;
    out->count = r->sla->task_count;
    out->bases = xcalloc(columns + 1, sizeof *out->bases);
    out->options = xcalloc(out->count * (columns + 1), sizeof *out->options);
    for (size_t c = 0; c < columns; c++)
        for (size_t t = 0; t < out->count; t++)
            if (is_of_task(r, &r->sla->tasks[t], c))
                place_base(out, column_fact(r, c, "model"));
    for (size_t t = 0; t < out->count; t++) {
        const struct sla_task *task = &r->sla->tasks[t];
        const struct report_settings s = task_settings(r, task);
        for (size_t c = 0; c < columns; c++)
            if (is_of_task(r, task, c))
                add_column(r, &s, c,
                           &out->options[t * out->base_count +
                                         place_base(out, column_fact(r, c, "model"))]);
        for (size_t b = 0; b < out->base_count; b++) {
            struct task_option *o = &out->options[t * out->base_count + b];
            choose(r, task, o);
            if (o->own.cell && !(out->bases[b].weight_bytes > 0))
                out->bases[b].weight_bytes =
                    cell_spread(o->own.cell, "mem/weights_bytes").mean;
        }
    }
}

void tasks_release(struct tasks *t)
{
    for (size_t i = 0; i < t->count * t->base_count; i++)
        matrix_variants_free(t->options[i].cells, t->options[i].count);
    free(t->options);
    free(t->bases);
    *t = (struct tasks){0};
}

const struct task_option *tasks_at(const struct tasks *t, size_t task, size_t base)
{
    return &t->options[task * t->base_count + base];
}

enum sla_word task_word(const struct task_fit *f)
{
    return !f->cell ? SLA_BREAKS : isnan(f->quality.limit) ? SLA_MEETS : f->quality.word;
}

size_t task_best_base(const struct report *r, const struct tasks *t, size_t task)
{
    const struct report_settings s = task_settings(r, &r->sla->tasks[task]);
    size_t best = t->base_count;
    for (size_t b = 0; b < t->base_count; b++) {
        const struct task_fit *f = &tasks_at(t, task, b)->shared,
                              *now = best < t->base_count
                                         ? &tasks_at(t, task, best)->shared
                                         : NULL;
        if (!f->cell)
            continue;
        if (!now || task_word(f) < task_word(now) ||
            (task_word(f) == task_word(now) &&
             cell_select(f->cell, &s) > cell_select(now->cell, &s)))
            best = b;
    }
    return best;
}

const struct report_trial *task_trial(const struct report *r, const struct sla_task *t,
                                      const struct report_cell *c)
{
    const struct report_settings s = task_settings(r, t);
    const double sign = s.rules.minimize ? -1 : 1;
    const struct report_trial *best = c->trials[0];
    for (size_t i = 1; i < c->count; i++)
        if (sign * trial_select(c->trials[i], &s) > sign * trial_select(best, &s))
            best = c->trials[i];
    return best;
}

double task_tokens(const struct sla_task *t, const struct report_cell *c)
{
    const double said = json_get_num(t->values, "tokens", NAN);
    return !isnan(said) || !c ? said
                              : cell_spread(c, "throughput/tokens_per_s").mean /
                                    cell_spread(c, "throughput/samples_per_s").mean;
}
