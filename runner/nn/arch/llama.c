/* runner/nn/arch/llama.c - Llama (Touvron et al. 2023) and the families that differ from it
 * in no more than biases: Mistral without its window, Qwen2 without one. */
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/causal_decoder.h"
#include "runner/nn/arch/score_head.h"
#include <stddef.h>

#define DECODER(identifier, type, prefix, unused_keys, ...)                              \
    static const struct decoder decoder_##identifier = {__VA_ARGS__};                    \
    static int declare_##identifier(struct net *net, struct err *err)                    \
    {                                                                                    \
        return decoder_declare(net, &decoder_##identifier, err);                         \
    }                                                                                    \
    const struct arch arch_##identifier = {                                              \
        .model_type = type,                                                              \
        .class_prefix = prefix,                                                          \
        .base_prefix = "model.",                                                         \
        .unused = unused_keys,                                                           \
        .declare = declare_##identifier,                                                 \
        .record = decoder_record,                                                        \
        .sequence_head = {score_head_declare, score_head_record},                        \
        .last_token = true,                                                              \
        .positions = rope_positions,                                                     \
        .language_head = {decoder_declare_language_head, decoder_record_language_head},  \
    }

static const char *const window[] = {"sliding_window", NULL}, *const use_window[] = {
                                                                  "use_sliding_window",
                                                                  NULL};

DECODER(llama, "llama", "Llama", NULL, .rope.theta = 10000, .attention_bias = true,
        .mlp_bias = true);
DECODER(mistral, "mistral", "Mistral", window, .rope.theta = 10000);
DECODER(qwen2, "qwen2", "Qwen2", use_window, .rope.theta = 10000, .qkv_bias = true);
