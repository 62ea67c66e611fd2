/* Fuzzes what comes beside a model: tokenizer_config.json against two small tokenizers, and
 * the class names of a config.json. What is taken can tokenize, and numbers its names. */
#include "lib/json.h"
#include "runner/data/dataset.h"
#include <stdlib.h>
#include <string.h>

#define VOCAB "\"vocab\":{\"?\":0,\"[C]\":1,\"[S]\":2,\"a\":3,\"##b\":4}"

static const char *const tokenizers[] = {
    "{\"normalizer\":{\"type\":\"BertNormalizer\"},"
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[S]\",2],"
    "\"cls\":[\"[C]\",1]},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\"," VOCAB "}}",
    "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[]}}"};

static void try_labels(const char *text, size_t size)
{
    json_t *config = json_parse(text, size, "fuzz", NULL);
    struct labels l;
    if (labels_of_model(&l, config, "fuzz", NULL) == 0)
        for (size_t i = 0; i < l.count; i++)
            if (!l.names[i])
                abort();
    labels_release(&l);
    json_decref(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    for (int i = 0; i < 2; i++) {
        struct tokenizer *t;
        struct encoding e = {0};
        if (tokenizer_parse_with(tokenizers[i], strlen(tokenizers[i]), text, size, "fuzz",
                                 &t, NULL) < 0)
            continue;
        const int32_t limit = tokenizer_max_length(t) < 8 ? tokenizer_max_length(t) : 8;
        if (tokenizer_encode(t, "A ab \xc3\xa9 a a a a a a", 20, "b a", 3, limit, true,
                             &e, NULL) == 0 &&
            e.n > (size_t)limit)
            abort();
        encoding_release(&e);
        tokenizer_free(t);
    }
    try_labels(text, size);
    free(text);
    return 0;
}
