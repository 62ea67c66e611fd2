/* runner/merge/merged_model.c - see merged_model.h. */
#include "runner/merge/merged_model.h"
#include "kernels/half.h"
#include "lib/mem.h"
#include "runner/graph/param_values.h"
#include "runner/nn/peft/method.h"
#include <math.h>
#include <stdlib.h>

/* Without hooks in the graph the trained parameters are the base's own; a method that has
 * some must say how they are merged. */
static int check_method(const struct method *m, struct err *err)
{
    const bool hooked = m->input || m->linear || m->sublayer || m->prompt || m->prefix;
    if (!m->no_merge && (m->merge || !hooked))
        return 0;
    return err_set(err, ERR_CONFIG, "method '%s' cannot be merged: %s", m->name,
                   m->no_merge ? m->no_merge : "nobody has written how");
}

static void round_values(const struct param *p)
{
    for (int64_t i = 0; p->rounded && p->given && i < param_size(p); i++)
        p->given[i] = bf16_to_float(bf16_of_float(p->given[i]));
}

/* What trains as the session would hold it: of the method's own parameters those that no
 * folder gave start as in a training, and some are numbers of bf16. */
static int give_added(struct session *s, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->net.params.count && !rc; i++) {
        struct param *p = s->net.params.items[i];
        round_values(p);
        if (!p->added || p->given)
            continue;
        p->given = xmalloc((size_t)param_size(p) * sizeof *p->given);
        float *values = p->given;
        p->given = NULL;
        rc = param_start_values(p, s->course.seed, values, err);
        p->given = values;
        round_values(p);
    }
    return rc;
}

int merged_open(struct merged *m, struct session *s, struct err *err)
{
    *m = (struct merged){.s = s};
    int rc = check_method(s->net.method, err);
    if (!rc && s->net.method->start)
        rc = s->net.method->start(&s->net, s->course.seed, err);
    return rc ? rc : give_added(s, err);
}

const struct param *merged_at(const struct merged *m, size_t i)
{
    const struct params *all = &m->s->net.params;
    for (size_t k = 0; k < all->count; k++)
        if (!all->items[k]->added && i-- == 0)
            return all->items[k];
    return NULL;
}

/* --- numbers of the file --- */

static enum dtype dtype_of(const struct st_tensor *t)
{
    if (t->q4)
        return t->q4->spec.rounded;
    if (t->rounded != DT_F32)
        return t->rounded;
    const enum dtype own = t->block ? block_type_dtype(t->block) : t->dtype;
    return own == DT_F16 || own == DT_BF16 ? own : DT_F32;
}

enum dtype merged_model_dtype(const struct merged *m)
{
    const struct params *all = &m->s->net.params;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i]->linear && all->items[i]->base)
            return dtype_of(all->items[i]->base);
    return DT_F32;
}

enum dtype merged_dtype(const struct merged *m, const struct param *p)
{
    return p->base ? dtype_of(p->base) : merged_model_dtype(m);
}

/* --- values --- */

/* The site whose weight or bias it is, where the method has something there. */
static const struct linear_site *site_of(const struct net *net, const struct param *p)
{
    for (size_t i = 0; i < net->sites.count && net->method->merge; i++) {
        const struct linear_site *s = &net->sites.items[i];
        if (s->rank && (net_site_param(net, s, "weight") == p ||
                        net_site_param(net, s, "bias") == p))
            return s;
    }
    return NULL;
}

/* To 4 bits and back, as the backend keeps it. */
static int quantised(const struct merged *m, const struct param *p,
                     struct param_source *from, float *out, struct err *err)
{
    const struct backend *b = m->s->backend;
    const struct weight_rows rows = {param_source_read, from};
    void *prepared = b->alloc(b->device, b->weight_bytes(&p->spec));
    int rc = prepared ? b->weight_prepare(b->device, &p->spec, &rows, prepared, err)
                      : err_set(err, ERR_NOMEM, "no memory to quantise '%s'", p->name);
    if (!rc)
        b->weight_unpack(b->device, &p->spec, prepared, out);
    if (prepared)
        b->release(b->device, prepared);
    return rc;
}

static bool is_rounded(const struct param *p)
{
    return param_is_prepared(p) && p->spec.quant == QUANT_NONE &&
           p->spec.compute == DT_BF16;
}

/* Rows as the adapter saw them. */
static int read_rows(const struct param *p, struct param_source *from, int32_t first,
                     int32_t count, float *out, struct err *err)
{
    const int rc = param_source_read(from, first, count, out, err);
    for (size_t i = 0; !rc && is_rounded(p) && i < (size_t)count * (size_t)p->cols; i++)
        out[i] = bf16_to_float(bf16_of_float(out[i]));
    return rc;
}

static int check_finite(const struct param *p, const float *values, size_t count,
                        struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return err_set(err, ERR_NAN, "the merged '%s' holds %g: adapter or base do",
                           p->name, (double)values[i]);
    return 0;
}

static int by_rows(const struct param *p, struct param_source *from, merged_take_fn *take,
                   void *ctx, struct err *err)
{
    const int32_t step = param_piece_rows(p);
    float *piece = xmalloc((size_t)step * (size_t)p->cols * sizeof *piece);
    int rc = 0;
    for (int32_t at = 0; at < p->rows && !rc; at += step) {
        const int32_t count = p->rows - at < step ? p->rows - at : step;
        const size_t n = (size_t)count * (size_t)p->cols;
        rc = read_rows(p, from, at, count, piece, err);
        if (!rc && !(rc = check_finite(p, piece, n, err)))
            rc = take(ctx, piece, n, err);
    }
    free(piece);
    return rc;
}

/* What must lie in memory as a whole. */
static int whole(struct merged *m, const struct param *p, struct param_source *from,
                 const struct linear_site *site, merged_take_fn *take, void *ctx,
                 struct err *err)
{
    const size_t n = (size_t)param_size(p);
    const bool is_bias = p->ndim == 1;
    float *values = mem_try_aligned(n * sizeof *values), *turned = NULL;
    int rc =
        values ? 0 : err_set(err, ERR_NOMEM, "no memory for the values of '%s'", p->name);
    if (!rc && param_is_prepared(p) && p->spec.quant != QUANT_NONE &&
        !param_lies_quantised(p))
        rc = quantised(m, p, from, values, err);
    else if (!rc)
        rc = read_rows(p, from, 0, p->rows, values, err);
    if (!rc && site)
        m->layers +=
            m->s->net.method->merge(&m->s->net, m->s->backend, site,
                                    is_bias ? NULL : values, is_bias ? values : NULL) &&
            !is_bias;
    if (!rc && p->transposed) {
        turned = xmalloc(n * sizeof *turned);
        param_to_file(p, values, turned);
    }
    if (!rc && !(rc = check_finite(p, values, n, err)))
        rc = take(ctx, turned ? turned : values, n, err);
    mem_free_aligned(values);
    free(turned);
    return rc;
}

int merged_read(struct merged *m, const struct param *p, merged_take_fn *take, void *ctx,
                struct err *err)
{
    struct param_source from;
    const struct linear_site *site = site_of(&m->s->net, p);
    const bool rows =
        !site && !p->transposed && !(param_is_prepared(p) && p->spec.quant != QUANT_NONE);
    int rc = param_source_open(&from, p, m->s->hf->weights, m->s->course.seed, err);
    if (!rc)
        rc = rows ? by_rows(p, &from, take, ctx, err)
                  : whole(m, p, &from, site, take, ctx, err);
    param_source_close(&from);
    return rc;
}
