/* runner/convert/gguf_vocab.c - tokenizer.json and what stands beside it as a GGUF file's
 * keys. */
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/convert/gguf_parts.h"
#include "runner/hub/gguf/front.h"
#include "runner/hub/gguf_model.h"
#include "runner/hub/hf_model.h"
#include "runner/hub/model_text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEMPLATE_BYTES_MAX ((size_t)4 << 20)

struct vocab {
    int64_t count;
    const char **text; /* borrowed from the tree; NULL: an id that no token has */
    int32_t *types;
    float *scores;
    struct strmap *ids;
};

/* ---- tokens ------------------------------------------------------------------------ */

static int put_token(struct vocab *v, const char *text, int64_t id, int32_t type,
                     struct err *err)
{
    if (id < 0 || id >= v->count)
        return err_set(err, ERR_CONFIG,
                       "tokenizer.json: token '%.50s' has id %lld, but config.json a "
                       "vocabulary of %lld",
                       text, (long long)id, (long long)v->count);
    v->text[id] = text;
    v->types[id] = type;
    strmap_put(v->ids, text, strlen(text), id);
    return 0;
}

static bool is_byte(const char *text)
{
    return strlen(text) == 6 && str_has_prefix(text, "<0x") && text[5] == '>';
}

static int read_tokens(const json_t *root, bool bytes, struct vocab *v, struct err *err)
{
    const json_t *model = json_object_get(root, "model"), *id, *one;
    const char *text, *unknown = json_get_str(model, "unk_token", NULL);
    size_t i;
    int rc = 0;
    json_object_foreach(json_object_get(model, "vocab"), text, id)
    {
        if (!rc)
            rc = put_token(v, text, json_integer_value(id),
                           str_eq(text, unknown)    ? GGUF_TOKEN_UNKNOWN
                           : bytes && is_byte(text) ? GGUF_TOKEN_BYTE
                                                    : GGUF_TOKEN_NORMAL,
                           err);
    }
    json_array_foreach(json_object_get(root, "added_tokens"), i, one)
    {
        text = json_get_str(one, "content", "");
        if (!rc && !(bytes && str_eq(text, unknown)))
            rc = put_token(v, text, json_get_int(one, "id", -1),
                           json_get_bool(one, "special", 0) ? GGUF_TOKEN_CONTROL
                                                            : GGUF_TOKEN_USER_DEFINED,
                           err);
    }
    return rc;
}

static void put_tokens(struct gguf_writer *w, const struct vocab *v)
{
    char pad[32];
    gguf_put_strings(w, "tokenizer.ggml.tokens", (size_t)v->count);
    for (int64_t i = 0; i < v->count; i++) {
        snprintf(pad, sizeof pad, "[PAD%lld]", (long long)i);
        const char *text = v->text[i] ? v->text[i] : pad;
        gguf_put_next_string(w, text, strlen(text));
    }
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, v->types, (size_t)v->count);
}

/* ---- merges ------------------------------------------------------------------------ */

/* "left right", or a pair of texts in newer files. */
static const char *merge_part(const json_t *merge, int part, size_t *length)
{
    if (json_is_array(merge)) {
        const json_t *s = json_array_get(merge, (size_t)part);
        *length = json_string_length(s);
        return json_string_value(s);
    }
    const char *text = json_string_value(merge), *blank = text ? strchr(text, ' ') : NULL;
    *length = blank ? (part ? strlen(blank + 1) : (size_t)(blank - text)) : 0;
    return blank ? (part ? blank + 1 : text) : NULL;
}

