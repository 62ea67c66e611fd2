/* runner/hub/gguf/write.c - see write.h. */
#include "runner/hub/gguf/write.h"
#include "lib/mem.h"
#include "runner/hub/gguf_family.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 32
#define F16_MAX   65504.0f

struct gguf_writer {
    struct buf pairs;
    uint64_t pair_count;
    struct gguf_new_tensor *tensors;
    size_t count, cap;
};

struct gguf_writer *gguf_writer_new(void)
{
    struct gguf_writer *w = xcalloc(1, sizeof *w);
    buf_init(&w->pairs, (size_t)1 << 30);
    return w;
}

void gguf_writer_free(struct gguf_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->count; i++)
        free(w->tensors[i].name);
    free(w->tensors);
    buf_release(&w->pairs);
    free(w);
}

/* ---- keys -------------------------------------------------------------------------- */

static void put_number(struct buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buf_char(b, (char)(v >> 8 * i & 255));
}

static void put_text(struct buf *b, const char *s, size_t n)
{
    put_number(b, n, 8);
    buf_add(b, s, n);
}

static struct buf *put_key(struct gguf_writer *w, const char *key, enum gguf_type type)
{
    put_text(&w->pairs, key, strlen(key));
    put_number(&w->pairs, type, 4);
    w->pair_count++;
    return &w->pairs;
}

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
    put_number(put_key(w, key, GGUF_U32), v, 4);
}

void gguf_put_f32(struct gguf_writer *w, const char *key, float v)
{
    buf_add(put_key(w, key, GGUF_F32), &v, sizeof v);
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool v)
{
    buf_char(put_key(w, key, GGUF_BOOL), (char)v);
}

void gguf_put_string(struct gguf_writer *w, const char *key, const char *s, size_t n)
{
    put_text(put_key(w, key, GGUF_STRING), s, n);
}

void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type element,
                    const void *values, size_t count)
{
    struct buf *b = put_key(w, key, GGUF_ARRAY);
    put_number(b, element, 4);
    put_number(b, count, 8);
    buf_add(b, values, count * 4);
}

void gguf_put_strings(struct gguf_writer *w, const char *key, size_t count)
{
    struct buf *b = put_key(w, key, GGUF_ARRAY);
    put_number(b, GGUF_STRING, 4);
    put_number(b, count, 8);
}

void gguf_put_next_string(struct gguf_writer *w, const char *s, size_t n)
{
    put_text(&w->pairs, s, n);
}

void gguf_put_pair(struct gguf_writer *w, const struct gguf_pair *p)
{
    struct buf *b = put_key(w, p->key, p->type);
    if (p->type == GGUF_ARRAY)
        put_number(b, p->element, 4);
    if (p->type == GGUF_ARRAY || p->type == GGUF_STRING)
        put_number(b, p->count, 8);
    buf_add(b, p->data, gguf_pair_bytes(p));
}

void gguf_put_file_type(struct gguf_writer *w, const struct block_type *type)
{
    static const struct {
        uint32_t block, file;
    } numbers[] = {{0, 0}, {1, 1}, {8, 7}, {30, 32}}; /* LlamaFileType of gguf-py */
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (numbers[i].block == type->number)
            gguf_put_u32(w, "general.file_type", numbers[i].file);
    gguf_put_u32(w, "general.quantization_version", 2);
}

/* ---- tensors ----------------------------------------------------------------------- */

void gguf_writer_add(struct gguf_writer *w, const struct gguf_new_tensor *t)
{
    w->tensors = xgrow(w->tensors, &w->cap, w->count + 1, sizeof *w->tensors);
    w->tensors[w->count] = *t;
    w->tensors[w->count++].name = xstrdup(t->name);
}

static int64_t count_of(const struct gguf_new_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++)
        n *= t->shape[i];
    return n;
}

static int64_t bytes_of(const struct gguf_new_tensor *t)
{
    return count_of(t) / t->type->elements * t->type->bytes;
}

