/* tests/cuda/faults.cu - the emulation of CUDA on the host (kernels/cuda/emul): right
 * kernels give right numbers in any order, and wrong ones are found. Each case runs in a
 * process of its own, as most end it. Speaks TAP. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kernels/cuda/emul/emul.h"
#include "kernels/cuda/reduce.cuh"

void cuda_must(cudaError_t status, const char *what)
{
    if (status != cudaSuccess)
        emul_fail("%s: %s", what, cudaGetErrorString(status));
}

void cuda_count_launch(void)
{
}

enum { N = 256 };

static float *device_floats(int n)
{
    void *p = NULL;
    cuda_must(cudaMalloc(&p, n * sizeof(float)), "alloc");
    return static_cast<float *>(p);
}

/* ------------------------------------------------------------------- right kernels */

__global__ static void sums(float *out)
{
    const float v = (float)(threadIdx.x + 1), all = block_sum(v), most = block_max(v);
    out[blockIdx.x * N + threadIdx.x] = all + 1000 * blockIdx.x + 1e-3f * most;
}

static int right_sums(void)
{
    float *out = device_floats(5 * N), host[5 * N];
    LAUNCH(sums, 5, N, out);
    cuda_must(cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost), "copy");
    for (int i = 0; i < 5 * N; i++)
        if (host[i] != (float)(N * (N + 1) / 2) + 1000 * (i / N) + 1e-3f * N)
            return 1;
    return 0;
}

__global__ static void reverse(float *x, int with_barrier)
{
    SHARED(float, kept, N);
    kept[threadIdx.x] = x[threadIdx.x];
    if (with_barrier)
        __syncthreads();
    x[threadIdx.x] = kept[N - 1 - threadIdx.x];
}

static int reversed(int with_barrier)
{
    float *x = device_floats(N), host[N];
    for (int i = 0; i < N; i++)
        host[i] = (float)i;
    cuda_must(cudaMemcpy(x, host, sizeof host, cudaMemcpyHostToDevice), "copy");
    LAUNCH(reverse, 1, N, x, with_barrier);
    cuda_must(cudaMemcpy(host, x, sizeof host, cudaMemcpyDeviceToHost), "copy");
    for (int i = 0; i < N; i++)
        if (host[i] != (float)(N - 1 - i))
            return 1;
    return 0;
}

static int right_reverse(void)
{
    return reversed(1);
}

static int missing_barrier(void)
{
    return reversed(0);
}

/* Right in natural order only: lane 31 runs last. */
__global__ static void last_lane(float *x)
{
    SHARED(float, first, 1);
    if (threadIdx.x == 0)
        first[0] = 7;
    x[threadIdx.x] = first[0];
}

static int lucky_order(void)
{
    float *x = device_floats(WARP), host[WARP];
    LAUNCH(last_lane, 1, WARP, x);
    cuda_must(cudaMemcpy(host, x, sizeof host, cudaMemcpyDeviceToHost), "copy");
    for (int i = 0; i < WARP; i++)
        if (host[i] != 7)
            return 1;
    return 0;
}

__global__ static void read_unset(float *x)
{
    SHARED(float, unset, WARP);
    x[threadIdx.x] += unset[threadIdx.x] == unset[threadIdx.x] ? 1.0f : 0.0f;
}

/* Both the new buffer and the shared array hold NaN. */
static int new_memory(void)
{
    float *x = device_floats(WARP), host[WARP];
    cuda_must(cudaMemcpy(host, x, sizeof host, cudaMemcpyDeviceToHost), "copy");
    if (!isnan(host[0]) || !isnan(host[WARP - 1]))
        return 1;
    cuda_must(cudaMemset(x, 0, sizeof host), "zero");
    for (int i = 0; i < 3; i++)
        LAUNCH(read_unset, 1, WARP, x);
    cuda_must(cudaMemcpy(host, x, sizeof host, cudaMemcpyDeviceToHost), "copy");
    return host[0] != 0 || host[WARP - 1] != 0;
}

static int memory_is_counted(void)
{
    void *p = NULL;
    return cudaMalloc(&p, SIZE_MAX / 4) != cudaErrorMemoryAllocation;
}

/* ------------------------------------------------------------------- wrong kernels */

__global__ static void half_a_barrier(float *x)
{
    if (threadIdx.x < 16)
        __syncthreads();
    else
        x[threadIdx.x] = __shfl_xor_sync(ALL_LANES, x[threadIdx.x], 1);
}

static int divergence(void)
{
    LAUNCH(half_a_barrier, 1, WARP, device_floats(WARP));
    return 0;
}

__global__ static void leaves_early(void)
{
    if (threadIdx.x == 40)
        return;
    __syncthreads();
}

static int early_exit(void)
{
    emul_launch("leaves_early", leaves_early, 1, 64);
    return 0;
}

__global__ static void half_a_mask(float *x)
{
    x[threadIdx.x] = __shfl_sync(0xffffu, 1.0f, 0);
}

