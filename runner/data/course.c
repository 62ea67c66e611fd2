/* runner/data/course.c - see course.h. */
#include "runner/data/course.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>

/* Rows of a tensor are counted in 32 bits. */
#define BATCH_TOKENS_MAX (INT32_MAX / 2)

/* --- epochs --- */

void epoch_init(struct epoch *e, const struct course *c)
{
    *e = (struct epoch){.number = -1, .rows = xmalloc((size_t)c->rows * sizeof *e->rows)};
    if (c->bins.count)
        e->starts = xmalloc(((size_t)c->units + 1) * sizeof *e->starts);
}

void epoch_release(struct epoch *e)
{
    free(e->rows);
    free(e->starts);
}

/* Bins in the epoch's order, each with its rows. */
static void order_bins(struct epoch *e, const struct course *c)
{
    const struct bins *b = &c->bins;
    uint32_t *order = xmalloc(b->count * sizeof *order), at = 0;
    const struct dataset units = {.count = b->count};
    dataset_order(&units, c->shuffle, c->seed, (uint64_t)e->number, order);
    for (size_t i = 0; i < b->count; i++) {
        const uint32_t k = order[i], begin = k ? b->ends[k - 1] : 0;
        e->starts[i] = at;
        for (uint32_t r = begin; r < b->ends[k]; r++)
            e->rows[at++] = b->rows[r];
    }
    e->starts[b->count] = at;
    free(order);
}

void epoch_seek(struct epoch *e, const struct course *c, const struct dataset *d,
                int64_t update)
{
    const int64_t number = update / c->updates_per_epoch;
    if (e->number == number)
        return;
    e->number = number;
    if (e->starts)
        order_bins(e, c);
    else
        dataset_order(d, c->shuffle, c->seed, (uint64_t)number, e->rows);
}

static struct stretch stretch_of(const struct epoch *e, const struct course *c,
                                 int64_t begin, int64_t end)
{
    begin = begin < c->units ? begin : c->units;
    end = end < c->units ? end : c->units;
    return e->starts ? (struct stretch){e->starts[begin], e->starts[end]}
                     : (struct stretch){begin, end};
}

struct stretch epoch_update(const struct epoch *e, const struct course *c, int64_t update)
{
    const int64_t units = c->batch_units * c->accumulation,
                  begin = update % c->updates_per_epoch * units;
    return stretch_of(e, c, begin, begin + units);
}

struct stretch epoch_batch(const struct epoch *e, const struct course *c, int64_t update,
                           int64_t k)
{
    const int64_t units = c->batch_units,
                  begin = (update % c->updates_per_epoch * c->accumulation + k) * units;
    return stretch_of(e, c, begin, k < c->accumulation ? begin + units : begin);
}

/* --- the whole --- */

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
    const int64_t per_update = c->batch_units * c->accumulation,
                  batch = c->batch_units < c->rows ? c->batch_units : c->rows,
                  whole = c->updates / c->updates_per_epoch,
                  rest = c->updates % c->updates_per_epoch * per_update,
                  last = rest < c->rows ? rest : c->rows;
    const double all = ((double)whole + 1) * (double)c->rows * row_tokens;
    if ((double)batch * row_tokens > BATCH_TOKENS_MAX || all > 1e18)
        return too_much((double)batch * row_tokens, all, err);
    c->max_tokens = (int32_t)(batch * row_tokens);
    c->max_rows = (int32_t)batch;
    c->samples = whole * c->rows + last;
    c->tokens = c->samples * row_tokens;
    return 0;
}

/* Walks all micro-batches once, to know the largest. `extra`: virtual tokens per row. */
static int measure_course(struct course *c, const struct dataset *d, int32_t extra,
                          struct err *err)
{
    struct epoch e;
    int64_t most = 0, most_rows = c->batch_units < c->units ? c->batch_units : c->units;
    epoch_init(&e, c);
    for (int64_t u = 0; u < c->updates; u++) {
        epoch_seek(&e, c, d, u);
        for (int64_t k = 0; k < c->accumulation; k++) {
            const struct stretch s = epoch_batch(&e, c, u, k);
            int64_t tokens = 0;
            for (int64_t i = s.begin; i < s.end; i++)
                tokens += d->rows[e.rows[i]].n + (int64_t)extra;
            most = tokens > most ? tokens : most;
            most_rows = s.end - s.begin > most_rows ? s.end - s.begin : most_rows;
            c->tokens += tokens;
            c->samples += s.end - s.begin;
        }
    }
    epoch_release(&e);
    if (most > BATCH_TOKENS_MAX)
        return too_much((double)most, (double)c->tokens, err);
    c->max_tokens = (int32_t)most;
    c->max_rows = (int32_t)most_rows;
    return 0;
}

int course_plan(struct course *c, const struct trial *t, const struct dataset *d,
                int32_t extra, int32_t bin_tokens, struct err *err)
{
    *c = (struct course){.rows = (int64_t)d->count,
                         .units = (int64_t)d->count,
                         .endless = c->endless,
                         .batch_units = t->batch_size,
                         .accumulation = t->gradient_accumulation_steps,
                         .shuffle = t->shuffle,
                         .seed = (uint64_t)t->seed};
    if (bin_tokens && d->rows) {
        dataset_pack(d, bin_tokens, &c->bins);
        c->units = (int64_t)c->bins.count;
    }
    c->batches_per_epoch = ceil_div(c->units, c->batch_units);
    c->updates_per_epoch = ceil_div(c->batches_per_epoch, c->accumulation);
    const int64_t max_steps = t->max_steps;
    c->updates = max_steps > 0
                     ? max_steps
                     : (int64_t)ceil(t->num_train_epochs * (double)c->updates_per_epoch);
    return d->rows ? measure_course(c, d, extra, err)
                   : measure_even_course(c, d->longest + extra, err);
}

void course_release(struct course *c)
{
    bins_release(&c->bins);
}
