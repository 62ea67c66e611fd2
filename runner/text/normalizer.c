/* runner/text/normalizer.c - normalisers: BertNormalizer (tokenizers
 * normalizers/bert.rs). */
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct bert_normalizer {
    bool clean_text, handle_chinese_chars, strip_accents, lowercase;
};

/* Keeps the characters for which `keep` says so, at their places. */
static void filter(struct text *t, bool (*keep)(int32_t cp))
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        if (keep(t->at[i].cp))
            t->at[n++] = t->at[i];
    t->n = n;
}

static bool is_clean(int32_t cp)
{
    return !unicode_is_other(cp);
}

static void clean(struct text *t)
{
    filter(t, is_clean);
    for (size_t i = 0; i < t->n; i++)
        if (unicode_is_space(t->at[i].cp))
            t->at[i].cp = ' ';
}

/* The blocks that BERT's own tokenizer calls CJK, gap at 2B820 included, as tokenizers
 * has it. */
static bool is_chinese(int32_t cp)
{
    static const int32_t blocks[][2] = {
        {0x4e00,  0x9fff },
        {0x3400,  0x4dbf },
        {0x20000, 0x2a6df},
        {0x2a700, 0x2b73f},
        {0x2b740, 0x2b81f},
        {0x2b920, 0x2ceaf},
        {0xf900,  0xfaff },
        {0x2f800, 0x2fa1f}
    };
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        if (cp >= blocks[i][0] && cp <= blocks[i][1])
            return true;
    return false;
}

static void space_out_chinese(struct text *t)
{
    struct rewrite r = {0};
    for (size_t i = 0; i < t->n; i++) {
        bool chinese = is_chinese(t->at[i].cp);
        if (chinese)
            rewrite_add(&r, ' ', 0);
        rewrite_add(&r, t->at[i].cp, chinese);
        if (chinese)
            rewrite_add(&r, ' ', 1);
    }
    text_rewrite(t, &r);
    free(r.at);
}

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

/* Canonical decomposition; a sign that came out of a character shares its place. */
static void decompose(struct text *t)
{
    struct rewrite r = {0};
    size_t run = 0; /* where the current run of combining characters began */
    for (size_t i = 0; i < t->n; i++) {
        int32_t parts[32];
        int bound = 0;
        utf8proc_ssize_t k =
            utf8proc_decompose_char(t->at[i].cp, parts, 32, UTF8PROC_DECOMPOSE, &bound);
        if (k < 1 || k > 32) {
            parts[0] = t->at[i].cp;
            k = 1;
        }
        for (utf8proc_ssize_t p = 0; p < k; p++) {
            if (combining_class(parts[p]) == 0) {
                if (r.n - run > 1)
                    reorder(r.at + run, r.n - run);
                run = r.n + 1;
            }
            rewrite_add(&r, parts[p], p > 0);
        }
    }
    if (r.n > run + 1)
        reorder(r.at + run, r.n - run);
    text_rewrite(t, &r);
    free(r.at);
}

static bool is_not_accent(int32_t cp)
{
    return !unicode_is_mark_nonspacing(cp);
}

/* Full mapping per character; the dotted capital I is the only one that grows. */
static void lowercase(struct text *t)
{
    struct rewrite r = {0};
    for (size_t i = 0; i < t->n; i++) {
        int32_t cp = t->at[i].cp;
        rewrite_add(&r, cp == 0x130 ? 'i' : utf8proc_tolower(cp), 0);
        if (cp == 0x130)
            rewrite_add(&r, 0x307, 1);
    }
    text_rewrite(t, &r);
    free(r.at);
}

static void bert_apply(const void *config, struct text *t)
{
    const struct bert_normalizer *c = config;
    if (c->clean_text)
        clean(t);
    if (c->handle_chinese_chars)
        space_out_chinese(t);
    if (c->strip_accents) {
        decompose(t);
        filter(t, is_not_accent);
    }
    if (c->lowercase)
        lowercase(t);
}

static int bert_parse(const json_t *json, struct normalizer *out, struct err *err)
{
    (void)err;
    struct bert_normalizer *c = xcalloc(1, sizeof *c);
    c->clean_text = json_get_bool(json, "clean_text", 1);
    c->handle_chinese_chars = json_get_bool(json, "handle_chinese_chars", 1);
    c->lowercase = json_get_bool(json, "lowercase", 1);
    c->strip_accents = json_get_bool(json, "strip_accents", c->lowercase);
    *out = (struct normalizer){c, bert_apply};
    return 0;
}

static const struct {
    const char *type;
    int (*parse)(const json_t *json, struct normalizer *out, struct err *err);
} kinds[] = {
    {"BertNormalizer", bert_parse},
};

int normalizer_parse(const json_t *json, struct normalizer *out, struct err *err)
{
    if (!json || json_is_null(json))
        return 0;
    const char *type = part_type(json, "normalizer", err);
    if (!type)
        return -ERR_PARSE;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].type, type))
            return kinds[i].parse(json, out, err);
    return part_unknown("normalizer", type, err);
}
