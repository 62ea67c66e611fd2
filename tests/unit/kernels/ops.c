/* tests/unit/kernels/ops.c - every case of every op on every backend that runs here,
 * against ref: values, accumulation, working in place, padding left alone. */
#include "tests/unit/kernels/call.h"
#include "kernels/nf4.h"

static const struct backend *backends[BACKENDS_MAX];
static int backend_count;

/* |ours - want| / |want| over the output, by norm. */
static double relative_error(const struct host_tensor *t, const char *ours,
                             const char *want)
{
    double difference = 0, size = 0;
    for (int64_t r = 0; r < t->view.rows; r++)
        for (int64_t c = 0; c < t->view.cols; c++) {
            double w = element(t, want, r, c), d = element(t, ours, r, c) - w;
            difference += d * d;
            size += w * w;
        }
    return difference == 0 ? 0 : sqrt(difference / size);
}

static void assert_close(const struct call *call, const struct backend *b,
                         const struct outcome *ours, const struct outcome *want,
                         const char *what)
{
    for (int i = 0; i < op_info[call->c->op].n_out; i++) {
        if (!call->out[i].view.data)
            continue;
        double e = relative_error(&call->out[i], ours->out[i], want->out[i]);
        const enum dtype t = call->out[i].view.dtype;
        /* of bf16 one in some thousand is rounded the other way */
        double limit = t == DT_F64 ? 1e-12 : t == DT_BF16 ? 1e-4 : 3e-6;
        if (!(e <= limit)) /* NaN too */
            fail_msg("%s %s: %s: out[%d] is off by %.2e (%s)", b->name, b->variant,
                     case_name(call->c), i, e, what);
    }
}

/* Everything outside the view is as it was. */
static void assert_padding_kept(const struct call *call, const struct backend *b,
                                const struct outcome *o)
{
    for (int i = 0; i < op_info[call->c->op].n_out; i++) {
        const struct host_tensor *t = &call->out[i];
        if (!t->view.data)
            continue;
        size_t width = dtype_bytes(t->view.dtype), n = t->size / width;
        int64_t first = ((char *)t->view.data - t->bytes) / (int64_t)width;
        for (int64_t k = 0; k < (int64_t)n; k++) {
            int64_t at = k - first;
            int inside = at >= 0 && at % t->view.ld < t->view.cols &&
                         at / t->view.ld < t->view.rows;
            if (!inside && memcmp(o->out[i] + k * width, t->bytes + k * width, width))
                fail_msg("%s %s: %s: out[%d] wrote outside its columns", b->name,
                         b->variant, case_name(call->c), i);
        }
    }
}

static void close_to_ref(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        struct call call;
        struct outcome want, ours;
        call_new(&call, &cases[k]);
        call_run(&call, backends[0], 0, &want);
        for (int b = 0; b < backend_count; b++) {
            if (!case_is_taken(backends[b], &cases[k]))
                continue;
            call_run(&call, backends[b], 0, &ours);
            assert_close(&call, backends[b], &ours, &want, "against ref");
            assert_padding_kept(&call, backends[b], &ours);
            outcome_free(&ours);
        }
        outcome_free(&want);
        call_free(&call);
    }
}

/* Does the op update its outputs, so that `accumulate` has no meaning? */
static int updates_outputs(enum op op)
{
    return op == OP_adamw || op == OP_adamw_8bit || op == OP_sgd || op == OP_zero ||
           op == OP_cache_store;
}

/* want = what was there + what overwriting gives. */
static void add_initial(const struct call *call, struct outcome *o)
{
    for (int i = 0; i < op_info[call->c->op].n_out; i++) {
        const struct host_tensor *t = &call->out[i];
        if (!t->view.data || !(call->c->accumulate >> i & 1))
            continue;
        int64_t first = (char *)t->view.data - t->bytes;
        for (int64_t r = 0; r < t->view.rows; r++)
            for (int64_t c = 0; c < t->view.cols; c++) {
                int64_t at = r * t->view.ld + c;
                double sum = element(t, o->out[i], r, c) + element(t, t->bytes, r, c);
                if (t->view.dtype == DT_F64)
                    ((double *)(o->out[i] + first))[at] = sum;
                else
                    ((float *)(o->out[i] + first))[at] = (float)sum;
            }
    }
}

