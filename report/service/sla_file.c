/* report/service/sla_file.c - reading SLA files, see sla.h. */
#include "lib/config/conf.h"
#include "lib/config/opt.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/service/sla.h"
#include "tracker/view/objective.h"
#include <math.h>
#include <stdlib.h>

enum { MAX_TASKS = 1000 };

/* mlcommons/inference_policies, inference_rules.adoc: p99, Poisson arrivals. */
static const struct {
    const char *name;
    double ttft_ms, tpot_ms;
} presets[] = {
#define SLA_PRESET(name, ttft, tpot) {name, ttft, tpot},
#define PRESET_ROWS                                                                      \
    SLA_PRESET("llama3.1-8b-conversational", 2000, 100)                                  \
    SLA_PRESET("llama3.1-8b-interactive", 500, 30)                                       \
    SLA_PRESET("llama2-70b-conversational", 2000, 200)                                   \
    SLA_PRESET("llama2-70b-interactive", 450, 40)                                        \
    SLA_PRESET("deepseek-r1-conversational", 2000, 80)                                   \
    SLA_PRESET("deepseek-r1-interactive", 1500, 15)                                      \
    SLA_PRESET("llama3.1-405b-conversational", 6000, 175)                                \
    SLA_PRESET("llama3.1-405b-interactive", 4500, 80)                                    \
    SLA_PRESET("gpt-oss-120b-conversational", 3000, 80)                                  \
    SLA_PRESET("gpt-oss-120b-interactive", 2000, 20)
    PRESET_ROWS
#undef SLA_PRESET
};
#define SLA_PRESET(name, ttft, tpot) "|" name
#define SLA_PRESETS                  ("none" PRESET_ROWS)

#define OPTION(key_, type_, preset_, min_, max_, choices_, group_, help_)                \
    {.key = key_,                                                                        \
     .type = type_,                                                                      \
     .preset = preset_,                                                                  \
     .min = min_,                                                                        \
     .max = max_,                                                                        \
     .choices = choices_,                                                                \
     .group = group_,                                                                    \
     .help = help_},
static const struct opt_def options[] = {
#include "report/service/sla.def"
};
static const struct opt_table table = {"SLA file", options, ARRAY_LEN(options)};

static const struct opt_def task_options[] = {
#include "report/service/task.def"
};
static const struct opt_table task_table = {"task", task_options,
                                            ARRAY_LEN(task_options)};
#undef OPTION

/* Checks an object's keys and values against a table; `path` is its place, "" the top. */
static int check_keys(struct conf *c, const char *path, const json_t *object,
                      const struct opt_table *t, json_t *out, struct err *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return err_set(err, ERR_CONFIG, "%s: the %s must be a mapping",
                       conf_where(c, path), t->name);
    json_object_foreach((json_t *)object, key, value)
    {
        const struct opt_def *def = opt_find(t, key);
        json_t *checked = def && !json_is_null(value) ? opt_check(def, value, err) : NULL;
        if (checked) {
            json_object_set_new(out, def->key, checked);
            continue;
        }
        if (def && json_is_null(value))
            continue;
        if (!def)
            opt_unknown(t, key, "key", err);
        char *place = *path ? xasprintf("%s.%s", path, key) : xstrdup(key);
        int rc = err_context(err, "%s: ", conf_where(c, place));
        free(place);
        return rc ? rc : -ERR_CONFIG;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (json_object_get(out, t->rows[i].key))
            continue;
        if (t->rows[i].flags & OPT_REQUIRED)
            return err_set(err, ERR_CONFIG, "%s: %s lacks '%s'", conf_where(c, path),
                           t->name, t->rows[i].key);
        json_object_set_new(out, t->rows[i].key, opt_default(&t->rows[i]));
    }
    return 0;
}

static int check_task(struct conf *c, const char *path, const struct sla *s,
                      const struct sla_task *t, struct err *err)
{
    for (size_t i = 0; i < s->task_count; i++)
        if (str_eq(s->tasks[i].name, t->name))
            return err_set(err, ERR_CONFIG, "%s: there is a task '%.100s' already",
                           conf_where(c, path), t->name);
    if (t->metric && !metric_direction(t->metric))
        return err_set(err, ERR_CONFIG,
                       "%s: whether '%.100s' is better high or low is not known; name a "
                       "metric such as test/macro_f1",
                       conf_where(c, path), t->metric);
    if (s->task_count && !s->tasks[0].data != !t->data)
        return err_set(err, ERR_CONFIG,
                       "%s: 'data' says which trials are a task's: give it to every task "
                       "or to none",
                       conf_where(c, path));
    return 0;
}

static int read_task(struct conf *c, const char *path, const json_t *given, struct sla *s,
                     json_t *row, struct err *err)
{
    int rc = check_keys(c, path, given, &task_table, row, err);
    const struct sla_task t = {
        .name = json_get_str(row, "name", NULL),
        .requests_per_s = json_get_num(row, "requests_per_s", NAN),
        .data = json_get_str(row, "data", NULL),
        .base = json_get_str(row, "base", NULL),
        .adapter = json_get_str(row, "adapter", NULL),
        .metric = json_get_str(row, "metric", NULL),
        .values = row,
    };
    if (!rc && (!t.name || isnan(t.requests_per_s)))
        rc = err_set(err, ERR_CONFIG, "%s: task lacks '%s'", conf_where(c, path),
                     t.name ? "requests_per_s" : "name");
    if (!rc)
        rc = check_task(c, path, s, &t, err);
    if (!rc)
        s->tasks[s->task_count++] = t;
    return rc;
}

