/* runner/chat/value.c - see value.h. */
#include "runner/chat/value.h"
#include "lib/mem.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- arena -------------------------------------------------------------------------- */

#define BLOCK_BYTES ((size_t)64 << 10)

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) char data[];
};

void *arena_take(struct arena *a, size_t bytes)
{
    struct arena_block *b = a->blocks;
    if (bytes > a->max || a->used > a->max - bytes)
        return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    a->used += bytes;
    if (!b || b->size - b->used < bytes) {
        size_t size = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
        struct arena_block *fresh = xmalloc(sizeof *fresh + size);
        *fresh = (struct arena_block){.size = size};
        /* A large one goes behind the current block, which has room yet. */
        if (b && size == bytes) {
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            a->blocks = fresh;
        }
        b = fresh;
    }
    void *p = b->data + b->used;
    b->used += bytes;
    return memset(p, 0, bytes);
}

void arena_release(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    a->used = 0;
}

/* ---- values ------------------------------------------------------------------------- */

const char *value_type(struct value v)
{
    static const char *const names[] = {
        [V_MISSING] = "missing",
        [V_UNDEFINED] = "undefined",
        [V_NONE] = "None",
        [V_BOOL] = "bool",
        [V_INT] = "int",
        [V_FLOAT] = "float",
        [V_STRING] = "str",
        [V_LIST] = "list",
        [V_TUPLE] = "tuple",
        [V_VIEW] = "view of a dict",
        [V_ITERATOR] = "generator",
        [V_DICT] = "dict",
        [V_RANGE] = "range",
        [V_NAMESPACE] = "namespace",
        [V_MACRO] = "macro",
        [V_FUNCTION] = "function",
        [V_METHOD] = "method",
        [V_LOOP] = "loop",
    };
    return names[v.kind];
}

bool value_truth(struct value v)
{
    switch (v.kind) {
    case V_MISSING:
    case V_UNDEFINED:
    case V_NONE:
        return false;
    case V_BOOL:
        return v.b;
    case V_INT:
        return v.i != 0;
    case V_FLOAT:
        return v.d != 0;
    case V_STRING:
        return v.s->bytes > 0;
    case V_LIST:
    case V_TUPLE:
    case V_VIEW:
        return v.list->n > 0;
    case V_DICT:
        return v.dict->n > 0;
    case V_RANGE:
        return v.range->n > 0;
    default:
        return true;
    }
}

/* ---- strings ------------------------------------------------------------------------ */

size_t utf8_chars(const char *text, size_t bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

struct string *string_new(struct arena *a, const char *text, size_t bytes)
{
    struct string *s = arena_take(a, sizeof *s + bytes + 1);
    if (!s)
        return NULL;
    if (bytes)
        memcpy(s->text, text, bytes);
    s->bytes = bytes;
    s->chars = utf8_chars(text, bytes);
    return s;
}

size_t string_offset(const struct string *s, size_t i)
{
    if (s->chars == s->bytes)
        return i;
    size_t at = 0;
    for (size_t seen = 0; at < s->bytes; at++)
        if (((unsigned char)s->text[at] & 0xc0) != 0x80 && seen++ == i)
            break;
    return at;
}

bool string_is(const struct string *s, const char *text)
{
    return strlen(text) == s->bytes && memcmp(s->text, text, s->bytes) == 0;
}

int32_t utf8_next(const char *text, size_t bytes, size_t *at)
{
    int32_t cp;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + *at,
                                          (utf8proc_ssize_t)(bytes - *at), &cp);
    if (n <= 0) {
        n = 1;
        cp = 0xfffd;
    }
    *at += (size_t)n;
    return cp;
}

bool char_is_space(int32_t cp)
{
    if (cp < 0x80)
        return cp == ' ' || (cp >= 0x09 && cp <= 0x0d) || (cp >= 0x1c && cp <= 0x1f);
    return cp == 0x85 || cp == 0x2028 || cp == 0x2029 ||
           utf8proc_category(cp) == UTF8PROC_CATEGORY_ZS;
}

void utf8_strip(const char *text, size_t *begin, size_t *end, bool right)
{
    size_t last = *begin, from = *begin;
    bool seen = right;
    for (size_t at = *begin; at < *end;) {
        size_t here = at;
        if (char_is_space(utf8_next(text, *end, &at)))
            continue;
        from = seen ? from : here;
        seen = true;
        last = at;
    }
    *begin = from;
    *end = last;
}
