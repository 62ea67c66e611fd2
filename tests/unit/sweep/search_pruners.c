/* What every pruner must keep, over the table: a rule without a case fails. Promotion
 * rules run whole sweeps in a simulation, with one worker and with several, with trials
 * that fail and workers that are lost. */
#include "lib/mem.h"
#include "lib/rng.h"
#include "lib/str.h"
#include "sweep/file/sweep_file.h"
#include "sweep/pruners/pruner.h"
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define STEPS    27
#define TRIALS   60
#define WORKERS  5
#define MAX_UNIT 27

static struct sweep_file *parse(const char *early, const char *goal)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    char *text = xasprintf("program: x\nmethod: random\nmetric: {name: m, goal: %s}\n"
                           "parameters: {x: {min: 0.0, max: 1.0}}\n"
                           "early_terminate: {%s}\n",
                           goal, early);
    if (sweep_file_parse(text, strlen(text), "test", false, NULL, 0, NULL, &f, &err) < 0)
        fail_msg("%s", err.msg);
    free(text);
    return f;
}

static struct pruner open_pruner(const char *early, const char *goal)
{
    struct err err = ERR_INIT;
    struct sweep_file *f = parse(early, goal);
    struct pruner p;
    if (pruner_init(&p, f, MAX_UNIT, &err) < 0)
        fail_msg("%s", err.msg);
    sweep_file_free(f);
    return p;
}

/* The cases: the rule's name, and how a file asks for it. */
static const struct pruner_case {
    const char *name, *early;
} cases[] = {
    {"median", "type: median, startup: 4"},
    {"percentile", "type: percentile, percentile: 40, startup: 4"},
    {"successive_halving", "type: successive_halving, min: 1, eta: 3"},
    {"bands", "type: hyperband, min_iter: 3, eta: 3"},
    {"asha", "type: asha, min: 1, max: 27, eta: 3"},
    {"hyperband", "type: hyperband, min: 1, max: 27, eta: 3"},
};

/* ---- Stopping ---- */

struct field {
    struct curve curves[TRIALS];
    struct curve_point points[TRIALS][STEPS];
    size_t count;
};

/* A trial whose values fall towards its level. */
static void add_trial(struct field *d, double level, double sign, size_t reports,
                      enum curve_state state)
{
    struct curve_point *p = d->points[d->count];
    for (size_t k = 0; k < reports; k++)
        p[k] =
            (struct curve_point){(int64_t)k + 1, sign * (level + exp(-0.2 * (double)k))};
    d->curves[d->count] =
        (struct curve){.number = d->count, .state = state, .points = p, .count = reports};
    d->count++;
}

static struct field *some_trials(double sign)
{
    struct field *d = xcalloc(1, sizeof *d);
    for (int i = 0; i < 12; i++)
        add_trial(d, 1 + 0.1 * i, sign, STEPS, CURVE_COMPLETE);
    return d;
}

/* The step at which a trial of this level ends, 0: it does not. */
static size_t end_of(const char *early, double level, double sign, bool turned)
{
    struct pruner p = open_pruner(early, sign < 0 ? "maximize" : "minimize");
    struct field *d = some_trials(sign);
    size_t end = 0, self = d->count;
    add_trial(d, level, sign, STEPS, CURVE_RUNNING);
    if (turned) { /* the order in which curves are given is nothing */
        struct curve c = d->curves[0];
        d->curves[0] = d->curves[self];
        d->curves[self] = c;
        self = 0;
    }
    for (size_t k = 1; k <= STEPS && !end; k++) {
        d->curves[self].count = k;
        if (pruner_judge(&p, d->curves, d->count, self))
            end = k;
    }
    free(d);
    pruner_release(&p);
    return end;
}

static void stops_the_bad(const struct pruner_case *c)
{
    size_t bad = end_of(c->early, 9, 1, false);
    assert_int_equal(end_of(c->early, 0, 1, false), 0);
    assert_in_range(bad, 1, STEPS);
    assert_int_equal(end_of(c->early, 9, 1, true), bad);
    /* Turned round it is the same. */
    assert_int_equal(end_of(c->early, 9, -1, false), bad);
    assert_int_equal(end_of(c->early, 0, -1, false), 0);
}

