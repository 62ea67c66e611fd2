/* tests/unit/runner/pack.c - what trials of one process share: weights once, by their key;
 * turns in the order in which they are asked for, with memory that is used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "runner/pack/pack.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum { BYTES = 4096, THREADS = 2 };

/* --- weights --- */

static int makes;

static int make(void *ctx, struct cache_entry *out, struct err *err)
{
    (void)err;
    makes++;
    *out = (struct cache_entry){mem_try_aligned(BYTES), BYTES, false};
    memset(out->data, *(int *)ctx, BYTES);
    return 0;
}

static int refuse(void *ctx, struct cache_entry *out, struct err *err)
{
    (void)ctx;
    (void)out;
    return err_set(err, ERR_NOMEM, "none");
}

static void test_a_weight_is_made_once_and_goes_with_its_last_user(void **state)
{
    struct pack *p = pack_new();
    struct cache_entry a, b, c;
    struct err err = ERR_INIT;
    int seven = 7, eight = 8;
    (void)state;
    makes = 0;
    assert_int_equal(pack_weight_take(p, "x", refuse, NULL, &a, &err), -ERR_NOMEM);
    assert_int_equal(pack_bytes(p).weights, 0);
    assert_int_equal(pack_weight_take(p, "x", make, &seven, &a, &err), 0);
    assert_int_equal(pack_weight_take(p, "x", make, &eight, &b, &err), 0);
    assert_int_equal(pack_weight_take(p, "y", make, &eight, &c, &err), 0);
    assert_ptr_equal(a.data, b.data);
    assert_ptr_not_equal(a.data, c.data);
    assert_int_equal(((char *)b.data)[BYTES - 1], 7);
    assert_int_equal(makes, 2);
    assert_int_equal(pack_bytes(p).weights, 2 * BYTES);
    pack_weight_drop(p, "x");
    assert_int_equal(pack_bytes(p).weights, 2 * BYTES);
    pack_weight_drop(p, "x");
    assert_int_equal(pack_bytes(p).weights, BYTES);
    assert_int_equal(pack_weight_take(p, "x", make, &eight, &b, &err), 0);
    assert_int_equal(((char *)b.data)[0], 8);
    pack_weight_drop(p, "x");
    pack_weight_drop(p, "y");
    assert_int_equal(pack_bytes(p).weights, 0);
    pack_free(p);
}

/* --- turns --- */

static void test_the_memory_of_a_turn_is_used_again(void **state)
{
    struct pack *p = pack_new();
    struct pack_seat a, b, none;
    void *first, *second, *again;
    (void)state;
    pack_sit(&none, NULL);
    pack_turn_give(&none);
    pack_rise(&none);
    pack_sit(&a, p);
    pack_sit(&b, p);
    assert_int_equal(a.most, 1);
    assert_int_equal(b.most, 2);
    assert_int_equal(pack_turn_take(&a, BYTES, false, &first, NULL), 0);
    assert_int_equal(a.most, 2);
    assert_int_equal(pack_turn_take(&b, 3 * BYTES, false, &second, NULL), 0);
    assert_int_equal(pack_bytes(p).turns, 4 * BYTES);
    pack_turn_give(&a);
    pack_turn_give(&a); /* it has none: nothing happens */
    pack_turn_give(&b);
    /* the smallest that is large enough; else the one that has least to grow */
    assert_int_equal(pack_turn_take(&b, BYTES / 2, false, &again, NULL), 0);
    assert_ptr_equal(again, first);
    pack_turn_give(&b);
    assert_int_equal(pack_turn_take(&a, 4 * BYTES, false, &again, NULL), 0);
    assert_int_equal(pack_bytes(p).turns, 5 * BYTES);
    /* as many turns keep memory as trials are there */
    pack_rise(&a);
    assert_int_equal(pack_bytes(p).turns, BYTES);
    pack_rise(&b);
    assert_int_equal(pack_bytes(p).turns, 0);
    pack_free(p);
}

static atomic_int running, most_running, order;
static atomic_bool only_seen_with_others;

struct trial {
    struct pack *pack;
    int rounds;
    bool only;
};

