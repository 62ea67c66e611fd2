/* runner/hub/gguf.c - reads the container. */
#include "runner/hub/gguf.h"
#include "lib/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC         0x46554747u /* "GGUF" */
#define ALIGNMENT     32          /* where the file names none */
#define ALIGNMENT_MAX ((int64_t)1 << 20)
#define NESTED_MAX    4
#define NAME_MAX_LEN  65535

/* Bytes of a scalar; 0: not one. */
static const uint8_t scalar_bytes[GGUF_TYPES] = {
    [GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2, [GGUF_I16] = 2,
    [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1,
    [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

/* ---- cursor ------------------------------------------------------------------------ */

struct cursor {
    const uint8_t *at, *end;
    struct err *err;
};

static size_t left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

static uint64_t little_endian(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static int truncated(const struct cursor *c, const char *what)
{
    return err_set(c->err, ERR_PARSE,
                   "%s reaches beyond the end of the file (truncated?)", what);
}

static int take_number(struct cursor *c, int bytes, const char *what, uint64_t *out)
{
    if (left(c) < (size_t)bytes)
        return truncated(c, what);
    *out = little_endian(c->at, bytes);
    c->at += bytes;
    return 0;
}

static int take_bytes(struct cursor *c, uint64_t n, const char *what)
{
    if (n > left(c))
        return truncated(c, what);
    c->at += n;
    return 0;
}

/* A name as a C string. */
static int take_name(struct cursor *c, const char *what, char **out)
{
    uint64_t n = 0;
    int rc = take_number(c, 8, what, &n);
    const uint8_t *p = c->at;
    if (!rc)
        rc = take_bytes(c, n, what);
    if (rc)
        return rc;
    if (n == 0 || n > NAME_MAX_LEN || memchr(p, 0, n))
        return err_set(c->err, ERR_PARSE, "%s must be text of 1 to %d bytes", what,
                       NAME_MAX_LEN);
    *out = xmalloc(n + 1);
    memcpy(*out, p, n);
    (*out)[n] = 0;
    return 0;
}

/* ---- metadata ---------------------------------------------------------------------- */

static int skip_array(struct cursor *c, int depth, enum gguf_type *element,
                      uint64_t *count);

/* Goes over `count` values of a type. */
static int skip_values(struct cursor *c, enum gguf_type type, uint64_t count, int depth)
{
    uint64_t n = 0;
    int rc = 0;
    if (scalar_bytes[type])
        return count > left(c) / scalar_bytes[type]
                   ? truncated(c, "a value")
                   : take_bytes(c, count * scalar_bytes[type], "a value");
    for (uint64_t i = 0; i < count && !rc; i++) {
        enum gguf_type element;
        if (type == GGUF_ARRAY)
            rc = skip_array(c, depth + 1, &element, &n);
        else if (!(rc = take_number(c, 8, "a string", &n)))
            rc = take_bytes(c, n, "a string");
    }
    return rc;
}

static int skip_array(struct cursor *c, int depth, enum gguf_type *element,
                      uint64_t *count)
{
    uint64_t type = 0;
    int rc = take_number(c, 4, "an array", &type);
    if (!rc)
        rc = take_number(c, 8, "an array", count);
    if (!rc && (type >= GGUF_TYPES || depth > NESTED_MAX))
        rc = err_set(c->err, ERR_PARSE,
                     depth > NESTED_MAX ? "arrays too deep in one another"
                                        : "an array of an unknown type (%" PRIu64 ")",
                     type);
    if (rc)
        return rc;
    *element = (enum gguf_type)type;
    return skip_values(c, *element, *count, depth);
}

/* The pair's value begins where its data lie: behind the length of a string, behind type
 * and count of an array. */
static int read_pair(struct cursor *c, struct gguf_pair *p)
{
    struct cursor start;
    uint64_t type = 0;
    int rc = take_name(c, "a key", &p->key);
    if (rc)
        return rc;
    if (!(rc = take_number(c, 4, "its type", &type)) && type >= GGUF_TYPES)
        rc = err_set(c->err, ERR_PARSE, "unknown type %" PRIu64, type);
    p->type = rc ? GGUF_U8 : (enum gguf_type)type;
    p->count = 1;
    start = *c;
    if (!rc && p->type == GGUF_ARRAY) {
        p->data = c->at + 12;
        rc = skip_array(c, 1, &p->element, &p->count);
    } else if (!rc && p->type == GGUF_STRING) {
        p->data = c->at + 8;
        if (!(rc = skip_values(c, p->type, 1, 0)))
            rc = take_number(&start, 8, "a string", &p->count);
    } else if (!rc) {
        p->data = c->at;
        rc = skip_values(c, p->type, 1, 0);
    }
    return rc ? err_context(c->err, "key '%.200s': ", p->key) : 0;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct gguf_pair *)a)->key, ((const struct gguf_pair *)b)->key);
}

static int read_pairs(struct gguf *g, struct cursor *c, uint64_t count)
{
    size_t cap = 0;
    int rc = 0;
    for (uint64_t i = 0; i < count && !rc; i++) {
        g->pairs = xgrow(g->pairs, &cap, g->pair_count + 1, sizeof *g->pairs);
        struct gguf_pair *p = &g->pairs[g->pair_count++];
        *p = (struct gguf_pair){0};
        rc = read_pair(c, p);
    }
    if (rc)
        return rc;
    if (g->pair_count)
        qsort(g->pairs, g->pair_count, sizeof *g->pairs, by_key);
    for (size_t i = 1; i < g->pair_count; i++)
        if (!strcmp(g->pairs[i - 1].key, g->pairs[i].key))
            return err_set(c->err, ERR_PARSE, "key '%.200s' is there twice",
                           g->pairs[i].key);
    return 0;
}

/* ---- tensors ----------------------------------------------------------------------- */

static int read_shape(struct cursor *c, struct gguf_tensor *t)
{
    uint64_t n = 0, dim = 0;
    int rc = take_number(c, 4, "its shape", &n);
    if (!rc && (n < 1 || n > 4))
        rc = err_set(c->err, ERR_PARSE, "%" PRIu64 " dimensions, not 1 to 4", n);
    if (rc)
        return rc;
    t->ndim = (int)n;
    t->count = 1;
    for (int i = t->ndim - 1; i >= 0 && !rc; i--) {
        rc = take_number(c, 8, "its shape", &dim);
        if (!rc && (dim < 1 || dim > INT64_MAX ||
                    __builtin_mul_overflow(t->count, (int64_t)dim, &t->count)))
            rc = err_set(c->err, ERR_PARSE, "its shape does not fit 63 bits");
        t->shape[i] = (int64_t)dim;
    }
    return rc;
}

static int read_info(struct cursor *c, struct gguf_tensor *t, uint64_t *offset)
{
    uint64_t type = 0;
    int64_t bytes;
    int rc = take_name(c, "a tensor's name", &t->name);
    if (rc)
        return rc;
    if (!(rc = read_shape(c, t)) && !(rc = take_number(c, 4, "its type", &type)) &&
        !(rc = take_number(c, 8, "its offset", offset)) &&
        !(t->type = block_type_find((uint32_t)type)))
        rc = err_set(c->err, ERR_PARSE, "type %" PRIu64 " is not read (%s are)", type,
                     block_type_names());
    if (!rc && t->shape[t->ndim - 1] % t->type->elements)
        rc = err_set(c->err, ERR_PARSE,
                     "rows of %" PRId64 " are no whole blocks of %s (%d)",
                     t->shape[t->ndim - 1], t->type->name, t->type->elements);
    if (!rc && __builtin_mul_overflow(t->count / t->type->elements,
                                      (int64_t)t->type->bytes, &bytes))
        rc = err_set(c->err, ERR_PARSE, "its bytes do not fit 63 bits");
    if (rc)
        return err_context(c->err, "tensor '%.200s': ", t->name);
    t->bytes = (size_t)bytes;
    return 0;
}

static int place_tensor(struct gguf *g, struct gguf_tensor *t, uint64_t offset,
                        uint64_t alignment, struct err *err)
{
    const size_t room = g->size - g->data_at;
    if (offset % alignment)
        return err_set(err, ERR_PARSE,
                       "tensor '%.200s': offset %" PRIu64
                       " is not a multiple of %" PRIu64,
                       t->name, offset, alignment);
    if (offset > room || t->bytes > room - offset)
        return err_set(err, ERR_PARSE,
                       "tensor '%.200s' reaches beyond the end of the file (truncated?)",
                       t->name);
    t->data = g->data + g->data_at + offset;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct gguf_tensor *)a)->name,
                  ((const struct gguf_tensor *)b)->name);
}

