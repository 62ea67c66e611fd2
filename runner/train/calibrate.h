/* runner/train/calibrate.h - how fast this machine multiplies, measured once per process,
 * for predicted times. */
#ifndef RUNNER_TRAIN_CALIBRATE_H
#define RUNNER_TRAIN_CALIBRATE_H

#include "kernels/backend.h"

/* FLOP/s of the linear op at a shape typical of small encoders, best of a few runs (about
 * 30 ms in all). */
double calibrate_flops_per_s(const struct backend *backend);

/* The ceiling that shares of peak refer to, measured once per process: the backend's own
 * measurement, or the rate above where it has none. */
struct peak {
    double flops_per_s;
    const char *how; /* "fp32 multiply-adds in registers" */
};
struct peak calibrate_peak(const struct backend *backend);

#endif
