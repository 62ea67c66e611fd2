/* report/machine/shape.h - shapes of base models: what memory and time are computed from.
 *
 * A shape comes from a config.json: of a folder, or of a model known by name
 * (runner/hub/known.h). Two families are known: encoders (BERT and its kin: post-norm, biases, one head for a
 * class) and decoders (Llama and its kin: RMS norms, gated feed-forward, grouped keys and
 * values).
 *
 * Symbols as in reference/engine.md section 7: d hidden, f ffn, L layers, q = heads x
 * head size, kv = key-value heads x head size. */
#ifndef REPORT_MACHINE_SHAPE_H
#define REPORT_MACHINE_SHAPE_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct model_shape {
    char name[96], model_type[32]; /* known name or folder; "bert", "llama" */
    bool decoder, tied, qkv_bias, qk_norm, four_norms, pooler;
    bool plain; /* a decoder as GPT-2: no gate, biases everywhere, learned positions */
    const char *query_value; /* what the layers are called that LoRA targets by default */
    double layers, d, f, q, kv, head_size, vocab, positions, types;
    double layer_linear; /* weights of a layer's linear layers, biases not counted */
    double linear;       /* of all layers: what quantisation covers */
    double head;         /* of the output embedding that computes, V d; encoders 0 */
    double parameters;
};

/* From a config.json; ERR_CONFIG where the architecture is of neither family, or a number
 * is missing or out of range. `name` is kept in front. */
int shape_from_config(const json_t *config, const char *name, struct model_shape *out,
                      struct err *err);
int shape_from_folder(const char *dir, struct model_shape *out, struct err *err);

#endif
