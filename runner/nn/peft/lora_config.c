/* runner/nn/peft/lora_config.c - what LoRA puts into peft's configuration and checks of one. */
#include "lib/json.h"
#include "lib/mem.h"
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
static void put_converted(const struct net *net, json_t *c)
{
    const int ranks = lora_saved_ranks(net);
    if (ranks == 1)
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

void lora_put_config(const struct net *net, json_t *config)
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
    put_converted(net, config);
}

int lora_check_config(const struct net *net, const json_t *config, struct err *err)
{
    const double theirs = json_get_num(config, "lora_alpha", 8),
                 ours = net->trial->alpha *
                        (net->change.converted ? lora_saved_alphas(net) : 1);
    if (!(fabs(theirs - ours) <= 1e-9 * ours))
        return err_set(err, ERR_CONFIG,
                       "adapter_config.json: lora_alpha is %g, the trial says %g", theirs,
                       ours);
    return config_flag(config, "use_rslora", net->trial->use_rslora, err);
}