static int mask(void)
{
    LAUNCH(half_a_mask, 1, WARP, device_floats(WARP));
    return 0;
}

__global__ static void write_at(float *x, int i)
{
    x[i] = 1;
}

static int behind(void)
{
    LAUNCH(write_at, 1, WARP, device_floats(10), 10);
    return 0;
}

static int before(void)
{
    LAUNCH(write_at, 1, WARP, device_floats(10), -1);
    return 0;
}

static int far_behind(void)
{
    LAUNCH(write_at, 1, WARP, device_floats(10), 64);
    return 0;
}

__global__ static void write_shared(float *x)
{
    SHARED(float, small, 3);
    small[3] = 1;
    x[0] = small[3];
}

static int shared_overflow(void)
{
    LAUNCH(write_shared, 1, WARP, device_floats(1));
    return 0;
}

static int odd_block(void)
{
    LAUNCH(write_at, 1, 48, device_floats(1), 0);
    return 0;
}

static int high_grid(void)
{
    LAUNCH(write_at, dim3(1, 65536), WARP, device_floats(1), 0);
    return 0;
}

static int long_copy(void)
{
    float host[11] = {};
    cuda_must(cudaMemcpy(device_floats(10), host, sizeof host, cudaMemcpyHostToDevice),
              "copy");
    return 0;
}

static int host_access(void)
{
    volatile float *x = device_floats(10);
    return x[0] > 0;
}

/* --------------------------------------------------------------------------- cases */

enum outcome { OK, DIFFERS, ABORTS, FAULTS };

static const struct {
    const char *name;
    int (*run)(void); /* 0: as it should be */
    const char *seed;
    enum outcome want;
    const char *message; /* what stderr has to hold */
} cases[] = {
    {"sums over blocks", right_sums, "0", OK, NULL},
    {"sums over blocks, shuffled", right_sums, "1", OK, NULL},
    {"sums over blocks, shuffled again", right_sums, "99", OK, NULL},
    {"shared memory with a barrier", right_reverse, "0", OK, NULL},
    {"shared memory with a barrier, shuffled", right_reverse, "5", OK, NULL},
    {"new memory is NaN", new_memory, "0", OK, NULL},
    {"too much memory is refused", memory_is_counted, "0", OK, NULL},
    {"a missing barrier changes numbers", missing_barrier, "0", DIFFERS, NULL},
    {"an order that happens to be right", lucky_order, "0", OK, NULL},
    {"the same order shuffled", lucky_order, "3", DIFFERS, NULL},
    {"a barrier that half a warp reaches", divergence, "0", ABORTS, "faults.cu:"},
    {"a thread that left before a barrier", early_exit, "0", ABORTS,
     "from thread 40 on: has ended"},
    {"a mask of half a warp", mask, "0", ABORTS, "does not name all lanes"},
    {"a write behind a buffer", behind, "0", ABORTS, "byte 40 of a device buffer of 40"},
    {"a write before a buffer", before, "0", ABORTS, "byte -4 of a device buffer"},
    {"a write far behind a buffer", far_behind, "0", FAULTS, NULL},
    {"a write behind a shared array", shared_overflow, "0", ABORTS,
     "byte 12 of a shared array of 12"},
    {"a block of one and a half warps", odd_block, "0", ABORTS, "whole warps"},
    {"a grid of too many rows", high_grid, "0", ABORTS, "1 x 65536 x 1"},
    {"a copy longer than its buffer", long_copy, "0", ABORTS, "not in one device buffer"},
    {"the host reads device memory", host_access, "0", FAULTS, NULL},
};

/* What became of a case, and what it said. */
static enum outcome run_case(int (*run)(void), const char *seed, char *said, size_t size)
{
    int pipe_ends[2], status = 0;
    size_t n = 0;
    if (pipe(pipe_ends) != 0)
        emul_fail("pipe failed");
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        setenv("PEFTLAB_EMUL_SEED", seed, 1);
        setenv("PEFTLAB_EMUL_PROTECT", "1", 1);
        _exit(run());
    }
    close(pipe_ends[1]);
    for (ssize_t got;
         n < size - 1 && (got = read(pipe_ends[0], said + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    said[n] = 0;
    close(pipe_ends[0]);
    waitpid(child, &status, 0);
    if (WIFEXITED(status))
        return WEXITSTATUS(status) ? DIFFERS : OK;
    return WTERMSIG(status) == SIGABRT ? ABORTS : FAULTS;
}

int main(void)
{
    static const char *const words[] = {"was right", "gave other numbers", "was refused",
                                        "crashed"};
    const int count = sizeof cases / sizeof cases[0];
    int failed = 0;
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        char said[4096];
        const enum outcome got = run_case(cases[i].run, cases[i].seed, said, sizeof said);
        const bool ok =
            got == cases[i].want && (!cases[i].message || strstr(said, cases[i].message));
        printf("%sok %d - %s\n", ok ? "" : "not ", i + 1, cases[i].name);
        if (!ok)
            printf("# it %s and said: %s\n", words[got], said);
        failed |= !ok;
    }
    return failed;
}
