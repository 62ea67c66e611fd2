/* kernels/ref/ref.c - the table, host memory, prepared weights. */
#include "kernels/ref/ref.h"
#include "kernels/nf4.h"
#include "lib/mem.h"
#include <stdlib.h>
#include <string.h>

static size_t weight_bytes(const struct weight_spec *spec)
{
    size_t n = (size_t)spec->rows * spec->cols;
    if (spec->quant == QUANT_NONE)
        return n * sizeof(float);
    return q4_layout(spec).bytes;
}

static int weight_prepare(void *device, const struct weight_spec *spec,
                          const struct weight_rows *rows, void *dst, struct err *err)
{
    (void)device;
    if (spec->quant == QUANT_NONE)
        return rows->read(rows->ctx, 0, spec->rows, dst, err);
    float *src = xmalloc((size_t)spec->rows * spec->cols * sizeof *src);
    int rc = rows->read(rows->ctx, 0, spec->rows, src, err);
    if (!rc)
        rc = q4_check(src, spec, err);
    if (!rc)
        q4_quantize(src, spec, dst);
    free(src);
    return rc;
}

static void weight_unpack(void *device, const struct weight_spec *spec, const void *src,
                          float *dst)
{
    (void)device;
    size_t n = (size_t)spec->rows * spec->cols;
    if (spec->quant == QUANT_NONE)
        memcpy(dst, src, n * sizeof(float));
    else
        q4_dequantize(src, spec, 0, n, dst);
}

/* Only a quantised weight needs room: for itself, unpacked. */
static size_t workspace_bytes(void *device, enum op op, const struct op_args *shapes)
{
    (void)device;
    const struct tensor *w = &shapes->in[1];
    if ((op != OP_linear && op != OP_linear_dx) || w->dtype != DT_PREPARED ||
        w->spec->quant == QUANT_NONE)
        return 0;
    return (size_t)w->rows * w->cols * sizeof(float);
}

static void *host_alloc(void *device, size_t bytes)
{
    (void)device;
    return mem_try_aligned(bytes);
}

static void host_release(void *device, void *p)
{
    (void)device;
    mem_free_aligned(p);
}

static void host_copy(void *device, void *dst, const void *src, size_t bytes)
{
    (void)device;
    memcpy(dst, src, bytes);
}

static void host_sync(void *device)
{
    (void)device;
}

static const struct backend backend = {
    .abi = BACKEND_ABI,
    .name = "ref",
    .variant = "",
    .activations = 1u << DT_F32 | 1u << DT_BF16,
    .ops =
        {
#define OP(name, n_in, n_out, in_place) [OP_##name] = ref_##name,
#include "kernels/ops.def"
#undef OP
        },
    .workspace_bytes = workspace_bytes,
    .alloc = host_alloc,
    .release = host_release,
    .upload = host_copy,
    .download = host_copy,
    .sync = host_sync,
    .weight_bytes = weight_bytes,
    .weight_prepare = weight_prepare,
    .weight_unpack = weight_unpack,
};

const struct backend *ref_backend(void)
{
    return &backend;
}

void ref_clear(const struct op_args *args, int output)
{
    const struct tensor *out = &args->out[output];
    if (!out->data || ref_accumulates(args, output))
        return;
    for (int64_t r = 0; r < out->rows; r++)
        memset(ref_row(out, r), 0, out->cols * sizeof(float));
}

void ref_add_row(float *dst, const float *src, int n)
{
    for (int c = 0; c < n; c++)
        dst[c] += src[c];
}

double ref_dot(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int c = 0; c < n; c++)
        sum += (double)a[c] * b[c];
    return sum;
}
