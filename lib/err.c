/* lib/err.c - see err.h. */
#include "lib/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* clang-format off: version 14 crashes on macros inside an aligned array */
static const struct {
    const char *text;
    int status;
} codes[] = {
    [ERR_OK] = {"ok", 0},
#define X(name, text, status) [ERR_##name] = {text, status},
    ERR_CODES(X)
#undef X
};
/* clang-format on */

#define CODE_COUNT (sizeof codes / sizeof *codes)

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    if (!err || err->code != ERR_OK)
        return -(int)code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
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
    if (err->code == ERR_OK)
        return err_set(err, ERR_BUG, "%scontext for an error that is not there, this is a "
                       "bug", front);
    memcpy(back, err->msg, sizeof back);
    /* The tail is cut when both do not fit: the place in front matters more. */
    size_t n = strlen(front);
    memcpy(err->msg, front, n);
    snprintf(err->msg + n, sizeof err->msg - n, "%s", back);
    return -(int)err->code;
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
    return (size_t)code < CODE_COUNT ? codes[code].status : codes[ERR_BUG].status;
}

const char *err_code_text(enum err_code code)
{
    return (size_t)code < CODE_COUNT ? codes[code].text : codes[ERR_BUG].text;
}
