/* runner/hub/safetensors.h - reading (mapped) and writing safetensors files, alone or
 * as the shards of a folder.
 *
 * Format: u64 header length, JSON header, data. Refused with a message: header over 100
 * MB or over the file, shape that does not match the bytes, holes, overlaps, duplicate
 * names, more than 8 dimensions, a dtype that the format does not have. A tensor of any dtype may be there (masks, counters); only
 * reading the values of one that is no floating-point number is an error. The writer orders by element size
 * descending, then name, pads the header to 8 bytes and writes atomically. */
#ifndef RUNNER_HUB_SAFETENSORS_H
#define RUNNER_HUB_SAFETENSORS_H

#include "kernels/tensor.h"
#include "lib/err.h"
#include "lib/fs.h"
#include "runner/hub/blocks.h"
#include <stdbool.h>

#define ST_MAX_DIMS 8

/* A matrix in 4 bits, in the parts that bitsandbytes.h finds; not aligned. */
struct st_q4 {
    struct weight_spec spec;
    const void *codes, *absmax, *absmax2;
    float offset;
};

struct st_tensor {
    const char *name;
    enum dtype dtype; /* DT_COUNT: none that can be read, but bytes of a known length */
    char word[16];    /* the file's own for it */
    int ndim;
    int64_t shape[ST_MAX_DIMS];
    int64_t count;    /* product of shape */
    const void *data; /* in the map; not necessarily aligned */
    size_t bytes;
    /* Of a GGUF file: how its values lie in blocks (dtype is DT_COUNT then), and of how many
     * heads its rows stand in llama.cpp's order (0: in their own). NULL otherwise. */
    const struct block_type *block;
    int32_t heads;
    bool turned;        /* shape[1] x shape[0] there: GPT-2's Conv1D weights */
    float offset;       /* was added to every value: 1 on Gemma's norms */
    enum dtype rounded; /* its values are read as such numbers (st_round); DT_F32: as they
                           are */
    const struct st_q4
        *q4; /* in 4 bits; dtype is DT_COUNT, the shape that of the values */
};

struct st; /* one or several mapped files */

int st_open_file(const char *path, struct st **out, struct err *err);
/* model.safetensors, or the shards that model.safetensors.index.json names. */
int st_open_folder(const char *dir, struct st **out, struct err *err);
bool st_in_folder(const char *dir); /* it has one of the two */
/* From memory, for the fuzz target and tests: `data` must outlive *out. */
int st_open_memory(const void *data, size_t n, const char *name, struct st **out,
                   struct err *err);
/* Tensors that another reader found in a mapped file (GGUF): copies them and takes the map
 * over. */
int st_open_found(struct fs_map *map, const char *path, size_t header_bytes,
                  const struct st_tensor *found, size_t count, struct st **out,
                  struct err *err);
void st_close(struct st *s);
size_t st_count(const struct st *s);
const struct st_tensor *st_at(const struct st *s, size_t i); /* sorted by name */
const struct st_tensor *st_find(const struct st *s, const char *name);
/* The files behind it, in the order in which they were opened; for fingerprints. */
struct st_file {
    const char *path;
    const void *data;
    size_t size, header_bytes; /* header_bytes: where the tensors' data begin */
    struct fs_stamp stamp;     /* all 0: memory, not a file */
};
size_t st_file_count(const struct st *s);
const struct st_file *st_file_at(const struct st *s, size_t i);
/* What another reader found out about tensor `name`, which is there: copied. */
void st_set_q4(struct st *s, const char *name, const struct st_q4 *q4);
/* The bytes of q4_layout. */
void st_q4_bytes(const struct st_q4 *q4, void *dst);
/* From now on all tensors but those in 4 bits are read as if the file held numbers of 16
 * bits (DT_BF16, DT_F16): the nearest, ties to even. DT_F32: as they are. */
void st_round(struct st *s, enum dtype to);
/* Converts F32, F64, F16, BF16, blocks and 4 bits to fp32; dst has count elements. ERR_PARSE for integer
 * tensors, ERR_CONFIG for a value that is too large for what the tensor is rounded to. */
int st_read_f32(const struct st_tensor *t, float *dst, struct err *err);
/* Rows [first, first + count) of those that it has (a 1-d tensor is one), converted as
 * above; what was read is dropped from memory again. */
bool st_has_rows(const struct st_tensor *t); /* or it can be read as a whole only */
int st_read_rows(const struct st *s, const struct st_tensor *t, int64_t first,
                 int64_t count, float *dst, struct err *err);
/* These bytes of a tensor were read and are not needed soon: lets the system take their
 * pages back. Bytes that lie in no mapped file are left alone. */
void st_drop_pages(const struct st *s, const void *data, size_t bytes);

struct st_writer;
struct st_writer *st_writer_new(void);
/* {"format": "pt"} is peft's */
void st_writer_meta(struct st_writer *w, const char *key, const char *value);
/* Data is borrowed until st_writer_save. */
void st_writer_add(struct st_writer *w, const char *name, enum dtype dtype, int ndim,
                   const int64_t *shape, const void *data);
int st_writer_save(struct st_writer *w, const char *path, struct err *err);
/* The same for tensors that are made one at a time: `write` adds all bytes of the one that
 * st_writer_add got `data` for. Whole or not there. */
typedef int st_write_fn(void *ctx, const void *data, struct fs_writer *out,
                        struct err *err);
int st_writer_make(struct st_writer *w, const char *path, st_write_fn *write, void *ctx,
                   struct err *err);
/* Writes the header alone; the caller adds the tensors' bytes, in the order above, and
 * finishes the file. */
int st_writer_begin(struct st_writer *w, const char *path, struct fs_writer **out,
                    struct err *err);
void st_writer_free(struct st_writer *w);

#endif
