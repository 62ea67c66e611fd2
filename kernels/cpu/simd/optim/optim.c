/* kernels/cpu/simd/optim/optim.c - optimiser steps, the gradient's square norm, rounding.
 *
 * Matrices are taken as one row of rows x cols elements where they have no gaps, so that
 * both a wide vector and a tall matrix split well; pieces are BLOCK elements long
 * whatever the number of threads. */
#include "kernels/half.h"
#include "kernels/cpu/simd/simd.h"

enum { BLOCK = 4096 };

/* How the elements of a tensor are cut into pieces of a row. */
struct pieces {
    int64_t rows, cols, per_row;
};

static struct pieces pieces_of(const struct tensor *const *t, int count)
{
    int solid = 1;
    for (int i = 0; i < count; i++)
        solid = solid && (t[i]->ld == t[i]->cols || t[i]->rows == 1);
    struct pieces p = {t[0]->rows, t[0]->cols, 0};
    if (solid) {
        p.cols *= p.rows;
        p.rows = 1;
    }
    p.per_row = (int64_t)ceil_div((size_t)p.cols, BLOCK);
    return p;
}

/* Piece i: row, first column, length. */
static int piece(const struct pieces *p, size_t i, int64_t *row, int64_t *col)
{
    *row = (int64_t)i / p->per_row;
    *col = (int64_t)i % p->per_row * BLOCK;
    return (int)(p->cols - *col < BLOCK ? p->cols - *col : BLOCK);
}

/* ---- sum of squares ---- */

struct sumsq {
    const struct tensor *x;
    double *sums;
};

static vd squares(const float *x, int n, vd sum)
{
    int i = 0;
    for (; i + W <= n; i += W) {
        vd a = vd_load(x + i), b = vd_load(x + i + W / 2);
        sum += a * a;
        sum += b * b;
    }
    double rest = 0;
    for (; i < n; i++)
        rest += (double)x[i] * x[i];
    sum[0] += rest;
    return sum;
}

/* Blocks count elements row by row, so one may span rows. */
static void sumsq_blocks(void *ctx, size_t begin, size_t end, int thread)
{
    const struct sumsq *s = ctx;
    const int64_t cols = s->x->cols, n = s->x->rows * cols;
    (void)thread;
    for (size_t b = begin; b < end; b++) {
        vd sum = {0};
        int64_t i = (int64_t)b * BLOCK, stop = i + BLOCK < n ? i + BLOCK : n;
        while (i < stop) {
            int64_t c = i % cols, run = cols - c < stop - i ? cols - c : stop - i;
            if (s->x->ld == cols) /* no gaps: one run */
                run = stop - i;
            sum = squares(row_of(s->x, i / cols) + c, (int)run, sum);
            i += run;
        }
        s->sums[b] = vd_sum(sum);
    }
}

static size_t sumsq_count(const struct tensor *x)
{
    return ceil_div((size_t)x->rows * x->cols, BLOCK);
}

void V(sumsq)(const struct op_args *args)
{
    const struct sumsq s = {&args->in[0], args->workspace};
    const size_t blocks = sumsq_count(s.x);
    par(sumsq_blocks, &s, blocks, BLOCK);
    double total = 0, *out = args->out[0].data;
    for (size_t b = 0; b < blocks; b++)
        total += s.sums[b];
    *out = adds(args, 0) ? *out + total : total;
}

size_t V(sumsq_bytes)(const struct op_args *shapes)
{
    return sumsq_count(&shapes->in[0]) * sizeof(double);
}

/* ---- AdamW (Loshchilov and Hutter 2019), in the order of torch.optim.AdamW ---- */

struct adamw {
    const struct op_args *args;
    struct pieces pieces;
    float keep, step_size, root_correction; /* of this update, rounded from double */
};

static void adamw_piece(const struct adamw *w, const float *g, float *p, float *m,
                        float *v, int count)
{
    const struct op_attr *a = &w->args->attr;
    const float take1 = (float)(1 - (double)a->beta1),
                take2 = (float)(1 - (double)a->beta2);
    for (int i = 0; i < count; i += W) {
        const int n = left(count, i);
        vf grad = vf_get(g + i, n) * a->grad_scale;
        vf mean = vf_get(m + i, n), var = vf_get(v + i, n), x = vf_get(p + i, n);
        mean = vf_fma(grad, vf_splat(take1), mean * a->beta1);
        var = vf_fma(grad * grad, vf_splat(take2), var * a->beta2);
        vf denominator = vf_sqrt(var) / w->root_correction + a->eps;
        x = x * w->keep - mean / denominator * w->step_size;
        vf_put(m + i, mean, n, 0);
        vf_put(v + i, var, n, 0);
        vf_put(p + i, x, n, 0);
    }
}

