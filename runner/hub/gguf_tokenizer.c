/* runner/hub/gguf_tokenizer.c - tokenizer.ggml.* as the tokenizer.json that it was made of.
 *
 * Byte-level BPE ("gpt2") names its expression by a word, `pre` (gguf/front.h). SentencePiece ("llama") has
 * scores instead of merges: the pieces joined are those that transformers' conversion makes
 * of them (convert_slow_tokenizer.py, generate_merges), the best score first. */
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/hub/gguf/front.h"
#include "runner/hub/gguf_model.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The vocabulary; borrowed from the file. */
struct words {
    uint64_t count;
    const char **text;
    size_t *length;
    const struct gguf_pair *types, *scores; /* NULL: none */
};

/* ---- vocabulary -------------------------------------------------------------------- */

static const struct gguf_pair *find_array(const struct gguf *g, const char *key,
                                          uint64_t count, bool numbers)
{
    const struct gguf_pair *p = gguf_find(g, key);
    const bool good = p && p->type == GGUF_ARRAY && (!count || p->count == count) &&
                      (numbers ? p->element == GGUF_I32 || p->element == GGUF_U32 ||
                                     p->element == GGUF_F32
                               : p->element == GGUF_STRING);
    return good ? p : NULL;
}

static int read_words(const struct gguf *g, struct words *w, struct err *err)
{
    const struct gguf_pair *tokens = find_array(g, "tokenizer.ggml.tokens", 0, false);
    if (!tokens || !tokens->count)
        return err_set(err, ERR_PARSE, "no list of strings 'tokenizer.ggml.tokens'");
    w->count = tokens->count;
    w->text = xcalloc(w->count, sizeof *w->text);
    w->length = xcalloc(w->count, sizeof *w->length);
    const uint8_t *at = tokens->data;
    for (uint64_t i = 0; i < w->count; i++)
        w->text[i] = gguf_next_string(&at, &w->length[i]);
    w->types = find_array(g, "tokenizer.ggml.token_type", w->count, true);
    w->scores = find_array(g, "tokenizer.ggml.scores", w->count, true);
    return 0;
}

static int64_t type_of(const struct words *w, uint64_t id)
{
    return w->types ? gguf_element_int(w->types, id) : GGUF_TOKEN_NORMAL;
}

static json_t *word(const struct words *w, uint64_t id)
{
    return json_stringn(w->text[id], w->length[id]);
}

/* {"token": id, ...} */
static int make_vocab(const struct words *w, json_t *model, struct err *err)
{
    json_t *vocab = json_object();
    int rc = 0;
    for (uint64_t i = 0; i < w->count && !rc; i++) {
        json_t *text = word(w, i);
        const char *key = json_string_value(text);
        if (!key || strlen(key) != w->length[i])
            rc = err_set(err, ERR_PARSE, "token %" PRIu64 " is not text", i);
        else if (json_object_get(vocab, key))
            rc = err_set(err, ERR_PARSE, "token '%.100s' is there twice", key);
        else
            json_object_set_new(vocab, key, json_integer((json_int_t)i));
        json_decref(text);
    }
    json_object_set_new(model, "vocab", vocab);
    return rc;
}

/* What is cut out of a text before anything else. */
static json_t *added_tokens(const struct words *w)
{
    json_t *list = json_array();
    for (uint64_t i = 0; i < w->count; i++) {
        const int64_t type = type_of(w, i);
        if (type != GGUF_TOKEN_CONTROL && type != GGUF_TOKEN_USER_DEFINED &&
            type != GGUF_TOKEN_UNKNOWN)
            continue;
        json_t *one = json_object();
        json_object_set_new(one, "id", json_integer((json_int_t)i));
        json_object_set_new(one, "content", word(w, i));
        json_object_set_new(one, "special",
                            json_boolean(type != GGUF_TOKEN_USER_DEFINED));
        json_array_append_new(list, one);
    }
    return list;
}

