/* runner/nn/arch/arch.h - model families as registry rows (arch.def), found by `model_type`
 * of config.json.
 *
 * An architecture declares the base's parameters and sites and records the way from token
 * ids to the hidden states of all tokens; what comes behind is the task's. Only what
 * differs between families of a task's head stands here: the head for sequences. */
#ifndef RUNNER_NN_ARCH_ARCH_H
#define RUNNER_NN_ARCH_ARCH_H

#include "runner/nn/net.h"

/* Classifies a sequence by one of its tokens, as the family's ForSequenceClassification
 * class: goal.num_labels outputs from the picked rows of the hidden states. */
struct sequence_head {
    int (*declare)(struct net *net, struct err *err);
    int (*record)(const struct net *net, struct graph *g, int picked);
};

struct arch {
    const char *model_type;
    const char *class_prefix;  /* of transformers' classes, "Bert" */
    const char *base_prefix;   /* of the base's parameters in the task model, "bert." */
    bool positions_behind_pad; /* positions start at pad_token_id + 1 (fairseq's way) */
    int (*declare)(struct net *net, struct err *err);
    int (*record)(const struct net *net, struct graph *g); /* hidden states, tokens x d */
    struct sequence_head sequence_head;
};

const struct arch *arch_find(const char *model_type,
                             struct err *err); /* names the known ones when it is not */

/* Position of a sequence's first token by config.json, and how many positions there are
 * from there on. */
int32_t arch_first_position(const struct arch *arch, const json_t *config);
int32_t arch_positions(const struct arch *arch, const json_t *config);

#endif
