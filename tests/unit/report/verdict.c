/* Verdicts against the tables of known truth in tests/golden/verdicts, and the rules that
 * the tables do not touch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "report/evidence/verdict.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "tests/golden/verdicts"

struct table {
    struct verdict_row rows[512];
    size_t count, config_count;
    char *names[32];
    double rates[64]; /* variant number -> learning rate */
    size_t rate_count;
};

static size_t name_index(struct table *t, const char *name)
{
    size_t i = 0;
    while (i < t->config_count && strcmp(t->names[i], name) != 0)
        i++;
    if (i == t->config_count)
        t->names[t->config_count++] = xstrdup(name);
    return i;
}

static size_t rate_index(struct table *t, double rate)
{
    size_t i = 0;
    while (i < t->rate_count && t->rates[i] != rate)
        i++;
    if (i == t->rate_count)
        t->rates[t->rate_count++] = rate;
    return i;
}

static void read_table(struct table *t, const char *file)
{
    struct buf text = BUF_INIT;
    char *path = fs_join(FOLDER, file), *save = NULL;
    *t = (struct table){.count = 0};
    assert_int_equal(fs_read(path, 1 << 20, &text, NULL), 0);
    strtok_r(text.data, "\n", &save); /* the heading */
    for (char *line; (line = strtok_r(NULL, "\n", &save));) {
        char config[64], state[16], select[32], score[32];
        double rate;
        int seed;
        assert_int_equal(sscanf(line, "%63[^,],%lf,%d,%15[^,],%31[^,],%31s", config,
                                &rate, &seed, state, select, score),
                         6);
        struct verdict_row *row = &t->rows[t->count++];
        *row = (struct verdict_row){.config = name_index(t, config),
                                    .variant = rate_index(t, rate),
                                    .order = rate,
                                    .seed = seed,
                                    .complete = !strcmp(state, "complete"),
                                    .select = strtod(select, NULL),
                                    .score = strtod(score, NULL)};
    }
    free(path);
    buf_release(&text);
}

static void table_release(struct table *t)
{
    for (size_t i = 0; i < t->config_count; i++)
        free(t->names[i]);
}

static bool close_to(double got, double wanted, const json_t *tolerance)
{
    return fabs(got - wanted) <= fmax(json_get_num(tolerance, "abs", 0),
                                      json_get_num(tolerance, "rel", 0) * fabs(wanted));
}

