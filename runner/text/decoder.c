/* runner/text/decoder.c - decoders: WordPiece, ByteFallback, Fuse, Strip, Sequence
 * (tokenizers decoders/). ByteLevel, Metaspace and Replace are in files of their own. */
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct buf *strings_add(struct strings *s)
{
    s->at = xgrow(s->at, &s->cap, s->n + 1, sizeof *s->at);
    s->at[s->n] = (struct buf)BUF_INIT;
    return &s->at[s->n++];
}

void strings_release(struct strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        buf_release(&s->at[i]);
    free(s->at);
    *s = (struct strings){0};
}

/* ---- WordPiece --------------------------------------------------------------------- */

struct wordpiece_decoder {
    char *prefix;
    bool cleanup;
};

/* English spacing as tokenizers undoes it: one after the other, on each token with the
 * blank before it. */
static const char *const cleanups[][2] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

void buf_replace_all(struct buf *text, const char *from, const char *to)
{
    const char *hit = strstr(buf_str(text), from), *at = buf_str(text);
    if (!hit)
        return;
    struct buf out = BUF_INIT;
    for (; hit; hit = strstr(at, from)) {
        buf_add(&out, at, (size_t)(hit - at));
        buf_str_add(&out, to);
        at = hit + strlen(from);
    }
    buf_str_add(&out, at);
    buf_release(text);
    *text = out;
}

static void wordpiece_decode(const void *config, struct strings *tokens, struct err *err)
{
    (void)err;
    const struct wordpiece_decoder *c = config;
    const size_t skip = strlen(c->prefix);
    for (size_t k = 0; k < tokens->n; k++) {
        struct buf text = BUF_INIT;
        const char *token = buf_str(&tokens->at[k]);
        if (k == 0)
            buf_str_add(&text, token);
        else if (!strncmp(token, c->prefix, skip))
            buf_str_add(&text, token + skip);
        else
            buf_printf(&text, " %s", token);
        for (size_t i = 0; c->cleanup && i < ARRAY_LEN(cleanups); i++)
            buf_replace_all(&text, cleanups[i][0], cleanups[i][1]);
        buf_release(&tokens->at[k]);
        tokens->at[k] = text;
    }
}

static void wordpiece_release(void *config)
{
    struct wordpiece_decoder *c = config;
    free(c->prefix);
    free(c);
}

static int wordpiece_parse(const json_t *json, struct decoder *out, struct err *err)
{
    (void)err;
    struct wordpiece_decoder *c = xcalloc(1, sizeof *c);
    c->prefix = xstrdup(json_get_str(json, "prefix", "##"));
    c->cleanup = json_get_bool(json, "cleanup", 1);
    *out = (struct decoder){c, wordpiece_decode, wordpiece_release};
    return 0;
}

/* ---- ByteFallback, Fuse ------------------------------------------------------------ */

/* The byte of "<0xXX>", or -1. */
static int byte_of(const struct buf *token)
{
    const char *s = buf_str(token);
    if (token->len != 6 || strncmp(s, "<0x", 3) != 0 || s[5] != '>' ||
        !isxdigit((unsigned char)s[3]) || !isxdigit((unsigned char)s[4]))
        return -1;
    return (int)strtol(s + 3, NULL, 16);
}

/* A run of bytes is text, or as many U+FFFD as there are bytes. */
static void add_run(struct strings *out, struct buf *run)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)buf_str(run);
    utf8proc_ssize_t left = (utf8proc_ssize_t)run->len, k;
    int32_t cp;
    for (; left && (k = utf8proc_iterate(p, left, &cp)) > 0; left -= k)
        p += k;
    if (run->len && !left)
        buf_add(strings_add(out), buf_str(run), run->len);
    for (size_t i = 0; left && i < run->len; i++)
        buf_str_add(strings_add(out), "\xef\xbf\xbd");
    buf_clear(run);
}

static void byte_fallback(const void *config, struct strings *tokens, struct err *err)
{
    (void)config;
    (void)err;
    struct strings out = {0};
    struct buf run = BUF_INIT;
    for (size_t i = 0; i < tokens->n; i++) {
        const int byte = byte_of(&tokens->at[i]);
        if (byte >= 0) {
            buf_char(&run, (char)byte);
            continue;
        }
        add_run(&out, &run);
        buf_add(strings_add(&out), buf_str(&tokens->at[i]), tokens->at[i].len);
    }
    add_run(&out, &run);
    buf_release(&run);
    strings_release(tokens);
    *tokens = out;
}

