/* The controller's loop: slices, rungs, stopping rules, suggestions; engine.h has what it runs. */
#include "tests/unit/sweep/engine.h"

/* --- slices --- */

static void slices_go_by_turns(void **state)
{
    run(*state,
        HEAD "  updates: {value: 8}\n  quality: {values: [1, 2, 3]}\n"
             "interleave: 4\n",
        NULL, 1);
    expect(*state, "SELECT trial, until_step FROM run_view ORDER BY id",
           "1 2|2 2|3 2|1 4|2 4|3 4|1 6|2 6|3 6|1 -|2 -|3 -");
    expect(*state, "SELECT state, count(*) FROM trial_view GROUP BY state", "complete 3");
    expect(*state, "SELECT count(*) FROM run_view WHERE state = 'stale'", "0");
}

static void more_slices_than_updates(void **state)
{
    run(*state,
        HEAD "  updates: {values: [1, 3]}\n  quality: {value: 1}\n"
             "interleave: 5\n",
        NULL, 2);
    expect(*state, "SELECT state, attempts FROM trial_view ORDER BY id",
           "complete 1|complete 3");
}

/* --- deleted --- */

/* What was deleted while it waited is not waited for. */
static void what_is_deleted_is_not_run(void **state)
{
    struct err err = ERR_INIT;
    int status;
    free(run_file(*state,
                  HEAD "  updates: {value: 1}\n  quality: {values: [1, 2, 3]}\n"
                       "  deletes: {value: true}\n",
                  NULL, 1, &status, &err));
    assert_int_equal(status, 1); /* not all are complete */
    expect(*state, "SELECT state, count(*) FROM trial_view GROUP BY state", "complete 1");
    expect(*state, "SELECT state, attempts, deleted_ms FROM trial ORDER BY id",
           "complete 1 -|waiting 0 1|waiting 0 1");
}

/* --- rungs --- */

#define EIGHT "  updates: {value: 8}\n  quality: {values: [1, 2, 3, 4, 5, 6, 7, 8]}\n"

static void rungs_of_asha(void **state)
{
    run(*state,
        HEAD EIGHT "seeds: [0, 1]\nearly_terminate: {type: asha, min: 1, eta: 2}\n", NULL,
        1);
    expect(*state,
           "SELECT state, count(*), min(json_extract(params, '$.quality')) FROM "
           "trial_view GROUP BY state",
           "complete 2 1|pruned 14 2");
    /* Both seeds of a configuration end alike, and come as far. */
    expect(*state,
           "SELECT max(n) FROM (SELECT count(DISTINCT state || attempts) AS n FROM "
           "trial_view GROUP BY key)",
           "1");
    expect(*state,
           "SELECT count(*) FROM trial_view WHERE state = 'pruned' AND reason NOT LIKE "
           "'asha: not among the best 1/2 after % updates'",
           "0");
    /* Pruned trials keep their numbers. */
    expect(
        *state,
        "SELECT count(*) FROM summary_view JOIN trial_view ON id = trial WHERE state = "
        "'pruned' AND summary_view.key = 'eval/loss'",
        "14");
    expect(*state, "SELECT max(until_step) FROM run_view", "4");
}

static void the_mean_over_seeds_is_judged(void **state)
{
    /* Seed 1 of the first is the best of all, its mean the worst. */
    run(*state,
        HEAD "  updates: {value: 4}\n  quality: {values: [5, 2]}\n"
             "  spread: {expr: \"5 if quality == 5 else 0\"}\nseeds: [0, 1]\n"
             "early_terminate: {type: asha, min: 1, eta: 2}\n",
        NULL, 2);
    expect(*state,
           "SELECT json_extract(params, '$.quality'), state FROM trial_view ORDER BY id",
           "5 pruned|5 pruned|2 complete|2 complete");
}

static void the_best_goes_to_its_end(void **state)
{
    /* eta 4 promotes nothing of three. */
    run(*state,
        HEAD "  updates: {value: 8}\n  quality: {values: [3, 1, 2]}\n"
             "early_terminate: {type: asha, min: 2, eta: 4}\n",
        NULL, 2);
    expect(*state, "SELECT state FROM trial_view ORDER BY id", "pruned|complete|pruned");
}

static void brackets_of_hyperband(void **state)
{
    run(*state, HEAD EIGHT "early_terminate: {type: hyperband, min: 2, eta: 2}\n", NULL,
        2);
    /* Brackets of 4, 3 and 3, cut off at eight; see hyperband.json. */
    expect(*state,
           "SELECT until_step, count(*) FROM run_view WHERE attempt = 1 GROUP BY "
           "until_step",
           "- 1|2 4|4 3");
    expect(*state,
           "SELECT count(*) FROM trial_view WHERE state NOT IN ('complete', "
           "'pruned')",
           "0");
}

