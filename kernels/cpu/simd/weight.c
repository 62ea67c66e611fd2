/* kernels/cpu/simd/weight.c - frozen weights, prepared once.
 *
 * Panels of W^T for y = x W^T: in fp32, in the 16 bits that its values are given in, or in
 * words of two bf16; the plain matrix is not kept. For dx = dy W the product turns them into
 * panels of W, a chunk of W at a time; where rows are too few to pay for that (dx_panels)
 * those panels are kept as well. 4 bits: the bytes of q4_layout, read by both products. */
#include "kernels/cpu/simd/simd.h"
#include "kernels/half.h"
#include "kernels/nf4.h"
#include <stdlib.h>

static size_t panel_words(const struct weight_spec *spec, int n, int k)
{
    return ceil_div(n, NR) * panel_floats(spec, k);
}

const float *V(weight_forward_panels)(const struct weight_spec *spec, const void *data)
{
    (void)spec;
    return data;
}

const float *V(weight_backward_panels)(const struct weight_spec *spec, const void *data)
{
    return (const float *)data + panel_words(spec, spec->rows, spec->cols);
}

size_t V(weight_bytes)(const struct weight_spec *spec)
{
    if (spec->quant != QUANT_NONE)
        return q4_layout(spec).bytes;
    size_t words = panel_words(spec, spec->rows, spec->cols);
    if (spec->dx_panels)
        words += panel_words(spec, spec->cols, spec->rows);
    return words * sizeof(float);
}

/* Elements that are read at a time: what the threads' caches hold. */
enum { PIECE = 1 << 20 };

/* Rows of a piece: whole panels, pairs of bf16 and 4-bit blocks. */
static int32_t piece_rows(const struct weight_spec *spec)
{
    int32_t whole = NR;
    if (spec->quant != QUANT_NONE)
        while (whole < spec->block && (int64_t)whole * spec->cols % spec->block)
            whole *= 2;
    const int32_t most = PIECE / spec->cols / whole * whole;
    return min_int(most > whole ? most : whole, spec->rows);
}

/* Rows [row, row + count) of W into panels of W^T, whose columns they are, or of W. The
 * second half of a last panel may stay as it is: nobody reads it. */
static void pack_rows(const struct weight_spec *spec, const float *src, int32_t row,
                      int32_t count, int by_k, float *panels)
{
    const int n = by_k ? spec->cols : count;
    const size_t size = panel_floats(spec, by_k ? spec->rows : spec->cols);
    panels += by_k ? panel_floats(spec, row) : (size_t)(row / NR) * size;
    for (int col = 0; col < n; col += NR, panels += size)
        V(pack_panel)
    (&(struct panel){
        .dst = panels,
        .src = src + (by_k ? col : (int64_t)col * spec->cols),
        .ld = spec->cols,
        .by_k = by_k,
        .cols = min_int(NR, n - col),
        .k = by_k ? count : spec->cols,
        .bf16 = spec->compute == DT_BF16,
        .stored = spec->stored,
    });
}

static int pack_panels(const struct weight_spec *spec, const struct weight_rows *rows,
                       int32_t step, float *piece, float *dst, struct err *err)
{
    float *turned = dst + panel_words(spec, spec->rows, spec->cols);
    for (int32_t at = 0; at < spec->rows; at += step) {
        const int32_t count = min_int(step, spec->rows - at);
        const int rc = rows->read(rows->ctx, at, count, piece, err);
        if (rc)
            return rc;
        pack_rows(spec, piece, at, count, 0, dst);
        if (spec->dx_panels)
            pack_rows(spec, piece, at, count, 1, turned);
    }
    return 0;
}

int V(weight_prepare)(void *device, const struct weight_spec *spec,
                      const struct weight_rows *rows, void *dst, struct err *err)
{
    (void)device;
    if (spec->compute != DT_F32 && spec->compute != DT_BF16)
        return err_set(err, ERR_CONFIG,
                       "the cpu backend computes in F32 or BF16, not in %s",
                       dtype_word(spec->compute));
    const int32_t step = piece_rows(spec);
    float *piece = malloc((size_t)step * spec->cols * sizeof(*piece));
    if (!piece)
        return err_set(err, ERR_NOMEM, "no memory to read a weight of %d x %d",
                       spec->rows, spec->cols);
    const int rc = spec->quant != QUANT_NONE
                       ? V(q4_pack)(spec, rows, step, piece, dst, err)
                       : pack_panels(spec, rows, step, piece, dst, err);
    free(piece);
    return rc;
}

static float element(const struct weight_spec *spec, const float *panel, int column,
                     int i)
{
    if (spec->stored != DT_F32) {
        const uint16_t x =
            ((const uint16_t *)(const void *)panel)[(size_t)i * NR + column];
        return spec->stored == DT_F16 ? half_to_float(x) : bf16_to_float(x);
    }
    if (spec->compute != DT_BF16)
        return panel[(size_t)i * NR + column];
    uint32_t word;
    float x;
    memcpy(&word, panel + (size_t)(i / 2) * NR + column, sizeof(word));
    word = i % 2 ? word & 0xffff0000u : word << 16;
    memcpy(&x, &word, sizeof(x));
    return x;
}

void V(weight_row)(const struct weight_spec *spec, const void *data, int row, float *dst)
{
    const float *panel =
        (const float *)data + (size_t)(row / NR) * panel_floats(spec, spec->cols);
    for (int i = 0; i < spec->cols; i++)
        dst[i] = element(spec, panel, row % NR, i);
}

void V(weight_unpack)(void *device, const struct weight_spec *spec, const void *src,
                      float *dst)
{
    (void)device;
    const int out = spec->rows, in = spec->cols;
    if (spec->quant != QUANT_NONE) {
        const struct q4 q = V(q4_open)(spec, src);
        V(q4_range)(&q, 0, (size_t)out * in, dst);
        return;
    }
    for (int o = 0; o < out; o++)
        V(weight_row)(spec, src, o, dst + (size_t)o * in);
}
