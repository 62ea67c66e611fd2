/* tests/unit/runner/groups.c - optimiser groups of more than 2^31 floats, planned from
 * shapes alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "runner/optim/groups.h"
#include <stdio.h>
#include <stdlib.h>

struct plan {
    struct params params;
    struct param_group *groups;
    size_t count, floats;
};

static void plan(struct plan *p, const char *optimizer, const int32_t (*shapes)[2],
                 size_t n)
{
    *p = (struct plan){0};
    params_init(&p->params);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer.%02zu.weight", i);
        params_add(&p->params, name, 2, shapes[i][0], shapes[i][1])->trainable = true;
    }
    p->groups = groups_plan(optimizer_find(optimizer), &p->params, &p->count, &p->floats);
}

static void release(struct plan *p)
{
    free(p->groups);
    params_release(&p->params);
}

/* Groups lie one behind the other, fill the arena, and none is longer than an op takes. */
static void check_cover(const struct plan *p)
{
    size_t at = 0, elements = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct param_group *g = &p->groups[i];
        assert_int_equal(g->offset, at);
        assert_true(g->count > 0 && g->count <= VECTOR_MAX);
        const struct tensor t = tensor_vector(NULL, DT_F32, g->count);
        assert_int_equal((size_t)t.cols, g->count);
        at += g->count;
        elements += g->elements;
    }
    assert_int_equal(at, p->floats);
    assert_int_equal(elements, (size_t)params_count(&p->params, true));
}

/* 4 x 1e9 elements, more than 2^31 of one decay and rate. */
static void test_many(void **state)
{
    (void)state;
    static const int32_t shapes[][2] = {
        {50000, 20000}, {50000, 20000}, {50000, 20000}, {50000, 20000}, {3, 5}};
    struct plan p;
    plan(&p, "adamw", shapes, ARRAY_LEN(shapes));
    check_cover(&p);
    assert_int_equal(p.floats, 4000000000u + 16);
    assert_int_equal(p.count, 4); /* ceil(4e9 / 2^30) */
    assert_int_equal(params_find(&p.params, "layer.03.weight")->offset, 12000000000u);
    assert_int_equal(params_find(&p.params, "layer.04.weight")->offset, 16000000000u);
    assert_int_equal(optimizer_plan(optimizer_find("adamw"), p.groups, p.count),
                     2 * 4 * p.floats);
    release(&p);
}

/* One parameter of 4.8e9: cut where every block of 256 of the 8-bit state ends. */
static void test_one(void **state)
{
    (void)state;
    static const int32_t shapes[][2] = {{1, 15}, {300000, 16000}};
    struct plan p;
    plan(&p, "adamw_8bit", shapes, ARRAY_LEN(shapes));
    check_cover(&p);
    assert_int_equal(p.count, 6);
    assert_int_equal(p.groups[0].elements, 15);
    for (size_t i = 1; i < 5; i++)
        assert_int_equal(p.groups[i].count, VECTOR_MAX);
    const size_t bytes = optimizer_plan(optimizer_find("adamw_8bit"), p.groups, p.count);
    assert_true(bytes > 2 * (size_t)4800000000u);
    assert_true(p.groups[5].state > 2 * 4 * VECTOR_MAX);
    release(&p);
}

/* Below the limit nothing is cut: a group for each decay and rate. */
static void test_small(void **state)
{
    (void)state;
    static const int32_t shapes[][2] = {{4, 4}, {3, 3}, {2, 8}};
    struct plan p;
    plan(&p, "sgd", shapes, ARRAY_LEN(shapes));
    check_cover(&p);
    assert_int_equal(p.count, 1);
    assert_int_equal(p.floats, 48);
    release(&p);
}

/* Matrices in bf16 beside rows in fp32: which optimiser keeps moments of what size. */
static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *optimizer;
        size_t count,
            bytes; /* groups; of moments, for 6400 rounded floats and 80 exact */
    } cases[] = {{"adamw", 2, 2 * (6400 * 2 + 80 * 4)},
                 {"paged_adamw_32bit", 2, 2 * (6400 * 4 + 80 * 4)},
                 {"adamw_8bit", 3, 2 * (4800 + 1600 * 4 + 128 + 80 * 4)},
                 {"sgd", 2, 0}};
    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        const struct optimizer *o = optimizer_find(cases[k].optimizer);
        struct plan p = {0};
        params_init(&p.params);
        const int32_t sizes[] = {4800, 80, 1600};
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            const char *const names[] = {"a", "b", "c"};
            struct param *q = params_add(&p.params, names[i], 1, 1, sizes[i]);
            q->trainable = true;
            q->rounded = i != 1;
        }
        p.groups = groups_plan(o, &p.params, &p.count, &p.floats);
        check_cover(&p);
        assert_int_equal(p.count, cases[k].count);
        assert_false(p.groups[0].rounded);
        assert_true(p.groups[1].rounded);
        assert_int_equal(optimizer_plan(o, p.groups, p.count), cases[k].bytes);
        release(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
