/* runner/hub/gguf_family.c - the tables, and names by them. */
#include "runner/hub/gguf_family.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

static const struct gguf_name llama_names[] = {
    {"token_embd", "model.embed_tokens", GGUF_ROWS_OWN},
    {"blk.%d.attn_norm", "model.layers.%d.input_layernorm", GGUF_ROWS_OWN},
    {"blk.%d.attn_q", "model.layers.%d.self_attn.q_proj", GGUF_ROWS_Q},
    {"blk.%d.attn_k", "model.layers.%d.self_attn.k_proj", GGUF_ROWS_K},
    {"blk.%d.attn_v", "model.layers.%d.self_attn.v_proj", GGUF_ROWS_OWN},
    {"blk.%d.attn_output", "model.layers.%d.self_attn.o_proj", GGUF_ROWS_OWN},
    {"blk.%d.attn_q_norm", "model.layers.%d.self_attn.q_norm", GGUF_ROWS_OWN},
    {"blk.%d.attn_k_norm", "model.layers.%d.self_attn.k_norm", GGUF_ROWS_OWN},
    {"blk.%d.ffn_norm", "model.layers.%d.post_attention_layernorm", GGUF_ROWS_OWN},
    {"blk.%d.ffn_gate", "model.layers.%d.mlp.gate_proj", GGUF_ROWS_OWN},
    {"blk.%d.ffn_up", "model.layers.%d.mlp.up_proj", GGUF_ROWS_OWN},
    {"blk.%d.ffn_down", "model.layers.%d.mlp.down_proj", GGUF_ROWS_OWN},
    {"output_norm", "model.norm", GGUF_ROWS_OWN},
    {"output", "lm_head", GGUF_ROWS_OWN},
    {NULL, NULL, GGUF_ROWS_OWN},
};

static const struct gguf_name phi3_names[] = {
    {"token_embd", "model.embed_tokens", GGUF_ROWS_OWN},
    {"blk.%d.attn_norm", "model.layers.%d.input_layernorm", GGUF_ROWS_OWN},
    {"blk.%d.attn_qkv", "model.layers.%d.self_attn.qkv_proj", GGUF_ROWS_OWN},
    {"blk.%d.attn_output", "model.layers.%d.self_attn.o_proj", GGUF_ROWS_OWN},
    {"blk.%d.ffn_norm", "model.layers.%d.post_attention_layernorm", GGUF_ROWS_OWN},
    {"blk.%d.ffn_up", "model.layers.%d.mlp.gate_up_proj", GGUF_ROWS_OWN},
    {"blk.%d.ffn_down", "model.layers.%d.mlp.down_proj", GGUF_ROWS_OWN},
    {"output_norm", "model.norm", GGUF_ROWS_OWN},
    {"output", "lm_head", GGUF_ROWS_OWN},
    {NULL, NULL, GGUF_ROWS_OWN},
};

static const struct gguf_name gemma_names[] = {
    {"token_embd", "model.embed_tokens", GGUF_ROWS_OWN},
    {"blk.%d.attn_norm", "model.layers.%d.input_layernorm", GGUF_ROWS_OWN},
    {"blk.%d.attn_q", "model.layers.%d.self_attn.q_proj", GGUF_ROWS_OWN},
    {"blk.%d.attn_k", "model.layers.%d.self_attn.k_proj", GGUF_ROWS_OWN},
    {"blk.%d.attn_v", "model.layers.%d.self_attn.v_proj", GGUF_ROWS_OWN},
    {"blk.%d.attn_output", "model.layers.%d.self_attn.o_proj", GGUF_ROWS_OWN},
    {"blk.%d.attn_q_norm", "model.layers.%d.self_attn.q_norm", GGUF_ROWS_OWN},
    {"blk.%d.attn_k_norm", "model.layers.%d.self_attn.k_norm", GGUF_ROWS_OWN},
    {"blk.%d.post_attention_norm", "model.layers.%d.post_attention_layernorm",
     GGUF_ROWS_OWN},
    {"blk.%d.ffn_norm", "model.layers.%d.pre_feedforward_layernorm", GGUF_ROWS_OWN},
    {"blk.%d.ffn_gate", "model.layers.%d.mlp.gate_proj", GGUF_ROWS_OWN},
    {"blk.%d.ffn_up", "model.layers.%d.mlp.up_proj", GGUF_ROWS_OWN},
    {"blk.%d.ffn_down", "model.layers.%d.mlp.down_proj", GGUF_ROWS_OWN},
    {"blk.%d.post_ffw_norm", "model.layers.%d.post_feedforward_layernorm", GGUF_ROWS_OWN},
    {"output_norm", "model.norm", GGUF_ROWS_OWN},
    {"output", "lm_head", GGUF_ROWS_OWN},
    {NULL, NULL, GGUF_ROWS_OWN},
};

