/* runner/hub/safetensors.c - the reader: maps files, checks every byte range, sorts by
 * name. */
#include "runner/hub/safetensors.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEADER_MAX     ((uint64_t)100 << 20) /* the reference implementation's limit */
#define SHARDS_MAX     10000
#define WORTH_DROPPING ((size_t)64 << 10) /* bytes; less is soon read again */
#define INDEX_NAME     "model.safetensors.index.json"

struct mapped {
    struct st_file file;
    struct fs_map map; /* data NULL for files given as memory */
};

struct st {
    struct mapped *files;
    size_t file_count, file_cap;
    struct st_tensor *tensors;
    size_t count, cap;
};

/* ---- one tensor's entry ------------------------------------------------------------ */

/* Bits of an element, of any dtype that the format has; 0: it has none of that name. */
static int find_dtype(const char *word, enum dtype *out)
{
    static const struct {
        const char *word;
        int bits;
    } others[] = {{"BOOL", 8},    {"I8", 8},   {"I16", 16},    {"U16", 16},
                  {"U32", 32},    {"U64", 64}, {"F8_E4M3", 8}, {"F8_E5M2", 8},
                  {"F8_E8M0", 8}, {"C64", 64}, {"F4", 4},      {"F6_E2M3", 6},
                  {"F6_E3M2", 6}};
    for (int t = 0; t < DT_COUNT; t++)
        if (*dtype_word(t) && !strcmp(dtype_word(t), word)) {
            *out = t;
            return 8 * (int)dtype_bytes(t);
        }
    *out = DT_COUNT;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (!strcmp(others[i].word, word))
            return others[i].bits;
    return 0;
}

/* Shape and number of elements; false when there is no such shape or its product
 * overflows. */
