/* tests/unit/tracker/mlflow/mlflow_numbers.c - metrics by MLflow's API: latest values, history,
 * batches; runs of ours; who goes silent. */
#include "tests/unit/tracker/mlflow/calls.h"

/* ---- metrics ---- */

static void latest_is_by_step_time_value(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    DO("POST runs/log-metric",
       "{'run_id': '%s', 'key': 'a', 'value': 1, 'timestamp': 10, 'step': 5}", run);
    DO("POST runs/log-metric",
       "{'run_id': '%s', 'key': 'a', 'value': 2, 'timestamp': 99, 'step': 3}", run);
    assert_data(s, run, "metrics", "a=1.0");
    DO("POST runs/log-metric",
       "{'run_id': '%s', 'key': 'a', 'value': 3, 'timestamp': 9, 'step': 5}", run);
    assert_data(s, run, "metrics", "a=1.0");
    DO("POST runs/log-metric",
       "{'run_id': '%s', 'key': 'a', 'value': 0.5, 'timestamp': 10, 'step': 5}", run);
    assert_data(s, run, "metrics", "a=1.0");
    DO("POST runs/log-metric",
       "{'run_id': '%s', 'key': 'a', 'value': 4, 'timestamp': 10, 'step': 5}", run);
    assert_data(s, run, "metrics", "a=4.0");
    /* the same again is nothing */
    for (int i = 0; i < 2; i++)
        DO("POST runs/log-metric",
           "{'run_id': '%s', 'key': 'a', 'value': 0.5, 'timestamp': 10, 'step': 5}", run);
    json_t *h =
        works(s, "GET metrics/get-history", "{'run_id': '%s', 'metric_key': 'a'}", run);
    assert_int_equal(json_array_size(json_object_get(h, "metrics")), 5);
    json_decref(h);
}

static void odd_numbers_stay_what_they_are(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    DO("POST runs/log-batch",
       "{'run_id': '%s', 'metrics': [{'key': 'n', 'value': 'NaN', 'timestamp': 1}, "
       "{'key': "
       "'p', 'value': 'Infinity', 'timestamp': 1}, {'key': 'm', 'value': '-Infinity', "
       "'timestamp': 1}, {'key': 'big', 'value': 1e308, 'timestamp': '1', 'step': '7'}, "
       "{'key': 'int', 'value': 9007199254740992, 'timestamp': 1}, {'key': 'below', "
       "'value': 3, 'timestamp': 1, 'step': -4}, {'key': 'text', 'value': '1.5', "
       "'timestamp': 1}]}",
       run);
    assert_data(s, run, "metrics",
                "n=NaN p=Infinity m=-Infinity big=1e+308 int=9007199254740992.0 "
                "below=3.0 text=1.5");
    json_t *h = works(s, "GET metrics/get-history",
                      "{'run_id': '%s', 'metric_key': 'below'}", run);
    assert_int_equal(
        json_get_int(json_array_get(json_object_get(h, "metrics"), 0), "step", 0), -4);
    json_decref(h);
    REFUSED(INVALID_PARAMETER_VALUE, "'metrics[0].value'", "POST runs/log-batch",
            "{'run_id': '%s', 'metrics': [{'key': 'a', 'timestamp': 1}]}", run);
    REFUSED(INVALID_PARAMETER_VALUE, "nonnegative", "POST runs/log-batch",
            "{'run_id': '%s', 'metrics': [{'key': 'a', 'value': 1, 'timestamp': -1}]}",
            run);
    REFUSED(INVALID_PARAMETER_VALUE, "double", "POST runs/log-batch",
            "{'run_id': '%s', 'metrics': [{'key': 'a', 'value': true, 'timestamp': 1}]}",
            run);
}