static void epochs_are_a_resource(void **state)
{
    run(*state,
        HEAD "  updates: {value: 8}\n  quality: {values: [2, 1]}\n"
             "early_terminate: {type: asha, resource: epoch, min: 1, eta: 2}\n",
        NULL, 1);
    expect(*state, "SELECT DISTINCT until_step FROM run_view ORDER BY 1", "-|2|4");
}

/* --- stopping --- */

static void the_median_stops(void **state)
{
    run(*state,
        HEAD "  updates: {value: 6}\n  quality: {values: [1, 2, 9]}\n"
             "  hangs: {expr: \"quality == 9\"}\n"
             "early_terminate: {type: median, startup: 2}\n",
        NULL, 1);
    expect(*state, "SELECT state FROM trial_view ORDER BY id",
           "complete|complete|pruned");
    expect(*state, "SELECT reason FROM trial_view WHERE state = 'pruned'",
           "median: eval/loss 10 at step 1");
}

/* --- suggestions --- */

#define TPE                                                                              \
    "method: tpe\n" HEAD                                                                 \
    "  updates: {value: 2}\n  quality: {min: 0.0, max: 9.0}\nsampler: {startup: 3}\n"    \
    "seeds: [0, 1]\n"

static void tpe_adds_trials(void **state)
{
    struct fixture *f = *state;
    run(f, TPE "budget: {max_trials: 12}\n", NULL, 1);
    expect(f,
           "SELECT count(*), count(DISTINCT key), min(number), max(number), "
           "sum(state = 'complete') FROM trial_view",
           "12 6 0 11 12");
    run(f, TPE "budget: {max_trials: 12}\n", NULL, 1);
    expect(f, "SELECT count(*), sum(attempts) FROM trial_view", "12 12");
    /* A larger budget goes on, to the same trials as in one go. */
    run(f, TPE "budget: {max_trials: 12}\n", "budget.max_trials=16", 1);
    json_t *parts =
        query_rows(f->store, "SELECT params, seed FROM trial_view ORDER BY id");
    void *other;
    fixture_open(&other);
    run(other, TPE "budget: {max_trials: 16}\n", NULL, 1);
    json_t *whole = query_rows(((struct fixture *)other)->store,
                               "SELECT params, seed FROM trial_view ORDER BY id");
    assert_int_equal(json_array_size(parts), 16);
    assert_true(json_equal(parts, whole));
    json_decref(parts);
    json_decref(whole);
    fixture_close(&other);
}

static void tpe_ends_with_its_space(void **state)
{
    run(*state,
        "method: tpe\n" HEAD "  updates: {value: 2}\n  quality: {values: [1, 2, 3, 4]}\n"
        "sampler: {startup: 2}\n",
        NULL, 2);
    expect(*state, "SELECT count(*), count(DISTINCT key) FROM trial_view", "4 4");
}

static void tpe_in_rungs(void **state)
{
    run(*state,
        "method: tpe\n" HEAD "  updates: {value: 4}\n  quality: {min: 0.0, max: 9.0}\n"
        "sampler: {startup: 3}\nbudget: {max_trials: 8}\n"
        "early_terminate: {type: asha, min: 1, eta: 2}\n",
        NULL, 2);
    expect(*state,
           "SELECT count(*), sum(state IN ('complete', 'pruned')), "
           "sum(state = 'complete') > 0 FROM trial_view",
           "8 8 1");
}

/* A new configuration is the least far, and learns from what has parked: all begin before
 * one goes on, and most of the later ones lie where the curves are low. */
static void tpe_in_slices(void **state)
{
    run(*state,
        "method: tpe\n" HEAD "  updates: {value: 4}\n  quality: {min: 0.0, max: 9.0}\n"
        "sampler: {startup: 6}\nbudget: {max_trials: 24}\ninterleave: 2\n",
        NULL, 1);
    expect(*state, "SELECT count(*), sum(state = 'complete') FROM trial_view", "24 24");
    expect(*state,
           "SELECT until_step, min(id), max(id) FROM run_view GROUP BY 1 ORDER BY 2",
           "2 1 24|- 25 48");
    expect(*state,
           "SELECT sum(params ->> 'quality' < 3) >= 12 FROM trial_view WHERE number >= 6",
           "1");
}

