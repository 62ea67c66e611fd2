/* runner/train/trace.h - what happened at each update: a line of trace.jsonl, and the
 * same in memory.
 *
 * The trace is the training's memory of its past: what the loop wants to know of earlier
 * updates (losses, times, tokens, spikes) it reads from here, so a resumed
 * training needs no more than its trace up to the checkpoint to go on as if nothing had
 * happened. A spike's line has {"event": "loss_spike", "action", "median", "spread"} as
 * well. Lines are in order, one per update, doubles written so that they read back
 * exactly; step_ms alone differs between two equal trainings. */
#ifndef RUNNER_TRAIN_TRACE_H
#define RUNNER_TRAIN_TRACE_H

#include "lib/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct update_log {
    double loss, grad_norm, learning_rate, step_ms;
    int64_t tokens, rows;  /* rows are not in the file, nor those of the tokens */
    int64_t reused_tokens; /* ... that did not go through all layers (features.h) */
    const char *spike;     /* what was done about one (spike.h), NULL: it is none */
    double median, spread; /* of the losses before it; NaN: too few */
};

struct trace {
    FILE *file; /* NULL: memory only */
    char *path;
    struct update_log *log;
    size_t count, cap;
};

/* Begins `DIR/trace.jsonl` (dir NULL: memory only). Where `old` is given, the new trace
 * starts with its first `bytes` bytes, which must hold exactly `updates` updates, else
 * ERR_PARSE. `old` may be the same file. */
int trace_open(struct trace *t, const char *dir, const char *old, int64_t bytes,
               int64_t updates, struct err *err);
/* Only looks whether trace_open would take `old`. */
int trace_check(const char *old, int64_t bytes, int64_t updates, struct err *err);
void trace_add(struct trace *t, const struct update_log *log);
/* Puts all lines on disk; their length goes to *bytes (may be NULL). */
int trace_sync(struct trace *t, int64_t *bytes, struct err *err);
/* Ends the file; the log stays until trace_release. */
int trace_close(struct trace *t, struct err *err);
void trace_release(struct trace *t);

#endif