static int read_tasks(struct conf *c, struct sla *s, struct err *err)
{
    json_t *list = json_object_get(s->values, "tasks"), *task;
    size_t i;
    if (!list || json_is_null(list))
        return 0;
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > MAX_TASKS)
        return err_set(err, ERR_CONFIG, "%s: tasks must be a list of 1..%d entries",
                       conf_where(c, "tasks"), MAX_TASKS);
    json_t *checked = json_array();
    json_object_set_new(s->values, "tasks", checked);
    json_t *given = json_object_get(conf_root(c), "tasks");
    s->tasks = xcalloc(json_array_size(given), sizeof *s->tasks);
    json_array_foreach(given, i, task)
    {
        char path[32];
        snprintf(path, sizeof path, "tasks[%zu]", i);
        json_t *row = json_object();
        json_array_append_new(checked, row);
        int rc = read_task(c, path, task, s, row, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* The load: of all tasks, or as said; what is said must hold together. */
static int read_load(struct conf *c, struct sla *s, struct err *err)
{
    double sum = 0, said = sla_number(s, "requests_per_s");
    for (size_t i = 0; i < s->task_count; i++)
        sum += s->tasks[i].requests_per_s;
    if (s->task_count && !isnan(said) && fabs(sum - said) > 1e-6 * said)
        return err_set(err, ERR_CONFIG,
                       "%s: requests_per_s is %g, but the tasks add up to %g; leave one "
                       "of the two out",
                       conf_where(c, "requests_per_s"), said, sum);
    s->mean_per_s = s->task_count ? sum : said;
    s->peak_per_s = sla_number(s, "peak_requests_per_s");
    if (isnan(s->mean_per_s) && !isnan(s->peak_per_s))
        return err_set(
            err, ERR_CONFIG,
            "%s: peak_requests_per_s needs the mean, requests_per_s, beside it",
            conf_where(c, "peak_requests_per_s"));
    s->peak_assumed = isnan(s->peak_per_s);
    if (s->peak_assumed)
        s->peak_per_s = s->mean_per_s * assumptions[ASSUME_PEAK_LOAD].base;
    if (s->peak_per_s < s->mean_per_s)
        return err_set(
            err, ERR_CONFIG, "%s: peak_requests_per_s is %g, below the mean of %g",
            conf_where(c, "peak_requests_per_s"), s->peak_per_s, s->mean_per_s);
    return 0;
}

static void apply_preset(struct sla *s)
{
    const char *name = sla_text(s, "preset");
    for (size_t i = 0; name && i < ARRAY_LEN(presets); i++) {
        if (!str_eq(presets[i].name, name))
            continue;
        if (isnan(sla_number(s, "ttft_p99_ms")))
            json_object_set_new(s->values, "ttft_p99_ms", json_real(presets[i].ttft_ms));
        if (isnan(sla_number(s, "tpot_p99_ms")))
            json_object_set_new(s->values, "tpot_p99_ms", json_real(presets[i].tpot_ms));
    }
}

static int read_all(struct conf *c, struct sla *s, struct err *err)
{
    int rc = check_keys(c, "", conf_root(c), &table, s->values, err);
    if (!rc)
        rc = read_tasks(c, s, err);
    if (!rc)
        rc = read_load(c, s, err);
    if (!rc && sla_flag(s, "base_untouched") && str_eq(sla_text(s, "serve"), "merged"))
        rc = err_set(err, ERR_CONFIG,
                     "%s: serve: merged changes the base's weights, and base_untouched "
                     "forbids that; one of the two must go",
                     conf_where(c, "serve"));
    if (!rc)
        apply_preset(s);
    return rc;
}

static int finish(struct conf *c, struct sla **out, struct err *err)
{
    struct sla *s = xcalloc(1, sizeof *s);
    s->values = json_object();
    int rc = read_all(c, s, err);
    conf_free(c);
    if (rc)
        sla_free(s);
    else
        *out = s;
    return rc;
}

int sla_load(const char *path, struct sla **out, struct err *err)
{
    struct conf *c;
    int rc = conf_load(path, &c, err);
    return rc ? rc : finish(c, out, err);
}

int sla_parse(const char *text, size_t len, const char *name, bool is_json,
              struct sla **out, struct err *err)
{
    struct conf *c;
    int rc = conf_parse(text, len, name, is_json, &c, err);
    return rc ? rc : finish(c, out, err);
}

void sla_free(struct sla *s)
{
    if (!s)
        return;
    json_decref(s->values);
    free(s->tasks);
    free(s);
}

double sla_number(const struct sla *s, const char *key)
{
    return s ? json_get_num(s->values, key, NAN) : NAN;
}

bool sla_flag(const struct sla *s, const char *key)
{
    return s && json_get_bool(s->values, key, 0);
}

const char *sla_text(const struct sla *s, const char *key)
{
    return s ? json_get_str(s->values, key, NULL) : NULL;
}

bool sla_by_task(const struct sla *s)
{
    return s && s->task_count && s->tasks[0].data;
}

double sla_task_number(const struct sla *s, const struct sla_task *t, const char *key)
{
    return json_get_num(t->values, key, sla_number(s, key));
}
