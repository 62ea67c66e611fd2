/* runner/train/energy.h - energy of the processor packages by RAPL, where Linux lets us
 * read it (/sys/class/powercap/intel-rapl:N/energy_uj; AMD too).
 *
 * Only packages are counted (their cores and memory controllers are parts of them, "psys"
 * would count them twice). A counter wraps at max_energy_range_uj, after minutes to hours
 * under load, so it must be sampled at least once a minute. What else ran on the machine
 * at that time is in the number too. */
#ifndef RUNNER_TRAIN_ENERGY_H
#define RUNNER_TRAIN_ENERGY_H

#include <stdint.h>

#define ENERGY_PACKAGES 16

struct energy {
    struct {
        char path[256];
        uint64_t last_uj, range_uj;
    } packages[ENERGY_PACKAGES];
    int count; /* 0: not readable here */
    double joules, sampled_s;
};

/* Begins to count. root: NULL for /sys/class/powercap. */
void energy_start(struct energy *e, const char *root);
/* Adds what was used since; energy_tick does so once a minute. */
void energy_sample(struct energy *e);
void energy_tick(struct energy *e);

#endif
