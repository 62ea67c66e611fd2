/* tests/unit/kernels/cpu.c - what is particular to the cpu backend: its functions'
 * errors over their whole range, products beyond one slab and chunk, the choice of a
 * variant. Ops against ref are in ops.c. */
#include "kernels/cpu/cpu.h"
#include "lib/mem.h"
#include "lib/os/isa.h"
#include "lib/os/pool.h"
#include "lib/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The functions themselves, in the width that every machine has. */
#define CPU_WIDTH 4
#include "kernels/cpu/simd/vmath.h"

/* Narrow ones first. */
#define EACH_VARIANT(b)                                                                  \
    for (int v_ = ISA_COUNT - 1; v_ >= 0; v_--)                                          \
        for (const struct backend *b = cpu_backend_variant(isa_name((enum isa)v_)); b;   \
             b = NULL)

/* ---- functions ---- */

static float exp1(float x)
{
    return vf_exp(vf_splat(x))[0];
}

static void exp_is_close(void **state)
{
    (void)state;
    double worst = 0;
    for (float x = -87.0f; x < 88.7f; x += 0x1.23p-12f)
        worst = fmax(worst, fabs(exp1(x) / exp((double)x) - 1));
    assert_true(worst < 1.2e-7);
    assert_true(exp1(0) == 1);
    assert_true(exp1(-INFINITY) == 0 && exp1(-200) == 0);
    assert_true(isinf(exp1(INFINITY)) && isinf(exp1(88.8f)) && isnan(exp1(NAN)));
    assert_true(fabs(exp1(-95) - exp(-95.0)) < 1e-45); /* below the normal numbers */
}

static float falling1(float x)
{
    return vf_exp_falling(vf_splat(x))[0];
}

/* What softmax asks for: a score below the largest, or one that is hidden. */
static void falling_exp_is_close(void **state)
{
    (void)state;
    for (float x = -87; x < 1e-3f; x += 0x1.23p-12f)
        assert_true(fabs(falling1(x) / exp((double)x) - 1) < 1.2e-7);
    for (float x = -120; x < -87; x += 0x1.23p-6f)
        assert_true(falling1(x) >= 0 && falling1(x) <= exp(-87.0));
    assert_true(falling1(0) == 1 && falling1(-INFINITY) == 0 && isnan(falling1(NAN)));
}

static void log_is_close(void **state)
{
    (void)state;
    double worst = 0;
    for (float x = 0x1p-20f; x < 1e6f; x *= 1 + 0x1.3p-14f) {
        const double want = log((double)x);
        worst = fmax(worst, fabs(vf_log(vf_splat(x))[0] - want) / fmax(1, fabs(want)));
    }
    assert_true(worst < 1.2e-7);
    assert_true(vf_log(vf_splat(1))[0] == 0 && isnan(vf_log(vf_splat(NAN))[0]));
}

/* Runs y = f(x), or dx = f'(x), over n numbers. */
static void run_act(const struct backend *b, enum op op, enum act act, float *x, float *y,
                    int n)
{
    float *one = xmalloc(n * sizeof(*one));
    for (int i = 0; i < n; i++)
        one[i] = 1;
    const struct tensor tx = {x, DT_F32, 1, n, n, NULL};
    const struct tensor dy = {one, DT_F32, 1, n, n, NULL};
    struct op_args args = {.attr = {.act = act}, .out = {{y, DT_F32, 1, n, n, NULL}}};
    args.in[0] = op == OP_act ? tx : dy;
    if (op == OP_act_bwd)
        args.in[1] = tx;
    backend_call(b, op, &args);
    free(one);
}

static double gelu(double x)
{
    return x * erfc(-x * M_SQRT1_2) / 2;
}

static double gelu_slope(double x)
{
    return erfc(-x * M_SQRT1_2) / 2 + x * exp(-x * x / 2) / sqrt(2 * M_PI);
}

