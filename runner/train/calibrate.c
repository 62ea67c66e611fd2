/* runner/train/calibrate.c - see calibrate.h. */
#include "runner/train/calibrate.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define ROWS 320
#define SIZE 384
#define RUNS 8

/* Trials of one process ask at the same time. */
static pthread_mutex_t measuring = PTHREAD_MUTEX_INITIALIZER;

static double flops_per_s(const struct backend *b)
{
    static double known;
    struct weight_spec spec = {.rows = SIZE, .cols = SIZE, .compute = DT_F32};
    if (known > 0)
        return known;
    float *plain = xcalloc(SIZE * SIZE, sizeof *plain);
    void *x = b->alloc(b->device, ROWS * SIZE * sizeof(float)),
         *y = b->alloc(b->device, ROWS * SIZE * sizeof(float));
    void *w = b->alloc(b->device, b->weight_bytes(&spec));
    struct op_args a = {.in = {{x, DT_F32, ROWS, SIZE, SIZE, NULL},
                               {w, DT_PREPARED, SIZE, SIZE, SIZE, &spec}},
                        .out[0] = {y, DT_F32, ROWS, SIZE, SIZE, NULL},
                        .attr.scale = 1};
    a.workspace = b->alloc(b->device, b->workspace_bytes(b->device, OP_linear, &a) + 64);
    double best = INFINITY;
    if (x && y && w && a.workspace && backend_prepare(b, &spec, plain, w, NULL) == 0)
        for (int i = 0; i < RUNS; i++) {
            const double begin = clock_mono_s();
            backend_call(b, OP_linear, &a);
            b->sync(b->device);
            best = fmin(best, clock_mono_s() - begin);
        }
    known = op_flops(OP_linear, &a) / best;
    b->release(b->device, a.workspace);
    b->release(b->device, w);
    b->release(b->device, y);
    b->release(b->device, x);
    free(plain);
    return known;
}

double calibrate_flops_per_s(const struct backend *b)
{
    pthread_mutex_lock(&measuring);
    const double rate = flops_per_s(b);
    pthread_mutex_unlock(&measuring);
    return rate;
}

struct peak calibrate_peak(const struct backend *b)
{
    static struct peak known;
    pthread_mutex_lock(&measuring);
    if (!(known.flops_per_s > 0)) {
        const bool own = b->peak_flops_per_s;
        known = (struct peak){own ? b->peak_flops_per_s(b->device) : flops_per_s(b),
                              own ? "fp32 multiply-adds in registers, all threads"
                                  : "best rate of the linear op"};
    }
    const struct peak found = known;
    pthread_mutex_unlock(&measuring);
    return found;
}
