/* runner/convert/whole_model.c - a whole model as llama.cpp's GGUF.
 *
 * Keys come from config.json and the tokenizer's files; of a base that is a GGUF file itself
 * its own are kept as they are. Matrices are written as --dtype says, or in F16 where rows
 * are no whole blocks; norms, biases and other rows of numbers in F32. One tensor lies in
 * memory at a time. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/convert/convert.h"
#include "runner/convert/gguf_parts.h"
#include "runner/convert/merged_trial.h"
#include "runner/hub/gguf/scaling.h"
#include "runner/hub/hf_model.h"
#include "runner/merge/merged_model.h"
#include "runner/nn/arch/arch.h"
#include <stdlib.h>
#include <string.h>

struct job {
    const struct convert *c;
    const struct hf_model *hf;
    struct merged *m;
    const struct gguf_family *family;
    struct gguf_writer *w;
    struct divisors divisors[DIVISORS_MAX];
    int64_t tensors;
};

/* ---- keys -------------------------------------------------------------------------- */

/* What says how the other file is stored. */
static bool is_of_storage(const char *key)
{
    static const char *const own[] = {"general.alignment", "general.file_type",
                                      "general.quantization_version"};
    bool found = str_has_prefix(key, "split.") || str_has_prefix(key, "quantize.");
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        found |= str_eq(key, own[i]);
    return found;
}

static int copy_keys(struct job *j, struct err *err)
{
    struct gguf *g;
    int rc = gguf_open(j->hf->dir, &g, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < g->pair_count; i++)
        if (!is_of_storage(g->pairs[i].key))
            gguf_put_pair(j->w, &g->pairs[i]);
    for (size_t i = 0, n = 0; i < g->tensor_count && n < DIVISORS_MAX; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        if (!gguf_rope_tensor(t->name))
            continue;
        struct divisors *d = &j->divisors[n++];
        *d = (struct divisors){xstrdup(t->name),
                               xcalloc((size_t)t->count, sizeof *d->values),
                               (int32_t)t->count};
        memcpy(d->values, t->data, t->bytes); /* F32, as the reader sees to */
    }
    gguf_close(g);
    return 0;
}

static int make_keys(struct job *j, struct err *err)
{
    char *path = fs_absolute(j->hf->dir);
    const char *name = strrchr(path, '/') + 1;
    gguf_put_string(j->w, "general.architecture", j->family->name,
                    strlen(j->family->name));
    gguf_put_string(j->w, "general.type", "model", 5);
    gguf_put_string(j->w, "general.name", name, strlen(name));
    free(path);
    int rc = gguf_keys_put(j->w, j->hf->config, j->family, j->divisors, err);
    return rc ? rc : gguf_vocab_put(j->w, j->hf->dir, j->hf->config, err);
}

/* ---- tensors ----------------------------------------------------------------------- */

static bool is_norm(const char *name)
{
    return str_has_suffix(name, "norm.weight");
}

/* Columns to rows. */
static void turn(float *values, int64_t rows, int64_t cols)
{
    float *copy = xmalloc((size_t)(rows * cols) * sizeof *copy);
    memcpy(copy, values, (size_t)(rows * cols) * sizeof *copy);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            values[c * rows + r] = copy[r * cols + c];
    free(copy);
}

struct taking {
    float *out;
    size_t at;
};

static int take(void *ctx, const float *values, size_t count, struct err *err)
{
    struct taking *t = ctx;
    (void)err;
    memcpy(t->out + t->at, values, count * sizeof *values);
    t->at += count;
    return 0;
}

static int values_of(void *ctx, const struct gguf_new_tensor *t, float *out,
                     struct err *err)
{
    struct job *j = ctx;
    const struct param *p = t->source;
    for (size_t i = 0; i < DIVISORS_MAX; i++)
        if (j->divisors[i].values && t->source == &j->divisors[i]) {
            memcpy(out, j->divisors[i].values,
                   (size_t)j->divisors[i].count * sizeof *out);
            return 0;
        }
    int rc = merged_read(j->m, p, take, &(struct taking){out, 0}, err);
    if (!rc && t->turned)
        turn(out, t->shape[1], t->shape[0]);
    for (int64_t i = 0;
         !rc && j->family->norms_offset && is_norm(p->name) && i < param_size(p); i++)
        out[i] += 1;
    return rc;
}

static const struct block_type *type_of(const struct job *j,
                                        const struct gguf_new_tensor *t)
{
    if (t->ndim < 2)
        return block_type_named("F32");
    return t->shape[t->ndim - 1] % j->c->dtype->elements ? block_type_named("F16")
                                                         : j->c->dtype;
}

/* As the file has it, or with the prefix that some files leave out. */
static char *name_of(const struct job *j, const char *hf, enum gguf_rows *rows)
{
    char *name = gguf_name_of_hf(j->family, hf, rows);
    if (name)
        return name;
    const struct arch *arch = arch_find(j->hf->model_type, NULL);
    char *whole = xasprintf("%s%s", arch ? arch->base_prefix : "", hf);
    name = gguf_name_of_hf(j->family, whole, rows);
    free(whole);
    return name;
}

