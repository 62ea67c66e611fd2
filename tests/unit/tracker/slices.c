/* Runs that park, and trials that are stopped for good: waiting, parked, running,
 * lost. */
#include "tests/unit/tracker/fixture.h"

static struct run_claim claim(struct fixture *f, int64_t trial)
{
    struct run_claim c = {0};
    struct err e = ERR_INIT;
    if (store_claim(f->store, 0, trial, 60000, NULL, &c, &e) != 1)
        fail_msg("trial %lld: %s", (long long)trial, e.msg);
    return c;
}

static void expect(struct fixture *f, int64_t trial, const char *state,
                   const char *reason)
{
    char *sql = xasprintf("SELECT state, reason FROM trial_view WHERE id = %lld",
                          (long long)trial);
    json_t *rows = query_rows(f->store, sql), *row = json_array_get(rows, 0);
    assert_string_equal(json_string_value(json_array_get(row, 0)), state);
    if (reason)
        assert_string_equal(json_string_value(json_array_get(row, 1)), reason);
    else
        assert_true(json_is_null(json_array_get(row, 1)));
    json_decref(rows);
    free(sql);
}

static void a_parked_trial_is_claimed_again(void **state)
{
    struct fixture *f = *state;
    add_trials(f->store, new_sweep(f->store, "s"), 1);
    struct run_claim c = claim(f, 1);
    OK(store_run_until(f->store, c.run, 40, err));
    OK(store_run_finish(f->store, c.run, TRIAL_preempted, 0, "parked", err));
    FAILS(store_run_until(f->store, c.run, 80, err), ERR_BUSY, "already ended");
    c = claim(f, 1);
    assert_int_equal(c.attempt, 2);
    assert_int_equal(
        query_int(f->store, "SELECT until_step FROM run_view WHERE attempt = 1"), 40);
    assert_int_equal(query_int(f->store, "SELECT lost FROM trial WHERE id = 1"), 0);
    assert_int_equal(query_int(f->store,
                               "SELECT count(*) FROM run_view WHERE until_step IS "
                               "NULL"),
                     1);
}

static void what_waits_or_is_parked_ends_at_once(void **state)
{
    struct fixture *f = *state;
    add_trials(f->store, new_sweep(f->store, "s"), 2);
    struct run_claim c = claim(f, 1);
    const struct metric_point p = {"eval/loss", -1, 0.25};
    OK(store_log_metrics(f->store, c.run, &p, 1, err));
    OK(store_run_finish(f->store, c.run, TRIAL_preempted, 0, "parked", err));
    OK(store_trial_end(f->store, 1, TRIAL_pruned, "rung 1", err));
    OK(store_trial_end(f->store, 2, TRIAL_cancelled, "by hand", err));
    expect(f, 1, "pruned", "rung 1");
    expect(f, 2, "cancelled", NULL); /* it never had a run */
    assert_int_equal(query_int(f->store,
                               "SELECT count(*) FROM summary_view WHERE trial = 1 "
                               "AND value = 0.25"),
                     1);
    FAILS(store_trial_end(f->store, 1, TRIAL_pruned, "again", err), ERR_NOINPUT,
          "waits or runs");
    FAILS(store_trial_end(f->store, 9, TRIAL_pruned, "none", err), ERR_NOINPUT,
          "no trial 9");
}

static void what_runs_ends_as_it_was_asked_to(void **state)
{
    struct fixture *f = *state;
    bool stop = false;
    add_trials(f->store, new_sweep(f->store, "s"), 3);
    struct run_claim a = claim(f, 1), b = claim(f, 2), c = claim(f, 3);
    OK(store_trial_end(f->store, 1, TRIAL_pruned, "median", err));
    OK(store_trial_end(f->store, 2, TRIAL_pruned, "median", err));
    assert_int_equal(store_trial_stop(f->store, 3, NULL), 1);
    OK(store_heartbeat(f->store, a.run, 60000, &stop, err));
    assert_true(stop);
    OK(store_run_finish(f->store, a.run, TRIAL_preempted, 75, "stopped", err));
    OK(store_run_finish(f->store, b.run, TRIAL_complete, 0, NULL, err)); /* was faster */
    OK(store_run_finish(f->store, c.run, TRIAL_preempted, 75, "stopped", err));
    expect(f, 1, "pruned", "median");
    expect(f, 2, "complete", NULL);
    expect(f, 3, "preempted", "stopped");
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM run_view WHERE state = "
                                         "'pruned'"),
                     1);
}