static void batches_are_whole(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    struct buf many = BUF_INIT;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    DO("POST runs/log-parameter", "{'run_id': '%s', 'key': 'p', 'value': '1'}", run);
    REFUSED(
        INVALID_PARAMETER_VALUE, "Changing param", "POST runs/log-batch",
        "{'run_id': '%s', 'metrics': [{'key': 'a', 'value': 1, 'timestamp': 1}], "
        "'tags': [{'key': 't', 'value': 'x'}], 'params': [{'key': 'p', 'value': '2'}]}",
        run);
    assert_int_equal(query_int(s, "SELECT count(*) FROM metric"), 0);
    for (int i = 0; i < 1001; i++)
        buf_printf(&many, "%s{'key': 'a', 'value': %d, 'timestamp': %d, 'step': %d}",
                   i ? ", " : "", i, i, i);
    REFUSED(INVALID_PARAMETER_VALUE, "at most 1000 metrics. Got 1001",
            "POST runs/log-batch", "{'run_id': '%s', 'metrics': [%s]}", run,
            buf_str(&many));
    buf_clear(&many);
    for (int i = 0; i < 1000; i++)
        buf_printf(&many, "%s{'key': 'k%d', 'value': %d, 'timestamp': %d, 'step': %d}",
                   i ? ", " : "", i % 3, i, i, i / 3);
    DO("POST runs/log-batch", "{'run_id': '%s', 'metrics': [%s]}", run, buf_str(&many));
    DO("POST runs/log-batch", "{'run_id': '%s', 'metrics': [%s]}", run, buf_str(&many));
    assert_data(s, run, "metrics", "k0=999.0 k1=997.0 k2=998.0");
    assert_int_equal(query_int(s, "SELECT count(*) FROM metric"), 1000);
    assert_int_equal(query_int(s, "SELECT count(*) FROM metric_more"), 0);
    REFUSED(INVALID_PARAMETER_VALUE, "at most 1000 metrics, params, and tags",
            "POST runs/log-batch",
            "{'run_id': '%s', 'metrics': [%s], 'tags': [{'key': 'x', 'value': ''}]}", run,
            buf_str(&many));
    buf_release(&many);
}

static void history_comes_in_pages(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES], *token = xstrdup("");
    new_run(s, "{}", run);
    for (int i = 0; i < 25; i++)
        DO("POST runs/log-metric",
           "{'run_id': '%s', 'key': 'a', 'value': %d, 'timestamp': %d, 'step': %d}", run,
           i, 100 - i / 2, i % 5);
    int seen = 0, pages = 0;
    int64_t before = -1;
    do {
        json_t *h = works(s, "GET metrics/get-history",
                          "{'run_id': '%s', 'metric_key': 'a', 'max_results': '10', "
                          "'page_token': '%s'}",
                          run, token),
               *m;
        size_t i;
        json_array_foreach(json_object_get(h, "metrics"), i, m)
        {
            assert_true(json_get_int(m, "timestamp", 0) >= before);
            before = json_get_int(m, "timestamp", 0);
            seen++;
        }
        free(token);
        token = xstrdup(json_get_str(h, "next_page_token", ""));
        json_decref(h);
        pages++;
    } while (*token);
    assert_int_equal(seen, 25);
    assert_int_equal(pages, 3);
    free(token);
    REFUSED(INVALID_PARAMETER_VALUE, "positive integer", "GET metrics/get-history",
            "{'run_id': '%s', 'metric_key': 'a', 'max_results': '0'}", run);
    REFUSED(INVALID_PARAMETER_VALUE, "page token", "GET metrics/get-history",
            "{'run_id': '%s', 'metric_key': 'a', 'page_token': 'x'}", run);
    json_t *h =
        works(s, "GET metrics/get-history", "{'run_id': '%s', 'metric_key': 'z'}", run);
    assert_int_equal(json_array_size(json_object_get(h, "metrics")), 0);
    json_decref(h);
    h = works(s, "GET metrics/get-history-bulk",
              "{'run_id': ['%s', '%s'], 'metric_key': 'a', 'max_results': 7}", run, run);
    assert_int_equal(json_array_size(json_object_get(h, "metrics")), 7);
    json_decref(h);
}

