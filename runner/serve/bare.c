/* runner/serve/bare.c - see bare.h. */
#include "runner/serve/bare.h"
#include "lib/mem.h"
#include <stdlib.h>

static int check(const struct session *s, const struct serve_row *rows, size_t count,
                 struct err *err)
{
    const struct extent *most = &s->serves;
    int64_t tokens = 0;
    for (size_t i = 0; i < count; i++)
        tokens += rows[i].example->n;
    return tokens > most->of[ROWS_TOKENS] || (int64_t)count > most->of[ROWS_SEQUENCES]
               ? err_set(err, ERR_CONFIG, "%zu rows of %lld tokens are more than a batch",
                         count, (long long)tokens)
               : 0;
}

static struct extent load(struct session *s, const struct serve_row *rows, size_t count)
{
    int32_t *const *h = s->host_batch;
    int32_t tokens = 0;
    for (size_t r = 0; r < count; r++) {
        h[SLOT_seq][r] = tokens;
        tokens = batch_put_row(&s->net, rows[r].example, tokens, h);
        h[SLOT_picked][r] = s->goal.last_token ? tokens - 1 : h[SLOT_seq][r];
    }
    h[SLOT_seq][count] = tokens;
    return extent_of(tokens, (int32_t)count, (int32_t)count);
}

int serve_bare_run(struct serve_base *b, const struct serve_row *rows, size_t count,
                   struct err *err)
{
    struct session *s = &b->session;
    const struct graph *g = &s->eval_graph;
    const struct op_step step = {0};
    const int rc = check(s, rows, count, err);
    if (rc || !count)
        return rc;
    const struct extent all = load(s, rows, count);
    session_upload(s, &all);
    graph_run(g, s->backend, &s->memory, &all, &step);
    const struct tensor t = graph_tensor(g, &s->memory, g->logits, &all);
    float *logits = xcalloc((size_t)t.rows * (size_t)t.cols, sizeof *logits);
    s->backend->download(s->backend->device, logits, t.data,
                         (size_t)t.rows * (size_t)t.cols * sizeof *logits);
    free(logits);
    return 0;
}