static const struct gguf_name gpt2_names[] = {
    {"token_embd", "transformer.wte", GGUF_ROWS_OWN},
    {"position_embd", "transformer.wpe", GGUF_ROWS_OWN},
    {"blk.%d.attn_norm", "transformer.h.%d.ln_1", GGUF_ROWS_OWN},
    {"blk.%d.attn_qkv", "transformer.h.%d.attn.c_attn", GGUF_ROWS_COLUMNS},
    {"blk.%d.attn_output", "transformer.h.%d.attn.c_proj", GGUF_ROWS_COLUMNS},
    {"blk.%d.ffn_norm", "transformer.h.%d.ln_2", GGUF_ROWS_OWN},
    {"blk.%d.ffn_up", "transformer.h.%d.mlp.c_fc", GGUF_ROWS_COLUMNS},
    {"blk.%d.ffn_down", "transformer.h.%d.mlp.c_proj", GGUF_ROWS_COLUMNS},
    {"output_norm", "transformer.ln_f", GGUF_ROWS_OWN},
    {"output", "lm_head", GGUF_ROWS_OWN},
    {NULL, NULL, GGUF_ROWS_OWN},
};

static const struct gguf_config_key gpt2_keys[] = {
    {"block_count", "n_layer", GGUF_KEY_INT, true},
    {"context_length", "n_positions", GGUF_KEY_INT, true},
    {"embedding_length", "n_embd", GGUF_KEY_INT, true},
    {"feed_forward_length", "n_inner", GGUF_KEY_INT, true},
    {"attention.head_count", "n_head", GGUF_KEY_INT, true},
    {"attention.layer_norm_epsilon", "layer_norm_epsilon", GGUF_KEY_NUM, true},
};

#define DECODER_KEYS                                                                     \
    {"block_count", "num_hidden_layers", GGUF_KEY_INT, true},                            \
        {"context_length", "max_position_embeddings", GGUF_KEY_INT, true},               \
        {"embedding_length", "hidden_size", GGUF_KEY_INT, true},                         \
        {"feed_forward_length", "intermediate_size", GGUF_KEY_INT, true},                \
        {"attention.head_count", "num_attention_heads", GGUF_KEY_INT, true},             \
        {"attention.head_count_kv", "num_key_value_heads", GGUF_KEY_INT, false},         \
        {"attention.layer_norm_rms_epsilon", "rms_norm_eps", GGUF_KEY_NUM, true},        \
    {                                                                                    \
        "rope.freq_base", "rope_theta", GGUF_KEY_NUM, false                              \
    }

static const struct gguf_config_key decoder_keys[] = {DECODER_KEYS};

static const struct gguf_config_key gemma_keys[] = {
    DECODER_KEYS,
    {"rope.freq_base_swa", "rope_local_base_freq", GGUF_KEY_NUM, false},
    {"attention.sliding_window", "sliding_window", GGUF_KEY_INT, true},
    {"attention.sliding_window_pattern", "sliding_window_pattern", GGUF_KEY_INT, false},
    {"attn_logit_softcapping", "attn_logit_softcapping", GGUF_KEY_NUM, false},
    {"final_logit_softcapping", "final_logit_softcapping", GGUF_KEY_NUM, false},
};

/* sliding_window 0: there is none */
static const struct gguf_config_key phi3_keys[] = {
    DECODER_KEYS,
    {"attention.sliding_window", "sliding_window", GGUF_KEY_INT_OR_NONE, false},
    {"rope.scaling.original_context_length", "original_max_position_embeddings",
     GGUF_KEY_INT, false},
};