static void intervals_keep_their_ends(void **state)
{
    static const int most[] = {1, 2, 3, 7, 99, 100, 101};
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    for (int i = 0; i < 100; i++)
        DO("POST runs/log-metric",
           "{'run_id': '%s', 'key': 'a', 'value': 1, 'timestamp': 1, 'step': %d}", run,
           i);
    for (size_t i = 0; i < ARRAY_LEN(most); i++) {
        json_t *h = works(s, "GET metrics/get-history-bulk-interval",
                          "{'run_ids': ['%s'], 'metric_key': 'a', 'max_results': %d}",
                          run, most[i]);
        const json_t *list = json_object_get(h, "metrics");
        const size_t n = json_array_size(list);
        assert_int_equal(n, most[i] > 100 ? 100 : most[i]);
        assert_int_equal(json_get_int(json_array_get(list, n - 1), "step", -1), 99);
        assert_int_equal(json_get_int(json_array_get(list, 0), "step", -1),
                         most[i] == 1 ? 99 : 0);
        json_decref(h);
    }
    REFUSED(INVALID_PARAMETER_VALUE, "both must be",
            "GET metrics/get-history-bulk-interval",
            "{'run_ids': ['%s'], 'metric_key': 'a', 'start_step': 3}", run);
    REFUSED(INVALID_PARAMETER_VALUE, "between 1 and 2500",
            "GET metrics/get-history-bulk-interval",
            "{'run_ids': ['%s'], 'metric_key': 'a', 'max_results': 2501}", run);
}

/* ---- runs of ours ---- */

static void our_runs_are_read_and_written(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    const int64_t sweep = new_sweep(s, "a");
    add_trials(s, sweep, 1);
    struct run_claim c = claim_one(s, sweep, 60000);
    OK(mlflow_run_id(s, c.run, run, err));
    DO("POST runs/log-batch",
       "{'run_id': '%s', 'metrics': [{'key': 'eval/loss', 'value': 0.5, 'timestamp': 5, "
       "'step': 3}], 'params': [{'key': 'rank', 'value': '4'}, {'key': 'optimizer', "
       "'value': "
       "'adamw'}], 'tags': [{'key': 'by', 'value': 'me'}]}",
       run);
    REFUSED(INVALID_PARAMETER_VALUE, "Changing param", "POST runs/log-parameter",
            "{'run_id': '%s', 'key': 'rank', 'value': '8'}", run);
    /* its process says how it ends */
    DO("POST runs/update", "{'run_id': '%s', 'status': 'FINISHED', 'end_time': 1}", run);
    assert_query_text(s, "SELECT state FROM trial_view", "running");
    REFUSED(RESOURCE_CONFLICT, "which is running", "POST runs/delete", "{'run_id': '%s'}",
            run);
    REFUSED(RESOURCE_CONFLICT, "are running", "POST experiments/delete",
            "{'experiment_id': '1'}");
    OK(store_run_finish(s, c.run, TRIAL_complete, 0, NULL, err));
    assert_query_text(s, "SELECT params FROM trial_view", "{\"rank\": 4}");
    assert_query_text(s, "SELECT key || value FROM summary_view", "eval/loss0.5");
    assert_query_text(s, "SELECT key || value FROM tag_view", "byme");
    assert_query_text(s, "SELECT key || value FROM run_param_view", "optimizeradamw");
    assert_data(s, run, "metrics", "eval/loss=0.5");
}

static void lost_runs_of_ours_measure_no_more(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    const int64_t sweep = new_sweep(s, "a");
    set_clock(1000000);
    add_trials(s, sweep, 1);
    struct run_claim c = claim_one(s, sweep, 1000);
    OK(mlflow_run_id(s, c.run, run, err));
    set_clock(2000000);
    OK(store_reap(s, sweep, 3, NULL, err));
    REFUSED(RESOURCE_CONFLICT, "lost its lease", "POST runs/log-metric",
            "{'run_id': '%s', 'key': 'a', 'value': 1, 'timestamp': 1}", run);
    DO("POST runs/set-tag", "{'run_id': '%s', 'key': 'a', 'value': 'b'}", run);
}

