/* runner/chat/run.h - one rendering under way (inside runner/chat).
 *
 * Everything writes into one text: macros and set blocks write at its end and cut off
 * again what they wrote (run_cut), as does whoever makes a string piece by piece. So one
 * ceiling holds for all of it. */
#ifndef RUNNER_CHAT_RUN_H
#define RUNNER_CHAT_RUN_H

#include "runner/chat/jinja.h"
#include "runner/chat/routine.h"
#include "runner/chat/syntax.h"

struct scope { /* of the template, a loop's turn, a macro's call, a block */
    struct scope *parent;
    struct binding {
        struct binding *next;
        uint32_t name;
        struct value value;
    } * first;
};

struct macro {
    uint32_t node;
    struct scope *scope; /* where it was defined */
};

struct loop {
    struct value items; /* a list */
    size_t i;
    int depth;
};

struct run {
    const struct jinja *j;
    struct arena arena;
    struct scope *scope;
    const struct node *at; /* for messages */
    int64_t steps;         /* that are left */
    int depth, loop_depth;
    int captures; /* macros and set blocks that are being written */
    struct jinja_output *out;
    size_t counted_bytes, counted_chars; /* of the text so far */
    const struct tm *now;
    struct err *err;
};

/* ---- messages and limits ------------------------------------------------------------ */

/* With the place of r->at; -ERR_PARSE. */
int run_error(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int run_undefined(struct run *r, struct value v); /* what was done with it is an error */
int run_work(struct run *r, size_t bytes);        /* counts steps */
void *run_take(struct run *r, size_t bytes); /* NULL with a message: memory's limit */
/* A new string. */
int run_string(struct run *r, const char *text, size_t bytes, struct value *out);
/* What was written from byte `mark` on becomes a string and leaves the text. */
int run_cut(struct run *r, size_t mark, struct value *out);
struct list *run_list(struct run *r, size_t n); /* NULL with a message */

/* ---- evaluation --------------------------------------------------------------------- */

int jinja_evaluate(struct run *r, uint32_t node, struct value *out);
int evaluate_arguments(struct run *r, uint32_t first, struct call *c);
/* 0 to go on, else one of these, or an error below 0. */
enum jump { JUMP_NONE, JUMP_BREAK, JUMP_CONTINUE };
int jinja_execute(struct run *r, uint32_t first);
int macro_call(struct run *r, const struct macro *m, struct call *c, struct value *out);
int scope_push(struct run *r, struct scope *parent);
int scope_set(struct run *r, uint32_t name, struct value v);
struct value scope_get(const struct run *r, uint32_t name);
int call_value(struct run *r, struct value callee, struct call *c, struct value *out);

/* ---- values of a run ---------------------------------------------------------------- */

int value_attribute(struct run *r, struct value of, const struct string *name,
                    struct value *out);
int value_item(struct run *r, struct value of, struct value which, struct value *out);
int value_slice(struct run *r, struct value of, const struct value part[3],
                struct value *out);
/* Items as a list: what may be looped over. A fresh one unless it is a list already. */
int value_items(struct run *r, struct value v, struct list **out);
int value_length(struct run *r, struct value v, int64_t *out);
int value_equal(struct run *r, struct value a, struct value b, bool *out);
int value_compare(struct run *r, struct value a, struct value b, int *out); /* -1, 0, 1 */
int value_contains(struct run *r, struct value in, struct value what, bool *out);
int value_compared(struct run *r, enum comparison op, struct value a, struct value b,
                   bool *out);
int value_add(struct run *r, struct value a, struct value b, struct value *out);
int value_from_json(struct run *r, const json_t *json, struct value *out);
/* Appends to the text: as str() and as json.dumps. */
int value_print(struct run *r, struct value v);
struct json_style {
    bool ascii, sorted;
    const char *indent; /* of one level; NULL: one line */
    const char *comma, *colon;
};
int value_print_json(struct run *r, struct value v, const struct json_style *style);
int value_to_string(struct run *r, struct value v, struct value *out); /* str() */
void escape_html(struct buf *out, const char *text, size_t bytes);

int dict_find(struct run *r, const struct dict *d, struct value key,
              const struct pair **out); /* 0, *out NULL: not there */
int dict_put(struct run *r, struct dict *d, struct value key, struct value value);
struct value dict_list(struct run *r, const struct dict *d, bool keys, bool values);

/* ---- text (strings.c) --------------------------------------------------------------- */

enum side { SIDE_LEFT = 1, SIDE_RIGHT = 2, SIDE_BOTH = 3 };
int string_strip(struct run *r, struct value v, struct value chars, enum side side,
                 struct value *out);
enum letters { LETTERS_UPPER, LETTERS_LOWER, LETTERS_CAPITAL };
int string_letters(struct run *r, struct value v, enum letters how, struct value *out);
/* limit -1: all */
int string_replace(struct run *r, struct value v, struct value old, struct value new,
                   int64_t limit, struct value *out);
int string_split(struct run *r, struct value v, struct value by, int64_t limit,
                 struct value *out);

#endif
