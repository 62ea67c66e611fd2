/* runner/text/metaspace.c - Metaspace (Kudo and Richardson 2018, SentencePiece; tokenizers
 * pre_tokenizers/metaspace.rs): blanks are shown as one visible character, which begins
 * the word behind it. Pre-tokeniser and decoder. */
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum prepend { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

struct metaspace {
    int32_t replacement;
    enum prepend prepend; /* before a word that has none; FIRST: of the text only */
    bool split;
};

/* One word as it is to be; places stay. */
static void append_word(const struct metaspace *c, const struct place_char *at, size_t n,
                        struct text *out)
{
    const bool shown = at[0].cp == ' ' || at[0].cp == c->replacement;
    if (!shown && (c->prepend == PREPEND_ALWAYS ||
                   (c->prepend == PREPEND_FIRST && at[0].begin == 0)))
        text_add(out, (struct place_char){c->replacement, at[0].begin, at[0].end});
    for (size_t i = 0; i < n; i++)
        text_add(out, (struct place_char){at[i].cp == ' ' ? c->replacement : at[i].cp,
                                          at[i].begin, at[i].end});
}

static void apply(const void *config, struct words *w)
{
    const struct metaspace *c = config;
    struct text text = {0};
    struct words out = {.text = w->text, .err = w->err};
    for (size_t i = 0; i < w->n; i++) {
        size_t begin = text.n;
        append_word(c, w->text->at + w->at[i].begin, w->at[i].end - w->at[i].begin,
                    &text);
        for (size_t j = begin + 1; c->split && j < text.n; j++)
            if (text.at[j].cp == c->replacement) {
                words_add(&out, begin, j);
                begin = j;
            }
        words_add(&out, begin, text.n);
    }
    text_release(w->text);
    *w->text = text;
    free(w->at);
    *w = out;
}

static int parse(const json_t *json, struct metaspace *c, const char *stage,
                 struct err *err)
{
    static const char *const schemes[] = {[PREPEND_ALWAYS] = "always",
                                          [PREPEND_FIRST] = "first",
                                          [PREPEND_NEVER] = "never"};
    const char *scheme = json_get_str(json, "prepend_scheme", schemes[PREPEND_ALWAYS]);
    const bool never = !json_get_bool(json, "add_prefix_space", 1); /* older files */
    const char *shown = json_get_str(json, "replacement", "\xe2\x96\x81");
    size_t i = 0;
    while (i < ARRAY_LEN(schemes) && strcmp(schemes[i], scheme) != 0)
        i++;
    if (i == ARRAY_LEN(schemes) || (never && i != PREPEND_NEVER))
        return err_set(err, ERR_PARSE,
                       "%s: Metaspace: prepend_scheme must be always, first or never "
                       "(never where add_prefix_space is false), not '%.50s'",
                       stage, scheme);
    c->prepend = (enum prepend)i;
    c->split = json_get_bool(json, "split", 1);
    const utf8proc_ssize_t k =
        utf8proc_iterate((const utf8proc_uint8_t *)shown, -1, &c->replacement);
    if (k <= 0 || shown[k] || !c->replacement)
        return err_set(err, ERR_PARSE,
                       "%s: Metaspace: 'replacement' must be one character", stage);
    return 0;
}

int metaspace_pre_tokenizer(const json_t *json, struct pre_tokenizer *out,
                            struct err *err)
{
    struct metaspace *c = xcalloc(1, sizeof *c);
    *out = (struct pre_tokenizer){c, apply, free};
    return parse(json, c, "pre_tokenizer", err);
}

/* Of the first token what was put before it vanishes, and with it all that look so. */
static void decode(const void *config, struct strings *p, struct err *err)
{
    (void)err;
    const struct metaspace *c = config;
    utf8proc_uint8_t shown[5] = {0};
    (void)utf8proc_encode_char(c->replacement, shown);
    for (size_t i = 0; i < p->n; i++)
        buf_replace_all(&p->at[i], (const char *)shown,
                        i == 0 && c->prepend != PREPEND_NEVER ? "" : " ");
}

int metaspace_decoder(const json_t *json, struct decoder *out, struct err *err)
{
    struct metaspace *c = xcalloc(1, sizeof *c);
    *out = (struct decoder){c, decode, free};
    return parse(json, c, "decoder", err);
}
