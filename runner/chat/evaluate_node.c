/* runner/chat/evaluate_node.c - runs a template's expressions; see run.h. */
#include "lib/mem.h"
#include "runner/chat/run.h"
#include <math.h>
#include <string.h>

/* ---- arithmetic --------------------------------------------------------------------- */

static int wrong_types(struct run *r, const char *op, struct value a, struct value b)
{
    if (a.kind == V_UNDEFINED)
        return run_undefined(r, a);
    if (b.kind == V_UNDEFINED)
        return run_undefined(r, b);
    return run_error(r, "'%s' of %s and %s", op, value_type(a), value_type(b));
}

static int joined_lists(struct run *r, struct value a, struct value b, struct value *out)
{
    struct list *l = run_list(r, a.list->n + b.list->n);
    if (!l)
        return -ERR_PARSE;
    memcpy(l->at, a.list->at, a.list->n * sizeof l->at[0]);
    memcpy(l->at + a.list->n, b.list->at, b.list->n * sizeof l->at[0]);
    *out = (struct value){.kind = a.kind, .list = l};
    return 0;
}

/* What stands beside a |safe string is escaped, as markupsafe does it. */
static int joined_strings(struct run *r, struct value a, struct value b,
                          struct value *out)
{
    struct buf *text = &r->out->text;
    size_t mark = text->len;
    const struct value part[2] = {a, b};
    bool safe = a.safe || b.safe;
    for (int i = 0; i < 2; i++)
        if (safe && !part[i].safe)
            escape_html(text, part[i].s->text, part[i].s->bytes);
        else
            buf_add(text, part[i].s->text, part[i].s->bytes);
    int rc = run_cut(r, mark, out);
    if (rc >= 0)
        out->safe = safe;
    return rc;
}

static int int_result(struct run *r, bool overflow, int64_t i, struct value *out)
{
    *out = value_int(i);
    return overflow ? run_error(r, "an integer is too large") : 0;
}

int value_add(struct run *r, struct value a, struct value b, struct value *out)
{
    int64_t i = 0;
    if (a.kind == V_STRING && b.kind == V_STRING)
        return joined_strings(r, a, b, out);
    if (value_is_int(a) && value_is_int(b)) {
        bool over = __builtin_add_overflow(value_as_int(a), value_as_int(b), &i);
        return int_result(r, over, i, out);
    }
    if (value_is_number(a) && value_is_number(b)) {
        *out = value_float(value_as_float(a) + value_as_float(b));
        return 0;
    }
    if ((a.kind == V_LIST || a.kind == V_TUPLE) && a.kind == b.kind)
        return joined_lists(r, a, b, out);
    return wrong_types(r, "+", a, b);
}

static int subtract(struct run *r, struct value a, struct value b, struct value *out)
{
    int64_t i = 0;
    if (value_is_int(a) && value_is_int(b)) {
        bool over = __builtin_sub_overflow(value_as_int(a), value_as_int(b), &i);
        return int_result(r, over, i, out);
    }
    if (!value_is_number(a) || !value_is_number(b))
        return wrong_types(r, "-", a, b);
    *out = value_float(value_as_float(a) - value_as_float(b));
    return 0;
}

/* The result has the sign of the divisor. */
static int modulo(struct run *r, struct value a, struct value b, struct value *out)
{
    if (a.kind == V_STRING)
        return run_error(r, "'%%' of a string is not supported");
    if (!value_is_number(a) || !value_is_number(b))
        return wrong_types(r, "%", a, b);
    if (value_as_float(b) == 0)
        return run_error(r, "modulo by zero");
    if (value_is_int(a) && value_is_int(b)) {
        int64_t d = value_as_int(b), m = d == -1 ? 0 : value_as_int(a) % d;
        *out = value_int(m != 0 && (m < 0) != (d < 0) ? m + d : m);
        return 0;
    }
    double d = value_as_float(b), m = fmod(value_as_float(a), d);
    if (m != 0 && (m < 0) != (d < 0))
        m += d;
    *out = value_float(m == 0 ? copysign(0, d) : m);
    return 0;
}

static int negate(struct run *r, struct value a, struct value *out)
{
    if (value_is_int(a)) {
        int64_t i = 0;
        bool overflow = __builtin_sub_overflow((int64_t)0, value_as_int(a), &i);
        return int_result(r, overflow, i, out);
    }
    if (a.kind == V_UNDEFINED)
        return run_undefined(r, a);
    if (a.kind != V_FLOAT)
        return run_error(r, "'-' of %s", value_type(a));
    *out = value_float(-a.d);
    return 0;
}

