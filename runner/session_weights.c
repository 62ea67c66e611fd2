/* runner/session_weights.c - the values that parameters start from, into memory; frozen
 * weights of the base out of the cache, where there is one. */
#include "kernels/nf4.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/graph/param_values.h"
#include "runner/session.h"
#include <stdlib.h>
#include <string.h>

/* A smaller parameter is not worth a file, a base with less of them not its hash. In a pack
 * (pack/pack.h) all are shared, where nothing is kept in files too. */
#define SHARED_MIN ((size_t)64 << 10)
#define BASE_MIN   ((size_t)1 << 20)
#define WEIGHTS    "weights"

/* What lies in 4 bits in the file goes into memory as it is: a quantised weight is the
 * bytes of q4_layout on every backend. */
static int put_q4(struct session *s, const struct param *p, struct err *err)
{
    const size_t bytes = q4_layout(&p->spec).bytes;
    void *q = mem_try_aligned(bytes);
    if (!q)
        return err_set(err, ERR_NOMEM, "no memory for the values of '%s'", p->name);
    st_q4_bytes(p->base->q4, q);
    s->backend->upload(s->backend->device, p->prepared.data, q, bytes);
    mem_free_aligned(q);
    st_drop_pages(s->hf->weights, p->base->data, p->base->bytes);
    return 0;
}

static int upload_rows(struct session *s, const struct param *p,
                       struct param_source *from, struct err *err)
{
    const int32_t step = param_piece_rows(p);
    const size_t row = (size_t)p->cols * sizeof(float);
    float *piece = xmalloc((size_t)step * row);
    int rc = 0;
    for (int32_t at = 0; at < p->rows && !rc; at += step) {
        const int32_t count = p->rows - at < step ? p->rows - at : step;
        rc = param_source_read(from, at, count, piece, err);
        if (!rc)
            s->backend->upload(s->backend->device,
                               (char *)p->value.data + (size_t)at * row, piece,
                               (size_t)count * row);
    }
    free(piece);
    return rc;
}

static int put_values(struct session *s, struct param *p, struct err *err)
{
    struct param_source from;
    const struct weight_rows rows = {param_source_read, &from};
    int rc = param_source_open(&from, p, s->hf->weights, s->course.seed, err);
    if (!rc && param_is_prepared(p))
        rc = s->backend->weight_prepare(s->backend->device, &p->spec, &rows,
                                        p->prepared.data, err);
    if (!rc && param_is_plain(p))
        rc = upload_rows(s, p, &from, err);
    param_source_close(&from);
    return rc;
}

/* --- what the bytes of a prepared weight follow from --- */

static int add_hash(struct session *s, const char *path, const struct fs_stamp *stamp,
                    struct buf *out)
{
    char hex[SHA256_HEX];
    const int rc = cache_file_hash(s->weights.cache, path, stamp, hex, NULL);
    if (!rc)
        buf_printf(out, "%s\n", hex);
    return rc;
}

/* This program (so that nobody has to count the versions of a packing), the vectors that it
 * packs for, and all that the weights' files hold: parts of one may lie in several. */
static int add_sources(struct session *s, struct buf *out)
{
    const struct st *files = s->hf->weights;
    int rc = add_hash(s, "/proc/self/exe", NULL, out);
    buf_printf(out, "%s %s\n", s->backend->name, s->backend->variant);
    for (size_t i = 0; i < st_file_count(files) && !rc; i++) {
        const struct st_file *f = st_file_at(files, i);
        rc = f->stamp.inode ? add_hash(s, f->path, &f->stamp, out) : -1;
    }
    return rc;
}

/* File and place: bytes of other files lie at no place. */
static void add_place(const struct session *s, const void *data, struct buf *out)
{
    for (size_t i = 0; i < st_file_count(s->hf->weights); i++) {
        const struct st_file *f = st_file_at(s->hf->weights, i);
        const uintptr_t at = (uintptr_t)data - (uintptr_t)f->data;
        if (data && at < f->size)
            buf_printf(out, " %zu:%zu", i, (size_t)at);
    }
    buf_char(out, '\n');
}

static void add_tensor(const struct session *s, const struct st_tensor *t,
                       struct buf *out)
{
    buf_printf(out, "%s %d %s %d %d %d %.9g %zu [", t->name, (int)t->dtype, t->word,
               (int)t->rounded, (int)t->heads, t->turned, (double)t->offset, t->bytes);
    for (int i = 0; i < t->ndim; i++)
        buf_printf(out, " %lld", (long long)t->shape[i]);
    buf_printf(out, " ]");
    add_place(s, t->data, out);
    for (int i = 0; t->q4 && i < 3; i++)
        add_place(s,
                  ((const void *const[]){t->q4->codes, t->q4->absmax, t->q4->absmax2})[i],
                  out);
    if (t->q4)
        buf_printf(out, "%.9g\n", (double)t->q4->offset);
}

