/* runner/chat/compare.c - equality, order and membership, as in Python; see run.h. */
#include "runner/chat/run.h"
#include <string.h>

/* Values lie in one another as deep as the evaluation may go. */
static int deeper(struct run *r)
{
    return ++r->depth > JINJA_DEPTH_MAX
               ? run_error(r, "values more than %d levels in one another",
                           JINJA_DEPTH_MAX)
               : 0;
}

static int equal_lists(struct run *r, const struct list *a, const struct list *b,
                       bool *out)
{
    int rc = deeper(r);
    *out = a->n == b->n;
    for (size_t i = 0; i < a->n && *out && rc >= 0; i++)
        rc = value_equal(r, a->at[i], b->at[i], out);
    r->depth--;
    return rc;
}

static int equal_dicts(struct run *r, const struct dict *a, const struct dict *b,
                       bool *out)
{
    int rc = deeper(r);
    *out = a->n == b->n;
    for (size_t i = 0; i < a->n && *out && rc >= 0; i++) {
        const struct pair *other;
        if ((rc = dict_find(r, b, a->at[i].key, &other)) < 0)
            break;
        *out = other != NULL;
        if (other)
            rc = value_equal(r, a->at[i].value, other->value, out);
    }
    r->depth--;
    return rc;
}

static bool equal_strings(const struct string *a, const struct string *b)
{
    return a->bytes == b->bytes && memcmp(a->text, b->text, a->bytes) == 0;
}

int value_equal(struct run *r, struct value a, struct value b, bool *out)
{
    *out = false;
    if (value_is_int(a) && value_is_int(b))
        *out = value_as_int(a) == value_as_int(b);
    else if (value_is_number(a) && value_is_number(b))
        *out = value_as_float(a) == value_as_float(b);
    if (a.kind != b.kind || value_is_number(a))
        return 0;
    switch (a.kind) {
    case V_UNDEFINED:
    case V_NONE:
        *out = true;
        return 0;
    case V_STRING:
        *out = equal_strings(a.s, b.s);
        return run_work(r, *out ? a.s->bytes : 0);
    case V_LIST:
    case V_TUPLE:
        return equal_lists(r, a.list, b.list, out);
    case V_DICT:
        return equal_dicts(r, a.dict, b.dict, out);
    case V_RANGE:
        *out = a.range->n == b.range->n &&
               (a.range->n == 0 || (a.range->start == b.range->start &&
                                    (a.range->n == 1 || a.range->step == b.range->step)));
        return 0;
    default:
        *out = a.list == b.list; /* the same thing */
        return 0;
    }
}

static int compare_lists(struct run *r, const struct list *a, const struct list *b,
                         int *out)
{
    size_t n = a->n < b->n ? a->n : b->n;
    bool same = true;
    int rc = deeper(r);
    *out = (a->n > b->n) - (a->n < b->n);
    for (size_t i = 0; i < n && same && rc >= 0; i++)
        if ((rc = value_equal(r, a->at[i], b->at[i], &same)) >= 0 && !same)
            rc = value_compare(r, a->at[i], b->at[i], out);
    r->depth--;
    return rc;
}

int value_compare(struct run *r, struct value a, struct value b, int *out)
{
    if (value_is_int(a) && value_is_int(b)) {
        *out = (value_as_int(a) > value_as_int(b)) - (value_as_int(a) < value_as_int(b));
        return 0;
    }
    if (value_is_number(a) && value_is_number(b)) {
        double x = value_as_float(a), y = value_as_float(b);
        *out = (x > y) - (x < y);
        return 0;
    }
    if (a.kind == V_STRING && b.kind == V_STRING) {
        /* UTF-8 sorts as its code points do. */
        size_t n = a.s->bytes < b.s->bytes ? a.s->bytes : b.s->bytes;
        int c = memcmp(a.s->text, b.s->text, n);
        *out =
            c ? (c > 0) - (c < 0) : (a.s->bytes > b.s->bytes) - (a.s->bytes < b.s->bytes);
        return run_work(r, n);
    }
    if ((a.kind == V_LIST || a.kind == V_TUPLE) && a.kind == b.kind)
        return compare_lists(r, a.list, b.list, out);
    if (a.kind == V_UNDEFINED || b.kind == V_UNDEFINED)
        return run_undefined(r, a.kind == V_UNDEFINED ? a : b);
    return run_error(r, "%s and %s have no order", value_type(a), value_type(b));
}

int value_contains(struct run *r, struct value in, struct value what, bool *out)
{
    struct list *items;
    const struct pair *pair;
    int rc;
    *out = false;
    switch (in.kind) {
    case V_STRING:
        if (what.kind != V_STRING)
            return run_error(r, "'in' a str wants a str, not %s", value_type(what));
        *out = memmem(in.s->text, in.s->bytes, what.s->text, what.s->bytes) != NULL;
        return run_work(r, in.s->bytes);
    case V_DICT:
        rc = dict_find(r, in.dict, what, &pair);
        *out = rc >= 0 && pair;
        return rc;
    case V_NAMESPACE:
        return run_error(r, "'in' a namespace");
    default:
        if (value_items(r, in, &items) < 0)
            return -ERR_PARSE;
        rc = run_work(r, 0);
        for (size_t i = 0; i < items->n && !*out && rc >= 0; i++)
            if ((rc = run_work(r, 0)) >= 0)
                rc = value_equal(r, what, items->at[i], out);
        return rc;
    }
}

int value_compared(struct run *r, enum comparison op, struct value a, struct value b,
                   bool *out)
{
    int order = 0, rc;
    switch (op) {
    case C_EQ:
    case C_NE:
        rc = value_equal(r, a, b, out);
        *out = *out == (op == C_EQ);
        return rc;
    case C_IN:
    case C_NOT_IN:
        rc = value_contains(r, b, a, out);
        *out = *out == (op == C_IN);
        return rc;
    default:
        break;
    }
    rc = value_compare(r, a, b, &order);
    bool nan = value_is_number(a) && value_is_number(b) &&
               !(value_as_float(a) <= value_as_float(b) ||
                 value_as_float(a) > value_as_float(b));
    *out = !nan && (op == C_LT   ? order < 0
                    : op == C_LE ? order <= 0
                    : op == C_GT ? order > 0
                                 : order >= 0);
    return rc;
}
