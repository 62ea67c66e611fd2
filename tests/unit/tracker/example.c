/* tests/unit/tracker/example.c - a small store with everything in it.
 *
 * As a test it is read back through the views. `tracker_example FILE` leaves it in FILE:
 * tests/cli/store.bats runs the commands over it. */
#include "tests/unit/tracker/fixture.h"

static void log_run(struct store *s, const struct run_claim *c, double accuracy)
{
    struct sink *sink = sink_local(s, c->run, 60000);
    json_t *env = json_pack("{s:s, s:i}", "cpu", "example", "cores", 2);
    sink->ops->environment(sink, env);
    json_decref(env);
    for (int i = 1; i <= 4; i++)
        sink->ops->metric(sink, "train/loss", i, 1.0 / i);
    sink->ops->metric(sink, "train/loss", 5, accuracy < 0.5 ? NAN : 0.1);
    sink->ops->metric(sink, "train/loss_last", -1, accuracy < 0.5 ? NAN : 0.1);
    sink->ops->metric(sink, "eval/accuracy", -1, accuracy);
    sink->ops->metric(sink, "eval/loss", -1, 1 - accuracy);
    sink->ops->metric(sink, "mem/peak_rss_bytes", -1, 3 << 20);
    sink->ops->metric(sink, "zzz/own", -1, 12345);
    sink->ops->event(sink, "note", "said \x1b[31min red\x07");
    sink->ops->artifact(sink, "adapter", "adapter/");
    OK(sink_close(sink, err));
}

static void fill(struct store *s)
{
    int64_t sweep = new_sweep(s, "first"), hostile = new_sweep(s, "a\x1b[2J;'\"\n");
    int reaped = 0;
    add_trials(s, sweep, 6);
    add_trials(s, hostile, 1);
    set_clock(1700000000000);
    struct run_claim lost = claim_one(s, sweep, 1000);
    log_run(s, &lost, 0.1);
    set_clock(1700000002000);
    OK(store_reap(s, sweep, 3, &reaped, err));
    for (int i = 0; i < 4; i++) {
        struct run_claim c = claim_one(s, sweep, 60000);
        bool nan = i == 2;
        log_run(s, &c, nan ? 0.25 : 0.75 + i * 0.05);
        set_clock(1700000010000 + i * 1000);
        OK(store_run_finish(s, c.run, nan ? TRIAL_nan : TRIAL_complete, nan ? 79 : 0,
                            nan ? "loss is not a number" : NULL, err));
    }
    unsetenv("PEFTLAB_NOW_MS");
}

static void views_tell_all(void **state)
{
    struct fixture *f = *state;
    fill(f->store);
    static const struct {
        const char *sql;
        int64_t wanted;
    } cases[] = {
        {"SELECT count(*) FROM trial_view WHERE sweep_name = 'first'", 6},
        {"SELECT count(*) FROM trial_view WHERE state = 'complete'", 3},
        {"SELECT count(*) FROM trial_view WHERE run IS NULL", 2},
        {"SELECT count(*) FROM trial_view WHERE experiment_name = 'tests'", 7},
        {"SELECT failed FROM sweep_view WHERE id = 1", 1},
        {"SELECT waiting FROM sweep_view WHERE id = 1", 2},
        {"SELECT trials FROM experiment_view", 7},
        {"SELECT count(*) FROM summary_view WHERE key = 'eval/accuracy'", 4},
        {"SELECT count(*) FROM series_view WHERE trial = 2", 5},
        /* trial 1: its lost run, the only one, counts for the series only */
        {"SELECT count(*) FROM series_view WHERE trial = 1", 5},
        {"SELECT count(*) FROM summary_view WHERE trial = 1", 0},
        {"SELECT count(*) FROM run_view WHERE state = 'stale' AND trial = 1", 1},
        {"SELECT count(*) FROM artifact_view WHERE trial = 2", 1},
        {"SELECT count(*) FROM event_view WHERE trial = 2", 1},
        {"SELECT count(*) FROM series_view WHERE kind = 'nan' AND value IS NULL", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (query_int(f->store, cases[i].sql) != cases[i].wanted)
            fail_msg("%s: %lld", cases[i].sql,
                     (long long)query_int(f->store, cases[i].sql));
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        struct store *s = NULL;
        struct err e = ERR_INIT;
        if (store_open(argv[1], STORE_CREATE, &s, &e) < 0) {
            fprintf(stderr, "%s\n", e.msg);
            return 1;
        }
        fill(s);
        store_close(s);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(views_tell_all, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