static void add_spec(const struct weight_spec *w, struct buf *out)
{
    buf_printf(out, "%d %d %d %d %d %d %d %d %d\n", (int)w->rows, (int)w->cols,
               (int)w->quant, (int)w->block, w->double_quant, w->dx_panels,
               (int)w->compute, (int)w->rounded, (int)w->stored);
}

static void add_param(const struct session *s, const struct param *p, struct buf *out)
{
    buf_printf(out, "%d %d %d %d %d %d %d %zu\n", p->ndim, (int)p->rows, (int)p->cols,
               p->column, p->transposed, param_is_plain(p), param_is_prepared(p),
               p->bytes);
    add_spec(&p->spec, out);
    struct weight_spec trip = p->spec;
    trip.quant = p->round_trip;
    add_spec(&trip, out);
    add_tensor(s, p->base, out);
    if (p->base->q4)
        add_spec(&p->base->q4->spec, out);
}

static char *key_of(const struct session *s, const struct param *p)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "%s", s->weights.sources);
    add_param(s, p, &b);
    char *key = xstrdup(buf_str(&b));
    buf_release(&b);
    return key;
}

/* --- which lie there --- */

/* What follows from the base alone. Not what trains, an adapter gives, or PiSSA takes out. */
static bool may_share(const struct session *s, const struct param *p)
{
    return !p->trainable && p->base && !p->given && !p->less.rank && !p->derived &&
           p->bytes >= (s->seat.pack ? 1 : SHARED_MIN);
}

/* Matrices alone tell: of vectors some may train, which is little. What a method takes out
 * of the base when it starts is not known before. */
size_t session_base_bytes(const struct session *s, char base[SHA256_HEX])
{
    struct buf b = BUF_INIT;
    size_t bytes = 0;
    buf_printf(&b, "%s\n", s->hf->dir);
    for (size_t i = 0; i < s->net.params.count; i++) {
        const struct param *p = s->net.params.items[i];
        if (p->trainable || !p->base || p->given || p->derived)
            continue;
        bytes += p->bytes;
        if (param_is_prepared(p)) {
            buf_printf(&b, "%s ", p->name);
            add_spec(&p->spec, &b);
        }
    }
    sha256_hex(buf_str(&b), strlen(buf_str(&b)), base);
    buf_release(&b);
    return bytes;
}

static bool open_cache(struct session *s)
{
    struct weights *w = &s->weights;
    struct buf sources = BUF_INIT;
    size_t bytes = 0;
    for (size_t i = 0; i < s->net.params.count; i++)
        bytes += may_share(s, s->net.params.items[i]) ? s->net.params.items[i]->bytes : 0;
    const bool host = str_eq(s->backend->name, "cpu");
    w->cache = host && bytes >= BASE_MIN ? cache_open() : NULL;
    if (host && (w->cache || s->seat.pack) && add_sources(s, &sources) == 0)
        w->sources = xstrdup(buf_str(&sources));
    buf_release(&sources);
    return w->sources != NULL;
}

/* The keys of what is there or has room to be kept: all that is missing, or none of it. */
static char **find_keys(const struct session *s)
{
    const struct params *all = &s->net.params;
    char **keys = xcalloc(all->count + 1, sizeof *keys);
    bool *missing = xcalloc(all->count + 1, sizeof *missing);
    size_t bytes = 0;
    for (size_t i = 0; i < all->count; i++)
        if (may_share(s, all->items[i])) {
            keys[i] = key_of(s, all->items[i]);
            missing[i] =
                !s->seat.pack && !cache_holds(s->weights.cache, WEIGHTS, keys[i]);
            bytes += missing[i] ? all->items[i]->bytes : 0;
        }
    const bool room = !bytes || cache_has_room(s->weights.cache, bytes);
    for (size_t i = 0; i < all->count; i++)
        if (missing[i] && !room) {
            free(keys[i]);
            keys[i] = NULL;
        }
    free(missing);
    return keys;
}

void session_share_weights(struct session *s)
{
    struct weights *w = &s->weights;
    if (!open_cache(s))
        return;
    w->keys = find_keys(s);
    w->entries = xcalloc(s->net.params.count + 1, sizeof *w->entries);
    w->owned = xcalloc(s->net.params.count + 1, sizeof *w->owned);
    size_t at = 0;
    for (size_t i = 0; i < s->net.params.count; i++) {
        struct param *p = s->net.params.items[i];
        if (p->trainable)
            continue;
        p->offset = w->keys[i] ? 0 : at;
        *(w->keys[i] ? &w->outside : &at) += p->bytes;
    }
}

