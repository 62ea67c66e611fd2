/* runner/trial.h - one trial, from a resolved tree (options.h) to numbers and an adapter
 * folder.
 *
 * Relative paths stay relative in the tree; `base_dir` (the folder of the trial or sweep
 * file) completes them. */
#ifndef RUNNER_TRIAL_H
#define RUNNER_TRIAL_H

#include "kernels/backend.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "runner/data/assumed.h"
#include "runner/memory.h"
#include "runner/options.h"
#include "runner/pack/pack.h"
#include "tracker/worker/sink.h"
#include <jansson.h>

/* What a trial will need, from the same planner that the trainer runs; nothing is
 * allocated or trained. */
struct trial_prediction {
    int64_t bytes[MEM_COUNT]; /* exactly what train will take, by category */
    int64_t total_bytes;
    /* Of these what trials in one process have in common (pack/pack.h): frozen weights with
     * all whose `base` is the same text, and what comes with a turn. */
    int64_t base_bytes, turn_bytes;
    char base[SHA256_HEX];
    int64_t trainable_parameters, total_parameters;
    int64_t adapter_bytes;   /* size of the tensors saved */
    int64_t base_parameters; /* of the base, without head and without what is added */
    int64_t updates, tokens; /* of the whole training */
    int64_t updates_per_epoch;
    /* Of what is not here (runner/data/assumed.h): nothing of `weights`, rows that count
     * or not at all, their length. */
    bool has_weights, rows_known;
    int32_t assumed_length; /* tokens of every row; 0: rows are as they are */
    int32_t longest_row;    /* of the training rows, in tokens */
    double flops;           /* training, evaluation not counted */
    /* Of total_s: what trials with the same `shared` do once between them (features.h). */
    double shared_s;
    char shared[SHA256_HEX];
    double train_s,
        total_s; /* on this machine, from a short GEMM measurement; NaN where unknown
                    and where `on` is a table without ops */
};
/* `assume`: what may be missing; `on`: see session_plan. Without rows_known updates,
 * tokens, FLOPs and seconds mean nothing unless max_steps says how many updates there
 * are. */
int trial_predict(const json_t *resolved, const char *base_dir, enum assume assume,
                  const struct backend *on, struct trial_prediction *out,
                  struct err *err);

struct trial_run {
    const char *out_dir;      /* the run folder */
    const char *const *older; /* see struct train_place */
    struct pack *pack;        /* the trials that it shares this process with; or NULL */
    bool profile;             /* table of ops into result.json */
    bool no_logits;           /* an evaluation writes no logits.safetensors */
    bool overwrite;           /* the finished training of another trial may go */
    int64_t until;            /* park after that many updates; 0: to the end */
    bool evaluate_parked;     /* and evaluate before */
};
/* Trains and evaluates; writes the run folder (trace.jsonl, adapter/, result.json; while
 * it trains also checkpoints/, from which it goes on) and events to the sink. Returns 0,
 * 1 when it parked, ERR_NAN when the loss is not a number, ERR_NOMEM when the plan does
 * not fit, ERR_BUSY when it was asked to stop. A training that parked or was stopped
 * leaves its checkpoint, and summary values of what it has done so far. */
int trial_train(const json_t *resolved, const char *base_dir, const struct trial_run *run,
                struct sink *sink, struct err *err);
/* Evaluates `adapter` (NULL: init_adapter, and without that the base); writes result.json
 * and logits.safetensors. */
int trial_evaluate(const json_t *resolved, const char *base_dir, const char *adapter,
                   const struct trial_run *run, struct err *err);

#endif
