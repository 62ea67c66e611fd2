/* tests/unit/tracker/claims.c - claims, leases, ends, taking back; many processes at
 * once. */
#include "tests/unit/tracker/fixture.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static const char *state_of(struct store *s, int64_t trial)
{
    struct trial_row t = {0};
    OK(store_get_trial(s, trial, &t, err));
    const char *name = trial_state_name(t.state);
    trial_row_release(&t);
    return name;
}

static void claims_go_by_number_then_attempts(void **state)
{
    struct fixture *f = *state;
    struct run_claim c = {0};
    struct err e = ERR_INIT;
    int64_t a = new_sweep(f->store, "a"), b = new_sweep(f->store, "b");
    add_trials(f->store, b, 2);
    add_trials(f->store, a, 3);
    struct run_claim first = claim_one(f->store, a, 60000);
    assert_int_equal(first.trial, 3); /* 1 and 2 are sweep b's */
    assert_int_equal(first.attempt, 1);
    OK(store_run_finish(f->store, first.run, TRIAL_preempted, 0, "asked to", err));
    assert_int_equal(claim_one(f->store, a, 60000).trial, 4);
    assert_int_equal(claim_one(f->store, a, 60000).trial, 5);
    struct run_claim again = claim_one(f->store, a, 60000);
    assert_int_equal(again.trial, 3);
    assert_int_equal(again.attempt, 2);
    assert_int_equal(store_claim(f->store, a, 0, 60000, NULL, &c, &e), 0);
    assert_int_equal(store_claim(f->store, 0, 4, 60000, NULL, &c, &e), 0); /* runs */
    FAILS(store_claim(f->store, a, 77, 1, NULL, &c, err), ERR_NOINPUT, "no trial 77");
    FAILS(store_claim(f->store, 0, 0, 1, NULL, &c, err), ERR_BUG, "needs a sweep");
    OK(store_sweep_stop(f->store, b, true, err));
    assert_int_equal(store_claim(f->store, b, 0, 60000, NULL, &c, &e), 0);
    bool stopped = false;
    OK(store_sweep_stopped(f->store, b, &stopped, err));
    assert_true(stopped);
    assert_int_equal(store_claim(f->store, 0, 2, 60000, NULL, &c, &e), 1); /* by hand */
    OK(store_sweep_stop(f->store, b, false, err));
    assert_int_equal(claim_one(f->store, b, 60000).trial, 1);
    FAILS(store_sweep_stop(f->store, 77, true, err), ERR_NOINPUT, "no sweep 77");
}

static void ends_set_trial_and_run(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 4);
    set_clock(1000000);
    struct run_claim c = claim_one(f->store, sweep, 60000);
    set_clock(1000500);
    OK(store_run_finish(f->store, c.run, TRIAL_oom, 137, "killed", err));
    assert_string_equal(state_of(f->store, c.trial), "oom");
    assert_int_equal(
        query_int(f->store, "SELECT duration_ms FROM trial_view WHERE id = 1"), 500);
    assert_int_equal(query_int(f->store, "SELECT exit_code FROM run_view"), 137);
    OK(store_run_finish(f->store, c.run, TRIAL_oom, 1, "said twice", err));
    assert_query_text(f->store, "SELECT reason FROM run_view", "killed");
    FAILS(store_run_finish(f->store, c.run, TRIAL_complete, 0, NULL, err), ERR_BUSY,
          "already ended as oom");
    FAILS(store_run_finish(f->store, c.run, TRIAL_waiting, 0, NULL, err), ERR_BUG,
          "cannot end as waiting");
    FAILS(store_run_finish(f->store, 99, TRIAL_failed, 0, NULL, err), ERR_NOINPUT,
          "no run 99");
    /* the clock jumps back: no negative duration */
    c = claim_one(f->store, sweep, 60000);
    set_clock(5);
    OK(store_run_finish(f->store, c.run, TRIAL_pruned, 0, NULL, err));
    assert_int_equal(
        query_int(f->store, "SELECT duration_ms FROM trial_view WHERE id = 2"), 0);
    int count = 0;
    OK(store_retry(f->store, sweep, &count, err));
    assert_int_equal(count, 1); /* oom, not pruned */
    assert_string_equal(state_of(f->store, 1), "waiting");
    assert_string_equal(state_of(f->store, 2), "pruned");
}

