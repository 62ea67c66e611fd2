/* runner/merge/weights.h - the weights of a merged model as safetensors: model.safetensors,
 * or shards with their index where they are too many for one file.
 *
 * Tensors go into shards in the order in which the architecture declares them, as long as
 * they fit; names and index are transformers' (model-00001-of-00003.safetensors,
 * model.safetensors.index.json). */
#ifndef RUNNER_MERGE_WEIGHTS_H
#define RUNNER_MERGE_WEIGHTS_H

#include "runner/merge/merge.h"
#include "runner/merge/merged_model.h"

/* Fills tensors, bytes, files and dtype of the report. */
int merged_write(struct merged *m, const char *dir, const struct merge_target *to,
                 struct merge_report *out, struct err *err);

#endif
