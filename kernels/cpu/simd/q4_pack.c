/* kernels/cpu/simd/q4_pack.c - quantising to 4 bits, the same bytes as q4_quantize: blocks
 * shared out among the threads, W elements at a time. A big model is read in by this. */
#include "kernels/cpu/simd/simd.h"
#include "kernels/nf4.h"
#include <stdlib.h>

enum { BLOCK_MAX = 4096, CHUNK = 1024 };

struct packing {
    const struct weight_spec *spec;
    const float *src; /* the piece: from block `first` on */
    size_t first;
    void *dst;
    float *absmax;
    float cuts[15];
    const uint8_t *order;
    int bad; /* a value is not finite */
};

/* The largest magnitude; NaN where a value is not finite. */
INLINE float block_max(const float *x, size_t n)
{
    vf most = {0}, odd = {0};
    for (size_t i = 0; i < n; i += W) {
        const vf v = vf_load(x + i);
        const vf size = (vf)((vu)v & 0x7fffffffu);
        const vu more = (vu)(size > most);
        most = (vf)(((vu)size & more) | ((vu)most & ~more));
        odd += v * 0.0f; /* infinity times zero is no number */
    }
    float max = 0, sum = 0;
    for (int l = 0; l < W; l++) {
        max = most[l] > max ? most[l] : max;
        sum += odd[l];
    }
    return max + sum;
}

/* As kernels/nf4.c has it, of a whole block. */
INLINE void pack_block(const struct packing *p, const float *x, size_t n, float absmax,
                       uint8_t *codes)
{
    int32_t places[BLOCK_MAX];
    const vf inverse = vf_splat(1 / (absmax > Q4_ABSMAX_MIN ? absmax : Q4_ABSMAX_MIN));
    for (size_t i = 0; i < n; i += W) {
        const vf scaled = vf_load(x + i) * inverse;
        vi place = {0};
#pragma GCC unroll 15
        for (int c = 0; c < 15; c++)
            place -= (vi)(scaled > p->cuts[c]);
        memcpy(places + i, &place, sizeof(place));
    }
    for (size_t i = 0; i < n; i += 2)
        codes[i / 2] = (uint8_t)(p->order[places[i]] << 4 | p->order[places[i + 1]]);
}

static void pack_blocks(void *ctx, size_t begin, size_t end, int thread)
{
    struct packing *p = ctx;
    const size_t n = (size_t)p->spec->rows * p->spec->cols, size = (size_t)p->spec->block;
    (void)thread;
    for (size_t b = p->first + begin; b < p->first + end; b++) {
        const float *x = p->src + (b - p->first) * size;
        if ((b + 1) * size > n) {
            q4_quantize_blocks(x, p->spec, b, b + 1, p->absmax, p->dst);
            if (q4_check_values(x, n - b * size, 0, NULL))
                __atomic_store_n(&p->bad, 1, __ATOMIC_RELAXED);
            continue;
        }
        p->absmax[b] = block_max(x, size);
        if (isnan(p->absmax[b]))
            __atomic_store_n(&p->bad, 1, __ATOMIC_RELAXED);
        pack_block(p, x, size, p->absmax[b], (uint8_t *)p->dst + b * size / 2);
    }
}

/* A piece begins with a block: `step` rows are whole ones. */
static int pack_piece(struct packing *p, const struct weight_rows *rows, int32_t begin,
                      int32_t count, float *piece, struct err *err)
{
    const size_t size = (size_t)p->spec->block, cols = (size_t)p->spec->cols;
    const size_t elements = (size_t)count * cols, first = (size_t)begin * cols;
    int rc = rows->read(rows->ctx, begin, count, piece, err);
    if (rc)
        return rc;
    p->src = piece;
    p->first = first / size;
    pool_run(pack_blocks, p, (elements + size - 1) / size, CHUNK);
    return p->bad ? q4_check_values(piece, elements, first, err) : 0;
}

int V(q4_pack)(const struct weight_spec *spec, const struct weight_rows *rows,
               int32_t step, float *piece, void *dst, struct err *err)
{
    int rc = q4_check_block(spec, err); /* the values as they pass by */
    if (rc)
        return rc;
    const struct q4_layout l = q4_layout(spec);
    struct packing p = {
        .spec = spec,
        .dst = dst,
        .absmax = malloc(l.blocks * sizeof(float)),
        .order = spec->quant == QUANT_FP4 ? fp4_ascending : nf4_ascending,
    };
    if (!p.absmax)
        return err_set(err, ERR_NOMEM, "no memory to quantise a weight of %d x %d",
                       spec->rows, spec->cols);
    q4_cut_points(spec->quant, p.cuts);
    memset((char *)dst + l.n / 2, 0, l.bytes - l.n / 2);
    for (int32_t at = 0; at < spec->rows && !rc; at += step)
        rc = pack_piece(&p, rows, at, min_int(step, spec->rows - at), piece, err);
    if (!rc)
        q4_keep_absmax(p.absmax, spec, dst);
    free(p.absmax);
    return rc;
}
