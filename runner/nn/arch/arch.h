/* runner/nn/arch/arch.h - model families as registry rows (arch.def), found by `model_type`
 * of config.json.
 *
 * An architecture declares the base's parameters and sites and records the way from token
 * ids to the hidden states of all tokens; what comes behind is the task's. Only what
 * differs between families of a task's head stands here: the head for sequences and the
 * head for language modelling. */
#ifndef RUNNER_NN_ARCH_ARCH_H
#define RUNNER_NN_ARCH_ARCH_H

#include "runner/nn/net.h"

/* A head of one of transformers' classes of the family: goal.num_labels outputs from the
 * picked rows of the hidden states. NULL functions: the family has no such class, or
 * nobody has written it. */
struct arch_head {
    int (*declare)(struct net *net, struct err *err);
    int (*record)(const struct net *net, struct graph *g, int picked);
};

struct arch {
    const char *model_type;
    const char *class_prefix; /* of transformers' classes, "Bert" */
    const char *base_prefix;  /* of the base's parameters in the task model, "bert." */
    /* Where the language model stands inside of a class for pictures too: among its
     * modules, and in the hub's files; and the model_type that it has alone. NULL: it is
     * no such class. */
    const char *text_root, *text_root_in_files, *text_type;
    const char *language_class; /* of the language model, where it is not ForCausalLM */
    bool positions_behind_pad;  /* positions start at pad_token_id + 1 (fairseq's way) */
    bool conv1d; /* weights of linear layers, but of heads, lie in x out in files */
    /* Keys of config.json that would change numbers and are not honoured yet: refused by
     * name where they are set. Ended by NULL; NULL: `declare` sees to it. */
    const char *const *unused;
    /* How many tokens a sequence may have; NULL: max_position_embeddings. */
    int32_t (*positions)(const json_t *config);
    int (*declare)(struct net *net, struct err *err);
    int (*record)(const struct net *net, struct graph *g); /* hidden states, tokens x d */
    struct arch_head sequence_head; /* ForSequenceClassification, by one of its tokens: */
    bool last_token;                /* ... the last, else the first */
    struct arch_head language_head; /* ForCausalLM, at every token */
};

const struct arch *arch_find(const char *model_type,
                             struct err *err); /* names the known ones when it is not */

/* The model_type that maps of names go by. */
static inline const char *arch_text_type(const struct arch *arch)
{
    return arch->text_type ? arch->text_type : arch->model_type;
}

/* False where one of `unused` is set. */
bool arch_takes(const struct arch *arch, const json_t *config);

/* Position of a sequence's first token by config.json, and how many positions there are
 * from there on. */
int32_t arch_first_position(const struct arch *arch, const json_t *config);
int32_t arch_positions(const struct arch *arch, const json_t *config);

/* Declares a head, or says that the family has none for this task. */
int arch_declare_head(struct net *net, const struct arch_head *head, struct err *err);

#endif
