/* runner/nn/peft/bottleneck.c - bottleneck adapters as the adapters library has them:
 * A(z) = s (U f(D z + b_D) + b_U) with hidden // reduction_factor features inside. With h
 * the output of a sublayer and x its residual input,
 *   pfeiffer (Pfeiffer et al. 2020; SeqBnConfig)        out = LN(A(LN(h + x)) + h + x),
 *                                                       the same LN both times
 *   houlsby (Houlsby et al. 2019; DoubleSeqBnConfig)    out = LN(A(h) + h + x)
 *   parallel (He et al. 2022; ParBnConfig)              out = LN(A(x) + h + x)
 * where LN is nothing in families whose norms come first.
 * Start: D, U ~ N(0, 0.02), biases 0 (init "bert"); parallel: D ~ U(-1/sqrt(in),
 * 1/sqrt(in)), the rest 0 (init "mam_adapter"), so that A(x) = 0. */
#include "runner/nn/peft/bottleneck.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bottleneck_kind kinds[] = {
    {"pfeiffer", "bert", false, true, false, 1, 16, "relu"},
    {"houlsby", "bert", true, false, false, 1, 16, "swish"},
    {"parallel", "mam_adapter", false, false, true, 4, 2, "relu"},
};

const struct bottleneck_kind *bottleneck_kind(const struct trial *trial)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(kinds[i].name, trial->adapter_type))
            return &kinds[i];
    return &kinds[0];
}

static int resolve(const struct trial *trial, json_t *tree, struct err *err)
{
    const struct bottleneck_kind *k = bottleneck_kind(trial);
    (void)err;
    if (isnan(trial->reduction_factor))
        json_object_set_new(tree, "reduction_factor", json_real(k->reduction_factor));
    if (!trial->non_linearity)
        json_object_set_new(tree, "non_linearity", json_string(k->non_linearity));
    return 0;
}

static bool has_adapter(const struct net *net, const struct sublayer *s)
{
    return !s->attention || bottleneck_kind(net->trial)->attention;
}

static void add_linear(struct net *net, const char *path, int32_t out, int32_t in,
                       enum init_kind init, float scale)
{
    char *weight = xasprintf("%s.weight", path), *bias = xasprintf("%s.bias", path);
    net_method_param(net, weight, 2, out, in, init, scale);
    net_method_param(net, bias, 1, 1, out, INIT_ZEROS, 0);
    free(weight);
    free(bias);
}

static void add_adapter(struct net *net, const struct sublayer *s, int32_t size)
{
    char *down = xasprintf("%s.adapters.default.adapter_down.0", s->path);
    char *up = xasprintf("%s.adapters.default.adapter_up", s->path);
    if (str_eq(bottleneck_kind(net->trial)->init, "mam_adapter")) {
        add_linear(net, down, size, net->shape.hidden, INIT_UNIFORM,
                   1 / sqrtf((float)net->shape.hidden));
        add_linear(net, up, net->shape.hidden, size, INIT_ZEROS, 0);
    } else {
        add_linear(net, down, size, net->shape.hidden, INIT_NORMAL, 0.02f);
        add_linear(net, up, net->shape.hidden, size, INIT_NORMAL, 0.02f);
    }
    free(down);
    free(up);
}

static int attach(struct net *net, struct err *err)
{
    const double factor = net->trial->reduction_factor;
    const int32_t size = (int32_t)(net->shape.hidden / factor);
    if (size < 1)
        return err_set(err, ERR_CONFIG,
                       "reduction_factor %g leaves no feature of the hidden size %d",
                       factor, net->shape.hidden);
    for (size_t i = 0; i < net->sublayers.count; i++)
        if (has_adapter(net, &net->sublayers.items[i]))
            add_adapter(net, &net->sublayers.items[i], size);
    task_train_head(net);
    return 0;
}

static int adapter_linear(struct graph *g, const char *path, const char *part, int x)
{
    char weight[256], bias[256];
    snprintf(weight, sizeof weight, "%s.adapters.default.%s.weight", path, part);
    snprintf(bias, sizeof bias, "%s.adapters.default.%s.bias", path, part);
    return g_linear(g, x, g_param(g, weight), g_param(g, bias), 1);
}

static enum act non_linearity(const struct net *net)
{
    const char *name = net->trial->non_linearity;
    static const char *const names[ACT_COUNT] = {
#define X(act) #act,
        ACTS(X)
#undef X
    };
    for (int a = 0; a < ACT_COUNT; a++)
        if (str_eq(names[a], name))
            return (enum act)a;
    return ACT_relu;
}

static int record_sublayer(const struct net *net, struct graph *g,
                           const struct sublayer *s, int h, int residual)
{
    const struct bottleneck_kind *k = bottleneck_kind(net->trial);
    const int sum = g_add(g, h, residual);
    if (!has_adapter(net, s))
        return net_record_behind(net, g, s, sum);
    g->of_method = true;
    int z = k->norm_before ? net_record_behind(net, g, s, sum)
            : k->parallel  ? residual
                           : h;
    z = g_act(g, adapter_linear(g, s->path, "adapter_down.0", z), non_linearity(net));
    z = g_scale(g, adapter_linear(g, s->path, "adapter_up", z), k->scaling);
    z = g_add(g, sum, z);
    g->of_method = false;
    return net_record_behind(net, g, s, z);
}

const struct method method_adapter = {
    .name = "adapter",
    .help = "bottlenecks behind or beside the sublayers (adapter_type)",
    .learning_rate = 1e-3,
    .training_cost = 2,
    .reads = READS_ADAPTER "|adapter_type|reduction_factor|non_linearity",
    .resolve = resolve,
    .attach = attach,
    .sublayer = record_sublayer,
    .no_merge = "its layers have an activation inside, so that no weight can hold them",
    .files = &bottleneck_files,
};
