/* kernels/cuda/embed.cu - rows picked from tables, and gradients given back to them. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/device.cuh"

__global__ static void embed(KERNEL_ARGS)
{
    for_elements(a.out[0], [&](unsigned t, unsigned c) {
        const float word = row(a.in[3], index_at(a.in[0], t))[c];
        const float pos = row(a.in[4], index_at(a.in[1], t))[c];
        const float type = a.in[5].data ? row(a.in[5], index_at(a.in[2], t))[c] : 0;
        put(a, 0, row(a.out[0], t) + c, word + pos + type);
    });
}

void cuda_embed(const struct op_args *args)
{
    LAUNCH(embed, element_blocks(&args->out[0]), THREADS, *args);
}

__global__ static void gather(KERNEL_ARGS)
{
    for_elements(a.out[0], [&](unsigned i, unsigned c) {
        put(a, 0, row(a.out[0], i) + c, row(a.in[0], index_at(a.in[1], i))[c]);
    });
}

void cuda_gather(const struct op_args *args)
{
    LAUNCH(gather, element_blocks(&args->out[0]), THREADS, *args);
}

/* out[index[i]] += dy[i], in the order of i: the block of the first i that names a row
 * adds up all that name it. */
__global__ static void scatter_add(struct tensor out, const struct tensor dy,
                                   const struct tensor index)
{
    SHARED(int, named_before, 1);
    const int first = blockIdx.x, c = blockIdx.y * THREADS + threadIdx.x;
    const int32_t target = index_at(index, first);
    if (threadIdx.x == 0)
        named_before[0] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < first; i += THREADS)
        if (index_at(index, i) == target)
            named_before[0] = 1;
    __syncthreads();
    if (named_before[0] || c >= dy.cols)
        return;
    float sum = row(out, target)[c];
    for (int i = first; i < dy.rows; i++)
        if (index_at(index, i) == target)
            sum += row(dy, i)[c];
    row(out, target)[c] = sum;
}

static void give_back(const struct op_args *args, int output, const struct tensor *dy,
                      const struct tensor *index)
{
    if (!args->out[output].data)
        return;
    clear_output(args, output);
    LAUNCH(scatter_add, dim3(dy->rows, blocks_of(dy->cols, THREADS)), THREADS,
           args->out[output], *dy, *index);
}

void cuda_embed_bwd(const struct op_args *args)
{
    for (int i = 0; i < 3; i++)
        give_back(args, i, &args->in[0], &args->in[1 + i]);
}

void cuda_gather_bwd(const struct op_args *args)
{
    give_back(args, 0, &args->in[0], &args->in[1]);
}
