/* runner/text/unigram.c - the Unigram model (Kudo 2018; sentencepiece's
 * unigram_model.cc, EncodeOptimized; tokenizers models/unigram/model.rs): of all ways to
 * cut a word into pieces of the vocabulary the one with the largest sum of scores.
 *
 * best[i] is the best way to the i-th character; pieces that begin at a character are
 * tried from short to long, and a way that is no better than one that is known loses. A
 * character that is no piece itself costs UNKNOWN_PENALTY below the lowest score; unknown
 * characters behind one another become one token, or with byte_fallback the tokens of
 * their bytes. */
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_PENALTY 10.0

struct unigram {
    const struct vocab *vocab;
    double *scores; /* by id, of the `count` pieces; added tokens are none */
    size_t count;
    double lowest;
    size_t longest; /* bytes of the longest piece */
    int32_t unknown;
    bool byte_fallback;
};

struct node {
    double score;
    size_t from; /* character that the last piece begins at */
    int32_t id;  /* of that piece; -1: there is no way here yet */
};

struct word {
    struct buf text;
    size_t *place; /* byte at which each character begins */
    struct node *best;
};

static void offer(struct node *to, double score, size_t from, int32_t id)
{
    if (to->id < 0 || score > to->score)
        *to = (struct node){score, from, id};
}

static void find_best(const struct unigram *m, struct word *w, size_t n)
{
    for (size_t i = 0; i <= n; i++)
        w->best[i] = (struct node){0, 0, -1};
    for (size_t i = 0; i < n; i++) {
        bool single = false;
        for (size_t end = i + 1; end <= n; end++) {
            const size_t bytes = w->place[end] - w->place[i];
            int64_t id;
            if (bytes > m->longest)
                break;
            if (!strmap_get(m->vocab->ids, buf_str(&w->text) + w->place[i], bytes, &id) ||
                (size_t)id >= m->count)
                continue;
            offer(&w->best[end], m->scores[id] + w->best[i].score, i, (int32_t)id);
            single |= end == i + 1;
        }
        if (!single)
            offer(&w->best[i + 1], m->lowest - UNKNOWN_PENALTY + w->best[i].score, i,
                  m->unknown);
    }
}

static bool add_bytes(const struct unigram *m, const char *s, size_t n, int32_t begin,
                      int32_t end, struct tokens *out)
{
    const size_t before = out->n;
    for (size_t i = 0; i < n; i++) {
        char name[8];
        int64_t id;
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)(unsigned char)s[i]);
        if (!strmap_get(m->vocab->ids, name, strlen(name), &id)) {
            out->n = before;
            return false;
        }
        tokens_add(out, (int32_t)id, begin, end);
    }
    return true;
}

/* Characters [from, to) of the word: a piece, or unknown ones. */
static void add_piece(const struct unigram *m, const struct word *w,
                      const struct place_char *at, size_t from, size_t to,
                      struct tokens *out)
{
    const char *s = buf_str(&w->text) + w->place[from];
    const size_t bytes = w->place[to] - w->place[from];
    const int32_t begin = at[from].begin, end = at[to - 1].end;
    int64_t id;
    if (strmap_get(m->vocab->ids, s, bytes, &id) && (size_t)id < m->count)
        tokens_add(out, (int32_t)id, begin, end);
    else if (!m->byte_fallback || !add_bytes(m, s, bytes, begin, end, out))
        tokens_add(out, m->unknown, begin, end);
}