static bool read_shape(const json_t *shape, struct st_tensor *t)
{
    if (!json_is_array(shape) || json_array_size(shape) > ST_MAX_DIMS)
        return false;
    t->ndim = (int)json_array_size(shape);
    t->count = 1;
    for (int i = 0; i < t->ndim; i++) {
        const json_t *d = json_array_get(shape, (size_t)i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return false;
        t->shape[i] = json_integer_value(d);
        if (__builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return false;
    }
    return true;
}

static int read_entry(const struct st_file *f, const char *name, const json_t *info,
                      struct st_tensor *t, struct err *err)
{
    const char *word = json_get_str(info, "dtype", NULL);
    const json_t *span = json_object_get(info, "data_offsets");
    if (!word || json_array_size(span) != 2 ||
        !json_is_integer(json_array_get(span, 0)) ||
        !json_is_integer(json_array_get(span, 1)))
        return err_set(err, ERR_PARSE,
                       "tensor '%s': needs 'dtype', 'shape' and two 'data_offsets'",
                       name);
    const int bits = find_dtype(word, &t->dtype);
    if (!bits)
        return err_set(err, ERR_PARSE, "tensor '%s': dtype '%s' is not supported", name,
                       word);
    snprintf(t->word, sizeof t->word, "%.15s", word);
    if (!read_shape(json_object_get(info, "shape"), t))
        return err_set(err, ERR_PARSE,
                       "tensor '%s': 'shape' must be at most %d sizes that fit 64 bits",
                       name, ST_MAX_DIMS);
    int64_t begin = json_integer_value(json_array_get(span, 0));
    int64_t end = json_integer_value(json_array_get(span, 1));
    int64_t size = (int64_t)(f->size - f->header_bytes), want;
    if (begin < 0 || end < begin || end > size)
        return err_set(err, ERR_PARSE,
                       "tensor '%s': bytes %" PRId64 "..%" PRId64
                       " are not within the data (%" PRId64 " bytes): truncated file?",
                       name, begin, end, size);
    if (__builtin_mul_overflow(t->count, (int64_t)bits, &want) || want % 8 ||
        want / 8 != end - begin)
        return err_set(err, ERR_PARSE,
                       "tensor '%s': %" PRId64 " bytes do not match its shape", name,
                       end - begin);
    t->data = (const char *)f->data + f->header_bytes + begin;
    t->bytes = (size_t)(end - begin);
    t->name = xstrdup(name);
    return 0;
}

/* ---- one file ---------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct st_tensor *x = a, *y = b;
    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The tensors of one file must tile its data without hole, overlap or rest. */
static int check_tiling(const struct st_file *f, struct st_tensor *t, size_t n,
                        struct err *err)
{
    if (n)
        qsort(t, n, sizeof *t, by_place);
    const char *base = (const char *)f->data + f->header_bytes, *at = base;
    for (size_t i = 0; i < n; i++) {
        if ((const char *)t[i].data != at)
            return err_set(err, ERR_PARSE, "tensor '%s': hole or overlap before byte %td",
                           t[i].name, (const char *)t[i].data - base);
        at += t[i].bytes;
    }
    size_t rest = (size_t)((const char *)f->data + f->size - at);
    if (rest)
        return err_set(err, ERR_PARSE, "%zu bytes after the last tensor", rest);
    return 0;
}

static int read_header(struct st *s, struct st_file *f, struct err *err)
{
    uint64_t n = 0;
    if (f->size < 10)
        return err_set(err, ERR_PARSE, "%zu bytes are too few for a safetensors file",
                       f->size);
    for (int i = 7; i >= 0; i--)
        n = n << 8 | ((const unsigned char *)f->data)[i];
    if (n > HEADER_MAX || n > f->size - 8 || n < 2 || ((const char *)f->data)[8] != '{')
        return err_set(err, ERR_PARSE,
                       "not a safetensors file (header of %" PRIu64
                       " bytes in a file of %zu)",
                       n, f->size);
    f->header_bytes = (size_t)n + 8;
    json_t *header = json_parse((const char *)f->data + 8, (size_t)n, "header", err);
    if (!header)
        return -ERR_PARSE;
    size_t first = s->count;
    const char *name;
    json_t *info;
    int rc = 0;
    json_object_foreach(header, name, info)
    {
        if (!strcmp(name, "__metadata__"))
            continue;
        s->tensors = xgrow(s->tensors, &s->cap, s->count + 1, sizeof *s->tensors);
        memset(&s->tensors[s->count], 0, sizeof *s->tensors);
        rc = read_entry(f, name, info, &s->tensors[s->count], err);
        if (rc < 0)
            break;
        s->count++;
    }
    json_decref(header);
    struct st_tensor *added = s->count > first ? s->tensors + first : NULL;
    return rc < 0 ? rc : check_tiling(f, added, s->count - first, err);
}

static struct mapped *add_file(struct st *s, const char *path)
{
    s->files = xgrow(s->files, &s->file_cap, s->file_count + 1, sizeof *s->files);
    struct mapped *m = &s->files[s->file_count++];
    *m = (struct mapped){.file = {.path = xstrdup(path)}};
    return m;
}

static int add_mapped(struct st *s, const char *path, struct err *err)
{
    struct mapped *m = add_file(s, path);
    int rc = fs_map(path, &m->map, err);
    if (rc < 0)
        return rc;
    m->file.data = m->map.data;
    m->file.size = m->map.size;
    m->file.stamp = m->map.stamp;
    rc = read_header(s, &m->file, err);
    return rc < 0 ? err_context(err, "weights '%s': ", path) : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct st_tensor *)a)->name,
                  ((const struct st_tensor *)b)->name);
}

/* Sorts; a name in two shards is an error. */
static int finish(struct st *s, struct st **out, struct err *err)
{
    if (s->count)
        qsort(s->tensors, s->count, sizeof *s->tensors, by_name);
    for (size_t i = 1; i < s->count; i++)
        if (!strcmp(s->tensors[i - 1].name, s->tensors[i].name))
            return err_set(err, ERR_PARSE, "weights '%s': tensor '%s' is there twice",
                           s->files[0].file.path, s->tensors[i].name);
    *out = s;
    return 0;
}