static void stop_reaches_the_run(void **state)
{
    struct fixture *f = *state;
    bool stop = true;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 2);
    struct run_claim c = claim_one(f->store, sweep, 60000);
    OK(store_heartbeat(f->store, c.run, 60000, &stop, err));
    assert_false(stop);
    assert_int_equal(store_trial_stop(f->store, 1, NULL), 1);
    assert_int_equal(store_trial_stop(f->store, 2, NULL), 0); /* it only waits */
    assert_string_equal(state_of(f->store, 2), "waiting");
    OK(store_heartbeat(f->store, c.run, 60000, &stop, err));
    assert_true(stop);
    struct sink *s = sink_local(f->store, c.run, 0);
    assert_false(s->ops->alive(s));
    OK(sink_close(s, err));
    OK(store_run_finish(f->store, c.run, TRIAL_preempted, 0, NULL, err));
    c = claim_one(f->store, sweep, 60000);
    OK(store_heartbeat(f->store, c.run, 60000, &stop, err));
    assert_false(stop);
    OK(store_run_finish(f->store, c.run, TRIAL_complete, 0, NULL, err));
    assert_int_equal(store_trial_stop(f->store, 1, NULL), 0);
}

/* Somebody who was stopped (SIGSTOP, a suspended laptop) comes back after his lease. */
static void late_writers_are_refused(void **state)
{
    struct fixture *f = *state;
    int reaped = 0;
    bool stop = false;
    const struct metric_point p = {"eval/accuracy", -1, 0.5},
                              q = {"eval/accuracy", -1, 1};
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    set_clock(1000000);
    struct run_claim old = claim_one(f->store, sweep, 5000);
    OK(store_log_metrics(f->store, old.run, &p, 1, err));
    set_clock(1005000);
    OK(store_reap(f->store, sweep, 3, &reaped, err));
    assert_int_equal(reaped, 0); /* the last millisecond still counts */
    OK(store_heartbeat(f->store, old.run, 5000, &stop, err));
    set_clock(1010001);
    OK(store_reap(f->store, 0, 3, &reaped, err));
    assert_int_equal(reaped, 1);
    OK(store_reap(f->store, sweep, 3, &reaped, err));
    assert_int_equal(reaped, 0);
    assert_string_equal(state_of(f->store, 1), "waiting");
    struct run_claim new = claim_one(f->store, sweep, 5000);
    assert_int_equal(new.attempt, 2);
    FAILS(store_heartbeat(f->store, old.run, 5000, &stop, err), ERR_BUSY,
          "lost its lease");
    FAILS(store_log_metrics(f->store, old.run, &q, 1, err), ERR_BUSY, "lost its lease");
    FAILS(store_log_event(f->store, old.run, "note", "", err), ERR_BUSY,
          "lost its lease");
    FAILS(store_run_adopt(f->store, old.run, 5000, err), ERR_BUSY, "lost its lease");
    FAILS(store_run_finish(f->store, old.run, TRIAL_complete, 0, NULL, err), ERR_BUSY,
          "lost its lease");
    assert_string_equal(state_of(f->store, 1), "running");
    assert_query_text(f->store, "SELECT state FROM run_view WHERE attempt = 1", "stale");
    struct sink *s = sink_local(f->store, old.run, 0);
    assert_false(s->ops->alive(s));
    FAILS(sink_close(s, err), ERR_BUSY, "lost its lease");
    /* what it had logged stays with its attempt and does not count for the trial */
    OK(store_run_finish(f->store, new.run, TRIAL_complete, 0, NULL, err));
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM run_summary"), 1);
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM summary_view"), 0);
}

