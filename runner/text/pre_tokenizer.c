/* runner/text/pre_tokenizer.c - pre-tokenisers: BertPreTokenizer, and the plain cuts that
 * it is made of. */
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>

static void add_span(struct words *w, size_t begin, size_t end)
{
    if (begin == end)
        return;
    w->at = xgrow(w->at, &w->cap, w->n + 1, sizeof *w->at);
    w->at[w->n++] = (struct span){begin, end};
}

void words_split(struct words *w, bool (*is_cut)(int32_t cp), bool keep)
{
    struct words out = {.text = w->text};
    for (size_t i = 0; i < w->n; i++) {
        size_t begin = w->at[i].begin;
        for (size_t j = begin; j < w->at[i].end; j++) {
            if (!is_cut(w->text->at[j].cp))
                continue;
            add_span(&out, begin, j);
            if (keep)
                add_span(&out, j, j + 1);
            begin = j + 1;
        }
        add_span(&out, begin, w->at[i].end);
    }
    free(w->at);
    *w = out;
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
    *out = (struct pre_tokenizer){NULL, bert_apply};
    return 0;
}

static const struct {
    const char *type;
    int (*parse)(const json_t *json, struct pre_tokenizer *out, struct err *err);
} kinds[] = {
    {"BertPreTokenizer", bert_parse},
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
