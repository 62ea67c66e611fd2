/* sweep/file/sweep_file.c - the sections of a sweep file but `parameters`. */
#include "sweep/file/sweep_file.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/file/file_parts.h"
#include "sweep/file/override.h"
#include "sweep/launch/user_command.h"
#include "sweep/pruners/pruner.h"
#include "sweep/space/value.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sweep_file_error(const struct sweep_file *f, const char *path, struct err *err,
                     const char *fmt, ...)
{
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(err, ERR_CONFIG, "%s: %s", conf_where(f->conf, path), text);
}

static char *join(const char *path, const char *key)
{
    return *path ? xasprintf("%s.%s", path, key) : xstrdup(key);
}

int file_section(const struct sweep_file *f, const char *path, const json_t *object,
                 const struct opt_table *table, json_t **out, struct err *err)
{
    const char *key;
    json_t *value, *checked = json_object();
    if (!json_is_object(object)) {
        json_decref(checked);
        return sweep_file_error(f, path, err, "%s must be a mapping", table->name);
    }
    json_object_foreach((json_t *)object, key, value)
    {
        char *place = join(path, key);
        const struct opt_def *def = opt_find(table, key);
        json_t *normal = def && !json_is_null(value) ? opt_check(def, value, err) : NULL;
        int rc = 0;
        if (!def)
            rc = opt_unknown(table, key, "key", err);
        else if (!normal && !json_is_null(value))
            rc = err_code(err);
        if (rc < 0)
            err_context(err, "%s: ", conf_where(f->conf, place));
        free(place);
        if (rc < 0) {
            json_decref(checked);
            return rc;
        }
        if (normal)
            json_object_set_new(checked, def->key, normal);
    }
    *out = checked;
    return 0;
}

/* "8h", "30m", "1h30m", 90 (seconds). */
static int duration(const struct sweep_file *f, const char *path, const json_t *v,
                    double *seconds, struct err *err)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"s", 1}, {"min", 60}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    if (!v)
        return 0;
    double total = json_is_number(v) ? json_number_value(v) : 0;
    const char *s = json_is_string(v) ? json_string_value(v) : "";
    while (*s) {
        char *end;
        double n = strtod(s, &end);
        size_t u = 0, len = strspn(end, "abcdefghijklmnopqrstuvwxyz");
        while (u < ARRAY_LEN(units) &&
               (strlen(units[u].unit) != len || strncmp(units[u].unit, end, len)))
            u++;
        if (end == s || u == ARRAY_LEN(units) || !(n >= 0)) {
            total = NAN;
            break;
        }
        total += n * units[u].seconds;
        s = end + len + strspn(end + len, " ");
    }
    if (!(total > 0) || !isfinite(total))
        return sweep_file_error(f, path, err,
                                "not a duration (write 90, 30m, 8h or 1h30m)");
    *seconds = total;
    return 0;
}

static int read_metric(struct sweep_file *f, const char *path, const json_t *v,
                       struct err *err)
{
    json_t *checked;
    int rc = file_section(f, path, v, &sweep_metric_table, &checked, err);
    if (rc < 0)
        return rc;
    if (!json_object_get(checked, "name"))
        rc = sweep_file_error(f, path, err, "a metric needs a name");
    if (rc == 0)
        f->objectives[f->objective_count++] = (struct sweep_objective){
            json_string_value(json_object_get(v, "name")),
            str_eq(json_get_str(checked, "goal", NULL), "maximize"),
            json_get_num(checked, "target", NAN)};
    json_decref(checked);
    return rc;
}

static int read_metrics(struct sweep_file *f, const json_t *top, struct err *err)
{
    json_t *metric = json_object_get(top, "metric"), *item;
    json_t *list = json_object_get(top, "objectives");
    size_t i;
    f->objectives = xcalloc(json_array_size(list) + 1, sizeof *f->objectives);
    int rc = metric ? read_metric(f, "metric", metric, err) : 0;
    if (rc == 0 && list && !json_is_array(list))
        return sweep_file_error(f, "objectives", err, "objectives must be a list");
    if (json_array_size(list))
        f->objective_count = 0; /* `metric` says it again, for tools that know no list */
    json_array_foreach(list, i, item)
    {
        char path[64];
        snprintf(path, sizeof path, "objectives[%zu]", i);
        rc = rc < 0 ? rc : read_metric(f, path, item, err);
    }
    if (rc == 0 && f->objective_count) {
        f->metric = f->objectives[0].name;
        f->maximize = f->objectives[0].maximize;
    }
    return rc;
}

static int read_seed(struct sweep_file *f, size_t i, const json_t *v, struct err *err)
{
    char path[64];
    snprintf(path, sizeof path, "seeds[%zu]", i);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return sweep_file_error(f, path, err, "a seed is an integer, 0 or more");
    f->seeds[i] = (uint64_t)json_integer_value(v);
    for (size_t k = 0; k < i; k++)
        if (f->seeds[k] == f->seeds[i])
            return sweep_file_error(f, path, err, "the seed %lld comes twice",
                                    (long long)f->seeds[i]);
    return 0;
}

