/* What a metric's name and a sweep's file say about its direction (tracker/view/objective.h). */
#include "tests/unit/tracker/fixture.h"

#include "tracker/view/objective.h"

static void names_say_their_direction(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum direction way;
    } rows[] = {
        {"eval/accuracy", DIRECTION_HIGHER},
        {"test/macro_f1", DIRECTION_HIGHER},
        {"f1_macro", DIRECTION_HIGHER},
        {"score", DIRECTION_HIGHER},
        {"eval/pearson", DIRECTION_HIGHER},
        {"rougeL", DIRECTION_HIGHER},
        {"bleu4", DIRECTION_HIGHER},
        {"r2", DIRECTION_HIGHER},
        {"hits@10", DIRECTION_HIGHER},
        {"val_auc", DIRECTION_HIGHER},
        {"tokens_per_s", DIRECTION_HIGHER},
        {"success_rate", DIRECTION_HIGHER},
        {"log_likelihood", DIRECTION_HIGHER},
        {"neg_mean_squared_error", DIRECTION_HIGHER},
        {"neg_log_likelihood", DIRECTION_LOWER},
        {"wer", DIRECTION_LOWER},
        {"Eval/WER", DIRECTION_LOWER},
        {"eval/mse", DIRECTION_LOWER},
        {"val_rmse_mean", DIRECTION_LOWER},
        {"mae", DIRECTION_LOWER},
        {"error_rate", DIRECTION_LOWER},
        {"eval/loss", DIRECTION_LOWER},
        {"train/loss_last", DIRECTION_LOWER},
        {"perplexity", DIRECTION_LOWER},
        {"log_loss", DIRECTION_LOWER},
        {"latency/p50_ms", DIRECTION_LOWER},
        {"mem/peak_rss_bytes", DIRECTION_LOWER},
        {"time/total_s", DIRECTION_LOWER},
        {"params/trainable", DIRECTION_LOWER},
        {"accuracy_loss", DIRECTION_UNKNOWN}, /* points both ways */
        {"quux", DIRECTION_UNKNOWN},
        {"eval/temperature", DIRECTION_UNKNOWN},
        {"", DIRECTION_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (metric_direction(rows[i].name) != rows[i].way)
            fail_msg("%s: %d, not %d", rows[i].name, metric_direction(rows[i].name),
                     rows[i].way);
}

static void the_file_has_the_first_word(void **state)
{
    (void)state;
    json_t *said = json_pack("[{s:s, s:s}, {s:s, s:s}]", "name", "eval/quux", "goal",
                             "minimize", "name", "loss", "goal", "maximize");
    assert_int_equal(objective_direction(said, "eval/quux"), DIRECTION_LOWER);
    assert_int_equal(objective_direction(said, "test/quux"), DIRECTION_LOWER);
    assert_int_equal(objective_direction(said, "loss"), DIRECTION_HIGHER);
    assert_int_equal(objective_direction(said, "eval/accuracy"), DIRECTION_HIGHER);
    assert_int_equal(objective_direction(said, "other"), DIRECTION_UNKNOWN);
    assert_int_equal(objective_direction(NULL, "loss"), DIRECTION_LOWER);
    assert_true(metric_is_same("eval/x", "test/x") && !metric_is_same("eval/x", "y"));
    json_decref(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_their_direction),
        cmocka_unit_test(the_file_has_the_first_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