static void accumulating_adds(void **state)
{
    (void)state;
    int seen[OP_COUNT] = {0};
    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        struct call call;
        struct outcome want, ours;
        if (!cases[k].accumulate)
            continue;
        seen[cases[k].op] = 1;
        call_new(&call, &cases[k]);
        for (int b = 0; b < backend_count; b++) {
            if (!case_is_taken(backends[b], &cases[k]))
                continue;
            call.args.accumulate = 0;
            call_run(&call, backends[b], 0, &want);
            add_initial(&call, &want);
            call.args.accumulate = cases[k].accumulate;
            call_run(&call, backends[b], 0, &ours);
            assert_close(&call, backends[b], &ours, &want, "accumulate");
            outcome_free(&want);
            outcome_free(&ours);
        }
        call_free(&call);
    }
    for (int op = 0; op < OP_COUNT; op++)
        if (!seen[op] && !updates_outputs(op))
            fail_msg("no case of '%s' accumulates", op_info[op].name);
}

/* The same numbers whether out[0] is new memory or that of in[0]. */
static void in_place_is_the_same(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        struct call call;
        struct outcome want, ours;
        if (!op_info[cases[k].op].in_place || cases[k].accumulate)
            continue;
        call_new(&call, &cases[k]);
        for (int b = 0; b < backend_count; b++) {
            call_run(&call, backends[b], 0, &want);
            call_run(&call, backends[b], 1, &ours);
            if (relative_error(&call.out[0], ours.out[0], want.out[0]) != 0)
                fail_msg("%s %s: %s: other numbers in place", backends[b]->name,
                         backends[b]->variant, case_name(&cases[k]));
            outcome_free(&want);
            outcome_free(&ours);
        }
        call_free(&call);
    }
}

/* Leaving out one output does not change another. */
static void outputs_are_independent(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        const struct op_case *c = &cases[k];
        int required =
            c->op == OP_layernorm || c->op == OP_rmsnorm || c->op == OP_attention;
        int n_out = op_info[c->op].n_out;
        if (n_out < 2 || c->absent_out || updates_outputs(c->op))
            continue;
        struct call call;
        struct outcome want, ours;
        call_new(&call, c);
        for (int b = 0; b < backend_count; b++) {
            call_run(&call, backends[b], 0, &want);
            for (int i = required ? 1 : 0; i < n_out; i++) {
                void *data = call.out[i].view.data;
                call.out[i].view.data = NULL;
                call_run(&call, backends[b], 0, &ours);
                assert_close(&call, backends[b], &ours, &want, "an output left out");
                call.out[i].view.data = data;
                outcome_free(&ours);
            }
            outcome_free(&want);
        }
        call_free(&call);
    }
}

/* Values of 16 bits take less memory, products of them are those of fp32 bit for bit. */
static void sixteen_bits_are_enough(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        struct call call;
        struct outcome want, ours;
        call_new(&call, &cases[k]);
        struct weight_spec wide = call.spec;
        wide.stored = DT_F32;
        for (int b = 0; b < backend_count && call.spec.stored != DT_F32; b++) {
            const struct backend *be = backends[b];
            if (!strcmp(be->name, "cpu"))
                assert_int_equal(2 * be->weight_bytes(&call.spec),
                                 be->weight_bytes(&wide));
            call_run(&call, be, 0, &ours);
            struct call same = call;
            same.spec = wide;
            call_run(&same, be, 0, &want);
            if (memcmp(ours.out[0], want.out[0], call.out[0].size))
                fail_msg("%s %s: %s: other bits of a weight kept in 16 bits", be->name,
                         be->variant, case_name(&cases[k]));
            outcome_free(&want);
            outcome_free(&ours);
        }
        call_free(&call);
    }
}

static void every_op_has_a_case(void **state)
{
    (void)state;
    int seen[OP_COUNT] = {0};
    for (size_t k = 0; k < ARRAY_LEN(cases); k++)
        seen[cases[k].op] = 1;
    for (int op = 0; op < OP_COUNT; op++) {
        const struct op_info *info = &op_info[op];
        int n_in = 0, n_out = 0;
        while (n_in < OP_MAX_IN && shapes[op].in[n_in])
            n_in++;
        while (n_out < OP_MAX_OUT && shapes[op].out[n_out])
            n_out++;
        if (!seen[op])
            fail_msg("op '%s' has no case", info->name);
        if (n_in != info->n_in || n_out != info->n_out)
            fail_msg("op '%s' has %d inputs and %d outputs in `shapes`, %d and %d in "
                     "ops.def",
                     info->name, n_in, n_out, info->n_in, info->n_out);
        for (int b = 0; b < backend_count; b++)
            assert_non_null(backends[b]->ops[op]);
    }
}

