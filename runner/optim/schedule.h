/* runner/optim/schedule.h - learning-rate schedules as registry rows, by transformers'
 * get_scheduler: the factor of update t (0-based) over the peak rate. Linear warm-up t /
 * max(1, W) comes first, so the first update of a warm-up has rate 0. */
#ifndef RUNNER_OPTIM_SCHEDULE_H
#define RUNNER_OPTIM_SCHEDULE_H

#include <stdint.h>

struct schedule {
    double (*factor)(double t, double warmup, double total);
    double warmup, total;
};

/* `warmup` below 1 is a share: ceil(share * total) updates. The name is one that the
 * options allow. */
struct schedule schedule_make(const char *name, double warmup, int64_t total);
double schedule_factor(const struct schedule *s, int64_t t);

#endif
