/* lib/buf.h - a growing byte buffer with a ceiling, always NUL-terminated.
 *
 * Set up with BUF_INIT or buf_init(max). Appending beyond `max` sets `overflow` and drops
 * the text; callers check once at the end with buf_overflowed. buf_detach hands the bytes
 * to the caller (free()). */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* never NULL after the first append; use buf_str */
    size_t len, cap, max;
    bool overflow;
};

#define BUF_INIT                                                                         \
    {                                                                                    \
        NULL, 0, 0, (size_t)1 << 30, false                                               \
    }

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b); /* frees; the buffer may be used again */
void buf_clear(struct buf *b);   /* length 0, memory kept */
void buf_add(struct buf *b, const void *data, size_t n);
void buf_str_add(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A word as a shell takes it back: as it is, or in single quotes. */
void buf_shell_word(struct buf *b, const char *word);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
const char *buf_str(const struct buf *b);     /* "" when empty, never NULL */
char *buf_detach(struct buf *b, size_t *len); /* len may be NULL */
bool buf_overflowed(const struct buf *b);

#endif