/* The nearest such number, odd ones among them. */
static float sixteen_bits(float x, size_t i, enum dtype t)
{
    static const float odd[] = {0.0f, -0.0f, 0x1p-24f, -0x1.4p-15f, INFINITY, 65504.0f};
    if (t == DT_F32)
        return x;
    if (i < ARRAY_LEN(odd) && (t == DT_F16 || i < 4))
        return odd[i];
    return t == DT_F16 ? half_to_float(half_of_float(x))
                       : bf16_to_float(bf16_of_float(x));
}

/* What a backend gives back of a prepared weight is what ref does: the weight itself, or
 * its dequantised values. */
static void weights_unpack(void **state)
{
    (void)state;
    static const struct weight_spec specs[] = {
        {37, 53, QUANT_NONE, 0, 0, 0, DT_F32, DT_F32, DT_F32},
        {384, 8, QUANT_NONE, 0, 0, 1, DT_F32, DT_F32, DT_F32},
        {8, 384, QUANT_NONE, 0, 0, 1, DT_F32, DT_F32, DT_F32},
        {37, 53, QUANT_NF4, 64, 0, 1, DT_F32, DT_F32, DT_F32},
        {96, 80, QUANT_NF4, 64, 1, 1, DT_F32, DT_F32, DT_F32},
        {37, 53, QUANT_NF4, 128, 1, 0, DT_F32, DT_F32, DT_F32},
        {33, 64, QUANT_FP4, 64, 1, 1, DT_F32, DT_F32, DT_F32},
        {37, 53, QUANT_NF4, 64, 1, 1, DT_BF16, DT_F32, DT_F32},
        {37, 53, QUANT_NF4, 64, 1, 1, DT_F32, DT_BF16, DT_F32},
        {37, 53, QUANT_FP4, 32, 0, 1, DT_F32, DT_F16, DT_F32},
        {37, 53, QUANT_NONE, 0, 0, 0, DT_F32, DT_F32, DT_BF16},
        {53, 37, QUANT_NONE, 0, 0, 1, DT_F32, DT_F32, DT_F16},
    };
    const struct philox_key key = rng_key(1, "weights");
    for (size_t s = 0; s < ARRAY_LEN(specs); s++) {
        size_t n = (size_t)specs[s].rows * specs[s].cols, bytes = n * sizeof(float);
        float *w = xmalloc(bytes), *want = xmalloc(bytes), *ours = xmalloc(bytes);
        for (size_t i = 0; i < n; i++)
            w[i] = sixteen_bits((float)rng_normal(&key, s, i), i, specs[s].stored);
        memcpy(want, w, bytes);
        if (specs[s].quant != QUANT_NONE) {
            char *q = xmalloc(q4_layout(&specs[s]).bytes);
            q4_quantize(w, &specs[s], q);
            q4_dequantize(q, &specs[s], 0, n, want);
            free(q);
        }
        for (int b = 0; b < backend_count; b++) {
            const struct backend *be = backends[b];
            if (specs[s].compute == DT_BF16 && !strncmp(be->name, "cuda", 4))
                continue;
            void *prepared = be->alloc(be->device, be->weight_bytes(&specs[s]));
            assert_int_equal(backend_prepare(be, &specs[s], w, prepared, NULL), 0);
            be->weight_unpack(be->device, &specs[s], prepared, ours);
            for (size_t i = 0; i < n; i++)
                if (ours[i] != want[i])
                    fail_msg("%s %s: weight %zu: element %zu is %a, not %a", be->name,
                             be->variant, s, i, ours[i], want[i]);
            be->release(be->device, prepared);
        }
        free(w), free(want), free(ours);
    }
}

static void bad_weights_are_refused(void **state)
{
    (void)state;
    float w[64 * 2] = {0};
    struct weight_spec spec = {2, 64, QUANT_NF4, 64, 1, 0, DT_F32, DT_F32, DT_F32};
    for (int b = 0; b < backend_count; b++) {
        void *prepared =
            backends[b]->alloc(backends[b]->device, backends[b]->weight_bytes(&spec));
        w[70] = NAN;
        assert_int_equal(backend_prepare(backends[b], &spec, w, prepared, NULL),
                         -ERR_PARSE);
        w[70] = 0;
        spec.block = 48;
        assert_int_equal(backend_prepare(backends[b], &spec, w, prepared, NULL),
                         -ERR_CONFIG);
        spec.block = 64;
        backends[b]->release(backends[b]->device, prepared);
    }
}

