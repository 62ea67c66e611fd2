/* runner/merge/logit_change.h - the logits of a merged folder beside those of the base with its
 * adapter.
 *
 * Two evaluations of eval_data, one after the other: neither model need be in memory with
 * the other. The first one's logits wait in a file that has no name, beside the folder: a
 * language model's are too many for memory. */
#ifndef RUNNER_MERGE_LOGIT_CHANGE_H
#define RUNNER_MERGE_LOGIT_CHANGE_H

#include "runner/merge/merge.h"

/* `s`: opened with its adapter, not allocated; that is done here. `dir`: the merged folder.
 * Without eval_data nothing happens; where the merged model is too large for this machine
 * the report says so. */
int merge_compare(struct session *s, const json_t *resolved, const char *dir,
                  struct merge_report *out, struct err *err);

#endif