static int by_place(const void *a, const void *b)
{
    const struct gguf_tensor *x = a, *y = b;
    return (x->data > y->data) - (x->data < y->data);
}

static int check_tensors(struct gguf *g, struct err *err)
{
    struct gguf_tensor *t = g->tensors;
    const size_t n = g->tensor_count;
    if (n)
        qsort(t, n, sizeof *t, by_place);
    for (size_t i = 1; i < n; i++)
        if (t[i - 1].data + t[i - 1].bytes > t[i].data)
            return err_set(err, ERR_PARSE, "tensors '%.200s' and '%.200s' overlap",
                           t[i - 1].name, t[i].name);
    if (n)
        qsort(t, n, sizeof *t, by_name);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(t[i - 1].name, t[i].name))
            return err_set(err, ERR_PARSE, "tensor '%.200s' is there twice", t[i].name);
    return 0;
}

static int read_tensors(struct gguf *g, struct cursor *c, uint64_t count)
{
    size_t cap = 0, offset_cap = 0;
    uint64_t *offsets = NULL;
    int64_t alignment = ALIGNMENT;
    int rc = 0;
    for (uint64_t i = 0; i < count && !rc; i++) {
        g->tensors = xgrow(g->tensors, &cap, g->tensor_count + 1, sizeof *g->tensors);
        offsets = xgrow(offsets, &offset_cap, g->tensor_count + 1, sizeof *offsets);
        struct gguf_tensor *t = &g->tensors[g->tensor_count++];
        *t = (struct gguf_tensor){0};
        rc = read_info(c, t, &offsets[i]);
    }
    if (!rc && gguf_find(g, "general.alignment") &&
        (!gguf_int(g, "general.alignment", &alignment) || alignment < 1 ||
         alignment > ALIGNMENT_MAX || (alignment & (alignment - 1))))
        rc = err_set(c->err, ERR_PARSE, "general.alignment must be a power of two");
    const size_t at = (size_t)(c->at - g->data), rest = at % (size_t)alignment;
    g->data_at = at + (rest ? (size_t)alignment - rest : 0);
    if (!rc && g->data_at > g->size) {
        if (count)
            rc = truncated(c, "the data");
        g->data_at = g->size;
    }
    for (size_t i = 0; i < g->tensor_count && !rc; i++)
        rc = place_tensor(g, &g->tensors[i], offsets[i], (uint64_t)alignment, c->err);
    free(offsets);
    return rc ? rc : check_tensors(g, c->err);
}

