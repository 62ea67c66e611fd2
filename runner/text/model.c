/* runner/text/model.c - models: WordPiece (greedy, longest piece first; tokenizers
 * models/wordpiece). BPE is in bpe.c, Unigram in unigram.c. */
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>

struct wordpiece {
    struct strmap *first,
        *inner;     /* pieces at the start of a word; others, without "##" */
    size_t longest; /* bytes of the longest piece */
    size_t max_chars;
    int32_t unknown;
};

/* The end (in characters) of the longest piece that begins at character `from`, or
 * `from`; place[i] is the byte at which character i begins. */
static size_t longest_piece(const struct wordpiece *m, const char *word,
                            const size_t *place, size_t from, size_t n, int64_t *id)
{
    const struct strmap *map = from ? m->inner : m->first;
    for (size_t end = n; end > from; end--) {
        size_t bytes = place[end] - place[from];
        if (bytes <= m->longest && strmap_get(map, word + place[from], bytes, id))
            return end;
    }
    return from;
}

static void wordpiece_tokenize(const void *config, const struct place_char *word,
                               size_t n, struct tokens *out)
{
    const struct wordpiece *m = config;
    size_t before = out->n, from = 0;
    if (n <= m->max_chars) {
        struct buf text = BUF_INIT;
        size_t *place = xmalloc((n + 1) * sizeof *place);
        for (size_t i = 0; i < n; i++) {
            place[i] = text.len;
            utf8_append(&text, word + i, 1);
        }
        place[n] = text.len;
        while (from < n) {
            int64_t id = 0;
            size_t end = longest_piece(m, buf_str(&text), place, from, n, &id);
            if (end == from)
                break;
            tokens_add(out, (int32_t)id, word[from].begin, word[end - 1].end);
            from = end;
        }
        free(place);
        buf_release(&text);
    }
    if (from < n) { /* no piece fits, or the word is too long: all of it is unknown */
        out->n = before;
        tokens_add(out, m->unknown, word[0].begin, word[n - 1].end);
    }
}

static void wordpiece_release(void *config)
{
    struct wordpiece *m = config;
    strmap_free(m->first);
    strmap_free(m->inner);
    free(m);
}

static int wordpiece_vocab(struct wordpiece *m, const json_t *json, const char *prefix,
                           struct tokenizer *t, struct err *err)
{
    json_t *vocab = json_object_get(json, "vocab"), *id;
    const char *token;
    if (!json_is_object(vocab) || json_object_size(vocab) == 0)
        return err_set(err, ERR_PARSE, "model: no 'vocab'");
    json_object_foreach(vocab, token, id)
    {
        size_t len = strlen(token), skip = strlen(prefix);
        int rc = vocab_add(&t->vocab, token,
                           json_is_integer(id) ? json_integer_value(id) : -1, err);
        if (rc < 0)
            return err_context(err, "model: ");
        strmap_put(m->first, token, len, json_integer_value(id));
        if (len > skip && !strncmp(token, prefix, skip))
            strmap_put(m->inner, token + skip, len - skip, json_integer_value(id));
        m->longest = len > m->longest ? len : m->longest;
    }
    return 0;
}

static int wordpiece_parse(const json_t *json, struct tokenizer *t, struct err *err)
{
    struct wordpiece *m = xcalloc(1, sizeof *m);
    m->first = strmap_new();
    m->inner = strmap_new();
    t->model = (struct model){m, wordpiece_tokenize, wordpiece_release};
    int64_t limit = json_get_int(json, "max_input_chars_per_word", 100), unknown;
    if (limit < 1 || limit > 100000)
        return err_set(err, ERR_PARSE,
                       "model: max_input_chars_per_word must be 1..100000");
    m->max_chars = (size_t)limit;
    int rc = wordpiece_vocab(
        m, json, json_get_str(json, "continuing_subword_prefix", "##"), t, err);
    if (rc < 0)
        return rc;
    const char *unk = json_get_str(json, "unk_token", "[UNK]");
    if (!strmap_get(t->vocab.ids, unk, strlen(unk), &unknown))
        return err_set(err, ERR_PARSE, "model: unk_token '%s' is not in the vocabulary",
                       unk);
    m->unknown = (int32_t)unknown;
    return 0;
}

static const struct {
    const char *type;
    int (*parse)(const json_t *json, struct tokenizer *t, struct err *err);
} kinds[] = {
    {"WordPiece", wordpiece_parse},
    {"BPE", bpe_parse},
    {"Unigram", unigram_parse},
};

int model_parse(const json_t *json, struct tokenizer *t, struct err *err)
{
    const char *type = NULL;
    /* files written before the models had types */
    if (!json_object_get(json, "type") &&
        json_object_get(json, "max_input_chars_per_word"))
        type = "WordPiece";
    else
        type = part_type(json, "model", err);
    if (!type)
        return -ERR_PARSE;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].type, type))
            return kinds[i].parse(json, t, err);
    return part_unknown("model", type, err);
}
