/* runner/nn/adapter_files/folder.c - adapter folders, written and read by a method's
 * `files` row.
 *
 * Reading is strict: every trainable parameter must be there with its shape (unless the
 * row allows a partial folder), and a tensor that belongs to nothing is an error: peft
 * would load such a folder silently and leave a random head. */
#include "kernels/half.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/graph/param_values.h"
#include "runner/nn/adapter_files/formats.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_head(const struct net *net, const struct param *p)
{
    return task_saves(net->goal.task, p->name);
}

/* The file of the head's tensors; NULL: the task saves none, or not in a file apart. */
static const char *head_file(const struct net *net)
{
    return net->goal.task->kind->saved_modules[0] ? net->method->files->head_tensors
                                                  : NULL;
}

/* The file a parameter goes to. */
static const char *file_of(const struct net *net, const struct param *p)
{
    const struct adapter_files *f = net->method->files;
    if (f->encoder_tensors && str_has_prefix(p->name, PROMPT_ENCODER))
        return f->encoder_tensors;
    return head_file(net) && is_head(net, p) ? head_file(net) : f->tensors;
}

static bool has_encoder(const struct net *net)
{
    for (size_t i = 0; i < net->params.count; i++)
        if (str_has_prefix(net->params.items[i]->name, PROMPT_ENCODER))
            return net->method->files->encoder_tensors != NULL;
    return false;
}

static bool in_file(const struct net *net, const struct param *p, const char *file)
{
    return (p->trainable || p->saved) && str_eq(file_of(net, p), file);
}

static char *tensor_name(const struct net *net, const struct param *p)
{
    const struct adapter_files *f = net->method->files;
    struct buf b = BUF_INIT;
    if (f->encoder_tensors && str_has_prefix(p->name, PROMPT_ENCODER))
        buf_str_add(&b, p->name + strlen(PROMPT_ENCODER));
    else
        f->tensor_name(net, p, &b);
    return buf_detach(&b, NULL);
}

static enum dtype saved_dtype(const struct param *p)
{
    return p->rounded ? DT_BF16 : DT_F32;
}

/* A 1-d tensor's shape is shape[1] alone. Returns how many values there are. */
static size_t saved_shape(const struct net *net, const struct param *p, int64_t shape[2])
{
    param_file_shape(p, shape);
    if (net->method->files->saved)
        net->method->files->saved(net, p, shape, NULL, NULL);
    return (size_t)(shape[0] * shape[1]);
}

int64_t adapter_bytes(const struct net *net)
{
    int64_t bytes = net->change.derived_values * (int64_t)sizeof(float), shape[2];
    for (size_t i = 0; i < net->params.count; i++) {
        const struct param *p = net->params.items[i];
        if (p->trainable || p->saved)
            bytes += (int64_t)(saved_shape(net, p, shape) * dtype_bytes(saved_dtype(p)));
    }
    return bytes;
}

static float *saved_values(const struct net *net, const struct backend *backend,
                           const struct param *p, int64_t shape[2], size_t *count)
{
    const size_t own_bytes = (size_t)param_size(p) * sizeof(float);
    float *own = xmalloc(own_bytes);
    *count = saved_shape(net, p, shape);
    backend->download(backend->device, own, p->value.data, own_bytes);
    if (!net->method->files->saved && !p->transposed)
        return own;
    float *out = xmalloc(*count * sizeof *out);
    if (p->transposed) /* one of the base's own */
        param_to_file(p, own, out);
    else
        net->method->files->saved(net, p, shape, own, out);
    free(own);
    return out;
}

/* peft would load it, and every score would be that of no model at all. */
static int check_finite(const char *name, const float *values, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return err_set(err, ERR_NAN, "tensor '%s' holds %g", name, (double)values[i]);
    return 0;
}

/* In the format that they are saved in; in place. */
static void pack(float *values, size_t n, enum dtype dtype)
{
    if (dtype != DT_BF16)
        return;
    for (size_t i = 0; i < n; i++) {
        const uint16_t half = bf16_of_float(values[i]);
        memcpy((char *)values + i * sizeof half, &half, sizeof half);
    }
}

