/* sweep/file/override.c - `key=value` words applied to the tree before it is checked. */
#include "sweep/file/override.h"
#include "lib/config/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/file/file_parts.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGE_MAX 100000
#define TOP_LEVEL "sweep." /* for keys that are a parameter's name too, as `method` */

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

static json_t *expand_range(const double *a, size_t given, struct err *err)
{
    double step = given > 2 ? a[2] : 1, count = ceil((a[1] - a[0]) / step);
    if (step == 0 || !(count >= 1) || count > RANGE_MAX) {
        err_set(err, ERR_USAGE, "range(%g, %g, %g) has no values, or too many", a[0],
                a[1], step);
        return NULL;
    }
    json_t *list = json_array();
    for (double i = 0; i < count; i++) {
        char text[40]; /* 0.1 + 2 * 0.1 is 0.30000000000000004 */
        snprintf(text, sizeof text, "%.15g", a[0] + i * step);
        json_array_append_new(list, json_real(strtod(text, NULL)));
    }
    return json_pack("{s:o}", "values", list);
}

/* name(numbers): a distribution, its numbers by name. */
static const struct function {
    const char *name, *distribution;
    const char *args[3]; /* keys of the parameter; all are needed */
} functions[] = {
    {"range", NULL, {"from", "to", NULL}}, /* and a step */
    {"choice", NULL, {NULL}},              /* any values */
    {"int", "int_uniform", {"min", "max", NULL}},
    {"uniform", "uniform", {"min", "max", NULL}},
    {"quniform", "q_uniform", {"min", "max", "q"}},
    {"loguniform", "log_uniform_values", {"min", "max", NULL}},
    {"normal", "normal", {"mu", "sigma", NULL}},
    {"lognormal", "log_normal", {"mu", "sigma", NULL}},
    {"beta", "beta", {"a", "b", NULL}},
};

/* The function of `name(...)` to the end of the text, with what is in the brackets. 1:
 * found, 0: the text is no call. */
static int find_function(const char *text, const struct function **out, char **inside,
                         struct err *err)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz_"), all = strlen(text);
    if (!len || text[len] != '(' || text[all - 1] != ')' || *next_comma(text))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (strlen(functions[i].name) == len && !strncmp(functions[i].name, text, len)) {
            *out = &functions[i];
            *inside = xstrndup(text + len + 1, all - len - 2);
            return 1;
        }
    return err_set(err, ERR_USAGE,
                   "no function '%.*s'; there are range, choice, int, uniform, quniform, "
                   "loguniform, normal, lognormal and beta (quotes make a text)",
                   (int)(len < 40 ? len : 40), text);
}

static json_t *call(const struct function *f, const json_t *list, struct err *err)
{
    double a[3] = {0, 0, 1};
    size_t given = json_array_size(list), needed = 0;
    bool is_range = str_eq(f->name, "range"), numbers = true;
    if (str_eq(f->name, "choice"))
        return json_pack("{s:O}", "values", list);
    while (needed < ARRAY_LEN(f->args) && f->args[needed])
        needed++;
    for (size_t i = 0; i < given; i++) {
        json_t *v = json_array_get(list, i);
        numbers = numbers && json_is_number(v);
        if (i < ARRAY_LEN(a))
            a[i] = json_number_value(v);
    }
    if (!numbers || (given != needed && !(is_range && given == 3))) {
        err_set(err, ERR_USAGE, "%s needs %zu numbers (%s, %s%s%s)", f->name, needed,
                f->args[0], f->args[1],
                f->args[2] ? ", "
                : is_range ? ", then a step"
                           : "",
                f->args[2] ? f->args[2] : "");
        return NULL;
    }
    if (is_range)
        return expand_range(a, given, err);
    json_t *spec = json_pack("{s:s}", "distribution", f->distribution);
    for (size_t i = 0; i < needed; i++)
        json_object_set(spec, f->args[i], json_array_get(list, i));
    return spec;
}

/* What a word's right side says: {value}, {values} or a range. New reference. */
static json_t *read_spec(const char *text, struct err *err)
{
    const struct function *f = NULL;
    char *inside = NULL;
    json_t *spec = NULL;
    int found = find_function(text, &f, &inside, err);
    json_t *list = found < 0 ? NULL : split_values(found ? inside : text, err);
    if (list && found)
        spec = call(f, list, err);
    else if (list && json_array_size(list) == 1)
        spec = json_pack("{s:O}", "value", json_array_get(list, 0));
    else if (list)
        spec = json_pack("{s:O}", "values", list);
    free(inside);
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

/* A goal of `until` takes the place of another. */
static void drop_other_goals(json_t *home, const char *key)
{
    static const char *const goals[] = {"regret", "chance", "decided"};
    bool is_goal = false;
    for (size_t i = 0; i < ARRAY_LEN(goals); i++)
        is_goal |= str_eq(key, goals[i]);
    for (size_t i = 0; is_goal && i < ARRAY_LEN(goals); i++)
        json_object_del(home, goals[i]);
}

/* The mapping that a word with a dot changes; what else was there is replaced. */
static json_t *section_home(json_t *root, const char *section, const char *key)
{
    json_t *home = json_object_get(root, section);
    if (!json_is_object(home)) {
        json_object_set_new(root, section, json_object());
        home = json_object_get(root, section);
    }
    if (str_eq(section, "until"))
        drop_other_goals(home, key);
    return home;
}

/* `budget.max_trials=50`, `seeds=0,1`. */
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
        json_t *home = dot ? section_home(root, section, dot + 1) : root;
        json_object_set(home, dot ? dot + 1 : name, value);
    }
    json_decref(list);
    free(section);
    return rc;
}

/* A parameter, else a key of the sweep. */
static int remove_key(json_t *root, const char *name, struct err *err)
{
    const char *key = str_has_prefix(name, TOP_LEVEL) ? name + strlen(TOP_LEVEL) : name;
    if (key == name && json_object_del(json_object_get(root, "parameters"), name) == 0)
        return 0;
    if (opt_find(&sweep_top_table, key) && json_object_del(root, key) == 0)
        return 0;
    return err_set(err, ERR_USAGE, "'~%s': no such parameter", name);
}

int sweep_override(json_t *root, const char *word, struct err *err)
{
    json_t *params = json_object_get(root, "parameters");
    const char *equals = strchr(word, '=');
    if (*word == '~')
        return remove_key(root, word + 1, err);
    bool add = *word == '+';
    const char *start = word + add;
    if (!equals || equals <= start)
        return err_set(err, ERR_USAGE,
                       "'%s' is no override: write key=value, +key=value or ~key", word);
    char *name = xstrndup(start, (size_t)(equals - start));
    bool is_param = add || json_object_get(params, name);
    const char *key =
        !add && str_has_prefix(name, TOP_LEVEL) ? name + strlen(TOP_LEVEL) : name;
    int rc = is_param ? set_param(params, name, equals + 1, err)
                      : set_section(root, key, equals + 1, err);
    free(name);
    return rc;
}
