/* runner/text/unicode_form.c - Unicode normalisation that keeps places, as the crate
 * unicode-normalization-alignments does it for tokenizers: a sign that came out of a
 * character shares its place, a composed character stands in its first part's. */
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <utf8proc.h>

static int combining_class(int32_t cp)
{
    return utf8proc_get_property(cp)->combining_class;
}

/* Canonical order: runs of combining characters sorted by class, stable. */
static void reorder(struct edit *e, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct edit moved = e[i];
        int class = combining_class(moved.cp);
        size_t j = i;
        for (; class && j && combining_class(e[j - 1].cp) > class; j--)
            e[j] = e[j - 1];
        e[j] = moved;
    }
}

static void decompose_into(struct rewrite *r, const struct text *t, bool compat)
{
    const int options = UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0);
    size_t run = 0; /* where the current run of combining characters began */
    for (size_t i = 0; i < t->n; i++) {
        int32_t parts[32];
        int bound = 0;
        utf8proc_ssize_t k =
            utf8proc_decompose_char(t->at[i].cp, parts, 32, options, &bound);
        if (k < 1 || k > 32) {
            parts[0] = t->at[i].cp;
            k = 1;
        }
        for (utf8proc_ssize_t p = 0; p < k; p++) {
            if (combining_class(parts[p]) == 0) {
                if (r->n - run > 1)
                    reorder(r->at + run, r->n - run);
                run = r->n + 1;
            }
            rewrite_add(r, parts[p], p > 0);
        }
    }
    if (r->n > run + 1)
        reorder(r->at + run, r->n - run);
}

/* The character that two make, or 0. */
static int32_t composed(int32_t a, int32_t b)
{
    int32_t pair[] = {a, b};
    return utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE) == 1
               ? pair[0]
               : 0;
}

/* In place: a starter takes up what composes with it and is not blocked from it by
 * something of an equal or higher class. */
static void compose(struct rewrite *r)
{
    size_t n = 0, starter = SIZE_MAX;
    int before = -1; /* class of what was last kept behind the starter; -1: nothing */
    for (size_t i = 0; i < r->n; i++) {
        const struct edit e = r->at[i];
        const int class = combining_class(e.cp);
        const int32_t c =
            starter != SIZE_MAX && before < class ? composed(r->at[starter].cp, e.cp) : 0;
        if (c) {
            r->at[starter].cp = c;
            r->at[starter].change += e.change - 1;
            continue;
        }
        before = class;
        if (class == 0) {
            starter = n;
            before = -1;
        }
        r->at[n++] = e;
    }
    r->n = n;
}

void unicode_decompose(struct text *t, bool compat)
{
    struct rewrite r = {0};
    decompose_into(&r, t, compat);
    text_rewrite(t, &r);
    free(r.at);
}

void unicode_compose(struct text *t, bool compat)
{
    struct rewrite r = {0};
    decompose_into(&r, t, compat);
    compose(&r);
    text_rewrite(t, &r);
    free(r.at);
}
