/* runner/nn/peft/prompt.h - virtual tokens, what prefix tuning, prompt tuning and
 * p-tuning share: one matrix, num_virtual_tokens rows, that is a parameter itself or
 * comes out of a small encoder (an embedding and linear layers) that trains instead.
 *
 * peft saves the encoder's output only (`prompt_embeddings`), so a training cannot go on
 * from its folder; here the encoder goes to prompt_encoder.safetensors beside it. A
 * folder without that file can be evaluated: the matrix is then a parameter. */
#ifndef RUNNER_NN_PEFT_PROMPT_H
#define RUNNER_NN_PEFT_PROMPT_H

#include "runner/nn/peft/method.h"

#define PROMPT_EMBEDDINGS "prompt_embeddings"

enum { PROMPT_LAYERS_MAX = 3 };

/* Linear layers behind the embedding (num_virtual_tokens x token_dim), an activation between
 * each two of them. */
struct prompt_encoder {
    const char *module; /* "mlp_head": its layers are mlp_head.0, mlp_head.2, .. */
    enum act act;
    int layers;
    int32_t sizes[PROMPT_LAYERS_MAX]; /* features of each layer's output */
};

/* Declares num_virtual_tokens rows of `cols` features, made by the encoder unless it is
 * NULL, and the task's head; sets net->change.virtual_tokens. */
int prompt_attach(struct net *net, int32_t cols, const struct prompt_encoder *encoder,
                  struct err *err);
/* peft's token_dim: features of a virtual token, or of a virtual key. */
int32_t prompt_token_dim(const struct net *net);
/* Features inside an encoder: encoder_hidden_size, or those of a token. */
int32_t prompt_encoder_size(const struct net *net);
/* Records the matrix. */
int prompt_record(const struct net *net, struct graph *g,
                  const struct prompt_encoder *encoder);
/* The matrix's values from the encoder's; NULL where it is a parameter itself. */
float *prompt_values(const struct net *net, const struct backend *backend,
                     const struct prompt_encoder *encoder, int64_t shape[2]);

/* For the folders' rows. */
void prompt_tensor_name(const struct net *net, const struct param *p, struct buf *out);
bool prompt_optional(const char *tensor);
/* What the three have in common in their configuration. peft fills what a file leaves
 * null (the model's sizes) when it makes the adapter; where it is there it must be so. */
#define PROMPT_FREE                                                                      \
    "modules_to_save|token_dim|num_attention_heads|num_layers|num_transformer_"          \
    "submodules"
void prompt_put_config(const struct net *net, json_t *c);
int prompt_check_config(const struct net *net, const char *dir, const json_t *config,
                        struct err *err);

#endif