static void reap_gives_up_in_the_end(void **state)
{
    struct fixture *f = *state;
    int reaped = 0, count = 0;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    for (int64_t i = 1; i <= 5; i++) {
        set_clock(i * 10000);
        struct run_claim c = claim_one(f->store, sweep, 1000);
        assert_int_equal(c.attempt, i);
        if (i == 1) { /* being preempted is no loss */
            OK(store_run_finish(f->store, c.run, TRIAL_preempted, 0, NULL, err));
            continue;
        }
        set_clock(i * 10000 + 1001);
        OK(store_reap(f->store, sweep, 2, &reaped, err));
        assert_int_equal(reaped, 1);
        assert_string_equal(state_of(f->store, 1), i % 2 ? "failed" : "waiting");
        if (i == 3) {
            OK(store_retry(f->store, sweep, &count, err));
            assert_int_equal(count, 1);
        }
    }
    assert_int_equal(query_int(f->store,
                               "SELECT count(*) FROM run_view WHERE reason LIKE "
                               "'%no sign of life%'"),
                     4);
}

static pid_t fork_child(void)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static void gone_owner_is_noticed_at_once(void **state)
{
    struct fixture *f = *state;
    int reaped = 0, pipe_fd[2];
    struct run_claim c = {0};
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 2);
    struct run_claim mine = claim_one(f->store, sweep, 3600000);
    struct run_claim handed = claim_one(f->store, sweep, 3600000);
    assert_int_equal(pipe(pipe_fd), 0);
    pid_t pid = fork_child();
    if (pid == 0) { /* the child takes the second run over and waits to be killed */
        struct store *s = NULL;
        if (store_open(f->path, 0, &s, NULL) == 0 &&
            store_run_adopt(s, handed.run, 3600000, NULL) == 0)
            (void)!write(pipe_fd[1], "x", 1);
        pause();
        _exit(0);
    }
    char byte;
    close(pipe_fd[1]);
    assert_int_equal(read(pipe_fd[0], &byte, 1), 1);
    close(pipe_fd[0]);
    OK(store_reap(f->store, sweep, 3, &reaped, err));
    assert_int_equal(reaped, 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    OK(store_reap(f->store, sweep, 3, &reaped, err));
    assert_int_equal(reaped, 1);
    assert_string_equal(state_of(f->store, mine.trial), "running");
    assert_string_equal(state_of(f->store, handed.trial), "waiting");
    c = claim_one(f->store, sweep, 1000);
    assert_int_equal(c.trial, handed.trial);
}

/* ---- many processes ---- */

enum { CLAIMERS = 8, CLAIM_TRIALS = 400, OPENERS = 32 };

static int claim_all(const char *path, int64_t sweep, int *taken)
{
    struct store *s = NULL;
    struct run_claim c = {0};
    struct err e = ERR_INIT;
    int rc = store_open(path, 0, &s, &e);
    while (rc == 0 && (rc = store_claim(s, sweep, 0, 60000, NULL, &c, &e)) == 1) {
        const struct metric_point p = {"who", -1, (double)getpid()};
        __atomic_add_fetch(&taken[c.trial], 1, __ATOMIC_SEQ_CST);
        rc = store_log_metrics(s, c.run, &p, 1, &e);
        if (rc == 0)
            rc = store_run_finish(s, c.run, TRIAL_complete, 0, NULL, &e);
    }
    store_close(s);
    if (rc < 0)
        fprintf(stderr, "claimer: %s\n", e.msg);
    return rc;
}

static void eight_processes_take_each_trial_once(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, CLAIM_TRIALS);
    size_t bytes = (CLAIM_TRIALS + 1) * sizeof(int);
    int *taken =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[CLAIMERS];
    for (int i = 0; i < CLAIMERS; i++)
        if ((pids[i] = fork_child()) == 0)
            _exit(claim_all(f->path, sweep, taken) == 0 ? 0 : 1);
    for (int i = 0; i < CLAIMERS; i++) {
        int status = -1;
        waitpid(pids[i], &status, 0);
        assert_int_equal(status, 0);
    }
    for (int i = 1; i <= CLAIM_TRIALS; i++)
        assert_int_equal(taken[i], 1);
    munmap(taken, bytes);
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM trial_view WHERE state = "
                                         "'complete' AND attempts = 1"),
                     CLAIM_TRIALS);
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM summary_view"),
                     CLAIM_TRIALS);
    assert_query_text(f->store, "PRAGMA integrity_check", "ok");
}

