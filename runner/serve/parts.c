/* runner/serve/parts.c - see parts.h. */
#include "runner/serve/parts.h"
#include "lib/mem.h"
#include <stdlib.h>

void parts_init(struct parts *p, struct serve_base *base, size_t most_rows)
{
    *p = (struct parts){.base = base,
                        .items = xcalloc(most_rows + 1, sizeof *p->items),
                        .first_row = xcalloc(most_rows + 1, sizeof *p->first_row),
                        .moulds = xcalloc(most_rows + 1, sizeof *p->moulds),
                        .logits = xcalloc(most_rows + 1, sizeof *p->logits),
                        .seq = xcalloc(2 * most_rows + 1, sizeof *p->seq)};
}

void parts_release(struct parts *p)
{
    free(p->items);
    free(p->first_row);
    free(p->logits);
    free(p->moulds);
    free(p->seq);
    *p = (struct parts){0};
}

void parts_clear(struct parts *p)
{
    p->count = p->seqs = p->rows = 0;
    p->tokens = 0;
}

/* Rows that have one token picked, of sequences that are read whole or go on. */
static struct extent extent(const struct parts *p, int32_t tokens, int32_t rows)
{
    return p->base->writes ? extent_of_cached(tokens, rows, rows)
                           : extent_of(tokens, rows, rows);
}

static struct graph_part *open_part(struct parts *p, const struct guest *guest)
{
    const struct graph_memory *m = &p->base->session.memory;
    struct graph_part *part = &p->items[p->count];
    *part =
        (struct graph_part){.graft = &guest->mould->graft,
                            .params = guest->memory,
                            .apart = guest->states,
                            .begin = extent(p, p->tokens, (int32_t)p->rows),
                            .picked = (char *)m->batch + m->batch_offsets[SLOT_picked] +
                                      p->rows * sizeof(int32_t)};
    p->moulds[p->count] = guest->mould;
    p->first_row[p->count++] = p->rows;
    p->seq[p->seqs++] = 0;
    return part;
}

void parts_add(struct parts *p, const struct guest *guest, int32_t tokens, int32_t pick,
               float *logits)
{
    int32_t *const *h = p->base->session.host_batch;
    struct graph_part *last = p->count ? &p->items[p->count - 1] : NULL,
                      *part = last && last->graft == &guest->mould->graft &&
                                      last->params == guest->memory
                                  ? last
                                  : open_part(p, guest);
    const struct extent size = part->size;
    h[SLOT_seq][p->rows] = p->tokens;
    h[SLOT_picked][p->rows] = size.of[ROWS_TOKENS] + pick;
    p->logits[p->rows++] = logits;
    part->size = extent(p, size.of[ROWS_TOKENS] + tokens, size.of[ROWS_SEQUENCES] + 1);
    p->seq[p->seqs++] = part->size.of[ROWS_TOKENS];
    p->tokens += tokens;
    h[SLOT_seq][p->rows] = p->tokens;
    p->first_row[p->count] = p->rows;
}

/* What of a part's memory goes by kind. */
static size_t own_bytes(const struct graph_part *part, int kind)
{
    return part->graft->bytes[kind] *
           (size_t)(kind == ROWS_FIXED ? 1 : part->size.of[kind]);
}

/* One piece for all parts: their sequences' places, then what their grafts have in hand. */
static int take_memory(struct parts *p, struct err *err)
{
    const struct backend *d = p->base->session.backend;
    const size_t seq_bytes = p->seqs * sizeof *p->seq;
    size_t bytes = mem_round_up(seq_bytes);
    for (size_t i = 0; i < p->count; i++)
        for (int k = 0; k < ROWS_KINDS; k++)
            bytes += own_bytes(&p->items[i], k);
    char *at = serve_base_batch(p->base, bytes, err);
    if (!at)
        return err_code(err);
    d->upload(d->device, at, p->seq, seq_bytes);
    char *seq = at;
    at += mem_round_up(seq_bytes);
    for (size_t i = 0; i < p->count; i++) {
        struct graph_part *part = &p->items[i];
        part->seq = seq;
        seq += (size_t)(part->size.of[ROWS_SEQUENCES] + 1) * sizeof *p->seq;
        for (int k = 0; k < ROWS_KINDS; k++) {
            part->memory[k] = at;
            at += own_bytes(part, k);
        }
    }
    return 0;
}

/* Of a text's tokens one vector; virtual tokens are none of the text's. */
static void take_vectors(const struct parts *p, size_t part, const struct tensor *states)
{
    const struct backend *d = p->base->session.backend;
    const struct mould *m = p->moulds[part];
    const int32_t *seq = p->base->session.host_batch[SLOT_seq],
                  begin = seq[p->first_row[part]], own = m->net.change.prompt_rows;
    const size_t row = (size_t)states->cols * sizeof(float);
    float *copy = xmalloc((size_t)states->rows * row);
    d->download(d->device, copy, states->data, (size_t)states->rows * row);
    for (size_t r = p->first_row[part]; r < p->first_row[part + 1]; r++) {
        const int32_t first = seq[r] - begin + own, rows = seq[r + 1] - seq[r] - own;
        pooling_run(m->pool, copy + (size_t)first * (size_t)states->cols, rows,
                    states->cols, p->logits[r]);
    }
    free(copy);
}

static void take_logits(struct graft_batch *g, size_t part, const struct tensor *logits)
{
    const struct parts *p = g->ctx;
    if (p->moulds[part]->pool) {
        take_vectors(p, part, logits);
        return;
    }
    const size_t row = (size_t)logits->cols * sizeof(float);
    for (int32_t r = 0; r < logits->rows; r++) {
        float *out = p->logits[p->first_row[part] + (size_t)r];
        if (out)
            g->backend->download(g->backend->device, out,
                                 (char *)logits->data + (size_t)r * row, row);
    }
}

int parts_run(struct parts *p, struct err *err)
{
    struct session *s = &p->base->session;
    const struct extent all = extent(p, p->tokens, (int32_t)p->rows);
    const int rc = take_memory(p, err);
    if (rc)
        return rc;
    session_upload(s, &all);
    struct graft_batch g = {.backend = s->backend,
                            .host = p->base->host,
                            .memory = &s->memory,
                            .all = all,
                            .once = p->once,
                            .parts = p->items,
                            .count = p->count,
                            .workspaces = p->base->workspaces,
                            .threads = p->base->threads,
                            .done = take_logits,
                            .ctx = p};
    graft_run(&g);
    return 0;
}
