/* sweep/launch/user_rows.h - what each test row got from a program of the user's.
 *
 * The program writes `rows_test.jsonl` (or `rows_eval.jsonl`) into its run folder, a JSON
 * object per row of the test set, always all rows in one order:
 *   {"id": "r17", "label": "positive", "predicted": "neutral", "loss": 0.31}   classes
 *   {"id": 17, "target": 3.5, "output": 3.1}                                   numbers
 * Classes are texts, integers or booleans; `loss` and `id` may be missing (without `id` it
 * is the number of the line). When the program has ended well the rows become the
 * artifact "rows/test", as a trial of the trainer keeps it (tracker/view/row_results.h),
 * and the report draws from them what other rows would do to test/accuracy,
 * test/macro_f1, test/loss, test/mse and the like. Runs are paired where ids and labels
 * are the same in the same order. A file that is not so is a warning of the run, with its
 * line; the trial counts as one without. */
#ifndef SWEEP_LAUNCH_USER_ROWS_H
#define SWEEP_LAUNCH_USER_ROWS_H

#include "tracker/view/row_results.h"
#include "tracker/worker/sink.h"

/* The file's text as what is kept; `name` is for messages. */
int user_rows_read(const char *name, const char *text, size_t n, struct row_results *out,
                   struct err *err);
/* Both files of a run folder, as far as they are there. */
void user_rows_keep(const char *run_dir, struct sink *sink);

#endif
