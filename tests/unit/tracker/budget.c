/* Budgets inside the claim: what counts as used, and that no number of claimers at once
 * overspends. */
#include "lib/os/pool.h"
#include "tests/unit/tracker/fixture.h"
#include "tracker/claims/budget.h"

#define HOUR_MS 3600000

static void limit(struct store *s, int64_t sweep, struct store_budget b)
{
    OK(store_sweep_budget(s, sweep, &b, err));
}

static struct store_use use_of(struct store *s, int64_t sweep)
{
    struct store_budget b;
    struct store_use use = {0};
    OK(store_sweep_use(s, sweep, &b, &use, err));
    return use;
}

static int try_claim(struct store *s, int64_t sweep, struct run_claim *c)
{
    struct err e = ERR_INIT;
    int rc = store_claim(s, sweep, 0, 60000, NULL, c, &e);
    if (rc < 0)
        fail_msg("%s", e.msg);
    return rc;
}

static void end_run(struct store *s, struct run_claim c, enum trial_state state)
{
    OK(store_run_finish(s, c.run, state, 0, NULL, err));
}

/* The reason why trial `id` may not start, "" when it may. */
static const char *why_not(struct store *s, int64_t sweep, int64_t id, bool *wait)
{
    static char why[BUDGET_WHY_MAX];
    struct err e = ERR_INIT;
    if (store_budget_allows(s, sweep, id, why, wait, &e) < 0)
        fail_msg("%s", e.msg);
    return why;
}

static void assert_refused(struct store *s, int64_t sweep, int64_t id, const char *words)
{
    bool wait;
    const char *why = why_not(s, sweep, id, &wait);
    if (!*why || !strstr(why, words))
        fail_msg("'%s' lacks '%s'", why, words);
    assert_false(wait);
}

static void trials_and_failures_are_counted(void **state)
{
    struct fixture *f = *state;
    struct run_claim c = {0};
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 9);
    limit(f->store, sweep, (struct store_budget){.max_trials = 3});
    struct run_claim first = claim_one(f->store, sweep, 60000);
    end_run(f->store, first, TRIAL_preempted);
    end_run(f->store, claim_one(f->store, sweep, 60000), TRIAL_failed);
    end_run(f->store, claim_one(f->store, sweep, 60000), TRIAL_complete);
    /* trials 4.. are waiting and tried less often, but only the first may go on */
    assert_int_equal(try_claim(f->store, sweep, &c), 0);
    assert_refused(f->store, sweep, 4, "budget.max_trials is used up: 3 of 3");
    struct err e = ERR_INIT;
    assert_int_equal(store_claim(f->store, sweep, 4, 60000, NULL, &c, &e), 0);
    assert_int_equal(store_claim(f->store, 0, 4, 60000, NULL, &c, &e), 0);
    assert_int_equal(store_claim(f->store, sweep, first.trial, 60000, NULL, &c, &e), 1);
    end_run(f->store, c, TRIAL_oom);
    limit(f->store, sweep, (struct store_budget){.max_failures = 2});
    assert_refused(f->store, sweep, 4, "budget.max_failures is used up: 2 of 2");
    assert_int_equal(try_claim(f->store, sweep, &c), 0);
    limit(f->store, sweep, (struct store_budget){.max_failures = 3});
    assert_int_equal(try_claim(f->store, sweep, &c), 1);
    struct store_use use = use_of(f->store, sweep);
    assert_int_equal((int)use.trials, 4);
    assert_int_equal((int)use.failures, 2);
    assert_int_equal((int)use.running, 1);
    FAILS(store_sweep_budget(f->store, 77, &(struct store_budget){0}, err), ERR_NOINPUT,
          "no sweep 77");
}

/* Two at a time, a pause, one alone; then one that is lost without a word. */
static void time_is_the_union_of_runs(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    const double cores = pool_size();
    add_trials(f->store, sweep, 9);
    set_clock(HOUR_MS);
    struct run_claim a = claim_one(f->store, sweep, 60000);
    set_clock(HOUR_MS + 1800000);
    struct run_claim b = claim_one(f->store, sweep, 60000);
    set_clock(2 * HOUR_MS);
    end_run(f->store, a, TRIAL_complete);
    set_clock(2 * HOUR_MS + 1800000);
    end_run(f->store, b, TRIAL_complete);
    set_clock(9 * HOUR_MS);
    struct run_claim c = claim_one(f->store, sweep, 60000);
    set_clock(10 * HOUR_MS);
    struct store_use use = use_of(f->store, sweep);
    assert_float_equal(use.wall_s, 2.5 * 3600, 1e-6);
    assert_float_equal(use.core_hours, 3 * cores, 1e-9); /* nothing left of the mean */
    set_clock(11 * HOUR_MS);
    OK(store_heartbeat(f->store, c.run, 60000, NULL, err));
    set_clock(20 * HOUR_MS);
    int reaped = 0;
    OK(store_reap(f->store, sweep, 3, &reaped, err));
    assert_int_equal(reaped, 1);
    use = use_of(f->store, sweep);
    assert_float_equal(use.wall_s, 3.5 * 3600, 1e-6);
    assert_float_equal(use.usd, 4 * cores * BUDGET_USD_PER_CORE_HOUR, 1e-9);
    limit(f->store, sweep, (struct store_budget){.max_wall_s = 3.5 * 3600});
    assert_refused(f->store, sweep, 4, "max_wall (seconds) is used up: 12600 of 12600");
    limit(f->store, sweep,
          (struct store_budget){.max_gpu_hours = 8, .gpus = 2, .usd_per_gpu_hour = 1.5});
    use = use_of(f->store, sweep);
    assert_float_equal(use.gpu_hours, 8, 1e-9);
    assert_float_equal(use.usd, 12, 1e-9);
    assert_refused(f->store, sweep, 4, "max_gpu_hours is used up: 8 of 8");
    limit(f->store, sweep,
          (struct store_budget){.max_usd = 12.5, .gpus = 2, .usd_per_gpu_hour = 1.5});
    assert_refused(f->store, sweep, 4, "does not fit budget.max_usd: 12 of 12.5");
    limit(f->store, sweep,
          (struct store_budget){.max_usd = 15.5, .gpus = 2, .usd_per_gpu_hour = 1.5});
    bool wait;
    assert_string_equal(why_not(f->store, sweep, 4, &wait), ""); /* the mean is 1 h */
}