static int binary(struct run *r, const struct node *n, struct value *out)
{
    struct value a, b;
    int rc = jinja_evaluate(r, n->a, &a);
    if (rc >= 0)
        rc = jinja_evaluate(r, n->b, &b);
    if (rc < 0)
        return rc;
    r->at = n;
    switch (n->kind) {
    case N_ADD:
        return value_add(r, a, b, out);
    case N_SUBTRACT:
        return subtract(r, a, b, out);
    default:
        return modulo(r, a, b, out);
    }
}

/* ---- comparison, choice ------------------------------------------------------------- */

static int compare_chain(struct run *r, const struct node *n, struct value *out)
{
    struct value left, right;
    bool holds = true;
    int rc = jinja_evaluate(r, n->a, &left);
    for (uint32_t i = n->b; i && rc >= 0 && holds; i = r->j->nodes[i].next) {
        const struct node *c = &r->j->nodes[i];
        if ((rc = jinja_evaluate(r, c->a, &right)) >= 0) {
            r->at = c;
            rc = value_compared(r, (enum comparison)c->op, left, right, &holds);
        }
        left = right;
    }
    *out = value_bool(holds);
    return rc;
}

static int choice(struct run *r, const struct node *n, struct value *out)
{
    struct value condition;
    int rc = jinja_evaluate(r, n->b, &condition);
    if (rc < 0)
        return rc;
    if (value_truth(condition))
        return jinja_evaluate(r, n->a, out);
    if (n->c)
        return jinja_evaluate(r, n->c, out);
    *out = (struct value){.kind = V_UNDEFINED};
    return 0;
}

/* and, or give one of their operands. */
static int either(struct run *r, const struct node *n, struct value *out)
{
    int rc = jinja_evaluate(r, n->a, out);
    if (rc >= 0 && value_truth(*out) == (n->kind == N_AND))
        rc = jinja_evaluate(r, n->b, out);
    return rc;
}

/* ---- lists, dicts, strings ---------------------------------------------------------- */

static int items_of(struct run *r, const struct node *n, struct value *out)
{
    size_t count = 0;
    int rc = 0;
    for (uint32_t i = n->a; i; i = r->j->nodes[i].next)
        count++;
    struct list *l = run_list(r, count);
    if (!l)
        return -ERR_PARSE;
    count = 0;
    for (uint32_t i = n->a; i && rc >= 0; i = r->j->nodes[i].next)
        rc = jinja_evaluate(r, i, &l->at[count++]);
    *out = (struct value){.kind = n->kind == N_LIST ? V_LIST : V_TUPLE, .list = l};
    return rc;
}

static int dict_of(struct run *r, const struct node *n, struct value *out)
{
    struct dict *d = run_take(r, sizeof *d);
    int rc = d ? 0 : -ERR_PARSE;
    for (uint32_t i = n->a; i && rc >= 0; i = r->j->nodes[r->j->nodes[i].next].next) {
        struct value key, value;
        if ((rc = jinja_evaluate(r, i, &key)) >= 0 &&
            (rc = jinja_evaluate(r, r->j->nodes[i].next, &value)) >= 0) {
            r->at = n;
            rc = dict_put(r, d, key, value);
        }
    }
    *out = (struct value){.kind = V_DICT, .dict = d};
    return rc;
}

static int concat(struct run *r, const struct node *n, struct value *out)
{
    size_t count = 0, k = 0;
    int rc = 0;
    for (uint32_t i = n->a; i; i = r->j->nodes[i].next)
        count++;
    /* All parts first: what they write themselves would stand between them. */
    struct list *parts = run_list(r, count);
    if (!parts)
        return -ERR_PARSE;
    for (uint32_t i = n->a; i && rc >= 0; i = r->j->nodes[i].next)
        rc = jinja_evaluate(r, i, &parts->at[k++]);
    r->at = n;
    size_t mark = r->out->text.len;
    for (k = 0; k < count && rc >= 0; k++)
        rc = value_print(r, parts->at[k]);
    return rc < 0 ? rc : run_cut(r, mark, out);
}

/* ---- attributes, calls -------------------------------------------------------------- */