static double gelu_tanh(double x)
{
    return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double gelu_tanh_slope(double x)
{
    const double k = sqrt(2 / M_PI), y = tanh(k * (x + 0.044715 * x * x * x));
    return (1 + y) / 2 + x / 2 * (1 - y * y) * k * (1 + 3 * 0.044715 * x * x);
}

static double tanh_slope(double x)
{
    return 1 - tanh(x) * tanh(x);
}

static void acts_are_close(void **state)
{
    (void)state;
    static const struct {
        enum op op;
        enum act act;
        double (*f)(double);
        double error; /* of max(1, |f|) */
    } all[] = {
        {OP_act, ACT_gelu, gelu, 4e-7},
        {OP_act_bwd, ACT_gelu, gelu_slope, 4e-7},
        {OP_act, ACT_gelu_tanh, gelu_tanh, 4e-7},
        {OP_act_bwd, ACT_gelu_tanh, gelu_tanh_slope, 4e-7},
        {OP_act, ACT_tanh, tanh, 2e-7},
        {OP_act_bwd, ACT_tanh, tanh_slope, 4e-7},
    };
    enum { N = 80001 };
    float *x = xmalloc(N * sizeof(*x)), *y = xmalloc(N * sizeof(*y));
    for (int i = 0; i < N; i++)
        x[i] = (float)(i - N / 2) * (20.0f / (N / 2));
    EACH_VARIANT(b)
    for (size_t k = 0; k < ARRAY_LEN(all); k++) {
        double worst = 0;
        run_act(b, all[k].op, all[k].act, x, y, N);
        for (int i = 0; i < N; i++) {
            double want = all[k].f(x[i]);
            worst = fmax(worst, fabs(y[i] - want) / fmax(1, fabs(want)));
        }
        if (!(worst < all[k].error))
            fail_msg("%s: function %zu is off by %g", b->variant, k, worst);
    }
    free(x);
    free(y);
}

static void tanh_keeps_small_numbers(void **state)
{
    (void)state;
    EACH_VARIANT(b)
    {
        float x[37], y[37];
        for (int i = 0; i < 37; i++)
            x[i] = ldexpf(i % 2 ? -1.1f : 1.1f, -i);
        run_act(b, OP_act, ACT_tanh, x, y, 37);
        for (int i = 0; i < 37; i++)
            assert_true(fabs(y[i] / tanh((double)x[i]) - 1) < 3e-7);
    }
}

/* A diverged training must be seen, not smoothed over. */
static void nan_comes_through(void **state)
{
    (void)state;
    EACH_VARIANT(b)
    for (int act = 0; act < ACT_COUNT; act++) {
        float x[19] = {0}, y[19];
        x[0] = x[9] = x[18] = NAN;
        run_act(b, OP_act, (enum act)act, x, y, 19);
        for (int i = 0; i < 19; i++)
            assert_int_equal(isnan(y[i]) != 0, i % 9 == 0);
    }
}

static void far_gelu(void **state)
{
    (void)state;
    static const enum act acts[] = {ACT_gelu, ACT_gelu_tanh};
    EACH_VARIANT(b)
    for (size_t k = 0; k < ARRAY_LEN(acts); k++) {
        float x[] = {100, -100, 1e30f, -1e30f, 0, INFINITY}, y[6];
        run_act(b, OP_act, acts[k], x, y, 6);
        for (int i = 0; i < 6; i++)
            assert_true(y[i] == fmaxf(x[i], 0));
        run_act(b, OP_act_bwd, acts[k], x, y, 4);
        for (int i = 0; i < 4; i++)
            assert_true(y[i] == (x[i] > 0));
    }
}

/* ---- products larger than what is packed at a time ---- */

enum { ROWS = 1201, IN = 1703, OUT = 41 };

static float *numbers(uint64_t stream, size_t n)
{
    const struct philox_key key = rng_key(7, "kernels_cpu");
    float *p = xmalloc(n * sizeof(*p));
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(rng_uniform(&key, stream, i) - 0.5);
    return p;
}

static void run(const struct backend *b, enum op op, struct op_args *args)
{
    size_t bytes = b->workspace_bytes(b->device, op, args);
    /* What lies behind the workspace must stay. */
    char *memory = b->alloc(b->device, bytes + 64);
    memset(memory, 0xff, bytes + 64);
    args->workspace = memory;
    b->ops[op](args);
    for (int i = 0; i < 64; i++)
        assert_int_equal((unsigned char)memory[bytes + i], 0xff);
    b->release(b->device, memory);
}

static struct tensor view(float *data, int rows, int cols)
{
    return (struct tensor){data, DT_F32, rows, cols, cols, NULL};
}

static double product(const float *a, size_t a_step, const float *b, size_t b_step, int n)
{
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += (double)a[k * a_step] * b[k * b_step];
    return sum;
}

/* The nearest bf16, found without bit tricks: of the two neighbours the closer one, of
 * equally close ones that with the even last bit. */
static float nearest_bf16(float x)
{
    int exponent;
    frexpf(x, &exponent);
    const double unit = ldexp(1, exponent - 8);
    return (float)(nearbyint(x / unit) * unit);
}

static void bf16_rounds_to_even(void **state)
{
    (void)state;
    enum { N = 64 };
    float x[N], w[2] = {1, 0}, y[N / 2];
    for (int i = 0; i < N; i++) { /* ties, and just beside them */
        x[i] = ldexpf(1 + (float)(2 * (i / 3) + 1) / 256, i % 7 - 3) * (i % 2 ? -1 : 1);
        x[i] += (float)(i % 3 - 1) * ldexpf(1, i % 7 - 3 - 20);
    }
    EACH_VARIANT(b)
    for (int prepared = 0; prepared < 2; prepared++) {
        struct weight_spec spec = {.rows = 1, .cols = 2, .compute = DT_BF16};
        struct tensor weight = view(w, 1, 2);
        if (prepared) {
            weight.data = b->alloc(b->device, b->weight_bytes(&spec));
            weight.dtype = DT_PREPARED;
            weight.spec = &spec;
            assert_int_equal(backend_prepare(b, &spec, w, weight.data, NULL), 0);
        }
        struct op_args f = {
            .attr = {.scale = 1, .compute = DT_BF16},
            .in = {view(x, N / 2, 2), weight},
            .out = {view(y, N / 2, 1)},
        };
        run(b, OP_linear, &f);
        for (int i = 0; i < N / 2; i++)
            assert_true(y[i] == nearest_bf16(x[2 * i]));
        if (prepared)
            b->release(b->device, weight.data);
    }
}

static void large_products(void **state)
{
    (void)state;
    float *x = numbers(0, ROWS * IN), *w = numbers(1, OUT * IN);
    float *y = numbers(2, ROWS * OUT), *alone = xmalloc(OUT * sizeof(*alone));
    float *dx = numbers(3, ROWS * IN), *dw = numbers(4, OUT * IN);
    float *dy = numbers(5, ROWS * OUT);
    struct weight_spec spec = {.rows = OUT, .cols = IN, .block = 64};
    EACH_VARIANT(b)
    for (int round = 0; round < 6;
         round++) { /* plain, panels, 4 bits, bf16 panels, both turned */
        const int form = round < 4 ? round : round == 4 ? 1 : 3;
        spec.dx_panels = round < 4;
        struct tensor weight = view(w, OUT, IN);
        float *plain = w;
        spec.quant = form == 2 ? QUANT_NF4 : QUANT_NONE;
        spec.double_quant = form == 2;
        spec.compute = form == 3 ? DT_BF16 : DT_F32;
        for (int i = 0; i < ROWS * IN && form == 3; i++)
            x[i] = nearest_bf16(x[i]); /* as the product does anyway */
        for (int i = 0; i < ROWS * OUT && form == 3; i++)
            dy[i] = nearest_bf16(dy[i]);
        if (form) {
            weight.data = b->alloc(b->device, b->weight_bytes(&spec));
            weight.dtype = DT_PREPARED;
            weight.spec = &spec;
            assert_int_equal(backend_prepare(b, &spec, w, weight.data, NULL), 0);
            plain = xmalloc(OUT * IN * sizeof(*plain));
            b->weight_unpack(b->device, &spec, weight.data, plain);
        }
        struct op_args f = {
            .attr = {.scale = 1},
            .in = {view(x, ROWS, IN), weight},
            .out = {view(y, ROWS, OUT)},
        };
        run(b, OP_linear, &f);
        struct op_args g = {
            .attr = {.scale = 1},
            .in = {view(dy, ROWS, OUT), weight},
            .out = {view(dx, ROWS, IN)},
        };
        run(b, OP_linear_dx, &g);
        for (int i = 0; i < 997; i++) {
            size_t r = i * 613u % ROWS, o = i * 17u % OUT, c = i * 389u % IN;
            assert_true(fabs(product(x + r * IN, 1, plain + o * IN, 1, IN) -
                             y[r * OUT + o]) < 1e-5);
            assert_true(fabs(product(dy + r * OUT, 1, plain + c, IN, OUT) -
                             dx[r * IN + c]) < 1e-6);
        }
        /* A row on its own has the same bits. */
        const int rows[] = {0, 600, ROWS - 1};
        for (int i = 0; i < 3; i++) {
            f.in[0] = view(x + (size_t)rows[i] * IN, 1, IN);
            f.out[0] = view(alone, 1, OUT);
            run(b, OP_linear, &f);
            assert_memory_equal(alone, y + (size_t)rows[i] * OUT, OUT * sizeof(*alone));
        }
        if (form) {
            b->release(b->device, weight.data);
            free(plain);
            continue;
        }
        struct op_args h = {
            .attr = {.scale = 1},
            .in = {view(dx, ROWS, IN), view(dy, ROWS, OUT)},
            .out = {view(dw, IN, OUT)},
        };
        run(b, OP_linear_dw, &h);
        for (int i = 0; i < 997; i++) {
            size_t o = i * 17u % OUT, c = i * 389u % IN;
            assert_true(fabs(product(dx + c, IN, dy + o, OUT, ROWS) - dw[c * OUT + o]) <
                        2e-5);
        }
    }
    free(x), free(w), free(y), free(alone), free(dx), free(dw), free(dy);
}

/* ---- the choice ---- */

static void choice_of_variant(void **state)
{
    (void)state;
    assert_non_null(cpu_backend_variant("generic"));
    assert_null(cpu_backend_variant("sse9"));
    setenv("PEFTLAB_CPU", "generic", 1);
    assert_ptr_equal(cpu_backend(), cpu_backend_variant("generic"));
    assert_string_equal(cpu_backend_reason(), "");
    setenv("PEFTLAB_CPU", "sse9", 1);
    assert_null(cpu_backend());
    assert_non_null(strstr(cpu_backend_reason(), "'sse9'"));
    unsetenv("PEFTLAB_CPU");
    const struct backend *widest = NULL;
    EACH_VARIANT(b)
    {
        widest = b;
    }
    assert_ptr_equal(cpu_backend(), widest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_close),
        cmocka_unit_test(falling_exp_is_close),
        cmocka_unit_test(log_is_close),
        cmocka_unit_test(acts_are_close),
        cmocka_unit_test(tanh_keeps_small_numbers),
        cmocka_unit_test(nan_comes_through),
        cmocka_unit_test(far_gelu),
        cmocka_unit_test(bf16_rounds_to_even),
        cmocka_unit_test(large_products),
        cmocka_unit_test(choice_of_variant),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