/* Special tokens around a text, and before the second of a pair. */
static json_t *post_processor(const struct gguf *g, const struct words *w, bool bos,
                              struct err *err)
{
    static const char *const ids[] = {"tokenizer.ggml.bos_token_id",
                                      "tokenizer.ggml.eos_token_id"};
    const bool put[] = {gguf_bool(g, "tokenizer.ggml.add_bos_token", bos),
                        gguf_bool(g, "tokenizer.ggml.add_eos_token", false)};
    json_t *single = json_array(), *pair = json_array(), *specials = json_object();
    for (int part = 0; part < 2; part++)
        for (int k = 0; k < 3; k++) { /* bos, the text, eos */
            const int end = k / 2;
            int64_t id = -1;
            json_t *piece;
            if (k == 1) {
                piece = json_pack("{s:{s:s, s:i}}", "Sequence", "id", part ? "B" : "A",
                                  "type_id", part);
            } else {
                if (!put[end])
                    continue;
                if (!gguf_int(g, ids[end], &id) || id < 0 || (uint64_t)id >= w->count) {
                    (void)err_set(err, ERR_PARSE, "%s is not an id", ids[end]);
                    id = 0;
                }
                const char *name = end ? "eos" : "bos";
                piece = json_pack("{s:{s:s, s:i}}", "SpecialToken", "id", name, "type_id",
                                  part);
                json_object_set_new(specials, name,
                                    json_pack("{s:[I]}", "ids", (json_int_t)id));
            }
            if (!part)
                json_array_append(single, piece);
            json_array_append_new(pair, piece);
        }
    return json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single",
                     single, "pair", pair, "special_tokens", specials);
}

/* ---- byte-level BPE ---------------------------------------------------------------- */

static int copy_merges(const struct gguf *g, json_t *model, struct err *err)
{
    const struct gguf_pair *p = find_array(g, "tokenizer.ggml.merges", 0, false);
    if (!p)
        return err_set(err, ERR_PARSE, "no list of strings 'tokenizer.ggml.merges'");
    json_t *list = json_array();
    const uint8_t *at = p->data;
    size_t n;
    int rc = 0;
    for (uint64_t i = 0; i < p->count && !rc; i++) {
        const char *s = gguf_next_string(&at, &n);
        json_t *text = json_stringn(s, n);
        if (!text)
            rc = err_set(err, ERR_PARSE, "merge %" PRIu64 " is not text", i);
        else
            json_array_append_new(list, text);
    }
    json_object_set_new(model, "merges", list);
    return rc;
}

static int byte_level(const struct gguf *g, const struct words *w, json_t *root,
                      struct err *err)
{
    json_t *pre = gguf_string(g, "tokenizer.ggml.pre"), *model;
    const char *name = pre ? json_string_value(pre) : "gpt-2";
    const struct gguf_front *f = gguf_front_find(name);
    if (!f) {
        int rc =
            err_set(err, ERR_CONFIG, "tokenizer.ggml.pre '%.50s' is not read (%s are)",
                    name, gguf_pre_names());
        json_decref(pre);
        return rc;
    }
    json_decref(pre);
    json_object_set_new(root, "model",
                        model = json_pack("{s:s, s:b}", "type", "BPE", "ignore_merges",
                                          f->ignore_merges));
    if (f->nfc)
        json_object_set_new(root, "normalizer", json_pack("{s:s}", "type", "NFC"));
    json_object_set_new(root, "pre_tokenizer", json_loads(f->pre_tokenizer, 0, NULL));
    json_object_set_new(root, "decoder", json_pack("{s:s}", "type", "ByteLevel"));
    json_object_set_new(root, "post_processor", post_processor(g, w, f->bos, err));
    int rc = make_vocab(w, model, err);
    return rc ? rc : copy_merges(g, model, err);
}

/* ---- SentencePiece ----------------------------------------------------------------- */

struct merge {
    double score;
    size_t left_chars, right_chars;
    int64_t whole, left, right; /* ids */
};

static int by_score(const void *a, const void *b)
{
    const struct merge *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->left_chars != y->left_chars)
        return x->left_chars > y->left_chars ? -1 : 1;
    if (x->right_chars != y->right_chars)
        return x->right_chars > y->right_chars ? -1 : 1;
    if (x->whole != y->whole)
        return x->whole < y->whole ? -1 : 1;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

