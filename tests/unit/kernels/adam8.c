/* tests/unit/kernels/adam8.c - the dynamic 8-bit maps and AdamW with 8-bit moments: bytes
 * of bitsandbytes' maps, and updates by a formula written here once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "kernels/backend.h"
#include "kernels/dynamic8.h"
#include "lib/hash.h"
#include "lib/rng.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 5000, BLOCK = 256, BLOCKS = (N + BLOCK - 1) / BLOCK, STEPS = 20 };

/* SHA-256 of create_dynamic_map(True) and (False) of bitsandbytes 0.50, 256 fp32 each. */
static void test_maps(void **state)
{
    (void)state;
    char hash[SHA256_HEX];
    sha256_hex(dynamic_map_signed(), 256 * sizeof(float), hash);
    assert_string_equal(
        hash, "e732639a65f497b4ad684bb166a4467708255edd5207757de8b8f0c7e1fda89c");
    sha256_hex(dynamic_map_unsigned(), 256 * sizeof(float), hash);
    assert_string_equal(
        hash, "305f002cc11278fb769d13b25b9fd0c7c83c8402c40a878fe086f4039fde6398");
}

static int nearest_by_search(const float *map, double x)
{
    int best = 0;
    for (int i = 1; i < 256; i++)
        if (fabs(map[i] - x) < fabs(map[best] - x))
            best = i;
    return best;
}

static void test_nearest(void **state)
{
    (void)state;
    const float *maps[] = {dynamic_map_signed(), dynamic_map_unsigned()};
    const struct philox_key key = rng_key(1, "nearest");
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < 20000; i++) {
            const double u = 2 * rng_uniform(&key, (uint64_t)m, (uint64_t)i) - 1;
            const float x = (float)(m ? u * u * u * u : u * fabs(u * u));
            const int code = dynamic_nearest(maps[m], x);
            assert_true(fabs(maps[m][code] - (double)x) <=
                        fabs(maps[m][nearest_by_search(maps[m], x)] - (double)x));
        }
    assert_int_equal(dynamic_nearest(maps[0], 1), 255);
    assert_int_equal(dynamic_nearest(maps[0], -1), 0);
    /* the sign stays, zero stays */
    assert_true(maps[0][dynamic_nearest_signed(maps[0], -1e-12f)] < 0);
    assert_true(maps[0][dynamic_nearest_signed(maps[0], 0)] == 0);
}

struct state {
    float p[N], max[2][BLOCKS];
    unsigned char code[2][N];
};

/* bitsandbytes, functional.py and csrc: dequantise, Adam, decay, quantise. */
static void by_formula(struct state *s, const float *g, const struct op_attr *a)
{
    const float *map[] = {dynamic_map_signed(), dynamic_map_unsigned()};
    const double c1 = 1 - pow(a->beta1, (double)a->t),
                 c2 = sqrt(1 - pow(a->beta2, (double)a->t));
    for (int b = 0; b < BLOCKS; b++) {
        const int begin = b * BLOCK, end = begin + BLOCK < N ? begin + BLOCK : N;
        double moment[2][BLOCK], max[2] = {0, 0};
        for (int i = begin; i < end; i++) {
            const double gi = (double)g[i] * a->grad_scale;
            double *m = &moment[0][i - begin], *v = &moment[1][i - begin];
            *m = a->beta1 * ((double)map[0][s->code[0][i]] * s->max[0][b]) +
                 (1 - (double)a->beta1) * gi;
            *v = a->beta2 * ((double)map[1][s->code[1][i]] * s->max[1][b]) +
                 (1 - (double)a->beta2) * gi * gi;
            const double p = s->p[i] - a->lr * c2 / c1 * *m / (sqrt(*v) + c2 * a->eps);
            s->p[i] = (float)(p - p * a->lr * a->weight_decay);
            max[0] = fmax(max[0], fabs(*m));
            max[1] = fmax(max[1], *v);
        }
        for (int k = 0; k < 2; k++) {
            s->max[k][b] = (float)max[k];
            for (int i = begin; i < end; i++) {
                const double x = max[k] > 0 ? moment[k][i - begin] / max[k] : 0;
                int code = nearest_by_search(map[k], x);
                if (k == 0 && x < 0 && map[0][code] >= 0)
                    code--;
                s->code[k][i] = (unsigned char)code;
            }
        }
    }
}

