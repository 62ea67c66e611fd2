/* runner/peft/prefix.c - prefix tuning (Li and Liang 2021) as peft has it, without
 * projection.
 *
 * One matrix num_virtual_tokens x (2 * layers * hidden), N(0, 1) at the start: layer l's
 * keys are column block 2l, its values block 2l + 1. Virtual keys and values take no
 * projection, norm or position; every real token of every sequence sees them. Real
 * tokens' positions start at num_virtual_tokens. */
#include "lib/json.h"
#include "runner/peft/method.h"

#define EMBEDDINGS "prompt_embeddings"

static int attach(struct net *net, struct err *err)
{
    const int32_t n = (int32_t)json_get_int(net->trial, "num_virtual_tokens", 20);
    if (n >= net->max_positions)
        return err_set(err, ERR_CONFIG,
                       "num_virtual_tokens is %d, but the model has only %d positions", n,
                       net->max_positions);
    net->virtual_tokens = n;
    net_method_param(net, EMBEDDINGS, 2, n, 2 * net->layers * net->hidden, INIT_NORMAL,
                     1);
    for (size_t i = 0; i < 2; i++)
        net_train_modules(net, seq_cls_modules[i]);
    return 0;
}

static void record_prefix(const struct net *net, struct graph *g, int layer, int *k,
                          int *v)
{
    const int all = g_param(g, EMBEDDINGS);
    *k = g_slice(g, all, 2 * layer * net->hidden, net->hidden);
    *v = g_slice(g, all, (2 * layer + 1) * net->hidden, net->hidden);
}

const struct method method_prefix = {
    .name = "prefix",
    .help = "virtual keys and values in front of every layer's own",
    .learning_rate = 1e-2,
    .attach = attach,
    .prefix = record_prefix,
    .files = &prefix_files,
};
