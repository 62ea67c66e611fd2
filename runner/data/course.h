/* runner/data/course.h - where the updates of a training lie in its data.
 *
 * An update has `accumulation` micro-batches of `batch_rows` rows; neither crosses an
 * epoch's end, so an epoch's last batch and last update may be smaller. Epochs differ in
 * their order alone, a permutation from (seed, epoch). Rows have no padding: a
 * micro-batch is as large as its tokens, so the whole course is walked once to know the
 * largest, which the planner needs. */
#ifndef RUNNER_DATA_COURSE_H
#define RUNNER_DATA_COURSE_H

#include "runner/data/dataset.h"
#include "runner/options.h"

struct course {
    int64_t rows, batch_rows, accumulation;
    int64_t batches_per_epoch, updates_per_epoch, updates;
    int64_t tokens;     /* of the whole training, virtual ones too */
    int32_t max_tokens; /* of its largest micro-batch */
    bool shuffle;
    bool endless; /* how many rows there are is not known: only the size of its batches
                     means something */
    uint64_t seed;
};

/* What the trial makes of these rows; `endless` is set by who knows it. `extra`: virtual
 * tokens per row. ERR_CONFIG where a micro-batch has more tokens than can be counted. */
int course_plan(struct course *c, const struct trial *t, const struct dataset *d,
                int32_t extra, struct err *err);

/* Order of an epoch; rows must hold course.rows numbers. */
void course_order(const struct course *c, const struct dataset *d, int64_t epoch,
                  uint32_t *rows);

/* Rows that an update (0-based) takes. */
int64_t course_update_rows(const struct course *c, int64_t update);

#endif
