/* runner/data/course.c - see course.h. */
#include "runner/data/course.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>

/* Rows of a tensor are counted in 32 bits. */
#define BATCH_TOKENS_MAX (INT32_MAX / 2)

void course_order(const struct course *c, const struct dataset *d, int64_t epoch,
                  uint32_t *rows)
{
    dataset_order(d, c->shuffle, c->seed, (uint64_t)epoch, rows);
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int too_much(double batch, double all, struct err *err)
{
    return err_set(err, ERR_CONFIG,
                   "too much to plan: %.3g tokens in a micro-batch, %.3g in all", batch,
                   all);
}

/* Rows of one length: every micro-batch but an epoch's last is as large. */
static int measure_even_course(struct course *c, int32_t row_tokens, struct err *err)
{
    const int64_t per_update = c->batch_rows * c->accumulation,
                  batch = c->batch_rows < c->rows ? c->batch_rows : c->rows,
                  whole = c->updates / c->updates_per_epoch,
                  rest = c->updates % c->updates_per_epoch * per_update,
                  last = rest < c->rows ? rest : c->rows;
    const double all = ((double)whole + 1) * (double)c->rows * row_tokens;
    if ((double)batch * row_tokens > BATCH_TOKENS_MAX || all > 1e18)
        return too_much((double)batch * row_tokens, all, err);
    c->max_tokens = (int32_t)(batch * row_tokens);
    c->tokens = (whole * c->rows + last) * row_tokens;
    return 0;
}

/* Walks all micro-batches once, to know the largest. `extra`: virtual tokens per row. */
static int measure_course(struct course *c, const struct dataset *d, int32_t extra,
                          struct err *err)
{
    uint32_t *order = xmalloc((size_t)c->rows * sizeof *order);
    const int64_t per_update = c->batch_rows * c->accumulation;
    int64_t most = 0;
    for (int64_t done = 0; done < c->updates; done += c->updates_per_epoch) {
        course_order(c, d, done / c->updates_per_epoch, order);
        const int64_t updates = c->updates - done < c->updates_per_epoch
                                    ? c->updates - done
                                    : c->updates_per_epoch;
        const int64_t end =
            updates * per_update < c->rows ? updates * per_update : c->rows;
        int64_t tokens = 0;
        for (int64_t r = 0; r < end; r++) {
            const int64_t n = d->rows[order[r]].n + (int64_t)extra;
            tokens = (r % c->batch_rows ? tokens : 0) + n;
            c->tokens += n;
            if (tokens > most)
                most = tokens;
        }
    }
    free(order);
    if (most > BATCH_TOKENS_MAX)
        return too_much((double)most, (double)c->tokens, err);
    c->max_tokens = (int32_t)most;
    return 0;
}

int course_plan(struct course *c, const struct trial *t, const struct dataset *d,
                int32_t extra, struct err *err)
{
    *c = (struct course){.rows = (int64_t)d->count,
                         .endless = c->endless,
                         .batch_rows = t->batch_size,
                         .accumulation = t->gradient_accumulation_steps,
                         .shuffle = t->shuffle,
                         .seed = (uint64_t)t->seed};
    c->batches_per_epoch = ceil_div(c->rows, c->batch_rows);
    c->updates_per_epoch = ceil_div(c->batches_per_epoch, c->accumulation);
    const int64_t max_steps = t->max_steps;
    c->updates = max_steps > 0
                     ? max_steps
                     : (int64_t)ceil(t->num_train_epochs * (double)c->updates_per_epoch);
    return d->rows ? measure_course(c, d, extra, err)
                   : measure_even_course(c, d->longest + extra, err);
}

int64_t course_update_rows(const struct course *c, int64_t update)
{
    const int64_t rows = c->batch_rows * c->accumulation;
    const int64_t begin = update % c->updates_per_epoch * rows;
    return begin + rows < c->rows ? rows : c->rows - begin;
}
