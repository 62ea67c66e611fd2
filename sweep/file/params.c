/* sweep/file/params.c - the `parameters` of a sweep file, and the order in which they
 * are evaluated. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/file/file_parts.h"
#include "sweep/samplers/sampler.h"
#include "sweep/space/distribution.h"
#include "sweep/space/value.h"
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX  100000
#define NESTING_MAX 8

int file_choice(const struct sweep_file *f, const char *path, const json_t *value,
                struct sweep_choice *out, struct err *err)
{
    out->value = value_canon(value);
    if (f->drives_command && value_is_word(value))
        return sweep_file_error(
            f, path, err,
            "JSON has no infinity and no NaN: a program could not tell the number from a "
            "text of that name; write it as your program reads it, such as \"inf\"");
    if (!value_is_expr(value))
        return 0;
    const char *text = json_string_value(json_object_get(value, "expr"));
    if (!text)
        return sweep_file_error(f, path, err, "an expr is a text, such as \"2*rank\"");
    int rc = expr_parse(text, f->names, &out->expr, err);
    return rc < 0 ? err_context(err, "%s: ", conf_where(f->conf, path)) : 0;
}

/* First pass: names and places, so that expressions can refer to any parameter. Nested
 * W&B parameters are flattened. */
static int collect(struct sweep_file *f, const char *prefix, const char *path,
                   const json_t *object, int depth, struct err *err)
{
    const char *key;
    json_t *spec;
    int64_t known;
    int rc = 0;
    if (!json_is_object(object))
        return sweep_file_error(f, path, err,
                                "parameters must be a mapping of names to {value: ...}, "
                                "{values: [...]} or {expr: ...}");
    if (depth > NESTING_MAX)
        return sweep_file_error(f, path, err, "parameters are nested too deeply");
    json_object_foreach((json_t *)object, key, spec)
    {
        char *name = xasprintf("%s%s", prefix, key);
        char *place = xasprintf("%s.%s", path, key);
        json_t *nested = json_object_get(spec, "parameters");
        if (!json_is_object(spec)) {
            rc = sweep_file_error(f, place, err,
                                  "a parameter is a mapping: write %s: {value: ...} or "
                                  "{values: [...]}",
                                  key);
        } else if (nested && json_object_size(spec) == 1) {
            char *inner = xasprintf("%s.parameters", place);
            char *inner_prefix = xasprintf("%s.", name);
            rc = collect(f, inner_prefix, inner, nested, depth + 1, err);
            free(inner);
            free(inner_prefix);
        } else if (f->param_count >= SWEEP_PARAMS_MAX) {
            rc = sweep_file_error(f, place, err, "more than %d parameters",
                                  SWEEP_PARAMS_MAX);
        } else if (strmap_get(f->names, name, strlen(name), &known)) {
            rc = sweep_file_error(f, place, err, "the parameter '%s' comes twice", name);
        } else {
            strmap_put(f->names, name, strlen(name), (int64_t)f->param_count);
            f->params[f->param_count++] =
                (struct sweep_param){.name = xstrdup(name), .path = xstrdup(place)};
            json_incref(spec);
            f->params[f->param_count - 1].spec = spec;
        }
        free(name);
        free(place);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_values(struct sweep_file *f, struct sweep_param *p, const json_t *values,
                       struct err *err)
{
    size_t i;
    json_t *item;
    char *path = xasprintf("%s.values", p->path);
    int rc = 0;
    if (!json_is_array(values))
        rc = sweep_file_error(f, path, err, "values must be a list");
    else if (json_array_size(values) < 1 || json_array_size(values) > VALUES_MAX)
        rc = sweep_file_error(f, path, err, "values has %zu entries; 1 to %d are allowed",
                              json_array_size(values), VALUES_MAX);
    p->kind = PARAM_VALUES;
    if (rc == 0) {
        p->count = json_array_size(values);
        p->choices = xcalloc(p->count, sizeof *p->choices);
    }
    json_array_foreach(values, i, item)
    {
        char *place = xasprintf("%s[%zu]", path, i);
        rc = rc < 0 ? rc : file_choice(f, place, item, &p->choices[i], err);
        free(place);
    }
    free(path);
    return rc;
}

static int read_constant(struct sweep_file *f, struct sweep_param *p, json_t *value,
                         struct err *err)
{
    json_t *expr = json_object_get(p->spec, "expr");
    json_t *v = value ? json_incref(value) : json_pack("{s:O}", "expr", expr);
    char *path = xasprintf("%s.%s", p->path, value ? "value" : "expr");
    p->kind = PARAM_CONSTANT;
    p->count = 1;
    p->choices = xcalloc(1, sizeof *p->choices);
    int rc = file_choice(f, path, v, &p->choices[0], err);
    free(path);
    json_decref(v);
    return rc;
}

/* Without `distribution` W&B takes integers for int_uniform, other ranges for uniform. */
static const char *range_distribution(const json_t *spec, const json_t *raw)
{
    const char *named = json_get_str(raw, "distribution", NULL);
    if (named)
        return named;
    if (!json_object_get(spec, "min") || !json_object_get(spec, "max"))
        return NULL;
    bool integers = json_is_integer(json_object_get(raw, "min")) &&
                    json_is_integer(json_object_get(raw, "max"));
    return integers ? "int_uniform" : "uniform";
}

static int check_range(struct sweep_file *f, struct sweep_param *p, struct err *err)
{
    struct distribution d;
    p->kind = PARAM_RANGE;
    int rc = distribution_init(&d, p, err);
    distribution_release(&d);
    if (rc < 0)
        return err_context(err, "%s: ", conf_where(f->conf, p->path));
    if (sampler_enumerates(f))
        return sweep_file_error(f, p->path, err,
                                "a grid needs values, not a range; list them, or use "
                                "method random");
    return 0;
}

static int check_probabilities(struct sweep_file *f, const struct sweep_param *p,
                               const json_t *list, struct err *err)
{
    size_t i;
    json_t *item;
    double sum = 0;
    char *path = xasprintf("%s.probabilities", p->path);
    bool fits = p->kind == PARAM_VALUES && json_array_size(list) == p->count;
    json_array_foreach(list, i, item)
    {
        fits = fits && json_is_number(item) && json_number_value(item) >= 0;
        sum += json_number_value(item);
    }
    int rc = fits && sum > 0.999999 && sum < 1.000001
                 ? 0
                 : sweep_file_error(f, path, err,
                                    "probabilities needs one number per value, and the "
                                    "sum 1");
    free(path);
    return rc;
}

/* With a model named, each plain value is checked as the trial will check it, while the
 * place is still known. */
static int check_values(const struct sweep_file *f, const struct sweep_param *p,
                        const struct opt_def *def, struct err *err)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->choices[i].expr)
            continue;
        json_t *normal = opt_check(def, p->choices[i].value, err);
        if (!normal)
            return err_context(err, "%s: ", conf_where(f->conf, p->path));
        json_decref(normal);
    }
    return 0;
}

