/* runner/text/decoder.c - decoders: WordPiece (tokenizers decoders/wordpiece.rs);
 * ByteLevel is in byte_level.c. */
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>

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

static void replace_all(struct buf *text, const char *from, const char *to)
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

static void wordpiece_append(const void *config, const char *token, size_t index,
                             struct buf *out)
{
    const struct wordpiece_decoder *c = config;
    struct buf text = BUF_INIT;
    size_t skip = strlen(c->prefix);
    if (index == 0)
        buf_str_add(&text, token);
    else if (!strncmp(token, c->prefix, skip))
        buf_str_add(&text, token + skip);
    else
        buf_printf(&text, " %s", token);
    for (size_t i = 0; c->cleanup && i < ARRAY_LEN(cleanups); i++)
        replace_all(&text, cleanups[i][0], cleanups[i][1]);
    buf_add(out, buf_str(&text), text.len);
    buf_release(&text);
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
    *out = (struct decoder){c, wordpiece_append, NULL, wordpiece_release};
    return 0;
}

static const struct {
    const char *type;
    int (*parse)(const json_t *json, struct decoder *out, struct err *err);
} kinds[] = {
    {"WordPiece", wordpiece_parse},
    {"ByteLevel", byte_level_decoder},
};

int decoder_parse(const json_t *json, struct decoder *out, struct err *err)
{
    if (!json || json_is_null(json))
        return 0;
    const char *type = part_type(json, "decoder", err);
    if (!type)
        return -ERR_PARSE;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].type, type))
            return kinds[i].parse(json, out, err);
    return part_unknown("decoder", type, err);
}
