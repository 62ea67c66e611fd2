/* cli/decide/plan_file.h - what the trials of a trial or sweep file will take.
 *
 * Where the base is here and the trainer knows it, bytes and FLOPs are those of the
 * trainer's own planner; a base that is only known by name is estimated by formula
 * (report/machine/estimate.h). */
#ifndef CLI_DECIDE_PLAN_FILE_H
#define CLI_DECIDE_PLAN_FILE_H

#include "lib/err.h"
#include "report/machine/estimate.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plan_item {
    json_t *params; /* what the sweep sets; owned */
    char *label;    /* owned */
    uint64_t seed;
    const struct model_shape *shape; /* of a base known by name; NULL: planned exactly */
    struct setup setup;
    struct estimate estimate; /* peak: what has to fit */
    double lean_peak;
    double tokens, updates, train_s, total_s; /* NaN: unknown; seconds of this machine */
};

struct plan_file {
    bool sweep;
    struct plan_item *items;
    size_t count;
    struct shapes shapes;
    struct model_shape **known; /* bases by name that items point to; owned */
    size_t known_count;
};

/* `words`: the file, then key=value overrides. */
int plan_file_load(const char *const *words, size_t count, struct plan_file *out,
                   struct err *err);
void plan_file_release(struct plan_file *p);
/* The trial that needs most; the file has one. */
const struct plan_item *plan_file_largest(const struct plan_file *p);

/* Rows of a file of JSON lines; NaN with an error. */
double count_lines(const char *path, struct err *err);

#endif
