/* tests/unit/kernels/call.h - a case of cases.h as tensors, and how to run it on a
 * backend. Shared by ops.c (backends against ref), ref.c (ref against known values and
 * finite differences) and rows.c (bits do not depend on neighbours and threads). */
#ifndef TESTS_KERNELS_CALL_H
#define TESTS_KERNELS_CALL_H

#include "tests/unit/kernels/cases.h"
#include "kernels/cpu/cpu.h"
#include "kernels/half.h"
#include "lib/mem.h"
#include "lib/os/isa.h"
#include "lib/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A tensor in host memory: `view` is what the op sees of `bytes` (absent: no data). */
struct host_tensor {
    struct tensor view;
    char *bytes;
    size_t size;
    char rows_letter;
};

struct call {
    const struct op_case *c;
    struct host_tensor in[OP_MAX_IN], out[OP_MAX_OUT];
    struct weight_spec spec;
    struct op_args args; /* without tensors */
};

/* What a run leaves: the outputs' buffers, padding included. */
struct outcome {
    char *out[OP_MAX_OUT];
};

/* ------------------------------------------------------------------- making a call */

static inline int case_size(const struct op_case *c, char letter)
{
    switch (letter) {
    case 'T':
        return c->T;
    case 'D':
        return c->D;
    case 'O':
        return c->O;
    case 'N':
        return c->N;
    case 'S':
        return c->N + 1;
    case 'P':
        return c->P;
    case 'H':
        return c->H;
    case 'E':
        return 2 * c->D;
    case 'K':
        return c->KV ? c->D / c->H * c->KV : c->D;
    case 'F':
        return c->H ? c->D / c->H : c->D;
    case 'A':
        return c->H ? c->H : 1;
    case 'C':
        return (c->N + 1) * (c->KV ? c->KV : c->H) * c->O;
    case 'B':
        return (c->T * c->D + 255) / 256;
    default:
        return letter - '0';
    }
}

static inline float case_number(const struct op_case *c, char content, double normal)
{
    double spread = c->spread > 0 ? c->spread : 1;
    switch (content) {
    case 'g':
        return (float)(1 + 0.2 * normal);
    case 'p':
    case 'q':
        return (float)(normal * normal * spread * spread);
    case 'w': {
        const float w = (float)(normal / sqrt(c->D));
        return c->form == AS_BF16  ? bf16_to_float(bf16_of_float(w))
               : c->form == AS_F16 ? half_to_float(half_of_float(w))
                                   : w;
    }
    default:
        return (float)(normal * spread);
    }
}

static inline int32_t case_index(const struct op_case *c, char content, int row,
                                 const struct philox_key *key, uint64_t stream)
{
    switch (content) {
    case 'i':
        return (int32_t)rng_below(key, stream, row, c->O);
    case 'v':
        return c->P && row % 3 != 1 ? -1 - (int32_t)rng_below(key, stream, row, c->P)
                                    : (int32_t)rng_below(key, stream, row, c->O);
    case 'r':
        return (int32_t)rng_below(key, stream, row, c->T);
    case 'x': /* one is free */
        return (row + 1) % (c->N + 1);
    case 'y':
        return (int32_t)rng_below(key, stream, row, c->O - c->T + 1);
    case 'l': /* every fifth row has no label */
        return row % 5 == 4 ? -1 : (int32_t)rng_below(key, stream, row, c->D);
    default: /* sequences of growing length, none empty */
        return row == c->N ? c->T : row * (row + 1) * c->T / (c->N * (c->N + 1));
    }
}