static int done_or_close(struct st *s, int rc, struct st **out, struct err *err)
{
    if (rc >= 0)
        rc = finish(s, out, err);
    if (rc < 0) {
        st_close(s);
        *out = NULL;
    }
    return rc;
}

int st_open_file(const char *path, struct st **out, struct err *err)
{
    struct st *s = xcalloc(1, sizeof *s);
    return done_or_close(s, add_mapped(s, path, err), out, err);
}

int st_open_memory(const void *data, size_t n, const char *name, struct st **out,
                   struct err *err)
{
    struct st *s = xcalloc(1, sizeof *s);
    struct mapped *m = add_file(s, name);
    m->file.data = data;
    m->file.size = n;
    int rc = read_header(s, &m->file, err);
    if (rc < 0)
        err_context(err, "weights '%s': ", name);
    return done_or_close(s, rc, out, err);
}

int st_open_found(struct fs_map *map, const char *path, size_t header_bytes,
                  const struct st_tensor *found, size_t count, struct st **out,
                  struct err *err)
{
    struct st *s = xcalloc(1, sizeof *s);
    struct mapped *m = add_file(s, path);
    m->map = *map;
    *map = (struct fs_map){0};
    m->file.data = m->map.data;
    m->file.size = m->map.size;
    m->file.stamp = m->map.stamp;
    m->file.header_bytes = header_bytes;
    s->tensors = xgrow(NULL, &s->cap, count + 1, sizeof *s->tensors);
    for (size_t i = 0; i < count; i++) {
        s->tensors[i] = found[i];
        s->tensors[i].name = xstrdup(found[i].name);
    }
    s->count = count;
    return done_or_close(s, 0, out, err);
}

/* ---- shards ------------------------------------------------------------------------ */

static bool has_file(const struct st *s, const char *path)
{
    for (size_t i = 0; i < s->file_count; i++)
        if (!strcmp(s->files[i].file.path, path))
            return true;
    return false;
}

/* A shard's name is a plain file name: an index must not reach out of its folder. */
static int add_shard(struct st *s, const char *dir, const char *index, const json_t *file,
                     struct err *err)
{
    const char *name = json_string_value(file);
    if (!name || !*name || strchr(name, '/') || !strcmp(name, "..") || !strcmp(name, "."))
        return err_set(err, ERR_PARSE, "weights '%s': '%s' is not a file name", index,
                       name ? name : "");
    char *path = fs_join(dir, name);
    int rc = 0;
    if (!has_file(s, path)) {
        if (s->file_count >= SHARDS_MAX)
            rc = err_set(err, ERR_PARSE, "weights '%s': more than %d shards", index,
                         SHARDS_MAX);
        else if (!fs_exists(path))
            rc = err_set(err, ERR_NOINPUT,
                         "weights '%s': shard '%s' is missing (was the download "
                         "complete?)",
                         index, name);
        else
            rc = add_mapped(s, path, err);
    }
    free(path);
    return rc;
}

static int open_shards(const char *dir, const char *index, struct st **out,
                       struct err *err)
{
    json_t *root = json_read_file(index, err);
    if (!root)
        return err_code(err);
    struct st *s = xcalloc(1, sizeof *s);
    json_t *map = json_object_get(root, "weight_map"), *file;
    const char *name;
    int rc = 0;
    if (!json_is_object(map) || json_object_size(map) == 0)
        rc = err_set(err, ERR_PARSE, "weights '%s': no 'weight_map'", index);
    json_object_foreach(map, name, file)
    {
        if (rc < 0)
            break;
        rc = add_shard(s, dir, index, file, err);
    }
    rc = done_or_close(s, rc, out, err);
    if (rc >= 0) {
        json_object_foreach(map, name, file)
        {
            if (st_find(s, name))
                continue;
            rc = err_set(err, ERR_PARSE, "weights '%s': tensor '%s' is not in shard '%s'",
                         index, name, json_string_value(file));
            st_close(s);
            *out = NULL;
            break;
        }
    }
    json_decref(root);
    return rc;
}

