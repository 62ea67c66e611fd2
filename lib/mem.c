/* lib/mem.c - see mem.h. */
#include "lib/mem.h"
#include "lib/err.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGNMENT 64         /* a cache line, and the widest vector */
#define HUGE_PAGE (2u << 20) /* what the kernel maps at once where it is asked to */

static void die(size_t n) __attribute__((noreturn));

static void die(size_t n)
{
    fprintf(stderr, "peftlab: out of memory (%zu bytes)\n", n);
    _Exit(err_exit_status(ERR_NOMEM));
}

void *xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        die(n);
    return p;
}

void *xcalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        die(size && count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return p;
}

void *xrealloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q)
        die(n);
    return q;
}

void *xgrow(void *p, size_t *cap, size_t need, size_t item_bytes)
{
    if (need <= *cap && p)
        return p;
    size_t to = *cap ? *cap : 8;
    while (to < need)
        to = to > SIZE_MAX / 2 ? need : to * 2;
    if (item_bytes && to > SIZE_MAX / item_bytes)
        die(SIZE_MAX);
    *cap = to;
    return xrealloc(p, to * item_bytes);
}

char *xstrndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = xmalloc(len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *xstrdup(const char *s)
{
    return xstrndup(s, strlen(s));
}

char *xasprintf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0 || !s)
        die(0);
    return s;
}

void *mem_try_aligned(size_t bytes)
{
    if (bytes > SIZE_MAX - ALIGNMENT)
        return NULL;
    size_t whole = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const bool large = whole >= 4 * HUGE_PAGE;
    void *p;
    if (posix_memalign(&p, large ? HUGE_PAGE : ALIGNMENT, whole ? whole : ALIGNMENT))
        return NULL;
    if (large) /* advice: without huge pages the same memory comes in small ones */
        (void)madvise(p, whole / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return memset(p, 0, whole);
}

void mem_free_aligned(void *p)
{
    free(p);
}
