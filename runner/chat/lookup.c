/* runner/chat/lookup.c - attributes, items, slices, lengths and dicts; see run.h. */
#include "runner/chat/run.h"
#include <string.h>

/* ---- dicts -------------------------------------------------------------------------- */

int dict_find(struct run *r, const struct dict *d, struct value key,
              const struct pair **out)
{
    int rc = run_work(r, d->n);
    *out = NULL;
    if (key.kind == V_LIST || key.kind == V_DICT)
        return run_error(r, "%s cannot be a key", value_type(key));
    for (size_t i = 0; i < d->n && rc >= 0; i++) {
        bool same = false;
        if (key.kind == V_STRING && d->at[i].key.kind == V_STRING)
            same = key.s->bytes == d->at[i].key.s->bytes &&
                   memcmp(key.s->text, d->at[i].key.s->text, key.s->bytes) == 0;
        else
            rc = value_equal(r, key, d->at[i].key, &same);
        if (same) {
            *out = &d->at[i];
            break;
        }
    }
    return rc;
}

int dict_put(struct run *r, struct dict *d, struct value key, struct value value)
{
    const struct pair *there;
    int rc = dict_find(r, d, key, &there);
    if (rc < 0)
        return rc;
    if (there) {
        d->at[there - d->at].value = value;
        return 0;
    }
    if (d->n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 4;
        struct pair *at = run_take(r, cap * sizeof *at);
        if (!at)
            return -ERR_PARSE;
        if (d->n)
            memcpy(at, d->at, d->n * sizeof *at);
        d->at = at;
        d->cap = cap;
    }
    d->at[d->n++] = (struct pair){key, value};
    return 0;
}

/* Keys, values, or pairs of them; V_UNDEFINED when memory is at its limit. */
struct value dict_list(struct run *r, const struct dict *d, bool keys, bool values)
{
    struct list *l = run_list(r, d->n);
    for (size_t i = 0; l && i < d->n; i++) {
        l->at[i] = keys ? d->at[i].key : d->at[i].value;
        if (keys && values) {
            struct list *pair = run_list(r, 2);
            if (!pair)
                return (struct value){.kind = V_UNDEFINED};
            pair->at[0] = d->at[i].key;
            pair->at[1] = d->at[i].value;
            l->at[i] = (struct value){.kind = V_TUPLE, .list = pair};
        }
    }
    return l ? (struct value){.kind = V_VIEW, .list = l}
             : (struct value){.kind = V_UNDEFINED};
}

/* ---- what may be gone through ------------------------------------------------------- */

static int chars_of(struct run *r, const struct string *s, struct list **out)
{
    struct list *l = *out = run_list(r, s->chars);
    int rc = l ? 0 : -ERR_PARSE;
    for (size_t i = 0, at = 0; rc >= 0 && i < s->chars; i++) {
        size_t begin = at;
        utf8_next(s->text, s->bytes, &at);
        rc = run_string(r, s->text + begin, at - begin, &l->at[i]);
    }
    return rc;
}

static int numbers_of(struct run *r, const struct range *g, struct list **out)
{
    struct list *l = *out = run_list(r, (size_t)g->n);
    for (int64_t i = 0; l && i < g->n; i++)
        l->at[i] = value_int(g->start + i * g->step);
    return l ? 0 : -ERR_PARSE;
}

int value_items(struct run *r, struct value v, struct list **out)
{
    switch (v.kind) {
    case V_UNDEFINED:
        return (*out = run_list(r, 0)) ? 0 : -ERR_PARSE;
    case V_STRING:
        return chars_of(r, v.s, out);
    case V_ITERATOR:
        *out = v.list->used ? run_list(r, 0) : v.list;
        v.list->used = true;
        return *out ? 0 : -ERR_PARSE;
    case V_LIST:
    case V_TUPLE:
    case V_VIEW:
        *out = v.list;
        return 0;
    case V_DICT:
        v = dict_list(r, v.dict, true, false);
        *out = v.list;
        return v.kind == V_VIEW ? 0 : -ERR_PARSE;
    case V_RANGE:
        return numbers_of(r, v.range, out);
    default:
        return run_error(r, "%s cannot be gone through", value_type(v));
    }
}