static struct tensor view(void *data, enum dtype dtype, int n)
{
    return (struct tensor){data, dtype, 1, n, n, NULL};
}

static void gradient(float *g, int step)
{
    const struct philox_key key = rng_key(7, "gradient");
    for (int i = 0; i < N; i++) /* one block without any, one with tiny ones */
        g[i] = i / BLOCK == 3 ? 0
                              : (float)(rng_normal(&key, (uint64_t)step, (uint64_t)i) *
                                        (i / BLOCK == 5 ? 1e-14 : 0.01));
}

/* A code that rounds the other way is as far from the moment as the one by formula, so
 * few differ, by one, and the parameters hardly. */
static void check_backend(const struct backend *b)
{
    static struct state want, ours;
    static float g[N];
    memset(&want, 0, sizeof want);
    for (int i = 0; i < N; i++)
        want.p[i] = (float)sin(i);
    ours = want;
    int other = 0;
    double worst = 0;
    for (int t = 1; t <= STEPS; t++) {
        gradient(g, t);
        struct op_args a = {.in[0] = view(g, DT_F32, N),
                            .out = {view(ours.p, DT_F32, N), view(ours.code[0], DT_U8, N),
                                    view(ours.code[1], DT_U8, N),
                                    view(ours.max[0], DT_F32, BLOCKS),
                                    view(ours.max[1], DT_F32, BLOCKS)},
                            .attr = {.lr = 1e-3f,
                                     .beta1 = 0.9f,
                                     .beta2 = 0.999f,
                                     .eps = 1e-8f,
                                     .weight_decay = 0.1f,
                                     .grad_scale = 0.5f,
                                     .t = t}};
        backend_call(b, OP_adamw_8bit, &a);
        by_formula(&want, g, &a.attr);
        for (int i = 0; i < N; i++) {
            for (int k = 0; k < 2; k++) {
                assert_true(abs(ours.code[k][i] - want.code[k][i]) <= 1);
                other += ours.code[k][i] != want.code[k][i];
            }
            worst = fmax(worst, fabs(ours.p[i] - want.p[i]));
        }
        memcpy(ours.code, want.code, sizeof ours.code); /* so that errors do not add up */
        memcpy(ours.max, want.max, sizeof ours.max);
        memcpy(ours.p, want.p, sizeof ours.p);
    }
    if (other > STEPS || worst > 3e-7)
        fail_msg("%s: %d codes differ, parameters by %g", b->name, other, worst);
    assert_true(want.max[0][0] > 0 && want.max[0][3] == 0 &&
                want.p[100] != (float)sin(100));
}

static void test_formula(void **state)
{
    (void)state;
    check_backend(backend_get("ref", NULL));
    check_backend(backend_get("cpu", NULL));
}

/* 32-bit moments: torch's AdamW but for the place of the decay and of eps. */
static void test_small_tensors(void **state)
{
    (void)state;
    static const char *const names[] = {"ref", "cpu"};
    for (int k = 0; k < 2; k++) {
        float g[3] = {0.3f, -0.2f, 0}, p[3] = {1, 2, 3}, m[3] = {0}, v[3] = {0};
        struct op_args a = {
            .in[0] = view(g, DT_F32, 3),
            .out = {view(p, DT_F32, 3), view(m, DT_F32, 3), view(v, DT_F32, 3)},
            .attr = {.lr = 0.1f,
                     .beta1 = 0.9f,
                     .beta2 = 0.999f,
                     .eps = 1e-8f,
                     .weight_decay = 0.5f,
                     .grad_scale = 1,
                     .t = 1}};
        backend_call(backend_get(names[k], NULL), OP_adamw_8bit, &a);
        assert_float_equal(p[0], (1 - 0.1) * 0.95, 1e-6);
        assert_float_equal(p[1], (2 + 0.1) * 0.95, 1e-6);
        assert_float_equal(p[2], 3 * 0.95, 1e-6);
        assert_float_equal(m[0], 0.03, 1e-7);
        assert_float_equal(v[1], 4e-5, 1e-9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_small_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
