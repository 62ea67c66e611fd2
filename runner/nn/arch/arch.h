/* runner/nn/arch/arch.h - model families as registry rows (arch.def), found by `model_type`
 * of config.json. */
#ifndef RUNNER_NN_ARCH_ARCH_H
#define RUNNER_NN_ARCH_ARCH_H

#include "runner/nn/net.h"

struct arch {
    const char *model_type;
    const char *classifier_class; /* transformers' class for seq-cls */
    const char *base_prefix;  /* of the base's parameters in the task model, "bert." */
    const char *head;         /* module of the classifier */
    const char *lora_targets; /* peft's default map, "query|value" */
    const char *ia3_targets, *ia3_feed_forward; /* the same for IA3 */
    const char *adalora_targets;                /* and for AdaLoRA */
    bool positions_behind_pad; /* positions start at pad_token_id + 1 (fairseq's way) */
    int (*declare)(struct net *net, struct err *err);
    int (*record)(const struct net *net, struct graph *g); /* returns the logits */
};

const struct arch *arch_find(const char *model_type,
                             struct err *err); /* names the known ones when it is not */

/* Position of a sequence's first token by config.json, and how many positions there are
 * from there on. */
int32_t arch_first_position(const struct arch *arch, const json_t *config);
int32_t arch_positions(const struct arch *arch, const json_t *config);

#endif
