/* kernels/cuda/weight.cu - frozen weights: to the device, back, and from 4 bits to fp32.
 *
 * 4-bit weights are quantised on the host, byte for byte as everywhere else, and keep
 * the layout of q4_layout on the device. */
#include <stdlib.h>
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/sizes.h"

enum { GROUP = 256 };
static const size_t UNPACK = 1 << 20; /* elements */

/* Where the parts are, and both tables, as an argument of the kernel. */
struct q4 {
    const uint8_t *codes, *absmax_codes;
    const float *absmax, *absmax2, *offset;
    int log2_block;
    enum dtype rounded;
    float table[16], map[256];
};

static struct q4 q4_open(const struct weight_spec *spec, const void *data)
{
    const char *bytes = (const char *)data;
    const struct q4_layout l = cuda_host->q4_layout(spec);
    struct q4 q = {};
    q.codes = (const uint8_t *)bytes + l.codes;
    if (spec->double_quant)
        q.absmax_codes = (const uint8_t *)bytes + l.absmax;
    else
        q.absmax = (const float *)(bytes + l.absmax);
    q.absmax2 = (const float *)(bytes + l.absmax2);
    q.offset = (const float *)(bytes + l.offset);
    q.rounded = spec->rounded;
    while (1 << q.log2_block < spec->block)
        q.log2_block++;
    const float *table =
        spec->quant == QUANT_FP4 ? cuda_host->fp4_table : cuda_host->nf4_table;
    for (int i = 0; i < 16; i++)
        q.table[i] = table[i];
    for (int i = 0; i < 256; i++)
        q.map[i] = cuda_host->dynamic_map[i];
    return q;
}

/* Rounded after the product, as on the host: no fused multiply-add. */
__device__ static float absmax_of(const struct q4 &q, size_t block)
{
    if (q.absmax)
        return q.absmax[block];
    const float scaled =
        __fmul_rn(q.map[q.absmax_codes[block]], q.absmax2[block / GROUP]);
    return __fadd_rn(scaled, *q.offset);
}

/* To the nearest bf16 or half, ties to even, as q4_rounded. */
__device__ static float rounded(enum dtype t, float x)
{
    const uint32_t bits = __float_as_uint(x), size = bits & 0x7fffffff;
    if (t == DT_BF16)
        return __uint_as_float((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
    if (t != DT_F16)
        return x;
    float y = __uint_as_float((size + 0xfff + (size >> 13 & 1)) & ~0x1fffu);
    if (size < 0x38800000) /* below 2^-14, in steps of 2^-24: the sum rounds */
        y = __fadd_rn(__fadd_rn(__uint_as_float(size), 0.5f), -0.5f);
    if (size >= 0x477ff000)
        y = __uint_as_float(0x7f800000);
    return copysignf(y, x);
}

__global__ static void dequantize(const __grid_constant__ struct q4 q, size_t begin,
                                  size_t count, float *dst)
{
    const size_t first = (size_t)blockIdx.x * (THREADS * EACH) + threadIdx.x;
    for (size_t k = first; k < first + THREADS * EACH && k < count; k += THREADS) {
        const size_t i = begin + k;
        const int byte = q.codes[i / 2], code = i % 2 ? byte & 15 : byte >> 4;
        dst[k] =
            rounded(q.rounded, __fmul_rn(q.table[code], absmax_of(q, i >> q.log2_block)));
    }
}

void cuda_dequantize(const struct weight_spec *spec, const void *src, size_t begin,
                     size_t count, float *dst)
{
    LAUNCH(dequantize, blocks_of((int64_t)count, THREADS * EACH), THREADS,
           q4_open(spec, src), begin, count, dst);
}

size_t cuda_weight_bytes(const struct weight_spec *spec)
{
    return cuda_sizes_weight(spec, cuda_host->q4_layout);
}

static int no_memory(const struct weight_spec *spec, struct err *err)
{
    return cuda_host->err_set(err, ERR_NOMEM, "no memory to read a weight of %d x %d",
                              spec->rows, spec->cols);
}

static int quantize(const struct weight_spec *spec, const float *src, void *dst,
                    struct err *err)
{
    const size_t bytes = cuda_weight_bytes(spec);
    const int rc = cuda_host->q4_check(src, spec, err);
    if (rc)
        return rc;
    void *q = malloc(bytes);
    if (!q)
        return no_memory(spec, err);
    cuda_host->q4_quantize(src, spec, q);
    cuda_must(cudaMemcpy(dst, q, bytes, cudaMemcpyHostToDevice), "weight to the device");
    free(q);
    return 0;
}

/* Rows that are read at a time: of a weight to quantise all, of others a million
 * elements. */
static int32_t piece_rows(const struct weight_spec *spec)
{
    const int32_t few = (int32_t)(UNPACK / spec->cols) + 1;
    return spec->quant != QUANT_NONE || few > spec->rows ? spec->rows : few;
}

int cuda_weight_prepare(const struct weight_spec *spec, const struct weight_rows *rows,
                        void *dst, struct err *err)
{
    if (spec->compute != DT_F32)
        return cuda_host->err_set(err, ERR_CONFIG,
                                  "the cuda backend computes in F32 only");
    const int32_t step = piece_rows(spec);
    const size_t row = (size_t)spec->cols * sizeof(float);
    float *piece = (float *)malloc(step * row);
    int rc = piece ? 0 : no_memory(spec, err);
    for (int32_t at = 0; at < spec->rows && !rc; at += step) {
        const int32_t count = spec->rows - at < step ? spec->rows - at : step;
        rc = rows->read(rows->ctx, at, count, piece, err);
        if (!rc && spec->quant != QUANT_NONE)
            rc = quantize(spec, piece, dst, err);
        else if (!rc)
            cuda_must(cudaMemcpy((char *)dst + at * row, piece, count * row,
                                 cudaMemcpyHostToDevice),
                      "weight to the device");
    }
    free(piece);
    return rc;
}

/* By pieces, so that little is needed beside the weight. */
void cuda_weight_unpack(const struct weight_spec *spec, const void *src, float *dst)
{
    const size_t n = (size_t)spec->rows * spec->cols;
    float *piece = (float *)src;
    if (spec->quant != QUANT_NONE)
        cuda_must(cudaMalloc((void **)&piece, UNPACK * sizeof(float)), "unpack a weight");
    for (size_t i = 0; i < n; i += UNPACK) {
        const size_t count = n - i < UNPACK ? n - i : UNPACK;
        if (spec->quant != QUANT_NONE)
            cuda_dequantize(spec, src, i, count, piece);
        else
            piece = (float *)src + i;
        cuda_must(
            cudaMemcpy(dst + i, piece, count * sizeof(float), cudaMemcpyDeviceToHost),
            "weight from the device");
    }
    if (spec->quant != QUANT_NONE)
        cuda_must(cudaFree(piece), "unpack a weight");
}
