/* runner/merge/weights.c - see weights.h. */
#include "runner/merge/weights.h"
#include "kernels/half.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>

struct writing {
    struct merged *m;
    const char *dir;
    const struct merge_target *to;
    struct merge_report *out;
    json_t *map; /* tensor to file */
};

static enum dtype written_dtype(const struct writing *w, const struct param *p)
{
    return w->to->dtype == DT_COUNT ? merged_dtype(w->m, p) : w->to->dtype;
}

/* --- a tensor's values into the file --- */

enum { PACKED = 1 << 16 };

struct filling {
    const struct writing *w;
    const struct param *p;
    enum dtype dtype;
    struct fs_writer *file;
};

struct packing {
    const float *from;
    uint16_t *to;
    enum dtype dtype;
};

static void pack(void *ctx, size_t begin, size_t end, int thread)
{
    const struct packing *p = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        p->to[i] =
            p->dtype == DT_F16 ? half_of_float(p->from[i]) : bf16_of_float(p->from[i]);
}

static bool fits(uint16_t x, enum dtype dtype)
{
    const uint16_t exponent = dtype == DT_F16 ? 0x7c00 : 0x7f80;
    return (x & exponent) != exponent;
}

static int add_packed(const struct filling *f, const float *values, size_t n,
                      struct err *err)
{
    uint16_t *packed = xmalloc(n * sizeof *packed);
    pool_run(pack, &(struct packing){values, packed, f->dtype}, n, PACKED);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++)
        if (!fits(packed[i], f->dtype))
            rc = err_set(err, ERR_CONFIG,
                         "the merged '%s' holds %g, which %s cannot (give another "
                         "--dtype)",
                         f->p->name, (double)values[i], dtype_word(f->dtype));
    if (!rc)
        rc = fs_writer_add(f->file, packed, n * sizeof *packed, err);
    free(packed);
    return rc;
}

static int add_values(void *ctx, const float *values, size_t count, struct err *err)
{
    const struct filling *f = ctx;
    const size_t piece = 16 * PACKED;
    int rc = 0;
    if (f->dtype == DT_F32)
        return fs_writer_add(f->file, values, count * sizeof *values, err);
    for (size_t at = 0; at < count && !rc; at += piece)
        rc = add_packed(f, values + at, count - at < piece ? count - at : piece, err);
    return rc;
}

static int write_tensor(void *ctx, const void *data, struct fs_writer *file,
                        struct err *err)
{
    const struct writing *w = ctx;
    struct filling f = {w, data, written_dtype(w, data), file};
    return merged_read(w->m, f.p, add_values, &f, err);
}

/* --- files --- */

static int64_t bytes_of(const struct writing *w, const struct param *p)
{
    return param_size(p) * (int64_t)dtype_bytes(written_dtype(w, p));
}

/* Past the last tensor of the file that begins with tensor `at`. */
static size_t end_of(const struct writing *w, size_t at)
{
    const int64_t most = w->to->shard_bytes ? w->to->shard_bytes : MERGE_SHARD_BYTES;
    int64_t bytes = 0;
    const struct param *p;
    size_t i = at;
    for (; (p = merged_at(w->m, i)) && (i == at || bytes + bytes_of(w, p) <= most); i++)
        bytes += bytes_of(w, p);
    return i;
}

static int write_file(struct writing *w, const char *name, size_t begin, size_t end,
                      struct err *err)
{
    struct st_writer *file = st_writer_new();
    char *path = fs_join(w->dir, name);
    st_writer_meta(file, "format", "pt");
    for (size_t i = begin; i < end; i++) {
        const struct param *p = merged_at(w->m, i);
        int64_t shape[2];
        param_file_shape(p, shape);
        st_writer_add(file, p->name, written_dtype(w, p), p->ndim,
                      p->ndim == 1 ? shape + 1 : shape, p);
        json_object_set_new(w->map, p->name, json_string(name));
        w->out->tensors++;
        w->out->bytes += bytes_of(w, p);
    }
    const int rc = st_writer_make(file, path, write_tensor, w, err);
    st_writer_free(file);
    free(path);
    return rc;
}

static int write_index(const struct writing *w, struct err *err)
{
    char *path = fs_join(w->dir, "model.safetensors.index.json");
    json_t *index = json_pack("{s:{s:I}, s:O}", "metadata", "total_size",
                              (json_int_t)w->out->bytes, "weight_map", w->map);
    const int rc = json_write_file(path, index, 2, err);
    json_decref(index);
    free(path);
    return rc;
}

int merged_write(struct merged *m, const char *dir, const struct merge_target *to,
                 struct merge_report *out, struct err *err)
{
    struct writing w = {m, dir, to, out, json_object()};
    int rc = 0;
    for (size_t at = 0; merged_at(m, at); at = end_of(&w, at))
        out->files++;
    size_t at = 0;
    for (int64_t i = 1; i <= out->files && !rc; i++) {
        const size_t end = end_of(&w, at);
        char *name = out->files == 1 ? xstrdup("model.safetensors")
                                     : xasprintf("model-%05lld-of-%05lld.safetensors",
                                                 (long long)i, (long long)out->files);
        rc = write_file(&w, name, at, end, err);
        free(name);
        at = end;
    }
    if (!rc && out->files > 1)
        rc = write_index(&w, err);
    out->layers = m->layers;
    out->dtype = to->dtype == DT_COUNT ? merged_model_dtype(m) : to->dtype;
    json_decref(w.map);
    return rc;
}
