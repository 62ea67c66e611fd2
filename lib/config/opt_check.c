/* lib/config/opt_check.c - see opt.h: values checked against a row and put into normal
 * form. */
#include "lib/config/opt.h"
#include "lib/config/opt_parts.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 60

/* The value as a person wrote it: 'text' or JSON, cut between letters when it is long. */
static char *shown(const json_t *v)
{
    struct buf b = BUF_INIT;
    if (json_is_string(v)) {
        char *clean = str_clean(json_string_value(v), json_string_length(v));
        buf_str_add(&b, clean);
        free(clean);
    } else {
        json_canonical(&b, v);
    }
    const char *text = buf_str(&b);
    size_t n = b.len;
    if (n > SHOWN_MAX)
        for (n = SHOWN_MAX; (text[n] & 0xc0) == 0x80;)
            n--;
    const char *quote = json_is_string(v) ? "'" : "";
    char *out =
        xasprintf("%s%.*s%s%s", quote, (int)n, text, quote, n < b.len ? "..." : "");
    buf_release(&b);
    return out;
}

static json_t *wrong(const struct opt_def *def, const char *expected, const json_t *v,
                     struct err *err)
{
    char *got = shown(v);
    err_set(err, ERR_CONFIG, "%s must be %s, got %s", def->key, expected, got);
    free(got);
    return NULL;
}

static json_t *check_range(const struct opt_def *def, double x, json_t *v,
                           struct err *err)
{
    bool bounded = def->min != def->max;
    if (!bounded || (x >= def->min && x <= def->max))
        return v;
    char expected[96];
    /* 15 digits show bounds such as 4294967295 as they are. */
    if (def->max > 9e15)
        snprintf(expected, sizeof expected, "at least %.15g", def->min);
    else if (def->min < -9e15)
        snprintf(expected, sizeof expected, "at most %.15g", def->max);
    else
        snprintf(expected, sizeof expected, "%.15g..%.15g", def->min, def->max);
    wrong(def, expected, v, err);
    json_decref(v);
    return NULL;
}

static json_t *check_int(const struct opt_def *def, const json_t *v, struct err *err)
{
    double x = json_number_value(v);
    if (!json_is_number(v) || x != trunc(x) || (json_is_real(v) && fabs(x) >= 0x1p53))
        return wrong(def, "an integer", v, err);
    json_int_t i = json_is_integer(v) ? json_integer_value(v) : (json_int_t)x;
    return check_range(def, x, json_integer(i), err);
}

static json_t *check_float(const struct opt_def *def, const json_t *v, struct err *err)
{
    if (!json_is_number(v))
        return wrong(def, "a number", v, err);
    double x = json_number_value(v);
    return check_range(def, x, json_real(x), err);
}

static json_t *check_text(const struct opt_def *def, const json_t *v, struct err *err)
{
    if (json_is_number(v) || json_is_boolean(v))
        return wrong(def, "text (put it in quotes)", v, err);
    if (!json_is_string(v))
        return wrong(def, "text", v, err);
    if (def->type == OPT_PATH && json_string_length(v) == 0)
        return wrong(def, "a path", v, err);
    return json_incref((json_t *)v);
}