/* A trial is all its attempts: none of them may go while a later one runs. */
static void earlier_attempts_stay_while_one_runs(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char first[MLFLOW_RUN_ID_BYTES];
    const int64_t sweep = new_sweep(s, "a");
    set_clock(1000000);
    add_trials(s, sweep, 1);
    struct run_claim c = claim_one(s, sweep, 1000);
    OK(mlflow_run_id(s, c.run, first, err));
    set_clock(2000000);
    OK(store_reap(s, sweep, 3, NULL, err));
    c = claim_one(s, sweep, 60000);
    assert_int_equal(c.attempt, 2);
    REFUSED(RESOURCE_CONFLICT, "which is running", "POST runs/delete", "{'run_id': '%s'}",
            first);
    OK(store_run_finish(s, c.run, TRIAL_complete, 0, NULL, err));
    DO("POST runs/delete", "{'run_id': '%s'}", first);
    assert_int_equal(query_int(s, "SELECT count(*) FROM trial_view"), 0);
}

/* ---- leases ---- */

static void silence_makes_stale_and_a_word_brings_back(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    int count = -1;
    set_clock(1000000);
    new_run(s, "{}", run);
    DO("POST runs/log-metric", "{'run_id': '%s', 'key': 'a', 'value': 1, 'timestamp': 1}",
       run);
    set_clock(1000000 + 3500000);
    OK(mlflow_reap(s, &count, err));
    assert_int_equal(count, 0);
    DO("POST runs/set-tag", "{'run_id': '%s', 'key': 't', 'value': ''}", run);
    set_clock(1000000 + 3700000);
    OK(mlflow_reap(s, &count, err));
    assert_int_equal(count, 0);
    set_clock(1000000 + 9000000);
    OK(mlflow_reap(s, &count, err));
    assert_int_equal(count, 1);
    assert_query_text(s, "SELECT state FROM trial_view", "stale");
    assert_query_text(s, "SELECT key || value FROM summary_view", "a1.0");
    DO("POST runs/log-metric",
       "{'run_id': '%s', 'key': 'a', 'value': 2, 'timestamp': 2, 'step': 1}", run);
    assert_query_text(s, "SELECT state FROM trial_view", "running");
    /* the reaper of sweeps leaves it no trial that waits */
    set_clock(1000000 + 90000000);
    OK(store_reap(s, 0, 3, &count, err));
    assert_int_equal(count, 1);
    assert_query_text(s, "SELECT state || reason FROM trial_view",
                      "staleits client has said nothing any more");
}

static void a_new_name_is_a_word_too(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    int count = -1;
    set_clock(1000000);
    new_run(s, "{}", run);
    set_clock(1000000 + 3000000);
    DO("POST runs/update", "{'run_id': '%s', 'run_name': 'still here'}", run);
    set_clock(1000000 + 4000000);
    OK(mlflow_reap(s, &count, err));
    assert_int_equal(count, 0);
    set_clock(1000000 + 9000000);
    OK(mlflow_reap(s, &count, err));
    assert_int_equal(count, 1);
    DO("POST runs/update", "{'run_id': '%s', 'run_name': 'back'}", run);
    assert_query_text(s, "SELECT state FROM trial_view", "running");
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(latest_is_by_step_time_value),
        T(odd_numbers_stay_what_they_are),
        T(batches_are_whole),
        T(history_comes_in_pages),
        T(intervals_keep_their_ends),
        T(our_runs_are_read_and_written),
        T(lost_runs_of_ours_measure_no_more),
        T(earlier_attempts_stay_while_one_runs),
        T(silence_makes_stale_and_a_word_brings_back),
        T(a_new_name_is_a_word_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
