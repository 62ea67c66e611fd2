/* sweep/space/space.h - the grid of a sweep file as a list of combinations.
 *
 * The order is a contract (shared golden files):
 *  (a) Cartesian product in order of declaration, last parameter fastest;
 *  (b) a parameter whose `when` is false, or needs an absent parameter, is absent;
 *      combinations that differ only in absent parameters are one;
 *  (c) `expr` values are computed, dependencies first;
 *  (d) `exclude` drops what has every value that an entry names;
 *  (e) `include` as GitHub's matrix: an entry extends each combination of (d) whose axis
 *      values it does not change, else it is a new combination of its values and the
 *      constants;
 *  (f) when and expr again;
 *  (g) equal canonical JSON is one combination, the first stands.
 * Seeds come on top, fastest of all (sweep/plan.h). */
#ifndef SWEEP_SPACE_SPACE_H
#define SWEEP_SPACE_SPACE_H

#include "sweep/file/sweep_file.h"

#define SPACE_LEAVES_MAX 20000000
#define SPACE_ROWS_MAX   1000000

struct sweep_space {
    json_t **combinations; /* objects, parameters in order of declaration */
    size_t count;
    double product;        /* (a): of the lists' lengths */
    size_t raw;            /* after (b) */
    size_t unique_raw;     /* distinct among them */
    size_t after_exclude;  /* after (d) */
    size_t new_by_include; /* (e) */
    size_t merged;         /* dropped by (g) */
};

/* The whole grid, or for the other methods sweep_space_sample. */
int sweep_space_expand(const struct sweep_file *f, struct sweep_space *out,
                       struct err *err);
/* The configurations that a sampler gives without any result: for random and sobol as
 * many as budget.max_trials lets run with every seed (an error when the space has no end
 * and there is no budget), for tpe those of the startup. The counts speak of the
 * draws. */
int sweep_space_sample(const struct sweep_file *f, struct sweep_space *out,
                       struct err *err);
void sweep_space_release(struct sweep_space *s);

#endif
