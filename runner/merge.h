/* runner/merge.h - an adapter worked into the base's weights, which then need no method
 * any more.
 *
 * Merging is done in fp32 (sums in double) on the base as the adapter saw it: a quantised
 * base with its dequantised values, so that the merged model differs from the unmerged
 * one by rounding only. Which methods can be merged, and how, is in their registry rows
 * (method.h). */
#ifndef RUNNER_MERGE_H
#define RUNNER_MERGE_H

#include "runner/evaluate.h"

struct merge_report {
    int64_t tensors, bytes; /* written */
    int64_t layers;         /* whose weights the method changed */
    int64_t rows;           /* of eval_data; 0: there is none */
    double largest_change;  /* of a logit between unmerged and merged */
    double largest_logit;   /* unmerged, to compare it with */
};

/* Writes the merged model as a Hugging Face folder, reads it back and compares its logits
 * on eval_data. out_dir is made as a whole, at the end: it must be empty or not there,
 * unless `overwrite` lets the files in it be replaced; never the model's own folder. */
int merge_folder(const json_t *resolved, const char *base_dir, const char *adapter,
                 const char *out_dir, bool overwrite, struct merge_report *out,
                 struct err *err);

/* Merges the weights of a session where they lie and measures single requests through
 * the plain graph. Only for sessions that planned one (session.h, merged_graph); nothing
 * but this can be done with the session's weights afterwards. */
int merge_latency(struct session *s, size_t requests, struct latency *out,
                  struct err *err);

#endif
