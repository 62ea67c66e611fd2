/* runner/text/bpe.c - byte pair encoding (Sennrich et al. 2016; tokenizers
 * models/bpe/model.rs and word.rs): a word starts as its characters, and of all adjacent
 * pairs that the list of merges has, the earliest in the list (of equal ones the
 * leftmost) becomes one token, until there is none. */
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>

#define MERGES_MAX (1 << 22)

struct merge {
    int32_t rank, id; /* place in the list; what it gives */
};

struct bpe {
    const struct vocab *vocab;
    struct strmap *pairs; /* two ids as 8 bytes -> index of `merges` */
    struct merge *merges;
    size_t count;
    char *prefix, *suffix; /* of characters inside a word; of its last one */
    int32_t unknown;       /* -1: characters without token are left out */
    bool fuse_unknown, byte_fallback, ignore_merges;
};

/* ---- a word at work ---------------------------------------------------------------- */

struct symbol {
    int32_t id, begin, end; /* place in the text */
    int32_t before, next;   /* -1: none; id -1: merged into the one before */
};

struct candidate {
    int32_t rank, at, id; /* symbol `at` and the next make `id` */
};

struct work {
    struct symbol *symbols;
    size_t n, cap;
    struct candidate *heap; /* the smallest first */
    size_t heap_n, heap_cap;
};