static int attribute_or_item(struct run *r, const struct node *n, struct value *out)
{
    struct value of, which;
    int rc = jinja_evaluate(r, n->a, &of);
    if (rc >= 0 && n->kind == N_ITEM)
        rc = jinja_evaluate(r, n->b, &which);
    if (rc < 0)
        return rc;
    r->at = n;
    return n->kind == N_ITEM ? value_item(r, of, which, out)
                             : value_attribute(r, of, n->value.s, out);
}

static int slice(struct run *r, const struct node *n, struct value *out)
{
    const uint32_t ends[3] = {n->b, n->c, n->d};
    struct value of, part[3];
    int rc = jinja_evaluate(r, n->a, &of);
    for (int i = 0; i < 3 && rc >= 0; i++) {
        part[i] = value_none();
        if (ends[i])
            rc = jinja_evaluate(r, ends[i], &part[i]);
    }
    r->at = n;
    return rc < 0 ? rc : value_slice(r, of, part, out);
}

int evaluate_arguments(struct run *r, uint32_t first, struct call *c)
{
    int rc = 0;
    for (uint32_t i = first; i && rc >= 0; i = r->j->nodes[i].next) {
        const struct node *n = &r->j->nodes[i];
        if (n->kind == N_KEYWORD) {
            c->name[c->n_named] = n->value.s;
            rc = jinja_evaluate(r, n->a, &c->named[c->n_named++]);
        } else {
            rc = jinja_evaluate(r, i, &c->at[c->n++]);
        }
    }
    return rc;
}

int call_value(struct run *r, struct value callee, struct call *c, struct value *out)
{
    switch (callee.kind) {
    case V_MACRO:
        return macro_call(r, callee.macro, c, out);
    case V_FUNCTION:
        return routine_run(r, callee.function, "function", c, out);
    case V_METHOD:
        c->self = callee.method->self;
        return routine_run(r, callee.method->row, "method", c, out);
    case V_UNDEFINED:
        return run_undefined(r, callee);
    default:
        return run_error(r, "%s cannot be called", value_type(callee));
    }
}

/* Calls, filters and tests: struct call is too large for every level of the stack. */
static int call(struct run *r, const struct node *n, struct value *out)
{
    struct call *c = run_take(r, sizeof *c);
    struct value of;
    int rc = c ? jinja_evaluate(r, n->a, &of) : -ERR_PARSE;
    if (rc >= 0)
        rc = evaluate_arguments(r, n->b, c);
    if (rc < 0)
        return rc;
    r->at = n;
    if (n->kind == N_CALL)
        return call_value(r, of, c, out);
    c->self = of;
    return routine_run(r, n->row, n->kind == N_FILTER ? "filter" : "test", c, out);
}

static int evaluate_one(struct run *r, const struct node *n, struct value *out)
{
    int rc;
    switch ((enum node_kind)n->kind) {
    case N_CONST:
        *out = n->value;
        return 0;
    case N_NAME:
        *out = scope_get(r, n->name);
        return 0;
    case N_LIST:
    case N_TUPLE:
        return items_of(r, n, out);
    case N_DICT:
        return dict_of(r, n, out);
    case N_ATTRIBUTE:
    case N_ITEM:
        return attribute_or_item(r, n, out);
    case N_SLICE:
        return slice(r, n, out);
    case N_CALL:
    case N_FILTER:
    case N_TEST:
        return call(r, n, out);
    case N_NOT:
        rc = jinja_evaluate(r, n->a, out);
        *out = value_bool(rc >= 0 && !value_truth(*out));
        return rc;
    case N_NEGATE:
        rc = jinja_evaluate(r, n->a, out);
        r->at = n;
        return rc < 0 ? rc : negate(r, *out, out);
    case N_AND:
    case N_OR:
        return either(r, n, out);
    case N_ADD:
    case N_SUBTRACT:
    case N_MODULO:
        return binary(r, n, out);
    case N_CONCAT:
        return concat(r, n, out);
    case N_COMPARE:
        return compare_chain(r, n, out);
    case N_CHOICE:
        return choice(r, n, out);
    default:
        return run_error(r, "internal error: node %d is no expression", n->kind);
    }
}

int jinja_evaluate(struct run *r, uint32_t node, struct value *out)
{
    const struct node *n = &r->j->nodes[node];
    *out = value_none();
    r->at = n;
    if (++r->depth > JINJA_DEPTH_MAX)
        return run_error(r,
                         "more than %d levels in one another - does a macro call itself "
                         "without end?",
                         JINJA_DEPTH_MAX);
    int rc = run_work(r, 0);
    if (rc >= 0)
        rc = evaluate_one(r, n, out);
    r->depth--;
    return rc;
}
