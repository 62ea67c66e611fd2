/* lib/os/pool.h - the one thread pool of a process.
 *
 * pool_run cuts [0, count) into chunks and calls fn(ctx, begin, end, thread) from all
 * threads, the caller included; it returns when all are done. Which thread takes which
 * chunk may vary, so results must not depend on it: every output element is written by
 * exactly one call, and reductions go through per-chunk slots combined in order. Threads
 * spin shortly, then sleep. Not re-entrant: a call from inside fn runs serially. */
#ifndef LIB_OS_POOL_H
#define LIB_OS_POOL_H

#include <stdbool.h>
#include <stddef.h>

typedef void (*pool_fn)(void *ctx, size_t begin, size_t end, int thread);

/* 0: as many as cores, or PEFTLAB_THREADS; a second call is ignored */
void pool_start(int threads);
int pool_threads(void); /* starts the pool if need be */
/* Threads that the pool has, or would have if it started now; starts nothing. */
int pool_size(void);
/* `chunk` items at a time (the last call may get fewer), also when run serially, so that
 * begin / chunk numbers the slots of a reduction. A single chunk runs in the caller,
 * without cost. */
void pool_run(pool_fn fn, void *ctx, size_t count, size_t chunk);
/* From now on jobs of the calling thread run in it alone, beside those of others; or not. */
void pool_alone(bool alone);
void pool_stop(void); /* for leak checkers and before fork-heavy code */

#endif
