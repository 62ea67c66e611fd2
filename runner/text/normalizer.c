/* runner/text/normalizer.c - normalisers: BertNormalizer (tokenizers
 * normalizers/bert.rs), the four Unicode forms, Lowercase, StripAccents, Strip,
 * Prepend, Sequence. Precompiled and Replace are in files of their own. */
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
        {0x4e00, 0x9fff},   {0x3400, 0x4dbf},   {0x20000, 0x2a6df}, {0x2a700, 0x2b73f},
        {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf}, {0xf900, 0xfaff},   {0x2f800, 0x2fa1f}};
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

static void bert_apply(const void *config, struct text *t, struct err *err)
{
    (void)err;
    const struct bert_normalizer *c = config;
    if (c->clean_text)
        clean(t);
    if (c->handle_chinese_chars)
        space_out_chinese(t);
    if (c->strip_accents) {
        unicode_decompose(t, false);
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
    *out = (struct normalizer){c, bert_apply, free};
    return 0;
}

/* ---- plain ones -------------------------------------------------------------------- */

static void nfd(const void *config, struct text *t, struct err *err)
{
    (void)config;
    (void)err;
    unicode_decompose(t, false);
}

static void nfkd(const void *config, struct text *t, struct err *err)
{
    (void)config;
    (void)err;
    unicode_decompose(t, true);
}

static void nfc(const void *config, struct text *t, struct err *err)
{
    (void)config;
    (void)err;
    unicode_compose(t, false);
}

static void nfkc(const void *config, struct text *t, struct err *err)
{
    (void)config;
    (void)err;
    unicode_compose(t, true);
}

static void lower(const void *config, struct text *t, struct err *err)
{
    (void)config;
    (void)err;
    lowercase(t);
}

/* All marks here, only those without width in BertNormalizer. */
static bool is_not_mark(int32_t cp)
{
    const utf8proc_category_t c = utf8proc_category(cp);
    return c < UTF8PROC_CATEGORY_MN || c > UTF8PROC_CATEGORY_ME;
}

static void strip_accents(const void *config, struct text *t, struct err *err)
{
    (void)config;
    (void)err;
    filter(t, is_not_mark);
}

/* ---- Prepend, Strip ----------------------------------------------------------------- */

/* What is put before a text has the place of its first character; an empty one stays. */
static void prepend(const void *config, struct text *t, struct err *err)
{
    (void)err;
    const struct text *before = config;
    struct text out = {0};
    if (!t->n)
        return;
    for (size_t i = 0; i < before->n; i++)
        text_add(&out,
                 (struct place_char){before->at[i].cp, t->at[0].begin, t->at[0].end});
    for (size_t i = 0; i < t->n; i++)
        text_add(&out, t->at[i]);
    text_release(t);
    *t = out;
}

static void prepend_release(void *config)
{
    text_release(config);
    free(config);
}

static int prepend_parse(const json_t *json, struct normalizer *out, struct err *err)
{
    const char *s = json_get_str(json, "prepend", "");
    struct text *before = xcalloc(1, sizeof *before);
    *out = (struct normalizer){before, prepend, prepend_release};
    return text_from_utf8(before, s, strlen(s), err);
}

struct strip {
    bool left, right;
};

static void strip(const void *config, struct text *t, struct err *err)
{
    (void)err;
    const struct strip *c = config;
    size_t begin = 0;
    while (c->right && t->n && unicode_is_space(t->at[t->n - 1].cp))
        t->n--;
    while (c->left && begin < t->n && unicode_is_space(t->at[begin].cp))
        begin++;
    t->n -= begin;
    if (begin)
        memmove(t->at, t->at + begin, t->n * sizeof *t->at);
}

static int strip_parse(const json_t *json, struct normalizer *out, struct err *err)
{
    (void)err;
    struct strip *c = xcalloc(1, sizeof *c);
    c->left = json_get_bool(json, "strip_left", 1);
    c->right = json_get_bool(json, "strip_right", 1);
    *out = (struct normalizer){c, strip, free};
    return 0;
}

/* ---- one after the other ----------------------------------------------------------- */

struct sequence {
    struct normalizer *at;
    size_t n;
};

static void sequence_apply(const void *config, struct text *t, struct err *err)
{
    const struct sequence *s = config;
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i].apply)
            s->at[i].apply(s->at[i].config, t, err);
}

static void sequence_release(void *config)
{
    struct sequence *s = config;
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i].release)
            s->at[i].release(s->at[i].config);
    free(s->at);
    free(s);
}

static int sequence_parse(const json_t *json, struct normalizer *out, struct err *err)
{
    const json_t *list = json_object_get(json, "normalizers");
    struct sequence *s = xcalloc(1, sizeof *s);
    *out = (struct normalizer){s, sequence_apply, sequence_release};
    s->at = xcalloc(json_array_size(list) + 1, sizeof *s->at);
    int rc = 0;
    for (size_t i = 0; i < json_array_size(list) && rc >= 0; i++)
        rc = normalizer_parse(json_array_get(list, i), &s->at[s->n++], err);
    return rc;
}

static const struct {
    const char *type;
    int (*parse)(const json_t *json, struct normalizer *out, struct err *err);
    void (*apply)(const void *config, struct text *t,
                  struct err *err); /* where there is no config */
} kinds[] = {
    {"BertNormalizer", bert_parse, NULL},
    {"Sequence", sequence_parse, NULL},
    {"Prepend", prepend_parse, NULL},
    {"Precompiled", precompiled_normalizer, NULL},
    {"Replace", replace_normalizer, NULL},
    {"Strip", strip_parse, NULL},
    {"NFC", NULL, nfc},
    {"NFD", NULL, nfd},
    {"NFKC", NULL, nfkc},
    {"NFKD", NULL, nfkd},
    {"Lowercase", NULL, lower},
    {"StripAccents", NULL, strip_accents},
};

int normalizer_parse(const json_t *json, struct normalizer *out, struct err *err)
{
    if (!json || json_is_null(json))
        return 0;
    const char *type = part_type(json, "normalizer", err);
    if (!type)
        return -ERR_PARSE;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].type, type) != 0)
            continue;
        if (kinds[i].parse)
            return kinds[i].parse(json, out, err);
        *out = (struct normalizer){NULL, kinds[i].apply, NULL};
        return 0;
    }
    return part_unknown("normalizer", type, err);
}