static void tpe_learns_from_failures(void **state)
{
    struct err err = ERR_INIT;
    int status;
    free(run_file(*state,
                  "method: tpe\n" HEAD
                  "  updates: {value: 1}\n  quality: {min: 0.0, max: "
                  "9.0}\n  floor: {value: 4.0}\nsampler: {startup: 6}\n"
                  "budget: {max_trials: 24}\n",
                  NULL, 1, &status, &err));
    assert_int_equal(status, 1); /* some did not come through */
    expect(
        *state,
        "SELECT count(*), sum(state NOT IN ('complete', 'oom')), sum(state = 'oom' AND "
        "number >= 6) <= 8 FROM trial_view",
        "24 0 1");
}

/* --- words --- */

static void what_is_refused(void **state)
{
    struct fixture *f = *state;
    refused(f,
            HEAD "  updates: {value: 4}\ninterleave: 2\n"
                 "early_terminate: {type: asha}\n",
            "leave interleave out");
    refused(f,
            "name: s\nmetric: {name: eval/loss}\nparameters:\n  model: {value: m}\n"
            "early_terminate: {type: median}\n",
            "add eval_steps: {value: N}");
    refused(f,
            "name: s\nparameters:\n  model: {value: m}\n  eval_steps: {value: 1}\n"
            "early_terminate: {type: median}\n",
            "needs a metric");
    refused(f, HEAD "early_terminate: {type: asha, resource: minute}\n",
            "step or epoch, not 'minute'");
    refused(f,
            "name: s\nmetric: {name: eval/loss}\ncommand: [\"true\"]\ninterleave: 2\n"
            "parameters: {x: {value: 1}}\n",
            "a program of your own cannot");
    refused(f, "method: tpe\n" HEAD "  quality: {min: 0.0, max: 1.0}\n",
            "needs budget.max_trials");
}

static char *words_of(const char *text)
{
    struct err err = ERR_INIT;
    struct sweep_file *file = NULL;
    struct sweep_plan plan;
    char *out = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&out, &size);
    if (sweep_file_parse(text, strlen(text), "s.yaml", false, NULL, 0, &keys, &file,
                         &err) < 0 ||
        sweep_plan_make(file, &hooks, true, &plan, &err) < 0)
        fail_msg("%s", err.msg);
    sweep_plan_words(&plan, file->interleave, stream);
    sweep_plan_release(&plan);
    sweep_file_free(file);
    fclose(stream);
    return out;
}

static void plans_in_words(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {HEAD EIGHT, ""},
        {HEAD EIGHT "early_terminate: {type: asha, min: 1, eta: 2}\n",
         "asha: rungs at step 1, 2, 4; of those that have come to one the best 1/2 go "
         "on, "
         "from the last to their end\n"},
        {HEAD EIGHT "early_terminate: {type: hyperband, min: 2, eta: 2}\n",
         "hyperband: bracket 1: 4 configurations to step 2, 2 configurations to step 4, "
         "1 "
         "configuration to the end\n"
         "hyperband: bracket 2: 3 configurations to step 4, 1 configuration to the end\n"
         "hyperband: bracket 3: 3 configurations to the end\n"},
        {HEAD EIGHT "interleave: 3\n",
         "interleave: every trial trains in 3 slices, all trials side by side\n"},
        {HEAD EIGHT "early_terminate: {type: hyperband, min_iter: 2, eta: 2}\n",
         "hyperband: looks at reports 2, 4, 8, 16, 32, 64, ... of the metric\n"},
        {TPE "budget: {max_trials: 12}\n",
         "tpe: the first 3 configurations are drawn at random; once 3 are finished, each "
         "further one is chosen by the results so far, up to 6 configurations in all\n"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *got = words_of(rows[i].text);
        assert_string_equal(got, rows[i].words);
        free(got);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(slices_go_by_turns),
        TEST(more_slices_than_updates),
        TEST(what_is_deleted_is_not_run),
        TEST(rungs_of_asha),
        TEST(the_mean_over_seeds_is_judged),
        TEST(the_best_goes_to_its_end),
        TEST(brackets_of_hyperband),
        TEST(epochs_are_a_resource),
        TEST(the_median_stops),
        TEST(tpe_adds_trials),
        TEST(tpe_ends_with_its_space),
        TEST(tpe_in_rungs),
        TEST(tpe_in_slices),
        TEST(tpe_learns_from_failures),
        TEST(what_is_refused),
        TEST(plans_in_words),
    };
    if (argc > 1 && !strcmp(argv[1], "trial"))
        return child(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
