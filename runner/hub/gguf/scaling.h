/* runner/hub/gguf/scaling.h - rotary embeddings of a GGUF file as config.json has them.
 *
 * Linear and YaRN scaling are keys. What llama.cpp divides each frequency by lies in
 * tensors: rope_freqs.weight (of Llama 3's scaling, whose own numbers the file does not
 * have: those of the published models are tried, and where they give other frequencies the
 * divisors themselves are the configuration), rope_factors_short.weight and ..long.. of
 * LongRoPE, with rope.scaling.attn_factor. */
#ifndef RUNNER_HUB_GGUF_SCALING_H
#define RUNNER_HUB_GGUF_SCALING_H

#include "runner/hub/gguf.h"
#include "runner/hub/gguf_family.h"

/* Adds rope_scaling to a configuration in which everything else is. */
int gguf_rope_config(const struct gguf *g, const struct gguf_family *f, json_t *config,
                     struct err *err);
/* Is the tensor one of those, and no weight? */
bool gguf_rope_tensor(const char *name);

#endif
