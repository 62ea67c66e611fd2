/* Fuzzes tokenizer.json and the pipeline: the input is a tokenizer (none: a built-in
 * one), a NUL, and text (with a second NUL: a pair). Ids are known, places lie within the
 * text and in order, and what was encoded can be decoded. */
#include "lib/buf.h"
#include "runner/text/tokenizer.h"
#include <stdlib.h>
#include <string.h>

static const char builtin[] =
    "{\"added_tokens\":[{\"id\":6,\"content\":\"<x>\",\"lstrip\":true},"
    "{\"id\":7,\"content\":\"\\u00e9e\",\"normalized\":true,\"rstrip\":true,"
    "\"single_word\":true,\"special\":true}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\"},"
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[S]\",5],\"cls\":[\"[C]"
    "\","
    "4]},\"decoder\":{\"type\":\"WordPiece\"},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"max_input_chars_per_word\":"
    "9,"
    "\"vocab\":{\"?\":0,\"a\":1,\"##b\":2,\"e\":3,\"[C]\":4,\"[S]\":5,\"##\":8,\".\":9}}"
    "}";

static void encode(const struct tokenizer *t, const char *text, size_t n,
                   const char *pair, size_t pair_n, int32_t limit)
{
    struct encoding e = {0};
    struct buf b = BUF_INIT;
    struct err err = ERR_INIT;
    int rc = tokenizer_encode(t, text, n, pair, pair_n, limit, true, &e, &err);
    if (rc < 0 && (rc != -(int)err.code || !err.msg[0]))
        abort();
    if (rc == 0) {
        size_t longest = n > pair_n ? n : pair_n;
        if (limit && e.n > (size_t)limit)
            abort();
        for (size_t i = 0; i < e.n; i++)
            if (!tokenizer_token(t, e.ids[i]) || e.offsets[i][0] < 0 ||
                e.offsets[i][1] < e.offsets[i][0] || (size_t)e.offsets[i][1] > longest)
                abort();
        if (tokenizer_decode(t, e.ids, e.n, false, &b, &err) < 0)
            abort();
        buf_clear(&b);
        if (tokenizer_decode(t, e.ids, e.n, true, &b, &err) < 0)
            abort();
    }
    buf_release(&b);
    encoding_release(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data;
    const char *nul = size ? memchr(s, 0, size) : NULL;
    size_t json = nul ? (size_t)(nul - s) : size;
    struct err err = ERR_INIT;
    struct tokenizer *t;
    int rc = json ? tokenizer_parse(s, json, "fuzz", &t, &err)
                  : tokenizer_parse(builtin, strlen(builtin), "builtin", &t, &err);
    if (rc < 0) {
        if (t || !json || rc != -(int)err.code || !err.msg[0])
            abort();
        return 0;
    }
    if (nul) {
        const char *text = nul + 1;
        size_t n = size - json - 1;
        const char *cut = n ? memchr(text, 0, n) : NULL;
        encode(t, text, n, NULL, 0, 0);
        encode(t, text, n, NULL, 0, 5);
        if (cut)
            encode(t, text, (size_t)(cut - text), cut + 1, n - (size_t)(cut - text) - 1,
                   7);
    }
    tokenizer_free(t);
    return 0;
}
