/* `until`: the rule on scores, and sweeps that stop when their question is decided: the same
 * for any number of workers, after kill -9, and together with rungs, slices, stopping rules
 * and budgets. */
#include "tests/unit/sweep/engine.h"
#include "sweep/run/until_rule.h"
#include <signal.h>

/* --- the rule --- */

static struct until_look look_at(const struct sweep_until *rule, size_t look,
                                 const double (*x)[4], const size_t *n, size_t count,
                                 size_t *send)
{
    struct until_arm arms[8];
    struct until_look out;
    for (size_t i = 0; i < count; i++)
        arms[i] = (struct until_arm){x[i], n[i], 2, false};
    until_look_at(rule, arms, count, look, false, send, &out);
    return out;
}

static void contenders_get_seeds(void **state)
{
    (void)state;
    const struct sweep_until rule = {UNTIL_REGRET, 0.001, NAN};
    const double x[3][4] = {{.80, .82}, {.79, .82}, {.60, .62}};
    const size_t n[3] = {2, 2, 2};
    size_t send[3];
    const struct until_look l = look_at(&rule, 1, x, n, 3, send);
    assert_int_equal(l.best, 0);
    assert_true(!l.reached && l.expected > 0.001 && l.expected < 0.02 && l.chance < 0.5);
    assert_true(l.delta == 0.01);
    assert_int_equal(l.send_count, 2);
    assert_true(send[0] == 0 && send[1] == 1);
}

static void a_clear_lead_is_reached(void **state)
{
    (void)state;
    const struct sweep_until regret = {UNTIL_REGRET, 0.001, NAN},
                             chance = {UNTIL_CHANCE, 0.05, 0.01},
                             decided = {UNTIL_DECIDED, 0, NAN};
    const double x[3][4] = {{.90, .905, .91}, {.79, .80, .795}, {.60, .61, .605}};
    const size_t n[3] = {3, 3, 3};
    size_t send[3];
    assert_true(look_at(&regret, 1, x, n, 3, send).reached);
    assert_true(look_at(&chance, 1, x, n, 3, send).reached);
    assert_true(look_at(&decided, 1, x, n, 3, send).reached);
    /* a verdict spends its level: the later look, the less it may rest on */
    const double close[2][4] = {{.82, .83, .81}, {.80, .79, .81}};
    const struct sweep_until fine = {UNTIL_DECIDED, 0, 0};
    size_t first = 0;
    while (first < 40 && !look_at(&fine, 40 - first, close, n, 2, send).reached)
        first++;
    assert_true(first > 30); /* not at look 10 or later, if at all */
}

static void what_is_out_is_not_chosen(void **state)
{
    (void)state;
    const struct sweep_until rule = {UNTIL_REGRET, 0.001, NAN};
    const double a[] = {.9, .91}, b[] = {.8, NAN}, d[] = {.5, .52};
    const struct until_arm arms[] = {{a, 2, 1, true}, {b, 2, 1, false}, {d, 2, 1, false}};
    size_t send[3];
    struct until_look l;
    until_look_at(&rule, arms, 3, 1, false, send, &l);
    assert_true(l.reached && l.best == 2); /* the only one left */
    until_look_at(&rule, arms, 2, 1, false, send, &l);
    assert_true(!l.reached && l.best == 2 && l.send_count == 0);
}

/* --- sweeps --- */

#define NOISY                                                                            \
    HEAD "  updates: {value: 4}\n  noise: {value: 0.3}\n"                                \
         "  quality: {values: [1.0, 1.125, 1.25, 3, 4, 5]}\n"
#define UNTIL NOISY "until: {regret: 0.08, seeds_max: 6}\n"