static int put_merges(struct gguf_writer *w, const json_t *merges, struct err *err)
{
    const json_t *m;
    size_t i, n[2];
    struct buf b = BUF_INIT;
    gguf_put_strings(w, "tokenizer.ggml.merges", json_array_size(merges));
    json_array_foreach((json_t *)merges, i, m)
    {
        const char *left = merge_part(m, 0, &n[0]), *right = merge_part(m, 1, &n[1]);
        if (!left || !right || memchr(left, ' ', n[0]) || memchr(right, ' ', n[1])) {
            buf_release(&b);
            return err_set(err, ERR_CONFIG,
                           "tokenizer.json: merge %zu is no pair without blanks", i);
        }
        buf_clear(&b);
        buf_add(&b, left, n[0]);
        buf_char(&b, ' ');
        buf_add(&b, right, n[1]);
        gguf_put_next_string(w, b.data, b.len);
    }
    buf_release(&b);
    return 0;
}

/* SentencePiece joins what makes the piece of the best score: minus the rank of the first
 * merge that makes it. */
static int score_merges(const json_t *merges, struct vocab *v, struct err *err)
{
    const json_t *m;
    size_t i, n[2];
    struct buf b = BUF_INIT;
    int rc = 0;
    for (int64_t k = 0; k < v->count; k++)
        v->scores[k] = v->types[k] == GGUF_TOKEN_NORMAL ? -1e6f : 0;
    json_array_foreach((json_t *)merges, i, m)
    {
        const char *left = merge_part(m, 0, &n[0]), *right = merge_part(m, 1, &n[1]);
        int64_t id;
        buf_clear(&b);
        buf_add(&b, left, left ? n[0] : 0);
        buf_add(&b, right, right ? n[1] : 0);
        if (!rc && !strmap_get(v->ids, buf_str(&b), b.len, &id))
            rc = err_set(err, ERR_CONFIG,
                         "tokenizer.json: merge %zu makes '%.50s', which is no token", i,
                         buf_str(&b));
        if (!rc && v->scores[id] == -1e6f)
            v->scores[id] = -(float)i;
    }
    buf_release(&b);
    return rc;
}

/* ---- kinds of tokenizers ----------------------------------------------------------- */

static int byte_level(struct gguf_writer *w, const json_t *root, struct vocab *v,
                      struct err *err)
{
    const char *pre = gguf_pre_of(root);
    if (!pre)
        return err_set(err, ERR_CONFIG,
                       "tokenizer.json: its pre_tokenizer, normalizer and ignore_merges "
                       "are none that a GGUF file has a name for (%s have)",
                       gguf_pre_names());
    gguf_put_string(w, "tokenizer.ggml.model", "gpt2", 4);
    gguf_put_string(w, "tokenizer.ggml.pre", pre, strlen(pre));
    put_tokens(w, v);
    return put_merges(w, json_object_get(json_object_get(root, "model"), "merges"), err);
}

/* Is one of the normalizer's steps "Prepend"; or Metaspace, in front of everything? */
static bool puts_blank(const json_t *root)
{
    const json_t *n = json_object_get(root, "normalizer"),
                 *steps = json_object_get(n, "normalizers"),
                 *pre = json_object_get(root, "pre_tokenizer"), *one;
    bool found = str_eq(json_get_str(n, "type", ""), "Prepend") ||
                 (str_eq(json_get_str(pre, "type", ""), "Metaspace") &&
                  !str_eq(json_get_str(pre, "prepend_scheme", "always"), "never"));
    size_t i;
    json_array_foreach((json_t *)steps, i, one)
    {
        found |= str_eq(json_get_str(one, "type", ""), "Prepend");
    }
    return found;
}

static int sentence_piece(struct gguf_writer *w, const json_t *root, struct vocab *v,
                          struct err *err)
{
    int rc =
        score_merges(json_object_get(json_object_get(root, "model"), "merges"), v, err);
    if (rc)
        return rc;
    gguf_put_string(w, "tokenizer.ggml.model", "llama", 5);
    gguf_put_string(w, "tokenizer.ggml.pre", "default", 7);
    put_tokens(w, v);
    gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, v->scores, (size_t)v->count);
    gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", puts_blank(root));
    return 0;
}