static void *train(void *arg)
{
    const struct trial *t = arg;
    struct pack_seat seat;
    void *memory;
    pack_sit(&seat, t->pack);
    for (int i = 0; i < t->rounds; i++) {
        if (pack_turn_take(&seat, BYTES, t->only, &memory, NULL))
            return NULL;
        const int now = atomic_fetch_add(&running, 1) + 1;
        if (now > atomic_load(&most_running))
            atomic_store(&most_running, now);
        memset(memory, i, BYTES);
        sched_yield();
        if (t->only && atomic_load(&running) != 1)
            atomic_store(&only_seen_with_others, true);
        atomic_fetch_sub(&running, 1);
        pack_turn_give(&seat);
    }
    pack_rise(&seat);
    return NULL;
}

static void test_no_more_turns_than_threads_and_the_only_one_is_alone(void **state)
{
    enum { TRIALS = 6 };
    struct pack *p = pack_new();
    struct trial trials[TRIALS];
    pthread_t threads[TRIALS];
    (void)state;
    atomic_store(&most_running, 0);
    for (int i = 0; i < TRIALS; i++) {
        trials[i] = (struct trial){p, 200, i == 0};
        assert_int_equal(pthread_create(&threads[i], NULL, train, &trials[i]), 0);
    }
    for (int i = 0; i < TRIALS; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&most_running) <= THREADS);
    assert_false(atomic_load(&only_seen_with_others));
    assert_int_equal(pack_bytes(p).turns, 0);
    pack_free(p);
}

static void *take_in_order(void *arg)
{
    struct pack_seat *seat = arg;
    void *memory;
    if (pack_turn_take(seat, BYTES, false, &memory, NULL))
        return NULL;
    atomic_fetch_add(&order, 1);
    pack_turn_give(seat);
    return NULL;
}

/* Who wants the only turn is not passed by those that asked later. */
static void test_who_asks_first_is_served_first(void **state)
{
    struct pack *p = pack_new();
    struct pack_seat holder, only, late;
    pthread_t thread;
    void *memory;
    (void)state;
    atomic_store(&order, 0);
    pack_sit(&holder, p);
    pack_sit(&only, p);
    pack_sit(&late, p);
    assert_int_equal(pack_turn_take(&only, BYTES, true, &memory, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, take_in_order, &late), 0);
    for (int i = 0; i < 1000; i++) /* it cannot come through, however long it is given */
        sched_yield();
    assert_int_equal(atomic_load(&order), 0);
    pack_turn_give(&only);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&order), 1);
    assert_true(late.waited_s > 0);
    assert_int_equal(pack_turn_take(&holder, BYTES, false, &memory, NULL), 0);
    pack_rise(&holder);
    pack_rise(&only);
    pack_rise(&late);
    pack_free(p);
}

/* --- threads --- */

static void note_thread(void *ctx, size_t begin, size_t end, int thread)
{
    atomic_int *others = ctx;
    (void)begin;
    (void)end;
    if (thread)
        atomic_fetch_add(others, 1);
}

static void test_a_trial_among_enough_others_computes_on_its_own_thread(void **state)
{
    struct pack *p = pack_new();
    struct pack_seat a, b;
    atomic_int others = 0;
    void *memory;
    (void)state;
    pack_sit(&a, p);
    pack_sit(&b, p);
    assert_int_equal(pack_turn_take(&a, BYTES, false, &memory, NULL), 0);
    pool_run(note_thread, &others, 10000, 1);
    assert_int_equal(others, 0);
    pack_rise(&b);
    pack_rise(&a);
    pack_free(p);
}

static int setup(void **state)
{
    (void)state;
    pool_start(THREADS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pool_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_weight_is_made_once_and_goes_with_its_last_user),
        cmocka_unit_test(test_the_memory_of_a_turn_is_used_again),
        cmocka_unit_test(test_no_more_turns_than_threads_and_the_only_one_is_alone),
        cmocka_unit_test(test_who_asks_first_is_served_first),
        cmocka_unit_test(test_a_trial_among_enough_others_computes_on_its_own_thread),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
