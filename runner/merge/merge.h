/* runner/merge/merge.h - an adapter worked into the base's weights, which then need no
 * method any more.
 *
 * Merging is done in fp32 (sums in double) on the base as the adapter saw it (merged_model.h): a
 * quantised base with its dequantised values, so that the merged model differs from the
 * unmerged one by rounding only; peft would quantise the sum again. Written is one tensor
 * at a time, each in its base's numbers or in those asked for; the model is never in memory
 * as a whole. Which methods can be merged, and how, is in their registry rows (method.h). */
#ifndef RUNNER_MERGE_MERGE_H
#define RUNNER_MERGE_MERGE_H

#include "runner/evaluate.h"

#define MERGE_SHARD_BYTES ((int64_t)5000000000) /* as transformers 4 cuts them */

struct merge_target {
    const char *out;     /* folder */
    enum dtype dtype;    /* DT_F32, DT_F16, DT_BF16; DT_COUNT: as in the base */
    int64_t shard_bytes; /* a file of weights has no more, but one tensor may; 0: 5 GB */
    bool overwrite;      /* a model that is there already may go */
};
/* "base", "f32", "f16", "bf16" to merge_target.dtype; NULL is "base". */
enum dtype merge_dtype(const char *word);

struct merge_report {
    int64_t tensors, bytes; /* written */
    int64_t files;          /* of weights */
    int64_t layers;         /* whose weights the method changed */
    enum dtype dtype;       /* of matrices */
    int64_t rows;           /* of eval_data, on which logits were compared; 0: on none */
    double largest_change;  /* of a logit between unmerged and merged */
    double largest_logit;   /* unmerged, to compare it with */
    char not_compared[160]; /* why they were not, where there is eval_data; "" */
};

/* Writes the merged model as a Hugging Face folder, reads it back and compares its logits
 * on eval_data. The folder appears as a whole, at the end, or not at all; one that is there
 * stays what it is until then. It must be empty or not there, or hold a model that
 * `overwrite` lets go, and nothing else; never the model's own folder. */
int merge_folder(const json_t *resolved, const char *base_dir, const char *adapter,
                 const struct merge_target *to, struct merge_report *out,
                 struct err *err);

/* Merges the weights of a session where they lie and measures single requests through
 * the plain graph. Only for sessions that planned one (session.h, merged_graph); nothing
 * but this can be done with the session's weights afterwards. */
int merge_latency(struct session *s, size_t requests, struct latency *out,
                  struct err *err);

#endif
