/* kernels/cuda/rope.cu - rotary position embeddings (Su et al. 2021), halves rotated. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/device.cuh"

/* The frequencies of the sequence that token t is in. */
__device__ static const float *frequencies(const struct op_args &a, int t)
{
    const struct tensor &seq = a.in[2];
    if (!seq.data)
        return row(a.in[1], 0);
    int s = 0;
    while (index_at(seq, s + 1) <= t)
        s++;
    const int n = index_at(a.in[0], index_at(seq, s + 1) - 1) + 1;
    return row(a.in[1],
               n <= a.attr.length ? 0 : min(n - a.attr.length, (int)a.in[1].rows - 1));
}

__global__ static void rope_table(KERNEL_ARGS)
{
    const unsigned n = a.in[1].cols;
    for_elements(a.out[0], [&](unsigned t, unsigned c) {
        const float f = frequencies(a, t)[c % n];
        const float angle = (float)index_at(a.in[0], t) * f;
        put(a, 0, row(a.out[0], t) + c,
            a.attr.scale * (c < n ? cosf(angle) : sinf(angle)));
    });
}

void cuda_rope_table(const struct op_args *args)
{
    LAUNCH(rope_table, element_blocks(&args->out[0]), THREADS, *args);
}

/* One thread per pair of columns and per column that passes: `each` per head. y may be
 * x. */
__global__ static void rope(KERNEL_ARGS, int width, int half)
{
    const struct tensor &x = a.in[0], &y = a.out[0], &table = a.in[1];
    const int each = width - half;
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    const int64_t t = i / (each * a.attr.heads);
    const int k = (int)(i % (each * a.attr.heads)), c = k % each;
    const int column = k / each * width + c;
    if (t >= x.rows)
        return;
    const float *in = row(x, t) + column;
    float *out = row(y, t) + column;
    if (c >= half) {
        put(a, 0, out + half, in[half]);
        return;
    }
    const float first = in[0], second = in[half], cosine = row(table, t)[c];
    const float sine =
        a.attr.inverse ? -row(table, t)[half + c] : row(table, t)[half + c];
    put(a, 0, out, first * cosine - second * sine);
    put(a, 0, out + half, second * cosine + first * sine);
}

void cuda_rope(const struct op_args *args)
{
    const struct tensor *x = &args->in[0];
    const int width = x->cols / args->attr.heads, half = args->in[1].cols / 2;
    const int64_t threads = (int64_t)x->rows * args->attr.heads * (width - half);
    LAUNCH(rope, blocks_of(threads, THREADS), THREADS, *args, width, half);
}
