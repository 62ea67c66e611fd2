/* runner/hub/safetensors_read.c - a tensor's values as fp32, of whatever they are. */
#include "kernels/half.h"
#include "kernels/nf4.h"
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "runner/hub/safetensors.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Rows of q and k as llama.cpp has them, neighbouring pairs turned together, to halves of
 * a head: row s d/2 + i of a head of d rows stands at 2 i + s. */
static int64_t row_in_file(const struct st_tensor *t, int64_t row)
{
    const int64_t d = t->heads ? t->shape[0] / t->heads : 0;
    return d ? row / d * d + row % d % (d / 2) * 2 + row % d / (d / 2) : row;
}

static int64_t rows_of(const struct st_tensor *t)
{
    return t->ndim > 1 || t->heads ? t->shape[0] : 1;
}

static void read_block_rows(const struct st_tensor *t, int64_t begin, int64_t end,
                            float *dst)
{
    const struct block_type *type = t->block;
    const int64_t blocks = t->count / rows_of(t) / type->elements;
    for (int64_t r = begin; r < end; r++) {
        const unsigned char *p = t->data;
        p += row_in_file(t, r) * blocks * type->bytes;
        for (int64_t b = 0; b < blocks; b++, p += type->bytes, dst += type->elements)
            type->unpack(p, dst);
    }
}

static void read_blocks(const struct st_tensor *t, float *dst)
{
    read_block_rows(t, 0, rows_of(t), dst);
}

static void read_turned(const struct st_tensor *t, float *dst)
{
    const int64_t rows = t->shape[0], cols = t->shape[1];
    float *values = xmalloc((size_t)t->count * sizeof *values);
    struct st_tensor there = *t;
    there.shape[0] = cols;
    there.shape[1] = rows;
    read_blocks(&there, values);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            dst[r * cols + c] = values[c * rows + r];
    free(values);
}

void st_q4_bytes(const struct st_q4 *q4, void *dst)
{
    const struct q4_layout l = q4_layout(&q4->spec);
    const bool twice = q4->spec.double_quant;
    char *to = dst;
    memset(dst, 0, l.bytes);
    memcpy(to + l.codes, q4->codes, (l.n + 1) / 2);
    memcpy(to + l.absmax, q4->absmax, l.blocks * (twice ? 1 : sizeof(float)));
    if (!twice)
        return;
    memcpy(to + l.absmax2, q4->absmax2, l.groups * sizeof(float));
    memcpy(to + l.offset, &q4->offset, sizeof q4->offset);
}

static void read_q4(const struct st_tensor *t, float *dst)
{
    void *q = xmalloc(q4_layout(&t->q4->spec).bytes);
    st_q4_bytes(t->q4, q);
    q4_back(q, &t->q4->spec, dst);
    free(q);
}

/* Of 64 thousand numbers at a time, by all threads. */
enum { CHUNK = 1 << 16 };

struct reading {
    const struct st_tensor *t;
    float *dst;
};

static void read_f64(const unsigned char *p, size_t n, float *dst)
{
    for (size_t i = 0; i < n; i++) {
        double d;
        memcpy(&d, p + 8 * i, sizeof d);
        dst[i] = (float)d;
    }
}

static void read_f16(const unsigned char *p, size_t n, float *dst)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof h);
        dst[i] = half_to_float(h);
    }
}

static void read_bf16(const unsigned char *p, size_t n, float *dst)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof h);
        dst[i] = bf16_to_float(h);
    }
}

static void read_piece(void *ctx, size_t begin, size_t end, int thread)
{
    const struct reading *r = ctx;
    const unsigned char *p = r->t->data;
    (void)thread;
    p += begin * dtype_bytes(r->t->dtype);
    if (r->t->dtype == DT_F32)
        memcpy(r->dst + begin, p, (end - begin) * sizeof *r->dst);
    else
        (r->t->dtype == DT_F64   ? read_f64
         : r->t->dtype == DT_F16 ? read_f16
                                 : read_bf16)(p, end - begin, r->dst + begin);
}