static int read_when(struct sweep_file *f, struct sweep_param *p, const char *text,
                     struct err *err)
{
    char *path = xasprintf("%s.when", p->path);
    int rc = expr_parse(text, f->names, &p->when, err);
    if (rc < 0)
        err_context(err, "%s: ", conf_where(f->conf, path));
    free(path);
    return rc;
}

static int read_param(struct sweep_file *f, struct sweep_param *p, struct err *err)
{
    json_t *raw = p->spec, *spec;
    int rc = file_section(f, p->path, raw, &sweep_param_table, &spec, err);
    if (rc < 0)
        return rc;
    json_t *value = json_object_get(raw, "value"),
           *values = json_object_get(raw, "values");
    const char *expr = json_get_str(spec, "expr", NULL);
    const char *when = json_get_str(spec, "when", NULL);
    p->distribution = range_distribution(spec, raw);
    int given = (value != NULL) + (values != NULL) + (expr != NULL);
    if (given > 1)
        rc = sweep_file_error(f, p->path, err,
                              "value, values and expr exclude each other");
    else if (values)
        rc = read_values(f, p, values, err);
    else if (given)
        rc = read_constant(f, p, value, err);
    else if (p->distribution)
        rc = check_range(f, p, err);
    else
        rc = sweep_file_error(f, p->path, err, "'%s' has no value, values, expr or range",
                              p->name);
    json_t *probabilities = json_object_get(spec, "probabilities");
    if (rc == 0 && probabilities)
        rc = check_probabilities(f, p, probabilities, err);
    if (rc == 0 && when)
        rc = read_when(f, p, when, err);
    json_decref(spec);
    return rc;
}