static int read_seeds(struct sweep_file *f, const json_t *list, struct err *err)
{
    size_t i;
    json_t *item;
    f->seed_count = list ? json_array_size(list) : 1;
    if (list && (!json_is_array(list) || f->seed_count < 1 || f->seed_count > 10000))
        return sweep_file_error(f, "seeds", err,
                                "seeds must be a list of 1 to 10000 integers");
    if (list && f->names_seed)
        return sweep_file_error(f, "seeds", err,
                                "the parameter 'seed' and seeds exclude each other");
    f->seeds = xcalloc(f->seed_count, sizeof *f->seeds);
    json_array_foreach(list, i, item)
    {
        int rc = read_seed(f, i, item, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_early(struct sweep_file *f, const json_t *v, struct err *err)
{
    struct pruner pruner;
    int rc =
        v ? file_section(f, "early_terminate", v, &sweep_early_table, &f->early, err) : 1;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    f->early_terminate = json_get_str(f->early, "type", NULL);
    if (!f->early_terminate)
        return sweep_file_error(f, "early_terminate", err,
                                "early_terminate needs a type");
    int64_t min = json_get_int(f->early, "min", 0);
    if (min > json_get_int(f->early, "max", INT64_MAX))
        return sweep_file_error(f, "early_terminate.min", err, "min is above max");
    rc = pruner_init(&pruner, f, 0, err);
    pruner_release(&pruner);
    return rc;
}

static int read_budget(struct sweep_file *f, const json_t *top, struct err *err)
{
    json_t *v = json_object_get(top, "budget"), *b;
    f->max_trials = json_get_int(top, "run_cap", 0);
    f->interleave = (int)json_get_int(top, "interleave", 0);
    int rc = v ? file_section(f, "budget", v, &sweep_budget_table, &b, err) : 1;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    f->max_trials = json_get_int(b, "max_trials", f->max_trials);
    f->max_failures = json_get_int(b, "max_failures", 0);
    f->max_usd = json_get_num(b, "max_usd", 0);
    f->max_hours = json_get_num(b, "max_hours", 0);
    f->max_gpu_hours = json_get_num(b, "max_gpu_hours", 0);
    f->usd_per_core_hour = json_get_num(b, "usd_per_core_hour", 0);
    f->usd_per_gpu_hour = json_get_num(b, "usd_per_gpu_hour", 0);
    rc = duration(f, "budget.max_wall", json_object_get(b, "max_wall"), &f->max_wall_s,
                  err);
    if (rc == 0)
        rc = duration(f, "budget.trial_timeout", json_object_get(b, "trial_timeout"),
                      &f->trial_timeout_s, err);
    json_decref(b);
    return rc;
}

static int read_retry_on(struct sweep_file *f, const json_t *on, struct err *err)
{
    size_t i;
    json_t *item,
        *list = json_is_array(on) ? json_incref((json_t *)on) : json_pack("[O*]", on);
    int rc = 0, lost = !on, preempted = !on;
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(item);
        const bool is_preempted = str_eq(name, "preempted");
        preempted |= is_preempted;
        lost |= !is_preempted;
        if (rc == 0 && !is_preempted && !str_in_list(name, "node_fail|stale", '|'))
            rc = sweep_file_error(
                f, "retry.on", err,
                "'%s' is never retried: only preempted, node_fail and stale are, which "
                "are no fault of the trial",
                name);
    }
    json_decref(list);
    f->retry_preempted = preempted;
    f->max_retries = lost ? f->max_retries : 0;
    return rc;
}

static int read_retry(struct sweep_file *f, const json_t *v, struct err *err)
{
    json_t *r;
    f->max_retries = 2;
    f->retry_preempted = true;
    int rc = v ? file_section(f, "retry", v, &sweep_retry_table, &r, err) : 1;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    f->max_retries = (int)json_get_int(r, "max", f->max_retries);
    rc = read_retry_on(f, json_object_get(r, "on"), err);
    json_decref(r);
    return rc;
}

static int read_executor(struct sweep_file *f, const json_t *v, struct err *err)
{
    json_t *e;
    f->executor = "local";
    int rc = v ? file_section(f, "executor", v, &sweep_executor_table, &e, err) : 1;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    f->parallel = (int)json_get_int(e, "parallel", 0);
    f->gpus = (int)json_get_int(e, "gpus", 0);
    f->executor = json_get_str(v, "type", "local");
    f->backend = json_get_str(v, "backend", NULL);
    json_decref(e);
    return 0;
}

static int read_head(struct sweep_file *f, const json_t *top, const char *stem,
                     struct err *err)
{
    const char *method = json_get_str(top, "method", "grid");
    json_t *version = json_object_get(top, "version");
    if (version && json_integer_value(version) != 1)
        return sweep_file_error(f, "version", err, "version must be 1");
    f->was_bayes = str_eq(method, "bayes");
    f->method = f->was_bayes ? "tpe" : json_get_str(conf_root(f->conf), "method", "grid");
    f->name = xstrdup(json_get_str(top, "name", stem));
    if (!*f->name || strlen(f->name) > 200)
        return sweep_file_error(f, "name", err, "a name has 1 to 200 bytes");
    f->drives_command =
        json_object_get(top, "command") || json_object_get(top, "program");
    return 0;
}

static int read_all(struct sweep_file *f, const json_t *top, const char *stem,
                    const struct opt_table *keys, struct err *err)
{
    int rc = read_head(f, top, stem, err);
    if (f->drives_command)
        keys = NULL;
    rc = rc < 0 ? rc : read_metrics(f, top, err);
    rc = rc < 0 ? rc : file_params(f, json_object_get(top, "parameters"), keys, err);
    rc = rc < 0 || !f->drives_command ? rc : user_command_check(f, err);
    rc = rc < 0 ? rc
                : file_entries(f, json_object_get(top, "exclude"),
                               json_object_get(top, "include"), keys, err);
    rc = rc < 0 ? rc : file_order(f, err);
    rc = rc < 0 ? rc : read_seeds(f, json_object_get(top, "seeds"), err);
    rc = rc < 0 ? rc : file_until(f, json_object_get(top, "until"), err);
    rc = rc < 0 ? rc : read_early(f, json_object_get(top, "early_terminate"), err);
    json_t *sampler = json_object_get(top, "sampler");
    if (rc == 0 && sampler)
        rc = file_section(f, "sampler", sampler, &sweep_sampler_table, &f->sampler, err);
    rc = rc < 0 ? rc : read_budget(f, top, err);
    rc = rc < 0 ? rc : read_retry(f, json_object_get(top, "retry"), err);
    return rc < 0 ? rc : read_executor(f, json_object_get(top, "executor"), err);
}

/* "dir/reviews.yaml" -> "reviews" */
static char *stem_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    return dot && dot > base ? xstrndup(base, (size_t)(dot - base)) : xstrdup(base);
}

/* Takes over `conf`. */
static int from_conf(struct conf *conf, const char *path, const char *const *overrides,
                     size_t override_count, const struct opt_table *keys,
                     struct sweep_file **out, struct err *err)
{
    struct sweep_file *f = xcalloc(1, sizeof *f);
    json_t *top = NULL, *root = conf_root(conf);
    f->conf = conf;
    char *stem = stem_of(path), *absolute = fs_absolute(path);
    f->base_dir = fs_dirname(absolute);
    int rc = json_is_object(root)
                 ? 0
                 : sweep_file_error(f, "", err, "a sweep file is a mapping");
    for (size_t i = 0; i < override_count && rc == 0; i++)
        rc = sweep_override(root, overrides[i], err);
    if (rc == 0)
        rc = file_section(f, "", root, &sweep_top_table, &top, err);
    if (rc == 0)
        rc = read_all(f, top, stem, keys, err);
    json_decref(top);
    free(absolute);
    free(stem);
    if (rc < 0) {
        sweep_file_free(f);
        return rc;
    }
    *out = f;
    return 0;
}

int sweep_file_load(const char *path, const char *const *overrides, size_t override_count,
                    const struct opt_table *keys, struct sweep_file **out,
                    struct err *err)
{
    struct conf *conf;
    int rc = conf_load(path, &conf, err);
    return rc < 0 ? rc : from_conf(conf, path, overrides, override_count, keys, out, err);
}

int sweep_file_parse(const char *text, size_t len, const char *name, bool is_json,
                     const char *const *overrides, size_t override_count,
                     const struct opt_table *keys, struct sweep_file **out,
                     struct err *err)
{
    struct conf *conf;
    int rc = conf_parse(text, len, name, is_json, &conf, err);
    return rc < 0 ? rc : from_conf(conf, name, overrides, override_count, keys, out, err);
}

static void free_choices(struct sweep_choice *c, size_t count)
{
    for (size_t i = 0; c && i < count; i++) {
        json_decref(c[i].value);
        expr_free(c[i].expr);
    }
    free(c);
}

static void free_entries(const struct sweep_file *f, struct sweep_entry *e, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free_choices(e[i].by_param, f->param_count);
        json_decref(e[i].extra);
        free(e[i].path);
    }
    free(e);
}

void sweep_file_free(struct sweep_file *f)
{
    if (!f)
        return;
    free_entries(f, f->excludes, f->exclude_count);
    free_entries(f, f->includes, f->include_count);
    for (size_t i = 0; i < f->param_count; i++) {
        struct sweep_param *p = &f->params[i];
        free_choices(p->choices, p->count);
        expr_free(p->when);
        json_decref(p->spec);
        free(p->name);
        free(p->path);
    }
    free(f->params);
    free(f->objectives);
    json_decref(f->early);
    json_decref(f->sampler);
    free(f->order);
    free(f->seeds);
    if (f->names)
        strmap_free(f->names);
    free(f->name);
    free(f->base_dir);
    conf_free(f->conf);
    free(f);
}
