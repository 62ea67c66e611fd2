/* runner/data/targets.h - labels that are numbers (inside runner/data).
 *
 * Regression: a number, or a list of as many as there are outputs. Several labels per
 * row: a list of names, of which a row may have none, or a list of numbers in 0..1, one
 * for each label (transformers' form). All rows of a training have one form. As in
 * label_map.h, targets_learn sees every label of the training file, label_map_fix makes
 * labels of them, and targets_read fills a row's labels->count numbers. */
#ifndef RUNNER_DATA_TARGETS_H
#define RUNNER_DATA_TARGETS_H

#include "runner/data/label_map.h"
#include "runner/problem.h"

int targets_learn(struct label_map *m, enum problem p, const json_t *label,
                  struct err *err);
int targets_read(const struct label_map *m, enum problem p, const json_t *label,
                 float *out, struct err *err);

#endif