/* Allocates and fills; the padding too, so that a write there is seen. */
static inline struct host_tensor host_tensor_new(const struct op_case *c,
                                                 const char *shape, uint64_t stream)
{
    const struct philox_key key = rng_key(20240229, "kernel cases");
    int is_index = strchr("ivrlsxy", shape[2]) != NULL, is_double = shape[2] == 'd';
    int rows = case_size(c, shape[0]), cols = case_size(c, shape[1]);
    int is_code = shape[2] == 'c', is_half = (strchr("hq", shape[2]) && c->bf16 == 1) ||
                                             (shape[2] == 'k' && c->bf16 == 2);
    int pad = is_index || is_double || is_code || is_half ||
                      (shape[2] == 'w' && c->form != PLAIN)
                  ? 0
                  : c->pad;
    size_t n = (size_t)rows * (cols + pad) + (pad > 0), width = is_double ? 8
                                                                : is_code ? 1
                                                                : is_half ? 2
                                                                          : 4;
    if (rows == 0)
        return (struct host_tensor){.rows_letter = shape[0]};
    char *bytes = xcalloc(n, width);
    for (size_t i = 0; i < n; i++)
        if (is_index)
            ((int32_t *)bytes)[i] = case_index(c, shape[2], (int)i, &key, stream);
        else if (is_code)
            bytes[i] = (char)rng_below(&key, stream, i, 256);
        else if (is_half)
            ((uint16_t *)bytes)[i] =
                bf16_of_float(case_number(c, shape[2], rng_normal(&key, stream, i)));
        else if (is_double)
            ((double *)bytes)[i] = rng_normal(&key, stream, i);
        else
            ((float *)bytes)[i] = case_number(c, shape[2], rng_normal(&key, stream, i));
    return (struct host_tensor){
        .view = {.data = bytes + (pad > 0 ? width : 0),
                 .dtype = is_index    ? DT_I32
                          : is_code   ? DT_U8
                          : is_half   ? DT_BF16
                          : is_double ? DT_F64
                                      : DT_F32,
                 .rows = rows,
                 .cols = cols,
                 .ld = cols + pad},
        .bytes = bytes,
        .size = n * width,
        .rows_letter = shape[0],
    };
}

static inline struct op_args case_args(const struct op_case *c)
{
    int is_attention = c->op == OP_attention || c->op == OP_attention_bwd ||
                       c->op == OP_cached_attention;
    return (struct op_args){
        .accumulate = c->accumulate,
        .attr = {.scale = is_attention ? (float)(1 / sqrt((double)c->D / c->H)) : 0.7f,
                 .eps = c->op == OP_adamw ? 1e-8f : 1e-5f,
                 .p = c->p,
                 .smoothing = c->smoothing,
                 .site = 7,
                 .heads = c->H,
                 .kv_heads = c->KV,
                 .capacity = c->O,
                 .causal = c->causal,
                 .window = c->window,
                 .softcap = c->softcap,
                 .length = c->O / 2,
                 .offset = c->offset,
                 .act = c->act,
                 .loss = c->loss,
                 .lr = 0.01f,
                 .beta1 = 0.9f,
                 .beta2 = 0.999f,
                 .weight_decay = 0.1f,
                 .grad_scale = 0.5f,
                 .t = 3},
        .step = {.seed = 0x0123456789abcdef,
                 .step = 5,
                 .token_base = 11,
                 .loss_scale = 0.25f},
    };
}

static inline void call_run(const struct call *call, const struct backend *b,
                            int in_place, struct outcome *o);

static inline void outcome_free(struct outcome *o)
{
    for (int i = 0; i < OP_MAX_OUT; i++)
        free(o->out[i]);
}

/* Copies of another call's tensors. */
static inline struct host_tensor host_tensor_copy(const struct host_tensor *t)
{
    struct host_tensor copy = *t;
    if (!t->bytes)
        return copy;
    copy.bytes = xmalloc(t->size);
    memcpy(copy.bytes, t->bytes, t->size);
    if (t->view.data)
        copy.view.data = copy.bytes + ((char *)t->view.data - t->bytes);
    return copy;
}

static inline void call_free(struct call *call)
{
    for (int i = 0; i < OP_MAX_IN; i++)
        free(call->in[i].bytes);
    for (int i = 0; i < OP_MAX_OUT; i++)
        free(call->out[i].bytes);
}

/* Fills `view` from another buffer of the same shape but perhaps another stride. */
static inline void host_tensor_set(struct host_tensor *t, const struct host_tensor *from,
                                   const char *bytes)
{
    const char *src = bytes + ((char *)from->view.data - from->bytes);
    for (int64_t r = 0; r < t->view.rows; r++)
        memcpy((float *)t->view.data + r * t->view.ld,
               (const float *)src + r * from->view.ld, t->view.cols * sizeof(float));
}

static inline void call_new(struct call *call, const struct op_case *c);

