/* runner/serve/twins.c - see twins.h. */
#include "runner/serve/twins.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include <stdlib.h>
#include <string.h>

static uint64_t hash_row(const struct serve_row *row)
{
    return hash64(row->example->ids, (size_t)row->example->n * sizeof(int32_t));
}

static bool types_eq(const struct example *a, const struct example *b)
{
    for (int32_t i = 0; i < a->n; i++)
        if ((a->type_ids ? a->type_ids[i] : 0) != (b->type_ids ? b->type_ids[i] : 0))
            return false;
    return true;
}

/* The same tokens at the same positions. */
static bool reads_same(const struct serve_row *a, const struct serve_row *b)
{
    const struct example *x = a->example, *y = b->example;
    return x->n == y->n && !memcmp(x->ids, y->ids, (size_t)x->n * sizeof *x->ids) &&
           a->guest->mould->net.change.virtual_tokens ==
               b->guest->mould->net.change.virtual_tokens &&
           types_eq(x, y);
}

/* Nodes of the host before anything that a guest of these rows does itself. */
static size_t common_nodes(const struct serve_row *const *rows, size_t count)
{
    size_t nodes = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const size_t own = rows[i]->guest->mould->graft.fork;
        nodes = own < nodes ? own : nodes;
    }
    return nodes;
}

static void find_texts(struct twins *t, const struct serve_row *const *rows, size_t count)
{
    uint64_t *hashes = xcalloc(count, sizeof *hashes);
    size_t texts = 0;
    int32_t at = 0, text_at = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t hash = hash_row(rows[i]);
        size_t k = 0;
        while (k < texts && !(hashes[k] == hash && reads_same(t->texts[k], rows[i])))
            k++;
        if (k == texts) {
            hashes[texts] = hash;
            t->texts[texts] = rows[i];
            t->text_seq[texts++] = text_at;
            text_at += serve_row_tokens(rows[i]);
        }
        t->source[i] = (int32_t)k;
        t->seq[i] = at;
        at += serve_row_tokens(rows[i]);
    }
    t->seq[count] = at;
    t->text_seq[texts] = text_at;
    t->once.all = extent_of(text_at, (int32_t)texts, (int32_t)texts);
    free(hashes);
}

bool twins_find(struct twins *t, const struct serve_base *b,
                const struct serve_row *const *rows, size_t count)
{
    *t = (struct twins){0};
    const size_t nodes = common_nodes(rows, count);
    if (count < 2 || !nodes ||
        b->session.backend->device) /* rows are copied by the host */
        return false;
    t->texts = xcalloc(count, sizeof *t->texts);
    t->source = xcalloc(count, sizeof *t->source);
    t->seq = xcalloc(count + 1, sizeof *t->seq);
    t->text_seq = xcalloc(count + 1, sizeof *t->text_seq);
    find_texts(t, rows, count);
    t->once.nodes = nodes;
    t->once.source = t->source;
    t->once.seq = t->seq;
    t->once.once_seq = t->text_seq;
    return (size_t)t->once.all.of[ROWS_SEQUENCES] < count;
}

void twins_release(struct twins *t)
{
    free(t->texts);
    free(t->source);
    free(t->seq);
    free(t->text_seq);
    *t = (struct twins){0};
}

void twins_run(const struct twins *t, struct serve_base *b)
{
    struct session *s = &b->session;
    const size_t texts = (size_t)t->once.all.of[ROWS_SEQUENCES];
    for (size_t i = 0; i < texts; i++) {
        batch_put_row(&t->texts[i]->guest->mould->net, t->texts[i]->example,
                      t->text_seq[i], s->host_batch);
        s->host_batch[SLOT_picked][i] = 0;
    }
    memcpy(s->host_batch[SLOT_seq], t->text_seq, (texts + 1) * sizeof *t->text_seq);
    session_upload(s, &t->once.all);
    graft_run_once(b->host, s->backend, &s->memory, &t->once);
}