static bool is_start(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static size_t count_chars(const char *s, size_t n)
{
    size_t chars = 0;
    for (size_t i = 0; i < n; i++)
        chars += is_start(s[i]);
    return chars;
}

#define PIECE_MAX  1000 /* bytes; longer ones are not looked at */
#define MERGES_MAX ((size_t)1 << 22)

struct merges {
    struct merge *at;
    size_t n, cap;
};

/* All the ways to make a piece of two others. */
static void split_piece(const struct words *w, const struct strmap *ids, uint64_t id,
                        struct merges *out)
{
    const char *s = w->text[id];
    const size_t n = w->length[id];
    for (size_t i = 1; i < n && n <= PIECE_MAX; i++) {
        int64_t left, right;
        if (!is_start(s[i]) || !strmap_get(ids, s, i, &left) ||
            !strmap_get(ids, s + i, n - i, &right))
            continue;
        out->at = xgrow(out->at, &out->cap, out->n + 1, sizeof *out->at);
        out->at[out->n++] = (struct merge){gguf_element_num(w->scores, id),
                                           count_chars(s, i),
                                           count_chars(s + i, n - i),
                                           (int64_t)id,
                                           left,
                                           right};
    }
}

static int make_merges(const struct words *w, json_t *model, struct err *err)
{
    struct strmap *ids = strmap_new();
    struct merges m = {0};
    for (uint64_t i = 0; i < w->count; i++)
        strmap_put(ids, w->text[i], w->length[i], (int64_t)i);
    for (uint64_t i = 0; i < w->count && m.n <= MERGES_MAX; i++)
        if (type_of(w, i) == GGUF_TOKEN_NORMAL ||
            type_of(w, i) == GGUF_TOKEN_USER_DEFINED)
            split_piece(w, ids, i, &m);
    strmap_free(ids);
    int rc = m.n <= MERGES_MAX
                 ? 0
                 : err_set(err, ERR_PARSE, "more than %zu merges", MERGES_MAX);
    if (m.n)
        qsort(m.at, m.n, sizeof *m.at, by_score);
    json_t *list = json_array();
    for (size_t i = 0; i < m.n && !rc; i++) {
        json_t *pair = json_array();
        json_array_append_new(pair, word(w, (uint64_t)m.at[i].left));
        json_array_append_new(pair, word(w, (uint64_t)m.at[i].right));
        json_array_append_new(list, pair);
    }
    free(m.at);
    json_object_set_new(model, "merges", list);
    return rc;
}

static int sentence_piece(const struct gguf *g, const struct words *w, json_t *root,
                          struct err *err)
{
    const bool blank = gguf_bool(g, "tokenizer.ggml.add_space_prefix", true);
    int64_t unknown = 0;
    (void)gguf_int(g, "tokenizer.ggml.unknown_token_id", &unknown);
    if (!w->scores || w->scores->element != GGUF_F32)
        return err_set(err, ERR_PARSE, "no list of scores 'tokenizer.ggml.scores'");
    if (unknown < 0 || (uint64_t)unknown >= w->count)
        return err_set(err, ERR_PARSE, "tokenizer.ggml.unknown_token_id is not an id");
    if (gguf_bool(g, "tokenizer.ggml.remove_extra_whitespaces", false))
        return err_set(err, ERR_CONFIG,
                       "tokenizer.ggml.remove_extra_whitespaces is not supported");
    json_t *model =
        json_pack("{s:s, s:b, s:b}", "type", "BPE", "fuse_unk", 1, "byte_fallback", 1);
    json_object_set_new(root, "model", model);
    json_object_set_new(model, "unk_token", word(w, (uint64_t)unknown));
    json_t *replace = json_loads("{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},"
                                 "\"content\":\"\\u2581\"}",
                                 0, NULL);
    json_t *prepend =
        json_loads("{\"type\":\"Prepend\",\"prepend\":\"\\u2581\"}", 0, NULL);
    json_t *normal = json_array();
    if (blank)
        json_array_append(normal, prepend);
    json_array_append_new(normal, replace);
    json_decref(prepend);
    json_object_set_new(
        root, "normalizer",
        json_pack("{s:s, s:o}", "type", "Sequence", "normalizers", normal));
    json_t *decoders = json_loads(
        "[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u2581\"},\"content\":\" \"},"
        "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]",
        0, NULL);
    if (blank)
        json_array_append_new(decoders, json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip",
                                                  "content", " ", "start", 1, "stop", 0));
    json_object_set_new(
        root, "decoder",
        json_pack("{s:s, s:o}", "type", "Sequence", "decoders", decoders));
    json_object_set_new(root, "post_processor", post_processor(g, w, true, err));
    int rc = make_vocab(w, model, err);
    return rc ? rc : make_merges(w, model, err);
}

/* ---- both -------------------------------------------------------------------------- */

static const struct {
    const char *model;
    int (*make)(const struct gguf *g, const struct words *w, json_t *root,
                struct err *err);
} kinds[] = {{"gpt2", byte_level}, {"llama", sentence_piece}};

