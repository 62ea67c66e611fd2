/* report/sections/trivial.h - whether there is anything to choose between: trials held against
 * the trivial answer, and signs that they did not learn or that seeds change nothing.
 *
 * The trivial answer of a task (the majority class, the mean) is logged by the trainer
 * beside each score ("baseline/eval/macro_f1"; runner/evaluate.h), and so is how many
 * classes a model answers at all. Runs from elsewhere have neither; what their values show
 * by themselves (all equal, equal over seeds) is told of them too. */
#ifndef REPORT_SECTIONS_TRIVIAL_H
#define REPORT_SECTIONS_TRIVIAL_H

#include "report/report.h"

struct trivial {
    double baseline;          /* of the judged metric; NaN: not recorded */
    size_t above;             /* ranked configurations whose interval lies beyond it */
    size_t judged, collapsed; /* good trials that say how many classes they answer; one */
    size_t
        same_seeds; /* ranked configurations with one value for all, 2 or more, seeds */
    bool all_same;  /* every good trial of 2 or more configurations: one value */
};
/* Of a column. */
struct trivial trivial_of(const struct report *r, size_t column);
/* Whether a configuration of the main column is shown to be better than the baseline. */
bool trivial_is_above(const struct report *r, size_t group, const struct trivial *t);
/* Nothing was learned that could be chosen: all answer one class. */
bool trivial_is_all(const struct trivial *t);
/* Whether the best is no better than one observation: its seeds and those of a rival gave
 * one value each. */
bool trivial_seeds(const struct report *r, size_t column);
/* Whether comparisons of a column mean nothing: all collapsed, all the same, or seeds
 * without effect. */
bool trivial_undecides(const struct report *r, size_t column);
/* "the mean of the training labels" */
const char *trivial_name(const struct report *r);

#endif
