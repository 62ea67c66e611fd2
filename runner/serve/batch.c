/* runner/serve/batch.c - see batch.h: rows sorted by adapter, put in place, run. */
#include "runner/serve/batch.h"
#include "lib/mem.h"
#include <stdlib.h>
#include <string.h>

struct batch {
    struct serve_base *base;
    const struct serve_row **rows; /* those of a guest one after the other */
    size_t count;
    struct graph_part *parts;
    size_t part_count;
    size_t *first_row; /* of a part, then the number of rows */
    int32_t *seq;      /* of parts, each with its end: count + part_count */
};

int32_t serve_row_tokens(const struct serve_row *row)
{
    return row->example->n + row->guest->net.change.prompt_rows;
}

static int by_guest(const void *a, const void *b)
{
    const struct serve_row *x = *(struct serve_row *const *)a,
                           *y = *(struct serve_row *const *)b;
    if (x->guest != y->guest)
        return x->guest < y->guest ? -1 : 1;
    return (x > y) - (x < y);
}

static int check(const struct serve_base *b, const struct serve_row *rows, size_t count,
                 struct err *err)
{
    const struct extent *most = &b->session.serves;
    int64_t tokens = 0;
    for (size_t i = 0; i < count; i++) {
        const struct net *net = &rows[i].guest->net;
        tokens += serve_row_tokens(&rows[i]);
        if (rows[i].example->n + net->change.virtual_tokens > net->shape.max_positions)
            return err_set(err, ERR_CONFIG,
                           "row %zu has %d tokens, the model %d positions", i + 1,
                           (int)rows[i].example->n, (int)net->shape.max_positions);
    }
    if (tokens > most->of[ROWS_TOKENS] || (int64_t)count > most->of[ROWS_SEQUENCES])
        return err_set(err, ERR_CONFIG,
                       "%zu rows of %lld tokens are more than a batch of %d rows of %d "
                       "tokens holds",
                       count, (long long)tokens, (int)most->of[ROWS_SEQUENCES],
                       (int)most->of[ROWS_TOKENS]);
    return 0;
}

/* Fills the base's batch buffers, and the parts. One token of a row has logits. */
static struct extent load(struct batch *b)
{
    struct session *s = &b->base->session;
    int32_t *const *h = s->host_batch;
    int32_t tokens = 0, *seq = b->seq;
    struct graph_part *p = NULL;
    for (size_t r = 0; r < b->count; r++) {
        const struct serve_row *row = b->rows[r];
        if (!r || row->guest != b->rows[r - 1]->guest) {
            p = &b->parts[b->part_count];
            *p = (struct graph_part){.graft = &row->guest->graft,
                                     .begin = extent_of(tokens, (int32_t)r, (int32_t)r),
                                     .picked = (char *)s->memory.batch +
                                               s->memory.batch_offsets[SLOT_picked] +
                                               r * sizeof(int32_t)};
            b->first_row[b->part_count++] = r;
        }
        const int32_t own = tokens - p->begin.of[ROWS_TOKENS];
        h[SLOT_seq][r] = tokens;
        *seq++ = own;
        tokens = batch_put_row(&row->guest->net, row->example, tokens, h);
        const int32_t rows = tokens - h[SLOT_seq][r];
        h[SLOT_picked][r] = row->guest->goal.last_token ? own + rows - 1 : own;
        p->size = extent_of(own + rows, p->size.of[ROWS_SEQUENCES] + 1,
                            p->size.of[ROWS_PICKED] + 1);
        if (r + 1 == b->count || b->rows[r + 1]->guest != row->guest)
            *seq++ = own + rows;
    }
    h[SLOT_seq][b->count] = tokens;
    b->first_row[b->part_count] = b->count;
    return extent_of(tokens, (int32_t)b->count, (int32_t)b->count);
}

/* What of a part's memory goes by kind. */
static size_t own_bytes(const struct graph_part *p, int kind)
{
    return p->graft->bytes[kind] * (size_t)(kind == ROWS_FIXED ? 1 : p->size.of[kind]);
}

/* One piece for all parts: their sequences' places, then what their grafts have in hand. */
static int take_memory(struct batch *b, struct err *err)
{
    const struct backend *d = b->base->session.backend;
    const size_t seq_bytes = (b->count + b->part_count) * sizeof *b->seq;
    size_t bytes = mem_round_up(seq_bytes);
    for (size_t i = 0; i < b->part_count; i++)
        for (int k = 0; k < ROWS_KINDS; k++)
            bytes += own_bytes(&b->parts[i], k);
    char *at = serve_base_batch(b->base, bytes, err);
    if (!at)
        return err_code(err);
    d->upload(d->device, at, b->seq, seq_bytes);
    char *seq = at;
    at += mem_round_up(seq_bytes);
    for (size_t i = 0; i < b->part_count; i++) {
        b->parts[i].seq = seq;
        seq += (size_t)(b->parts[i].size.of[ROWS_SEQUENCES] + 1) * sizeof *b->seq;
        for (int k = 0; k < ROWS_KINDS; k++) {
            b->parts[i].memory[k] = at;
            at += own_bytes(&b->parts[i], k);
        }
    }
    return 0;
}

static void take_logits(struct graft_batch *g, size_t part, const struct tensor *logits)
{
    const struct batch *b = g->ctx;
    const size_t row = (size_t)logits->cols * sizeof(float);
    for (int32_t r = 0; r < logits->rows; r++)
        g->backend->download(g->backend->device,
                             b->rows[b->first_row[part] + (size_t)r]->logits,
                             (char *)logits->data + (size_t)r * row, row);
}

static int run(struct batch *b, struct err *err)
{
    struct session *s = &b->base->session;
    const struct extent all = load(b);
    const int rc = take_memory(b, err);
    if (rc)
        return rc;
    session_upload(s, &all);
    struct graft_batch g = {.backend = s->backend,
                            .host = &s->eval_graph,
                            .memory = &s->memory,
                            .all = all,
                            .parts = b->parts,
                            .count = b->part_count,
                            .workspaces = b->base->workspaces,
                            .threads = b->base->threads,
                            .done = take_logits,
                            .ctx = b};
    graft_run(&g);
    return 0;
}

int serve_batch_run(struct serve_base *base, const struct serve_row *rows, size_t count,
                    struct err *err)
{
    int rc = check(base, rows, count, err);
    if (rc || !count)
        return rc;
    struct batch b = {.base = base,
                      .rows = xcalloc(count, sizeof *b.rows),
                      .count = count,
                      .parts = xcalloc(count, sizeof *b.parts),
                      .first_row = xcalloc(count + 1, sizeof *b.first_row),
                      .seq = xcalloc(2 * count, sizeof *b.seq)};
    for (size_t i = 0; i < count; i++)
        b.rows[i] = &rows[i];
    qsort(b.rows, count, sizeof *b.rows, by_guest);
    rc = run(&b, err);
    free(b.rows);
    free(b.parts);
    free(b.first_row);
    free(b.seq);
    return rc;
}
