/* tests/unit/support/golden_rows.h - rows of reference numbers: a file is a list of
 * {"input", "expected", "tolerance"}. A row goes by its `fn` (else the file's name) to a
 * handler that answers with an object; each expected key must be in it. A function
 * without a handler fails. PEFTLAB_GOLDEN names another folder of such files: there a
 * file that is not there is skipped, and a set for more than the program computes is
 * judged by what both know. */
#ifndef TESTS_GOLDEN_ROWS_H
#define TESTS_GOLDEN_ROWS_H

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct handler {
    const char *fn;
    void (*attempt)(const json_t *in, json_t *out);
};
/* The test's own, ends with {NULL, NULL}. */
extern const struct handler handlers[];

/* ---- reading a row ---- */

/* Numbers of one row, freed after it. */
static double *kept[256];
static size_t kept_count;

static inline void *keep(void *p)
{
    assert_true(kept_count < ARRAY_LEN(kept));
    kept[kept_count++] = p;
    return p;
}

/* A number, a word for one, or null (missing: NaN). */
static inline double value_of(const json_t *v)
{
    const char *word = json_string_value(v);
    if (word)
        return *word == 'N' ? NAN : *word == '-' ? -INFINITY : INFINITY;
    if (json_is_boolean(v))
        return json_is_true(v);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static inline double num(const json_t *in, const char *key)
{
    const json_t *v = json_object_get(in, key);
    if (!json_is_number(v))
        fail_msg("the row has no number '%s'", key);
    return json_number_value(v);
}

static inline size_t count(const json_t *in, const char *key)
{
    return (size_t)num(in, key);
}

static inline size_t length(const json_t *in, const char *key)
{
    return json_array_size(json_object_get(in, key));
}

/* A list, or a list of rows one after the other. */
static inline double *list(const json_t *in, const char *key)
{
    const json_t *rows = json_object_get(in, key), *row;
    size_t n = 0, i;
    assert_true(json_is_array(rows));
    json_array_foreach(rows, i, row) n += json_is_array(row) ? json_array_size(row) : 1;
    double *out = keep(xcalloc(n + 1, sizeof *out)), *at = out;
    json_array_foreach(rows, i, row)
    {
        for (size_t k = 0; k < json_array_size(row); k++)
            *at++ = value_of(json_array_get(row, k));
        if (!json_is_array(row))
            *at++ = value_of(row);
    }
    return out;
}

static inline size_t *whole_list(const json_t *in, const char *key)
{
    size_t n = length(in, key), *out = keep(xcalloc(n + 1, sizeof *out));
    double *x = list(in, key);
    for (size_t i = 0; i < n; i++)
        out[i] = (size_t)x[i];
    return out;
}

static inline bool minimized(const json_t *in)
{
    return str_eq(json_get_str(in, "goal", ""), "minimize");
}

/* ---- answering ---- */

static inline void put(json_t *out, const char *key, double v)
{
    json_object_set_new(out, key, isnan(v) ? json_null() : json_number_or_word(v));
}

static inline void put_list(json_t *out, const char *key, const double *v, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, isnan(v[i]) ? json_null() : json_number_or_word(v[i]));
    json_object_set_new(out, key, a);
}

static inline void put_interval(json_t *out, const char *low, const char *high,
                                struct stat_interval i)
{
    put(out, low, i.low);
    put(out, high, i.high);
}

/* An index; none is null. */
static inline void put_index(json_t *out, const char *key, size_t i, size_t none)
{
    put(out, key, i == none ? NAN : (double)i);
}

/* ---- judging ---- */

/* A number within the tolerance, NaN and missing alike; all else equal. */
static inline bool agrees(const json_t *want, const json_t *got, const json_t *tolerance)
{
    const json_t *v;
    const char *key;
    size_t i;
    if (json_is_object(want)) {
        json_object_foreach(
            (json_t *)want, key,
            v) if (!agrees(v, json_object_get(got, key), tolerance)) return false;
        return json_is_object(got);
    }
    if (json_is_array(want)) {
        json_array_foreach(
            want, i, v) if (!agrees(v, json_array_get(got, i), tolerance)) return false;
        return json_array_size(got) == json_array_size(want);
    }
    if (!got)
        return false;
    if (json_is_number(want) && json_is_number(got)) {
        double w = json_number_value(want), g = json_number_value(got);
        double allowed = json_get_num(tolerance, "abs", 0) +
                         json_get_num(tolerance, "rel", 0) * fabs(w);
        return g == w || (!json_is_integer(want) && fabs(g - w) <= allowed);
    }
    if (str_eq(json_is_string(want) ? json_string_value(want) : "", "NaN"))
        return json_is_null(got);
    return json_equal((json_t *)want, (json_t *)got);
}

/* Of another set only the keys that the program answers. */
static inline void drop_unknown(json_t *want, const json_t *out)
{
    const char *key;
    json_t *v;
    void *next;
    json_object_foreach_safe(want, next, key, v)
    {
        if (!json_object_get(out, key))
            json_object_del(want, key);
    }
}

static inline void judge(const json_t *row, const char *otherwise, bool own)
{
    const json_t *in = json_object_get(row, "input");
    const char *fn = json_get_str(in, "fn", otherwise);
    json_t *out = json_object(), *want = json_object_get(row, "expected");
    size_t k = 0;
    while (handlers[k].fn && !str_eq(handlers[k].fn, fn))
        k++;
    if (!handlers[k].fn && own)
        fail_msg("no handler for '%s'", fn);
    if (!handlers[k].fn) {
        json_decref(out);
        return;
    }
    if (str_eq(fn, "importance")) /* who computed it is no result */
        json_object_del(want, "optuna");
    handlers[k].attempt(in, out);
    if (!own)
        drop_unknown(want, out);
    if (!agrees(want, out, json_object_get(row, "tolerance"))) {
        struct buf b = BUF_INIT;
        json_write(&b, row, 0);
        char *got = json_dumps(out, JSON_COMPACT | JSON_REAL_PRECISION(17));
        fail_msg("got %.900s for %.1500s", got, buf_str(&b));
    }
    json_decref(out);
    while (kept_count)
        free(kept[--kept_count]);
}

static inline void golden(void **state)
{
    const char *file = *state, *dir = getenv("PEFTLAB_GOLDEN");
    char *path = fs_join(dir ? dir : "tests/golden/stats", file);
    struct err err = ERR_INIT;
    json_t *rows = json_read_file(path, &err), *row;
    free(path);
    if (!rows && dir && err.code == ERR_NOINPUT)
        skip();
    if (!rows)
        fail_msg("%s", err.msg);
    size_t i;
    char *name = xstrndup(file, strlen(file) - strlen(".json"));
    json_array_foreach(rows, i, row) judge(row, name, !dir);
    assert_true(json_array_size(rows) > 0);
    json_decref(rows);
    free(name);
}

#endif
