/* sweep/launch/metric_lines.h - numbers out of what a user's program prints.
 *
 * A line that is a JSON object holds metrics: {"step": 10, "eval/loss": 0.3}. `step`,
 * `_step` or `global_step` is the step of the others; without one they are summary
 * values. Objects within join their names by '/', true and false are 1 and 0, texts and
 * lists are left out. Python's bare NaN, Infinity and -Infinity are numbers too, as are
 * the same words as texts. Every other line is the program's own business.
 *
 * The last value of each metric is its summary value: metric_lines_end tells them with
 * step -1. Limits: lines of 64 KiB (longer ones are skipped whole), names of 256 bytes,
 * 1,000 names; what is left out is counted. */
#ifndef SWEEP_LAUNCH_METRIC_LINES_H
#define SWEEP_LAUNCH_METRIC_LINES_H

#include "lib/buf.h"
#include "lib/hash.h"
#include <stddef.h>
#include <stdint.h>

#define METRIC_LINE_MAX  65536
#define METRIC_NAME_MAX  256
#define METRIC_NAMES_MAX 1000

struct metric_last {
    char *name;
    double value;
};

struct metric_lines {
    void (*tell)(void *ctx, const char *key, int64_t step, double value);
    void *ctx;
    struct buf line;
    bool skipping; /* the rest of a line that is too long */
    size_t lines, dropped;
    struct strmap *names; /* -> index into last */
    struct metric_last *last;
    size_t count, cap;
};

void metric_lines_init(struct metric_lines *m,
                       void (*tell)(void *, const char *, int64_t, double), void *ctx);
void metric_lines_feed(struct metric_lines *m, const char *data, size_t n);
/* Takes a last line without newline, tells the summary values, releases. */
void metric_lines_end(struct metric_lines *m);

#endif