static int put_model(struct gguf_writer *w, const json_t *root, struct vocab *v,
                     struct err *err)
{
    const json_t *model = json_object_get(root, "model");
    const char *type = json_get_str(model, "type", "BPE");
    const bool bytes = json_is_true(json_object_get(model, "byte_fallback"));
    if (!str_eq(type, "BPE"))
        return err_set(err, ERR_CONFIG,
                       "tokenizer.json: a %.30s tokenizer has no place in a GGUF file "
                       "of a language model here (BPE has)",
                       type);
    int rc = read_tokens(root, bytes, v, err);
    return rc ? rc : (bytes ? sentence_piece : byte_level)(w, root, v, err);
}

/* ---- special tokens ---------------------------------------------------------------- */

static const struct {
    const char *token, *config, *gguf;
} specials[] = {{"bos_token", "bos_token_id", "tokenizer.ggml.bos_token_id"},
                {"eos_token", "eos_token_id", "tokenizer.ggml.eos_token_id"},
                {"unk_token", NULL, "tokenizer.ggml.unknown_token_id"},
                {"pad_token", "pad_token_id", "tokenizer.ggml.padding_token_id"}};

/* By tokenizer_config.json, else by config.json (of several end tokens the first: llama.cpp
 * finds others by their text). -1: none. */
static int64_t special_id(const struct vocab *v, const json_t *tokens,
                          const json_t *config, size_t i)
{
    const char *text = json_get_str(tokens, specials[i].token, NULL);
    int64_t id = -1;
    if (text && strmap_get(v->ids, text, strlen(text), &id))
        return id;
    const json_t *c =
        specials[i].config ? json_object_get(config, specials[i].config) : NULL;
    if (json_is_array(c))
        c = json_array_get(c, 0);
    return json_is_integer(c) ? json_integer_value(c) : -1;
}

/* What the tokenizer itself puts around a text. */
static int put_around(struct gguf_writer *w, const char *dir, int64_t bos, int64_t eos,
                      struct err *err)
{
    struct tokenizer *t = NULL;
    struct encoding with = {0}, without = {0};
    int rc = hf_model_tokenizer(dir, &t, err);
    if (!rc)
        rc = tokenizer_encode(t, "a", 1, NULL, 0, 0, true, &with, err);
    if (!rc)
        rc = tokenizer_encode(t, "a", 1, NULL, 0, 0, false, &without, err);
    const size_t more = rc ? 0 : with.n - without.n;
    const bool first = more && with.ids[0] == bos && with.ids[0] != without.ids[0],
               last = more && with.ids[with.n - 1] == eos && more > (size_t)first;
    if (!rc && more != (size_t)first + last)
        rc = err_set(err, ERR_CONFIG,
                     "tokenizer.json puts other tokens around a text than bos_token and "
                     "eos_token, which GGUF files cannot say");
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", first);
    gguf_put_bool(w, "tokenizer.ggml.add_eos_token", last);
    encoding_release(&with);
    encoding_release(&without);
    tokenizer_free(t);
    return rc;
}

/* ---- chat template ----------------------------------------------------------------- */

static void put_named_template(struct gguf_writer *w, const char *name,
                               const json_t *text)
{
    char *key = str_eq(name, "default") ? xstrdup("tokenizer.chat_template")
                                        : xasprintf("tokenizer.chat_template.%s", name);
    gguf_put_string(w, key, json_string_value(text), json_string_length(text));
    free(key);
}

static int put_template(struct gguf_writer *w, const char *dir, const json_t *settings,
                        struct err *err)
{
    char *path = fs_join(dir, "chat_template.jinja");
    const json_t *all = json_object_get(settings, "chat_template"), *one;
    struct buf file = BUF_INIT;
    size_t i;
    int rc = 0;
    if (fs_exists(path)) {
        rc = fs_read(path, TEMPLATE_BYTES_MAX, &file, err);
        if (!rc)
            gguf_put_string(w, "tokenizer.chat_template", buf_str(&file), file.len);
    } else if (json_is_string(all)) {
        put_named_template(w, "default", all);
    } else {
        json_array_foreach((json_t *)all, i, one)
        {
            const char *name = json_get_str(one, "name", "");
            if (*name && json_is_string(json_object_get(one, "template")))
                put_named_template(w, name, json_object_get(one, "template"));
        }
    }
    buf_release(&file);
    free(path);
    return rc;
}

