/* kernels/cuda/module.cu - the one symbol of the shared object: memory, and the table.
 *
 * There is one table, of device 0; CUDA_VISIBLE_DEVICES says which one that is. Everything
 * is told by the handle which device it is for, so that another table is another entry of
 * `device` and `backend`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/segments.cuh"
#include "kernels/cuda/sizes.h"

#ifdef __CUDACC__
#define BACKEND_NAME "cuda"
#else
#define BACKEND_NAME "cuda-emul"
#endif

const struct backend_host *cuda_host;

void cuda_must(cudaError_t status, const char *what)
{
    if (status == cudaSuccess)
        return;
    fprintf(stderr, "peftlab: %s: %s failed: %s\n", BACKEND_NAME, what,
            cudaGetErrorString(status));
    abort();
}

static uint64_t launches;

void cuda_count_launch(void)
{
    __atomic_add_fetch(&launches, 1, __ATOMIC_RELAXED);
}

dim3 element_blocks(const struct tensor *t)
{
    const int64_t n = (int64_t)t->rows * t->cols;
    if (n > INT32_MAX)
        cuda_must(cudaErrorInvalidValue, "a tensor of more than 2^31 elements");
    return dim3(blocks_of(n, THREADS * EACH));
}

void clear_output(const struct op_args *args, int i)
{
    const struct tensor *t = &args->out[i];
    if (!t->data || args->accumulate >> i & 1)
        return;
    cuda_must(cudaMemset2DAsync(t->data, (size_t)t->ld * sizeof(float), 0,
                                (size_t)t->cols * sizeof(float), (size_t)t->rows, 0),
              "zero");
}

/* -------------------------------------------------------------------------- segments */

static bool same_shape(const struct tensor *a, const struct tensor *b)
{
    return !a->data == !b->data && a->dtype == b->dtype && a->cols == b->cols &&
           a->ld == b->ld && a->spec == b->spec;
}

static bool alike(const struct op_args *a, const struct op_args *b)
{
    bool same =
        a->accumulate == b->accumulate && memcmp(&a->attr, &b->attr, sizeof a->attr) == 0;
    for (int k = 0; k < SEGMENT_IN; k++)
        same &= same_shape(&a->in[k], &b->in[k]);
    for (int k = 0; k < SEGMENT_OUT; k++)
        same &= same_shape(&a->out[k], &b->out[k]);
    return same;
}

size_t segments_alike(const struct op_args *args, size_t count)
{
    size_t n = 1;
    if (args->attr.p > 0) /* a mask goes by a.step */
        return n;
    while (n < count && n < SEGMENTS && alike(args, &args[n]))
        n++;
    return n;
}

void segments_fill(struct segments *s, const struct op_args *args, size_t count)
{
    memcpy(s->in, args->in, sizeof s->in);
    memcpy(s->out, args->out, sizeof s->out);
    s->attr = args->attr;
    s->accumulate = args->accumulate;
    s->count = (int)count;
    for (size_t i = 0; i < count; i++) {
        struct segment *own = &s->of[i];
        for (int k = 0; k < SEGMENT_IN; k++) {
            own->in[k] = args[i].in[k].data;
            own->in_rows[k] = args[i].in[k].rows;
        }
        for (int k = 0; k < SEGMENT_OUT; k++) {
            own->out[k] = args[i].out[k].data;
            own->out_rows[k] = args[i].out[k].rows;
        }
    }
}

/* -------------------------------------------------------------------------- memory */

/* Makes it the current device of this thread; costs nothing where it is. */
static const struct cuda_device *use(void *device)
{
    const struct cuda_device *d = (const struct cuda_device *)device;
    cuda_must(cudaSetDevice(d->number), "choose the device");
    return d;
}

static void *device_alloc(void *device, size_t bytes)
{
    void *p = NULL;
    use(device);
    if (cudaMalloc(&p, bytes > 0 ? bytes : 1) != cudaSuccess) {
        (void)cudaGetLastError(); /* not enough memory is an answer, not a failure */
        return NULL;
    }
    cuda_must(cudaMemset(p, 0, bytes), "zero new memory");
    return p;
}

static void device_release(void *device, void *p)
{
    use(device);
    cuda_must(cudaFree(p), "free");
}

static void device_upload(void *device, void *dst, const void *src, size_t bytes)
{
    use(device);
    cuda_must(cudaMemcpy(dst, src, bytes, cudaMemcpyHostToDevice), "copy to the device");
}

