/* kernels/cpu/simd/optim/optim8.c - AdamW with moments in 8 bits, see ops.def. A block of 256
 * elements is one piece of work, so its bits depend on nothing outside of it. */
#include "kernels/cpu/simd/simd.h"
#include "kernels/dynamic8.h"

enum { BLOCK = 256 };

struct adam8 {
    const struct op_args *args;
    int64_t count;
    const float *map1, *map2;
    float keep, step_size, eps; /* of this update, rounded from double */
};

/* n elements; moments as plain numbers. */
static void update(const struct adam8 *w, const float *g, float *p, float *m, float *v,
                   int n)
{
    const struct op_attr *a = &w->args->attr;
    const float take1 = (float)(1 - (double)a->beta1),
                take2 = (float)(1 - (double)a->beta2);
    for (int i = 0; i < n; i += W) {
        const int k = left(n, i);
        vf grad = vf_get(g + i, k) * a->grad_scale;
        vf mean = vf_fma(grad, vf_splat(take1), vf_get(m + i, k) * a->beta1);
        vf var = vf_fma(grad * grad, vf_splat(take2), vf_get(v + i, k) * a->beta2);
        vf x = vf_get(p + i, k) - mean / (vf_sqrt(var) + w->eps) * w->step_size;
        vf_put(m + i, mean, k, 0);
        vf_put(v + i, var, k, 0);
        vf_put(p + i, x * w->keep, k, 0);
    }
}

static float largest(const float *x, int n)
{
    float max = 0;
    for (int i = 0; i < n; i++)
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    return max;
}

static void block8(const struct adam8 *w, int64_t begin, int n)
{
    const struct tensor *out = w->args->out;
    uint8_t *m8 = (uint8_t *)out[1].data + begin, *v8 = (uint8_t *)out[2].data + begin;
    float *max1 = (float *)out[3].data + begin / BLOCK;
    float *max2 = (float *)out[4].data + begin / BLOCK;
    float m[BLOCK], v[BLOCK];
    for (int i = 0; i < n; i++) {
        m[i] = w->map1[m8[i]] * *max1;
        v[i] = w->map2[v8[i]] * *max2;
    }
    update(w, (const float *)w->args->in[0].data + begin, (float *)out[0].data + begin, m,
           v, n);
    *max1 = largest(m, n);
    *max2 = largest(v, n);
    for (int i = 0; i < n; i++) {
        m8[i] = dynamic_nearest_signed(w->map1, *max1 > 0 ? m[i] / *max1 : 0);
        v8[i] = dynamic_nearest(w->map2, *max2 > 0 ? v[i] / *max2 : 0);
    }
}

static void blocks(void *ctx, size_t begin, size_t end, int thread)
{
    const struct adam8 *w = ctx;
    const struct tensor *out = w->args->out;
    (void)thread;
    for (size_t b = begin; b < end; b++) {
        const int64_t at = (int64_t)b * BLOCK;
        const int n = (int)(w->count - at < BLOCK ? w->count - at : BLOCK);
        if (out[1].dtype == DT_U8)
            block8(w, at, n);
        else
            update(w, (const float *)w->args->in[0].data + at, (float *)out[0].data + at,
                   (float *)out[1].data + at, (float *)out[2].data + at, n);
    }
}

void V(adamw_8bit)(const struct op_args *args)
{
    const struct op_attr *a = &args->attr;
    const double correction = sqrt(1 - pow(a->beta2, (double)a->t));
    const struct adam8 w = {
        .args = args,
        .count = (int64_t)args->in[0].rows * args->in[0].cols,
        .map1 = dynamic_map_signed(),
        .map2 = dynamic_map_unsigned(),
        .keep = (float)(1 - (double)a->lr * a->weight_decay),
        .step_size = (float)(a->lr * correction / (1 - pow(a->beta1, (double)a->t))),
        .eps = (float)(correction * a->eps),
    };
    par(blocks, &w, ceil_div((size_t)w.count, BLOCK), 8 * BLOCK);
}
