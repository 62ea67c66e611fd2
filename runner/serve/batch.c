/* runner/serve/batch.c - see batch.h: rows sorted by adapter, put in place, run. */
#include "runner/serve/batch.h"
#include "lib/mem.h"
#include "runner/serve/parts.h"
#include "runner/serve/twins.h"
#include <stdlib.h>

int32_t serve_row_tokens(const struct serve_row *row)
{
    return row->example->n + row->guest->mould->net.change.prompt_rows;
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
        const struct net *net = &rows[i].guest->mould->net;
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

int serve_batch_run(struct serve_base *base, const struct serve_row *rows, size_t count,
                    struct err *err)
{
    int rc = check(base, rows, count, err);
    if (rc || !count)
        return rc;
    const struct serve_row **sorted = xcalloc(count, sizeof *sorted);
    struct parts parts;
    struct twins twins;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &rows[i];
    qsort(sorted, count, sizeof *sorted, by_guest);
    parts_init(&parts, base, count);
    if (twins_find(&twins, base, sorted, count)) {
        twins_run(&twins, base);
        parts.once = &twins.once;
    }
    for (size_t i = 0; i < count; i++) {
        const struct guest *guest = sorted[i]->guest;
        const int32_t tokens = serve_row_tokens(sorted[i]);
        batch_put_row(&guest->mould->net, sorted[i]->example, parts.tokens,
                      base->session.host_batch);
        parts_add(&parts, guest, tokens, guest->mould->goal.last_token ? tokens - 1 : 0,
                  sorted[i]->logits);
    }
    rc = parts_run(&parts, err);
    parts_release(&parts);
    twins_release(&twins);
    free(sorted);
    return rc;
}
