/* runner/nn/adapter_files/formats.h - what the writers and readers of peft's
 * configuration files share. Each method's file is peft's full set of keys with default
 * values (a template), in which a trial's own are put. */
#ifndef RUNNER_NN_ADAPTER_FILES_FORMATS_H
#define RUNNER_NN_ADAPTER_FILES_FORMATS_H

#include "runner/nn/peft/method.h"

/* Trial key, and the configuration's key for it. */
struct config_key {
    const char *trial, *config;
};

/* A template with base_model_name_or_path, task_type and modules_to_save in it. */
json_t *config_new(const struct net *net, const char *text);
/* Copies what the trial gives. */
void config_copy(const struct net *net, json_t *config, const struct config_key *keys,
                 size_t count);
/* Writes DIR/FILE and releases the value. */
int config_write(const char *dir, const char *file, json_t *value, struct err *err);
/* target_modules as peft saves it: the trial's own; all-linear as the paths that were
 * found; the default as the names of peft's map. */
json_t *config_targets(const struct net *net);

/* Python's libraries write 16, not 16.0. */
json_t *config_number(double x);

/* DIR/adapter_config.json, which must be of that peft_type; *out is the caller's in any
 * case. */
int config_read(const char *dir, const char *peft_type, json_t **out, struct err *err);
/* A flag that must be what the trial says; not given it is false. */
int config_flag(const json_t *theirs, const char *key, bool ours, struct err *err);
/* {"LABEL_0": 0, ...} or {"0": "LABEL_0", ...}; names: NULL where labels are numbers. */
json_t *config_label_ids(const char *const *names, int32_t count, bool id_to_label);

/* Checks DIR/adapter_config.json: the peft_type of the trial's method, and that numbers
 * and flags which change the result are what the trial says. */
int config_check(const struct net *net, const char *dir, const struct config_key *keys,
                 size_t count, struct err *err);

/* "base_model.model.<name>" */
void peft_tensor_name(const struct net *net, const struct param *p, struct buf *out);

#endif
