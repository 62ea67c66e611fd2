/* runner/chat/functions.c - the functions that a template may call; see routine.h. */
#include "lib/mem.h"
#include "runner/chat/run.h"
#include <stdlib.h>
#include <string.h>

#define RANGE_MAX 100000 /* as jinja2's sandbox */

/* The text itself is the message: users know it from the template. */
static int fn_raise_exception(struct run *r, struct call *c, struct value *out)
{
    int rc = value_to_string(r, c->at[0], out);
    return rc < 0 ? rc : err_set(r->err, ERR_PARSE, "%s", out->s->text);
}

static int fn_range(struct run *r, struct call *c, struct value *out)
{
    for (size_t i = 0; i < c->n; i++)
        if (!value_is_int(c->at[i]))
            return c->at[i].kind == V_UNDEFINED
                       ? run_undefined(r, c->at[i])
                       : run_error(r, "range wants integers, not %s",
                                   value_type(c->at[i]));
    bool one = c->n == 1;
    __int128 start = one ? 0 : value_as_int(c->at[0]);
    __int128 stop = value_as_int(c->at[!one]);
    __int128 step = c->n > 2 ? value_as_int(c->at[2]) : 1;
    if (step == 0)
        return run_error(r, "range: a step of zero");
    __int128 n =
        step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step;
    n = n < 0 ? 0 : n;
    if (n > RANGE_MAX)
        return run_error(r, "range: more than %d numbers", RANGE_MAX);
    struct range *g = run_take(r, sizeof *g);
    if (!g)
        return -ERR_PARSE;
    *g = (struct range){(int64_t)start, (int64_t)stop, (int64_t)step, (int64_t)n};
    *out = (struct value){.kind = V_RANGE, .range = g};
    return 0;
}

/* Pairs of a dict, or a list of pairs. */
static int put_all(struct run *r, struct dict *d, struct value from)
{
    struct list *items, *pair;
    int rc = 0;
    if (from.kind == V_DICT) {
        for (size_t i = 0; i < from.dict->n && rc >= 0; i++)
            rc = dict_put(r, d, from.dict->at[i].key, from.dict->at[i].value);
        return rc;
    }
    rc = value_items(r, from, &items);
    for (size_t i = 0; rc >= 0 && i < items->n; i++) {
        if ((rc = value_items(r, items->at[i], &pair)) < 0)
            break;
        rc = pair->n == 2 ? dict_put(r, d, pair->at[0], pair->at[1])
                          : run_error(r, "a dict is made of pairs");
    }
    return rc;
}

static int made_dict(struct run *r, struct call *c, struct dict **out)
{
    struct dict *d = *out = run_take(r, sizeof *d);
    int rc = d ? 0 : -ERR_PARSE;
    if (c->n > 1)
        return run_error(r, "at most one argument without a name");
    if (rc >= 0 && c->n == 1)
        rc = put_all(r, d, c->at[0]);
    for (size_t i = 0; i < c->n_named && rc >= 0; i++)
        rc = dict_put(r, d, value_string(c->name[i]), c->named[i]);
    return rc;
}

static int fn_dict(struct run *r, struct call *c, struct value *out)
{
    struct dict *d;
    int rc = made_dict(r, c, &d);
    *out = (struct value){.kind = V_DICT, .dict = d};
    return rc;
}

static int fn_namespace(struct run *r, struct call *c, struct value *out)
{
    struct dict *d;
    int rc = made_dict(r, c, &d);
    for (size_t i = 0; rc >= 0 && i < d->n; i++)
        if (d->at[i].key.kind != V_STRING || d->at[i].key.s->text[0] == '_')
            return run_error(r, "a namespace's attribute is a name without '_' in front");
    *out = (struct value){.kind = V_NAMESPACE, .dict = d};
    return rc;
}

/* A clock without zone or parts of a second: what strftime makes of these is nothing and
 * zeros. */
static void put_format(struct buf *b, const char *format)
{
    for (const char *f = format; *f; f++) {
        if (f[0] == '%' && f[1] == 'f')
            buf_str_add(b, "000000");
        else if (!(f[0] == '%' && (f[1] == 'z' || f[1] == 'Z')))
            buf_add(b, f, f[0] == '%' && f[1] ? 2 : 1);
        f += f[0] == '%' && f[1];
    }
}

static int fn_strftime_now(struct run *r, struct call *c, struct value *out)
{
    char text[1024];
    struct buf format = BUF_INIT;
    if (c->at[0].kind != V_STRING)
        return run_error(r, "strftime_now wants a str, not %s", value_type(c->at[0]));
    if (c->at[0].s->bytes > 200)
        return run_error(r, "strftime_now: the format is longer than 200 bytes");
    put_format(&format, c->at[0].s->text);
    /* A blank in front, since an empty result and none look the same. */
    char *spaced = xasprintf(" %s", buf_str(&format));
    size_t n = strftime(text, sizeof text, spaced, r->now);
    free(spaced);
    buf_release(&format);
    return n ? run_string(r, text + 1, n - 1, out)
             : run_error(r, "strftime_now: the result is too long");
}

const struct routine *jinja_function(const struct string *name)
{
    static const struct routine rows[] = {
        {"dict", "*", 0, fn_dict, 0},
        {"namespace", "*", 0, fn_namespace, 0},
        {"raise_exception", "message", 1, fn_raise_exception, 0},
        {"range", "start stop step", 1, fn_range, 0},
        {"strftime_now", "format", 1, fn_strftime_now, 0},
    };
    return routine_in(rows, ARRAY_LEN(rows), name);
}
