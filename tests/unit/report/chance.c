/* tests/unit/report/chance.c - both sources of chance (report/evidence/chance.h): what is
 * made of rows whose spread is known, pairs of single runs, and rows that do not pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "lib/rng.h"
#include "report/evidence/chance.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIGS = 4, SEEDS = 3, ROWS = 80, TRIALS = CONFIGS * SEEDS };

/* A column of trials, and what their rows got. */
struct column {
    struct report_data data;
    struct report_trial trials[TRIALS];
    struct kept_rows kept;
    struct trial_rows rows[TRIALS];
    double scores[TRIALS][ROWS], means[TRIALS];
    struct chance chance;
    struct verdict *verdict;
};

/* Standard deviations: of a seed, of a row for all alike, of a row for one configuration,
 * of the rest. */
static const double of_seed = .02, of_row = 1, of_own = .5, of_rest = .3;

static void draw(struct column *c, uint64_t turn)
{
    struct philox_key key = rng_key(turn, "chance test");
    *c = (struct column){0};
    c->data.trials = c->trials;
    c->data.count = c->kept.trials = TRIALS;
    c->data.groups.count = CONFIGS;
    c->kept.of = c->rows;
    c->kept.with = TRIALS;
    for (uint64_t t = 0; t < TRIALS; t++) {
        const uint64_t config = t / SEEDS, seed = t % SEEDS;
        double sum = 0;
        c->trials[t] = (struct report_trial){.id = (int64_t)t + 1,
                                             .seed = (int64_t)seed,
                                             .group = config,
                                             .state = TRIAL_complete};
        for (uint64_t r = 0; r < ROWS; r++) {
            c->scores[t][r] = of_seed * rng_normal(&key, 1, t) +
                              of_row * rng_normal(&key, 2, r) +
                              of_own * rng_normal(&key, 3, config * ROWS + r) +
                              of_rest * rng_normal(&key, 4, t * ROWS + r);
            sum += c->scores[t][r];
        }
        c->means[t] = sum / ROWS;
        c->rows[t] = (struct trial_rows){c->scores[t], ROWS, 7};
    }
}

static void judge(struct column *c, size_t seeds)
{
    struct verdict_row rows[TRIALS];
    size_t n = 0;
    for (size_t t = 0; t < TRIALS; t++)
        if (t % SEEDS < seeds)
            rows[n++] = (struct verdict_row){.config = t / SEEDS,
                                             .seed = (int64_t)(t % SEEDS),
                                             .complete = true,
                                             .select = c->means[t],
                                             .score = c->means[t]};
    chance_init(&c->chance, &c->data, &c->kept, 0);
    const struct verdict_rules rules = {.collapse = NAN,
                                        .row_variance = chance_row_variance,
                                        .row_differences = chance_differences,
                                        .rows = &c->chance};
    c->verdict = verdict_new(rows, n, CONFIGS, &rules);
}

static void release(struct column *c)
{
    verdict_free(c->verdict);
    chance_release(&c->chance);
}

/* Of 400 columns: the rows' parts are right on average, and intervals of differences hold
 * as often as they say, while without the rows they do not. */
static void new_rows_are_reckoned_with(void **state)
{
    (void)state;
    enum { DRAWS = 400 };
    double own = 0, pair = 0, held = 0, alone = 0, pairs = 0, parts = 0;
    struct column *c = xcalloc(1, sizeof *c);
    for (uint64_t turn = 0; turn < DRAWS; turn++) {
        draw(c, turn);
        judge(c, SEEDS);
        const struct verdict *v = c->verdict;
        for (size_t i = 0; i < v->pair_count; i++) {
            const struct verdict_pair *p = &v->pairs[i];
            const double rows =
                chance_row_variance(&c->chance, &v->configs[p->a], &v->configs[p->b]);
            const double t = -stat_t_quantile(.025, 2 * (SEEDS - 1));
            const struct chance_parts x = chance_parts_of(&c->chance, v, p);
            pair += rows;
            held += p->ci95.low <= 0 && p->ci95.high >= 0;
            alone += fabs(p->diff) <= t * sqrt(x.seeds);
            parts += fabs(x.seeds + x.rows - p->se * p->se) > 1e-12 ||
                     !(x.se_twice_seeds < x.se && x.se_twice_rows < x.se);
            pairs++;
        }
        for (size_t i = 0; i < CONFIGS; i++)
            own += chance_row_variance(&c->chance, &v->configs[i], NULL);
        release(c);
    }
    const double true_own = of_own * of_own / ROWS;
    assert_float_equal(own / DRAWS / CONFIGS / true_own, 1, .03);
    assert_float_equal(pair / pairs / (2 * true_own), 1, .03);
    assert_in_range((int)(1000 * held / pairs), 935, 970);
    if (!(alone / pairs < .85))
        fail_msg("seeds alone hold in %g", alone / pairs);
    assert_true(parts == 0);
    free(c);
}