static void tokenize(const void *config, const struct place_char *at, size_t n,
                     struct tokens *out)
{
    const struct unigram *m = config;
    struct word w = {.text = BUF_INIT};
    w.place = xmalloc((n + 1) * sizeof *w.place);
    w.best = xmalloc((n + 1) * sizeof *w.best);
    for (size_t i = 0; i < n; i++) {
        w.place[i] = w.text.len;
        utf8_append(&w.text, at + i, 1);
    }
    w.place[n] = w.text.len;
    find_best(m, &w, n);
    /* the way back, turned round in place: best[i].from becomes where the piece at i ends */
    size_t *ends = xmalloc((n + 1) * sizeof *ends), count = 0;
    for (size_t i = n; i > 0;) {
        size_t from = w.best[i].from;
        while (w.best[i].id == m->unknown && from > 0 && w.best[from].id == m->unknown)
            from = w.best[from].from;
        ends[count++] = i;
        i = from;
    }
    for (size_t from = 0; count; from = ends[count])
        add_piece(m, &w, at, from, ends[--count], out);
    free(ends);
    free(w.best);
    free(w.place);
    buf_release(&w.text);
}

static void release(void *config)
{
    struct unigram *m = config;
    free(m->scores);
    free(m);
}

/* A score as tokenizers' JSON reader (serde_json without float_roundtrip) has it: all digits
 * as an integer, rounded, divided by a power of ten, rounded again. That may be one unit in
 * the last place beside the nearest number, which decides between ways of equal sums. */
static double score_of(double x)
{
    char text[40];
    int digits = 14, exponent = 0;
    do
        snprintf(text, sizeof text, "%.*e", digits++, fabs(x));
    while (digits < 17 && strtod(text, NULL) != fabs(x));
    uint64_t whole = 0;
    char *at = text;
    for (; *at && *at != 'e'; at++)
        if (*at != '.')
            whole = 10 * whole + (uint64_t)(*at - '0');
    if (*at == 'e')
        exponent = (int)strtol(at + 1, NULL, 10) - (digits - 1);
    for (; whole && whole % 10 == 0; exponent++)
        whole /= 10;
    if (!isfinite(x) || exponent < -22 || exponent > 22)
        return x;
    const double y = exponent < 0 ? (double)whole / pow(10, -exponent)
                                  : (double)whole * pow(10, exponent);
    return x < 0 ? -y : y;
}

static int read_piece(struct unigram *m, const json_t *pair, size_t id,
                      struct tokenizer *t, struct err *err)
{
    const char *piece = json_string_value(json_array_get(pair, 0));
    const json_t *score = json_array_get(pair, 1);
    if (!piece || !json_is_number(score) || json_array_size(pair) != 2)
        return err_set(err, ERR_PARSE, "model: vocab[%zu] must be [piece, score]", id);
    int rc = vocab_add(&t->vocab, piece, (int64_t)id, err);
    m->scores[id] = score_of(json_number_value(score));
    m->lowest = fmin(m->lowest, m->scores[id]);
    m->longest = strlen(piece) > m->longest ? strlen(piece) : m->longest;
    return rc < 0 ? err_context(err, "model: ") : 0;
}

int unigram_parse(const json_t *json, struct tokenizer *t, struct err *err)
{
    const json_t *pieces = json_object_get(json, "vocab"),
                 *unknown = json_object_get(json, "unk_id");
    const size_t n = json_array_size(pieces);
    struct unigram *m = xcalloc(1, sizeof *m);
    t->model = (struct model){m, tokenize, release};
    m->vocab = &t->vocab;
    m->lowest = INFINITY;
    m->byte_fallback = json_get_bool(json, "byte_fallback", 0) == 1;
    if (n == 0 || n > VOCAB_MAX)
        return err_set(err, ERR_PARSE, "model: 'vocab' must be a list of 1..%d pieces",
                       VOCAB_MAX);
    if (!json_is_integer(unknown) || json_integer_value(unknown) < 0 ||
        (size_t)json_integer_value(unknown) >= n)
        return err_set(err, ERR_PARSE,
                       "model: unk_id must be a piece of the vocabulary (a model without "
                       "one is not supported)");
    m->unknown = (int32_t)json_integer_value(unknown);
    m->scores = xcalloc(n, sizeof *m->scores);
    m->count = n;
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++)
        rc = read_piece(m, json_array_get(pieces, i), i, t, err);
    return rc;
}
