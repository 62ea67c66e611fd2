/* runner/text/tokenizer.c - reads tokenizer.json and runs the pipeline. */
#include "runner/text/tokenizer.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)256 << 20)

/* ---- vocabulary and parts ---------------------------------------------------------- */

int vocab_add(struct vocab *v, const char *token, int64_t id, struct err *err)
{
    int64_t known;
    if (id < 0 || id >= VOCAB_MAX)
        return err_set(err, ERR_PARSE, "token '%.100s': id must be an integer in 0..%d",
                       token, VOCAB_MAX - 1);
    if (strmap_get(v->ids, token, strlen(token), &known))
        return err_set(err, ERR_PARSE, "token '%.100s' is there twice", token);
    size_t old = v->cap;
    v->tokens = xgrow(v->tokens, &v->cap, (size_t)id + 1, sizeof *v->tokens);
    if (v->cap > old)
        memset(v->tokens + old, 0, (v->cap - old) * sizeof *v->tokens);
    if (v->tokens[id])
        return err_set(err, ERR_PARSE, "tokens '%.100s' and '%.100s' share id %" PRId64,
                       v->tokens[id], token, id);
    v->tokens[id] = xstrdup(token);
    strmap_put(v->ids, token, strlen(token), id);
    if ((size_t)id >= v->size)
        v->size = (size_t)id + 1;
    return 0;
}

const char *part_type(const json_t *json, const char *what, struct err *err)
{
    const char *type = json_get_str(json, "type", NULL);
    if (!type)
        err_set(err, ERR_PARSE, "%s: no 'type'", what);
    return type;
}

int part_unknown(const char *what, const char *type, struct err *err)
{
    return err_set(err, ERR_PARSE, "%s: kind '%s' is not supported", what, type);
}

/* ---- reading ----------------------------------------------------------------------- */

static int parse_parts(const json_t *root, struct tokenizer *t, struct err *err)
{
    int rc = model_parse(json_object_get(root, "model"), t, err);
    if (rc >= 0)
        rc = normalizer_parse(json_object_get(root, "normalizer"), &t->normalizer, err);
    if (rc >= 0)
        rc = added_tokens_parse(json_object_get(root, "added_tokens"), t, err);
    if (rc >= 0)
        rc = pre_tokenizer_parse(json_object_get(root, "pre_tokenizer"),
                                 &t->pre_tokenizer, err);
    if (rc >= 0)
        rc = post_processor_parse(json_object_get(root, "post_processor"), t, &t->post,
                                  err);
    if (rc >= 0)
        rc = decoder_parse(json_object_get(root, "decoder"), &t->decoder, err);
    return rc;
}

/* tokenizer_config.json as a tree. Its "no limit" of model_max_length is 1e30 written as
 * an integer, which only reads as a floating-point number. */
static json_t *parse_settings(const char *json, size_t len, struct err *err)
{
    json_error_t e;
    json_t *root = json_loadb(json, len, JSON_DECODE_INT_AS_REAL, &e);
    if (!root)
        err_set(err, ERR_PARSE, SETTINGS_FILE ": line %d, column %d: %s", e.line,
                e.column, e.text);
    return root;
}

/* settings: tokenizer_config.json; NULL: there is none. */
static int parse_tree(json_t *root, const json_t *settings, const char *name,
                      struct tokenizer **out, struct err *err)
{
    struct tokenizer *t = xcalloc(1, sizeof *t);
    *out = NULL;
    t->vocab.ids = strmap_new();
    t->settings.max_length = INT32_MAX;
    int rc = settings ? settings_apply(&t->settings, settings, root, err) : 0;
    if (rc >= 0)
        rc = parse_parts(root, t, err);
    if (rc >= 0 && settings)
        rc = settings_check(settings, t, err);
    if (rc < 0) {
        tokenizer_free(t);
        return err_context(err, "tokenizer '%s': ", name);
    }
    t->vocab.special = xcalloc(t->vocab.size + 1, sizeof *t->vocab.special);
    for (size_t i = 0; i < t->added.n; i++)
        if (t->added.at[i].special)
            t->vocab.special[t->added.at[i].id] = true;
    *out = t;
    return 0;
}

int tokenizer_parse_with(const char *json, size_t len, const char *settings,
                         size_t settings_len, const char *name, struct tokenizer **out,
                         struct err *err)
{
    *out = NULL;
    json_t *root = json_parse(json, len, name, err);
    if (!root)
        return -ERR_PARSE;
    json_t *s = settings ? parse_settings(settings, settings_len, err) : NULL;
    int rc = settings && !s ? err_context(err, "tokenizer '%s': ", name)
                            : parse_tree(root, s, name, out, err);
    json_decref(s);
    json_decref(root);
    return rc;
}

int tokenizer_of_tree(json_t *root, const char *name, struct tokenizer **out,
                      struct err *err)
{
    return parse_tree(root, NULL, name, out, err);
}

int tokenizer_parse(const char *json, size_t len, const char *name,
                    struct tokenizer **out, struct err *err)
{
    return tokenizer_parse_with(json, len, NULL, 0, name, out, err);
}

