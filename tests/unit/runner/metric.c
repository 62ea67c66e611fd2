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
            return metric_defs[i].value[LABEL_class](&(struct metric_rows){
                .logits = logits, .labels = labels, .count = rows, .width = classes});
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

static double of(enum label_kind p, const char *name, const float *outputs,
                 const float *targets, size_t rows, size_t width)
{
    for (size_t i = 0; i < metric_count; i++)
        if (!strcmp(metric_defs[i].name, name) && metric_defs[i].value[p])
            return metric_defs[i].value[p](&(struct metric_rows){
                .logits = outputs, .targets = targets, .count = rows, .width = width});
    fail_msg("no metric '%s' for labels of kind %d", name, p);
    return 0;
}

/* scipy's pearsonr and spearmanr */
static void test_regression(void **state)
{
    (void)state;
    const enum label_kind p = LABEL_numbers;
    const float x[] = {1, 2, 2, 4, 5}, y[] = {0.5f, 0.1f, 0.3f, 0.3f, 0.9f};
    assert_float_equal(of(p, "pearson", x, y, 5, 1), 0.5618006477335896, 1e-7);
    assert_float_equal(of(p, "spearman", x, y, 5, 1), 0.2894736842105263, 1e-12);
    assert_float_equal(of(p, "mse", x, y, 5, 1), (0.25 + 3.61 + 2.89 + 13.69 + 16.81) / 5,
                       1e-6);
    assert_float_equal(of(p, "loss", x, y, 5, 1), of(p, "mse", x, y, 5, 1), 0);
    /* two outputs: the first falls where it should rise; mean of 1 and -1 */
    const float two[] = {1, 5, 2, 4, 3, 3}, want[] = {1, 1, 2, 2, 3, 3};
    assert_float_equal(of(p, "pearson", two, want, 3, 2), 0, 1e-15);
    const float same[] = {2, 2, 2};
    assert_true(isnan(of(p, "pearson", x, same, 3, 1)));
    assert_true(isnan(of(p, "spearman", x, same, 0, 1)));
    assert_true(isnan(of(p, "mse", x, same, 0, 1)));
}

/* scikit-learn's accuracy_score and f1_score(average=...), zero_division 0 */
static void test_several_labels(void **state)
{
    (void)state;
    const enum label_kind p = LABEL_set;
    /* predicted: 110 010 000; true: 100 010 001 */
    const float z[] = {2, 1, -1, -3, 4, -1, -1, -1, 0}, y[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    assert_float_equal(of(p, "accuracy", z, y, 3, 3), 1.0 / 3, 1e-15);
    assert_float_equal(of(p, "micro_f1", z, y, 3, 3), 2.0 * 2 / (2 * 2 + 1 + 1), 1e-15);
    assert_float_equal(of(p, "macro_f1", z, y, 3, 3), (1 + 2.0 / 3 + 0) / 3, 1e-15);
    const float big[] = {1000, -1000}, one[] = {0, 0};
    assert_float_equal(of(p, "loss", big, one, 1, 2), 500, 1e-12);
    assert_float_equal(of(p, "loss", one, (const float[]){1, 0.25f}, 1, 2), log(2),
                       1e-15);
    assert_float_equal(of(p, "micro_f1", (const float[]){-1, -1}, one, 1, 2), 0, 0);
    assert_true(isnan(of(p, "macro_f1", z, y, 0, 3)));
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < metric_count; i++) {
        const struct metric_def *m = &metric_defs[i];
        assert_true(!strcmp(m->goal, "maximize") || !strcmp(m->goal, "minimize"));
        assert_true(strlen(m->help) > 10);
        assert_true(m->value[LABEL_class] || m->value[LABEL_numbers] ||
                    m->value[LABEL_set] || m->value[LABEL_token]);
    }
}

/* Logits 0, log 2 and log 1: the labels' likelihoods are 1 / 4 and 2 / 4. */
static void test_tokens(void **state)
{
    (void)state;
    const float z[] = {0, logf(2), 0};
    float nll[2];
    bool right[2];
    nll[0] = token_nll(z, 3, 2, &right[0]);
    nll[1] = token_nll(z, 3, 1, &right[1]);
    const struct metric_rows rows = {.count = 2, .width = 3, .nll = nll, .right = right};
    assert_float_equal(tokens_loss(&rows), log(8) / 2, 1e-6);
    assert_float_equal(tokens_perplexity(&rows), sqrt(8), 1e-5);
    assert_float_equal(tokens_accuracy(&rows), 0.5, 0);
}

static void assert_text(const char *ours, const char *reference, bool exact, double rouge)
{
    const struct metric_text t = text_compare(ours, reference);
    if (t.exact != exact || fabs(t.rouge_l - rouge) > 1e-12)
        fail_msg("'%s' against '%s': exact %d, ROUGE-L %.6f", ours, reference, t.exact,
                 t.rouge_l);
}

/* rouge_score's rougeL on the same words; case and blanks do not count. */
static void texts(void **state)
{
    (void)state;
    assert_text("the cat sat", "the cat sat", true, 1);
    assert_text("  The\tCAT \n sat ", "the cat sat", true, 1);
    assert_text("STRASSE \xc3\x89",
                "stra\xc3\x9f"
                "e \xc3\xa9",
                true, 1);
    assert_text("a\xc2\xa0"
                "b",
                "a b", true, 1);
    assert_text("the cat", "the cat sat", false, 2 * 2.0 / 5);
    assert_text("sat cat the", "the cat sat", false, 2 * 1.0 / 6);
    assert_text("police killed the gunman", "police kill the gunman", false, 0.75);
    assert_text("a b c d e f", "x a y c z f", false, 0.5);
    assert_text("", "", true, 0);
    assert_text("", "a", false, 0);
    assert_text("a.", "a", false, 0);
    assert_text("\xff", "\xff", true, 1); /* no UTF-8 */
    const struct metric_text all[] = {{true, 1, 0}, {false, .5, 1}, {false, 0, 2}};
    const struct metric_rows rows = {.texts = all, .text_count = 3}, none = {0};
    assert_true(fabs(texts_exact_match(&rows) - 1 / 3.0) < 1e-12);
    assert_true(fabs(texts_rouge_l(&rows) - .5) < 1e-12);
    assert_true(isnan(texts_exact_match(&none)) && isnan(texts_rouge_l(&none)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),           cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_macro_f1),   cmocka_unit_test(test_loss),
        cmocka_unit_test(test_regression), cmocka_unit_test(test_several_labels),
        cmocka_unit_test(test_table),      cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
