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

static bool has_adapter(const struct sublayer *s)
{
    return !s->attention;
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
    for (size_t i = 0; i < net->sublayer_count; i++) {
        const struct sublayer *s = &net->sublayers[i];
        if (!has_adapter(s))
            continue;
        char *down = xasprintf("%s.adapters.default.adapter_down.0", s->path);
        char *up = xasprintf("%s.adapters.default.adapter_up", s->path);
        add_linear(net, down, size, net->hidden);
        add_linear(net, up, net->hidden, size);
        free(down);
        free(up);
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

static int record_sublayer(const struct net *net, struct graph *g,
                           const struct sublayer *s, int h, int residual, bool training)
{
    (void)training;
    const int sum = g_add(g, h, residual);
    int z = net_record_layernorm(net, g, s->norm, sum);
    if (!has_adapter(s))
        return z;
    z = g_act(g, adapter_linear(g, s->path, "adapter_down.0", z), non_linearity(net));
    z = adapter_linear(g, s->path, "adapter_up", z);
    return net_record_layernorm(net, g, s->norm, g_add(g, z, sum));
}

const struct method method_adapter = {
    .name = "adapter",
    .help = "a bottleneck behind each feed-forward sublayer",
    .learning_rate = 1e-3,
    .attach = attach,
    .sublayer = record_sublayer,
    .files = &bottleneck_files,
};
