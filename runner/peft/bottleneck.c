/* runner/peft/bottleneck.c - bottleneck adapters (Houlsby et al. 2019; Pfeiffer et al.
 * 2020) as the adapters library has them; here pfeiffer (its SeqBnConfig), in the
 * feed-forward sublayer only: z = LN(h + x);  out = LN(U f(D z + b_D) + b_U + h + x) with
 * the same LN both times. D, U ~ N(0, 0.02), biases 0 (init "bert"). The bottleneck has
 * hidden // reduction_factor features. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/arch/arch.h"
#include "runner/peft/method.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The feed-forward sublayer is the module "...output" that is not the attention's. */
static bool has_adapter(const char *path)
{
    return str_has_suffix(path, ".output") && !str_has_suffix(path, ".attention.output");
}

static void add_linear(struct net *net, const char *path, int32_t out, int32_t in)
{
    char *weight = xasprintf("%s.weight", path), *bias = xasprintf("%s.bias", path);
    net_method_param(net, weight, 2, out, in, INIT_NORMAL, 0.02f);
    net_method_param(net, bias, 1, 1, out, INIT_ZEROS, 0);
    free(weight);
    free(bias);
}

static int attach(struct net *net, struct err *err)
{
    const double factor = json_get_num(net->trial, "reduction_factor", 16);
    const int32_t size = (int32_t)(net->hidden / factor);
    if (size < 1)
        return err_set(err, ERR_CONFIG,
                       "reduction_factor %g leaves no feature of the hidden size %d",
                       factor, net->hidden);
    const size_t sites = net->site_count;
    for (size_t i = 0; i < sites; i++) {
        const char *dot = strrchr(net->sites[i].path, '.');
        char *module =
            xstrndup(net->sites[i].path, dot ? (size_t)(dot - net->sites[i].path) : 0);
        if (has_adapter(module)) {
            char *down = xasprintf("%s.adapters.default.adapter_down.0", module);
            char *up = xasprintf("%s.adapters.default.adapter_up", module);
            add_linear(net, down, size, net->hidden);
            add_linear(net, up, net->hidden, size);
            free(down);
            free(up);
        }
        free(module);
    }
    net_train_modules(net, net->arch->head);
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
    const char *name = json_get_str(net->trial, "non_linearity", "relu");
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

static int record_sublayer(const struct net *net, struct graph *g, const char *path,
                           int layer, int h, int residual, bool training)
{
    char norm[256];
    (void)layer;
    (void)training;
    snprintf(norm, sizeof norm, "%s.LayerNorm", path);
    const int sum = g_add(g, h, residual);
    if (!has_adapter(path))
        return net_record_layernorm(net, g, norm, sum);
    int z = net_record_layernorm(net, g, norm, sum);
    z = g_act(g, adapter_linear(g, path, "adapter_down.0", z), non_linearity(net));
    z = adapter_linear(g, path, "adapter_up", z);
    return net_record_layernorm(net, g, norm, g_add(g, z, sum));
}

const struct method method_adapter = {
    .name = "adapter",
    .help = "a bottleneck behind each feed-forward sublayer",
    .learning_rate = 1e-3,
    .attach = attach,
    .sublayer = record_sublayer,
    .files = &bottleneck_files,
};