static int load_file(const char *file, const char *settings_file, struct tokenizer **out,
                     struct err *err)
{
    struct buf text = BUF_INIT, settings = BUF_INIT;
    const bool both = settings_file && fs_exists(settings_file);
    int rc = fs_read(file, FILE_BYTES_MAX, &text, err);
    if (rc >= 0 && both)
        rc = fs_read(settings_file, FILE_BYTES_MAX, &settings, err);
    if (rc >= 0)
        rc = tokenizer_parse_with(buf_str(&text), text.len,
                                  both ? buf_str(&settings) : NULL, settings.len, file,
                                  out, err);
    buf_release(&text);
    buf_release(&settings);
    return rc;
}

int tokenizer_load(const char *path, struct tokenizer **out, struct err *err)
{
    *out = NULL;
    if (!fs_exists(path))
        return err_set(err, ERR_NOINPUT, "tokenizer '%s': not there", path);
    bool folder = fs_is_dir(path);
    char *file = folder ? fs_join(path, "tokenizer.json") : xstrdup(path),
         *settings = folder ? fs_join(path, SETTINGS_FILE) : NULL;
    int rc = fs_exists(file) ? load_file(file, settings, out, err)
                             : err_set(err, ERR_NOINPUT,
                                       "model folder '%s': no tokenizer.json", path);
    free(settings);
    free(file);
    return rc;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->vocab.size; i++)
        free(t->vocab.tokens[i]);
    free(t->vocab.tokens);
    free(t->vocab.special);
    strmap_free(t->vocab.ids);
    added_tokens_release(&t->added);
    if (t->normalizer.release)
        t->normalizer.release(t->normalizer.config);
    if (t->pre_tokenizer.release)
        t->pre_tokenizer.release(t->pre_tokenizer.config);
    if (t->model.release)
        t->model.release(t->model.config);
    if (t->decoder.release)
        t->decoder.release(t->decoder.config);
    free(t->post.templates[0].at);
    free(t->post.templates[1].at);
    free(t);
}

int32_t tokenizer_max_length(const struct tokenizer *t)
{
    return t->settings.max_length;
}

const char *tokenizer_token(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->vocab.size ? t->vocab.tokens[id] : NULL;
}

bool tokenizer_is_added(const struct tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->added.n; i++)
        if (t->added.at[i].id == id)
            return true;
    return false;
}

/* ---- encoding ---------------------------------------------------------------------- */

/* One sequence on its way; the buffers are reused from stretch to stretch. */
struct run {
    const struct tokenizer *t;
    struct text original, work;
    struct words words;
    struct tokens out;
    struct err trouble; /* the first of a normaliser or pre-tokeniser */
};

static void emit_added(struct run *r, const struct text *text, const struct match *m)
{
    size_t first = m->begin, last = m->end;
    while (first < last && unicode_is_space(text->at[first].cp))
        first++;
    while (last > first && unicode_is_space(text->at[last - 1].cp))
        last--;
    tokens_add(&r->out, m->token->id, text->at[m->begin].begin, text->at[m->end - 1].end);
    r->out.at[r->out.n - 1].leading = (int32_t)(first - m->begin);
    r->out.at[r->out.n - 1].trailing = (int32_t)(m->end - last);
}

/* A stretch of normalised text, or an added token in it. */
static void each_normalized(void *user, const struct match *m)
{
    struct run *r = user;
    const struct tokenizer *t = r->t;
    if (m->token) {
        emit_added(r, &r->work, m);
        return;
    }
    struct words *w = &r->words;
    struct text part = {0};
    text_copy(&part, r->work.at + m->begin, m->end - m->begin);
    w->text = &part;
    w->at = xgrow(w->at, &w->cap, 1, sizeof *w->at);
    w->at[0] = (struct span){0, part.n};
    w->n = part.n > 0;
    w->err = &r->trouble;
    if (t->pre_tokenizer.apply)
        t->pre_tokenizer.apply(t->pre_tokenizer.config, w);
    for (size_t i = 0; i < w->n; i++)
        t->model.tokenize(t->model.config, part.at + w->at[i].begin,
                          w->at[i].end - w->at[i].begin, &r->out);
    text_release(&part);
}

/* A stretch of the original text, or an added token in it. */
static void each_original(void *user, const struct match *m)
{
    struct run *r = user;
    if (m->token) {
        emit_added(r, &r->original, m);
        return;
    }
    text_copy(&r->work, r->original.at + m->begin, m->end - m->begin);
    if (r->t->normalizer.apply)
        r->t->normalizer.apply(r->t->normalizer.config, &r->work, &r->trouble);
    added_tokens_split(&r->t->added, 1, r->work.at, r->work.n, each_normalized, r);
}

static int run_sequence(struct run *r, const char *text, size_t len, struct err *err)
{
    int rc = text_from_utf8(&r->original, text, len, err);
    if (rc >= 0)
        added_tokens_split(&r->t->added, 0, r->original.at, r->original.n, each_original,
                           r);
    text_release(&r->original);
    text_release(&r->work);
    free(r->words.at);
    return rc >= 0 && r->trouble.code
               ? err_set(err, r->trouble.code, "text: %s", r->trouble.msg)
               : rc;
}