static void single_runs_are_paired_by_row(void **state)
{
    (void)state;
    struct column *c = xcalloc(1, sizeof *c);
    draw(c, 1);
    /* The first is right where the second is wrong in 9 rows, the other way round in 1. */
    for (size_t t = 0; t < TRIALS; t++) {
        for (size_t r = 0; r < ROWS; r++)
            c->scores[t][r] = r < 40 ? 1 : 0;
        c->means[t] = .5;
    }
    for (size_t r = 0; r < 10; r++)
        c->scores[SEEDS][r] = 0;
    c->scores[SEEDS][50] = c->scores[SEEDS][51] = 1;
    c->means[SEEDS] = 32.0 / ROWS;
    judge(c, 1);
    const struct verdict_pair *p = verdict_find(c->verdict, 0, 1);
    assert_string_equal(p->test, "rows");
    assert_true(c->verdict->item_level);
    assert_float_equal(p->diff, 8.0 / ROWS, 1e-12);
    assert_float_equal(p->p, stat_mcnemar_p(10, 2), 1e-12);
    assert_float_equal(verdict_find(c->verdict, 0, 2)->p, 1, 0);
    release(c);
    /* No shares: a t test over rows. */
    draw(c, 2);
    judge(c, 1);
    p = verdict_find(c->verdict, 0, 1);
    double *d = xcalloc(ROWS, sizeof *d), zeros[ROWS] = {0};
    for (size_t r = 0; r < ROWS; r++)
        d[r] = c->scores[0][r] - c->scores[SEEDS][r];
    assert_float_equal(p->p, stat_paired_t(d, zeros, ROWS, 0).p, 1e-9);
    free(d);
    release(c);
    free(c);
}

static void other_rows_do_not_pair(void **state)
{
    (void)state;
    struct column *c = xcalloc(1, sizeof *c);
    draw(c, 3);
    for (size_t s = 0; s < SEEDS; s++)
        c->rows[s].set = 8;                  /* the first configuration: another file */
    c->rows[SEEDS].scores = NULL;            /* the second: a run without */
    c->rows[2 * SEEDS + 1].count = ROWS / 2; /* the third: not the same in all runs */
    c->rows[2 * SEEDS + 1].set = 9;
    judge(c, SEEDS);
    const struct verdict *v = c->verdict;
    for (size_t i = 0; i < CONFIGS; i++)
        for (size_t k = i + 1; k < CONFIGS; k++)
            assert_true(
                isnan(chance_row_variance(&c->chance, &v->configs[i], &v->configs[k])));
    assert_non_null(chance_of(&c->chance, &v->configs[0])->by_row);
    assert_null(chance_of(&c->chance, &v->configs[1])->by_row);
    assert_null(chance_of(&c->chance, &v->configs[2])->by_row);
    assert_true(isnan(chance_row_variance(&c->chance, &v->configs[0], NULL)));
    assert_true(isnan(chance_parts_of(&c->chance, v, &v->pairs[0]).rows));
    assert_true(isfinite(v->pairs[0].ci95.low)); /* seeds tell all the same */
    release(c);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_rows_are_reckoned_with),
        cmocka_unit_test(single_runs_are_paired_by_row),
        cmocka_unit_test(other_rows_do_not_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
