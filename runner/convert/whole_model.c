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
#include "runner/convert/adapter_net.h"
#include "runner/convert/convert.h"
#include "runner/convert/gguf_parts.h"
#include "runner/convert/merged_base.h"
#include "runner/hub/hf_model.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job {
    const struct convert *c;
    struct hf_model *hf;
    const char *text; /* where keys and tokenizer are: the base's folder or GGUF file */
    const struct gguf_family *family;
    struct gguf_writer *w;
    float *divisors; /* of rotary frequencies; NULL: none */
    int32_t divisor_count;
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
    int rc = gguf_open(j->text, &g, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < g->pair_count; i++)
        if (!is_of_storage(g->pairs[i].key))
            gguf_put_pair(j->w, &g->pairs[i]);
    gguf_close(g);
    return 0;
}

static int make_keys(struct job *j, struct err *err)
{
    char *path = fs_absolute(j->text);
    const char *name = strrchr(path, '/') + 1;
    gguf_put_string(j->w, "general.architecture", j->family->name,
                    strlen(j->family->name));
    gguf_put_string(j->w, "general.type", "model", 5);
    gguf_put_string(j->w, "general.name", name, strlen(name));
    free(path);
    int rc = gguf_keys_put(j->w, j->hf->config, j->family, &j->divisors,
                           &j->divisor_count, err);
    return rc ? rc : gguf_vocab_put(j->w, j->text, j->hf->config, err);
}

/* ---- tensors ----------------------------------------------------------------------- */

static int values_of(void *ctx, const struct gguf_new_tensor *t, float *out,
                     struct err *err)
{
    struct job *j = ctx;
    const struct st_tensor *from = t->source;
    if (!from) {
        memcpy(out, j->divisors, (size_t)j->divisor_count * sizeof *out);
        return 0;
    }
    int rc = st_read_f32(from, out, err);
    st_drop_pages(j->hf->weights, from->data, from->bytes);
    return rc;
}

static const struct block_type *type_of(const struct job *j, const struct st_tensor *t)
{
    if (t->ndim < 2)
        return block_type_named("F32");
    return t->shape[t->ndim - 1] % j->c->dtype->elements ? block_type_named("F16")
                                                         : j->c->dtype;
}

/* Tensors that transformers does not read either. */
static bool is_left_out(const struct job *j, const char *name)
{
    return str_has_suffix(name, ".rotary_emb.inv_freq") ||
           (str_eq(name, "lm_head.weight") &&
            json_get_bool(j->hf->config, "tie_word_embeddings", 0));
}

static int add_tensor(struct job *j, const struct st_tensor *t, struct err *err)
{
    enum gguf_rows rows;
    char *name = gguf_name_of_hf(j->family, t->name, &rows);
    if (!name)
        return is_left_out(j, t->name)
                   ? 0
                   : err_set(err, ERR_CONFIG,
                             "tensor '%.100s' has no name in GGUF files of %s", t->name,
                             j->family->name);
    if (!is_left_out(j, t->name) && t->ndim <= 2) {
        const char *key =
            rows == GGUF_ROWS_Q ? "num_attention_heads" : "num_key_value_heads";
        struct gguf_new_tensor out = {
            .name = name,
            .type = type_of(j, t),
            .ndim = t->ndim,
            .shape = {t->shape[0], t->ndim > 1 ? t->shape[1] : 0},
            .source = t};
        if (rows != GGUF_ROWS_OWN)
            out.heads = (int32_t)json_get_int(
                j->hf->config, key,
                json_get_int(j->hf->config, "num_attention_heads", 0));
        gguf_writer_add(j->w, &out);
        j->tensors++;
    }
    free(name);
    return 0;
}

static int add_tensors(struct job *j, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < st_count(j->hf->weights) && !rc; i++)
        rc = add_tensor(j, st_at(j->hf->weights, i), err);
    if (!rc && j->divisors) {
        gguf_writer_add(j->w,
                        &(struct gguf_new_tensor){.name = (char *)"rope_freqs.weight",
                                                  .type = block_type_named("F32"),
                                                  .ndim = 1,
                                                  .shape = {j->divisor_count}});
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
    if (j->family->adapters_only)
        return err_set(err, ERR_CONFIG,
                       "whole models of type '%s' are not written as GGUF yet (their "
                       "adapters are: --to gguf-lora)",
                       j->hf->model_type);
    j->w = gguf_writer_new();
    int rc = (gguf_is_file(j->text) ? copy_keys : make_keys)(j, err);
    if (!rc) {
        gguf_put_file_type(j->w, j->c->dtype);
        rc = add_tensors(j, err);
    }
    if (!rc)
        rc = gguf_writer_save(j->w, j->c->out, values_of, j, &out->bytes, err);
    out->tensors = j->tensors;
    gguf_writer_free(j->w);
    free(j->divisors);
    return rc;
}

static int open_and_write(const struct convert *c, const char *model, const char *text,
                          struct convert_report *out, struct err *err)
{
    struct job j = {.c = c};
    int rc = hf_model_open(model, &j.hf, err);
    if (rc)
        return rc;
    j.text = text ? text : j.hf->dir;
    rc = model_check(j.hf, err);
    if (!rc)
        rc = write_model(&j, out, err);
    hf_model_close(j.hf);
    return rc ? err_context(err, "model '%s': ", model) : 0;
}

static int write_merged(const struct convert *c, struct convert_report *out,
                        struct err *err)
{
    struct merge_report merged;
    char *dir = xasprintf("%s.merged-%d", c->out, (int)getpid()), *base = NULL;
    int rc = merged_base_write(c, dir, &base, &merged, err);
    if (!rc) {
        rc = open_and_write(c, dir, base, out, err);
        fs_remove_tree(dir, NULL);
    }
    free(dir);
    free(base);
    return rc;
}

int convert_gguf(const struct convert *c, struct convert_report *out, struct err *err)
{
    if (c->kind == FROM_GGUF_LORA)
        return err_set(err, ERR_CONFIG,
                       "'%s' is an adapter in a GGUF file: make a folder of it first "
                       "(--to peft), which is merged then",
                       c->path);
    return c->kind == FROM_ADAPTER ? write_merged(c, out, err)
                                   : open_and_write(c, c->path, NULL, out, err);
}
