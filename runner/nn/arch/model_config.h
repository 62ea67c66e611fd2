/* runner/nn/arch/model_config.h - what the families ask of config.json. Errors name the
 * model's folder and the key. */
#ifndef RUNNER_NN_ARCH_MODEL_CONFIG_H
#define RUNNER_NN_ARCH_MODEL_CONFIG_H

#include "runner/nn/net.h"

int model_config_int(const struct net *net, const char *key, int32_t min, int32_t max,
                     int32_t *out, struct err *err);
/* The activation by transformers' name (ACT2FN). */
int model_config_act(const struct net *net, const char *key, const char *otherwise,
                     enum act *out, struct err *err);
/* A trial's value (NaN: none) goes before the model's. */
float model_config_dropout(const struct net *net, double given, const char *key,
                           double otherwise);
/* null, false, 0 or empty. */
bool model_config_is_unused(const json_t *v);
/* The error that a key's value is not supported; hint: behind it, or "". */
int model_config_refused(const struct net *net, const char *key, const json_t *v,
                         const char *hint, struct err *err);
/* Refuses by name what the family's row says is not honoured. */
int model_config_check_unused(const struct net *net, struct err *err);

#endif