static void thirty_two_processes_create_one_store(void **state)
{
    struct fixture *f = *state;
    char *path = fs_join(f->dir, "race.db");
    int gate[2];
    pid_t pids[OPENERS];
    assert_int_equal(pipe(gate), 0);
    for (int i = 0; i < OPENERS; i++)
        if ((pids[i] = fork_child()) == 0) {
            char byte;
            struct store *s = NULL;
            struct err e = ERR_INIT;
            int64_t id = 0;
            close(gate[1]);
            (void)!read(gate[0], &byte, 1); /* all start when the gate is closed */
            int rc = store_open(path, STORE_CREATE, &s, &e);
            if (rc == 0)
                rc = store_experiment(s, "shared", &id, &e);
            store_close(s);
            if (rc < 0)
                fprintf(stderr, "opener: %s\n", e.msg);
            _exit(rc == 0 && id == 1 ? 0 : 1);
        }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < OPENERS; i++) {
        int status = -1;
        waitpid(pids[i], &status, 0);
        assert_int_equal(status, 0);
    }
    struct store *s = NULL;
    OK(store_open(path, 0, &s, err));
    assert_int_equal(query_int(s, "SELECT count(*) FROM experiment"), 1);
    store_close(s);
    free(path);
}

/* ---- kill -9 ---- */

enum { ROUNDS = 30, POINTS = 20 };

/* Writes batches of POINTS and acknowledges each through the pipe, until it is killed. */
static void write_until_killed(const char *path, int64_t run, int64_t from, int fd)
{
    struct store *s = NULL;
    if (store_open(path, 0, &s, NULL) < 0)
        _exit(1);
    for (int64_t batch = from;; batch++) {
        struct metric_point p[POINTS];
        for (int i = 0; i < POINTS; i++)
            p[i] = (struct metric_point){"train/loss", batch * POINTS + i, (double)batch};
        if (store_log_metrics(s, run, p, POINTS, NULL) < 0 ||
            write(fd, &batch, sizeof batch) != sizeof batch)
            _exit(1);
    }
}

static void killed_writers_lose_nothing_acknowledged(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a"), acknowledged = -1;
    add_trials(f->store, sweep, 1);
    struct run_claim c = claim_one(f->store, sweep, 3600000);
    store_close(f->store); /* so that each round meets the log of a killed writer */
    f->store = NULL;
    srand(7);
    for (int round = 0; round < ROUNDS; round++) {
        int fd[2];
        int64_t batch;
        assert_int_equal(pipe(fd), 0);
        pid_t pid = fork_child();
        if (pid == 0)
            write_until_killed(f->path, c.run, acknowledged + 1, fd[1]);
        close(fd[1]);
        assert_int_equal(read(fd[0], &batch, sizeof batch), sizeof batch);
        acknowledged = batch;
        usleep((useconds_t)(rand() % 20000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(fd[0], &batch, sizeof batch) == sizeof batch)
            acknowledged = batch;
        close(fd[0]);
        struct store *s = NULL;
        OK(store_open(f->path, round % 2 ? 0 : STORE_READ_ONLY, &s, err));
        int64_t n = query_int(s, "SELECT count(*) FROM metric");
        if (n % POINTS || n < (acknowledged + 1) * POINTS ||
            n > (acknowledged + 2) * POINTS)
            fail_msg("round %d: %lld values, %lld batches acknowledged", round,
                     (long long)n, (long long)(acknowledged + 1));
        acknowledged = n / POINTS - 1; /* one may have been kept without an answer */
        assert_query_text(s, "PRAGMA integrity_check", "ok");
        store_close(s);
    }
    assert_true(acknowledged > ROUNDS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(claims_go_by_number_then_attempts),
        T(ends_set_trial_and_run),
        T(stop_reaches_the_run),
        T(late_writers_are_refused),
        T(reap_gives_up_in_the_end),
        T(gone_owner_is_noticed_at_once),
        T(eight_processes_take_each_trial_once),
        T(thirty_two_processes_create_one_store),
        T(killed_writers_lose_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