/* ------------------------------------------------------------------------------------ */

static bool same_merges(const json_t *a, const json_t *b)
{
    const size_t count = json_array_size(a);
    bool same = count == json_array_size(b);
    for (size_t i = 0; i < count && same; i++)
        for (int part = 0; part < 2 && same; part++) {
            size_t n = 0, m = 0;
            const char *x = merge_part(json_array_get(a, i), part, &n),
                       *y = merge_part(json_array_get(b, i), part, &m);
            same = x && y && n == m && !memcmp(x, y, n);
        }
    return same;
}

/* Whoever reads scores makes merges of them (gguf_tokenizer.c): are they those that there
 * were? */
static int check_scores(const struct gguf_writer *w, const json_t *root, struct err *err)
{
    struct buf file;
    struct gguf *g = NULL;
    json_t *back = NULL;
    buf_init(&file, (size_t)2 << 30);
    gguf_writer_keys(w, &file);
    int rc = gguf_open_memory(buf_str(&file), file.len, &g, err);
    if (!rc)
        rc = gguf_model_tokenizer(g, &back, err);
    if (!rc && !same_merges(json_object_get(json_object_get(root, "model"), "merges"),
                            json_object_get(json_object_get(back, "model"), "merges")))
        rc = err_set(err, ERR_CONFIG,
                     "tokenizer.json: its merges do not follow from scores of their "
                     "pieces, which is all that a GGUF file of this kind holds");
    json_decref(back);
    gguf_close(g);
    buf_release(&file);
    return rc;
}

static int put_all(struct gguf_writer *w, const char *dir, const json_t *config,
                   const json_t *root, struct vocab *v, struct err *err)
{
    struct model_text text;
    int rc = model_text_read(dir, &text, err);
    if (!rc)
        rc = put_model(w, root, v, err);
    int64_t ids[ARRAY_LEN(specials)];
    for (size_t i = 0; i < ARRAY_LEN(specials) && !rc; i++) {
        ids[i] = special_id(v, text.tokens, config, i);
        if (ids[i] >= 0 && ids[i] < v->count)
            gguf_put_u32(w, specials[i].gguf, (uint32_t)ids[i]);
    }
    if (!rc)
        rc = put_around(w, dir, ids[0], ids[1], err);
    if (!rc)
        rc = put_template(w, dir, text.config, err);
    if (!rc &&
        json_is_true(json_object_get(json_object_get(root, "model"), "byte_fallback")))
        rc = check_scores(w, root, err);
    model_text_release(&text);
    return rc;
}

int gguf_vocab_put(struct gguf_writer *w, const char *dir, const json_t *config,
                   struct err *err)
{
    char *path = fs_join(dir, "tokenizer.json");
    if (!fs_exists(path)) {
        free(path);
        gguf_put_string(w, "tokenizer.ggml.model", "no_vocab", 8);
        return 0;
    }
    json_t *root = json_read_file(path, err);
    const size_t n = (size_t)json_get_int(config, "vocab_size", 0);
    struct vocab v = {.count = (int64_t)n,
                      .text = xcalloc(n + 1, sizeof *v.text),
                      .types = xcalloc(n + 1, sizeof *v.types),
                      .scores = xcalloc(n + 1, sizeof *v.scores),
                      .ids = strmap_new()};
    for (size_t i = 0; i < n; i++)
        v.types[i] = GGUF_TOKEN_UNUSED;
    int rc = root ? put_all(w, dir, config, root, &v, err) : err_code(err);
    strmap_free(v.ids);
    free(v.text);
    free(v.types);
    free(v.scores);
    json_decref(root);
    free(path);
    return rc;
}
