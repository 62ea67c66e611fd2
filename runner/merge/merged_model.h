/* runner/merge/merged_model.h - a base with its adapter worked in, one tensor at a time: what
 * merged folders and GGUF files are written from.
 *
 * The values are those of the base as the adapter saw it: of a base that is quantised, in
 * its file or by the trial, the dequantised ones; rounded to bf16 where the trial computes
 * in that. To them goes what the method's row adds (method.h, merge), in fp32 with sums in
 * double. The session need not have its memory: of the base a tensor is read when it is
 * asked for, and of the adapter what its folder gave lies in memory. */
#ifndef RUNNER_MERGE_MERGED_MODEL_H
#define RUNNER_MERGE_MERGED_MODEL_H

#include "runner/session.h"

struct merged {
    const struct session *s;
    int64_t layers; /* whose weights the method changed so far */
};

/* Refuses methods that cannot be merged. The session, opened and not allocated, is
 * borrowed. */
int merged_open(struct merged *m, struct session *s, struct err *err);
/* The parameters of the model, which are those of the base and of the task's head. */
const struct param *merged_at(const struct merged *m, size_t i); /* NULL past the last */
/* Its numbers in the base's file: F32, F16 or BF16, what was in 4 bits as what it was
 * quantised from, GGUF's blocks as F32; of a tensor that is not there, as the model's. */
enum dtype merged_dtype(const struct merged *m, const struct param *p);
enum dtype merged_model_dtype(const struct merged *m);
/* Calls `take` with all values in the file's order, some at a time; a value that is not
 * finite is an error. */
typedef int merged_take_fn(void *ctx, const float *values, size_t count, struct err *err);
int merged_read(struct merged *m, const struct param *p, merged_take_fn *take, void *ctx,
                struct err *err);

#endif
