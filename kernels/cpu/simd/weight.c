/* kernels/cpu/simd/weight.c - frozen weights, prepared once.
 *
 * fp32: panels of W^T for y = x W^T and, where a gradient has to pass, panels of W for
 * dx = dy W; the plain matrix is not kept. 4 bits: the bytes of q4_layout, read by both
 * products. */
#include "kernels/cpu/simd/simd.h"
#include "kernels/nf4.h"

static size_t panel_floats(int n, int k)
{
    return ceil_div(n, NR) * (size_t)k * NR;
}

const float *weight_backward_panels(const struct weight_spec *spec, const void *data)
{
    return (const float *)data + panel_floats(spec->rows, spec->cols);
}

size_t V(weight_bytes)(const struct weight_spec *spec)
{
    if (spec->quant != QUANT_NONE)
        return q4_layout((size_t)spec->rows * spec->cols, spec->block, spec->double_quant)
            .bytes;
    size_t floats = panel_floats(spec->rows, spec->cols);
    if (spec->need_dx)
        floats += panel_floats(spec->cols, spec->rows);
    return floats * sizeof(float);
}

int V(weight_prepare)(const struct weight_spec *spec, const float *src, void *dst,
                      struct err *err)
{
    const int out = spec->rows, in = spec->cols;
    if (spec->compute != DT_F32)
        return err_set(err, ERR_CONFIG, "the cpu backend computes in F32, not in %s",
                       dtype_word(spec->compute));
    if (spec->quant != QUANT_NONE) {
        int rc = q4_check(src, (size_t)out * in, spec->block, err);
        if (!rc)
            q4_quantize(src, (size_t)out * in, spec->quant, spec->block,
                        spec->double_quant, dst);
        return rc;
    }
    float *panels = dst;
    for (int col = 0; col < (int)round_up(out, NR); col += W)
        pack_transpose(panels + (size_t)(col / NR) * in * NR + col % NR, NR,
                       src + (int64_t)(col < out ? col : 0) * in, in,
                       col < out ? left(out, col) : 0, in);
    if (!spec->need_dx)
        return 0;
    panels += panel_floats(out, in);
    for (int col = 0; col < (int)round_up(in, NR); col += W)
        pack_copy(panels + (size_t)(col / NR) * out * NR + col % NR, NR,
                  src + (col < in ? col : 0), in, col < in ? left(in, col) : 0, out);
    return 0;
}

void V(weight_unpack)(const struct weight_spec *spec, const void *src, float *dst)
{
    const int out = spec->rows, in = spec->cols;
    if (spec->quant != QUANT_NONE) {
        const struct q4 q = q4_open(spec, src);
        q4_range(&q, 0, (size_t)out * in, dst);
        return;
    }
    const float *panels = src;
    for (int o = 0; o < out; o++)
        for (int i = 0; i < in; i++)
            dst[(size_t)o * in + i] = panels[((size_t)(o / NR) * in + i) * NR + o % NR];
}
