/* runner/task/seq_cls.c - one label, number or set of labels per sequence, as transformers'
 * ...ForSequenceClassification: the architecture's sequence head reads the first or the
 * last token.
 *
 * Labels are by problem_type: single_label_classification (cross entropy), regression
 * (mean squared error) or multi_label_classification (binary cross entropy of each); the
 * trial's goes before the model's, and num_labels 1 is a regression. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/adapter_files/formats.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/net.h"
#include "runner/task/task.h"
#include <stdio.h>
#include <string.h>

static const char *const problem_types[] = {
    [LABEL_class] = "single_label_classification",
    [LABEL_numbers] = "regression",
    [LABEL_set] = "multi_label_classification",
};

static const char *shown(enum label_kind labels)
{
    return problem_types[labels];
}

/* Keys that change the loss over classes. */
static int check_keys(const struct trial *trial, enum label_kind labels, struct err *err)
{
    const json_t *weights = trial->class_weights;
    if (labels == LABEL_class)
        return trial->num_labels == 1
                   ? err_set(err, ERR_CONFIG,
                             "num_labels is 1: classes need two (a regression has "
                             "one number)")
                   : 0;
    const char *key =
        trial->label_smoothing_factor > 0 ? "label_smoothing_factor"
        : json_is_array(weights) || str_eq(json_string_value(weights), "balanced")
            ? "class_weights"
            : NULL;
    return key ? err_set(err, ERR_CONFIG, "'%s' is for classes, this is a %s", key,
                         problem_types[labels])
               : 0;
}

static int open(const struct trial *trial, const json_t *config, struct goal *goal,
                struct err *err)
{
    const char *name = trial->problem_type ? trial->problem_type
                                           : json_get_str(config, "problem_type", NULL);
    goal->labels = trial->num_labels == 1 ? LABEL_numbers : LABEL_class;
    if (name) {
        int k = 0;
        while (k < (int)ARRAY_LEN(problem_types) && !str_eq(problem_types[k], name))
            k++;
        if (k == (int)ARRAY_LEN(problem_types))
            return err_set(err, ERR_CONFIG, "config.json: problem_type '%s' is not known",
                           name);
        goal->labels = (enum label_kind)k;
    }
    return check_keys(trial, goal->labels, err);
}

static int declare(struct net *net, struct err *err)
{
    return arch_declare_head(net, &net->arch->sequence_head, err);
}

static int record(const struct net *net, struct graph *g, int hidden)
{
    return net->arch->sequence_head.record(net, g, g_pick(g, hidden));
}

static int32_t pick(const struct goal *goal, const struct example *e, int32_t first,
                    int32_t tokens, struct picks *out)
{
    const size_t targets = (size_t)goal_targets(goal);
    if (!out)
        return 1;
    if (targets)
        memcpy(out->targets + (size_t)out->count * targets, e->targets,
               targets * sizeof *e->targets);
    out->rows[out->count] = goal->last_token ? first + tokens - 1 : first;
    out->labels[out->count++] = e->label;
    return 1;
}

static void put_config(const struct net *net, json_t *config,
                       const char *const *label_names)
{
    if (net->goal.labels != LABEL_class)
        json_object_set_new(config, "problem_type",
                            json_string(problem_types[net->goal.labels]));
    json_object_set_new(config, "id2label",
                        config_label_ids(label_names, net->goal.num_labels, true));
    json_object_set_new(config, "label2id",
                        config_label_ids(label_names, net->goal.num_labels, false));
}

const struct task_kind task_seq_cls = {
    .class_suffix = "ForSequenceClassification",
    .saved_modules = {"classifier", "score"},
    .metrics = "accuracy|macro_f1|micro_f1|pearson|spearman|mse|loss",
    .labels = 1u << LABEL_class | 1u << LABEL_numbers | 1u << LABEL_set,
    .reader = &sequence_labels,
    .open = open,
    .declare = declare,
    .record = record,
    .pick = pick,
    .put_config = put_config,
    .shown = shown,
};
