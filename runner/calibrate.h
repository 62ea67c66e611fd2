/* runner/calibrate.h - how fast this machine multiplies, measured once per process, for
 * predicted times. */
#ifndef RUNNER_CALIBRATE_H
#define RUNNER_CALIBRATE_H

#include "kernels/backend.h"

/* FLOP/s of the linear op at a shape typical of small encoders, best of a few runs (about
 * 30 ms in all). */
double calibrate_flops_per_s(const struct backend *backend);

#endif
