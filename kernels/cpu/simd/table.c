/* kernels/cpu/simd/table.c - the backend's table, and workspace by op. */
#include "kernels/cpu/simd/simd.h"
#include "lib/mem.h"

static size_t workspace_bytes(void *device, enum op op, const struct op_args *shapes)
{
    (void)device;
    static size_t (*const of_op[OP_COUNT])(const struct op_args *) = {
        [OP_embed] = V(embed_bytes),
        [OP_linear] = V(linear_bytes),
        [OP_linear_dx] = V(linear_dx_bytes),
        [OP_linear_dw] = V(linear_dw_bytes),
        [OP_attention] = V(attention_bytes),
        [OP_attention_bwd] = V(attention_bwd_bytes),
        [OP_cached_attention] = V(cached_attention_bytes),
        [OP_sumsq] = V(sumsq_bytes),
    };
    return of_op[op] ? of_op[op](shapes) : 0;
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

/* Ops return when they are done. */
static void host_sync(void *device)
{
    (void)device;
}

#define V_TEXT(x) #x
#define V_NAME(x) V_TEXT(x)

extern const struct backend V(table);
const struct backend V(table) = {
    .abi = BACKEND_ABI,
    .name = "cpu",
    .variant = V_NAME(CPU_VARIANT),
    .activations = 1u << DT_F32 | 1u << DT_BF16,
    .ops =
        {
#define OP(name, n_in, n_out, in_place) [OP_##name] = V(name),
#include "kernels/ops.def"
#undef OP
        },
    .workspace_bytes = workspace_bytes,
    .alloc = host_alloc,
    .release = host_release,
    .upload = host_copy,
    .download = host_copy,
    .sync = host_sync,
    .weight_bytes = V(weight_bytes),
    .weight_prepare = V(weight_prepare),
    .weight_unpack = V(weight_unpack),
    .peak_flops_per_s = V(peak_flops_per_s),
};
