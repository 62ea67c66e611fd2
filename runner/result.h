/* runner/result.h - what a run found out: result.json, and the summary values of the
 * store. */
#ifndef RUNNER_RESULT_H
#define RUNNER_RESULT_H

#include "lib/os/load.h"
#include "runner/evaluate.h"
#include "runner/metric/metric.h"
#include "runner/train/train.h"

struct run_result {
    double started_s;        /* clock_mono_s when the trial began */
    struct load_watch watch; /* since then */
    struct train_outcome training;
    struct evaluation evaluations[SPLIT_COUNT];
    struct evaluation general_before; /* of the start point; rows 0: not measured */
    double eval_s;
    struct latency latency;        /* requests 0: not measured */
    struct latency merged_latency; /* with the adapter worked into the base's weights */
    struct latency first_token, each_token; /* of single answers */
    int64_t adapter_bytes;
    json_t *profile; /* of profile_json; NULL: none; owned */
};

/* Writes what each row got (row_file.h), then out_dir/result.json, and logs the same numbers as summary values. */
int result_write(const struct run_result *r, const struct session *s,
                 const json_t *environment, const char *out_dir, struct sink *sink,
                 struct err *err);
/* Summary values of a training that parked or was stopped: what it has done and taken,
 * and its last evaluation under the final keys. */
void result_log_unfinished(const struct run_result *r, const struct session *s,
                           struct sink *sink);
void result_release(struct run_result *r);

#endif
