/* runner/hub/hf_model.h - a Hugging Face model folder: config.json and weights; or a GGUF
 * file, which holds the same in another form (gguf_model.h).
 *
 * Nothing is copied: weights stay mapped until an architecture asks for them. To plan,
 * config.json is enough (hf_model_open_shape): shapes, sites, graphs and bytes follow from
 * it; asking for a weight's values is then an error. Messages name the folder and what is
 * missing ("model folder 'x': no config.json (is it a Hugging Face folder?)"). */
#ifndef RUNNER_HUB_HF_MODEL_H
#define RUNNER_HUB_HF_MODEL_H

#include "lib/err.h"
#include "runner/hub/safetensors.h"
#include "runner/text/tokenizer.h"
#include <jansson.h>

struct hf_model {
    char *dir;              /* or the GGUF file, or the name that it is known by */
    json_t *config;         /* config.json; see also text_part.h */
    const char *model_type; /* "bert"; borrowed from config */
    struct st *weights;     /* NULL: opened by its shape, and there are none */
    /* In 4 bits already: kind, block size and double quantisation (of the first weight,
     * each has its own; by config.json alone where there are no weights). QUANT_NONE. */
    struct weight_spec quantised;
};

/* `name`: a folder (with config.json, or with one GGUF file), a GGUF file, or a hub id such as sentence-transformers/all-MiniLM-L6-v2 already in
 * the models cache (environment PEFTLAB_MODELS, default ./models): looked up as
 * models/<id> and models/<last part of id>. */
/* Its folder, or its GGUF file; free() */
int hf_model_find(const char *name, char **dir, struct err *err);
int hf_model_open(const char *name, struct hf_model **out, struct err *err);
/* Of a folder the weights if they are there; of a name in known.def the configuration. */
int hf_model_open_shape(const char *name, struct hf_model **out, struct err *err);
void hf_model_close(struct hf_model *m);
/* The tokenizer of what hf_model_find gave, or of a tokenizer.json; NULL where there is
 * none. */
int hf_model_tokenizer(const char *path, struct tokenizer **out, struct err *err);
/* Writes tokenizer.json and tokenizer_config.json of a model in one file. */
int hf_model_write_tokenizer(const struct hf_model *m, const char *dir, struct err *err);
/* SHA-256 over config.json and, per weight file, name, size and the SHA-256 of header and
 * of 64 KiB samples: a fingerprint that is cheap for large models. */
int hf_model_fingerprint(const struct hf_model *m, char out[65], struct err *err);

#endif