/* The inputs of a backward op that its forward op makes, by ref. */
static inline void call_add_forward(struct call *call, enum op forward,
                                    const int (*from)[2], const int (*to)[2])
{
    struct op_case fc = *call->c;
    fc.op = forward;
    fc.absent_in = fc.absent_out = fc.accumulate = 0;
    struct call f;
    struct outcome o;
    call_new(&f, &fc);
    for (; (*from)[0] >= 0; from++) /* {forward's input, ours} */
        if (f.in[(*from)[0]].bytes)
            memcpy(f.in[(*from)[0]].bytes, call->in[(*from)[1]].bytes,
                   f.in[(*from)[0]].size);
    call_run(&f, backend_get("ref", NULL), 0, &o);
    for (; (*to)[0] >= 0; to++) /* {forward's output, our input} */
        host_tensor_set(&call->in[(*to)[1]], &f.out[(*to)[0]], o.out[(*to)[0]]);
    outcome_free(&o);
    call_free(&f);
}

static inline void call_new(struct call *call, const struct op_case *c)
{
    static const int norm_in[][2] = {{0, 1}, {1, 2}, {-1, -1}};
    static const int norm_out[][2] = {{1, 3}, {-1, -1}};
    static const int attention_in[][2] = {{0, 1}, {1, 2}, {2, 3},  {3, 6},
                                          {4, 7}, {5, 8}, {-1, -1}};
    static const int attention_out[][2] = {{0, 4}, {1, 5}, {-1, -1}};
    *call = (struct call){.c = c, .args = case_args(c)};
    for (int i = 0; i < op_info[c->op].n_in; i++) {
        call->in[i] = host_tensor_new(c, shapes[c->op].in[i], i);
        if (c->absent_in >> i & 1)
            call->in[i].view.data = NULL;
    }
    for (int i = 0; i < op_info[c->op].n_out; i++) {
        call->out[i] = host_tensor_new(c, shapes[c->op].out[i], 100 + i);
        if (c->absent_out >> i & 1)
            call->out[i].view.data = NULL;
    }
    call->spec = (struct weight_spec){
        .rows = c->O,
        .cols = c->D,
        .quant = c->form == FP4   ? QUANT_FP4
                 : c->form >= NF4 ? QUANT_NF4
                                  : QUANT_NONE,
        .block = 64,
        .double_quant = c->form == NF4_DQ,
        .dx_panels = c->op == OP_linear_dx && c->T % 2,
        .compute = c->bf16 ? DT_BF16 : DT_F32,
        .stored = c->form == AS_BF16  ? DT_BF16
                  : c->form == AS_F16 ? DT_F16
                                      : DT_F32,
    };
    call->args.attr.compute = call->spec.compute;
    if (c->op == OP_rmsnorm_bwd)
        call_add_forward(call, OP_rmsnorm, norm_in, norm_out);
    if (c->op == OP_layernorm_bwd)
        call_add_forward(call, OP_layernorm, norm_in, norm_out);
    if (c->op == OP_attention_bwd)
        call_add_forward(call, OP_attention, attention_in, attention_out);
}

/* --------------------------------------------------------------------- running it */

static inline struct tensor device_tensor(const struct backend *b,
                                          const struct host_tensor *t, void **memory)
{
    struct tensor d = t->view;
    *memory = NULL;
    if (!t->view.data)
        return d;
    *memory = b->alloc(b->device, t->size);
    assert_non_null(*memory);
    b->upload(b->device, *memory, t->bytes, t->size);
    d.data = (char *)*memory + ((char *)t->view.data - t->bytes);
    return d;
}

static inline struct tensor device_weight(const struct backend *b,
                                          const struct host_tensor *t,
                                          const struct weight_spec *spec, void **memory)
{
    struct tensor d = t->view;
    struct err err = ERR_INIT;
    *memory = b->alloc(b->device, b->weight_bytes(spec));
    assert_non_null(*memory);
    if (backend_prepare(b, spec, (float *)t->bytes, *memory, &err))
        fail_msg("%s", err.msg);
    d.data = *memory;
    d.dtype = DT_PREPARED;
    d.spec = spec;
    return d;
}

/* Copies of the tensors on the device. */
struct opened {
    struct op_args args;
    void *in[OP_MAX_IN], *out[OP_MAX_OUT];
};