/* A diverged trial never keeps others from going on, and nothing crashes. */
static void bears_nan(const struct pruner_case *c)
{
    struct pruner p = open_pruner(c->early, "minimize");
    struct field *d = some_trials(1);
    for (int i = 0; i < 3; i++)
        add_trial(d, NAN, 1, STEPS, i ? CURVE_PRUNED : CURVE_COMPLETE);
    size_t self = d->count;
    add_trial(d, 0.5, 1, STEPS, CURVE_RUNNING);
    for (size_t k = 1; k <= STEPS; k++) {
        d->curves[self].count = k;
        assert_false(pruner_judge(&p, d->curves, d->count, self));
    }
    add_trial(d, NAN, 1, STEPS, CURVE_RUNNING);
    d->curves[self + 1].count = 9;
    pruner_judge(&p, d->curves, d->count, self + 1);
    d->curves[self + 1].count = 0; /* no report: nothing to judge */
    assert_false(pruner_judge(&p, d->curves, d->count, self + 1));
    free(d);
    pruner_release(&p);
}

/* ---- Promotion: a sweep in a simulation ---- */

struct simulation {
    struct pruner p;
    struct curve curves[400];
    struct curve_point points[400][PRUNER_RUNGS_MAX];
    size_t count, limit;
    size_t last[400]; /* runs whose move said `last` */
    double fails;     /* share of runs that fail */
    double lost;      /* share of runs whose worker is lost on the way */
    int64_t work;     /* resource units spent */
    struct philox_key key;
    uint64_t draws;
};

static double chance(struct simulation *s)
{
    return rng_uniform(&s->key, 1, s->draws++);
}

/* The value is the trial's own and better with the resource. */
static double value_of(const struct simulation *s, size_t t, int64_t resource)
{
    return rng_uniform(&s->key, 0, t) + 1.0 / (double)resource;
}

static void begin(struct simulation *s, const struct pruner_move *m)
{
    size_t t = m->action == PRUNER_START ? s->count : m->index;
    if (m->action == PRUNER_START) {
        assert_true(s->count < s->limit);
        s->curves[s->count++] = (struct curve){.number = t, .points = s->points[t]};
        assert_int_equal(m->rung, 0);
    }
    struct curve *c = &s->curves[t];
    assert_int_equal(c->state, CURVE_WAITING);
    assert_true(m->resource > c->reached && m->resource <= MAX_UNIT);
    c->state = CURVE_RUNNING;
    c->target = m->resource;
    s->last[t] += m->last;
}

static void finish(struct simulation *s, size_t t)
{
    struct curve *c = &s->curves[t];
    if (chance(s) < s->lost) {
        c->state = CURVE_WAITING; /* reached < target: it must go on */
        return;
    }
    if (chance(s) < s->fails) {
        c->state = CURVE_FAILED;
        return;
    }
    s->work += c->target - c->reached;
    c->reached = c->target;
    s->points[t][c->count++] = (struct curve_point){c->target, value_of(s, t, c->target)};
    c->state = s->last[t] ? CURVE_COMPLETE : CURVE_WAITING;
}

/* A trial whose worker was lost goes on before anything else. */
static void resume_or_ask(struct simulation *s, struct pruner_move *m)
{
    for (size_t t = 0; t < s->count; t++)
        if (s->curves[t].state == CURVE_WAITING &&
            s->curves[t].reached < s->curves[t].target) {
            *m = (struct pruner_move){
                .action = PRUNER_RUN, .index = t, .resource = s->curves[t].target};
            return;
        }
    pruner_next(&s->p, s->curves, s->count, s->count == s->limit, m);
}

/* Until nothing runs and nothing can be started. */
static void simulate(struct simulation *s, size_t workers)
{
    size_t busy[WORKERS], running = 0;
    for (size_t round = 0; round < 100000; round++) {
        struct pruner_move m = {.action = PRUNER_WAIT}, same;
        if (running < workers) {
            resume_or_ask(s, &m);
            resume_or_ask(s, &same);
            assert_true(m.action == same.action && m.index == same.index &&
                        m.resource == same.resource && m.last == same.last);
        }
        if (m.action != PRUNER_WAIT) {
            begin(s, &m);
            busy[running++] = m.action == PRUNER_START ? s->count - 1 : m.index;
        } else if (running) {
            size_t k = (size_t)(chance(s) * (double)running);
            finish(s, busy[k]);
            busy[k] = busy[--running];
        } else {
            assert_int_equal(s->count, s->limit);
            return;
        }
    }
    fail_msg("the simulated sweep does not end");
}

