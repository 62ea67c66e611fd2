/* lib/err.c - see err.h. */
#include "lib/err.h"
#include "lib/str.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct err_kind kinds[] = {
    {"ok", 0, "done", ""},
#define ERROR(name, text, status, meaning, advice) {text, status, meaning, advice},
#include "lib/errors.def"
#undef ERROR
};

/* A code that is none, from a cast gone wrong, counts as a bug. */
static const struct err_kind *kind_of(enum err_code code)
{
    const struct err_kind *kind = err_kind_at(code);
    return kind ? kind : &kinds[ERR_BUG];
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
    return kind_of(code)->status;
}

const struct err_kind *err_kind_at(size_t i)
{
    return i < sizeof kinds / sizeof *kinds ? &kinds[i] : NULL;
}