/* What verdicts.json says by a rule that is another now: pairs.json has it. */
static bool is_of_pairs(const char *key)
{
    static const char *const keys[] = {"p",      "df",     "low95",
                                       "high95", "low90",  "high90",
                                       "p_tost", "p_holm", "p_tost_holm"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (!strcmp(key, keys[i]))
            return true;
    return false;
}

/* Every member of `wanted` is there with that value; two are named otherwise here. */
static void compare_json(const char *where, const json_t *wanted, const json_t *got,
                         const json_t *tolerance, bool pairs)
{
    if (json_is_object(wanted)) {
        const char *key;
        json_t *v;
        json_object_foreach((json_t *)wanted, key, v)
        {
            char *below = xasprintf("%s.%s", where, key);
            bool renamed = !strcmp(key, "learning_rates_tried");
            bool of_pair = json_object_get(wanted, "verdict") && is_of_pairs(key);
            if (strcmp(key, "learning_rate") != 0 && !(of_pair && !pairs))
                compare_json(below, v,
                             json_object_get(got, renamed ? "variants_tried" : key),
                             tolerance, pairs);
            free(below);
        }
    } else if (json_is_array(wanted)) {
        assert_int_equal(json_array_size(wanted), json_array_size(got));
        for (size_t i = 0; i < json_array_size(wanted); i++)
            compare_json(where, json_array_get(wanted, i), json_array_get(got, i),
                         tolerance, pairs);
    } else if (json_is_number(wanted)) {
        if (!json_is_number(got) ||
            !close_to(json_number_value(got), json_number_value(wanted), tolerance))
            fail_msg("%s: got %.12g, not %.12g", where, json_number_value(got),
                     json_number_value(wanted));
    } else if (!json_equal(wanted, got)) {
        fail_msg("%s differs", where);
    }
}

static void golden_tables(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    json_t *cases = json_read_file(FOLDER "/verdicts.json", &e), *c,
           *pairs = json_read_file(FOLDER "/pairs.json", &e);
    size_t i;
    if (!cases || !pairs)
        fail_msg("%s", e.msg);
    assert_int_equal(json_array_size(cases), 12);
    assert_int_equal(json_array_size(pairs), 12);
    json_array_foreach(cases, i, c)
    {
        json_t *input = json_object_get(c, "input"),
               *expected = json_object_get(c, "expected"), *config;
        const char *file = json_get_str(input, "file", ""), *name;
        struct table t;
        read_table(&t, file);
        struct verdict_rules rules = {
            .delta = json_get_num(input, "delta", NAN),
            .collapse = json_get_num(input, "collapsed_at_or_below", NAN)};
        struct verdict *v = verdict_new(t.rows, t.count, t.config_count, &rules);
        json_t *got = verdict_json(v, (const char *const *)t.names);
        compare_json(file, expected, got, json_object_get(c, "tolerance"), false);
        const json_t *numbers = json_array_get(pairs, i);
        assert_string_equal(json_get_str(numbers, "file", ""), file);
        compare_json(file, json_object_get(numbers, "pairs"),
                     json_object_get(got, "pairs"), json_object_get(numbers, "tolerance"),
                     true);
        json_object_foreach(json_object_get(expected, "configs"), name, config)
        {
            assert_true(t.rates[v->configs[name_index(&t, name)].variant] ==
                        json_get_num(config, "learning_rate", NAN));
        }
        json_decref(got);
        verdict_free(v);
        table_release(&t);
    }
    json_decref(cases);
    json_decref(pairs);
}

static struct verdict *from_scores(const double *scores, size_t configs, size_t seeds,
                                   const struct verdict_rules *rules)
{
    struct verdict_row rows[64];
    for (size_t i = 0; i < configs * seeds; i++)
        rows[i] = (struct verdict_row){.config = i / seeds,
                                       .seed = (int64_t)(i % seeds),
                                       .complete = true,
                                       .select = scores[i],
                                       .score = scores[i]};
    return verdict_new(rows, configs * seeds, configs, rules);
}

static void lower_is_better_mirrors_higher(void **state)
{
    (void)state;
    double scores[] = {.80, .82, .81, .83, .60, .63, .61, .62}, losses[8];
    for (int i = 0; i < 8; i++)
        losses[i] = -scores[i];
    struct verdict_rules up = {.delta = .01, .collapse = NAN},
                         down = {.minimize = true, .delta = .01, .collapse = NAN};
    struct verdict *v = from_scores(scores, 2, 4, &up),
                   *w = from_scores(losses, 2, 4, &down);
    assert_int_equal(v->tied_count, 1);
    assert_int_equal(w->tied_count, 1);
    assert_int_equal(w->tied[0], 0);
    assert_true(w->pairs[0].diff == v->pairs[0].diff && w->pairs[0].diff > 0);
    assert_true(w->pairs[0].p == v->pairs[0].p);
    verdict_free(v);
    verdict_free(w);
}

static void collapse_turns_with_the_goal(void **state)
{
    (void)state;
    double losses[] = {.5, .6, 9, .7, .8, .75};
    struct verdict_rules rules = {.minimize = true, .delta = .01, .collapse = 5};
    struct verdict *v = from_scores(losses, 2, 3, &rules);
    assert_int_equal(v->configs[0].n_failed, 1);
    assert_int_equal(v->configs[0].n_ok, 2);
    assert_true(fabs(v->configs[0].mean - .55) < 1e-12);
    assert_string_equal(v->pairs[0].test, "welch"); /* two shared seeds only */
    verdict_free(v);
}

static void nothing_and_failures_only(void **state)
{
    (void)state;
    struct verdict_rules rules = {.delta = 1, .collapse = NAN};
    struct verdict *v = verdict_new(NULL, 0, 2, &rules);
    const char *names[] = {"a", "b"};
    json_t *j = verdict_json(v, names);
    assert_string_equal(json_get_str(j, "decision", ""), "none");
    assert_true(json_is_null(json_object_get(j, "best")));
    json_decref(j);
    verdict_free(v);
    struct verdict_row rows[] = {{.config = 0, .seed = 0, .score = NAN},
                                 {.config = 0, .seed = 1, .score = NAN}};
    v = verdict_new(rows, 2, 2, &rules);
    assert_int_equal(v->configs[0].n, 2);
    assert_int_equal(v->configs[0].n_failed, 2);
    assert_false(v->configs[1].known);
    assert_int_equal(v->tied_count, 0);
    verdict_free(v);
}

static void repeats_count_once(void **state)
{
    (void)state;
    struct verdict_row rows[] = {
        {.seed = 0, .complete = true, .select = 1, .score = 1},
        {.seed = 1, .complete = true, .select = 2, .score = 2},
        {.seed = 0, .complete = true, .select = 3, .score = 4},
    };
    struct verdict_rules rules = {.delta = 1, .collapse = NAN};
    struct verdict *v = verdict_new(rows, 3, 1, &rules);
    assert_int_equal(v->configs[0].n, 2);
    assert_true(v->configs[0].mean == 3);
    verdict_free(v);
}

static void seeds_needed(void **state)
{
    (void)state;
    /* d = 1 of the paired differences: 10 pairs by reference 2.2 (15). */
    struct verdict_pair p = {.diff = 1, .sd = 1};
    assert_int_equal(verdict_seeds_needed(&p, .5, .05), 10);
    assert_true(verdict_seeds_needed(&p, .5, .05 / 15) > 10);
    p.n = 3, p.df = 14; /* eight configurations tell the spread */
    assert_int_equal(verdict_seeds_needed(&p, .5, .05), 9);
    p.sd = NAN;
    assert_int_equal(verdict_seeds_needed(&p, .5, .05), 0);
    p = (struct verdict_pair){.diff = 0, .sd = 1}; /* equivalence within 1 s.d. */
    assert_int_equal(verdict_seeds_needed(&p, 1, .05), 8);
}

/* ---- single runs on items ---- */

/* Three runs of one seed on 1,319 items: 694 and 677 right, and 400. */
static void single_runs_are_compared_by_items(void **state)
{
    (void)state;
    struct verdict_row rows[3];
    const double right[] = {694, 677, 400};
    for (size_t i = 0; i < 3; i++)
        rows[i] = (struct verdict_row){.config = i,
                                       .complete = true,
                                       .select = right[i] / 1319,
                                       .score = right[i] / 1319,
                                       .items = 1319};
    struct verdict_rules rules = {.delta = .01, .collapse = NAN};
    struct verdict *v = verdict_new(rows, 3, 3, &rules);
    assert_true(v->item_level);
    assert_int_equal(v->tied_count, 2);
    const struct verdict_pair *near = verdict_find(v, 1, 0), *far = verdict_find(v, 0, 2);
    assert_string_equal(near->test, "items");
    /* z = (17 / 1319) / sqrt(2 p (1 - p) / 1319), p = 1371 / 2638 */
    assert_true(fabs(near->p - .507657285528) < 1e-9);
    assert_int_equal(near->word, VERDICT_UNDECIDED);
    assert_int_equal(far->word, VERDICT_BETTER);
    assert_true(near->p_adjusted >= near->p && far->p_adjusted < 1e-9);
    /* Wilson, half-width 2.7 points */
    assert_true(fabs((v->configs[0].ci.high - v->configs[0].ci.low) / 2 - .0269) < 1e-3);
    assert_int_equal(v->configs[0].items, 1319);
    verdict_free(v);

    v = verdict_new(rows + 1, 2, 3, &rules); /* a winner on items is no winner */
    const char *names[] = {"a", "b", "c"};
    json_t *o = verdict_json(v, names);
    assert_int_equal(v->tied_count, 1);
    assert_string_equal(json_get_str(o, "decision", ""), "none");
    json_decref(o);
    verdict_free(v);

    rows[1].items = 0; /* without a number of items nothing is compared */
    v = verdict_new(rows, 3, 3, &rules);
    assert_string_equal(verdict_find(v, 0, 1)->test, "none");
    verdict_free(v);
}

/* Two seeds are judged by their spread, never as items. */
static void items_do_not_replace_seeds(void **state)
{
    (void)state;
    struct verdict_row rows[4];
    for (size_t i = 0; i < 4; i++)
        rows[i] = (struct verdict_row){.config = i / 2,
                                       .seed = (int64_t)(i % 2),
                                       .complete = true,
                                       .score = .5 + .1 * (double)(i / 2) +
                                                .01 * (double)(i % 2),
                                       .items = 1000};
    struct verdict_rules rules = {.delta = .01, .collapse = NAN};
    struct verdict *v = verdict_new(rows, 4, 2, &rules);
    assert_string_equal(v->pairs[0].test, "welch");
    assert_int_equal(v->configs[0].items, 0);
    assert_false(v->item_level);
    verdict_free(v);
}

/* ---- what all configurations say together ---- */

/* A lead of six s.d. after three seeds, of which one pair alone says little. */
static void the_table_tells_the_spread(void **state)
{
    (void)state;
    const double scores[] = {3.1, 2.9, 3.3, .4, -.5, .2, -.3, .4, .1, .2, -.4, .5};
    struct verdict_rules rules = {.delta = 1, .collapse = NAN};
    struct verdict *v = from_scores(scores, 4, 3, &rules),
                   *two = from_scores(scores, 2, 3, &rules);
    assert_int_equal(v->tied_count, 1);
    assert_true(v->pairs[0].df > 3 && v->pairs[0].df <= 6);
    assert_true(v->winner_alpha > .03 && v->winner_alpha < .05);
    assert_true(v->pairs[0].ci_all.low < v->pairs[0].ci95.low);
    /* Two alone are a paired t test on two degrees of freedom. */
    struct stat_test t = stat_paired_t(scores, scores + 3, 3, 1);
    assert_true(fabs(two->pairs[0].p - t.p) < 1e-12);
    assert_true(two->pairs[0].df == 2 && two->winner_alpha == .05);
    assert_true(fabs(two->pairs[0].p_adjusted - t.p) < 1e-7);
    verdict_free(v);
    verdict_free(two);
}

/* One whose seeds vary ten times as much is not taken for a quiet one. */
static void a_noisy_one_has_its_own_spread(void **state)
{
    (void)state;
    const double scores[] = {5.2, -4.1, 3.6, -2,  .1, .3, -.2, 0,
                             1,   .8,   .9,  1.2, .5, .4, .7,  .3};
    struct verdict_rules rules = {.delta = .1, .collapse = NAN};
    struct verdict *v = from_scores(scores, 4, 4, &rules);
    assert_true(v->configs[0].paired.variance > 10 * v->configs[1].paired.variance / 3);
    assert_true(v->configs[0].paired.df < v->configs[1].paired.df);
    assert_true(verdict_find(v, 0, 1)->se > 1.4 * verdict_find(v, 1, 2)->se);
    verdict_free(v);
}

/* Every table has something to take: its regret, its chance, what is close enough. */
static void something_is_always_taken(void **state)
{
    (void)state;
    const double scores[] = {.90, .91, .92, .899, .909, .917, .70, .71, .73};
    struct verdict_rules rules = {.delta = .02, .collapse = NAN};
    struct verdict *v = from_scores(scores, 3, 3, &rules);
    bool within[3];
    assert_int_equal(v->tied_count, 2);
    assert_true(v->regrets[0].expected >= 0 && v->regrets[0].expected < .01);
    assert_true(v->regrets[0].expected < v->regrets[1].expected);
    assert_true(v->regrets[2].expected > .15 && v->regrets[2].chance > .99);
    assert_int_equal(verdict_within(v, within), 2);
    assert_true(within[0] && within[1] && !within[2]);
    verdict_free(v);
    rules.delta = .0001; /* too little to be sure of */
    v = from_scores(scores, 3, 3, &rules);
    assert_int_equal(verdict_within(v, within), 0);
    verdict_free(v);
}

static double rows_vary(const void *rows, const struct verdict_config *a,
                        const struct verdict_config *b)
{
    (void)a;
    return b ? *(const double *)rows : *(const double *)rows / 2;
}

/* New rows add to what new seeds do, in tests and in the regret. */
static void rows_are_a_second_chance(void **state)
{
    (void)state;
    const double scores[] = {.80, .82, .81, .83, .70, .73, .71, .72}, variance = 1e-3;
    struct verdict_rules rules = {.delta = .01, .collapse = NAN};
    struct verdict *seeds = from_scores(scores, 2, 4, &rules);
    rules.row_variance = rows_vary;
    rules.rows = &variance;
    struct verdict *both = from_scores(scores, 2, 4, &rules);
    const struct verdict_pair *s = seeds->pairs, *b = both->pairs;
    assert_true(fabs(b->se * b->se - s->se * s->se - variance) < 1e-12);
    assert_true(b->df > s->df && b->diff == s->diff);
    assert_true(b->p > s->p && both->regrets[0].chance > seeds->regrets[0].chance);
    verdict_free(seeds);
    verdict_free(both);
}

static void pairs_are_found_by_rank(void **state)
{
    (void)state;
    struct verdict_row rows[14];
    for (size_t i = 0; i < 14; i++)
        rows[i] = (struct verdict_row){.config = i / 2,
                                       .seed = (int64_t)(i % 2),
                                       .complete = i / 2 != 3, /* one has no mean */
                                       .score = (double)((i / 2 * 5) % 7) +
                                                .1 * (double)(i % 2)};
    struct verdict_rules rules = {.delta = .01, .collapse = NAN};
    struct verdict *v = verdict_new(rows, 14, 7, &rules);
    assert_int_equal(v->pair_count, 15);
    for (size_t i = 0; i < v->pair_count; i++) {
        assert_ptr_equal(verdict_find(v, v->pairs[i].a, v->pairs[i].b), &v->pairs[i]);
        assert_ptr_equal(verdict_find(v, v->pairs[i].b, v->pairs[i].a), &v->pairs[i]);
    }
    assert_null(verdict_find(v, 0, 0));
    assert_null(verdict_find(v, 0, 3));
    verdict_free(v);
}

/* Of more than all pairs are compared of, the best ranks have theirs, adjusted over all. */
static void many_are_compared_with_the_best(void **state)
{
    (void)state;
    enum { N = VERDICT_ALL_PAIRS + 1 };
    struct verdict_row *rows = xcalloc(2 * N, sizeof *rows);
    for (size_t i = 0; i < 2 * N; i++)
        rows[i] =
            (struct verdict_row){.config = i / 2,
                                 .seed = (int64_t)(i % 2),
                                 .complete = true,
                                 .score = (double)(i / 2 * 7 % N) + .3 * (double)(i % 2)};
    struct verdict_rules rules = {.delta = .01, .collapse = NAN};
    struct verdict *all = verdict_new(rows, 2 * (N - 1), N - 1, &rules),
                   *best = verdict_new(rows, 2 * N, N, &rules);
    assert_int_equal(all->pair_count, (N - 1) * (N - 2) / 2);
    assert_int_equal(all->family, all->pair_count);
    assert_int_equal(best->compared, VERDICT_BEST_PAIRS);
    assert_int_equal(best->family, N * (N - 1) / 2);
    size_t last = best->ranking[N - 1], next = best->ranking[N - 2];
    const struct verdict_pair *p = verdict_find(best, best->ranking[0], last);
    assert_ptr_equal(p, &best->pairs[N - 2]);
    assert_int_equal(p->word, VERDICT_BETTER);
    assert_non_null(verdict_find(best, last, best->ranking[VERDICT_BEST_PAIRS - 1]));
    assert_null(verdict_find(best, next, last));
    for (size_t i = 0; i < best->pair_count; i++)
        assert_true(best->pairs[i].p_adjusted >= best->pairs[i].p &&
                    !(best->pairs[i].p_tost_holm < best->pairs[i].p_tost));
    free(rows);
    verdict_free(all);
    verdict_free(best);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_tables),
        cmocka_unit_test(lower_is_better_mirrors_higher),
        cmocka_unit_test(collapse_turns_with_the_goal),
        cmocka_unit_test(nothing_and_failures_only),
        cmocka_unit_test(repeats_count_once),
        cmocka_unit_test(seeds_needed),
        cmocka_unit_test(single_runs_are_compared_by_items),
        cmocka_unit_test(items_do_not_replace_seeds),
        cmocka_unit_test(the_table_tells_the_spread),
        cmocka_unit_test(a_noisy_one_has_its_own_spread),
        cmocka_unit_test(something_is_always_taken),
        cmocka_unit_test(rows_are_a_second_chance),
        cmocka_unit_test(pairs_are_found_by_rank),
        cmocka_unit_test(many_are_compared_with_the_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