static const struct gguf_family families[] = {
    {.name = "llama",
     .model_type = "llama",
     .class = "LlamaForCausalLM",
     .permuted = true,
     .names = llama_names},
    {.name = "llama",
     .model_type = "mistral",
     .class = "MistralForCausalLM",
     .permuted = true,
     .names = llama_names},
    {.name = "qwen2",
     .model_type = "qwen2",
     .class = "Qwen2ForCausalLM",
     .names = llama_names},
    {.name = "qwen3",
     .model_type = "qwen3",
     .class = "Qwen3ForCausalLM",
     .names = llama_names},
    {.name = "smollm3",
     .model_type = "smollm3",
     .class = "SmolLM3ForCausalLM",
     .permuted = true,
     .names = llama_names},
    {.name = "phi3",
     .model_type = "phi3",
     .class = "Phi3ForCausalLM",
     .partial_rotary = true,
     .names = phi3_names,
     .keys = phi3_keys,
     .key_count = ARRAY_LEN(phi3_keys),
     .longrope = true},
#define GEMMA                                                                            \
    .names = gemma_names, .keys = gemma_keys, .key_count = ARRAY_LEN(gemma_keys),        \
    .act_key = "hidden_activation", .act = "gelu_pytorch_tanh", .norms_offset = true
    {.name = "gemma2",
     .model_type = "gemma2",
     .class = "Gemma2ForCausalLM",
     .window_pattern = 2,
     .large_layers = 46,
     GEMMA},
    {.name = "gemma3",
     .model_type = "gemma3_text",
     .class = "Gemma3ForCausalLM",
     .window_pattern = 6,
     .large_layers = 62,
     GEMMA},
#undef GEMMA
    {.name = "gpt2",
     .model_type = "gpt2",
     .class = "GPT2LMHeadModel",
     .names = gpt2_names,
     .keys = gpt2_keys,
     .key_count = ARRAY_LEN(gpt2_keys),
     .act_key = "activation_function",
     .act = "gelu_new",
     .learned_positions = true},
};

const struct gguf_family *gguf_family_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (str_eq(families[i].name, name))
            return &families[i];
    return NULL;
}

const struct gguf_family *gguf_family_of(const char *model_type)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (str_eq(families[i].model_type, model_type))
            return &families[i];
    return NULL;
}

/* Each name once: rows of one architecture stand together. */
const char *gguf_family_names(bool types)
{
    static char text[2][256];
    char *out = text[types], *at = out;
    if (*out)
        return out;
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        const char *name = types ? families[i].model_type : families[i].name;
        const size_t n = strlen(name);
        if ((i && !types && str_eq(name, families[i - 1].name)) ||
            at + n + 3 > out + sizeof text[0])
            continue;
        if (at != out) {
            memcpy(at, ", ", 2);
            at += 2;
        }
        memcpy(at, name, n + 1);
        at += n;
    }
    return out;
}

/* What stands behind a form; NULL: the name does not have it. */
static const char *behind(const char *form, const char *name, long *layer)
{
    const char *d = strstr(form, "%d");
    const size_t n = d ? (size_t)(d - form) : strlen(form);
    if (strncmp(form, name, n) != 0)
        return NULL;
    name += n;
    if (!d)
        return name;
    char *end;
    if (*name < '0' || *name > '9')
        return NULL;
    *layer = strtol(name, &end, 10);
    return str_has_prefix(end, d + 2) && *layer < 1000000 ? end + strlen(d + 2) : NULL;
}

static char *filled(const char *form, long layer, const char *rest)
{
    const char *d = strstr(form, "%d");
    return d ? xasprintf("%.*s%ld%s%s", (int)(d - form), form, layer, d + 2, rest)
             : xasprintf("%s%s", form, rest);
}

static char *translate(const struct gguf_family *f, const char *name, bool to_hf,
                       enum gguf_rows *rows)
{
    for (const struct gguf_name *n = f->names; n->gguf; n++) {
        long layer = 0;
        const char *rest = behind(to_hf ? n->gguf : n->hf, name, &layer);
        if (!str_eq(rest, ".weight") && !str_eq(rest, ".bias"))
            continue;
        const bool turns =
            n->rows == GGUF_ROWS_COLUMNS ? str_eq(rest, ".weight") : f->permuted;
        *rows = turns ? n->rows : GGUF_ROWS_OWN;
        return filled(to_hf ? n->hf : n->gguf, layer, rest);
    }
    return NULL;
}

char *gguf_name_to_hf(const struct gguf_family *f, const char *gguf, enum gguf_rows *rows)
{
    return translate(f, gguf, true, rows);
}

char *gguf_name_of_hf(const struct gguf_family *f, const char *hf, enum gguf_rows *rows)
{
    return translate(f, hf, false, rows);
}

const struct gguf_config_key *gguf_family_keys(const struct gguf_family *f, size_t *count)
{
    *count = f->keys ? f->key_count : ARRAY_LEN(decoder_keys);
    return f->keys ? f->keys : decoder_keys;
}

int64_t gguf_query_scalar(const struct gguf_family *f, int64_t layers, int64_t hidden,
                          int64_t heads, int64_t head_dim)
{
    return f->large_layers && layers == f->large_layers ? hidden / heads : head_dim;
}
