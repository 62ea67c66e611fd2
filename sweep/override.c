/* sweep/override.c - `key=value` words applied to the tree before it is checked. */
#include "sweep/override.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/file_parts.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGE_MAX 100000

/* The next comma outside brackets and quotes, or the end. */
static const char *next_comma(const char *s)
{
    int depth = 0;
    char quote = 0;
    for (; *s; s++) {
        if (quote)
            quote = *s == quote ? 0 : quote;
        else if (*s == '\'' || *s == '"')
            quote = *s;
        else if (strchr("[{(", *s))
            depth++;
        else if (strchr("]})", *s))
            depth--;
        else if (*s == ',' && depth <= 0)
            break;
    }
    return s;
}

static json_t *split_values(const char *text, struct err *err)
{
    json_t *list = json_array();
    for (const char *s = text;; s++) {
        const char *end = next_comma(s);
        char *one = xstrndup(s, (size_t)(end - s));
        json_t *v = conf_parse_value(one, err);
        free(one);
        if (!v) {
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, v);
        s = end;
        if (!*s)
            return list;
    }
}

static json_t *expand_range(double from, double to, double step, struct err *err)
{
    double count = ceil((to - from) / step);
    if (step == 0 || !(count >= 1) || count > RANGE_MAX) {
        err_set(err, ERR_USAGE, "range(%g, %g, %g) has no values, or too many", from, to,
                step);
        return NULL;
    }
    json_t *list = json_array();
    for (double i = 0; i < count; i++)
        json_array_append_new(list, json_real(from + i * step));
    return json_pack("{s:o}", "values", list);
}

/* What a word's right side says: {value}, {values} or a range. New reference. */
static json_t *read_spec(const char *text, struct err *err)
{
    double a, b, step = 1;
    int end = 0;
    if (sscanf(text, "range(%lf ,%lf ,%lf )%n", &a, &b, &step, &end) == 3 && end &&
        !text[end])
        return expand_range(a, b, step, err);
    step = 1;
    if (sscanf(text, "range(%lf ,%lf )%n", &a, &b, &end) == 2 && end && !text[end])
        return expand_range(a, b, step, err);
    if (sscanf(text, "uniform(%lf ,%lf )%n", &a, &b, &end) == 2 && end && !text[end])
        return json_pack("{s:s, s:f, s:f}", "distribution", "uniform", "min", a, "max",
                         b);
    if (sscanf(text, "loguniform(%lf ,%lf )%n", &a, &b, &end) == 2 && end && !text[end])
        return json_pack("{s:s, s:f, s:f}", "distribution", "log_uniform_values", "min",
                         a, "max", b);
    json_t *list = split_values(text, err);
    if (!list)
        return NULL;
    json_t *spec = json_array_size(list) == 1
                       ? json_pack("{s:O}", "value", json_array_get(list, 0))
                       : json_pack("{s:O}", "values", list);
    json_decref(list);
    return spec;
}

static int set_param(json_t *params, const char *name, const char *text, struct err *err)
{
    json_t *spec = read_spec(text, err);
    if (!spec)
        return err_context(err, "'%s=%s': ", name, text);
    json_t *when = json_object_get(json_object_get(params, name), "when");
    if (when)
        json_object_set(spec, "when", when);
    json_object_set_new(params, name, spec);
    return 0;
}

/* `budget.max_trials=50`, `seeds=0,1`, `method` of the sweep is not reachable when a
 * parameter has that name. */
static int set_section(json_t *root, const char *name, const char *text, struct err *err)
{
    const char *dot = strchr(name, '.');
    char *section = dot ? xstrndup(name, (size_t)(dot - name)) : xstrdup(name);
    int rc = 0;
    if (!opt_find(&sweep_top_table, section))
        rc = err_set(err, ERR_USAGE,
                     "'%s' is no parameter of this sweep; +%s=... adds it", name, name);
    json_t *value = NULL, *list = NULL;
    if (rc == 0 && !(list = split_values(text, err)))
        rc = err_context(err, "'%s=%s': ", name, text);
    if (rc == 0) {
        bool many = json_array_size(list) > 1 || str_eq(name, "seeds");
        json_t *first = json_array_get(list, 0);
        value =
            many && !(json_is_array(first) && json_array_size(list) == 1) ? list : first;
        json_t *home = root;
        if (dot) {
            home = json_object_get(root, section);
            if (!json_is_object(home)) {
                json_object_set_new(root, section, json_object());
                home = json_object_get(root, section);
            }
        }
        json_object_set(home, dot ? dot + 1 : name, value);
    }
    json_decref(list);
    free(section);
    return rc;
}

static int remove_param(json_t *params, const char *name, struct err *err)
{
    if (json_object_del(params, name) == 0)
        return 0;
    return err_set(err, ERR_USAGE, "'~%s': no such parameter", name);
}

int sweep_override(json_t *root, const char *word, struct err *err)
{
    json_t *params = json_object_get(root, "parameters");
    const char *equals = strchr(word, '=');
    if (*word == '~')
        return remove_param(params, word + 1, err);
    bool add = *word == '+';
    const char *start = word + add;
    if (!equals || equals <= start)
        return err_set(err, ERR_USAGE,
                       "'%s' is no override: write key=value, +key=value or ~key", word);
    char *name = xstrndup(start, (size_t)(equals - start));
    int rc = add || json_object_get(params, name)
                 ? set_param(params, name, equals + 1, err)
                 : set_section(root, name, equals + 1, err);
    free(name);
    return rc;
}