/* --- into memory --- */

/* In pieces, so that little lies in memory twice. */
static int put_start_values(struct session *s, struct param *p, struct err *err)
{
    return param_lies_quantised(p) ? put_q4(s, p, err) : put_values(s, p, err);
}

struct making {
    struct session *s;
    struct param *p;
    const char *key;
};

/* What changed under its hands is not kept: its key says what was there before. */
static int make_entry(void *ctx, void *dst, struct err *err)
{
    const struct making *m = ctx;
    struct session *s = m->s;
    int rc;
    param_bind(m->p, dst, NULL);
    rc = put_start_values(s, m->p, err);
    for (size_t i = 0; i < st_file_count(s->hf->weights) && !rc; i++) {
        const struct st_file *f = st_file_at(s->hf->weights, i);
        struct fs_stamp now;
        rc = !fs_stamp(f->path, &now) || !fs_stamp_eq(&f->stamp, &now);
    }
    return rc;
}

static int take_entry(void *ctx, struct cache_entry *out, struct err *err)
{
    struct making *m = ctx;
    return cache_take(m->p->bytes < SHARED_MIN ? NULL : m->s->weights.cache, WEIGHTS,
                      m->key, m->p->bytes, make_entry, m, out, err);
}

static int put_shared(struct session *s, size_t i, struct err *err)
{
    struct weights *w = &s->weights;
    struct param *p = s->net.params.items[i];
    struct making m = {s, p, w->keys[i]};
    const int rc = s->seat.pack ? pack_weight_take(s->seat.pack, w->keys[i], take_entry,
                                                   &m, &w->entries[i], err)
                                : take_entry(&m, &w->entries[i], err);
    if (rc)
        return rc;
    param_bind(p, w->entries[i].data, NULL);
    s->allocated[MEM_weights] += p->bytes;
    s->shared_bytes += w->entries[i].mapped ? p->bytes : 0;
    return 0;
}

int session_put_param(struct session *s, size_t i, struct err *err)
{
    struct param *p = s->net.params.items[i];
    if (s->weights.keys && s->weights.keys[i])
        return put_shared(s, i, err);
    param_bind(p, s->arena[p->trainable ? MEM_trainable : MEM_weights],
               s->arena[MEM_gradients]);
    const int rc = put_start_values(s, p, err);
    p->derived &= !p->given || !p->trainable;
    free(p->given);
    p->given = NULL;
    return rc;
}

static int copy_entry(void *ctx, void *dst, struct err *err)
{
    const struct cache_entry *from = ctx;
    (void)err;
    memcpy(dst, from->data, from->bytes);
    return 0;
}

static void drop_entry(struct session *s, size_t i)
{
    struct weights *w = &s->weights;
    if (s->seat.pack && w->keys[i] && !w->owned[i] && w->entries[i].data)
        pack_weight_drop(s->seat.pack, w->keys[i]);
    else
        cache_entry_release(&w->entries[i]);
}

/* The pack's entry stays as it is. */
static int leave_pack(struct session *s, size_t i, struct err *err)
{
    struct weights *w = &s->weights;
    struct cache_entry own;
    int rc = cache_take(NULL, WEIGHTS, w->keys[i], w->entries[i].bytes, copy_entry,
                        &w->entries[i], &own, err);
    if (rc)
        return rc;
    drop_entry(s, i);
    w->entries[i] = own;
    w->owned[i] = true;
    param_bind(s->net.params.items[i], own.data, NULL);
    return 0;
}

int session_own_param(struct session *s, const struct param *p, struct err *err)
{
    struct weights *w = &s->weights;
    for (size_t i = 0; w->entries && i < s->net.params.count; i++)
        if (s->net.params.items[i] == p)
            return w->keys[i] && s->seat.pack && !w->owned[i]
                       ? leave_pack(s, i, err)
                       : cache_entry_own(&w->entries[i], err);
    return 0;
}

void session_release_weights(struct session *s)
{
    struct weights *w = &s->weights;
    for (size_t i = 0; w->entries && i < s->net.params.count; i++) {
        drop_entry(s, i);
        free(w->keys[i]);
    }
    free(w->entries);
    free(w->owned);
    free(w->keys);
    free(w->sources);
    cache_close(w->cache);
    *w = (struct weights){0};
}