/* Without predictions the limit of a trial is reserved, and given back at its end. */
static void what_runs_has_reserved(void **state)
{
    struct fixture *f = *state;
    struct run_claim c = {0};
    bool wait = false;
    int64_t sweep = new_sweep(f->store, "a");
    const double cores = pool_size();
    add_trials(f->store, sweep, 9);
    set_clock(HOUR_MS);
    limit(f->store, sweep,
          (struct store_budget){.max_hours = 2.5 * cores, .trial_timeout_s = 3600});
    struct run_claim a = claim_one(f->store, sweep, 60000);
    claim_one(f->store, sweep, 60000);
    assert_int_equal(try_claim(f->store, sweep, &c), 0);
    assert_non_null(strstr(why_not(f->store, sweep, 3, &wait), "does not fit"));
    assert_true(wait);
    set_clock(HOUR_MS + 600000); /* took 10 minutes; so will the others */
    end_run(f->store, a, TRIAL_complete);
    struct store_use use = use_of(f->store, sweep);
    assert_float_equal(use.core_hours, cores / 3, 1e-9);
    assert_int_equal(try_claim(f->store, sweep, &c), 1);
}

/* ---- many at once ---- */

enum { CLAIMERS = 8, TRIALS = 60 };

/* Claims until it gets nothing, ending every claim at once; how many it got. */
static int claimer(const char *path, int64_t sweep, enum trial_state state)
{
    struct store *s;
    struct err e = ERR_INIT;
    struct run_claim c;
    int got = 0;
    if (store_open(path, 0, &s, &e) < 0)
        return 200;
    for (int rc; (rc = store_claim(s, sweep, 0, 60000, NULL, &c, &e)) != 0; got++) {
        if (rc < 0)
            return 201;
        if (state != TRIAL_running && store_run_finish(s, c.run, state, 0, NULL, &e) < 0)
            return 202;
    }
    store_close(s);
    return got;
}

static int claims_of_many(struct fixture *f, int64_t sweep, enum trial_state state)
{
    pid_t pids[CLAIMERS];
    int sum = 0;
    for (int i = 0; i < CLAIMERS; i++)
        if ((pids[i] = fork()) == 0)
            _exit(claimer(f->path, sweep, state));
    for (int i = 0; i < CLAIMERS; i++) {
        int status = 0;
        waitpid(pids[i], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 200);
        sum += WEXITSTATUS(status);
    }
    return sum;
}

static void eight_claimers_never_overspend(void **state)
{
    struct fixture *f = *state;
    const double cores = pool_size();
    const struct {
        struct store_budget budget;
        enum trial_state state; /* running: they stay open */
        int claims;
    } cases[] = {
        {{.max_trials = 17}, TRIAL_complete, 17},
        {{.max_failures = 7}, TRIAL_nan, 7},
        {{.max_hours = 11 * cores, .trial_timeout_s = 3600}, TRIAL_running, 11},
        {{.max_gpu_hours = 12, .gpus = 4, .trial_timeout_s = 1800}, TRIAL_running, 6},
        {{.max_usd = 5 * cores * BUDGET_USD_PER_CORE_HOUR, .trial_timeout_s = 3600},
         TRIAL_running,
         5},
        {{.max_trials = 0}, TRIAL_complete, TRIALS},
    };
    set_clock(HOUR_MS);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char name[16];
        snprintf(name, sizeof name, "s%zu", i);
        int64_t sweep = new_sweep(f->store, name);
        add_trials(f->store, sweep, TRIALS);
        limit(f->store, sweep, cases[i].budget);
        assert_int_equal(claims_of_many(f, sweep, cases[i].state), cases[i].claims);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trials_and_failures_are_counted, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(time_is_the_union_of_runs, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(what_runs_has_reserved, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(eight_claimers_never_overspend, fixture_open,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