/* What ran, and what was said; nothing of when or where. */
static char *outcome(struct fixture *f)
{
    struct buf out = BUF_INIT;
    json_t *rows =
        query_rows(f->store, "SELECT params ->> 'quality', seed, state, "
                             "iif(state = 'spared', reason, NULL), (SELECT value FROM "
                             "summary_view WHERE trial = trial_view.id) FROM trial_view "
                             "ORDER BY number");
    json_write(&out, rows, 0);
    json_decref(rows);
    return buf_detach(&out, NULL);
}

static void the_same_for_any_number_of_workers(void **state)
{
    run(*state, UNTIL, NULL, 1);
    char *one = outcome(*state);
    for (int jobs = 2; jobs <= 4; jobs += 2) {
        void *other;
        fixture_open(&other);
        run(other, UNTIL, NULL, jobs);
        char *many = outcome(other);
        assert_string_equal(many, one);
        free(many);
        fixture_close(&other);
    }
    expect(*state,
           "SELECT state, count(*) > 0 FROM trial_view GROUP BY state ORDER BY state",
           "complete 1|spared 1");
    /* two of each at least; the hopeless get no more; the close ones do */
    expect(
        *state,
        "SELECT params ->> 'quality' AS q, sum(state = 'complete') = 2 FROM trial_view "
        "WHERE q >= 3 GROUP BY q",
        "3 1|4 1|5 1");
    expect(
        *state,
        "SELECT max(n) > 2, min(n) >= 2 FROM (SELECT sum(state = 'complete') AS n FROM "
        "trial_view GROUP BY key)",
        "1 1");
    expect(*state,
           "SELECT count(DISTINCT reason), min(reason LIKE 'until regret 0.08: reached "
           "after % trials of at most 36, % looks; take quality=1%, expected regret %') "
           "FROM trial_view WHERE state = 'spared'",
           "1 1");
    expect(*state,
           "SELECT count(*) FROM run_view WHERE trial IN (SELECT id FROM "
           "trial_view WHERE state = 'spared')",
           "0");
    free(one);
}

/* A controller that is killed now and then, and goes on. */
static void killed_and_resumed(void **state)
{
    void *other;
    fixture_open(&other);
    run(other, UNTIL, NULL, 2);
    char *wanted = outcome(other);
    fixture_close(&other);
    struct fixture *f = *state;
    int status = 1;
    for (int i = 0; i < 100 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct err why = ERR_INIT;
            int rc = store_open(f->path, 0, &f->store, &why);
            if (rc == 0)
                free(run_file(f, UNTIL, NULL, 2, &rc, &why));
            _exit(rc != 0);
        }
        if (i < 12) {
            usleep(150000);
            kill(pid, SIGKILL);
        }
        assert_true(waitpid(pid, &status, 0) == pid);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    char *got = outcome(f);
    assert_string_equal(got, wanted);
    free(got);
    free(wanted);
}

static void spared_trials_come_back(void **state)
{
    run(*state, UNTIL, NULL, 2);
    char *first = outcome(*state);
    run(*state, UNTIL, NULL, 2); /* nothing left to do */
    char *again = outcome(*state);
    assert_string_equal(again, first);
    /* more is asked for: more runs */
    run(*state, NOISY "until: {regret: 0.0001, seeds_max: 6}\n", NULL, 2);
    expect(*state,
           "SELECT max(n), min(n) FROM (SELECT sum(state = 'complete') AS n FROM "
           "trial_view GROUP BY key)",
           "6 2");
    expect(
        *state,
        "SELECT min(reason LIKE '%not reached with these seeds%') FROM trial_view WHERE "
        "state = 'spared'",
        "1");
    /* without `until` the whole grid */
    run(*state, NOISY "seeds: [0, 1, 2, 3, 4, 5]\n", NULL, 2);
    expect(*state, "SELECT state, count(*) FROM trial_view GROUP BY state",
           "complete 36");
    free(first);
    free(again);
}

