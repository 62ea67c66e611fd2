/* kernels/backend.h - what a device can do: memory, prepared weights and one function per
 * op of ops.def.
 *
 * A backend is a table of function pointers generated from ops.def, so a missing op does
 * not compile. `ref` is naive C with double arithmetic and judges the others; `cpu` picks
 * its widest usable variant at run time (PEFTLAB_CPU forces one by the names of
 * lib/os/isa.def); CUDA and its host emulation come as shared objects with the
 * same table. Ops never allocate: what they need beyond outputs is `workspace`, whose
 * size they tell beforehand for the largest shapes.
 *
 * A table stands for one device: two GPUs are two tables that differ in `device`, a handle
 * of the backend's own that every function below gets first and every op finds in its
 * arguments. NULL where there is only one (the host).
 *
 * A backend may decline: `supports` says before anything runs whether an op with these
 * attributes, formats and sizes can run, and if not, why. Who plans (graph_plan) asks for
 * every node, and names backend, op and reason. Activations have a format of the set
 * `activations`: fp32 is always in it, what else there is comes and goes by `copy`.
 *
 * An op gets fully resolved views; shapes are the caller's promise (checked by the graph
 * when it is recorded, and by asserts here). Ops return nothing: on a device they are
 * queued, and what can fail fails at load. */
#ifndef KERNELS_BACKEND_H
#define KERNELS_BACKEND_H

#include "kernels/tensor.h"
#include "lib/err.h"
#include <stdbool.h>

#define OP_MAX_IN   9
#define OP_MAX_OUT  5
#define BACKEND_ABI 8

enum op {
#define OP(name, n_in, n_out, in_place) OP_##name,
#include "kernels/ops.def"
#undef OP
    OP_COUNT
};

struct op_info {
    const char *name;
    int n_in, n_out, in_place;
};
extern const struct op_info op_info[OP_COUNT];

#define ACTS(X)                                                                          \
    X(gelu)                                                                              \
    X(gelu_tanh)                                                                         \
    X(relu)                                                                              \
    X(tanh)                                                                              \
    X(swish)
enum act {
#define X(name) ACT_##name,
    ACTS(X)
#undef X
        ACT_COUNT
};

/* Losses against numbers instead of classes, as torch's MSELoss and BCEWithLogitsLoss. */
#define TARGET_LOSSES(X)                                                                 \
    X(mse)                                                                               \
    X(bce)
enum target_loss {
#define X(name) LOSS_##name,
    TARGET_LOSSES(X)
#undef X
        LOSS_COUNT
};

/* Constants of one node, fixed when the graph is recorded (the optimiser's change with
 * each step). */
struct op_attr {
    float scale;     /* linear*, attention, rope_table */
    float eps;       /* layernorm, rmsnorm, adamw */
    float offset;    /* rmsnorm: of gamma */
    float p;         /* dropout, attention */
    float smoothing; /* cross_entropy: label smoothing, 0 is off */
    uint32_t site;   /* dropout stream of this node */
    int heads, causal;
    int kv_heads;  /* attention: heads of keys and values; 0: as many */
    int window;    /* attention, causal: how many keys a query sees, itself among them; 0:
                     all */
    float softcap; /* attention: scores are softcap * tanh(score / softcap); 0: as they
                      are */
    int capacity;  /* cache_store, cached_attention: keys of a sequence and head */
    int inverse;   /* rope: by minus the angle */
    int length;    /* rope_table: of sequences that have the first row of frequencies */
    enum act act;
    enum target_loss loss;
    enum dtype compute; /* linear* of plain weights: DT_F32, or DT_BF16 to round both
                           operands to; DT_PREPARED ones know it themselves */
    float lr, beta1, beta2, weight_decay, grad_scale; /* optimisers */
    int64_t t;                                        /* adamw: 1-based update number */
};

/* What changes from micro-batch to micro-batch. */
struct op_step {
    uint64_t seed;
    uint32_t step;       /* update number, 0-based */
    uint32_t token_base; /* tokens of this update that came in earlier micro-batches */
    float loss_scale;    /* cross_entropy_bwd, target_loss_bwd */
};

struct op_args {
    struct tensor in[OP_MAX_IN];
    struct tensor out[OP_MAX_OUT];
    unsigned accumulate; /* bit i: add to out[i] instead of overwriting it */
    struct op_attr attr;
    struct op_step step;
    void *workspace; /* 64-byte aligned, at least what `workspace_bytes` said */
    void *device;    /* the backend's */
};

typedef void (*op_fn)(const struct op_args *args);

/* Where a matrix's values come from, some rows at a time and in their order, so that nobody
 * need hold all of them in fp32. */
struct weight_rows {
    int (*read)(void *ctx, int32_t first, int32_t count, float *dst, struct err *err);
    void *ctx;
};

