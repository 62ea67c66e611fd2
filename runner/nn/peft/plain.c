/* runner/nn/peft/plain.c - methods that add nothing to the graph: the head alone, and
 * everything. */
#include "runner/nn/peft/method.h"

static int attach_head(struct net *net, struct err *err)
{
    task_train_head(net);
    return params_count(&net->params, true)
               ? 0
               : err_set(err, ERR_CONFIG,
                         "method head: task %s has no head of its own to train",
                         net->goal.task->name);
}

const struct method method_head = {
    .name = "head",
    .help = "the classifier on the frozen base",
    .learning_rate = 1e-2,
    .training_cost = 1, /* the head's gradient stops at once */
    .reads = READS_ADAPTER,
    .attach = attach_head,
    .files = &lora_files,
};

static int attach_full(struct net *net, struct err *err)
{
    (void)err;
    net_train_all(net);
    return 0;
}

const struct method method_full = {
    .name = "full",
    .help = "every parameter of the base",
    .learning_rate = 5e-5,
    .training_cost = 3, /* gradients of activations and of weights */
    .changes_base = BASE_all,
    .attach = attach_full,
    .files = &model_files,
};
