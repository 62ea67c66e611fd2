/* The thread pool: every index once, order-free sums, nesting, many small jobs, several
 * callers. Meant to run under TSan as well (make TSAN=1). */
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "lib/os/proc.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct marks {
    unsigned char *seen;
    size_t chunk;
    atomic_int calls, wrong;
};

static void mark(void *ctx, size_t begin, size_t end, int thread)
{
    struct marks *m = ctx;
    atomic_fetch_add(&m->calls, 1);
    if (thread < 0 || thread >= pool_threads() || begin % m->chunk || begin >= end ||
        end - begin > m->chunk)
        atomic_fetch_add(&m->wrong, 1);
    for (size_t i = begin; i < end; i++)
        m->seen[i]++;
}

static void every_index_once(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 2, 7, 64, 1000, 4097},
                        chunks[] = {1, 3, 64, 5000};
    for (int threads = 1; threads <= 4; threads++) {
        pool_start(threads);
        assert_int_equal(pool_threads(), threads);
        assert_int_equal(pool_size(), threads);
        for (size_t i = 0; i < ARRAY_LEN(counts); i++)
            for (size_t j = 0; j < ARRAY_LEN(chunks); j++) {
                size_t n = counts[i];
                struct marks m = {.seen = xcalloc(n, 1), .chunk = chunks[j]};
                pool_run(mark, &m, n, chunks[j]);
                assert_int_equal(m.wrong, 0);
                assert_int_equal(m.calls, (n + chunks[j] - 1) / chunks[j]);
                for (size_t k = 0; k < n; k++)
                    assert_int_equal(m.seen[k], 1);
                free(m.seen);
            }
        pool_stop();
    }
}

struct sum {
    const double *x;
    double *slots;
    size_t chunk;
};

static void add(void *ctx, size_t begin, size_t end, int thread)
{
    (void)thread;
    struct sum *s = ctx;
    double total = 0;
    for (size_t i = begin; i < end; i++)
        total += s->x[i];
    s->slots[begin / s->chunk] = total;
}

/* A reduction through slots has the same bits with any number of threads. */
static void sums_do_not_depend_on_threads(void **state)
{
    (void)state;
    enum { N = 10000, CHUNK = 96, SLOTS = (N + CHUNK - 1) / CHUNK };
    double *x = xcalloc(N, sizeof *x), slots[SLOTS], first = 0;
    for (int i = 0; i < N; i++)
        x[i] = 1.0 / (i + 1);
    for (int threads = 1; threads <= 4; threads++) {
        pool_start(threads);
        for (int repeat = 0; repeat < 20; repeat++) {
            struct sum s = {x, slots, CHUNK};
            memset(slots, 0, sizeof slots);
            pool_run(add, &s, N, CHUNK);
            double total = 0;
            for (int i = 0; i < SLOTS; i++)
                total += slots[i];
            first = threads == 1 && repeat == 0 ? total : first;
            assert_memory_equal(&total, &first, sizeof total);
        }
        pool_stop();
    }
    free(x);
}

static void inner(void *ctx, size_t begin, size_t end, int thread)
{
    atomic_long *sums = ctx;
    atomic_fetch_add(&sums[thread], (long)(end - begin));
}

static void outer(void *ctx, size_t begin, size_t end, int thread)
{
    (void)begin;
    (void)end;
    atomic_long before = ((atomic_long *)ctx)[thread];
    pool_run(inner, ctx, 100, 10);
    /* The inner job ran on this very thread. */
    if (((atomic_long *)ctx)[thread] != before + 100)
        atomic_store(&((atomic_long *)ctx)[7], 1);
}

static void nested_runs_are_serial(void **state)
{
    (void)state;
    pool_start(4);
    atomic_long sums[8] = {0};
    pool_run(outer, sums, 50, 1);
    assert_int_equal(sums[0] + sums[1] + sums[2] + sums[3], 5000);
    assert_int_equal(sums[7], 0);
    pool_stop();
}

static void one(void *ctx, size_t begin, size_t end, int thread)
{
    (void)thread;
    atomic_fetch_add((atomic_long *)ctx, (long)(end - begin));
}

/* Jobs one upon the other, with pauses in which the workers fall asleep. */
static void many_small_jobs(void **state)
{
    (void)state;
    pool_start(3);
    atomic_long total = 0;
    long expected = 0;
    for (int i = 0; i < 20000; i++) {
        size_t n = (size_t)(i % 5) + 1;
        pool_run(one, &total, n, 1);
        expected += (long)n;
        if (i % 1000 == 0)
            usleep(200);
        assert_int_equal(atomic_load(&total), expected);
    }
    pool_stop();
}

static void *caller(void *ctx)
{
    for (int i = 0; i < 500; i++)
        pool_run(one, ctx, 16, 2);
    return NULL;
}

static void several_callers(void **state)
{
    (void)state;
    pool_start(2);
    atomic_long total = 0;
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, caller, &total), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(total, 3 * 500 * 16);
    pool_stop();
}

static void sizes_from_the_environment(void **state)
{
    (void)state;
    setenv("PEFTLAB_THREADS", "3", 1);
    assert_int_equal(pool_size(), 3);
    assert_int_equal(pool_threads(), 3);
    pool_start(1); /* ignored, it runs already */
    assert_int_equal(pool_threads(), 3);
    pool_stop();
    pool_stop();
    setenv("PEFTLAB_THREADS", "nonsense", 1);
    assert_int_equal(pool_size(), proc_cpu_count());
    unsetenv("PEFTLAB_THREADS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_once),
        cmocka_unit_test(sums_do_not_depend_on_threads),
        cmocka_unit_test(nested_runs_are_serial),
        cmocka_unit_test(many_small_jobs),
        cmocka_unit_test(several_callers),
        cmocka_unit_test(sizes_from_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
