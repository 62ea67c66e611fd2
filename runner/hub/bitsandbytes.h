/* runner/hub/bitsandbytes.h - model folders whose weights bitsandbytes has quantised to 4
 * bits (transformers' save_pretrained of a model that was loaded with load_in_4bit).
 *
 * A matrix W [out, in] lies there as several tensors: W (codes of two elements a byte, as
 * kernels/nf4.h has them, in any dtype of `bnb_4bit_quant_storage`), W.absmax (fp32, or
 * U8 codes where doubly quantised, then with W.nested_absmax and W.nested_quant_map),
 * W.quant_map (the 16 values), and W.quant_state.bitsandbytes__nf4 or __fp4, JSON text:
 * quant_type, blocksize, dtype, shape, and nested_blocksize, nested_dtype, nested_offset.
 * `dtype` is what W was quantised from; bitsandbytes rounds to it what it unpacks, so it
 * is part of the numbers (weight_spec.rounded).
 *
 * They are read as they lie and become the backend's quantised weights byte by byte:
 * nothing is unpacked and quantised again. What the folder says stands: which weights are
 * in 4 bits, their kind, block size and double quantisation. Both maps must be those of
 * kernels/nf4.h within 1e-6 (versions of torch round them differently in the last bit).
 *
 * Refused by name: 8 bits (LLM.int8(), whose products quantise the inputs as well), other
 * quantisers, states that do not fit their tensors. `bnb_4bit_compute_dtype` and the
 * `llm_int8_*` keys change nothing here: the trial's `dtype` says what is computed in. */
#ifndef RUNNER_HUB_BITSANDBYTES_H
#define RUNNER_HUB_BITSANDBYTES_H

#include "runner/hub/safetensors.h"
#include <jansson.h>

/* What config.json says of quantisation: spec->quant and double_quant; QUANT_NONE where
 * it says nothing. Key and value are named where they are not supported. */
int bnb_config(const json_t *config, struct weight_spec *spec, struct err *err);
/* Makes one tensor each of the quantised ones (st_tensor.q4). *first: what the first of
 * them is, unchanged where there is none. */
int bnb_weights(struct st *weights, struct weight_spec *first, struct err *err);

#endif