/* A key of the trial file that is not built yet: a plan without a model may hold it, a
 * trial refuses it. */
static bool is_reserved_key(const char *name)
{
    return str_eq(name, "packing");
}

int file_params(struct sweep_file *f, const json_t *object, const struct opt_table *keys,
                struct err *err)
{
    int64_t index;
    f->params = xcalloc(SWEEP_PARAMS_MAX, sizeof *f->params);
    f->names = strmap_new();
    if (!object)
        return sweep_file_error(f, "", err, "parameters are missing");
    int rc = collect(f, "", "parameters", object, 0, err);
    if (rc == 0 && f->param_count == 0)
        rc = sweep_file_error(f, "parameters", err, "parameters are empty");
    f->names_model = strmap_get(f->names, "model", 5, &index) && !f->drives_command;
    f->names_seed = strmap_get(f->names, "seed", 4, &index);
    for (size_t i = 0; i < f->param_count && rc == 0; i++) {
        struct sweep_param *p = &f->params[i];
        const struct opt_def *def = keys ? opt_find(keys, p->name) : NULL;
        if (keys && !def && (f->names_model || !is_reserved_key(p->name))) {
            rc = opt_unknown(keys, p->name, "trial key", err);
            err_context(err, "%s: ", conf_where(f->conf, p->path));
            return rc;
        }
        rc = read_param(f, p, err);
        if (rc == 0 && def && f->names_model)
            rc = check_values(f, p, def, err);
    }
    return rc;
}

/* needs[i * n + k]: parameter i refers to parameter k. */
static bool *dependencies(const struct sweep_file *f)
{
    size_t n = f->param_count;
    bool *needs = xcalloc(n * n, sizeof *needs);
    for (size_t i = 0; i < n; i++) {
        const struct sweep_param *p = &f->params[i];
        if (p->when)
            expr_uses(p->when, needs + i * n);
        for (size_t c = 0; c < p->count; c++)
            if (p->choices[c].expr)
                expr_uses(p->choices[c].expr, needs + i * n);
        for (size_t e = 0; e < f->include_count; e++)
            if (f->includes[e].by_param[i].expr)
                expr_uses(f->includes[e].by_param[i].expr, needs + i * n);
    }
    return needs;
}

/* Follows what is not yet placed until a parameter comes twice: that one is on the
 * cycle. */
static int report_cycle(const struct sweep_file *f, const bool *needs, const bool *placed,
                        size_t start, struct err *err)
{
    size_t n = f->param_count, at = start;
    struct buf text = BUF_INIT;
    for (size_t pass = 0; pass < 2; pass++) { /* first get onto the cycle, then walk it */
        bool *seen = xcalloc(n, sizeof *seen);
        while (!seen[at]) {
            seen[at] = true;
            if (pass)
                buf_printf(&text, "%s -> ", f->params[at].name);
            size_t next = 0;
            while (placed[next] || !needs[at * n + next])
                next++;
            at = next;
        }
        free(seen);
    }
    buf_str_add(&text, f->params[at].name);
    int rc = sweep_file_error(f, f->params[at].path, err,
                              "parameters need each other: %.300s", buf_str(&text));
    buf_release(&text);
    return rc;
}

int file_order(struct sweep_file *f, struct err *err)
{
    size_t n = f->param_count, done = 0;
    bool *needs = dependencies(f), *placed = xcalloc(n, sizeof *placed);
    int rc = 0;
    f->order = xcalloc(n, sizeof *f->order);
    while (done < n && rc == 0) {
        size_t before = done, left = n;
        for (size_t i = 0; i < n; i++) {
            bool ready = !placed[i];
            for (size_t k = 0; k < n && ready; k++)
                ready = !needs[i * n + k] || placed[k];
            if (ready) {
                placed[i] = true;
                f->order[done++] = i;
            } else if (!placed[i]) {
                left = left < n ? left : i;
            }
        }
        if (done == before)
            rc = report_cycle(f, needs, placed, left, err);
    }
    free(needs);
    free(placed);
    return rc;
}
