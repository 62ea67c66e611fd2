/* kernels/cpu/simd/weight.c - frozen weights, prepared once.
 *
 * Panels of W^T for y = x W^T, in fp32 or in words of two bf16; the plain matrix is not
 * kept. For dx = dy W the product turns them into panels of W, a chunk of W at a time;
 * where rows are too few to pay for that (dx_panels) those panels are kept as well. 4 bits: the bytes of
 * q4_layout, read by both products. */
#include "kernels/cpu/simd/simd.h"
#include "kernels/nf4.h"

static size_t depth(const struct weight_spec *spec, int k)
{
    return spec->compute == DT_BF16 ? ceil_div(k, 2) : (size_t)k;
}

static size_t panel_words(const struct weight_spec *spec, int n, int k)
{
    return ceil_div(n, NR) * depth(spec, k) * NR;
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

/* Panels of n columns from a matrix whose rows are the columns, or run along them. The
 * second half of a last panel may stay as it is: nobody reads it. */
static void prepare(const struct weight_spec *spec, const float *src, int by_k,
                    float *panels)
{
    const int n = by_k ? spec->cols : spec->rows, k = by_k ? spec->rows : spec->cols;
    for (int col = 0; col < n; col += NR, panels += depth(spec, k) * NR)
        V(pack_panel)
    (&(struct panel){
        .dst = panels,
        .src = src + (by_k ? col : (int64_t)col * spec->cols),
        .ld = spec->cols,
        .by_k = by_k,
        .cols = min_int(NR, n - col),
        .k = k,
        .bf16 = spec->compute == DT_BF16,
    });
}

int V(weight_prepare)(void *device, const struct weight_spec *spec, const float *src,
                      void *dst, struct err *err)
{
    (void)device;
    if (spec->compute != DT_F32 && spec->compute != DT_BF16)
        return err_set(err, ERR_CONFIG,
                       "the cpu backend computes in F32 or BF16, not in %s",
                       dtype_word(spec->compute));
    if (spec->quant != QUANT_NONE)
        return V(q4_pack)(spec, src, dst, err);
    prepare(spec, src, 0, dst);
    if (spec->dx_panels)
        prepare(spec, src, 1, (float *)dst + panel_words(spec, spec->rows, spec->cols));
    return 0;
}

static float element(const struct weight_spec *spec, const float *panel, int i)
{
    if (spec->compute != DT_BF16)
        return panel[(size_t)i * NR];
    uint32_t word;
    float x;
    memcpy(&word, panel + (size_t)(i / 2) * NR, sizeof(word));
    word = i % 2 ? word & 0xffff0000u : word << 16;
    memcpy(&x, &word, sizeof(x));
    return x;
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
    const float *panels = src;
    for (int o = 0; o < out; o++)
        for (int i = 0; i < in; i++)
            dst[(size_t)o * in + i] = element(
                spec, panels + (size_t)(o / NR) * depth(spec, in) * NR + o % NR, i);
}
