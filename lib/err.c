/* lib/err.c - see err.h. */
#include "lib/err.h"
#include "lib/str.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[] = {"ok",
#define X(name, text, status) text,
                                    ERR_CODES(X)
#undef X
};

static const int statuses[] = {0,
#define X(name, text, status) status,
                               ERR_CODES(X)
#undef X
};

/* A code that is none, from a cast gone wrong, counts as a bug. */
static size_t row_of(enum err_code code)
{
    return (size_t)code < sizeof texts / sizeof *texts ? (size_t)code : ERR_BUG;
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    if (!err || err->code != ERR_OK)
        return -(int)code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    str_clean_here(err->msg);
    err->code = code;
    return -(int)code;
}

int err_context(struct err *err, const char *fmt, ...)
{
    if (!err)
        return -ERR_FAILED;
    char front[sizeof err->msg], back[sizeof err->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(front, sizeof front, fmt, ap);
    va_end(ap);
    str_clean_here(front);
    if (err->code == ERR_OK)
        return err_set(err, ERR_BUG,
                       "%scontext for an error that is not there, this is a "
                       "bug",
                       front);
    memcpy(back, err->msg, sizeof back);
    /* The tail is cut when both do not fit: the place in front matters more. */
    size_t n = strlen(front);
    memcpy(err->msg, front, n);
    snprintf(err->msg + n, sizeof err->msg - n, "%s", back);
    return -(int)err->code;
}

int err_code(const struct err *err)
{
    return err && err->code != ERR_OK ? -(int)err->code : -ERR_FAILED;
}

void err_clear(struct err *err)
{
    if (!err)
        return;
    err->code = ERR_OK;
    err->msg[0] = '\0';
}

int err_exit_status(enum err_code code)
{
    return statuses[row_of(code)];
}

const char *err_code_text(enum err_code code)
{
    return texts[row_of(code)];
}
