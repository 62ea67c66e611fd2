/* runner/text/pre_tokenizer.c - pre-tokenisers: BertPreTokenizer, and the plain cuts that
 * it is made of; Sequence. Those of byte_level.c and split.c are in the table too. */
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>

void words_add(struct words *w, size_t begin, size_t end)
{
    if (begin == end)
        return;
    w->at = xgrow(w->at, &w->cap, w->n + 1, sizeof *w->at);
    w->at[w->n++] = (struct span){begin, end};
}

void words_split(struct words *w, bool (*is_cut)(int32_t cp), bool keep)
{
    struct words out = {.text = w->text, .err = w->err};
    for (size_t i = 0; i < w->n; i++) {
        size_t begin = w->at[i].begin;
        for (size_t j = begin; j < w->at[i].end; j++) {
            if (!is_cut(w->text->at[j].cp))
                continue;
            words_add(&out, begin, j);
            if (keep)
                words_add(&out, j, j + 1);
            begin = j + 1;
        }
        words_add(&out, begin, w->at[i].end);
    }
    free(w->at);
    *w = out;
}

void words_rewrite(struct words *w, void (*append)(const struct place_char *at, size_t n,
                                                   struct text *out))
{
    struct text out = {0};
    for (size_t i = 0; i < w->n; i++) {
        struct span *s = &w->at[i];
        const size_t begin = out.n;
        append(w->text->at + s->begin, s->end - s->begin, &out);
        *s = (struct span){begin, out.n};
    }
    text_release(w->text);
    *w->text = out;
}

static void bert_apply(const void *config, struct words *w)
{
    (void)config;
    words_split(w, unicode_is_space, false);
    words_split(w, unicode_is_punctuation, true);
}

static int bert_parse(const json_t *json, struct pre_tokenizer *out, struct err *err)
{
    (void)json;
    (void)err;
    *out = (struct pre_tokenizer){NULL, bert_apply, NULL};
    return 0;
}

static void whitespace_apply(const void *config, struct words *w)
{
    (void)config;
    words_split(w, unicode_is_space, false);
}

static int whitespace_parse(const json_t *json, struct pre_tokenizer *out,
                            struct err *err)
{
    (void)json;
    (void)err;
    *out = (struct pre_tokenizer){NULL, whitespace_apply, NULL};
    return 0;
}

/* ---- one after the other ----------------------------------------------------------- */

struct sequence {
    struct pre_tokenizer *at;
    size_t n;
};

static void sequence_apply(const void *config, struct words *w)
{
    const struct sequence *s = config;
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i].apply)
            s->at[i].apply(s->at[i].config, w);
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

/* How often ByteLevel is in it. */
static size_t byte_levels(const json_t *json)
{
    const json_t *list = json_object_get(json, "pretokenizers");
    size_t n = !strcmp(json_get_str(json, "type", ""), "ByteLevel");
    for (size_t i = 0; i < json_array_size(list); i++)
        n += byte_levels(json_array_get(list, i));
    return n;
}

static int sequence_parse(const json_t *json, struct pre_tokenizer *out, struct err *err)
{
    const json_t *list = json_object_get(json, "pretokenizers");
    if (byte_levels(json) > 1) /* each doubles the text */
        return err_set(err, ERR_PARSE, "pre_tokenizer: ByteLevel twice");
    struct sequence *s = xcalloc(1, sizeof *s);
    *out = (struct pre_tokenizer){s, sequence_apply, sequence_release};
    s->at = xcalloc(json_array_size(list) + 1, sizeof *s->at);
    int rc = 0;
    for (size_t i = 0; i < json_array_size(list) && rc >= 0; i++)
        rc = pre_tokenizer_parse(json_array_get(list, i), &s->at[s->n++], err);
    return rc;
}

static const struct {
    const char *type;
    int (*parse)(const json_t *json, struct pre_tokenizer *out, struct err *err);
} kinds[] = {
    {"BertPreTokenizer", bert_parse},      {"ByteLevel", byte_level_pre_tokenizer},
    {"Digits", digits_pre_tokenizer},      {"Metaspace", metaspace_pre_tokenizer},
    {"Sequence", sequence_parse},          {"Split", split_pre_tokenizer},
    {"WhitespaceSplit", whitespace_parse},
};

int pre_tokenizer_parse(const json_t *json, struct pre_tokenizer *out, struct err *err)
{
    if (!json || json_is_null(json))
        return 0;
    const char *type = part_type(json, "pre_tokenizer", err);
    if (!type)
        return -ERR_PARSE;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].type, type))
            return kinds[i].parse(json, out, err);
    return part_unknown("pre_tokenizer", type, err);
}