static struct simulation *new_simulation(const char *early, size_t limit, uint64_t seed)
{
    struct simulation *s = xcalloc(1, sizeof *s);
    s->p = open_pruner(early, "minimize");
    s->key = rng_key(seed, "simulation");
    s->limit = limit;
    return s;
}

static size_t reached_end(const struct simulation *s)
{
    size_t n = 0;
    for (size_t t = 0; t < s->count; t++)
        n += s->curves[t].state == CURVE_COMPLETE;
    return n;
}

static void promotes_the_good(const struct pruner_case *c)
{
    for (size_t workers = 1; workers <= WORKERS; workers += 2) {
        struct simulation *s = new_simulation(c->early, TRIALS, workers);
        simulate(s, workers);
        size_t n = reached_end(s);
        double mean = 0;
        assert_in_range(n, 1, TRIALS / 3);
        for (size_t t = 0; t < s->count; t++)
            if (s->curves[t].state == CURVE_COMPLETE) {
                assert_int_equal(s->last[t], 1);
                assert_int_equal(s->curves[t].reached, MAX_UNIT);
                mean += value_of(s, t, MAX_UNIT) / (double)n;
            }
        /* Far less than all trials in full, and better than the average trial. */
        assert_true(s->work < TRIALS * MAX_UNIT / 2);
        assert_true(mean < 0.45);
        pruner_release(&s->p);
        free(s);
    }
}

/* Trials that fail hold nothing up and are never promoted; lost ones go on. */
static void survives_failures(const struct pruner_case *c)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct simulation *s = new_simulation(c->early, TRIALS, 100 + seed);
        s->fails = seed % 2 ? 0.3 : 1.0 * (double)(seed == 2);
        s->lost = 0.2;
        simulate(s, 1 + seed % WORKERS);
        for (size_t t = 0; t < s->count; t++) {
            assert_int_not_equal(s->curves[t].state, CURVE_RUNNING);
            if (s->curves[t].state == CURVE_WAITING)
                assert_int_equal(s->curves[t].reached, s->curves[t].target);
        }
        assert_true(s->fails > 0.9 ? reached_end(s) == 0 : reached_end(s) > 0);
        pruner_release(&s->p);
        free(s);
    }
}

static void rules_keep_their_word(void **state)
{
    (void)state;
    const struct pruner_rule *const *rows;
    size_t n = pruner_rules(&rows);
    for (size_t i = 0; i < n; i++) {
        const struct pruner_case *c = NULL;
        for (size_t k = 0; k < ARRAY_LEN(cases); k++)
            if (str_eq(cases[k].name, rows[i]->name))
                c = &cases[k];
        if (!c)
            fail_msg("the rule '%s' has no case here", rows[i]->name);
        struct pruner p = open_pruner(c->early, "minimize");
        assert_ptr_equal(p.rule, rows[i]);
        assert_true(rows[i]->promotes ? !rows[i]->judge && rows[i]->next
                                      : rows[i]->judge && !rows[i]->next);
        pruner_release(&p);
        if (rows[i]->promotes) {
            promotes_the_good(c);
            survives_failures(c);
        } else {
            stops_the_bad(c);
            bears_nan(c);
        }
    }
}

/* Rungs are filled before they promote, so how many work changes nothing but the time. */
static void hyperband_does_not_depend_on_workers(void **state)
{
    (void)state;
    const char *early = "type: hyperband, min: 1, max: 27, eta: 3";
    struct simulation *one = new_simulation(early, 98, 5); /* two whole cycles */
    simulate(one, 1);
    for (size_t workers = 2; workers <= WORKERS; workers++) {
        struct simulation *many = new_simulation(early, 98, 5);
        simulate(many, workers);
        assert_int_equal(many->work, one->work);
        for (size_t t = 0; t < one->count; t++)
            assert_int_equal(many->curves[t].reached, one->curves[t].reached);
        pruner_release(&many->p);
        free(many);
    }
    /* 27@1 9@3 3@9 1@27; 12@3 4@9 1@27; 6@9 2@27; 4@27, twice. */
    int64_t counts[28] = {0};
    for (size_t t = 0; t < one->count; t++)
        counts[one->curves[t].reached]++;
    assert_int_equal(counts[27], 2 * (1 + 1 + 2 + 4));
    assert_int_equal(counts[9], 2 * (2 + 3 + 4));
    assert_int_equal(counts[3], 2 * (6 + 8));
    assert_int_equal(counts[1], 2 * 18);
    pruner_release(&one->p);
    free(one);
}

