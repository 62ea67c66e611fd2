/* runner/nn/arch/model_config.c - see model_config.h. */
#include "runner/nn/arch/model_config.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include <math.h>
#include <stdlib.h>

int model_config_int(const struct net *net, const char *key, int32_t min, int32_t max,
                     int32_t *out, struct err *err)
{
    const int64_t v = json_get_int(net->hf->config, key, -1);
    if (v < min || v > max)
        return err_set(err, ERR_PARSE,
                       "model folder '%s': config.json: %s must be %d..%d", net->hf->dir,
                       key, min, max);
    *out = (int32_t)v;
    return 0;
}

int model_config_act(const struct net *net, const char *key, const char *otherwise,
                     enum act *out, struct err *err)
{
    static const struct {
        const char *name;
        enum act act;
    } known[] = {
        {"gelu", ACT_gelu},
        {"gelu_python", ACT_gelu}, /* the same function, written out */
        {"gelu_new", ACT_gelu_tanh},
        {"gelu_pytorch_tanh", ACT_gelu_tanh},
        {"gelu_fast", ACT_gelu_tanh},
        {"relu", ACT_relu},
        {"silu", ACT_swish},
        {"swish", ACT_swish},
        {"tanh", ACT_tanh},
    };
    const char *name = json_get_str(net->hf->config, key, otherwise);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(known[i].name, name)) {
            *out = known[i].act;
            return 0;
        }
    return err_set(err, ERR_CONFIG,
                   "model folder '%s': config.json: %s '%s' is not supported (known: "
                   "gelu, gelu_pytorch_tanh, relu, silu, tanh)",
                   net->hf->dir, key, name);
}

float model_config_dropout(const struct net *net, double given, const char *key,
                           double otherwise)
{
    return (float)(isnan(given) ? json_get_num(net->hf->config, key, otherwise) : given);
}

bool model_config_is_unused(const json_t *v)
{
    return !v || json_is_null(v) || json_is_false(v) ||
           (json_is_integer(v) && json_integer_value(v) == 0) ||
           ((json_is_array(v) || json_is_object(v)) && json_object_size(v) == 0 &&
            json_array_size(v) == 0);
}

int model_config_refused(const struct net *net, const char *key, const json_t *v,
                         const char *hint, struct err *err)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *quote = json_is_string(v) ? "'" : "";
    int rc = err_set(err, ERR_CONFIG,
                     "model folder '%s': config.json: %s %s%.80s%s is not supported%s",
                     net->hf->dir, key, quote,
                     json_is_string(v) ? json_string_value(v)
                     : text            ? text
                                       : "",
                     quote, hint);
    free(text);
    return rc;
}

int model_config_check_unused(const struct net *net, struct err *err)
{
    const char *const *unused = net->arch->unused;
    for (size_t i = 0; unused && unused[i]; i++) {
        const json_t *v = json_object_get(net->hf->config, unused[i]);
        if (!model_config_is_unused(v))
            return model_config_refused(net, unused[i], v, "", err);
    }
    return 0;
}