static json_t *wrong_choice(const struct opt_def *def, const json_t *v, const char *text,
                            struct err *err)
{
    struct buf expected = BUF_INIT;
    buf_str_add(&expected, "one of ");
    const char *entry, *near = NULL;
    size_t len, least = SIZE_MAX;
    char *names[64];
    size_t count = 0;
    for (; count < ARRAY_LEN(names) && opt_list_entry(def->choices, count, &entry, &len);
         count++) {
        const char *equals = memchr(entry, '=', len);
        names[count] = xstrndup(entry, equals ? (size_t)(equals - entry) : len);
        buf_printf(&expected, "%s%s", count ? ", " : "", names[count]);
        if (str_nearest(text, (const char *const *)&names[count], 1) &&
            str_distance(text, names[count]) < least) {
            least = str_distance(text, names[count]);
            near = names[count];
        }
    }
    char *got = shown(v);
    err_set(err, ERR_CONFIG, "%s must be %s, got %s%s%s%s", def->key, buf_str(&expected),
            got, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    free(got);
    buf_release(&expected);
    while (count > 0)
        free(names[--count]);
    return NULL;
}

/* Choices such as "true|false|auto" or "4|8" may come as YAML words of another type. */
static json_t *check_choice(const struct opt_def *def, const json_t *v, struct err *err)
{
    if (json_is_array(v) || json_is_object(v))
        return wrong(def, "a word", v, err);
    struct buf word = BUF_INIT;
    if (json_is_string(v))
        buf_str_add(&word, json_string_value(v));
    else
        json_canonical(&word, v);
    const char *text = buf_str(&word), *entry;
    size_t len;
    json_t *out = NULL;
    for (size_t i = 0; !out && opt_list_entry(def->choices, i, &entry, &len); i++) {
        const char *equals = memchr(entry, '=', len);
        size_t name = equals ? (size_t)(equals - entry) : len;
        bool same = strlen(text) == name && !memcmp(text, entry, name);
        for (const char *p = equals; !same && p;) {
            size_t rest = len - (size_t)(++p - entry);
            const char *next = memchr(p, '=', rest);
            size_t n = next ? (size_t)(next - p) : rest;
            same = strlen(text) == n && !memcmp(text, p, n);
            p = next;
        }
        if (same)
            out = json_stringn(entry, name);
    }
    if (!out)
        wrong_choice(def, v, text, err);
    buf_release(&word);
    return out;
}

static json_t *check_names(const struct opt_def *def, const json_t *v, struct err *err)
{
    bool ok = json_is_string(v) || json_is_array(v);
    for (size_t i = 0; ok && json_is_array(v) && i < json_array_size(v); i++)
        ok = json_is_string(json_array_get(v, i));
    return ok ? json_incref((json_t *)v)
              : wrong(def, "a name or a list of names", v, err);
}

static json_t *check_list(const struct opt_def *def, const json_t *v, struct err *err,
                          json_t *(*check)(const struct opt_def *, const json_t *,
                                           struct err *))
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(v); i++) {
        json_t *item = check(def, json_array_get(v, i), err);
        if (!item) {
            json_decref(out);
            return NULL;
        }
        json_array_append_new(out, item);
    }
    return out;
}

static json_t *check_ints(const struct opt_def *def, const json_t *v, struct err *err)
{
    if (json_is_array(v))
        return check_list(def, v, err, check_int);
    if (!json_is_number(v))
        return wrong(def, "an integer or a list of integers", v, err);
    return check_int(def, v, err);
}

static json_t *check_map(const struct opt_def *def, const json_t *v, struct err *err)
{
    if (!json_is_object(v))
        return wrong(def, "a map of numbers such as {name: 8}", v, err);
    json_t *out = json_object();
    for (void *it = json_object_iter((json_t *)v); it;
         it = json_object_iter_next((json_t *)v, it)) {
        const json_t *x = json_object_iter_value(it);
        json_t *kept =
            json_is_number(x)
                ? check_range(def, json_number_value(x), json_incref((json_t *)x), err)
                : wrong(def, "a map of numbers such as {name: 8}", v, err);
        if (!kept) {
            json_decref(out);
            return NULL;
        }
        json_object_set_new(out, json_object_iter_key(it), kept);
    }
    return out;
}

static json_t *check_bool(const struct opt_def *def, const json_t *v, struct err *err)
{
    return json_is_boolean(v) ? json_incref((json_t *)v)
                              : wrong(def, "true or false", v, err);
}

static json_t *check_any(const struct opt_def *def, const json_t *v, struct err *err)
{
    (void)def;
    (void)err;
    return json_incref((json_t *)v);
}

static json_t *(*const checks[])(const struct opt_def *, const json_t *, struct err *) = {
    [OPT_BOOL] = check_bool,   [OPT_INT] = check_int,       [OPT_FLOAT] = check_float,
    [OPT_STRING] = check_text, [OPT_CHOICE] = check_choice, [OPT_PATH] = check_text,
    [OPT_NAMES] = check_names, [OPT_INTS] = check_ints,     [OPT_MAP] = check_map,
    [OPT_ANY] = check_any,
};

json_t *opt_check(const struct opt_def *def, const json_t *value, struct err *err)
{
    if (json_is_null(value) && !(def->flags & OPT_REQUIRED))
        return json_null();
    if (json_is_null(value)) {
        err_set(err, ERR_CONFIG, "%s is required", def->key);
        return NULL;
    }
    if (!(def->flags & OPT_REPEATED))
        return checks[def->type](def, value, err);
    if (json_is_array(value))
        return check_list(def, value, err, checks[def->type]);
    json_t *one = json_array();
    json_array_append(one, (json_t *)value);
    json_t *out = check_list(def, one, err, checks[def->type]);
    json_decref(one);
    return out;
}
