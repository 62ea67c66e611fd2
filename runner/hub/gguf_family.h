/* runner/hub/gguf_family.h - what llama.cpp calls things: architectures, tensors and keys
 * of a GGUF file beside their names in a Hugging Face folder.
 *
 * llama.cpp's converter (convert_hf_to_gguf.py, constants.py of gguf-py) writes
 * general.architecture for model_type, short names for tensors and "ARCHITECTURE.KEY" for
 * keys of config.json. The tables are read in both directions: files that are read
 * (gguf_model.h), and files that are written (runner/convert). Several model types may be
 * written as one architecture; what is read is the first of them. */
#ifndef RUNNER_HUB_GGUF_FAMILY_H
#define RUNNER_HUB_GGUF_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whose heads the rows of a tensor stand by, where they are reordered: llama.cpp turns
 * neighbouring pairs where transformers turns halves. Or that rows are columns: the
 * weights of GPT-2's Conv1D lie in x out in a folder. */
enum gguf_rows { GGUF_ROWS_OWN, GGUF_ROWS_Q, GGUF_ROWS_K, GGUF_ROWS_COLUMNS };

/* "%d" stands for the layer; ".weight" or ".bias" follows. */
struct gguf_name {
    const char *gguf, *hf;
    enum gguf_rows rows;
};

enum gguf_key_kind {
    GGUF_KEY_INT,
    GGUF_KEY_NUM,
    GGUF_KEY_INT_OR_NONE, /* 0: null in config.json */
};

/* "ARCHITECTURE.gguf" is `json` of config.json as it stands. */
struct gguf_config_key {
    const char *gguf, *json;
    enum gguf_key_kind kind;
    bool required;
};

struct gguf_family {
    const char *name, *model_type, *class;
    bool permuted;                 /* rows of q and k are reordered */
    bool learned_positions;        /* and no RoPE; the rest too is as GPT-2 has it */
    bool partial_rotary;           /* a part of each head may be rotated */
    const struct gguf_name *names; /* ended by a row of NULLs */
    const char *act_key,
        *act;               /* the activation, which llama.cpp knows by the architecture;
                                  NULL: hidden_act, silu */
    bool norms_offset;      /* norms stand there with the 1 that is added to them */
    int32_t window_pattern; /* all layers but every n-th have the window; 0: none has */
    int32_t large_layers;   /* so many: scores are scaled by hidden_size / heads, and of
                                  other numbers by a head's size; 0: always */
    bool longrope;          /* divisors for short and long texts are taken */
    const struct gguf_config_key *keys; /* NULL: those of most decoders */
    size_t key_count;
};

/* By general.architecture, by config.json's model_type; NULL: not known. */
const struct gguf_family *gguf_family_find(const char *name);
const struct gguf_family *gguf_family_of(const char *model_type);
/* "llama, qwen2", for messages; `types`: their model types. */
const char *gguf_family_names(bool types);

/* A tensor's name in the other world and how its rows stand; NULL: not known. free() */
char *gguf_name_to_hf(const struct gguf_family *f, const char *gguf,
                      enum gguf_rows *rows);
char *gguf_name_of_hf(const struct gguf_family *f, const char *hf, enum gguf_rows *rows);

const struct gguf_config_key *gguf_family_keys(const struct gguf_family *f,
                                               size_t *count);
/* query_pre_attn_scalar by llama.cpp's rule. */
int64_t gguf_query_scalar(const struct gguf_family *f, int64_t layers, int64_t hidden,
                          int64_t heads, int64_t head_dim);

/* Of a head with `size` rows: the row of transformers' order that stands at row `at` in
 * llama.cpp's. */
static inline int gguf_row_from(int at, int size)
{
    return at % 2 * (size / 2) + at / 2;
}

#endif
