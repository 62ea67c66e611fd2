/* runner/data/course.h - where the updates of a training lie in its data.
 *
 * What is counted are units: rows, or, where the trial packs them, bins of rows (bins.h).
 * An update has `accumulation` micro-batches of `batch_units` units; neither crosses an
 * epoch's end, so an epoch's last batch and last update may be smaller. Epochs differ in
 * the order of their units alone, a permutation from (seed, epoch); bins are the same in
 * all of them. Rows have no padding: a micro-batch is as large as its tokens, so the whole
 * course is walked once to know the largest, which the planner needs. */
#ifndef RUNNER_DATA_COURSE_H
#define RUNNER_DATA_COURSE_H

#include "runner/data/bins.h"
#include "runner/data/dataset.h"
#include "runner/options.h"

struct course {
    int64_t rows, units, batch_units, accumulation;
    int64_t batches_per_epoch, updates_per_epoch, updates;
    int64_t tokens, samples;      /* of the whole training; tokens: virtual ones too */
    int32_t max_tokens, max_rows; /* of its largest micro-batches */
    struct bins bins;             /* count 0: units are rows */
    bool shuffle;
    bool endless; /* how many rows there are is not known: only the size of its batches
                     means something */
    uint64_t seed;
};

/* What the trial makes of these rows; `endless` is set by who knows it. `extra`: virtual
 * tokens per row, which count in no bin; `bin_tokens`: of a bin, 0: rows are not packed.
 * ERR_CONFIG where a micro-batch has more tokens than can be counted. Release it also after
 * an error. */
int course_plan(struct course *c, const struct trial *t, const struct dataset *d,
                int32_t extra, int32_t bin_tokens, struct err *err);
void course_release(struct course *c);

/* The rows of one epoch in their order, and where each unit begins among them. */
struct epoch {
    int64_t number;          /* -1: none yet */
    uint32_t *rows, *starts; /* starts NULL: every unit is a row */
};
void epoch_init(struct epoch *e, const struct course *c);
void epoch_release(struct epoch *e);
/* Makes it the one in which an update (0-based) lies. */
void epoch_seek(struct epoch *e, const struct course *c, const struct dataset *d,
                int64_t update);

/* Places [begin, end) in epoch.rows. */
struct stretch {
    int64_t begin, end;
};
/* Of an update of this epoch; of its micro-batch k, empty where it has no such. */
struct stretch epoch_update(const struct epoch *e, const struct course *c,
                            int64_t update);
struct stretch epoch_batch(const struct epoch *e, const struct course *c, int64_t update,
                           int64_t k);

#endif