/* ---- opening ----------------------------------------------------------------------- */

static int read_all(struct gguf *g, struct err *err)
{
    struct cursor c = {g->data, g->data + g->size, err};
    uint64_t magic = 0, version = 0, tensors = 0, pairs = 0;
    if (g->size < 24 || take_number(&c, 4, "", &magic) || magic != MAGIC)
        return err_set(err, ERR_PARSE, "not a GGUF file");
    (void)take_number(&c, 4, "", &version);
    if (version != 2 && version != 3)
        return err_set(err, ERR_PARSE,
                       version & 0xffff ? "version %" PRIu64 " is not read (2 and 3 are)"
                                        : "big-endian files are not read (%" PRIu64 ")",
                       version);
    (void)take_number(&c, 8, "", &tensors);
    (void)take_number(&c, 8, "", &pairs);
    int rc = read_pairs(g, &c, pairs);
    return rc ? rc : read_tensors(g, &c, tensors);
}

static int done_or_close(struct gguf *g, int rc, struct gguf **out)
{
    *out = rc ? NULL : g;
    if (rc)
        gguf_close(g);
    return rc;
}

int gguf_open_memory(const void *data, size_t size, struct gguf **out, struct err *err)
{
    struct gguf *g = xcalloc(1, sizeof *g);
    g->data = data;
    g->size = size;
    return done_or_close(g, read_all(g, err), out);
}

int gguf_open(const char *path, struct gguf **out, struct err *err)
{
    struct gguf *g = xcalloc(1, sizeof *g);
    int rc = fs_map(path, &g->map, err);
    if (!rc) {
        g->data = g->map.data;
        g->size = g->map.size;
        rc = read_all(g, err) ? err_context(err, "GGUF file '%s': ", path) : 0;
    }
    return done_or_close(g, rc, out);
}

void gguf_close(struct gguf *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->pair_count; i++)
        free(g->pairs[i].key);
    for (size_t i = 0; i < g->tensor_count; i++)
        free(g->tensors[i].name);
    free(g->pairs);
    free(g->tensors);
    if (g->map.data)
        fs_unmap(&g->map);
    free(g);
}