/* After a restart a new successive_halving decides as the old one would have. */
static void halving_is_found_again_in_the_points(void **state)
{
    (void)state;
    const char *early = "type: successive_halving, min: 1, eta: 3";
    struct pruner p = open_pruner(early, "minimize");
    struct field *d = xcalloc(1, sizeof *d);
    struct philox_key key = rng_key(3, "halving");
    for (int i = 0; i < 30; i++)
        add_trial(d, 4 * rng_uniform(&key, 0, (uint64_t)i), 1, 0, CURVE_RUNNING);
    for (size_t t = 0; t < d->count; t++) {
        struct curve *c = &d->curves[t];
        struct field level = {.count = 0};
        add_trial(&level, 4 * rng_uniform(&key, 0, t), 1, STEPS, CURVE_RUNNING);
        memcpy(d->points[t], level.points[0], sizeof level.points[0]);
        for (size_t k = 1; k <= STEPS && c->state == CURVE_RUNNING; k++) {
            struct pruner again = open_pruner(early, "minimize");
            c->count = k;
            bool stop = pruner_judge(&p, d->curves, d->count, t);
            assert_int_equal(pruner_judge(&again, d->curves, d->count, t), stop);
            pruner_release(&again);
            if (stop)
                c->state = CURVE_PRUNED;
        }
        if (c->state == CURVE_RUNNING)
            c->state = CURVE_COMPLETE;
    }
    free(d);
    pruner_release(&p);
}

static void seeds_are_one_curve(void **state)
{
    (void)state;
    static const struct curve_point a[] = {{1, 1}, {2, 2}, {4, 3}, {5, 9}};
    static const struct curve_point b[] = {{1, 3}, {3, 0}, {4, NAN}, {5, 1}};
    static const struct curve_point c[] = {{2, 7}};
    struct curve seeds[] = {{.points = a, .count = 4},
                            {.points = b, .count = 3},
                            {.points = NULL, .count = 0}};
    struct curve_point out[4];
    assert_int_equal(curve_mean(seeds, 3, out), 2);
    assert_true(out[0].step == 1 && out[0].value == 2);
    assert_true(out[1].step == 4 && isnan(out[1].value));
    seeds[2] = (struct curve){.points = c, .count = 1};
    assert_int_equal(curve_mean(seeds, 3, out), 0); /* no step that all have */
    assert_int_equal(curve_mean(seeds, 1, out), 4);
    assert_int_equal(curve_mean(seeds, 0, out), 0);
}

static void settings_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *early, *says;
    } bad[] = {
        {"type: hyperband, max_iter: 9", "max_iter needs s"},
        {"type: hyperband, max_iter: 2, s: 2, eta: 3", "raise max_iter"},
        {"type: asha, min: 4, max: 20, rate: 3", "is above max"},
        {"type: asha, min: 9, max: 3", "min is above max"},
        {"type: percentile, percentile: 101", "percentile"},
        {"type: median, interval: 0", "interval"},
        {"type: best", "successive_halving"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        struct sweep_file *f;
        char *text = xasprintf("program: x\nparameters: {x: {values: [1]}}\n"
                               "early_terminate: {%s}\n",
                               bad[i].early);
        int rc =
            sweep_file_parse(text, strlen(text), "test", false, NULL, 0, NULL, &f, &err);
        if (rc != -ERR_CONFIG || !strstr(err.msg, bad[i].says) ||
            !strstr(err.msg, "line 3"))
            fail_msg("%s: %s", bad[i].early, rc ? err.msg : "accepted");
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_keep_their_word),
        cmocka_unit_test(hyperband_does_not_depend_on_workers),
        cmocka_unit_test(halving_is_found_again_in_the_points),
        cmocka_unit_test(seeds_are_one_curve),
        cmocka_unit_test(settings_are_checked),
    };
    return cmocka_run_group_tests_name("sweep_search_pruners", tests, NULL, NULL);
}
