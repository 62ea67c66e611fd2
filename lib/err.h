/* lib/err.h - one error object per call chain.
 *
 * Functions return 0 or a negative code (the negated enum) and take `struct err *err`
 * last. `err` is left untouched on success. The first message wins: a second err_set on a
 * filled object is ignored, callers add context in front with err_context ("sweep file
 * 'a.yaml': line 12: ..."). A message is complete enough to print as it is: lower case,
 * no full stop, what - where - hint, subjects in single quotes. A NULL `err` is fine
 * everywhere. Control characters and what is not UTF-8 become '?' here (line ends and
 * tabs a blank), so that a message that quotes a file from elsewhere may go to a terminal,
 * a log or the store.
 *
 * Each code carries the exit status that the command line ends with, and what a script
 * should do about it (lib/errors.def; docs/exit-codes.md is made of it). */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#include <stddef.h>

enum err_code {
    ERR_OK = 0,
#define ERROR(name, text, status, meaning, advice) ERR_##name,
#include "lib/errors.def"
#undef ERROR
};

struct err {
    enum err_code code;
    char msg[1024];
};

#define ERR_INIT                                                                         \
    {                                                                                    \
        ERR_OK, ""                                                                       \
    }

/* Sets code and message unless an earlier error is there; returns -code, so that `return
 * err_set(...)` reads well. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts text in front of the message that is there ("trial file 'x': "); returns
 * -err->code. */
int err_context(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The negative code to return where a callee told that it failed by NULL alone: that of
 * what it put into `err`, -ERR_FAILED where err is NULL or holds nothing. A code that a
 * callee returned is passed on as it is. */
int err_code(const struct err *err);
void err_clear(struct err *err);
int err_exit_status(enum err_code code); /* 0 for ERR_OK */

struct err_kind {
    const char *text;
    int status;
    const char *meaning, *advice; /* for documentation; advice "": none */
};
const struct err_kind *err_kind_at(size_t i); /* in order of status; NULL: no more */

#endif
