/* runner/task/task.h - what a model is trained for, as registry rows (tasks.def).
 *
 * A task is one row and one file. Between the hidden states that an architecture gives for
 * all tokens and the numbers of a report everything that is not the same for all tasks is
 * asked here: the head (which may be a part of the architecture's row: heads differ
 * between families), what of a row is its label and which tokens have one, the loss, the
 * metrics, peft's task_type and the modules that it saves with each adapter, and what the
 * configuration of a whole model says about it.
 *
 * Labels are per token picked: a sequence classifier picks one token of each sequence, a
 * tagger or a language model those that have a label. The picked rows of a micro-batch
 * lie one after the other in the slots `picked`, `labels` and `targets` of the graph, and
 * logits, losses and metrics have their rows. The sum of an update's losses is divided by
 * the weight of what was picked: their number, or the sum of their classes' weights.
 *
 * What a trial makes of a task is its `struct goal`: the task, what its labels are and how
 * many of them there are. */
#ifndef RUNNER_TASK_TASK_H
#define RUNNER_TASK_TASK_H

#include "lib/err.h"
#include "runner/data/dataset.h"
#include "runner/graph/graph.h"
#include "runner/options.h"

#define TASK_DEFAULT "seq-cls" /* where a trial names none */

struct net;
struct task_kind;

struct task {
    const char *name, *peft_type;
    const struct task_kind *kind;
};

struct goal {
    const struct task *task;
    enum label_kind labels;
    int32_t num_labels; /* classes, or numbers per picked token */
    bool generates;     /* it is measured by what it writes, too */
    bool every_token;   /* a language model's logits are asked for at all tokens, not only
                           where there is a label; see evaluate_split */
    bool last_token;    /* a classifier reads a sequence's last token, else its first */
};

enum { TASK_MODULES_MAX = 4 };

/* Where the labels of a micro-batch go; `count` of them are there already. */
struct picks {
    int32_t *rows, *labels;
    float *targets; /* goal_targets numbers each */
    int32_t count;
};

struct task_kind {
    const char *class_suffix; /* of transformers' class, "ForSequenceClassification" */
    /* Modules that train whole and are saved with every adapter; ended by NULL. A model
     * has some of them. */
    const char *saved_modules[TASK_MODULES_MAX + 1];
    const char *metrics; /* of metrics.def, "loss|accuracy"; those that have a meaning for
                            the kind of labels are reported */
    const char *text_metrics; /* those of generated texts, where the trial wants them;
                                 NULL: it writes none */
    bool per_token;           /* picks any number of a sequence's tokens, else one */
    unsigned labels;          /* bit k: they may be of enum label_kind k */
    const struct label_reader *reader; /* what of a row is its label */
    /* What labels are and how many, by the trial and the model's config.json (num_labels
     * stays 0 where the data says it); refuses keys of the trial that have no meaning
     * then. */
    int (*open)(const struct trial *trial, const json_t *config, struct goal *goal,
                struct err *err);
    /* The head's parameters, behind the architecture's. */
    int (*declare)(struct net *net, struct err *err);
    /* From the hidden states of all tokens to the logits of the picked ones. */
    int (*record)(const struct net *net, struct graph *g, int hidden);
    /* Picks of a sequence whose tokens, virtual ones too, are `tokens` rows of the
     * micro-batch from row `first` on; with `out` NULL they are only counted. A pick may
     * have the label -1: its logits are wanted, and no loss. */
    int32_t (*pick)(const struct goal *goal, const struct example *e, int32_t first,
                    int32_t tokens, struct picks *out);
    /* What the model's config.json says; label_names: NULL where they are numbers. */
    void (*put_config)(const struct net *net, json_t *config,
                       const char *const *label_names);
    /* What of the trial's settings is wrong with these labels, "a regression". */
    const char *(*shown)(enum label_kind labels);
};

/* By name or peft's word for it; NULL with the known ones in err. */
const struct task *task_find(const char *name, struct err *err);
/* The i-th, NULL after the last. */
const struct task *task_at(size_t i);

/* "BertForSequenceClassification"; the caller's. */
char *task_class(const struct net *net);

/* Does the path lie in a module that is saved with every adapter? */
bool task_saves(const struct task *task, const char *path);
/* Trains them. */
void task_train_head(struct net *net);

/* Numbers per picked token that the loss is taken against; 0: a class. */
int32_t goal_targets(const struct goal *g);
/* Most picks of so many tokens and sequences. */
int32_t goal_most_picks(const struct goal *g, int32_t tokens, int32_t sequences);
/* Cross entropy, squared error, or binary cross entropy. */
struct graph_loss goal_loss(const struct goal *g);
/* Has the metric (of metric_defs) a meaning here? */
bool goal_has_metric(const struct goal *g, size_t metric);
/* Is it one of generated texts? There is no trivial answer to those. */
bool goal_is_of_texts(const struct goal *g, size_t metric);

#endif