int st_open_folder(const char *dir, struct st **out, struct err *err)
{
    char *single = fs_join(dir, "model.safetensors"), *index = fs_join(dir, INDEX_NAME);
    char *pickle = fs_join(dir, "pytorch_model.bin");
    int rc;
    *out = NULL;
    if (fs_exists(single))
        rc = st_open_file(single, out, err);
    else if (fs_exists(index))
        rc = open_shards(dir, index, out, err);
    else
        rc = err_set(err, ERR_NOINPUT,
                     "model folder '%s': no weights: neither model.safetensors nor "
                     "%s%s",
                     dir, INDEX_NAME,
                     fs_exists(pickle)
                         ? " (pytorch_model.bin cannot be read: save it as safetensors)"
                         : "");
    free(single);
    free(index);
    free(pickle);
    return rc;
}

bool st_in_folder(const char *dir)
{
    char *single = fs_join(dir, "model.safetensors"), *index = fs_join(dir, INDEX_NAME);
    const bool there = fs_exists(single) || fs_exists(index);
    free(single);
    free(index);
    return there;
}

static void tensor_release(struct st_tensor *t)
{
    free((char *)t->name);
    free((struct st_q4 *)t->q4);
}

void st_close(struct st *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        tensor_release(&s->tensors[i]);
    for (size_t i = 0; i < s->file_count; i++) {
        if (s->files[i].map.data)
            fs_unmap(&s->files[i].map);
        free((char *)s->files[i].file.path);
    }
    free(s->tensors);
    free(s->files);
    free(s);
}

/* ---- access ------------------------------------------------------------------------ */

size_t st_count(const struct st *s)
{
    return s->count;
}

const struct st_tensor *st_at(const struct st *s, size_t i)
{
    return i < s->count ? &s->tensors[i] : NULL;
}

const struct st_tensor *st_find(const struct st *s, const char *name)
{
    struct st_tensor key = {.name = name};
    if (!s->count)
        return NULL;
    return bsearch(&key, s->tensors, s->count, sizeof *s->tensors, by_name);
}

size_t st_file_count(const struct st *s)
{
    return s->file_count;
}

const struct st_file *st_file_at(const struct st *s, size_t i)
{
    return i < s->file_count ? &s->files[i].file : NULL;
}

void st_set_q4(struct st *s, const char *name, const struct st_q4 *q4)
{
    struct st_tensor *t = (struct st_tensor *)st_find(s, name);
    struct st_q4 *own = xcalloc(1, sizeof *own);
    *own = *q4;
    free((struct st_q4 *)t->q4);
    t->q4 = own;
    t->dtype = DT_COUNT;
    snprintf(t->word, sizeof t->word, "%s", q4->spec.quant == QUANT_NF4 ? "NF4" : "FP4");
    t->ndim = 2;
    t->shape[0] = q4->spec.rows;
    t->shape[1] = q4->spec.cols;
    t->count = t->shape[0] * t->shape[1];
}

void st_round(struct st *s, enum dtype to)
{
    for (size_t i = 0; i < s->count; i++)
        s->tensors[i].rounded = s->tensors[i].q4 ? DT_F32 : to;
}

void st_drop_pages(const struct st *s, const void *data, size_t bytes)
{
    if (bytes < WORTH_DROPPING)
        return;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t at = (uintptr_t)data;
    const uintptr_t begin = (at + page - 1) & ~(page - 1),
                    end = (at + bytes) & ~(page - 1);
    for (size_t i = 0; i < s->file_count; i++) {
        const struct fs_map *m = &s->files[i].map; /* no map: memory of somebody else */
        if (m->data && at >= (uintptr_t)m->data && at < (uintptr_t)m->data + m->size &&
            end > begin)
            (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
}