int gguf_model_tokenizer(const struct gguf *g, json_t **out, struct err *err)
{
    json_t *name = gguf_string(g, "tokenizer.ggml.model"), *root = json_object();
    struct words w = {0};
    struct err trouble = ERR_INIT;
    size_t k = 0;
    if (str_eq(json_string_value(name),
               "no_vocab")) { /* the file says that it has none */
        json_decref(name);
        json_decref(root);
        *out = NULL;
        return 0;
    }
    while (k < ARRAY_LEN(kinds) && !str_eq(kinds[k].model, json_string_value(name)))
        k++;
    int rc =
        k < ARRAY_LEN(kinds)
            ? read_words(g, &w, &trouble)
            : err_set(&trouble, ERR_CONFIG,
                      "tokenizer.ggml.model '%.50s' is not read (gpt2 and llama are)",
                      name ? json_string_value(name) : "");
    if (!rc)
        rc = kinds[k].make(g, &w, root, &trouble);
    if (!rc)
        json_object_set_new(root, "added_tokens", added_tokens(&w));
    free(w.text);
    free(w.length);
    json_decref(name);
    *out = trouble.code ? NULL : root;
    if (trouble.code)
        json_decref(root);
    return trouble.code ? err_set(err, trouble.code, "%s", trouble.msg) : 0;
}

/* ---- beside the tokenizer ----------------------------------------------------------- */

/* Special tokens by name; the misspelt key is llama.cpp's. */
static const struct {
    const char *gguf, *name;
} token_names[] = {{"tokenizer.ggml.bos_token_id", "bos_token"},
                   {"tokenizer.ggml.eos_token_id", "eos_token"},
                   {"tokenizer.ggml.unknown_token_id", "unk_token"},
                   {"tokenizer.ggml.seperator_token_id", "sep_token"},
                   {"tokenizer.ggml.padding_token_id", "pad_token"},
                   {"tokenizer.ggml.cls_token_id", "cls_token"},
                   {"tokenizer.ggml.mask_token_id", "mask_token"}};

static void name_tokens(const struct gguf *g, const struct words *w, json_t *out)
{
    for (size_t i = 0; i < ARRAY_LEN(token_names); i++) {
        int64_t id;
        if (gguf_int(g, token_names[i].gguf, &id) && id >= 0 && (uint64_t)id < w->count)
            json_object_set_new(out, token_names[i].name, word(w, (uint64_t)id));
    }
}

#define TEMPLATE_KEY      "tokenizer.chat_template"
#define TEMPLATE_NAME_MAX 100 /* no template that anybody asks for has a longer name */

/* The default one, and others that the file names in a list of their own. */
static int name_templates(const struct gguf *g, json_t *out, struct err *err)
{
    const struct gguf_pair *names = find_array(g, TEMPLATE_KEY "s", 0, false);
    json_t *own = gguf_string(g, TEMPLATE_KEY), *list = json_array();
    int rc = 0;
    if (!own && gguf_find(g, TEMPLATE_KEY))
        rc = err_set(err, ERR_PARSE, "'" TEMPLATE_KEY "' is not text");
    if (own)
        json_array_append_new(
            list, json_pack("{s:s, s:O}", "name", "default", "template", own));
    const uint8_t *at = names ? names->data : NULL;
    for (uint64_t i = 0; names && i < names->count && rc >= 0; i++) {
        size_t n;
        const char *name = gguf_next_string(&at, &n);
        if (n > TEMPLATE_NAME_MAX)
            continue;
        char *key = xasprintf(TEMPLATE_KEY ".%.*s", (int)n, name);
        json_t *text = gguf_string(g, key), *word = json_stringn(name, n);
        if (text && word)
            json_array_append_new(
                list, json_pack("{s:O, s:O}", "name", word, "template", text));
        json_decref(text);
        json_decref(word);
        free(key);
    }
    if (json_array_size(list) == 1 && own)
        json_object_set(out, "chat_template", own);
    else if (json_array_size(list))
        json_object_set(out, "chat_template", list);
    json_decref(own);
    json_decref(list);
    return rc;
}

int gguf_model_text(const struct gguf *g, json_t *out, struct err *err)
{
    struct words w = {0};
    int rc = 0;
    if (find_array(g, "tokenizer.ggml.tokens", 0, false) &&
        (rc = read_words(g, &w, err)) >= 0)
        name_tokens(g, &w, out);
    free(w.text);
    free(w.length);
    return rc < 0 ? rc : name_templates(g, out, err);
}
