/* runner_metric - numbers worked out by hand (and with scikit-learn's f1_score). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runner/metric/metric.h"
#include <math.h>
#include <string.h>

static double value(const char *name, const float *logits, const int32_t *labels,
                    size_t rows, size_t classes)
{
    for (size_t i = 0; i < metric_count; i++)
        if (!strcmp(metric_defs[i].name, name))
            return metric_defs[i].classification(logits, labels, rows, classes);
    fail_msg("no metric '%s'", name);
    return 0;
}

/* predictions 0 0 1 1 1 of labels 0 1 1 1 0 among 4 classes, two of them never seen */
static const float logits[] = {2, 1, 0,      0, /**/ 3, 3, 0,      0, /**/ 0, 1,
                               0, 0, /**/ 0, 1, 1,      0, /**/ 0, 5, 0,      0};
static const int32_t labels[] = {0, 1, 1, 1, 0};

static void test_accuracy(void **state)
{
    (void)state;
    assert_float_equal(value("accuracy", logits, labels, 5, 4), 0.6, 1e-15);
    assert_true(isnan(value("accuracy", logits, labels, 0, 4)));
}

static void test_macro_f1(void **state)
{
    (void)state;
    /* class 0: TP 1, FP 1, FN 1 = 1/2; class 1: TP 2, FP 1, FN 1 = 2/3 */
    assert_float_equal(value("macro_f1", logits, labels, 5, 4), (0.5 + 2.0 / 3) / 2,
                       1e-15);
    /* a class that is only predicted counts, with F1 0 */
    const float z[] = {0, 1, 0, 0, 0, 1};
    const int32_t y[] = {1, 1};
    assert_float_equal(value("macro_f1", z, y, 2, 3), (2.0 / 3 + 0) / 2, 1e-15);
    assert_true(isnan(value("macro_f1", z, y, 0, 3)));
}

static void test_loss(void **state)
{
    (void)state;
    const float z[] = {0, 0, 1000, 0};
    const int32_t y[] = {1, 1};
    assert_float_equal(value("loss", z, y, 1, 2), log(2), 1e-15);
    assert_float_equal(value("loss", z, y, 2, 2), (log(2) + 1000) / 2, 1e-12);
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < metric_count; i++) {
        const struct metric_def *m = &metric_defs[i];
        assert_true(!strcmp(m->goal, "maximize") || !strcmp(m->goal, "minimize"));
        assert_true(strlen(m->help) > 10);
        assert_non_null(m->classification);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_macro_f1),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