static int64_t padded(int64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void put_keys(const struct gguf_writer *w, size_t tensors, struct buf *b)
{
    buf_add(b, "GGUF", 4);
    put_number(b, 3, 4);
    put_number(b, tensors, 8);
    put_number(b, w->pair_count, 8);
    buf_add(b, w->pairs.data, w->pairs.len);
}

void gguf_writer_keys(const struct gguf_writer *w, struct buf *out)
{
    put_keys(w, 0, out);
}

static void put_header(const struct gguf_writer *w, struct buf *b)
{
    int64_t at = 0;
    put_keys(w, w->count, b);
    for (size_t i = 0; i < w->count; i++) {
        const struct gguf_new_tensor *t = &w->tensors[i];
        put_text(b, t->name, strlen(t->name));
        put_number(b, (uint64_t)t->ndim, 4);
        for (int d = t->ndim - 1; d >= 0; d--)
            put_number(b, (uint64_t)t->shape[d], 8);
        put_number(b, t->type->number, 4);
        put_number(b, (uint64_t)at, 8);
        at += padded(bytes_of(t));
    }
    while (b->len % ALIGNMENT)
        buf_char(b, 0);
}

static int check_values(const struct gguf_new_tensor *t, const float *values,
                        struct err *err)
{
    /* Q8_0 keeps a block's largest / 127 as a half */
    const float most = t->type->elements > 1                         ? 127 * F16_MAX
                       : t->type->bytes == 2 && t->type->number == 1 ? F16_MAX
                                                                     : INFINITY;
    for (int64_t i = 0; i < count_of(t); i++) {
        if (!isfinite(values[i]))
            return err_set(err, ERR_NAN, "tensor '%s' holds %g (value %" PRId64 ")",
                           t->name, (double)values[i], i + 1);
        if (fabsf(values[i]) > most)
            return err_set(err, ERR_CONFIG,
                           "tensor '%s' holds %g, which %s cannot (try bf16 or f32)",
                           t->name, (double)values[i], t->type->name);
    }
    return 0;
}

/* Row `row` of the file. */
static const float *row_of(const struct gguf_new_tensor *t, const float *values,
                           int64_t row, int64_t width)
{
    const int64_t size = t->heads ? t->shape[0] / t->heads : 0;
    if (size)
        row = row / size * size + gguf_row_from((int)(row % size), (int)size);
    return values + row * width;
}

static int write_tensor(struct fs_writer *out, const struct gguf_new_tensor *t,
                        const float *values, struct err *err)
{
    const int64_t rows = t->ndim > 1 || t->heads ? t->shape[0] : 1,
                  width = count_of(t) / rows, blocks = width / t->type->elements;
    const size_t bytes = (size_t)(blocks * t->type->bytes);
    const char zeros[ALIGNMENT] = {0};
    uint8_t *packed = xmalloc(bytes);
    int rc = check_values(t, values, err);
    for (int64_t r = 0; r < rows && !rc; r++) {
        const float *x = row_of(t, values, r, width);
        for (int64_t b = 0; b < blocks; b++)
            t->type->pack(x + b * t->type->elements, packed + b * t->type->bytes);
        rc = fs_writer_add(out, packed, bytes, err);
    }
    free(packed);
    return rc ? rc
              : fs_writer_add(out, zeros, (size_t)(padded(bytes_of(t)) - bytes_of(t)),
                              err);
}

static int write_tensors(const struct gguf_writer *w, struct fs_writer *out,
                         gguf_values_fn *values, void *ctx, int64_t *bytes,
                         struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < w->count && !rc; i++) {
        const struct gguf_new_tensor *t = &w->tensors[i];
        float *x = mem_try_aligned((size_t)count_of(t) * sizeof *x);
        if (!x)
            rc =
                err_set(err, ERR_NOMEM, "tensor '%s': no memory for its values", t->name);
        if (!rc)
            rc = values(ctx, t, x, err);
        if (!rc)
            rc = write_tensor(out, t, x, err);
        mem_free_aligned(x);
        *bytes += bytes_of(t);
    }
    return rc;
}

int gguf_writer_save(struct gguf_writer *w, const char *path, gguf_values_fn *values,
                     void *ctx, int64_t *bytes, struct err *err)
{
    struct buf header;
    struct fs_writer *out = NULL;
    buf_init(&header, (size_t)2 << 30);
    put_header(w, &header);
    *bytes = 0;
    int rc = buf_overflowed(&header) || buf_overflowed(&w->pairs)
                 ? err_set(err, ERR_CONFIG, "more than 1 GiB of metadata")
                 : fs_writer_begin(path, &out, err);
    if (!rc)
        rc = fs_writer_add(out, header.data, header.len, err);
    *bytes = (int64_t)header.len;
    buf_release(&header);
    if (!rc)
        rc = write_tensors(w, out, values, ctx, bytes, err);
    if (rc) {
        fs_writer_abandon(out);
        return rc;
    }
    return fs_writer_finish(out, err);
}