static inline void call_open(const struct call *call, const struct backend *b,
                             struct opened *o)
{
    const struct op_info *info = &op_info[call->c->op];
    *o = (struct opened){.args = call->args};
    for (int i = 0; i < info->n_in; i++) {
        int weight = shapes[call->c->op].in[i][2] == 'w' && call->c->form != PLAIN;
        o->args.in[i] = weight ? device_weight(b, &call->in[i], &call->spec, &o->in[i])
                               : device_tensor(b, &call->in[i], &o->in[i]);
    }
    for (int i = 0; i < info->n_out; i++)
        o->args.out[i] = device_tensor(b, &call->out[i], &o->out[i]);
    size_t workspace = b->workspace_bytes(b->device, call->c->op, &o->args);
    o->args.workspace = workspace ? b->alloc(b->device, workspace) : NULL;
}

static inline void call_close(const struct call *call, const struct backend *b,
                              const struct opened *a, struct outcome *o)
{
    const struct op_info *info = &op_info[call->c->op];
    b->sync(b->device);
    *o = (struct outcome){{0}};
    for (int i = 0; i < info->n_out; i++) {
        if (!a->out[i])
            continue;
        o->out[i] = xmalloc(call->out[i].size);
        b->download(b->device, o->out[i], a->out[i], call->out[i].size);
        b->release(b->device, a->out[i]);
    }
    for (int i = 0; i < info->n_in; i++)
        b->release(b->device, a->in[i]);
    b->release(b->device, a->args.workspace);
}

/* Runs on copies of the tensors; `in_place` puts out[0] over in[0]. */
static inline void call_run(const struct call *call, const struct backend *b,
                            int in_place, struct outcome *o)
{
    struct opened a;
    call_open(call, b, &a);
    if (in_place) {
        b->upload(b->device, a.out[0], call->in[0].bytes, call->in[0].size);
        a.args.in[0].data = a.args.out[0].data;
    }
    backend_call(b, call->c->op, &a.args);
    call_close(call, b, &a, o);
}

/* ------------------------------------------------------------------------- the rest */

/* "linear #3 (T 5 D 7 O 3)" for messages. */
static inline const char *case_name(const struct op_case *c)
{
    static char text[160];
    snprintf(text, sizeof text, "%s (case %d: T %d D %d O %d N %d P %d H %d pad %d)",
             op_info[c->op].name, (int)(c - cases), c->T, c->D, c->O, c->N, c->P, c->H,
             c->pad);
    return text;
}

/* Cases of what a backend declines are left out for it. */
static inline bool case_is_taken(const struct backend *b, const struct op_case *c)
{
    const bool only_stored = c->op == OP_cache_store || c->op == OP_cached_attention ||
                             c->op == OP_adamw || c->op == OP_copy;
    const struct op_args a = {.attr.compute = c->bf16 && !only_stored ? DT_BF16 : DT_F32};
    return backend_takes(b, c->op, &a, NULL) == 0;
}

/* Element (r, c) of an output in `bytes`, a buffer like t's own. */
static inline double element(const struct host_tensor *t, const char *bytes, int64_t r,
                             int64_t c)
{
    const char *data = bytes + ((char *)t->view.data - t->bytes);
    int64_t i = r * t->view.ld + c;
    if (t->view.dtype == DT_U8)
        return ((const unsigned char *)data)[i];
    if (t->view.dtype == DT_BF16)
        return bf16_to_float(((const uint16_t *)data)[i]);
    return t->view.dtype == DT_F64 ? ((const double *)data)[i] : ((const float *)data)[i];
}

/* Every backend that can run here. */
static inline int test_backends(const struct backend **list)
{
    int n = 0;
    list[n++] = backend_get("ref", NULL);
    for (int isa = ISA_COUNT - 1; isa >= 0; isa--) {
        const struct backend *b = cpu_backend_variant(isa_name((enum isa)isa));
        if (b)
            list[n++] = b;
    }
    assert_true(n >= 2);                       /* generic runs everywhere */
    for (size_t i = 0; backend_name(i); i++) { /* those of shared objects, if built */
        struct err err = ERR_INIT;
        const struct backend *b = backend_get(backend_name(i), &err);
        if (b && strncmp(backend_name(i), "cuda", 4) == 0)
            list[n++] = b;
    }
    return n;
}

enum { BACKENDS_MAX = 8 };

#endif
