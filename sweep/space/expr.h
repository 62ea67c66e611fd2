/* sweep/space/expr.h - the closed expression language of `when` and `expr`.
 *
 *   method in [lora, qlora] and rank > 8        2*rank
 *   6e-3 if method == head else 2e-4            round(rank * 1.5)
 *
 * Names, numbers, strings ('..' or ".."), lists, + - * / // %, == != < <= > >=, in,
 * not in, and, or, not, `a if c else b`, and the functions min, max, round. Meaning and
 * precedence are Python's (// and % take the sign of the divisor, round goes to even),
 * except that comparisons do not chain and `and`/`or` give true or false. A name is a
 * parameter; a bare word that is none is true, false, null or else a string. Nothing can
 * be called, read or written from here, and no loop exists: the time is bounded by the
 * text (at most 4096 bytes, 1000 nodes, depth 64; strings and lists made here are
 * bounded too).
 *
 * Values are canonical (sweep/space/value.h). Messages name the expression; callers add
 * the place. */
#ifndef SWEEP_SPACE_EXPR_H
#define SWEEP_SPACE_EXPR_H

#include "lib/err.h"
#include "lib/hash.h"
#include <jansson.h>
#include <stdbool.h>

#define EXPR_TEXT_MAX  4096
#define EXPR_NODES_MAX 1000
#define EXPR_DEPTH_MAX 64

struct expr;

/* `names` maps each parameter to its index. Errors are ERR_CONFIG. */
int expr_parse(const char *text, const struct strmap *names, struct expr **out,
               struct err *err);
void expr_free(struct expr *e); /* NULL is fine */
/* Marks used[i] for every parameter that the expression names. */
void expr_uses(const struct expr *e, bool *used);

#define EXPR_ABSENT 1
/* env[i] is the value of parameter i, NULL when it is absent. Returns 0 and a new
 * reference, EXPR_ABSENT when the result depends on an absent parameter, or a negative
 * error (wrong types, division by zero, a result that is not finite). */
int expr_eval(const struct expr *e, json_t *const *env, json_t **out, struct err *err);
/* Python's truth: false, null, 0, "" and [] are false. */
bool expr_truth(const json_t *value);

#endif