static void with_slices_and_rungs(void **state)
{
    run(*state, UNTIL "interleave: 2\n", NULL, 2);
    expect(*state,
           "SELECT sum(state = 'complete') >= 12, sum(state = 'spared') > 0, sum(state "
           "NOT IN ('complete', 'spared')) FROM trial_view",
           "1 1 0");
    void *other;
    fixture_open(&other);
    run(other, UNTIL "early_terminate: {type: asha, min: 1, eta: 2}\n", NULL, 2);
    expect(other,
           "SELECT sum(state = 'complete') >= 2, sum(state = 'pruned') >= 4, sum(state = "
           "'spared') > 0, sum(state NOT IN ('complete', 'pruned', 'spared')) FROM "
           "trial_view",
           "1 1 1 0");
    fixture_close(&other);
    fixture_open(&other);
    run(other, UNTIL "early_terminate: {type: hyperband, min: 1, eta: 2}\n", NULL, 2);
    expect(
        other,
        "SELECT sum(state = 'complete') >= 2, sum(state = 'spared') > 0, sum(state NOT "
        "IN ('complete', 'pruned', 'spared')) FROM trial_view",
        "1 1 0");
    fixture_close(&other);
    fixture_open(&other);
    run(other, UNTIL "early_terminate: {type: median, startup: 3}\n", NULL, 2);
    expect(
        other,
        "SELECT sum(state = 'complete') >= 6, sum(state = 'spared') > 0, sum(state NOT "
        "IN ('complete', 'pruned', 'spared')) FROM trial_view",
        "1 1 0");
    fixture_close(&other);
}

static void within_a_budget(void **state)
{
    struct err err = ERR_INIT;
    int status;
    free(run_file(*state, UNTIL "budget: {max_trials: 13}\n", NULL, 2, &status, &err));
    expect(*state, "SELECT state, count(*) FROM trial_view GROUP BY state ORDER BY state",
           "complete 13|waiting 23");
    run(*state, UNTIL, NULL, 2);
    expect(*state, "SELECT count(*) FROM trial_view WHERE state = 'waiting'", "0");
}

/* One whose seeds run out of memory is no longer asked. */
static void failures_are_left_out(void **state)
{
    struct err err = ERR_INIT;
    int status;
    free(run_file(*state, UNTIL, "+floor=1.1", 2, &status, &err));
    assert_int_equal(status, 1);
    expect(*state,
           "SELECT params ->> 'quality' AS q, sum(state = 'oom'), sum(state = 'spared') "
           "FROM trial_view WHERE q < 1.1 GROUP BY q",
           "1 2 4");
    expect(*state, "SELECT count(*) FROM trial_view WHERE state = 'waiting'", "0");
}

static void what_is_refused(void **state)
{
    struct fixture *f = *state;
    refused(f, NOISY "until: soon\n", "until is 'decided', {regret: X}");
    refused(f, NOISY "until: {seeds_max: 4}\n", "until what?");
    refused(f, NOISY "until: {regret: 0.1, decided: true}\n", "exclude each other");
    refused(f, NOISY "until: {regret: 0}\n", "regret");
    refused(f, NOISY "until: {regret: 0.1, seeds_max: 1}\n", "seeds_max");
    refused(f, "name: s\nparameters:\n  model: {value: m}\nuntil: decided\n",
            "needs a metric");
    refused(f,
            "method: tpe\n" HEAD "  quality: {min: 0.0, max: 1.0}\nuntil: decided\n"
            "budget: {max_trials: 9}\n",
            "adds configurations as results come");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contenders_get_seeds),
        cmocka_unit_test(a_clear_lead_is_reached),
        cmocka_unit_test(what_is_out_is_not_chosen),
        TEST(the_same_for_any_number_of_workers),
        TEST(killed_and_resumed),
        TEST(spared_trials_come_back),
        TEST(with_slices_and_rungs),
        TEST(within_a_budget),
        TEST(failures_are_left_out),
        TEST(what_is_refused),
    };
    if (argc > 1 && !strcmp(argv[1], "trial"))
        return child(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
