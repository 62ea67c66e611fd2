/* lib/os/pool.c - see pool.h.
 *
 * One job at a time. `ticket` holds the job's number in its upper half and the chunks not
 * yet taken in its lower half; a thread takes a chunk by lowering it. The job's fields
 * are written only while no chunk is out (lower half 0 and all chunks done), so whoever
 * has taken a chunk may read them: a sleeping or preempted worker is never waited for
 * unless it holds a chunk. Workers look for work for SPIN_NS, then sleep on a futex. */
#include "lib/os/pool.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS     30000
#define THREADS_MAX 256

static struct {
    pool_fn fn;
    void *ctx;
    size_t count, chunk;
    uint32_t chunks;
} job;

static _Atomic uint64_t ticket;
static _Atomic uint32_t chunks_done;
static _Atomic uint32_t caller_sleeps; /* futex: 1 while the caller sleeps */
static _Atomic uint32_t wake_count;    /* futex: changes with every job and at the end */
static _Atomic uint32_t sleepers;
static _Atomic bool ending;

static pthread_mutex_t run_lock = PTHREAD_MUTEX_INITIALIZER; /* one job at a time */
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t *workers;
static _Atomic int thread_count; /* 0: not started */
static _Atomic int planned;      /* threads that it will have; 0: nobody asked yet */

static _Thread_local int self;      /* number of this thread within the pool */
static _Thread_local bool in_chunk; /* running a chunk of a parallel job */
static _Thread_local bool alone;

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int threads)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Takes chunks until none is left. */
static void work(void)
{
    uint64_t t = atomic_load_explicit(&ticket, memory_order_acquire);
    while ((uint32_t)t != 0) {
        if (!atomic_compare_exchange_weak_explicit(
                &ticket, &t, t - 1, memory_order_acq_rel, memory_order_acquire))
            continue;
        uint32_t chunks = job.chunks;
        size_t begin = (size_t)(chunks - (uint32_t)t) * job.chunk;
        size_t rest = job.count - begin;
        in_chunk = true;
        job.fn(job.ctx, begin, begin + (rest < job.chunk ? rest : job.chunk), self);
        in_chunk = false;
        if (atomic_fetch_add(&chunks_done, 1) + 1 == chunks &&
            atomic_exchange(&caller_sleeps, 0))
            futex_wake(&caller_sleeps, 1);
        t = atomic_load_explicit(&ticket, memory_order_acquire);
    }
}

/* Spins until there is work; false when there was none for SPIN_NS. */
static bool spin_for_work(void)
{
    uint64_t until = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 32; i++) {
            if ((uint32_t)atomic_load_explicit(&ticket, memory_order_acquire) != 0)
                return true;
            pause_briefly();
        }
    } while (now_ns() < until);
    return false;
}

static void *worker(void *number)
{
    self = (int)(intptr_t)number;
    while (!atomic_load(&ending)) {
        if (spin_for_work()) {
            work();
            continue;
        }
        /* The caller publishes the ticket, changes wake_count, then looks for sleepers;
         * this thread reads them in the opposite order, so no job is missed. */
        atomic_fetch_add(&sleepers, 1);
        uint32_t seen = atomic_load(&wake_count);
        if ((uint32_t)atomic_load(&ticket) == 0 && !atomic_load(&ending))
            futex_wait(&wake_count, seen);
        atomic_fetch_sub(&sleepers, 1);
    }
    return NULL;
}

/* Once told it stays: memory is planned by it before the pool starts, and the CPUs that a
 * process may use can change meanwhile. */
static int planned_threads(void)
{
    const int told = atomic_load(&planned);
    if (told)
        return told;
    const char *text = getenv("PEFTLAB_THREADS");
    long n = text ? strtol(text, NULL, 10) : 0;
    if (n <= 0)
        n = proc_cpu_count();
    n = n > THREADS_MAX ? THREADS_MAX : n;
    atomic_store(&planned, (int)n);
    return (int)n;
}

int pool_size(void)
{
    int n = atomic_load(&thread_count);
    return n ? n : planned_threads();
}

void pool_start(int threads)
{
    pthread_mutex_lock(&start_lock);
    if (atomic_load(&thread_count) == 0) {
        int n = threads > 0 ? (threads > THREADS_MAX ? THREADS_MAX : threads)
                            : planned_threads();
        atomic_store(&ending, false);
        workers = xcalloc((size_t)n, sizeof *workers);
        /* Signals are for the main thread. */
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        int started = 1;
        while (started < n && pthread_create(&workers[started], NULL, worker,
                                             (void *)(intptr_t)started) == 0)
            started++;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        atomic_store(&thread_count, started);
    }
    pthread_mutex_unlock(&start_lock);
}

int pool_threads(void)
{
    int n = atomic_load_explicit(&thread_count, memory_order_acquire);
    if (n == 0) {
        pool_start(0);
        n = atomic_load(&thread_count);
    }
    return n;
}

void pool_stop(void)
{
    pthread_mutex_lock(&start_lock);
    int n = atomic_load(&thread_count);
    if (n > 0) {
        atomic_store(&ending, true);
        atomic_fetch_add(&wake_count, 1);
        futex_wake(&wake_count, INT_MAX);
        for (int i = 1; i < n; i++)
            pthread_join(workers[i], NULL);
        free(workers);
        workers = NULL;
        atomic_store(&thread_count, 0);
        atomic_store(&planned, 0);
    }
    pthread_mutex_unlock(&start_lock);
}

/* Until the last chunk is done: spin, then sleep. */
static void wait_for_chunks(uint32_t chunks)
{
    uint64_t until = 0;
    for (unsigned i = 1; atomic_load(&chunks_done) != chunks; i++) {
        pause_briefly();
        if (i % 32)
            continue;
        uint64_t now = now_ns();
        until = until ? until : now + SPIN_NS;
        if (now < until)
            continue;
        atomic_store(&caller_sleeps, 1);
        if (atomic_load(&chunks_done) != chunks)
            futex_wait(&caller_sleeps, 1);
        atomic_store(&caller_sleeps, 0);
    }
}

static void run_shared(pool_fn fn, void *ctx, size_t count, size_t chunk, size_t chunks)
{
    job.fn = fn;
    job.ctx = ctx;
    job.count = count;
    job.chunk = chunk;
    job.chunks = (uint32_t)chunks;
    atomic_store(&chunks_done, 0);
    uint64_t number = (atomic_load(&ticket) >> 32) + 1;
    atomic_store(&ticket, number << 32 | (uint32_t)chunks);
    atomic_fetch_add(&wake_count, 1);
    uint32_t asleep = atomic_load(&sleepers);
    if (asleep > 0)
        futex_wake(&wake_count, (int)(asleep < chunks - 1 ? asleep : chunks - 1));
    work();
    wait_for_chunks((uint32_t)chunks);
}

void pool_alone(bool on)
{
    alone = on;
}

void pool_run(pool_fn fn, void *ctx, size_t count, size_t chunk)
{
    if (count == 0)
        return;
    if (chunk == 0)
        chunk = 1;
    if (count <= chunk) {
        fn(ctx, 0, count, self);
        return;
    }
    size_t chunks = (count - 1) / chunk + 1;
    if (in_chunk || alone || pool_threads() == 1 || chunks > UINT32_MAX) {
        for (size_t begin = 0; begin < count; begin += chunk)
            fn(ctx, begin, count - begin < chunk ? count : begin + chunk, self);
        return;
    }
    pthread_mutex_lock(&run_lock);
    run_shared(fn, ctx, count, chunk, chunks);
    pthread_mutex_unlock(&run_lock);
}