int value_length(struct run *r, struct value v, int64_t *out)
{
    switch (v.kind) {
    case V_UNDEFINED:
        *out = 0;
        return 0;
    case V_STRING:
        *out = (int64_t)v.s->chars;
        return 0;
    case V_LIST:
    case V_TUPLE:
    case V_VIEW:
        *out = (int64_t)v.list->n;
        return 0;
    case V_DICT:
        *out = (int64_t)v.dict->n;
        return 0;
    case V_RANGE:
        *out = v.range->n;
        return 0;
    default:
        return run_error(r, "%s has no length", value_type(v));
    }
}

/* ---- attributes --------------------------------------------------------------------- */

static int undefined_of(struct value of, const struct string *name, struct value *out)
{
    *out = (struct value){.kind = V_UNDEFINED, .of = of.kind, .s = name};
    return 0;
}

static int loop_attribute(struct run *r, const struct loop *l, const struct string *name,
                          struct value *out)
{
    const struct list *items = l->items.list;
    int64_t i = (int64_t)l->i, n = (int64_t)items->n;
    const struct {
        const char *name;
        struct value v;
    } rows[] = {
        {"index", value_int(i + 1)},
        {"index0", value_int(i)},
        {"first", value_bool(i == 0)},
        {"last", value_bool(i == n - 1)},
        {"length", value_int(n)},
        {"revindex", value_int(n - i)},
        {"depth", value_int(l->depth)},
        {"revindex0", value_int(n - i - 1)},
        {"depth0", value_int(l->depth - 1)},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        if (string_is(name, rows[k].name)) {
            *out = rows[k].v;
            return 0;
        }
    bool previous = string_is(name, "previtem");
    if (previous || string_is(name, "nextitem")) {
        *out = (struct value){.kind = V_UNDEFINED};
        if (previous ? i > 0 : i < n - 1)
            *out = items->at[previous ? i - 1 : i + 1];
        return 0;
    }
    return run_error(r, "'loop.%s' is not supported", name->text);
}

/* A method, or an error where Python has one that is not here. */
static int method_of(struct run *r, struct value of, const struct string *name,
                     struct value *out)
{
    bool known = false;
    const struct routine *row = jinja_method(of.kind, name, &known);
    if (known)
        return run_error(r, "method '%s' of %s is not supported", name->text,
                         value_type(of));
    if (!row)
        return undefined_of(of, name, out);
    struct bound_method *m = run_take(r, sizeof *m);
    if (!m)
        return -ERR_PARSE;
    *m = (struct bound_method){of, row};
    *out = (struct value){.kind = V_METHOD, .method = m};
    return 0;
}

static int key_of(struct run *r, const struct dict *d, struct value key, bool *found,
                  struct value *out)
{
    const struct pair *pair;
    int rc = dict_find(r, d, key, &pair);
    *found = rc >= 0 && pair;
    if (*found)
        *out = pair->value;
    return rc;
}

int value_attribute(struct run *r, struct value of, const struct string *name,
                    struct value *out)
{
    bool found = false;
    int rc;
    switch (of.kind) {
    case V_UNDEFINED:
        return run_undefined(r, of);
    case V_LOOP:
        return loop_attribute(r, of.loop, name, out);
    case V_NAMESPACE:
        rc = key_of(r, of.dict, value_string(name), &found, out);
        return found || rc < 0 ? rc : undefined_of(of, name, out);
    default:
        break;
    }
    /* A dict's method comes before its key of that name. */
    rc = method_of(r, of, name, out);
    if (rc >= 0 && out->kind == V_UNDEFINED && of.kind == V_DICT)
        rc = key_of(r, of.dict, value_string(name), &found, out);
    return rc;
}

/* ---- items and slices --------------------------------------------------------------- */

static int at_number(struct run *r, struct value of, int64_t i, struct value *out)
{
    int64_t n = 0;
    if (value_length(r, of, &n) < 0)
        return -ERR_PARSE;
    i += i < 0 ? n : 0;
    if (i < 0 || i >= n) {
        *out = (struct value){.kind = V_UNDEFINED, .of = of.kind};
        return 0;
    }
    if (of.kind == V_RANGE) {
        *out = value_int(of.range->start + i * of.range->step);
        return 0;
    }
    if (of.kind != V_STRING) {
        *out = of.list->at[i];
        return 0;
    }
    size_t begin = string_offset(of.s, (size_t)i), end = begin;
    int rc = run_work(r, of.s->chars == of.s->bytes ? 0 : begin);
    utf8_next(of.s->text, of.s->bytes, &end);
    if (rc >= 0)
        rc = run_string(r, of.s->text + begin, end - begin, out);
    out->safe = rc >= 0 && of.safe;
    return rc;
}

int value_item(struct run *r, struct value of, struct value which, struct value *out)
{
    bool found = false, numbered = of.kind == V_LIST || of.kind == V_TUPLE ||
                                   of.kind == V_STRING || of.kind == V_RANGE;
    if (of.kind == V_UNDEFINED)
        return run_undefined(r, of);
    if (numbered && value_is_int(which))
        return at_number(r, of, value_as_int(which), out);
    if (of.kind == V_DICT && which.kind != V_LIST && which.kind != V_DICT) {
        int rc = key_of(r, of.dict, which, &found, out);
        if (rc < 0 || found)
            return rc;
    }
    if (which.kind != V_STRING) {
        *out = (struct value){.kind = V_UNDEFINED, .of = of.kind};
        return 0;
    }
    return of.kind == V_LOOP || of.kind == V_NAMESPACE
               ? value_attribute(r, of, which.s, out)
               : method_of(r, of, which.s, out);
}

/* Python's slice.indices: start, stop and step for n items. */
static int slice_bounds(struct run *r, const struct value part[3], int64_t n,
                        int64_t bound[3])
{
    for (int i = 0; i < 3; i++)
        if (part[i].kind != V_NONE && !value_is_int(part[i]))
            return part[i].kind == V_UNDEFINED
                       ? run_undefined(r, part[i])
                       : run_error(r, "a slice's ends are integers, not %s",
                                   value_type(part[i]));
    int64_t step = part[2].kind == V_NONE ? 1 : value_as_int(part[2]);
    if (step == 0)
        return run_error(r, "a slice's step is zero");
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    for (int i = 0; i < 2; i++) {
        int64_t v = (i == 0) == (step > 0) ? low : high;
        if (part[i].kind != V_NONE) {
            v = value_as_int(part[i]);
            v += v < 0 ? n : 0;
            v = v < low ? low : v > high ? high : v;
        }
        bound[i] = v;
    }
    bound[2] = step > n ? n + 1 : step < -n ? -n - 1 : step;
    return 0;
}

static int64_t slice_count(const int64_t b[3])
{
    if (b[2] > 0)
        return b[1] > b[0] ? (b[1] - b[0] - 1) / b[2] + 1 : 0;
    return b[0] > b[1] ? (b[0] - b[1] - 1) / -b[2] + 1 : 0;
}

static int slice_string(struct run *r, struct value of, const int64_t b[3],
                        struct value *out)
{
    const struct string *s = of.s;
    size_t mark = r->out->text.len;
    int64_t n = slice_count(b);
    int rc = run_work(r, s->bytes);
    if (rc >= 0 && b[2] == 1 && n > 0) {
        size_t begin = string_offset(s, (size_t)b[0]);
        rc = run_string(r, s->text + begin, string_offset(s, (size_t)b[1]) - begin, out);
    } else if (rc >= 0 && (s->chars == s->bytes || n == 0)) {
        for (int64_t i = 0, at = b[0]; i < n; i++, at += b[2])
            buf_char(&r->out->text, s->text[at]);
        rc = run_cut(r, mark, out);
    } else if (rc >= 0) {
        struct list *chars;
        rc = chars_of(r, s, &chars);
        for (int64_t i = 0, at = b[0]; i < n && rc >= 0; i++, at += b[2])
            buf_add(&r->out->text, chars->at[at].s->text, chars->at[at].s->bytes);
        if (rc >= 0)
            rc = run_cut(r, mark, out);
    }
    out->safe = rc >= 0 && of.safe;
    return rc;
}

int value_slice(struct run *r, struct value of, const struct value part[3],
                struct value *out)
{
    int64_t n = 0, b[3];
    struct list *items;
    if (of.kind == V_UNDEFINED)
        return run_undefined(r, of);
    if (of.kind != V_STRING && of.kind != V_LIST && of.kind != V_TUPLE &&
        of.kind != V_RANGE)
        return run_error(r, "%s has no slices", value_type(of));
    if (value_length(r, of, &n) < 0 || slice_bounds(r, part, n, b) < 0)
        return -ERR_PARSE;
    if (of.kind == V_STRING)
        return slice_string(r, of, b, out);
    struct list *l = run_list(r, (size_t)slice_count(b));
    if (!l || value_items(r, of, &items) < 0)
        return -ERR_PARSE;
    for (size_t i = 0; i < l->n; i++)
        l->at[i] = items->at[b[0] + (int64_t)i * b[2]];
    *out = (struct value){.kind = of.kind == V_TUPLE ? V_TUPLE : V_LIST, .list = l};
    return 0;
}
