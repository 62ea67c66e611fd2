/* sweep/space/expr_ops.h - operators and functions of the expression language, as tables.
 *
 * sweep/space/expr.c parses and walks; these rows say what a node does. All values are
 * canonical; results are new references. */
#ifndef SWEEP_SPACE_EXPR_OPS_H
#define SWEEP_SPACE_EXPR_OPS_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* From loose to tight. LEVEL_NOT has no binary operator: it is the prefix `not`. */
enum expr_level {
    LEVEL_OR,
    LEVEL_AND,
    LEVEL_NOT,
    LEVEL_COMPARE,
    LEVEL_SUM,
    LEVEL_PRODUCT,
    LEVEL_UNARY
};

struct expr_binary {
    const char *text;
    enum expr_level level;
    /* NULL: `and`, `or`, which look at the right side only when they need it */
    int (*apply)(const json_t *a, const json_t *b, json_t **out, struct err *err);
};
const struct expr_binary *expr_binary_find(const char *text, size_t len);

struct expr_function {
    const char *name;
    size_t min_args, max_args;
    int (*apply)(json_t *const *args, size_t count, json_t **out, struct err *err);
};
const struct expr_function *expr_function_find(const char *name, size_t len);

int expr_negate(const json_t *a, json_t **out, struct err *err);

#endif
