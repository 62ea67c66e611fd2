/* runner/chat/routine.h - filters, tests, methods and functions: rows of one shape
 * (inside runner/chat).
 *
 * A row names its parameters as Python does, so that arguments may come by place or by
 * name; what is not given is V_MISSING. `params` "*" takes any arguments as they came. A
 * new one is a row and a function. */
#ifndef RUNNER_CHAT_ROUTINE_H
#define RUNNER_CHAT_ROUTINE_H

#include "runner/chat/value.h"

#define ARGS_MAX 32

struct run;

struct call {
    struct value self; /* what is filtered, tested, or has the method */
    struct value at[ARGS_MAX];
    size_t n;
    struct value named[ARGS_MAX];
    const struct string *name[ARGS_MAX];
    size_t n_named;
};

struct routine {
    const char *name, *params; /* names with blanks between */
    size_t required;           /* of the first parameters */
    int (*run)(struct run *r, struct call *c, struct value *out);
    uint8_t of; /* methods: enum value_kind */
};

/* By name; NULL where there is none. */
const struct routine *jinja_filter(const struct string *name);
const struct routine *jinja_test(const struct string *name);
const struct routine *jinja_function(const struct string *name);
/* Methods of strings and dicts. `known`: Python has it though it is not supported. */
const struct routine *jinja_method(uint8_t kind, const struct string *name, bool *known);
const struct routine *routine_in(const struct routine *rows, size_t n,
                                 const struct string *name);
/* Puts named arguments into their places and runs it. `what`: "filter", for messages. */
int routine_run(struct run *r, const struct routine *row, const char *what,
                struct call *c, struct value *out);

#endif
