/* runner/hub/safetensors_write.c - the writer: header, then each tensor straight from
 * its memory, so that saving needs no second copy of the model. */
#include "runner/hub/safetensors.h"
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct st_writer {
    json_t *meta;
    struct st_tensor *tensors;
    size_t count, cap;
};

struct st_writer *st_writer_new(void)
{
    struct st_writer *w = xcalloc(1, sizeof *w);
    w->meta = json_object();
    return w;
}

void st_writer_meta(struct st_writer *w, const char *key, const char *value)
{
    json_object_set_new(w->meta, key, json_string(value));
}

void st_writer_add(struct st_writer *w, const char *name, enum dtype dtype, int ndim,
                   const int64_t *shape, const void *data)
{
    w->tensors = xgrow(w->tensors, &w->cap, w->count + 1, sizeof *w->tensors);
    struct st_tensor *t = &w->tensors[w->count++];
    *t = (struct st_tensor){
        .name = xstrdup(name), .dtype = dtype, .ndim = ndim, .count = 1, .data = data};
    for (int i = 0; i < ndim && i < ST_MAX_DIMS; i++)
        t->count *= t->shape[i] = shape[i];
    t->bytes = (size_t)t->count * dtype_bytes(dtype);
}

void st_writer_free(struct st_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->count; i++)
        free((char *)w->tensors[i].name);
    free(w->tensors);
    json_decref(w->meta);
    free(w);
}

/* The reference writer's order: wide elements first (so that all stay aligned), then by
 * name. */
static int by_width_then_name(const void *a, const void *b)
{
    const struct st_tensor *x = a, *y = b;
    size_t p = dtype_bytes(x->dtype), q = dtype_bytes(y->dtype);
    return p != q ? (p < q ? 1 : -1) : strcmp(x->name, y->name);
}

static int check_tensors(const struct st_writer *w, struct err *err)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct st_tensor *t = &w->tensors[i];
        if (t->ndim < 0 || t->ndim > ST_MAX_DIMS || !*dtype_word(t->dtype))
            return err_set(err, ERR_BUG, "tensor '%s' cannot be saved; this is a bug",
                           t->name);
        if (i && t->dtype == t[-1].dtype && !strcmp(t->name, t[-1].name))
            return err_set(err, ERR_BUG, "tensor '%s' is saved twice; this is a bug",
                           t->name);
    }
    return 0;
}

static void put_header(const struct st_writer *w, struct buf *b)
{
    uint64_t at = 0;
    buf_add(b, "\0\0\0\0\0\0\0\0{", 9);
    if (json_object_size(w->meta)) {
        buf_str_add(b, "\"__metadata__\":");
        json_canonical(b, w->meta);
    }
    for (size_t i = 0; i < w->count; i++) {
        const struct st_tensor *t = &w->tensors[i];
        buf_str_add(b, b->len > 9 ? "," : "");
        json_put_string(b, t->name, strlen(t->name));
        buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", dtype_word(t->dtype));
        for (int d = 0; d < t->ndim; d++)
            buf_printf(b, "%s%" PRId64, d ? "," : "", t->shape[d]);
        buf_printf(b, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at,
                   at + (uint64_t)t->bytes);
        at += t->bytes;
    }
    buf_char(b, '}');
    while (b->len % 8)
        buf_char(b, ' ');
    uint64_t n = b->len - 8;
    for (int i = 0; i < 8; i++)
        b->data[i] = (char)(n >> 8 * i & 255);
}

int st_writer_begin(struct st_writer *w, const char *path, struct fs_writer **out,
                    struct err *err)
{
    *out = NULL;
    if (w->count)
        qsort(w->tensors, w->count, sizeof *w->tensors, by_width_then_name);
    int rc = check_tensors(w, err);
    if (rc < 0)
        return rc;
    struct buf header = BUF_INIT;
    put_header(w, &header);
    if (!(rc = fs_writer_begin(path, out, err)))
        rc = fs_writer_add(*out, header.data, header.len, err);
    buf_release(&header);
    return rc;
}

int st_writer_make(struct st_writer *w, const char *path, st_write_fn *write, void *ctx,
                   struct err *err)
{
    struct fs_writer *file;
    int rc = st_writer_begin(w, path, &file, err);
    for (size_t i = 0; i < w->count && !rc; i++) {
        const struct st_tensor *t = &w->tensors[i];
        rc = write ? write(ctx, t->data, file, err)
                   : fs_writer_add(file, t->data, t->bytes, err);
    }
    if (!rc)
        return fs_writer_finish(file, err);
    fs_writer_abandon(file);
    return rc;
}

int st_writer_save(struct st_writer *w, const char *path, struct err *err)
{
    return st_writer_make(w, path, NULL, NULL, err);
}
