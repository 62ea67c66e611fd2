/* runner/data/assumed.h - rows that planning goes on without.
 *
 * A base that is known by its configuration alone has no tokenizer, and its rows are often
 * not here either. Planning then takes what it cannot know: every row is as long as
 * max_length allows, max_train_samples says how many there are. The course of such a
 * training has a closed form, so the number of rows costs nothing.
 *
 * Rows of text that are here count and give their labels; only their length is assumed
 * (data_spec.assume_length). Rows of token ids are known as they are. */
#ifndef RUNNER_DATA_ASSUMED_H
#define RUNNER_DATA_ASSUMED_H

#include "runner/data/dataset.h"

/* What may be missing. Training goes without nothing. */
enum assume {
    ASSUME_NOTHING,
    ASSUME_MISSING, /* the weights; and of a base without weights, tokenizer and rows */
    ASSUME_ROWS     /* rows are not looked at, whatever the trial names */
};

/* So many rows of `length` tokens each, without the rows themselves (`rows` NULL). */
struct dataset *dataset_assumed(const char *path, int64_t count, int32_t length);
/* Names for so many classes: "0", "1", ... */
void labels_assume(struct labels *l, size_t count);

#endif
