/* runner/row_file.h - what each row of a split got, as a file (tracker/view/row_results.h)
 * of the run's folder and a copy in the store. */
#ifndef RUNNER_ROW_FILE_H
#define RUNNER_ROW_FILE_H

#include "runner/evaluate.h"
#include "tracker/view/row_results.h"
#include "tracker/worker/sink.h"

/* The rows of a split in the order of the file; false: more than a file holds. Release by
 * row_results_release. */
bool row_file_collect(const struct session *s, int split, const struct evaluation *e,
                      struct row_results *out);
/* Writes out_dir/rows_SPLIT.bin and tells the sink. Nothing where the split has too many
 * rows or classes for such a file. */
int row_file_write(const struct session *s, int split, const struct evaluation *e,
                   const char *out_dir, struct sink *sink, struct err *err);

#endif
