/* runner/nn/peft/lora_config.c - what LoRA puts into peft's configuration and checks of one. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/adapter_files/formats.h"
#include "runner/nn/peft/lora.h"
#include <math.h>

static json_t *times(const json_t *pattern, double factor)
{
    json_t *out = json_object(), *v;
    const char *key;
    json_object_foreach((json_t *)pattern, key, v)
        json_object_set_new(out, key, config_number(factor * json_number_value(v)));
    return out;
}

/* An adapter that started out of the base is saved as a LoRA on the untouched one. */
static void put_converted(const struct net *net, json_t *c, enum config_use use)
{
    const int ranks = lora_saved_ranks(net);
    if (ranks == 1 || (use == CONFIG_TO_READ && !net->change.converted))
        return;
    json_object_set_new(c, "r", json_integer(ranks * json_get_int(c, "r", 8)));
    json_object_set_new(
        c, "lora_alpha",
        config_number(lora_saved_alphas(net) * json_get_num(c, "lora_alpha", 8)));
    json_object_set_new(c, "rank_pattern",
                        times(json_object_get(c, "rank_pattern"), ranks));
    json_object_set_new(c, "alpha_pattern",
                        times(json_object_get(c, "alpha_pattern"), ranks));
    json_object_set_new(c, "init_lora_weights", json_true());
}

void lora_put_config(const struct net *net, json_t *config, enum config_use use)
{
    static const struct config_key keys[] = {
        {"alpha_pattern", "alpha_pattern"},
        {"bias", "bias"},
        {"exclude_modules", "exclude_modules"},
        {"init_lora_weights", "init_lora_weights"},
        {"layers_to_transform", "layers_to_transform"},
        {"lora_dropout", "lora_dropout"},
        {"rank", "r"},
        {"rank_pattern", "rank_pattern"},
        {"use_dora", "use_dora"},
        {"use_rslora", "use_rslora"},
    };
    config_copy(net, config, keys, ARRAY_LEN(keys));
    json_object_set_new(config, "lora_alpha", config_number(net->trial->alpha));
    json_object_set_new(config, "target_modules", config_targets(net));
    put_converted(net, config, use);
}

/* Start values that are taken out of the base: peft takes them out of it whenever it loads
 * such a folder, by the same decomposition. */
static bool moves_base(const json_t *init)
{
    const char *kind = json_string_value(init);
    return kind && !str_in_list(kind, "gaussian|eva|orthogonal", '|');
}

static int check_start(const struct net *net, const json_t *config, struct err *err)
{
    const json_t *theirs = json_object_get(config, "init_lora_weights"),
                 *ours = net->trial->init_lora_weights;
    const bool moved = net->change.base_moved && !net->change.converted;
    /* a start may come from a plain folder: A and B are what is taken out */
    if (!moves_base(theirs) || (moved && json_equal(theirs, ours)))
        return 0;
    json_t *plain = json_true();
    int rc = config_differs("adapter_config.json", "init_lora_weights", theirs,
                            moved && ours ? ours : plain, err);
    json_decref(plain);
    return rc;
}

/* Rank and scale of every site, by the folder's patterns in their order. */
static int check_site(const struct net *net, const struct linear_site *s,
                      const json_t *config, struct err *err)
{
    json_t *ranks = json_object_get(config, "rank_pattern"),
           *alphas = json_object_get(config, "alpha_pattern");
    double rank, alpha;
    int rc = lora_pattern_value(ranks, "rank_pattern", s->path, &rank, err);
    if (!rc)
        rc = lora_pattern_value(alphas, "alpha_pattern", s->path, &alpha, err);
    if (rc)
        return err_context(err, "adapter_config.json: ");
    const char *rank_key = isnan(rank) ? "r" : "rank_pattern",
               *alpha_key = isnan(alpha) ? "lora_alpha" : "alpha_pattern";
    if (isnan(rank))
        rank = json_get_num(config, "r", 8);
    if (isnan(alpha))
        alpha = json_get_num(config, "lora_alpha", 8);
    if (rank != s->rank)
        return err_set(err, ERR_CONFIG,
                       "adapter_config.json: %s gives '%s' rank %g, the trial %d",
                       rank_key, s->path, rank, s->rank);
    const bool root = json_get_bool(config, "use_rslora", 0) == 1;
    const double scale = alpha / (root ? sqrt(rank) : rank);
    if (fabs(scale - s->scale) <= 1e-6 * fabs(scale))
        return 0;
    if (root != net->trial->use_rslora)
        return err_set(err, ERR_CONFIG,
                       "adapter_config.json: use_rslora is %s, the trial says %s",
                       root ? "true" : "false", root ? "false" : "true");
    return err_set(err, ERR_CONFIG,
                   "adapter_config.json: %s is %g%s%s, the trial's alpha%s is %g",
                   alpha_key, alpha, isnan(alpha) ? "" : " at ", s->path,
                   json_object_size(net->trial->alpha_pattern) ? " there" : "",
                   s->scale * (root ? sqrt(rank) : rank));
}

int lora_check_config(const struct net *net, const json_t *config, struct err *err)
{
    int rc = check_start(net, config, err);
    const double theirs = json_get_num(config, "lora_alpha", 8),
                 ours = net->trial->alpha *
                        (net->change.converted ? lora_saved_alphas(net) : 1);
    if (!rc && !(fabs(theirs - ours) <= 1e-9 * ours))
        return err_set(err, ERR_CONFIG,
                       "adapter_config.json: lora_alpha is %g, the trial says %g", theirs,
                       ours);
    for (size_t i = 0; i < net->sites.count && !rc; i++)
        if (net->sites.items[i].rank)
            rc = check_site(net, &net->sites.items[i], config, err);
    return rc;
}
