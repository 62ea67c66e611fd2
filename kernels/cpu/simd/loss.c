/* kernels/cpu/simd/loss.c - cross entropy over classes, with class weights and label
 * smoothing (Szegedy et al. 2016).
 *
 * The sum of exponentials is collected in double every BLOCK elements; two classes or a
 * vocabulary, the error stays near that of exp. */
#include "kernels/cpu/simd/simd.h"
#include "kernels/cpu/simd/vmath.h"

enum { BLOCK = 64 * W };

/* n elements, the other lanes `beyond`. */
static vf get(const float *p, int n, float beyond)
{
    if (n == W)
        return vf_load(p);
    vf v = vf_load_n(p, n), lane = {LANES};
    return vf_if_less(lane, vf_splat((float)n), v, vf_splat(beyond));
}

static float row_max(const float *x, int cols)
{
    vf m = vf_splat(-INFINITY);
    for (int c = 0; c < cols; c += W)
        m = vf_max(m, get(x + c, left(cols, c), -INFINITY));
    return vf_max_lane(m);
}

/* Sum of exp(x - max). */
static double exp_sum(const float *x, int cols, float max)
{
    double total = 0;
    for (int block = 0; block < cols; block += BLOCK) {
        const int stop = min_int(cols, block + BLOCK);
        vf sum = {0};
        for (int c = block; c < stop; c += W)
            sum += vf_exp_falling(get(x + c, left(stop, c), -INFINITY) - max);
        total += vf_sum(sum);
    }
    return total;
}

/* Mean of w (max - x), for label smoothing. w: class weights, NULL: all 1. */
static double mean_below(const float *x, const float *w, int cols, float max)
{
    double total = 0;
    for (int block = 0; block < cols; block += BLOCK) {
        const int stop = min_int(cols, block + BLOCK);
        vf sum = {0};
        for (int c = block; c < stop; c += W) {
            const int n = left(stop, c);
            const vf below = max - get(x + c, n, max);
            sum += w ? below * vf_get(w + c, n) : below;
        }
        total += vf_sum(sum);
    }
    return total / cols;
}

static const float *weights_of(const struct op_args *args)
{
    return args->in[2].data;
}

/* Mean of the class weights. */
static double mean_weight(const float *w, int cols)
{
    double total = w ? 0 : cols;
    for (int c = 0; w && c < cols; c++)
        total += w[c];
    return total / cols;
}

static double loss_of(const float *x, const float *w, int cols, int label,
                      double smoothing)
{
    const float max = row_max(x, cols);
    const double log_sum = log(exp_sum(x, cols, max)); /* of x - max */
    double loss = (w ? w[label] : 1) * (log_sum + ((double)max - x[label]));
    if (smoothing > 0)
        loss += smoothing *
                (log_sum * mean_weight(w, cols) + mean_below(x, w, cols, max) - loss);
    return loss;
}

static void loss_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const int cols = args->in[0].cols;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const int32_t label = index_of(&args->in[1], r);
        float *out = row_of(&args->out[0], r);
        double loss = 0;
        if (label >= 0)
            loss = loss_of(row_of(&args->in[0], r), weights_of(args), cols, label,
                           args->attr.smoothing);
        *out = (float)(adds(args, 0) ? *out + loss : loss);
    }
}

void V(cross_entropy)(const struct op_args *args)
{
    par(loss_rows, args, args->in[0].rows, (size_t)args->in[0].cols * 2 + W);
}

/* scale * ((1 - e) w[label] (p - onehot) + e (p mean(w) - w / cols)). */
static void gradient_row(const struct op_args *args, const float *x, float *dx, int label)
{
    const int cols = args->in[0].cols, add = adds(args, 0);
    const float *w = weights_of(args);
    const float max = row_max(x, cols), scale = args->step.loss_scale;
    const double e = args->attr.smoothing, own = (1 - e) * (w ? w[label] : 1);
    const double of_p = own + (e > 0 ? e * mean_weight(w, cols) : 0);
    const float factor = (float)(scale * of_p / exp_sum(x, cols, max));
    const float base = scale * args->attr.smoothing / (float)cols;
    const float peak = (float)(scale * own);
    const vf lane = {LANES};
    for (int c = 0; c < cols; c += W) {
        const int n = left(cols, c);
        vf p = vf_exp_falling(get(x + c, n, -INFINITY) - max);
        p = w ? p * factor - vf_get(w + c, n) * base : p * factor - base;
        if (label >= c && label < c + n) { /* in this one lane */
            vf off = lane - (float)(label - c);
            p = vf_if_less(off * off, vf_splat(0.25f), p - peak, p);
        }
        vf_put(dx + c, p, n, add);
    }
}

static void gradient_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct op_args *args = ctx;
    const int cols = args->in[0].cols;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const int32_t label = index_of(&args->in[1], r);
        float *dx = row_of(&args->out[0], r);
        if (label >= 0)
            gradient_row(args, row_of(&args->in[0], r), dx, label);
        else if (!adds(args, 0))
            memset(dx, 0, (size_t)cols * sizeof(*dx));
    }
}

void V(cross_entropy_bwd)(const struct op_args *args)
{
    par(gradient_rows, args, args->in[0].rows, (size_t)args->in[0].cols * 3 + W);
}