static int check_numbers(const struct st_tensor *t, struct err *err)
{
    if (t->block || t->dtype == DT_F32 || t->dtype == DT_F64 || t->dtype == DT_F16 ||
        t->dtype == DT_BF16)
        return 0;
    return err_set(err, ERR_PARSE, "tensor '%s': numbers expected, not %s", t->name,
                   t->word);
}

/* --- numbers of 16 bits where the file has others --- */

struct rounding {
    float *values;
    enum dtype to;
    atomic_bool too_large; /* some are, and stand as they were */
};

static float nearest(float x, enum dtype to)
{
    return to == DT_F16 ? half_to_float(half_of_float(x))
                        : bf16_to_float(bf16_of_float(x));
}

static bool is_too_large(float x, enum dtype to)
{
    return isfinite(x) && !isfinite(nearest(x, to));
}

static void round_piece(void *ctx, size_t begin, size_t end, int thread)
{
    struct rounding *r = ctx;
    bool too_large = false;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const float x = nearest(r->values[i], r->to);
        const bool over = !isfinite(x) && isfinite(r->values[i]);
        too_large |= over;
        r->values[i] = over ? r->values[i] : x;
    }
    if (too_large)
        atomic_store(&r->too_large, true);
}

static int round_values(const struct st_tensor *t, float *values, int64_t n,
                        struct err *err)
{
    struct rounding r = {.values = values, .to = t->rounded};
    if (t->rounded == DT_F32 || t->rounded == t->dtype)
        return 0;
    pool_run(round_piece, &r, (size_t)n, CHUNK);
    if (!atomic_load(&r.too_large))
        return 0;
    while (!is_too_large(*values, t->rounded))
        values++;
    return err_set(err, ERR_CONFIG,
                   "base_dtype: tensor '%s' holds %g, more than %s can; take another or "
                   "leave the key out",
                   t->name, (double)*values, dtype_word(t->rounded));
}

static void take_offset(const struct st_tensor *t, float *dst, int64_t n)
{
    for (int64_t i = 0; t->offset != 0 && i < n; i++)
        dst[i] -= t->offset;
}

/* Elements [begin, end) of numbers that stand one after the other. */
static void read_range(const struct st_tensor *t, int64_t begin, int64_t end, float *dst)
{
    struct st_tensor piece = *t;
    piece.data = (const char *)t->data + (size_t)begin * dtype_bytes(t->dtype);
    pool_run(read_piece, &(struct reading){&piece, dst}, (size_t)(end - begin), CHUNK);
}

int st_read_f32(const struct st_tensor *t, float *dst, struct err *err)
{
    if (t->q4 || t->block) {
        (t->q4 ? read_q4 : t->turned ? read_turned : read_blocks)(t, dst);
        take_offset(t, dst, t->count);
    } else {
        const int rc = check_numbers(t, err);
        if (rc)
            return rc;
        read_range(t, 0, t->count, dst);
    }
    return round_values(t, dst, t->count, err);
}

bool st_has_rows(const struct st_tensor *t)
{
    return !t->q4 && !t->turned;
}

int st_read_rows(const struct st *s, const struct st_tensor *t, int64_t first,
                 int64_t count, float *dst, struct err *err)
{
    if (t->ndim < 2)
        return st_read_f32(t, dst, err);
    const int64_t width = t->count / t->shape[0];
    const size_t row_bytes = t->bytes / (size_t)t->shape[0];
    const int rc = check_numbers(t, err);
    if (rc)
        return rc;
    if (t->block) {
        read_block_rows(t, first, first + count, dst);
        take_offset(t, dst, count * width);
    } else {
        read_range(t, first * width, (first + count) * width, dst);
    }
    st_drop_pages(s, (const char *)t->data + row_bytes * (size_t)first,
                  row_bytes * (size_t)count);
    return round_values(t, dst, count * width, err);
}
