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

/* What a model's folder holds beside its weights: config.json for weights of these numbers,
 * the tokenizer's files as the base has them. */
int model_folder_files(const struct net *net, const char *dir,
                       const char *const *label_names, enum dtype dtype, struct err *err);

bool model_folder_has(const char *name);   /* a file by that name */
bool adapter_folder_has(const char *name); /* the same of an adapter's folder */

/* Python's libraries write 16, not 16.0. */
json_t *config_number(double x);

/* {"LABEL_0": 0, ...} or {"0": "LABEL_0", ...}; names: NULL where labels are numbers. */
json_t *config_label_ids(const char *const *names, int32_t count, bool id_to_label);

/* Keys of every peft configuration that change no number. */
#define PEFT_FREE                                                                        \
    "base_model_name_or_path|revision|inference_mode|peft_version|auto_mapping"
/* Keys whose effect shows in which tensors there are, and in their shapes. */
#define PEFT_SHOWN                                                                       \
    "target_modules|exclude_modules|modules_to_save|layers_to_transform|layers_pattern"

/* What adapter_config.json is to be written as, or compared with. */
json_t *config_make(const struct net *net, enum config_use use);
/* Checks a folder's configuration files against the trial. */
int config_check(const struct net *net, const char *dir, struct err *err);
/* Every key of `theirs` that is not in `free_keys` must be as in `ours`; a key that only
 * ours has stands for the library's default. `file` is for messages. */
int config_compare(const char *file, const json_t *theirs, const json_t *ours,
                   const json_t *defaults, const char *free_keys, struct err *err);
/* Puts behind an error about tensors which keys of PEFT_SHOWN and ranks differ: it may be
 * why. Returns its code. */
int config_explain(const struct net *net, const char *dir, struct err *err);
int config_differs(const char *file, const char *key, const json_t *theirs,
                   const json_t *ours, struct err *err);

/* "base_model.model.<name>" */
void peft_tensor_name(const struct net *net, const struct param *p, struct buf *out);

#endif
