/* runner/nn/peft/bitfit.c - BitFit (Ben Zaken et al. 2022): every parameter with `bias`
 * in its name trains (those of norms and of the pooler too), and the task's head. Saved
 * as peft can load it: a LoRA without targets, bias = all. */
#include "runner/nn/peft/method.h"
#include <string.h>

static int attach(struct net *net, struct err *err)
{
    size_t found = 0;
    for (size_t i = 0; i < net->params.count; i++) {
        struct param *p = net->params.items[i];
        if (!strstr(p->name, "bias"))
            continue;
        p->trainable = true;
        found += !task_saves(net->goal.task, p->name);
    }
    task_train_head(net);
    return found ? 0
                 : err_set(err, ERR_CONFIG,
                           "method bitfit: the model has no biases to train (try "
                           "ln-tuning)");
}

static void put_config(const struct net *net, json_t *config, enum config_use use)
{
    (void)net, (void)use;
    json_object_set_new(config, "bias", json_string("all"));
}

const struct method method_bitfit = {
    .name = "bitfit",
    .help = "every bias of the base",
    .learning_rate = 1e-3,
    .training_cost = 2,
    .changes_base = BASE_biases,
    .reads = READS_ADAPTER,
    .attach = attach,
    .files = &lora_files,
    .put_config = put_config,
};
