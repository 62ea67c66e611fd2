/* tests/unit/sweep/pack.c - what trials take in one process, and when that gains time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "sweep/pack.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((int64_t)1 << 20)

/* In MiB. */
static struct sweep_trial trial(const char *base, int bases, int turn, int own)
{
    struct sweep_trial t = {.peak_bytes = (bases + turn + own) * MIB, .seconds = 1};
    snprintf(t.common.base, sizeof t.common.base, "%s", base);
    t.common.base_bytes = bases * MIB;
    t.common.turn_bytes = turn * MIB;
    return t;
}

static int64_t members(const struct pack_bytes_of *b, int own, int64_t count)
{
    return (b->own - own * MIB) / count;
}

static void test_a_base_once_a_turn_for_each_thread_and_all_that_trains(void **state)
{
    struct sweep_trial a = trial("x", 1000, 50, 3), b = trial("x", 990, 80, 5),
                       c = trial("y", 400, 10, 7);
    const struct sweep_trial *all[] = {&a, &b, &c, &a};
    (void)state;
    const struct pack_bytes_of two = sweep_pack_bytes(all, 2, 4);
    assert_int_equal(two.bases, 1000 * MIB);
    assert_int_equal(two.turns, 2 * 80 * MIB);
    const int64_t each = members(&two, 8, 2);
    assert_true(each > 0);
    assert_int_equal(two.total, two.bases + two.turns + two.own + PROCESS_BYTES);
    const struct pack_bytes_of four = sweep_pack_bytes(all, 4, 2);
    assert_int_equal(four.bases, 1400 * MIB);
    assert_int_equal(four.turns, 2 * 80 * MIB);
    assert_int_equal(four.own, 18 * MIB + 4 * each);
    assert_int_equal(sweep_pack_bytes(all, 0, 2).total, 0);
    /* of what is not known nothing is shared */
    struct sweep_trial d = {.peak_bytes = 100 * MIB}, e = d;
    const struct sweep_trial *unknown[] = {&d, &e};
    const struct pack_bytes_of none = sweep_pack_bytes(unknown, 2, 2);
    assert_int_equal(none.bases + none.turns, 0);
    assert_int_equal(none.own, 200 * MIB + 2 * each);
}

static char *words(const struct sweep_plan *p, int wanted, int pack, int threads)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    sweep_pack_words(p, wanted, pack, threads, f);
    fclose(f);
    return text;
}

static void test_auto_packs_where_more_trials_can_compute_at_once(void **state)
{
    struct sweep_trial trials[8];
    (void)state;
    for (int i = 0; i < 8; i++)
        trials[i] = trial("x", 1000, 100, 10);
    const struct sweep_plan p = {.trials = trials, .count = 8};
    const int64_t alone = sweep_alone_bytes(trials);
    assert_int_equal(alone, 1110 * MIB + PROCESS_BYTES);
    /* four processes fit: a pack of four computes no more at a time */
    assert_int_equal(sweep_pack_choose(&p, SWEEP_PACK_AUTO, 4, 4 * alone), 1);
    /* one less: now it does, and no more of them than threads */
    assert_int_equal(sweep_pack_choose(&p, SWEEP_PACK_AUTO, 4, 4 * alone - 1), 4);
    assert_int_equal(sweep_pack_choose(&p, SWEEP_PACK_AUTO, 16, 4 * alone), 8);
    /* as many as fit */
    assert_int_equal(sweep_pack_choose(&p, SWEEP_PACK_AUTO, 4, 1400 * MIB), 2);
    assert_int_equal(sweep_pack_choose(&p, SWEEP_PACK_AUTO, 4, alone), 1);
    assert_int_equal(sweep_pack_choose(&p, SWEEP_PACK_AUTO, 4, 10 * MIB), 1);
    assert_int_equal(sweep_pack_choose(&p, 0, 4, 1), 1);
    assert_int_equal(sweep_pack_choose(&p, 5, 4, 1), 5);
    char *text = words(&p, SWEEP_PACK_AUTO, 1, 4);
    assert_non_null(strstr(text, "pack auto: 1"));
    free(text);
    text = words(&p, 4, 4, 2);
    assert_non_null(strstr(text, "pack: 4 trials in a process take "));
    assert_non_null(strstr(text, "in 4 processes"));
    free(text);
    text = words(&p, 0, 1, 2);
    assert_string_equal(text, "");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_base_once_a_turn_for_each_thread_and_all_that_trains),
        cmocka_unit_test(test_auto_packs_where_more_trials_can_compute_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
