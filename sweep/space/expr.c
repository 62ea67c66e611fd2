/* sweep/space/expr.c - evaluation of parsed expressions. */
#include "sweep/space/expr.h"
#include "sweep/space/expr_node.h"
#include <stdlib.h>

void expr_free(struct expr *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->count; i++)
        json_decref(e->nodes[i].value);
    free(e->nodes);
    free(e->text);
    free(e);
}

void expr_uses(const struct expr *e, bool *used)
{
    for (size_t i = 0; i < e->count; i++)
        if (e->nodes[i].kind == NODE_NAME)
            used[e->nodes[i].index] = true;
}

bool expr_truth(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_TRUE:
        return true;
    case JSON_INTEGER:
        return json_integer_value(v) != 0;
    case JSON_REAL:
        return json_real_value(v) != 0;
    case JSON_STRING:
        return json_string_length(v) > 0;
    case JSON_ARRAY:
        return json_array_size(v) > 0;
    case JSON_OBJECT:
        return json_object_size(v) > 0;
    default:
        return false;
    }
}

static int eval(const struct expr *e, int at, json_t *const *env, json_t **out,
                struct err *err);

static int eval_truth(const struct expr *e, int at, json_t *const *env, bool *truth,
                      struct err *err)
{
    json_t *v;
    int rc = eval(e, at, env, &v, err);
    if (rc != 0)
        return rc;
    *truth = expr_truth(v);
    json_decref(v);
    return 0;
}

static int eval_binary(const struct expr *e, const struct node *n, json_t *const *env,
                       json_t **out, struct err *err)
{
    int left = n->first, right = e->nodes[left].next, rc;
    json_t *a, *b;
    if (!n->binary->apply) {
        bool truth, decides = n->binary->level == LEVEL_OR;
        rc = eval_truth(e, left, env, &truth, err);
        if (rc == 0 && truth != decides)
            rc = eval_truth(e, right, env, &truth, err);
        if (rc == 0)
            *out = json_boolean(truth);
        return rc;
    }
    rc = eval(e, left, env, &a, err);
    if (rc != 0)
        return rc;
    rc = eval(e, right, env, &b, err);
    if (rc == 0) {
        rc = n->binary->apply(a, b, out, err);
        json_decref(b);
    }
    json_decref(a);
    return rc;
}

/* A list, and the arguments of a call. */
static int eval_children(const struct expr *e, const struct node *n, json_t *const *env,
                         json_t **out, struct err *err)
{
    json_t *list = json_array();
    int rc = 0;
    for (int c = n->first; c >= 0 && rc == 0; c = e->nodes[c].next) {
        json_t *v;
        rc = eval(e, c, env, &v, err);
        if (rc == 0)
            json_array_append_new(list, v);
    }
    if (rc == 0)
        *out = json_incref(list);
    json_decref(list);
    return rc;
}

static int eval_call(const struct expr *e, const struct node *n, json_t *const *env,
                     json_t **out, struct err *err)
{
    json_t *list, *args[100];
    int rc = eval_children(e, n, env, &list, err);
    if (rc != 0)
        return rc;
    size_t count = json_array_size(list);
    for (size_t i = 0; i < count; i++)
        args[i] = json_array_get(list, i);
    rc = n->function->apply(args, count, out, err);
    json_decref(list);
    return rc;
}

static int eval_prefix(const struct expr *e, const struct node *n, json_t *const *env,
                       json_t **out, struct err *err)
{
    json_t *v;
    int rc = eval(e, n->first, env, &v, err);
    if (rc != 0)
        return rc;
    if (n->kind == NODE_NEGATE)
        rc = expr_negate(v, out, err);
    else
        *out = json_boolean(!expr_truth(v));
    json_decref(v);
    return rc;
}

static int eval_condition(const struct expr *e, const struct node *n, json_t *const *env,
                          json_t **out, struct err *err)
{
    int yes = n->first, condition = e->nodes[yes].next, no = e->nodes[condition].next;
    bool truth;
    int rc = eval_truth(e, condition, env, &truth, err);
    return rc != 0 ? rc : eval(e, truth ? yes : no, env, out, err);
}

static int eval(const struct expr *e, int at, json_t *const *env, json_t **out,
                struct err *err)
{
    const struct node *n = &e->nodes[at];
    switch (n->kind) {
    case NODE_VALUE:
        *out = json_incref(n->value);
        return 0;
    case NODE_NAME:
        if (!env[n->index])
            return EXPR_ABSENT;
        *out = json_incref(env[n->index]);
        return 0;
    case NODE_LIST:
        return eval_children(e, n, env, out, err);
    case NODE_CALL:
        return eval_call(e, n, env, out, err);
    case NODE_BINARY:
        return eval_binary(e, n, env, out, err);
    case NODE_CONDITION:
        return eval_condition(e, n, env, out, err);
    case NODE_NOT:
    case NODE_NEGATE:
        return eval_prefix(e, n, env, out, err);
    }
    return err_set(err, ERR_BUG, "an unknown node in an expression; this is a bug");
}

int expr_eval(const struct expr *e, json_t *const *env, json_t **out, struct err *err)
{
    int rc = eval(e, e->root, env, out, err);
    if (rc < 0)
        err_context(err, "expression '%.200s': ", e->text);
    return rc;
}
