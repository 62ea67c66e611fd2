/* kernels/cpu/simd/simd.h - what the files of one variant share.
 *
 * Every file here is compiled once per variant; V(name) is the name with the variant's
 * suffix. Products are built from three layers:
 *   pack.c  brings operands into the order in which a tile reads them,
 *   tile.c  multiplies MR x NR in registers,
 *   gemm.c  walks over tiles and divides the work between threads.
 * narrow.c has the shapes of low-rank adapters, where one side is at most 16; few.c those
 * of decoding, where there are up to 8 rows. */
#ifndef KERNELS_CPU_SIMD_SIMD_H
#define KERNELS_CPU_SIMD_SIMD_H

#include "kernels/backend.h"
#include "kernels/cpu/simd/vec.h"
#include "lib/os/pool.h"

#define V_JOIN(name, variant) cpu_##name##_##variant
#define V_EXPAND(name, v)     V_JOIN(name, v)
#define V(name)               V_EXPAND(name, CPU_VARIANT)

/* The register tile: MR rows of NR = 2 W columns; accumulators, two vectors of B and a
 * broadcast fill the register file (AVX-512 and NEON have 32 registers, the others 16).
 * Rows of A are packed STRIP_STEP apart. */
#if CPU_WIDTH == 16 || defined(CPU_NEON)
#define MR 14
#elif CPU_WIDTH == 8
#define MR 6
#else
#define MR 4
#endif
#define NR         (2 * W)
#define STRIP_STEP ((MR + W - 1) / W * W)

/* One op per line of ops.def. */
#define OP(name, n_in, n_out, in_place) void V(name)(const struct op_args *args);
#include "kernels/ops.def"
#undef OP

/* ---- peak.c ---- */
double V(peak_flops_per_s)(void *device);

/* ---- tile.c ---- */

/* C[m, n] = [C +] scale * sum over k of A[i, k] B[k, j] [+ bias[j]], n <= NR. Each
 * element is one chain of fused multiply-adds over k, whatever m is. */
struct tile {
    const float *a; /* see below */
    size_t a_step;
    const float *b; /* row k at b + k * b_step; whole vectors are read */
    size_t b_step;
    int k, n; /* bf16: k counts words */
    float *c;
    size_t ldc;
    float scale;
    const float *bias; /* or NULL */
    int add;
    const float
        *ahead; /* asked for meanwhile, `ahead_step` further with every k; or NULL */
    size_t ahead_step;
};
/* A[i, k] at a[k * a_step + i]. 1 <= m <= MR */
void V(tile)(int m, const struct tile *t);
/* A[i, k] at a[i * a_step + k] */
void V(tile_rows)(int m, const struct tile *t);
/* V(tile) with B rounded to bf16, and A so already. */
void V(tile_rounding)(int m, const struct tile *t);
/* V(tile_rows) with words of two bf16 instead of floats, in A and B: k and k + 1. */
void V(tile_bf16)(int m, const struct tile *t);

/* ---- pack.c ---- */

/* dst[k * stride + r] = src[r * ld + k] for r < rows <= W, zero for the other r < W. */
void V(pack_transpose)(float *dst, size_t stride, const float *src, int64_t ld, int rows,
                       int k);
/* dst[k * stride + c] = src[k * ld + c] for c < cols <= W, zero for the other c < W. */
void V(pack_copy)(float *dst, size_t stride, const float *src, int64_t ld, int cols,
                  int k);

/* dst[i * dst_ld + c] = src[i * src_ld + c] rounded to bf16. */
void V(bf16_copy)(float *dst, int64_t dst_ld, const float *src, int64_t src_ld, int rows,
                  int cols);
/* Words of a row of k numbers, zero where k is odd. */
void V(bf16_row)(float *dst, const float *src, int k);
/* Words of k: dst[r * step + k / 2] from src[k * ld + r], rows <= W. */
void V(bf16_rows_turned)(float *dst, size_t step, const float *src, int64_t ld, int rows,
                         int k);

/* A panel of B: dst[k][NR] from src[col * ld + k], or from src[k * ld + col] where by_k;
 * bf16: in words of two k. */