bool gguf_is_file(const char *path)
{
    char head[4] = "";
    FILE *f = fs_is_dir(path) ? NULL : fopen(path, "rb");
    const bool yes = f && fread(head, 1, 4, f) == 4 && !memcmp(head, "GGUF", 4);
    if (f)
        fclose(f);
    return yes;
}

/* ---- values ------------------------------------------------------------------------ */

const struct gguf_pair *gguf_find(const struct gguf *g, const char *key)
{
    const struct gguf_pair wanted = {.key = (char *)key};
    return g->pair_count
               ? bsearch(&wanted, g->pairs, g->pair_count, sizeof *g->pairs, by_key)
               : NULL;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name)
{
    const struct gguf_tensor wanted = {.name = (char *)name};
    return g->tensor_count ? bsearch(&wanted, g->tensors, g->tensor_count,
                                     sizeof *g->tensors, by_name)
                           : NULL;
}

static bool is_signed(enum gguf_type t)
{
    return t == GGUF_I8 || t == GGUF_I16 || t == GGUF_I32 || t == GGUF_I64;
}

static int64_t int_at(enum gguf_type type, const uint8_t *p)
{
    const int bytes = scalar_bytes[type], unused = 64 - 8 * bytes;
    const uint64_t v = little_endian(p, bytes);
    return is_signed(type) ? (int64_t)(v << unused) >> unused : (int64_t)v;
}

static double num_at(enum gguf_type type, const uint8_t *p)
{
    if (type == GGUF_F32) {
        float f;
        memcpy(&f, p, sizeof f);
        return f;
    }
    if (type == GGUF_F64) {
        double d;
        memcpy(&d, p, sizeof d);
        return d;
    }
    return (double)int_at(type, p);
}

bool gguf_int(const struct gguf *g, const char *key, int64_t *out)
{
    const struct gguf_pair *p = gguf_find(g, key);
    if (!p || !scalar_bytes[p->type] || p->type == GGUF_F32 || p->type == GGUF_F64 ||
        p->type == GGUF_BOOL)
        return false;
    *out = int_at(p->type, p->data);
    return p->type != GGUF_U64 || *out >= 0;
}

bool gguf_num(const struct gguf *g, const char *key, double *out)
{
    const struct gguf_pair *p = gguf_find(g, key);
    if (!p || !scalar_bytes[p->type] || p->type == GGUF_BOOL)
        return false;
    *out = num_at(p->type, p->data);
    return true;
}

bool gguf_bool(const struct gguf *g, const char *key, bool preset)
{
    const struct gguf_pair *p = gguf_find(g, key);
    return p && p->type == GGUF_BOOL ? *p->data != 0 : preset;
}

/* Values of a type, one behind the other; they were checked when the file was opened. */
static const uint8_t *behind_values(const uint8_t *p, enum gguf_type type, uint64_t count)
{
    if (scalar_bytes[type])
        return p + count * scalar_bytes[type];
    for (uint64_t i = 0; i < count; i++)
        p = type == GGUF_STRING
                ? p + 8 + little_endian(p, 8)
                : behind_values(p + 12, (enum gguf_type)little_endian(p, 4),
                                little_endian(p + 4, 8));
    return p;
}

size_t gguf_pair_bytes(const struct gguf_pair *p)
{
    if (p->type == GGUF_STRING)
        return (size_t)p->count;
    return (size_t)(behind_values(p->data, p->type == GGUF_ARRAY ? p->element : p->type,
                                  p->count) -
                    p->data);
}

json_t *gguf_string(const struct gguf *g, const char *key)
{
    const struct gguf_pair *p = gguf_find(g, key);
    return p && p->type == GGUF_STRING ? json_stringn((const char *)p->data, p->count)
                                       : NULL;
}

int64_t gguf_element_int(const struct gguf_pair *a, uint64_t i)
{
    return int_at(a->element, a->data + i * scalar_bytes[a->element]);
}

double gguf_element_num(const struct gguf_pair *a, uint64_t i)
{
    return num_at(a->element, a->data + i * scalar_bytes[a->element]);
}

const char *gguf_next_string(const uint8_t **at, size_t *length)
{
    *length = (size_t)little_endian(*at, 8);
    const char *s = (const char *)*at + 8;
    *at += 8 + *length;
    return s;
}
