/* runner/graph/params.c - the list of parameters and where their values start. */
#include "runner/graph/params.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <stdlib.h>
#include <string.h>

void params_init(struct params *p)
{
    *p = (struct params){.by_name = strmap_new()};
}

void params_release(struct params *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->items[i]->name);
        free(p->items[i]->given);
        free(p->items[i]);
    }
    free(p->items);
    strmap_free(p->by_name);
    *p = (struct params){0};
}

struct param *params_add(struct params *p, const char *name, int ndim, int32_t rows,
                         int32_t cols)
{
    p->items = xgrow(p->items, &p->cap, p->count + 1, sizeof *p->items);
    struct param *q = xcalloc(1, sizeof *q);
    *q = (struct param){
        .name = xstrdup(name), .ndim = ndim, .rows = rows, .cols = cols, .lr_ratio = 1};
    p->items[p->count] = q;
    strmap_put(p->by_name, name, strlen(name), (int64_t)p->count);
    p->count++;
    return q;
}

struct param *params_find(const struct params *p, const char *name)
{
    int64_t i;
    return strmap_get(p->by_name, name, strlen(name), &i) ? p->items[i] : NULL;
}

int64_t params_count(const struct params *p, bool trainable_only)
{
    int64_t n = 0;
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i]->trainable || (!trainable_only && !p->items[i]->derived))
            n += param_size(p->items[i]);
    return n;
}

static size_t plain_bytes(const struct param *p)
{
    return param_is_plain(p) ? mem_round_up((size_t)param_size(p) * sizeof(float)) : 0;
}

size_t param_frozen_bytes(const struct param *p, const struct backend *backend)
{
    return plain_bytes(p) +
           (param_is_prepared(p) ? mem_round_up(backend->weight_bytes(&p->spec)) : 0);
}

void param_bind(struct param *p, void *arena, void *gradients)
{
    char *const base = (char *)arena + p->offset;
    const struct tensor shape = {NULL, DT_F32, p->rows, p->cols, p->cols, NULL};
    p->value = p->prepared = p->grad = shape;
    if (param_is_plain(p))
        p->value.data = base;
    if (param_is_prepared(p)) {
        p->prepared.data = base + plain_bytes(p);
        p->prepared.dtype = DT_PREPARED;
        p->prepared.spec = &p->spec;
    }
    if (p->trainable && gradients)
        p->grad.data = (char *)gradients + p->offset;
}

void param_file_shape(const struct param *p, int64_t shape[2])
{
    const bool turned = p->column || p->transposed;
    shape[0] = turned ? p->cols : p->rows;
    shape[1] = turned ? p->rows : p->cols;
}

static void transpose(const float *from, int32_t rows, int32_t cols, float *to)
{
    for (int32_t r = 0; r < rows; r++)
        for (int32_t c = 0; c < cols; c++)
            to[(size_t)c * (size_t)rows + (size_t)r] =
                from[(size_t)r * (size_t)cols + (size_t)c];
}

void param_from_file(const struct param *p, const float *from, float *to)
{
    if (p->transposed)
        transpose(from, p->cols, p->rows, to);
    else
        memcpy(to, from, (size_t)param_size(p) * sizeof *to);
}

void param_to_file(const struct param *p, const float *from, float *to)
{
    if (p->transposed)
        transpose(from, p->rows, p->cols, to);
    else
        memcpy(to, from, (size_t)param_size(p) * sizeof *to);
}

static int read_base(const struct param *p, float *dst, struct err *err)
{
    if (!p->transposed || p->base->q4) /* bitsandbytes turns before it quantises */
        return st_read_f32(p->base, dst, err);
    float *values = xmalloc((size_t)param_size(p) * sizeof *values);
    int rc = st_read_f32(p->base, values, err);
    if (!rc)
        param_from_file(p, values, dst);
    free(values);
    return rc;
}

static void fill_random(const struct param *p, uint64_t seed, float *dst)
{
    const struct philox_key key = rng_key(seed, "init");
    const uint64_t stream = hash64(p->name, strlen(p->name));
    const int64_t n = param_size(p);
    for (int64_t i = 0; i < n; i++)
        dst[i] = p->init == INIT_NORMAL
                     ? (float)(rng_normal(&key, stream, (uint64_t)i) * p->init_scale)
                     : (float)((2 * rng_uniform(&key, stream, (uint64_t)i) - 1) *
                               p->init_scale);
}

int param_start_values(const struct param *p, uint64_t seed, float *dst, struct err *err)
{
    const int64_t n = param_size(p);
    if (p->given) {
        memcpy(dst, p->given, (size_t)n * sizeof *dst);
        return 0;
    }
    if (p->base)
        return read_base(p, dst, err);
    if (p->absent)
        return err_set(err, ERR_NOINPUT,
                       "'%s': the base is known by its configuration alone, there are no "
                       "values of its weights",
                       p->name);
    if (p->init == INIT_NORMAL || p->init == INIT_UNIFORM) {
        fill_random(p, seed, dst);
        return 0;
    }
    for (int64_t i = 0; i < n; i++)
        dst[i] = p->init == INIT_CONSTANT ? p->init_scale : p->init == INIT_ONES;
    return 0;
}