/* longest_first as tokenizers does it: the longer one gives first, then both share the
 * room, the longer one getting the odd place. */
static void truncate_longest_first(size_t room, size_t *a, size_t *b)
{
    if (*a + *b <= room)
        return;
    size_t *shorter = *a > *b ? b : a, *longer = *a > *b ? a : b;
    size_t left = *shorter < room ? room - *shorter : 0;
    if (left >= *shorter && left > 0) {
        *longer = left;
    } else {
        *shorter = room / 2;
        *longer = room / 2 + room % 2;
    }
}

static void put(struct encoding *e, int32_t id, int32_t type_id, int32_t begin,
                int32_t end)
{
    e->ids[e->n] = id;
    e->type_ids[e->n] = type_id;
    e->offsets[e->n][0] = begin;
    e->offsets[e->n][1] = end;
    e->n++;
}

static void reserve(struct encoding *e, size_t need)
{
    e->n = 0;
    e->cut = 0;
    if (need <= e->cap && e->ids)
        return;
    e->cap = need + need / 2 + 16;
    e->ids = xrealloc(e->ids, e->cap * sizeof *e->ids);
    e->type_ids = xrealloc(e->type_ids, e->cap * sizeof *e->type_ids);
    e->offsets = xrealloc(e->offsets, e->cap * sizeof *e->offsets);
}

static int assemble(const struct tokenizer *t, const struct tokens *s, bool pair,
                    int32_t max_length, bool add_special, struct encoding *out,
                    struct err *err)
{
    const struct template *p = &t->post.templates[pair];
    const struct settings *set = &t->settings;
    size_t n[2] = {s[0].n, pair ? s[1].n : 0};
    size_t specials = add_special ? p->specials : 0;
    const size_t before = n[0] + n[1];
    if (max_length > 0) {
        if ((size_t)max_length < specials)
            return err_set(err, ERR_CONFIG,
                           "max_length %" PRId32
                           " leaves no room for the %zu special tokens",
                           max_length, specials);
        size_t room = (size_t)max_length - specials;
        if (pair)
            truncate_longest_first(room, &n[0], &n[1]);
        else if (n[0] > room)
            n[0] = room;
    }
    reserve(out, n[0] + n[1] + specials);
    out->cut = before - n[0] - n[1];
    for (size_t i = 0; i < p->n; i++) {
        const struct piece *piece = &p->at[i];
        if (piece->sequence < 0 && add_special)
            put(out, piece->id, set->no_types ? 0 : piece->type_id, 0, 0);
        for (size_t j = 0; piece->sequence >= 0 && j < n[piece->sequence]; j++) {
            const struct tokens *all = &s[piece->sequence];
            const size_t skipped = set->cut_left ? all->n - n[piece->sequence] : 0;
            const struct token *k = &all->at[skipped + j];
            put(out, k->id, set->no_types ? 0 : piece->type_id, k->begin, k->end);
        }
    }
    return 0;
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t text_len,
                     const char *pair, size_t pair_len, int32_t max_length,
                     bool add_special, struct encoding *out, struct err *err)
{
    struct run runs[2] = {{.t = t}, {.t = t}};
    int rc = run_sequence(&runs[0], text, text_len, err);
    if (rc >= 0 && pair)
        rc = run_sequence(&runs[1], pair, pair_len, err);
    struct tokens sequences[2] = {runs[0].out, runs[1].out};
    for (int i = 0; i < 2 && t->post.trim_offsets; i++)
        byte_level_trim(t, &sequences[i]);
    if (rc >= 0)
        rc = assemble(t, sequences, pair != NULL, max_length, add_special, out, err);
    free(sequences[0].at);
    free(sequences[1].at);
    return rc;
}

void encoding_release(struct encoding *e)
{
    free(e->ids);
    free(e->type_ids);
    free(e->offsets);
    *e = (struct encoding){0};
}

/* ---- decoding ---------------------------------------------------------------------- */

int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n,
                     bool skip_special, struct buf *out, struct err *err)
{
    struct strings tokens = {0};
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        const char *token = tokenizer_token(t, ids[i]);
        if (!token)
            rc = err_set(err, ERR_PARSE, "id %" PRId32 " is not in the vocabulary",
                         ids[i]);
        else if (!skip_special || !t->vocab.special[ids[i]])
            buf_str_add(strings_add(&tokens), token);
    }
    struct err trouble = ERR_INIT;
    if (!rc && t->decoder.decode)
        t->decoder.decode(t->decoder.config, &tokens, &trouble);
    if (!rc && trouble.code)
        rc = err_set(err, trouble.code, "text of ids: %s", trouble.msg);
    for (size_t i = 0; i < tokens.n && !rc; i++) {
        buf_str_add(out, i && !t->decoder.decode ? " " : "");
        buf_add(out, buf_str(&tokens.at[i]), tokens.at[i].len);
    }
    strings_release(&tokens);
    return rc;
}
