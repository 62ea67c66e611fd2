/* runner/nn/peft/vera.c - VeRA (Kopiczko et al. 2024) as peft has it: y = W x + b +
 * lambda_b * (B (lambda_d * (A dropout(x)))) with one frozen random pair A (rank x the
 * widest input) and B (the widest output x rank) for all layers; a layer uses the first
 * columns of A and the first rows of B. lambda_d starts at d_initial, lambda_b at 0.
 *
 * A and B are uniform with half width sqrt(6 / fan_in), as peft's, but from this
 * program's generator keyed by projection_prng_key, so they are other numbers than
 * peft's: the folder holds them (save_projection), and an init_adapter's are taken. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "runner/nn/adapter_files/formats.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERA_A "vera_A"
#define VERA_B "vera_B"

/* A frozen matrix of the adapter, the same for every seed of the trial. */
static void add_projection(struct net *net, const char *name, int32_t rows, int32_t cols)
{
    const int64_t key_number = net->trial->projection_prng_key;
    const struct philox_key key = rng_key((uint64_t)key_number, "vera");
    const uint64_t stream = hash64(name, strlen(name));
    const float half_width = sqrtf(6.0f / (float)cols);
    struct param *p = net_method_param(net, name, 2, rows, cols, INIT_ZEROS, 0);
    p->trainable = false;
    p->saved = true;
    p->given = xmalloc((size_t)param_size(p) * sizeof *p->given);
    for (int64_t i = 0; i < param_size(p); i++)
        p->given[i] =
            (float)(2 * rng_uniform(&key, stream, (uint64_t)i) - 1) * half_width;
}

static void add_vectors(struct net *net, const struct linear_site *s, int32_t rank)
{
    char *d = xasprintf("%s.vera_lambda_d", s->path),
         *b = xasprintf("%s.vera_lambda_b", s->path);
    net_method_param(net, d, 1, 1, rank, INIT_CONSTANT, (float)net->trial->d_initial);
    net_method_param(net, b, 1, 1, s->out, INIT_ZEROS, 0);
    free(d);
    free(b);
}

static int attach(struct net *net, struct err *err)
{
    const int32_t rank = (int32_t)net->trial->rank;
    int32_t in = 0, out = 0;
    int rc = targets_choose(net, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < net->sites.count; i++) {
        struct linear_site *s = &net->sites.items[i];
        if (!s->rank)
            continue;
        s->rank = rank;
        in = s->in > in ? s->in : in;
        out = s->out > out ? s->out : out;
        add_vectors(net, s, rank);
    }
    add_projection(net, VERA_A, rank, in);
    add_projection(net, VERA_B, out, rank);
    return targets_train_saved(net, err);
}

static int vector(struct graph *g, const struct linear_site *s, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s.%s", s->path, name);
    return g_param(g, path);
}

static int record_linear(const struct net *net, struct graph *g,
                         const struct linear_site *s, int x, int y)
{
    if (!s->rank)
        return y;
    const float p = (float)net->trial->vera_dropout;
    const int a = g_slice(g, g_param(g, VERA_A), 0, s->in);
    const int b = g_rows(g, g_param(g, VERA_B), s->out);
    int u = g_linear(g, g_dropout(g, x, p), a, -1, 1);
    u = g_colscale(g, u, vector(g, s, "vera_lambda_d"), -1);
    u = g_linear(g, u, b, -1, 1);
    return g_add(g, y, g_colscale(g, u, vector(g, s, "vera_lambda_b"), -1));
}

/* W += diag(lambda_b) B diag(lambda_d) A */
static bool merge(const struct net *net, const struct backend *backend,
                  const struct linear_site *s, float *weight, float *bias)
{
    (void)bias;
    if (!s->rank || !weight)
        return false;
    const struct param *pa = params_find(&net->params, VERA_A),
                       *pb = params_find(&net->params, VERA_B);
    float *a = net_download(backend, pa), *b = net_download(backend, pb),
          *lambda_d = net_download(backend, net_site_param(net, s, "vera_lambda_d")),
          *lambda_b = net_download(backend, net_site_param(net, s, "vera_lambda_b"));
    for (int32_t r = 0; r < s->out; r++)
        for (int32_t c = 0; c < s->in; c++) {
            double sum = 0;
            for (int32_t k = 0; k < s->rank; k++)
                sum += (double)b[(size_t)r * pb->cols + k] * lambda_d[k] *
                       a[(size_t)k * pa->cols + c];
            float *w = &weight[(size_t)r * s->in + c];
            *w = (float)(*w + lambda_b[r] * sum);
        }
    free(a);
    free(b);
    free(lambda_d);
    free(lambda_b);
    return true;
}

/* --- its folder --- */

static const char template[] =
    "{\"auto_mapping\":null,\"base_model_name_or_path\":null,\"bias\":\"none\",\"d_"
    "initial\":0.1,\"fan_in_fan_out\":false,\"inference_mode\":true,\"init_weights\":"
    "true,\"layers_pattern\":null,\"layers_to_transform\":null,\"modules_to_save\":null,"
    "\"peft_type\":\"VERA\",\"peft_version\":\"0.21.2\",\"projection_prng_key\":0,\"r\":"
    "256,\"revision\":null,\"save_projection\":true,\"target_modules\":null,\"task_"
    "type\":null,\"vera_dropout\":0.0}";

static const struct config_key keys[] = {
    {"d_initial", "d_initial"},
    {"layers_to_transform", "layers_to_transform"},
    {"projection_prng_key", "projection_prng_key"},
    {"rank", "r"},
    {"vera_dropout", "vera_dropout"},
};

static void put_config(const struct net *net, json_t *c, enum config_use use)
{
    (void)use;
    config_copy(net, c, keys, ARRAY_LEN(keys));
    json_object_set_new(c, "target_modules", config_targets(net));
}

/* The pair belongs to the whole model, in front of which peft has one prefix less. */
static void tensor_name(const struct net *net, const struct param *p, struct buf *out)
{
    if (p->saved)
        buf_printf(out, "base_model.%s", p->name);
    else
        peft_tensor_name(net, p, out);
}

static const struct adapter_files files = {
    .tensors = "adapter_model.safetensors",
    .format_pt = true,
    .tensor_name = tensor_name,
    .defaults = template,
    .put_config = put_config,
    .free_keys = PEFT_FREE "|" PEFT_SHOWN "|d_initial|init_weights|vera_dropout|"
                           "fan_in_fan_out|projection_prng_key",
};

const struct method method_vera = {
    .name = "vera",
    .help = "vectors between two random matrices that all layers share",
    .learning_rate = 5e-3,
    .training_cost = 2,
    .peft_type = "VERA",
    .reads = READS_ADAPTER
    "|" READS_TARGETS
    "|layers_to_transform|rank|d_initial|projection_prng_key|vera_dropout",
    .attach = attach,
    .linear = record_linear,
    .merge = merge,
    .files = &files,
};
