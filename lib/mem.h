/* lib/mem.h - memory for bookkeeping. These die with a message on failure (exit status
 * 71): a program that cannot get a few bytes cannot go on. Sizes that come from input,
 * tensors or files do not go through here but through mem_try_aligned, which returns
 * NULL. */
#ifndef LIB_MEM_H
#define LIB_MEM_H

#include <stddef.h>

void *xmalloc(size_t n)
    __attribute__((malloc, alloc_size(1), returns_nonnull, warn_unused_result));
void *xcalloc(size_t count, size_t size)
    __attribute__((malloc, alloc_size(1, 2), returns_nonnull, warn_unused_result));
void *xrealloc(void *p, size_t n)
    __attribute__((alloc_size(2), returns_nonnull, warn_unused_result));
/* Grows an array to hold at least `need` items, doubling; *cap is updated. */
void *xgrow(void *p, size_t *cap, size_t need, size_t item_bytes)
    __attribute__((warn_unused_result));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull, warn_unused_result));
char *xstrndup(const char *s, size_t n)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
char *xasprintf(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), malloc, returns_nonnull, warn_unused_result));

/* 64-byte aligned and zeroed, NULL when there is not enough. mem_free_aligned takes
 * NULL. */
void *mem_try_aligned(size_t bytes);
/* To the next multiple of 64, as far as what lies one behind the other is apart. */
static inline size_t mem_round_up(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}
void mem_free_aligned(void *p);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