struct backend {
    int abi;
    const char *name;     /* "ref", "cpu" */
    const char *variant;  /* "avx512"; "" */
    void *device;         /* handle of the one that this table is for; may be NULL */
    unsigned activations; /* bit t: tensors between ops may have enum dtype t */
    op_fn ops[OP_COUNT];
    /* Several calls of an op that have nothing to do with one another (none reads or writes
     * what another writes; only the workspace they may share), in any order or all at once;
     * each leaves the bits that it leaves by itself. NULL: one after the other is as good.
     * Those that are alike but for addresses and rows should stand together. */
    void (*run_many)(void *device, enum op op, const struct op_args *args, size_t count);
    /* How many pieces of work were given to the device since the start; NULL: there are no
     * such pieces. For tests. */
    uint64_t (*launches)(void *device);
    /* May this be called? If not, `reason` has why, for people, without a full stop
     * ("it computes in float32 only"). Data pointers are not looked at, presence is.
     * NULL: everything may. */
    bool (*supports)(void *device, enum op op, const struct op_args *shapes, char *reason,
                     size_t size);
    /* Workspace for a call with these shapes (data pointers are not looked at, presence
     * is: absent stays NULL). Grows with rows, so the largest shapes give the most. */
    size_t (*workspace_bytes)(void *device, enum op op, const struct op_args *shapes);

    /* 64-byte aligned (256 on a GPU), zeroed; NULL when there is not enough. */
    void *(*alloc)(void *device, size_t bytes);
    void (*release)(void *device, void *p);
    void (*upload)(void *device, void *dst, const void *src, size_t bytes);
    void (*download)(void *device, void *dst, const void *src, size_t bytes);
    void (*sync)(void *device);

    /* Frozen weights: bytes of the prepared form, making it from rows (read once each,
     * from the first on; quantised on the way where spec says so), and back to plain fp32
     * (dequantised) for merging and tests. A quantised one is the bytes of q4_layout
     * (nf4.h) on every backend: who has them already uploads them. */
    size_t (*weight_bytes)(const struct weight_spec *spec);
    int (*weight_prepare)(void *device, const struct weight_spec *spec,
                          const struct weight_rows *rows, void *dst, struct err *err);
    void (*weight_unpack)(void *device, const struct weight_spec *spec, const void *src,
                          float *dst);

    /* Measures the ceiling of fp32 arithmetic (multiply-adds in registers, all threads;
     * some ten milliseconds). NULL: not known. */
    double (*peak_flops_per_s)(void *device);
};

/* Backends by name: "cpu", "ref", or a shared object's. NULL with a reason in `err` when
 * it is not usable here. */
const struct backend *backend_get(const char *name, struct err *err);
/* Of a CUDA GPU of this compute capability, which need not be here: what it takes and
 * declines, no ops and no memory. The same bytes as the backend's own (cuda/sizes.h). */
const struct backend *backend_planned_cuda(int major);
/* The name of the i-th backend that there could be; NULL after the last. */
const char *backend_name(size_t i);
/* Is the i-th built in, or is its object where the program looks? Loads nothing. */
bool backend_is_built(size_t i);

/* weight_prepare of a plain row-major matrix in host memory. */
int backend_prepare(const struct backend *b, const struct weight_spec *spec,
                    const float *src, void *dst, struct err *err);

/* Asks `supports`; an error (exit code 78: trial and backend do not go together) names backend, op and reason. */
int backend_takes(const struct backend *b, enum op op, const struct op_args *shapes,
                  struct err *err);

/* Heads of queries that share one head of keys and values. */
static inline int op_attr_group(const struct op_attr *attr)
{
    return attr->kv_heads ? attr->heads / attr->kv_heads : 1;
}

/* The first key that is seen by the query after which `end` keys come to an end (its own
 * among them, virtual keys counted). */
static inline int op_attr_first_key(const struct op_attr *attr, int end)
{
    return attr->window && end > attr->window ? end - attr->window : 0;
}

/* The row of frequencies, of so many, for a sequence of n tokens. */
static inline int op_attr_rope_row(const struct op_attr *attr, int n, int rows)
{
    const int beyond = n > attr->length ? n - attr->length : 0;
    return beyond < rows ? beyond : rows - 1;
}

/* Where the keys of a head of a slot begin in a cache. */
static inline int64_t op_attr_cache_row(const struct op_attr *attr, int slot, int kv_head)
{
    const int heads = attr->kv_heads ? attr->kv_heads : attr->heads;
    return ((int64_t)slot * heads + kv_head) * attr->capacity;
}

/* Calls the op on the backend's device. */
static inline void backend_call(const struct backend *b, enum op op, struct op_args *args)
{
    args->device = b->device;
    b->ops[op](args);
}

/* The same for several that are independent of one another. */
static inline void backend_call_many(const struct backend *b, enum op op,
                                     struct op_args *args, size_t count)
{
    for (size_t i = 0; i < count; i++)
        args[i].device = b->device;
    if (b->run_many)
        b->run_many(b->device, op, args, count);
    else
        for (size_t i = 0; i < count; i++)
            b->ops[op](&args[i]);
}

/* Floating-point operations of a call with these shapes (multiply and add count two); 0
 * for what does none worth counting. */
double op_flops(enum op op, const struct op_args *shapes);

#endif
