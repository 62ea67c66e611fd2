/* tests/unit/tracker/fault.c - what happens when the disk is full, the store is held, the
 * trainer is busy. */
#include "tests/unit/tracker/fixture.h"
#include "tracker/store/store_priv.h"
#include <signal.h>
#include <sys/resource.h>

/* In a child whose files may not grow beyond `bytes`: logs until it fails, frees space,
 * and logs again. */
static int log_on_small_disk(const char *path, int64_t run, rlim_t bytes)
{
    struct store *s = NULL;
    struct err e = ERR_INIT, later = ERR_INIT;
    struct metric_point p[100];
    struct rlimit small = {bytes, RLIM_INFINITY}, large = {RLIM_INFINITY, RLIM_INFINITY};
    int rc = 0, batches = 0;
    signal(SIGXFSZ, SIG_IGN); /* so that writes fail, as on a full disk */
    if (store_open(path, 0, &s, &e) < 0)
        return 10;
    setrlimit(RLIMIT_FSIZE, &small);
    for (; rc == 0 && batches < 2000; batches++) {
        for (int i = 0; i < 100; i++)
            p[i] = (struct metric_point){"fill", batches * 100 + i, i * 0.1};
        rc = store_log_metrics(s, run, p, 100, &e);
    }
    setrlimit(RLIMIT_FSIZE, &large);
    if (rc != -ERR_IO)
        return 11;
    p[0] = (struct metric_point){"after", 1, batches - 1};
    rc = store_log_metrics(s, run, p, 1, &later);
    store_close(s);
    return rc == 0 ? 0 : 12;
}

static void full_disk_fails_and_recovers(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    struct run_claim c = claim_one(f->store, sweep, 60000);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(log_on_small_disk(f->path, c.run, 600 * 1024));
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_query_text(f->store, "PRAGMA integrity_check", "ok");
    /* every batch that was acknowledged, and none of the one that failed */
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM series_view WHERE key = "
                                         "'fill'"),
                     100 * query_int(f->store, "SELECT cast(value AS INTEGER) FROM "
                                               "series_view WHERE key = 'after'"));
}

/* A sink over a disk that is full for a while: everything is there in the end. */
static int sink_on_small_disk(const char *path, int64_t run)
{
    struct store *s = NULL;
    struct rlimit small = {4096, RLIM_INFINITY}, large = {RLIM_INFINITY, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    if (store_open(path, 0, &s, NULL) < 0)
        return 10;
    struct sink *sink = sink_local(s, run, 60000);
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 1000; i++)
        sink->ops->metric(sink, "train/loss", i, i);
    if (sink->error.code != ERR_IO || !sink->ops->alive(sink))
        return 11;
    setrlimit(RLIMIT_FSIZE, &large);
    int rc = sink_close(sink, NULL);
    store_close(s);
    return rc == 0 ? 0 : 12;
}

static void sink_outlives_a_full_disk(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    struct run_claim c = claim_one(f->store, sweep, 60000);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(sink_on_small_disk(f->path, c.run));
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM metric"), 1000);
}

static void writers_wait_for_their_turn(void **state)
{
    struct fixture *f = *state;
    struct store *other = NULL;
    OK(store_open(f->path, 0, &other, err));
    OK(store_begin(f->store, err));
    double start = clock_mono_s();
    FAILS(turn_take(other, 50, err), ERR_BUSY, "another process");
    assert_true(clock_mono_s() - start >= 0.05);
    assert_int_equal(query_int(other, "SELECT count(*) FROM trial"), 0); /* reads go on */
    store_rollback(f->store);
    OK(turn_take(other, 0, err));
    turn_give(other);
    new_sweep(other, "a");
    store_close(other);
}

/* 400 transactions rewrite far more pages than the log may hold (1000). */
static void log_is_written_back(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a"), written = 0;
    add_trials(f->store, sweep, 1);
    struct run_claim c = claim_one(f->store, sweep, 60000);
    struct metric_point p[200];
    char *log = xasprintf("%s-wal", f->path);
    for (int batch = 0; batch < 400; batch++) {
        for (int i = 0; i < 200; i++)
            p[i] = (struct metric_point){"fill", batch * 200 + i, i * 0.1};
        OK(store_log_metrics(f->store, c.run, p, 200, err));
        written += 200;
    }
    assert_true(fs_size(f->path) > 1000000); /* it is in the file itself */
    assert_true(fs_size(log) < 5 << 20);
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM metric"), written);
    free(log);
}

static void busy_trainer_keeps_its_lease(void **state)
{
    struct fixture *f = *state;
    int reaped = 0;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    struct run_claim c = claim_one(f->store, sweep, 3000);
    struct sink *s = sink_local(f->store, c.run, 3000);
    for (int i = 0; i < 20; i++) { /* an evaluation, longer than the lease */
        usleep(200000);
        OK(store_reap(f->store, sweep, 1, &reaped, err));
        assert_int_equal(reaped, 0);
    }
    assert_true(s->ops->alive(s));
    OK(sink_close(s, err));
    set_clock(clock_wall_ms() + 4000); /* nobody keeps it any more */
    OK(store_reap(f->store, sweep, 1, &reaped, err));
    assert_int_equal(reaped, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(full_disk_fails_and_recovers), T(sink_outlives_a_full_disk),
        T(writers_wait_for_their_turn),  T(log_is_written_back),
        T(busy_trainer_keeps_its_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
