/* kernels/cuda/embed.cu - rows picked from tables, and gradients given back to them. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/segments.cuh"

/* An id < 0 is a virtual token: row -1 - id of the prompt. */
struct embed_op : elementwise {
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        for_elements(a.out[0], block, [&](unsigned t, unsigned c) {
            const int32_t id = index_at(a.in[0], t);
            const float word = (id < 0 ? row(a.in[6], -1 - id) : row(a.in[3], id))[c];
            const float pos = a.in[4].data ? row(a.in[4], index_at(a.in[1], t))[c] : 0;
            const float type = a.in[5].data ? row(a.in[5], index_at(a.in[2], t))[c] : 0;
            put(a, 0, row(a.out[0], t) + c, word + pos + type);
        });
    }
};

SEGMENT_OP(embed, embed_op)

struct gather_op : elementwise {
    __device__ static void run(const struct op_args &a, unsigned block)
    {
        for_elements(a.out[0], block, [&](unsigned i, unsigned c) {
            put(a, 0, row(a.out[0], i) + c, row(a.in[0], index_at(a.in[1], i))[c]);
        });
    }
};

SEGMENT_OP(gather, gather_op)

/* Which row an index names: itself, or of_prompt: row -1 - i of the prompt for i < 0.
 * The other half of the ids names no row of this table. */
__device__ static int32_t target_of(const struct tensor &index, int64_t i, int of_prompt)
{
    const int32_t id = index_at(index, i);
    return of_prompt ? -1 - id : id;
}

/* out[target of i] += dy[i], in the order of i: the block of the first i that names a row
 * adds up all that name it. */
__global__ static void scatter_add(const struct tensor out, const struct tensor dy,
                                   const struct tensor index, int of_prompt)
{
    SHARED(int, named_before, 1);
    const int first = blockIdx.x, c = blockIdx.y * THREADS + threadIdx.x;
    const int32_t target = target_of(index, first, of_prompt);
    if (target < 0)
        return; /* the whole block */
    if (threadIdx.x == 0)
        named_before[0] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < first; i += THREADS)
        if (target_of(index, i, of_prompt) == target)
            named_before[0] = 1;
    __syncthreads();
    if (named_before[0] || c >= dy.cols)
        return;
    float sum = row(out, target)[c];
    for (int i = first; i < dy.rows; i++)
        if (target_of(index, i, of_prompt) == target)
            sum += row(dy, i)[c];
    row(out, target)[c] = sum;
}

static void give_back(const struct op_args *args, int output, const struct tensor *index,
                      int of_prompt)
{
    const struct tensor *dy = &args->in[0];
    if (!args->out[output].data)
        return;
    clear_output(args, output);
    LAUNCH(scatter_add, dim3(dy->rows, blocks_of(dy->cols, THREADS)), THREADS,
           args->out[output], *dy, *index, of_prompt);
}

void cuda_embed_bwd(const struct op_args *args)
{
    for (int i = 0; i < 3; i++)
        give_back(args, i, &args->in[1 + i], 0);
    give_back(args, 3, &args->in[1], 1);
}

void cuda_gather_bwd(const struct op_args *args)
{
    give_back(args, 0, &args->in[1], 0);
}