struct panel {
    float *dst;
    const float *src;
    int64_t ld;
    int by_k, cols, k, bf16;
    enum dtype stored; /* DT_BF16, DT_F16: dst[k][NR] of these, which src's numbers are */
};
void V(pack_panel)(const struct panel *p);
/* n numbers of such a panel, whole vectors, as fp32. */
void V(widen)(enum dtype stored, const void *src, int n, float *dst);

/* Numbers [k0, k1) along k, which stand in one panel of B^T, of all `cols` columns of B:
 * into panels `step` apart, as pack_panel makes them. A panel of B^T is `depth` words
 * long, and read from one end to the other. */
struct turned {
    float *dst;
    size_t step;
    const float *panel;
    int cols, k0, k1, bf16;
    enum dtype stored; /* the panel, as above; what is made of it is fp32 */
};
void V(pack_turned)(const struct turned *t);

/* ---- q4.c ---- */

/* Elements [begin, begin + count) of a 4-bit weight, the same bits as q4_dequantize. */
struct q4 {
    const struct weight_spec *spec;
    int block_log2;
    const uint8_t *codes;
    const void *absmax; /* fp32, or 8-bit codes of double quantisation */
    const float *absmax2, *map, *table;
    float offset;
};
struct q4 V(q4_open)(const struct weight_spec *spec, const void *data);
void V(q4_range)(const struct q4 *q, size_t begin, size_t count, float *dst);

/* Elements [k0, k0 + k) of `rows` <= NR rows from `row` on as columns of a panel,
 * dst[k][NR]; bf16: in words, k0 is even. Of weights that fit: no block goes over the end
 * of a row. */
struct q4_panel {
    const struct q4 *q;
    int row, rows, k0, k, bf16;
    int next_row; /* how many rows on the panel lies that is asked for beforehand */
    float *dst;
};
int V(q4_fits)(const struct weight_spec *spec);
void V(q4_panel)(const struct q4_panel *p);

/* ---- q4_pack.c ---- */

/* q4_check and q4_quantize, in pieces of as many rows; `piece` has room for them. */
int V(q4_pack)(const struct weight_spec *spec, const struct weight_rows *rows,
               int32_t step, float *piece, void *dst, struct err *err);

/* ---- gemm.c ---- */

/* How the right-hand side of a product is stored: ready panels (in the format of
 * `compute`), or those of its transpose; plain n x k or k x n; 4 bits, n x k or k x n. A
 * panel is NR columns, [k][NR] floats (or 16 bits that are widened: weight_spec.stored) or
 * [k / 2][NR] words of two bf16. */
enum b_kind { B_PANELS, B_TURNED, B_ROWS, B_COLS, B_Q4_ROWS, B_Q4_COLS };

/* The inner dimension (bf16: in words) is cut into chunks, these into blocks, each evenly
 * (even_step): a block is one chain of sums, which then goes to C. */
enum { KC = 384, K_CHUNK = 4 * KC };

struct gemm {
    int m, n, k;
    const float *a;
    int64_t a_ld;
    int a_by_k; /* A[i, k] at a[k * a_ld + i] instead of a[i * a_ld + k] */
    enum b_kind b_kind;
    const void *b;
    int64_t b_ld;                   /* plain kinds */
    const struct weight_spec *spec; /* prepared kinds */
    float *c;
    int64_t ldc;
    float scale;
    const float *bias;
    int add;
    enum dtype compute; /* DT_BF16: both operands are rounded */
};
size_t V(gemm_bytes)(const struct gemm *g); /* of workspace; looks at sizes and b_kind */
void V(gemm)(const struct gemm *g, void *workspace);

/* ---- few.c ---- */

enum { FEW = W == 16 ? 8 : 4 }; /* most rows */

/* The same bits as gemm, where few_takes. Workspace: few_bytes, whatever m is. */
int V(few_takes)(const struct gemm *g);
size_t V(few_bytes)(const struct gemm *g);
void V(few)(const struct gemm *g, void *workspace);