/* One string in the place of all. */
static void fuse(const void *config, struct strings *tokens, struct err *err)
{
    (void)config;
    (void)err;
    struct strings one = {0};
    struct buf *all = strings_add(&one);
    for (size_t i = 0; i < tokens->n; i++)
        buf_add(all, buf_str(&tokens->at[i]), tokens->at[i].len);
    strings_release(tokens);
    *tokens = one;
}

/* ---- Strip ------------------------------------------------------------------------- */

struct strip {
    char content[5]; /* one character */
    int64_t start, stop;
};

/* At most `start` of them go at the beginning of every token, `stop` at its end. */
static void strip(const void *config, struct strings *tokens, struct err *err)
{
    (void)err;
    const struct strip *c = config;
    const size_t k = strlen(c->content);
    for (size_t i = 0; i < tokens->n; i++) {
        struct buf *t = &tokens->at[i], out = BUF_INIT;
        const char *s = buf_str(t);
        size_t begin = 0, end = t->len;
        for (int64_t n = c->start;
             n > 0 && end - begin >= k && !memcmp(s + begin, c->content, k); n--)
            begin += k;
        for (int64_t n = c->stop;
             n > 0 && end - begin >= k && !memcmp(s + end - k, c->content, k); n--)
            end -= k;
        buf_add(&out, s + begin, end - begin);
        buf_release(t);
        *t = out;
    }
}

static int strip_parse(const json_t *json, struct decoder *out, struct err *err)
{
    struct strip *c = xcalloc(1, sizeof *c);
    *out = (struct decoder){c, strip, free};
    const char *s = json_get_str(json, "content", " ");
    int32_t cp;
    const utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)s, -1, &cp);
    if (k <= 0 || !*s || s[k])
        return err_set(err, ERR_PARSE, "decoder: Strip: 'content' must be one character");
    memcpy(c->content, s, (size_t)k);
    c->start = json_get_int(json, "start", 0);
    c->stop = json_get_int(json, "stop", 0);
    return 0;
}

/* ---- one after the other ----------------------------------------------------------- */

struct sequence {
    struct decoder *at;
    size_t n;
};

static void sequence_decode(const void *config, struct strings *tokens, struct err *err)
{
    const struct sequence *s = config;
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i].decode)
            s->at[i].decode(s->at[i].config, tokens, err);
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

static int sequence_parse(const json_t *json, struct decoder *out, struct err *err)
{
    const json_t *list = json_object_get(json, "decoders");
    struct sequence *s = xcalloc(1, sizeof *s);
    *out = (struct decoder){s, sequence_decode, sequence_release};
    s->at = xcalloc(json_array_size(list) + 1, sizeof *s->at);
    int rc = 0;
    for (size_t i = 0; i < json_array_size(list) && rc >= 0; i++)
        rc = decoder_parse(json_array_get(list, i), &s->at[s->n++], err);
    return rc;
}

static const struct {
    const char *type;
    int (*parse)(const json_t *json, struct decoder *out, struct err *err);
    void (*decode)(const void *config, struct strings *tokens,
                   struct err *err); /* where there is no config */
} kinds[] = {
    {"ByteFallback", NULL, byte_fallback},
    {"ByteLevel", NULL, byte_level_decode},
    {"Fuse", NULL, fuse},
    {"Metaspace", metaspace_decoder, NULL},
    {"Replace", replace_decoder, NULL},
    {"Sequence", sequence_parse, NULL},
    {"Strip", strip_parse, NULL},
    {"WordPiece", wordpiece_parse, NULL},
};

int decoder_parse(const json_t *json, struct decoder *out, struct err *err)
{
    if (!json || json_is_null(json))
        return 0;
    const char *type = part_type(json, "decoder", err);
    if (!type)
        return -ERR_PARSE;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].type, type) != 0)
            continue;
        if (kinds[i].parse)
            return kinds[i].parse(json, out, err);
        *out = (struct decoder){NULL, kinds[i].decode, NULL};
        return 0;
    }
    return part_unknown("decoder", type, err);
}
