/* runner/hub/gguf.h - GGUF files (llama.cpp's; ggml docs/gguf.md): metadata and where the
 * tensors lie.
 *
 * Little-endian, version 2 or 3: magic, counts, key-value pairs, tensor infos, then the
 * data, aligned. The file is mapped and nothing is copied: strings and arrays point into
 * it. Everything is checked when it is opened, so that whoever reads a value needs not
 * look again: lengths and offsets lie within the file, keys and names are there once and
 * hold no NUL, tensors do not overlap, rows are whole blocks. Other byte orders, block
 * types that blocks.h does not have, more than four dimensions and more than four arrays
 * within one another are refused.
 *
 * Dimensions stand innermost first in the file; `shape` here has them as safetensors has,
 * rows first. */
#ifndef RUNNER_HUB_GGUF_H
#define RUNNER_HUB_GGUF_H

#include "lib/err.h"
#include "lib/fs.h"
#include "runner/hub/blocks.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPES
};

struct gguf_pair {
    char *key;
    enum gguf_type type, element; /* element: of an array */
    uint64_t count;               /* of an array; of a string its bytes; else 1 */
    const uint8_t *data;          /* not aligned */
};

struct gguf_tensor {
    char *name;
    const struct block_type *type;
    int ndim;
    int64_t shape[4], count;
    const uint8_t *data;
    size_t bytes;
};

struct gguf {
    struct fs_map map; /* data NULL where it was given as memory */
    const uint8_t *data;
    size_t size, data_at; /* data_at: where tensors begin */
    struct gguf_pair *pairs;
    size_t pair_count;
    struct gguf_tensor *tensors; /* sorted by name */
    size_t tensor_count;
};

int gguf_open(const char *path, struct gguf **out, struct err *err);
/* `data` must outlive *out. */
int gguf_open_memory(const void *data, size_t size, struct gguf **out, struct err *err);
void gguf_close(struct gguf *g);
bool gguf_is_file(const char *path); /* a file that begins with "GGUF" */

const struct gguf_pair *gguf_find(const struct gguf *g, const char *key);
const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name);
/* False where the key is missing or of another kind. Whole numbers of any width, numbers
 * of any kind. */
bool gguf_int(const struct gguf *g, const char *key, int64_t *out);
bool gguf_num(const struct gguf *g, const char *key, double *out);
bool gguf_bool(const struct gguf *g, const char *key, bool preset);
/* Of the value, from data on. */
size_t gguf_pair_bytes(const struct gguf_pair *p);
/* A new JSON string; NULL where the key is missing, no string, or no UTF-8. */
json_t *gguf_string(const struct gguf *g, const char *key);
/* Element i of an array of numbers. */
int64_t gguf_element_int(const struct gguf_pair *array, uint64_t i);
double gguf_element_num(const struct gguf_pair *array, uint64_t i);
/* The string at *at, which goes on to the next one: begin with array->data. */
const char *gguf_next_string(const uint8_t **at, size_t *length);

#endif