/* ---- narrow.c ---- */

enum { NARROW = 16 };

/* C[m, n] = [C +] scale * A[m, k] B[n, k]^T [+ bias], n <= NARROW, both along k; with
 * bf16, B is rounded already. */
void V(dot)(const struct gemm *g);
/* C[m, n] = [C +] scale * sum over rows k of A[k, m] B[k, n], m <= NARROW; `transposed`
 * stores C as n x m. Workspace: narrow_bytes. */
void V(narrow)(const struct gemm *g, int transposed, void *workspace);
size_t V(narrow_bytes)(const struct gemm *g);

/* ---- weight.c, workspace.c ---- */

size_t V(weight_bytes)(const struct weight_spec *spec);
int V(weight_prepare)(void *device, const struct weight_spec *spec,
                      const struct weight_rows *rows, void *dst, struct err *err);
void V(weight_unpack)(void *device, const struct weight_spec *spec, const void *src,
                      float *dst);
/* A row of one that is not quantised, as products read it. */
void V(weight_row)(const struct weight_spec *spec, const void *data, int row, float *dst);
/* Floats' room of a ready panel of k numbers a column. */
static inline size_t panel_floats(const struct weight_spec *spec, int k)
{
    const size_t halves = (size_t)k * NR, words = ((size_t)k + 1) / 2 * NR;
    if (spec->compute == DT_BF16)
        return words;
    return spec->stored != DT_F32 ? halves / 2 : halves;
}
/* Panels of W^T for y = x W^T, and of W for dx = dy W. */
const float *V(weight_forward_panels)(const struct weight_spec *spec, const void *data);
const float *V(weight_backward_panels)(const struct weight_spec *spec, const void *data);

size_t V(embed_bytes)(const struct op_args *shapes);
size_t V(linear_bytes)(const struct op_args *shapes);
size_t V(linear_dx_bytes)(const struct op_args *shapes);
size_t V(linear_dw_bytes)(const struct op_args *shapes);
size_t V(attention_bytes)(const struct op_args *shapes);
size_t V(attention_bwd_bytes)(const struct op_args *shapes);
size_t V(cached_attention_bytes)(const struct op_args *shapes);
size_t V(sumsq_bytes)(const struct op_args *shapes);

/* ---- small things ---- */

static inline int min_int(int a, int b)
{
    return a < b ? a : b;
}

static inline size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* A step that cuts `total` into equal parts of at most `max`. */
static inline int even_step(int total, int max)
{
    return total ? (int)ceil_div(total, ceil_div(total, max)) : 1;
}

static inline size_t round_up(size_t a, size_t b)
{
    return ceil_div(a, b) * b;
}

static inline float *row_of(const struct tensor *t, int64_t r)
{
    return (float *)t->data + r * t->ld;
}

static inline int32_t index_of(const struct tensor *t, int64_t r)
{
    return ((const int32_t *)t->data)[r * t->ld];
}

static inline int adds(const struct op_args *args, int output)
{
    return args->accumulate >> output & 1;
}

/* Elements left from c on, at most a vector. */
static inline int left(int cols, int c)
{
    return cols - c < W ? cols - c : W;
}

/* A vector of a row, of which n elements exist. */
INLINE vf vf_get(const float *p, int n)
{
    return n == W ? vf_load(p) : vf_load_n(p, n);
}

/* Writes n lanes, or adds them to what is there. */
INLINE void vf_put(float *p, vf v, int n, int add)
{
    if (n == W)
        vf_store(p, add ? vf_load(p) + v : v);
    else
        vf_store_n(p, add ? vf_load_n(p, n) + v : v, n);
}

/* Runs fn over [0, count) on the pool in chunks worth the trouble; `work` is about the
 * number of elements touched per item. Every item must stand for itself. */
static inline void par(pool_fn fn, const void *ctx, size_t count, size_t work)
{
    const size_t enough = 16384;
    size_t chunk = work >= enough ? 1 : ceil_div(enough, work ? work : 1);
    pool_run(fn, (void *)ctx, count, chunk);
}

#endif
