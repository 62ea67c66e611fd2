/* sweep/launch/metric_lines.h - numbers out of what a user's program prints.
 *
 * A line that is a JSON object holds metrics: {"step": 10, "eval/loss": 0.3}. `step`,
 * `_step` or `global_step` is the step of the others; without one they are summary
 * values. What counts as a number, and how objects within are named, is in json_line.h;
 * texts and lists are left out. Every other line is the program's own business.
 *
 * The last value of each metric is its summary value: metric_lines_end tells them with
 * step -1. A step that is no whole number from 0 to 2^53 (0.25, -1, 1e300, "ten") gives no
 * point, since points of two such steps would be one; its values are summary values.
 *
 * What is left out is said, once for each kind of oddity (METRIC_ODDITIES): lines above 16
 * MiB, names above 256 bytes, more than 1,000 names, odd fields, odd steps. */
#ifndef SWEEP_LAUNCH_METRIC_LINES_H
#define SWEEP_LAUNCH_METRIC_LINES_H

#include "lib/buf.h"
#include "lib/hash.h"
#include "sweep/launch/json_line.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METRIC_LINE_MAX  ((size_t)16 << 20)
#define METRIC_NAME_MAX  JSON_LINE_NAME_MAX
#define METRIC_NAMES_MAX 1000

/* name, what is said; %s is the first of its kind. */
#define METRIC_ODDITIES(X)                                                               \
    X(long_line, "a line of stdout above 16 MiB is left out%s")                          \
    X(broken, "a line of stdout begins like a JSON object and is none, so it holds no "  \
              "metrics: %s")                                                             \
    X(name, "a field has no usable name (empty, above 256 bytes, or no valid text) and " \
            "is left out; the rest of its line counts%s")                                \
    X(number, "'%s' is beyond the range of a number and is left out; the rest of its "   \
              "line counts")                                                             \
    X(depth, "'%s' lies too deep in other objects and is left out; the rest of its "     \
             "line counts")                                                              \
    X(twice, "'%s' stands twice in one line; the last value counts")                     \
    X(names, "more than 1,000 metrics: '%s' and others are left out")                    \
    X(step, "step %s is no whole number from 0 to 2^53: values at such steps are kept "  \
            "as summary values, without a point on a curve")                             \
    X(again, "steps of '%s' repeat or go back: of several values of one step the last "  \
             "counts")
enum metric_odd {
#define X(name, text) METRIC_ODD_##name,
    METRIC_ODDITIES(X)
#undef X
        METRIC_ODD_COUNT
};

struct metric_last {
    char *name;
    double value;
    int64_t step; /* of its newest point; -1: none */
    size_t line;  /* that it came last in */
};

struct metric_lines {
    void (*tell)(void *ctx, const char *key, int64_t step, double value);
    void (*warn)(void *ctx, const char *text); /* NULL: nobody listens */
    void *ctx;
    struct buf line;
    bool skipping; /* the rest of a line that is no object, or too long */
    size_t lines;
    size_t odd[METRIC_ODD_COUNT]; /* how often */
    struct strmap *names;         /* -> index into last */
    struct metric_last *last;
    size_t count, cap;
};

void metric_lines_init(struct metric_lines *m,
                       void (*tell)(void *, const char *, int64_t, double),
                       void (*warn)(void *, const char *), void *ctx);
void metric_lines_feed(struct metric_lines *m, const char *data, size_t n);
/* Takes a last line without newline, tells the summary values, releases. */
void metric_lines_end(struct metric_lines *m);

#endif