/* Moments in bf16: as fp32 and back. */
static void adamw_halves(const struct adamw *w, const float *g, float *p, uint16_t *m16,
                         uint16_t *v16, int count)
{
    float m[BLOCK], v[BLOCK];
    for (int i = 0; i < count; i++) {
        m[i] = bf16_to_float(m16[i]);
        v[i] = bf16_to_float(v16[i]);
    }
    adamw_piece(w, g, p, m, v, count);
    for (int i = 0; i < count; i++) {
        m16[i] = bf16_of_float(m[i]);
        v16[i] = bf16_of_float(v[i]);
    }
}

static uint16_t *half_row(const struct tensor *t, int64_t r)
{
    return (uint16_t *)t->data + r * t->ld;
}

static void adamw_pieces(void *ctx, size_t begin, size_t end, int thread)
{
    const struct adamw *w = ctx;
    const struct tensor *out = w->args->out;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        int64_t r, c;
        const int n = piece(&w->pieces, i, &r, &c);
        const float *g = row_of(&w->args->in[0], r) + c;
        float *p = row_of(&out[0], r) + c;
        if (out[1].dtype == DT_BF16)
            adamw_halves(w, g, p, half_row(&out[1], r) + c, half_row(&out[2], r) + c, n);
        else
            adamw_piece(w, g, p, row_of(&out[1], r) + c, row_of(&out[2], r) + c, n);
    }
}

void V(adamw)(const struct op_args *args)
{
    const struct op_attr *a = &args->attr;
    const struct tensor *all[] = {&args->in[0], &args->out[0], &args->out[1],
                                  &args->out[2]};
    const struct adamw w = {
        .args = args,
        .pieces = pieces_of(all, 4),
        .keep = (float)(1 - (double)a->lr * a->weight_decay),
        .step_size = (float)(a->lr / (1 - pow(a->beta1, (double)a->t))),
        .root_correction = (float)sqrt(1 - pow(a->beta2, (double)a->t)),
    };
    par(adamw_pieces, &w, (size_t)(w.pieces.rows * w.pieces.per_row),
        2 * (size_t)(w.pieces.cols < BLOCK ? w.pieces.cols : BLOCK));
}

/* ---- SGD ---- */

struct by_piece {
    const struct op_args *args;
    struct pieces pieces;
};

static void sgd_pieces(void *ctx, size_t begin, size_t end, int thread)
{
    const struct by_piece *w = ctx;
    const struct op_attr *a = &w->args->attr;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        int64_t r, c;
        const int count = piece(&w->pieces, i, &r, &c);
        const float *g = row_of(&w->args->in[0], r) + c;
        float *p = row_of(&w->args->out[0], r) + c;
        for (int j = 0; j < count; j += W) {
            const int n = left(count, j);
            vf x = vf_get(p + j, n);
            vf grad =
                vf_fma(x, vf_splat(a->weight_decay), vf_get(g + j, n) * a->grad_scale);
            vf_put(p + j, vf_fma(grad, vf_splat(-a->lr), x), n, 0);
        }
    }
}

void V(sgd)(const struct op_args *args)
{
    const struct tensor *all[] = {&args->in[0], &args->out[0]};
    const struct by_piece w = {args, pieces_of(all, 2)};
    par(sgd_pieces, &w, (size_t)(w.pieces.rows * w.pieces.per_row),
        (size_t)(w.pieces.cols < BLOCK ? w.pieces.cols : BLOCK));
}

/* ---- rounding; here because gradients and parameters are one long row ---- */

static void round_pieces(void *ctx, size_t begin, size_t end, int thread)
{
    const struct by_piece *w = ctx;
    const int add = adds(w->args, 0);
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        int64_t r, c;
        const int count = piece(&w->pieces, i, &r, &c);
        const float *x = row_of(&w->args->in[0], r) + c;
        float *y = row_of(&w->args->out[0], r) + c;
        for (int j = 0; j < count; j += W) {
            const int n = left(count, j);
            vf_put(y + j, (vf)bf16_round(vf_get(x + j, n)), n, add);
        }
    }
}

void V(round_bf16)(const struct op_args *args)
{
    const struct tensor *all[] = {&args->in[0], &args->out[0]};
    const struct by_piece w = {args, pieces_of(all, 2)};
    par(round_pieces, &w, (size_t)(w.pieces.rows * w.pieces.per_row),
        (size_t)(w.pieces.cols < BLOCK ? w.pieces.cols : BLOCK));
}
