/* tests/unit/tracker/leases.c - leases when processes are stopped and clocks jump. */
#include "tests/unit/tracker/fixture.h"
#include <signal.h>

enum { DAY_MS = 86400000 };

static void set_mono(int64_t ms)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)ms);
    setenv("PEFTLAB_MONO_MS", text, 1);
}

static int close_clean(void **state)
{
    unsetenv("PEFTLAB_MONO_MS");
    return fixture_close(state);
}

static int reap(struct fixture *f, int64_t sweep)
{
    int reaped = 0;
    OK(store_reap(f->store, sweep, 10, &reaped, err));
    return reaped;
}

/* A holder that was stopped for longer than its lease comes back: what it says is
 * refused, the trial has been done by another, and nothing of the two is mixed. */
static void stopped_holder_comes_back(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *s = NULL;
        struct err e = ERR_INIT;
        struct run_claim c = {0};
        const struct metric_point first = {"train/loss", 1, 1},
                                  late = {"train/loss", 2, 2};
        bool ok = store_open(f->path, 0, &s, &e) == 0 &&
                  store_claim(s, sweep, 0, 1500, NULL, &c, &e) == 1 &&
                  store_log_metrics(s, c.run, &first, 1, &e) == 0;
        raise(SIGSTOP);
        ok = ok && store_log_metrics(s, c.run, &late, 1, &e) == -ERR_BUSY &&
             strstr(e.msg, "lost its lease") &&
             store_heartbeat(s, c.run, 200, NULL, NULL) == -ERR_BUSY &&
             store_run_finish(s, c.run, TRIAL_complete, 0, NULL, NULL) == -ERR_BUSY;
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    usleep(1800000);
    assert_int_equal(reap(f, sweep), 1);
    struct run_claim c = claim_one(f->store, sweep, 60000);
    assert_int_equal(c.attempt, 2);
    kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    const struct metric_point p = {"train/loss", 1, 5};
    OK(store_log_metrics(f->store, c.run, &p, 1, err));
    OK(store_run_finish(f->store, c.run, TRIAL_complete, 0, NULL, err));
    assert_query_text(f->store, "SELECT group_concat(value) FROM series_view", "5.0");
    assert_query_text(f->store,
                      "SELECT group_concat(state) FROM (SELECT state FROM run "
                      "ORDER BY attempt)",
                      "stale,complete");
}

/* The wall clock of the host jumps; the owner lives and its lease by the monotonic clock
 * has not ended. */
static void jumps_of_the_wall_clock_end_no_lease(void **state)
{
    struct fixture *f = *state;
    int64_t now = 1800000000000;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    set_clock(now);
    set_mono(5000);
    struct run_claim c = claim_one(f->store, sweep, 60000);
    set_clock(now + DAY_MS);
    assert_int_equal(reap(f, sweep), 0);
    set_clock(now - DAY_MS);
    assert_int_equal(reap(f, sweep), 0);
    set_mono(5000 + 59000);
    OK(store_heartbeat(f->store, c.run, 60000, NULL, err));
    set_mono(5000 + 59000 + 59000);
    assert_int_equal(reap(f, sweep), 0);
    /* it ends before it began, by the wall clock: no negative duration is shown */
    OK(store_run_finish(f->store, c.run, TRIAL_complete, 0, NULL, err));
    assert_int_equal(query_int(f->store, "SELECT duration_ms FROM trial_view"), 0);
    assert_int_equal(query_int(f->store, "SELECT duration_ms FROM run_view"), 0);
}

/* A hanging owner is given up by the monotonic clock even if the wall clock went back. */
static void hanging_owner_is_given_up(void **state)
{
    struct fixture *f = *state;
    int64_t now = 1800000000000, sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    set_clock(now);
    set_mono(5000);
    claim_one(f->store, sweep, 60000);
    set_clock(now - DAY_MS);
    set_mono(5000 + 60001);
    assert_int_equal(reap(f, sweep), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, close_clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(stopped_holder_comes_back),
        T(jumps_of_the_wall_clock_end_no_lease),
        T(hanging_owner_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