static bool is_less(struct candidate a, struct candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void heap_push(struct work *w, struct candidate c)
{
    w->heap = xgrow(w->heap, &w->heap_cap, w->heap_n + 1, sizeof *w->heap);
    size_t i = w->heap_n++;
    for (; i && is_less(c, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = c;
}

static struct candidate heap_pop(struct work *w)
{
    const struct candidate top = w->heap[0], last = w->heap[--w->heap_n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < w->heap_n; i = child) {
        if (child + 1 < w->heap_n && is_less(w->heap[child + 1], w->heap[child]))
            child++;
        if (!is_less(w->heap[child], last))
            break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
    return top;
}

static const struct merge *find_merge(const struct bpe *m, int32_t a, int32_t b)
{
    const int32_t key[] = {a, b};
    int64_t at;
    return strmap_get(m->pairs, (const char *)key, sizeof key, &at) ? &m->merges[at]
                                                                    : NULL;
}

/* Puts the pair that begins at symbol `at` into the heap, where it merges. */
static void consider(const struct bpe *m, struct work *w, int32_t at)
{
    if (at < 0 || w->symbols[at].next < 0)
        return;
    const struct merge *g =
        find_merge(m, w->symbols[at].id, w->symbols[w->symbols[at].next].id);
    if (g)
        heap_push(w, (struct candidate){g->rank, at, g->id});
}

static void merge_all(const struct bpe *m, struct work *w)
{
    for (size_t i = 0; i < w->n; i++)
        consider(m, w, (int32_t)i);
    while (w->heap_n) {
        const struct candidate c = heap_pop(w);
        struct symbol *s = &w->symbols[c.at];
        if (s->id < 0 || s->next < 0)
            continue;
        struct symbol *right = &w->symbols[s->next];
        const struct merge *g = find_merge(m, s->id, right->id);
        if (!g || g->id != c.id) /* a merge beside it came first */
            continue;
        s->id = c.id;
        s->end = right->end;
        s->next = right->next;
        right->id = -1;
        if (s->next >= 0)
            w->symbols[s->next].before = c.at;
        consider(m, w, s->before);
        consider(m, w, c.at);
    }
}

static void add_symbol(struct work *w, int32_t id, const struct place_char *c)
{
    w->symbols = xgrow(w->symbols, &w->cap, w->n + 1, sizeof *w->symbols);
    const int32_t i = (int32_t)w->n++;
    if (i)
        w->symbols[i - 1].next = i;
    w->symbols[i] = (struct symbol){id, c->begin, c->end, i - 1, -1};
}

/* One token <0xXX> for each byte, if the vocabulary has them all. */
static bool add_bytes(const struct bpe *m, struct work *w, const struct buf *text,
                      const struct place_char *c)
{
    int64_t ids[64];
    if (text->len > ARRAY_LEN(ids))
        return false;
    for (size_t i = 0; i < text->len; i++) {
        char name[8];
        const int n = snprintf(name, sizeof name, "<0x%02X>", (uint8_t)text->data[i]);
        if (!strmap_get(m->vocab->ids, name, (size_t)n, &ids[i]))
            return false;
    }
    for (size_t i = 0; i < text->len; i++)
        add_symbol(w, (int32_t)ids[i], c);
    return true;
}

static void add_unknown(const struct bpe *m, struct work *w, const struct place_char *c,
                        bool goes_on)
{
    if (goes_on && m->fuse_unknown)
        w->symbols[w->n - 1].end = c->end;
    else
        add_symbol(w, m->unknown, c);
}

/* The characters of a word as symbols. */
static void start(const struct bpe *m, struct work *w, const struct place_char *word,
                  size_t n)
{
    struct buf text = BUF_INIT;
    bool unknown = false; /* the last symbol is */
    for (size_t i = 0; i < n; i++) {
        int64_t id;
        buf_clear(&text);
        buf_str_add(&text, i ? m->prefix : "");
        utf8_append(&text, word + i, 1);
        buf_str_add(&text, i + 1 == n ? m->suffix : "");
        const bool known = strmap_get(m->vocab->ids, buf_str(&text), text.len, &id);
        if (known)
            add_symbol(w, (int32_t)id, word + i);
        else if (!(m->byte_fallback && add_bytes(m, w, &text, word + i)) &&
                 m->unknown >= 0) {
            add_unknown(m, w, word + i, unknown);
            unknown = true;
            continue;
        }
        unknown = false;
    }
    buf_release(&text);
}

static bool whole_word(const struct bpe *m, const struct place_char *word, size_t n,
                       struct tokens *out)
{
    struct buf text = BUF_INIT;
    int64_t id;
    utf8_append(&text, word, n);
    const bool known = strmap_get(m->vocab->ids, buf_str(&text), text.len, &id);
    buf_release(&text);
    if (known)
        tokens_add(out, (int32_t)id, word[0].begin, word[n - 1].end);
    return known;
}

static void tokenize(const void *config, const struct place_char *word, size_t n,
                     struct tokens *out)
{
    const struct bpe *m = config;
    struct work w = {0};
    if (m->ignore_merges && whole_word(m, word, n, out))
        return;
    start(m, &w, word, n);
    merge_all(m, &w);
    for (size_t i = 0; i < w.n; i++)
        if (w.symbols[i].id >= 0)
            tokens_add(out, w.symbols[i].id, w.symbols[i].begin, w.symbols[i].end);
    free(w.symbols);
    free(w.heap);
}

/* ---- reading ----------------------------------------------------------------------- */

static void release(void *config)
{
    struct bpe *m = config;
    strmap_free(m->pairs);
    free(m->merges);
    free(m->prefix);
    free(m->suffix);
    free(m);
}

static int read_vocab(const json_t *json, struct tokenizer *t, struct err *err)
{
    json_t *vocab = json_object_get(json, "vocab"), *id;
    const char *token;
    if (!json_is_object(vocab) || json_object_size(vocab) == 0)
        return err_set(err, ERR_PARSE, "model: no 'vocab'");
    json_object_foreach(vocab, token, id)
    {
        int rc = vocab_add(&t->vocab, token,
                           json_is_integer(id) ? json_integer_value(id) : -1, err);
        if (rc < 0)
            return err_context(err, "model: ");
    }
    return 0;
}

/* "a b", or ["a", "b"] as newer files have it. */
static int read_pair(const json_t *json, struct buf parts[2])
{
    const char *a = json_string_value(json_array_get(json, 0)),
               *b = json_string_value(json_array_get(json, 1)),
               *whole = json_string_value(json),
               *blank = whole ? strchr(whole, ' ') : NULL;
    buf_clear(&parts[0]);
    buf_clear(&parts[1]);
    if (blank) {
        buf_add(&parts[0], whole, (size_t)(blank - whole));
        buf_str_add(&parts[1], blank + 1);
    } else if (a && b) {
        buf_str_add(&parts[0], a);
        buf_str_add(&parts[1], b);
    }
    return parts[0].len && parts[1].len;
}

static int add_merge(struct bpe *m, const struct buf parts[2], struct err *err)
{
    int64_t ids[3];
    struct buf sum = BUF_INIT;
    const size_t skip = strlen(m->prefix);
    buf_add(&sum, parts[0].data, parts[0].len);
    if (parts[1].len >= skip)
        buf_add(&sum, parts[1].data + skip, parts[1].len - skip);
    const struct buf *const tokens[] = {&parts[0], &parts[1], &sum};
    int rc = 0;
    for (int i = 0; i < 3 && !rc; i++)
        if (!strmap_get(m->vocab->ids, tokens[i]->data, tokens[i]->len, &ids[i]))
            rc = err_set(err, ERR_PARSE,
                         "model: merge %zu: token '%.100s' is not in the vocabulary",
                         m->count, buf_str((struct buf *)tokens[i]));
    buf_release(&sum);
    if (rc)
        return rc;
    const int32_t key[] = {(int32_t)ids[0], (int32_t)ids[1]};
    strmap_put(m->pairs, (const char *)key, sizeof key, (int64_t)m->count);
    m->merges[m->count] = (struct merge){(int32_t)m->count, (int32_t)ids[2]};
    m->count++;
    return 0;
}

static int read_merges(struct bpe *m, const json_t *list, struct err *err)
{
    struct buf parts[2] = {BUF_INIT, BUF_INIT};
    const size_t n = json_array_size(list);
    if (!json_is_array(list) || n > MERGES_MAX)
        return err_set(err, ERR_PARSE, "model: 'merges' must be a list of at most %d",
                       MERGES_MAX);
    m->merges = xcalloc(n + 1, sizeof *m->merges);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++)
        rc = read_pair(json_array_get(list, i), parts)
                 ? add_merge(m, parts, err)
                 : err_set(err, ERR_PARSE, "model: merge %zu must be two tokens", i);
    buf_release(&parts[0]);
    buf_release(&parts[1]);
    return rc;
}

int bpe_parse(const json_t *json, struct tokenizer *t, struct err *err)
{
    struct bpe *m = xcalloc(1, sizeof *m);
    t->model = (struct model){m, tokenize, release};
    m->vocab = &t->vocab;
    m->pairs = strmap_new();
    m->prefix = xstrdup(json_get_str(json, "continuing_subword_prefix", ""));
    m->suffix = xstrdup(json_get_str(json, "end_of_word_suffix", ""));
    m->fuse_unknown = json_get_bool(json, "fuse_unk", 0);
    m->byte_fallback = json_get_bool(json, "byte_fallback", 0);
    m->ignore_merges = json_get_bool(json, "ignore_merges", 0);
    m->unknown = -1;
    int rc = read_vocab(json, t, err);
    if (rc >= 0 && json_get_num(json, "dropout", 0) != 0)
        rc = err_set(err, ERR_PARSE, "model: BPE with dropout is not supported");
    if (rc >= 0)
        rc = read_merges(m, json_object_get(json, "merges"), err);
    const char *unknown = json_get_str(json, "unk_token", NULL);
    int64_t id;
    if (rc < 0 || !unknown)
        return rc;
    if (!strmap_get(t->vocab.ids, unknown, strlen(unknown), &id))
        return err_set(err, ERR_PARSE, "model: unk_token '%s' is not in the vocabulary",
                       unknown);
    m->unknown = (int32_t)id;
    return 0;
}
