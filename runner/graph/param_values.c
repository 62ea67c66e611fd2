/* runner/graph/param_values.c - see param_values.h. */
#include "runner/graph/param_values.h"
#include "kernels/nf4.h"
#include "lib/mem.h"
#include <string.h>

enum { PIECE = 1 << 18 };

/* values -= s B A */
static void subtract(float *values, const struct param *p)
{
    const struct low_rank *l = &p->less;
    for (int32_t r = 0; r < p->rows; r++)
        for (int32_t c = 0; c < p->cols; c++) {
            double sum = 0;
            for (int32_t k = 0; k < l->rank; k++)
                sum +=
                    (double)l->b[(size_t)r * l->rank + k] * l->a[(size_t)k * p->cols + c];
            float *v = &values[(size_t)r * p->cols + c];
            *v = (float)(*v - l->scale * sum);
        }
}

static void round_trip(const struct param *p, float *values)
{
    struct weight_spec spec = p->spec;
    spec.quant = p->round_trip;
    q4_round_trip(values, &spec, values);
}

static bool by_rows(const struct param *p)
{
    return p->base && !p->round_trip && !p->less.rank && !p->transposed && !p->column &&
           st_has_rows(p->base);
}

int param_source_open(struct param_source *s, const struct param *p,
                      const struct st *file, uint64_t seed, struct err *err)
{
    *s = (struct param_source){.p = p, .file = file, .whole = p->given};
    if (p->given || by_rows(p))
        return 0;
    s->whole = s->owned = mem_try_aligned((size_t)param_size(p) * sizeof(float));
    if (!s->owned)
        return err_set(err, ERR_NOMEM, "no memory for the values of '%s'", p->name);
    const int rc = param_start_values(p, seed, s->owned, err);
    if (rc)
        return rc;
    if (p->less.rank)
        subtract(s->owned, p);
    if (p->round_trip)
        round_trip(p, s->owned);
    return 0;
}

int param_source_read(void *ctx, int32_t first, int32_t count, float *dst,
                      struct err *err)
{
    const struct param_source *s = ctx;
    const struct param *p = s->p;
    if (!s->whole)
        return st_read_rows(s->file, p->base, first, count, dst, err);
    memcpy(dst, s->whole + (size_t)first * (size_t)p->cols,
           (size_t)count * (size_t)p->cols * sizeof *dst);
    return 0;
}

void param_source_close(struct param_source *s)
{
    mem_free_aligned(s->owned);
    if (s->file && s->p->base)
        st_drop_pages(s->file, s->p->base->data, s->p->base->bytes);
    *s = (struct param_source){0};
}

int32_t param_piece_rows(const struct param *p)
{
    const int32_t rows = p->cols < PIECE ? PIECE / p->cols : 1;
    return rows < p->rows ? rows : p->rows;
}
