/* sweep/space/expr_node.h - the parsed form of an expression; for expr.c and expr_parse.c
 * only. */
#ifndef SWEEP_SPACE_EXPR_NODE_H
#define SWEEP_SPACE_EXPR_NODE_H

#include "sweep/space/expr_ops.h"
#include <jansson.h>
#include <stdint.h>

enum node_kind {
    NODE_VALUE,    /* value */
    NODE_NAME,     /* parameter `index` */
    NODE_LIST,     /* children */
    NODE_CALL,     /* function, children */
    NODE_BINARY,   /* binary, two children */
    NODE_NOT,      /* one child */
    NODE_NEGATE,   /* one child */
    NODE_CONDITION /* three children: value if true, condition, value if false */
};

/* Children form a chain: `first`, then their `next`; -1 ends it. */
struct node {
    enum node_kind kind;
    int first, next, child_count;
    json_t *value;
    int64_t index;
    const struct expr_binary *binary;
    const struct expr_function *function;
};

struct expr {
    char *text;
    struct node *nodes;
    size_t count, cap;
    int root;
};

#endif