static int add_values(const char *name, float *values, size_t n, enum dtype dtype,
                      struct fs_writer *out, struct err *err)
{
    const int rc = check_finite(name, values, n, err);
    if (rc)
        return rc;
    pack(values, n, dtype);
    return fs_writer_add(out, values, n * dtype_bytes(dtype), err);
}

/* What is saved as it is, rows at a time. */
static int save_rows(const struct backend *b, const struct param *p,
                     struct fs_writer *out, struct err *err)
{
    const int32_t step = param_piece_rows(p);
    const size_t row = (size_t)p->cols * sizeof(float);
    float *piece = xmalloc((size_t)step * row);
    int rc = 0;
    for (int32_t at = 0; at < p->rows && !rc; at += step) {
        const int32_t count = p->rows - at < step ? p->rows - at : step;
        b->download(b->device, piece, (const char *)p->value.data + (size_t)at * row,
                    (size_t)count * row);
        rc = add_values(p->name, piece, (size_t)count * (size_t)p->cols, saved_dtype(p),
                        out, err);
    }
    free(piece);
    return rc;
}

struct saving {
    const struct net *net;
    const struct backend *backend;
};

/* A tensor at a time, so that no second copy of all is in memory. */
static int save_tensor(void *ctx, const void *data, struct fs_writer *out,
                       struct err *err)
{
    const struct saving *s = ctx;
    const struct param *p = data;
    int64_t shape[2];
    size_t count;
    float *values;
    char *name;
    if (p && !s->net->method->files->saved && !p->transposed)
        return save_rows(s->backend, p, out, err);
    if (p) {
        name = tensor_name(s->net, p);
        values = saved_values(s->net, s->backend, p, shape, &count);
    } else {
        const char *derived;
        values = s->net->method->files->derived(s->net, s->backend, &derived, shape);
        count = (size_t)(shape[0] * shape[1]);
        name = xstrdup(derived);
    }
    const int rc = add_values(name, values, count, p ? saved_dtype(p) : DT_F32, out, err);
    free(values);
    free(name);
    return rc;
}

static void add_derived(const struct saving *s, struct st_writer *w, int64_t *bytes)
{
    const char *name;
    int64_t shape[2];
    float *values = s->net->method->files->derived(s->net, s->backend, &name, shape);
    if (values) {
        st_writer_add(w, name, DT_F32, 2, shape, NULL);
        *bytes += shape[0] * shape[1] * (int64_t)sizeof *values;
    }
    free(values);
}

static int save_file(const struct net *net, const struct backend *backend,
                     const char *dir, const char *file, int64_t *bytes, struct err *err)
{
    struct saving s = {net, backend};
    struct st_writer *w = st_writer_new();
    if (net->method->files->format_pt)
        st_writer_meta(w, "format", "pt");
    for (size_t i = 0; i < net->params.count; i++) {
        const struct param *p = net->params.items[i];
        const enum dtype dtype = saved_dtype(p);
        int64_t shape[2];
        if (!in_file(net, p, file))
            continue;
        char *name = tensor_name(net, p);
        *bytes += (int64_t)(saved_shape(net, p, shape) * dtype_bytes(dtype));
        st_writer_add(w, name, dtype, p->ndim, p->ndim == 1 ? shape + 1 : shape, p);
        free(name);
    }
    if (net->method->files->derived && str_eq(file, net->method->files->tensors))
        add_derived(&s, w, bytes);
    char *path = fs_join(dir, file);
    const int rc = st_writer_make(w, path, save_tensor, &s, err);
    free(path);
    st_writer_free(w);
    return rc;
}

int adapter_save(const struct net *net, const struct backend *backend, const char *dir,
                 const char *const *label_names, int64_t *bytes, struct err *err)
{
    const struct adapter_files *f = net->method->files;
    *bytes = 0;
    int rc = fs_mkdirs(dir, err);
    if (!rc)
        rc = save_file(net, backend, dir, f->tensors, bytes, err);
    if (!rc && head_file(net))
        rc = save_file(net, backend, dir, head_file(net), bytes, err);
    if (!rc && has_encoder(net))
        rc = save_file(net, backend, dir, f->encoder_tensors, bytes, err);
    if (!rc && f->defaults)
        rc = config_write(dir, "adapter_config.json", config_make(net, CONFIG_TO_WRITE),
                          err);
    return rc || !f->write_config ? rc : f->write_config(net, dir, label_names, err);
}

