/* runner/nn/arch/llama.c - Llama (Touvron et al. 2023) and the families that are rows of its
 * decoder; see causal_decoder.h. */
#include "runner/nn/arch/arch.h"
#include "runner/nn/arch/causal_decoder.h"
#include "runner/nn/arch/score_head.h"
#include <stddef.h>

/* roots: where the language model stands in a class for pictures too. */
#define DECODER(identifier, type, prefix, language, unused_keys, ...)                    \
    DECODER_IN((), identifier, type, prefix, language, unused_keys, __VA_ARGS__)
#define IN(...) __VA_ARGS__
#define DECODER_IN(roots, identifier, type, prefix, language, unused_keys, ...)          \
    static const struct decoder decoder_##identifier = {__VA_ARGS__};                    \
    static int declare_##identifier(struct net *net, struct err *err)                    \
    {                                                                                    \
        return decoder_declare(net, &decoder_##identifier, err);                         \
    }                                                                                    \
    static int record_##identifier(const struct net *net, struct graph *g)               \
    {                                                                                    \
        return decoder_record(net, &decoder_##identifier, g);                            \
    }                                                                                    \
    const struct arch arch_##identifier = {                                              \
        IN roots.model_type = type,                                                      \
        .class_prefix = prefix,                                                          \
        .language_class = language,                                                      \
        .base_prefix = "model.",                                                         \
        .unused = unused_keys,                                                           \
        .declare = declare_##identifier,                                                 \
        .record = record_##identifier,                                                   \
        .sequence_head = {score_head_declare, score_head_record},                        \
        .last_token = true,                                                              \
        .positions = rope_positions,                                                     \
        .language_head = {decoder_declare_language_head, decoder_record_language_head},  \
    }

static const char *const bidirectional[] = {"use_bidirectional_attention", NULL};

DECODER(llama, "llama", "Llama", NULL, NULL, .rope.theta = 10000, .attention_bias = true,
        .mlp_bias = true);
DECODER(mistral, "mistral", "Mistral", NULL, NULL, .rope.theta = 10000,
        .window = WINDOW_EVERYWHERE);
DECODER(qwen2, "qwen2", "Qwen2", NULL, NULL, .rope.theta = 10000, .qkv_bias = true,
        .window = WINDOW_FROM_LAYER);
DECODER(qwen3, "qwen3", "Qwen3", NULL, NULL, .rope.theta = 10000, .attention_bias = true,
        .qk_norm = true, .head_dim = 128, .window = WINDOW_FROM_LAYER);

#define GEMMA                                                                            \
    .attention_bias = true, .norms_behind = true, .norm_offset = 1,                      \
    .scaled_words = true, .tied = true, .head_dim = 256, .query_scalar = 256,            \
    .act_key = "hidden_activation", .act = "gelu_pytorch_tanh", .caps = true,            \
    .window = WINDOW_PATTERN

DECODER(gemma2, "gemma2", "Gemma2", NULL, bidirectional, GEMMA, .rope.theta = 10000,
        .pattern = 2, .score_cap = 50, .logit_cap = 30);

#define GEMMA3                                                                           \
    GEMMA, .qk_norm = true, .rope.theta = 1e6, .local_rope.theta = 10000, .pattern = 6,  \
           .pattern_key = "sliding_window_pattern"

DECODER(gemma3_text, "gemma3_text", "Gemma3Text", "Gemma3ForCausalLM", bidirectional,
        GEMMA3);
DECODER_IN((.text_root = "model.language_model",
            .text_root_in_files = "language_model.model", .text_type = "gemma3_text", ),
           gemma3, "gemma3", "Gemma3", "Gemma3ForConditionalGeneration", bidirectional,
           GEMMA3);
DECODER(phi3, "phi3", "Phi3", NULL, NULL, .fused = true, .residual_dropout = true,
        .norm_eps = 1e-5F, .window = WINDOW_IF_GIVEN,
        .rope = {.theta = 10000,
                 .original_length = 4096,
                 .partial = true,
                 .only_longrope = true});
DECODER(smollm3, "smollm3", "SmolLM3", NULL, NULL, .rope.theta = 2e6,
        .attention_bias = true, .mlp_bias = true, .some_unrotated = true, .tied = true,
        .window = WINDOW_UNROTATED);