static int no_name(const struct job *j, const char *tensor, struct err *err)
{
    return err_set(err, ERR_CONFIG, "tensor '%.100s' has no name in GGUF files of %s",
                   tensor, j->family->name);
}

static int add_tensor(struct job *j, const struct param *p, struct err *err)
{
    const struct net_shape *net = &j->m->s->net.shape;
    enum gguf_rows rows;
    int64_t shape[2];
    char *name = name_of(j, p->name, &rows);
    if (!name)
        return no_name(j, p->name, err);
    param_file_shape(p, shape);
    struct gguf_new_tensor out = {
        .name = name,
        .ndim = p->ndim,
        .shape = {shape[p->ndim == 1], p->ndim > 1 ? shape[1] : 0},
        .source = p};
    if (rows == GGUF_ROWS_COLUMNS) {
        out.turned = true;
        out.shape[0] = shape[1];
        out.shape[1] = shape[0];
    } else if (rows != GGUF_ROWS_OWN) {
        out.heads = rows == GGUF_ROWS_Q || !net->kv_heads ? net->heads : net->kv_heads;
    }
    out.type = type_of(j, &out);
    gguf_writer_add(j->w, &out);
    j->tensors++;
    free(name);
    return 0;
}

/* Tensors that transformers does not read either: tables that it makes itself, GPT-2's
 * masks, a head that is the table of embeddings. And parts of what is in 4 bits. */
static bool is_left_out(const struct job *j, const struct st_tensor *t)
{
    const char *weight = strstr(t->name, ".weight.");
    if (weight) {
        char *whole = xstrndup(t->name, (size_t)(weight - t->name) + strlen(".weight"));
        const struct st_tensor *of = st_find(j->hf->weights, whole);
        free(whole);
        if (of && of->q4)
            return true;
    }
    return str_has_suffix(t->name, ".rotary_emb.inv_freq") ||
           str_has_suffix(t->name, ".attn.masked_bias") ||
           (str_has_suffix(t->name, ".attn.bias") && t->ndim == 4) ||
           (str_eq(t->name, "lm_head.weight") && j->m->s->net.shape.tied);
}

/* Whoever loads the file must not miss what the base's own has. */
static int check_unread(const struct job *j, const struct st_tensor *t, struct err *err)
{
    const struct param *p;
    for (size_t i = 0; (p = merged_at(j->m, i)); i++)
        if (p->base == t)
            return 0;
    return is_left_out(j, t) ? 0 : no_name(j, t->name, err);
}

static int add_tensors(struct job *j, struct err *err)
{
    int rc = 0;
    const struct param *p;
    for (size_t i = 0; i < st_count(j->hf->weights) && !rc; i++)
        rc = check_unread(j, st_at(j->hf->weights, i), err);
    for (size_t i = 0; (p = merged_at(j->m, i)) && !rc; i++)
        rc = add_tensor(j, p, err);
    for (size_t i = 0; i < DIVISORS_MAX && j->divisors[i].values && !rc; i++) {
        struct divisors *d = &j->divisors[i];
        gguf_writer_add(j->w, &(struct gguf_new_tensor){.name = d->name,
                                                        .type = block_type_named("F32"),
                                                        .ndim = 1,
                                                        .shape = {d->count},
                                                        .source = d});
        j->tensors++;
    }
    return rc;
}

/* ------------------------------------------------------------------------------------ */

static int write_model(struct job *j, struct convert_report *out, struct err *err)
{
    j->family = gguf_family_of(j->hf->model_type);
    if (!j->family)
        return err_set(err, ERR_CONFIG,
                       "models of type '%s' have no name in GGUF here (%s have)",
                       j->hf->model_type, gguf_family_names(true));
    j->w = gguf_writer_new();
    int rc = (gguf_is_file(j->hf->dir) ? copy_keys : make_keys)(j, err);
    if (!rc) {
        gguf_put_file_type(j->w, j->c->dtype);
        rc = add_tensors(j, err);
    }
    if (!rc)
        rc = gguf_writer_save(j->w, j->c->out, values_of, j, &out->bytes, err);
    out->tensors = j->tensors;
    gguf_writer_free(j->w);
    for (size_t i = 0; i < DIVISORS_MAX; i++) {
        free(j->divisors[i].values);
        free(j->divisors[i].name);
    }
    return rc;
}

int convert_gguf(const struct convert *c, struct convert_report *out, struct err *err)
{
    struct session s;
    struct merged m;
    struct job j = {.c = c, .m = &m};
    json_t *resolved;
    int rc = merged_trial(c, &resolved, err);
    if (rc)
        return rc;
    rc = session_open(&s, resolved, ".", merged_adapter(c), false, err);
    if (!rc)
        rc = merged_open(&m, &s, err);
    j.hf = s.hf;
    if (!rc && (rc = write_model(&j, out, err)))
        err_context(err, "model '%s': ", s.hf->dir);
    session_close(&s);
    json_decref(resolved);
    return rc;
}