static void registry(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    for (int b = 0; b < backend_count; b++) {
        assert_int_equal(backends[b]->abi, BACKEND_ABI);
#ifndef __SANITIZE_ADDRESS__ /* which dies of such a size itself */
        assert_null(backends[b]->alloc(backends[b]->device, SIZE_MAX / 4));
#endif
        backends[b]->release(backends[b]->device, NULL);
    }
    assert_string_equal(backend_get("cpu", &err)->name, "cpu");
    assert_string_equal(backend_get("ref", &err)->name, "ref");
    assert_int_equal(err.code, ERR_OK);
    assert_null(backend_get("abacus", &err));
    assert_int_equal(err.code, ERR_DEVICE);
    assert_non_null(strstr(err.msg, "'abacus'"));
    assert_null(cpu_backend_variant("abacus"));
}

/* A backend says before it runs what it will not, and why. */
static void may_decline(void **state)
{
    (void)state;
    const struct backend *emul = backend_get("cuda-emul", NULL);
    struct err err = ERR_INIT;
    float some;
    struct op_args a = {.attr.compute = DT_BF16};
    for (int b = 0; b < backend_count; b++) {
        assert_true(backends[b]->activations >> DT_F32 & 1);
        if (strncmp(backends[b]->name, "cuda", 4) != 0)
            assert_int_equal(backend_takes(backends[b], OP_linear, &a, &err), 0);
    }
    if (!emul)
        return;
    assert_int_equal(backend_takes(emul, OP_linear, &a, &err), -ERR_CONFIG);
    assert_string_equal(err.msg, "backend 'cuda-emul' does not run 'linear' here: it "
                                 "computes in float32 only - leave dtype out, or use "
                                 "backend cpu");
    a = (struct op_args){.out[0] = {&some, DT_F32, 1 << 20, 1 << 11, 1 << 11, NULL}};
    assert_int_equal(backend_takes(emul, OP_zero, &a, NULL), -ERR_CONFIG);
    a.out[0].rows--;
    assert_int_equal(backend_takes(emul, OP_zero, &a, NULL), 0);
}

static void flops(void **state)
{
    (void)state;
    float some;
    struct op_args a = {.accumulate = 0};
    a.in[0] = (struct tensor){&some, DT_F32, 10, 20, 20, NULL};
    a.out[0] = (struct tensor){&some, DT_F32, 10, 30, 30, NULL};
    assert_true(op_flops(OP_linear, &a) == 2 * 10 * 20 * 30);
    assert_true(op_flops(OP_linear_dx, &a) == 2 * 10 * 20 * 30);
    a.in[1] = (struct tensor){&some, DT_F32, 10, 7, 7, NULL};
    assert_true(op_flops(OP_linear_dw, &a) == 2 * 10 * 20 * 7);
    a.in[3] = (struct tensor){&some, DT_I32, 3, 1, 1, NULL}; /* two sequences of 5 */
    assert_true(op_flops(OP_attention, &a) == 4 * 10 * 5 * 20);
    a.in[4] = (struct tensor){&some, DT_F32, 2, 20, 20, NULL};
    assert_true(op_flops(OP_attention, &a) == 4 * 10 * 7 * 20);
    a.attr.causal = 1;
    assert_true(op_flops(OP_attention, &a) == 4 * 10 * 4.5 * 20);
    assert_true(op_flops(OP_copy, &a) == 0);
}

static void dtypes(void **state)
{
    (void)state;
    assert_int_equal(dtype_bytes(DT_BF16), 2);
    assert_int_equal(dtype_bytes(DT_I64), 8);
    assert_string_equal(dtype_word(DT_F16), "F16");
    assert_string_equal(op_info[OP_linear].name, "linear");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixteen_bits_are_enough),
        cmocka_unit_test(every_op_has_a_case),
        cmocka_unit_test(close_to_ref),
        cmocka_unit_test(accumulating_adds),
        cmocka_unit_test(in_place_is_the_same),
        cmocka_unit_test(outputs_are_independent),
        cmocka_unit_test(weights_unpack),
        cmocka_unit_test(bad_weights_are_refused),
        cmocka_unit_test(registry),
        cmocka_unit_test(may_decline),
        cmocka_unit_test(flops),
        cmocka_unit_test(dtypes),
    };
    backend_count = test_backends(backends);
    for (int b = 0; b < backend_count; b++)
        printf("backend %s %s\n", backends[b]->name, backends[b]->variant);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