static void device_download(void *device, void *dst, const void *src, size_t bytes)
{
    use(device);
    cuda_must(cudaMemcpy(dst, src, bytes, cudaMemcpyDeviceToHost),
              "copy from the device");
}

static void device_sync(void *device)
{
    use(device);
    cuda_must(cudaDeviceSynchronize(), "what was queued");
}

static int weight_prepare(void *device, const struct weight_spec *spec,
                          const struct weight_rows *rows, void *dst, struct err *err)
{
    use(device);
    return cuda_weight_prepare(spec, rows, dst, err);
}

static void weight_unpack(void *device, const struct weight_spec *spec, const void *src,
                          float *dst)
{
    use(device);
    cuda_weight_unpack(spec, src, dst);
}

/* -------------------------------------------------------------------------- ops */

static struct cuda_device device;
static struct backend backend;

#define OP(op, n_in, n_out, in_place)                                                    \
    static void run_##op(const struct op_args *args)                                     \
    {                                                                                    \
        use(args->device);                                                               \
        cuda_##op(args);                                                                 \
    }
#include "kernels/ops.def"
#undef OP

static void run_many(void *device, enum op op, const struct op_args *args, size_t count)
{
    use(device);
    switch (op) {
#define X(name)                                                                          \
    case OP_##name:                                                                      \
        cuda_many_##name(args, count);                                                   \
        break;
        CUDA_MANY(X)
#undef X
    default:
        for (size_t i = 0; i < count; i++)
            backend.ops[op](&args[i]);
    }
}

static uint64_t launch_count(void *device)
{
    (void)device;
    return __atomic_load_n(&launches, __ATOMIC_RELAXED);
}

static bool supports(void *device, enum op op, const struct op_args *shapes, char *reason,
                     size_t size)
{
    (void)device, (void)op;
    return cuda_sizes_takes(shapes, reason, size);
}

static size_t workspace_bytes(void *device, enum op op, const struct op_args *shapes)
{
    const struct cuda_device *d = (const struct cuda_device *)device;
    return cuda_sizes_workspace(op, shapes, d->blas.workspace_bytes);
}

/* ---- the table ---- */

static char variant[320];

static void fill_table(void)
{
#define OP(op, n_in, n_out, in_place) backend.ops[OP_##op] = run_##op;
#include "kernels/ops.def"
#undef OP
    backend.run_many = run_many;
    backend.launches = launch_count;
    backend.abi = BACKEND_ABI;
    backend.name = BACKEND_NAME;
    backend.variant = variant;
    backend.device = &device;
    backend.activations = 1u << DT_F32 | 1u << DT_BF16;
    backend.supports = supports;
    backend.workspace_bytes = workspace_bytes;
    backend.alloc = device_alloc;
    backend.release = device_release;
    backend.upload = device_upload;
    backend.download = device_download;
    backend.sync = device_sync;
    backend.weight_bytes = cuda_weight_bytes;
    backend.weight_prepare = weight_prepare;
    backend.weight_unpack = weight_unpack;
}

/* 0, or -1 and a reason. */
static int open_device(char *reason, size_t size)
{
    int count = 0;
    struct cudaDeviceProp p;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess && count == 0)
        status = cudaErrorNoDevice;
    if (status == cudaSuccess)
        status = cudaGetDeviceProperties(&p, device.number);
    if (status == cudaSuccess)
        status = cudaSetDevice(device.number);
    if (status != cudaSuccess) {
        snprintf(reason, size, "CUDA says: %s", cudaGetErrorString(status));
        return -1;
    }
    snprintf(variant, sizeof variant, "%s, sm_%d%d, %.1f GiB", p.name, p.major, p.minor,
             (double)p.totalGlobalMem / (1 << 30));
    return blas_open(&device.blas, p.major, reason, size);
}

extern "C" __attribute__((visibility("default"))) const struct backend *
peftlab_backend_entry(const struct backend_host *host, char *reason, size_t size)
{
    if (host->args_bytes != sizeof(struct op_args) ||
        host->host_bytes != sizeof(struct backend_host) ||
        strcmp(host->signature, backend_signature) != 0) {
        snprintf(reason, size, "it was built for another version of peftlab");
        return NULL;
    }
    cuda_host = host;
    if (open_device(reason, size))
        return NULL;
    fill_table();
    return &backend;
}
