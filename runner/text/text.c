/* runner/text/text.c - code points with places, and Unicode classes. */
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define TEXT_BYTES_MAX ((size_t)256 << 20)

int text_from_utf8(struct text *t, const char *s, size_t len, struct err *err)
{
    if (len > TEXT_BYTES_MAX)
        return err_set(err, ERR_PARSE, "text longer than %zu MiB", TEXT_BYTES_MAX >> 20);
    t->n = 0;
    t->at = xgrow(t->at, &t->cap, len + 1, sizeof *t->at);
    for (size_t i = 0; i < len;) {
        int32_t cp;
        utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)s + i,
                                              (utf8proc_ssize_t)(len - i), &cp);
        if (k <= 0)
            return err_set(err, ERR_PARSE, "text is not UTF-8 at byte %zu", i);
        int32_t place = (int32_t)t->n;
        t->at[t->n++] = (struct place_char){cp, place, place + 1};
        i += (size_t)k;
    }
    return 0;
}

void text_add(struct text *t, struct place_char c)
{
    t->at = xgrow(t->at, &t->cap, t->n + 1, sizeof *t->at);
    t->at[t->n++] = c;
}

void text_copy(struct text *t, const struct place_char *at, size_t n)
{
    t->at = xgrow(t->at, &t->cap, n + 1, sizeof *t->at);
    if (n)
        memcpy(t->at, at, n * sizeof *at);
    t->n = n;
}

void text_release(struct text *t)
{
    free(t->at);
    *t = (struct text){0};
}

void rewrite_add(struct rewrite *r, int32_t cp, int change)
{
    r->at = xgrow(r->at, &r->cap, r->n + 1, sizeof *r->at);
    r->at[r->n++] = (struct edit){cp, change};
}

void text_rewrite(struct text *t, const struct rewrite *r)
{
    struct text out = {0};
    out.at = xgrow(out.at, &out.cap, r->n + 1, sizeof *out.at);
    size_t old = 0; /* characters of t that are used up */
    for (size_t i = 0; i < r->n; i++) {
        struct place_char c = {r->at[i].cp, 0, 0};
        if (r->at[i].change <= 0 && old < t->n)
            old++;
        if (old) {
            c.begin = t->at[old - 1].begin;
            c.end = t->at[old - 1].end;
        }
        for (int k = r->at[i].change; k < 0 && old < t->n; k++)
            old++;
        out.at[out.n++] = c;
    }
    text_release(t);
    *t = out;
}

void utf8_append(struct buf *out, const struct place_char *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        utf8proc_uint8_t b[4];
        buf_add(out, b, (size_t)utf8proc_encode_char(at[i].cp, b));
    }
}

void tokens_add(struct tokens *t, int32_t id, int32_t begin, int32_t end)
{
    t->at = xgrow(t->at, &t->cap, t->n + 1, sizeof *t->at);
    t->at[t->n++] = (struct token){id, begin, end, -1, -1};
}

/* ---- Unicode ----------------------------------------------------------------------- */

bool unicode_is_space(int32_t cp)
{
    return (cp >= 9 && cp <= 13) || cp == ' ' || cp == 0x85 || cp == 0xa0 ||
           cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 ||
           cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

struct range {
    int32_t first, last;
};
#define PUNCTUATION(first, last) {first, last},
#define OTHER(first, last)
#define MARK(first, last)
static const struct range punctuation[] = {
#include "runner/text/unicode.def"
};
#undef PUNCTUATION
#undef OTHER
#define PUNCTUATION(first, last)
#define OTHER(first, last) {first, last},
static const struct range other[] = {
#include "runner/text/unicode.def"
};
#undef OTHER
#undef MARK
#define OTHER(first, last)
#define MARK(first, last) {first, last},
static const struct range marks[] = {
#include "runner/text/unicode.def"
};

static bool in_ranges(const struct range *r, size_t n, int32_t cp)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r[mid].last < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && r[lo].first <= cp;
}

bool unicode_is_punctuation(int32_t cp)
{
    return in_ranges(punctuation, ARRAY_LEN(punctuation), cp);
}

bool unicode_is_other(int32_t cp)
{
    return in_ranges(other, ARRAY_LEN(other), cp);
}

bool unicode_is_mark_nonspacing(int32_t cp)
{
    return cp >= marks[0].first && in_ranges(marks, ARRAY_LEN(marks), cp);
}

bool unicode_is_numeric(int32_t cp)
{
    const utf8proc_category_t c = utf8proc_category(cp);
    return c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL ||
           c == UTF8PROC_CATEGORY_NO;
}

/* Alphabetic (letters, letter numbers, and the circled and squared letters), marks,
 * decimal digits, connectors and joiners. */
bool unicode_is_word(int32_t cp)
{
    utf8proc_category_t c = utf8proc_category(cp);
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_ME) ||
           c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL ||
           c == UTF8PROC_CATEGORY_PC || cp == 0x200c || cp == 0x200d ||
           (cp >= 0x24b6 && cp <= 0x24e9) || (cp >= 0x1f130 && cp <= 0x1f149) ||
           (cp >= 0x1f150 && cp <= 0x1f169) || (cp >= 0x1f170 && cp <= 0x1f189);
}
