/* runner/nn/peft/lora.h - what the files of the LoRA family share.
 *
 * lora.c has LoRA itself, dora.c the magnitude beside it, lora_init.c the start values
 * that are taken out of the base. A site is adapted where its rank is not 0. */
#ifndef RUNNER_NN_PEFT_LORA_H
#define RUNNER_NN_PEFT_LORA_H

#include "runner/nn/peft/method.h"

/* y += s B A x */
void lora_record_onto(struct graph *g, const struct linear_site *s, int x, int y);

/* Value of the first pattern that matches the path from a dot to its end, as peft has it;
 * NaN: none does. */
int lora_pattern_value(json_t *patterns, const char *key, const char *path, double *value,
                       struct err *err);

/* w += s B A, in double */
void lora_add(float *w, const struct linear_site *s, const float *a, const float *b);

/* --- lora_init.c --- */

/* Does init_lora_weights take its start out of the base? */
bool lora_moves_base(const struct trial *trial);
bool lora_takes_out(const json_t *init_lora_weights);
int lora_resolve(const struct trial *trial, json_t *tree, struct err *err);
int lora_start(struct net *net, uint64_t seed, struct err *err);
/* For struct adapter_files. */
void lora_saved(const struct net *net, const struct param *p, int64_t shape[2],
                const float *own, float *out);
int lora_adopt(struct net *net, const char *dir, struct err *err);
/* What rank and alpha are multiplied by in the configuration of a saved adapter. */
int lora_saved_ranks(const struct net *net);
double lora_saved_alphas(const struct net *net);

/* --- lora_config.c: for struct method --- */

void lora_put_config(const struct net *net, json_t *config, enum config_use use);
int lora_check_config(const struct net *net, const json_t *config, struct err *err);

/* --- dora.c --- */

void dora_attach(struct net *net, const struct linear_site *s);
/* The whole layer's output; p: dropout on the input of the update. */
int dora_record(const struct net *net, struct graph *g, const struct linear_site *s,
                int x, float p);
void dora_derive(struct net *net, const struct backend *backend,
                 const struct linear_site *s);
/* w holds W + s B A and becomes m / n times that. */
void dora_merge(const struct net *net, const struct backend *backend,
                const struct linear_site *s, float *w);

#endif
