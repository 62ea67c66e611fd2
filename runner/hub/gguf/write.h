/* runner/hub/gguf/write.h - writing GGUF files (version 3, alignment 32), key by key and
 * tensor by tensor.
 *
 * Keys stand in the order in which they were set, tensors in that in which they were added;
 * the file appears whole, at the end (fs_writer). Values are asked for one tensor at a
 * time, as fp32 in transformers' order, so that a model never lies in memory as a whole.
 * Sizes are known before: what the disk cannot hold ends with the system's message, and
 * nothing is left. */
#ifndef RUNNER_HUB_GGUF_WRITE_H
#define RUNNER_HUB_GGUF_WRITE_H

#include "runner/hub/gguf.h"

struct gguf_writer;
struct gguf_writer *gguf_writer_new(void);
void gguf_writer_free(struct gguf_writer *w);

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_put_f32(struct gguf_writer *w, const char *key, float v);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_put_string(struct gguf_writer *w, const char *key, const char *s, size_t n);
/* Arrays: of numbers as they lie in memory (i32, f32), or of strings, which follow. */
void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type element,
                    const void *values, size_t count);
void gguf_put_strings(struct gguf_writer *w, const char *key, size_t count);
void gguf_put_next_string(struct gguf_writer *w, const char *s, size_t n);
/* A pair of another file, as it is. */
void gguf_put_pair(struct gguf_writer *w, const struct gguf_pair *p);

/* general.file_type and quantization_version, by what most matrices are. */
void gguf_put_file_type(struct gguf_writer *w, const struct block_type *type);

/* A file of the keys alone, to read back what was set. */
void gguf_writer_keys(const struct gguf_writer *w, struct buf *out);

struct gguf_new_tensor {
    char *name; /* owned by the writer */
    const struct block_type *type;
    int ndim;
    int64_t shape[4]; /* rows first, as everywhere here */
    int32_t heads;    /* rows of so many heads are put into llama.cpp's order; 0: as is */
    const void *source; /* of the caller; */
    bool turned;        /* whose rows are columns here */
};
/* Copies *t. */
void gguf_writer_add(struct gguf_writer *w, const struct gguf_new_tensor *t);
/* The values of a tensor: its count of floats. */
typedef int gguf_values_fn(void *ctx, const struct gguf_new_tensor *t, float *out,
                           struct err *err);
/* ERR_CONFIG where a type cannot hold a value (F16 ends at 65,504), ERR_NAN where a value
 * is no finite number. */
int gguf_writer_save(struct gguf_writer *w, const char *path, gguf_values_fn *values,
                     void *ctx, int64_t *bytes, struct err *err);

#endif
