/* runner/text/replace.c - Replace: what matches becomes another text; as normaliser and as
 * decoder (tokenizers normalizers/replace.rs). */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/regex.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>

/* A text that grows beyond it is given up: several of these in a row multiply. */
#define GROWN_MAX ((size_t)16 << 20)

struct replace {
    struct regex *regex;
    struct text content;
};

/* New characters have the place of the last one of the match; where that is empty, of the
 * one before it. */
static void append_content(const struct replace *c, const struct place_char *at,
                           size_t end, struct text *out)
{
    for (size_t i = 0; i < c->content.n; i++)
        text_add(out,
                 (struct place_char){c->content.at[i].cp, end ? at[end - 1].begin : 0,
                                     end ? at[end - 1].end : 0});
}

static void normalize(const void *config, struct text *t, struct err *err)
{
    const struct replace *c = config;
    struct text out = {0};
    struct cuts cuts = {0};
    cuts_find(c->regex, t->at, t->n, false, &cuts, err);
    for (size_t i = 0; i < cuts.n; i++) {
        const struct cut *k = &cuts.at[i];
        if (out.n > t->n && out.n > GROWN_MAX) {
            (void)err_set(err, ERR_PARSE, "Replace: more than %zu characters", GROWN_MAX);
            break;
        }
        if (k->match)
            append_content(c, t->at, k->end, &out);
        for (size_t j = k->begin; !k->match && j < k->end; j++)
            text_add(&out, t->at[j]);
    }
    free(cuts.at);
    text_release(t);
    *t = out;
}

static void decode(const void *config, struct strings *tokens, struct err *err)
{
    size_t sum = 0;
    for (size_t i = 0; i < tokens->n; i++) {
        struct buf *b = &tokens->at[i];
        struct text text = {0};
        if (text_from_utf8(&text, buf_str(b), b->len, err) == 0 && sum <= GROWN_MAX) {
            normalize(config, &text, err);
            buf_clear(b);
            utf8_append(b, text.at, text.n);
        }
        sum += text.n;
        text_release(&text);
    }
    if (sum > GROWN_MAX)
        (void)err_set(err, ERR_PARSE, "Replace: more than %zu characters", GROWN_MAX);
}

static void release(void *config)
{
    struct replace *c = config;
    regex_free(c->regex);
    text_release(&c->content);
    free(c);
}

static int parse(const json_t *json, const char *what, struct replace *c, struct err *err)
{
    const char *s = json_get_str(json, "content", "");
    int rc = text_from_utf8(&c->content, s, strlen(s), err);
    return rc < 0 ? rc : pattern_parse(json, what, &c->regex, err);
}

int replace_normalizer(const json_t *json, struct normalizer *out, struct err *err)
{
    struct replace *c = xcalloc(1, sizeof *c);
    *out = (struct normalizer){c, normalize, release};
    return parse(json, "normalizer: Replace", c, err);
}

int replace_decoder(const json_t *json, struct decoder *out, struct err *err)
{
    struct replace *c = xcalloc(1, sizeof *c);
    *out = (struct decoder){c, decode, release};
    return parse(json, "decoder: Replace", c, err);
}