/* A process claims the trial, logs two points and is gone. */
static void claim_and_vanish(struct fixture *f, int64_t trial)
{
    const pid_t pid = fork();
    if (pid == 0) {
        struct store *s;
        struct run_claim c;
        const struct metric_point p[] = {{"loss", 1, 3.0}, {"loss", 2, 2.0}};
        _exit(store_open(f->path, 0, &s, NULL) ||
              store_claim(s, 0, trial, 60000, NULL, &c, NULL) != 1 ||
              store_log_metrics(s, c.run, p, 2, NULL));
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

/* The process is lost after it was asked: it ends as was meant, with what it measured. */
static void asked_then_lost(void **state)
{
    struct fixture *f = *state;
    int reaped = 0;
    static const struct {
        const char *state, *run_state, *reason;
        int lost, summaries;
    } wanted[] = {{"cancelled", "cancelled", "by hand", 0, 1},
                  {"pruned", "pruned", "median", 0, 1},
                  {"preempted", "preempted", "asked to stop, and killed", 0, 1},
                  {"waiting", "stale", NULL, 1, 0}};
    const int64_t sweep = new_sweep(f->store, "s");
    add_trials(f->store, sweep, 4);
    for (int64_t trial = 1; trial <= 4; trial++)
        claim_and_vanish(f, trial);
    OK(store_trial_end(f->store, 1, TRIAL_cancelled, "by hand", err));
    OK(store_trial_end(f->store, 2, TRIAL_pruned, "median", err));
    OK(store_trial_stop(f->store, 3, err));
    OK(store_reap(f->store, sweep, 3, &reaped, err));
    assert_int_equal(reaped, 4);
    for (int i = 0; i < 4; i++) {
        char *sql = xasprintf(
            "SELECT trial_view.state, run_view.state, run_view.reason, lost, (SELECT "
            "count(*) FROM summary_view WHERE trial = run_view.trial AND value = 2) FROM "
            "run_view JOIN trial_view ON trial_view.id = run_view.trial JOIN trial ON "
            "trial.id = run_view.trial WHERE run_view.trial = %d",
            i + 1);
        json_t *rows = query_rows(f->store, sql), *row = json_array_get(rows, 0);
        assert_string_equal(json_string_value(json_array_get(row, 0)), wanted[i].state);
        assert_string_equal(json_string_value(json_array_get(row, 1)),
                            wanted[i].run_state);
        if (wanted[i].reason)
            assert_string_equal(json_string_value(json_array_get(row, 2)),
                                wanted[i].reason);
        assert_int_equal(json_integer_value(json_array_get(row, 3)), wanted[i].lost);
        assert_int_equal(json_integer_value(json_array_get(row, 4)), wanted[i].summaries);
        json_decref(rows);
        free(sql);
    }
}

/* What was meant by an earlier stop is not meant by the next. */
static void an_earlier_stop_is_forgotten(void **state)
{
    struct fixture *f = *state;
    const int64_t sweep = new_sweep(f->store, "s");
    add_trials(f->store, sweep, 1);
    struct run_claim c = claim(f, 1);
    OK(store_trial_end(f->store, 1, TRIAL_pruned, "median", err));
    OK(store_run_finish(f->store, c.run, TRIAL_failed, 1, "by itself", err));
    OK(store_retry(f->store, sweep, NULL, err));
    c = claim(f, 1);
    OK(store_trial_stop(f->store, 1, err));
    OK(store_run_finish(f->store, c.run, TRIAL_preempted, 75, "stopped", err));
    expect(f, 1, "preempted", "stopped");
}

/* Where the last run was stopped or lost it becomes the trial's end; its points count. */
static void a_stopped_run_becomes_the_end(void **state)
{
    struct fixture *f = *state;
    const int64_t sweep = new_sweep(f->store, "s");
    add_trials(f->store, sweep, 3);
    struct run_claim a = claim(f, 1), b = claim(f, 2);
    const struct metric_point p[] = {{"loss", 7, NAN}, {"loss", 9, 1.5}, {"acc", -1, 3}};
    OK(store_log_metrics(f->store, a.run, p, 3, err));
    assert_int_equal(store_trial_close(f->store, 1, TRIAL_timeout, "late", NULL), 0);
    OK(store_run_finish(f->store, a.run, TRIAL_preempted, 75, "stopped", err));
    OK(store_run_finish(f->store, b.run, TRIAL_nan, 79, "nan", err));
    assert_int_equal(store_trial_close(f->store, 1, TRIAL_timeout, "late", NULL), 1);
    assert_int_equal(store_trial_close(f->store, 2, TRIAL_timeout, "late", NULL), 0);
    assert_int_equal(store_trial_close(f->store, 3, TRIAL_timeout, "late", NULL), 0);
    expect(f, 1, "timeout", "late");
    expect(f, 2, "nan", "nan");
    expect(f, 3, "waiting", NULL);
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM run_view"), 2);
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM summary_view WHERE trial "
                                         "= 1 AND (key, value) IN (VALUES ('loss', 1.5), "
                                         "('acc', 3.0))"),
                     2);
}

static void only_one_adds_the_next(void **state)
{
    struct fixture *f = *state;
    size_t added = 9;
    int64_t experiment;
    const int64_t sweep = new_sweep(f->store, "s");
    add_trials(f->store, sweep, 3); /* numbers 0, 1, 2 */
    OK(store_experiment(f->store, "tests", &experiment, err));
    struct trial_row row = {.sweep = sweep,
                            .experiment = experiment,
                            .number = 2,
                            .key = "new",
                            .config = json_object(),
                            .params = json_object(),
                            .predicted_bytes = -1,
                            .predicted_s = NAN};
    struct err e = ERR_INIT;
    assert_int_equal(store_add_next(f->store, &row, 1, &added, &e), 1);
    assert_int_equal(added, 0);
    row.number = 3;
    assert_int_equal(store_add_next(f->store, &row, 1, &added, &e), 0);
    assert_int_equal(added, 1);
    row.number = 4; /* nothing new, but nobody was faster */
    assert_int_equal(store_add_next(f->store, &row, 1, &added, &e), 0);
    assert_int_equal(added, 0);
    json_decref(row.config);
    json_decref(row.params);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_parked_trial_is_claimed_again),
        TEST(what_waits_or_is_parked_ends_at_once),
        TEST(what_runs_ends_as_it_was_asked_to),
        TEST(asked_then_lost),
        TEST(an_earlier_stop_is_forgotten),
        TEST(a_stopped_run_becomes_the_end),
        TEST(only_one_adds_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