static int take(const struct net *net, struct param *p, const struct st *file,
                const struct st_tensor *t, struct err *err)
{
    const struct adapter_files *f = net->method->files;
    int64_t shape[2];
    param_file_shape(p, shape);
    if (f->restored)
        f->restored(net, p, shape, NULL, NULL);
    const bool fits = t->ndim == p->ndim && t->shape[t->ndim - 1] == shape[1] &&
                      (t->ndim == 1 || t->shape[0] == shape[0]);
    if (!fits)
        return err_set(
            err, ERR_CONFIG,
            "tensor '%s' has %lld values in %d dimensions, the trial needs [%lld, %lld]",
            t->name, (long long)t->count, t->ndim, (long long)shape[0],
            (long long)shape[1]);
    float *values = xmalloc((size_t)t->count * sizeof *values);
    int rc = st_read_f32(t, values, err);
    st_drop_pages(file, t->data, t->bytes);
    if (!rc)
        rc = check_finite(t->name, values, (size_t)t->count, err);
    if (rc < 0)
        return free(values), rc;
    free(p->given);
    p->given = values;
    if (p->transposed) {
        p->given = xmalloc((size_t)t->count * sizeof *p->given);
        param_from_file(p, values, p->given);
        free(values);
    } else if (f->restored) {
        p->given = xcalloc((size_t)param_size(p), sizeof *p->given);
        f->restored(net, p, shape, values, p->given);
        free(values);
    }
    return 0;
}

static int load_file(struct net *net, const char *dir, const char *file, struct err *err)
{
    const struct adapter_files *f = net->method->files;
    struct st *s;
    char *path = fs_join(dir, file);
    int rc = fs_exists(path) || !f->partial ? st_open_file(path, &s, err)
                                            : st_open_folder(dir, &s, err);
    free(path);
    if (rc < 0)
        return rc;
    struct strmap *used = strmap_new();
    for (size_t i = 0; i < net->params.count && !rc; i++) {
        struct param *p = net->params.items[i];
        if (!in_file(net, p, file))
            continue;
        char *name = tensor_name(net, p);
        const struct st_tensor *t = st_find(s, name);
        strmap_put(used, name, strlen(name), 1);
        if (t)
            rc = take(net, p, s, t, err);
        else if (!f->partial)
            rc = err_set(err, ERR_CONFIG,
                         "%s has no tensor '%s'; was it made by another method or with "
                         "other targets?",
                         file, name);
        free(name);
    }
    for (size_t i = 0; i < st_count(s) && !rc; i++) {
        const char *name = st_at(s, i)->name;
        int64_t known;
        if (!strmap_get(used, name, strlen(name), &known) &&
            !(f->optional && f->optional(name)))
            rc = err_set(err, ERR_CONFIG,
                         "%s holds '%s', which the trial's method does not have there",
                         file, name);
    }
    strmap_free(used);
    st_close(s);
    return rc;
}

int adapter_load(struct net *net, const char *dir, struct err *err)
{
    const struct adapter_files *f = net->method->files;
    int rc = fs_is_dir(dir) ? 0 : err_set(err, ERR_NOINPUT, "no such folder");
    if (!rc)
        rc = config_check(net, dir, err);
    const bool agrees = !rc;
    if (!rc)
        rc = load_file(net, dir, f->tensors, err);
    if (!rc && head_file(net))
        rc = load_file(net, dir, head_file(net), err);
    if (!rc && has_encoder(net))
        rc = load_file(net, dir, f->encoder_tensors, err);
    if (agrees && rc == -(int)ERR_CONFIG)
        rc = config_explain(net, dir, err);
    return rc < 0 ? err_context(err, "adapter folder '%s': ", dir) : 0;
}
