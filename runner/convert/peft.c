/* runner/convert/peft.c - an adapter as peft's folder: out of a run folder, or of llama.cpp's
 * file.
 *
 * A GGUF adapter has no options, but all of them follow: the sites from its tensors' names,
 * their ranks from shapes, alpha from its key (without one the scale is 1, so that alpha is
 * the rank). Rows of B are put back in transformers' order. */
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/convert/adapter_net.h"
#include "runner/convert/convert.h"
#include "runner/hub/gguf.h"
#include "runner/hub/gguf_family.h"
#include "runner/nn/adapter_files/formats.h"
#include "runner/run_folder.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- out of a folder --------------------------------------------------------------- */

struct folder {
    const struct convert *c;
    const struct adapter_net *a;
    struct convert_report *report;
};

static int copy_tensors(const struct folder *f, const char *dir, struct err *err)
{
    const char *file = f->a->net.method->files->tensors;
    char *from = fs_join(f->c->path, file), *to = fs_join(dir, file);
    struct fs_map map;
    struct st *s = NULL;
    int rc = st_open_file(from, &s, err);
    if (!rc)
        rc = fs_map(from, &map, err);
    if (!rc) {
        f->report->tensors = (int64_t)st_count(s);
        f->report->bytes = (int64_t)map.size;
        rc = fs_write_atomic(to, map.data, map.size, err);
        fs_unmap(&map);
    }
    st_close(s);
    free(from);
    free(to);
    return rc;
}

static int copy_folder(void *ctx, const char *dir, struct err *err)
{
    const struct folder *f = ctx;
    char *path = fs_join(f->c->path, "adapter_config.json");
    json_t *config = json_read_file(path, err);
    free(path);
    if (!config)
        return err_code(err);
    if (f->c->model)
        json_object_set_new(config, "base_model_name_or_path", json_string(f->c->model));
    int rc = copy_tensors(f, dir, err);
    if (rc)
        return json_decref(config), rc;
    return config_write(dir, "adapter_config.json", config, err);
}

static int make_folder(const struct convert *c, fs_write_folder *write, void *ctx,
                       struct err *err)
{
    const int rc =
        run_folder_check_replaced(c->out, adapter_folder_has, c->overwrite, err);
    return rc ? rc : fs_make_folder(c->out, write, ctx, err);
}

static int of_folder(const struct convert *c, struct convert_report *out, struct err *err)
{
    struct adapter_net a;
    struct folder f = {c, &a, out};
    int rc = adapter_net_open(&a, c->path, c->model, err);
    if (!rc && !a.net.method->files->defaults)
        rc =
            err_set(err, ERR_CONFIG, "method '%s' is none of peft's", a.net.method->name);
    if (!rc)
        rc = make_folder(c, copy_folder, &f, err);
    adapter_net_release(&a);
    return rc;
}

/* ---- out of a GGUF file ------------------------------------------------------------ */

struct lora_file {
    const struct convert *c;
    struct gguf *g;
    struct hf_model *hf;
    const struct gguf_family *family;
    double alpha; /* 0: none, and the scale is 1 */
    struct adapter_net a;
    struct convert_report *report;
};

static int check_keys(struct lora_file *f, struct err *err)
{
    json_t *arch = gguf_string(f->g, "general.architecture"),
           *type = gguf_string(f->g, "adapter.type");
    int rc = 0;
    f->family = gguf_family_of(f->hf->model_type);
    if (!f->family || !str_eq(f->family->name, json_string_value(arch)))
        rc = err_set(err, ERR_CONFIG,
                     "the adapter is for architecture '%.50s', the model is of type '%s'",
                     arch ? json_string_value(arch) : "", f->hf->model_type);
    else if (!str_eq(json_string_value(type), "lora"))
        rc = err_set(err, ERR_CONFIG, "adapter.type '%.50s' is not read (lora is)",
                     type ? json_string_value(type) : "");
    else if (gguf_find(f->g, "adapter.alora.invocation_tokens"))
        rc = err_set(err, ERR_CONFIG,
                     "adapter.alora.invocation_tokens: an adapter that begins at certain "
                     "tokens is not supported");
    (void)gguf_num(f->g, "adapter.lora.alpha", &f->alpha);
    if (!rc && !(f->alpha >= 0 && f->alpha <= 1e6))
        rc = err_set(err, ERR_PARSE, "adapter.lora.alpha must be 0 to 1e6");
    json_decref(arch);
    json_decref(type);
    return rc;
}

/* The module's path of "NAME.weight.lora_a"; NULL: not such a name. */
static char *path_of(const struct lora_file *f, const char *tensor, bool *b,
                     enum gguf_rows *rows)
{
    const size_t n = strlen(tensor);
    *b = str_has_suffix(tensor, ".lora_b");
    if (n < 7 || !(*b || str_has_suffix(tensor, ".lora_a")))
        return NULL;
    char *weight = xstrndup(tensor, n - 7),
         *hf = gguf_name_to_hf(f->family, weight, rows);
    free(weight);
    if (hf && str_has_suffix(hf, ".weight"))
        hf[strlen(hf) - 7] = 0;
    return hf;
}

/* "q_proj" of "model.layers.0.self_attn.q_proj". */
static const char *last_name(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static void add_once(json_t *list, const char *name)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        if (str_eq(json_string_value(one), name))
            return;
    }
    json_array_append_new(list, json_string(name));
}

/* A trial that has these sites, named by their last names or whole, with these ranks. Patterns are regular expressions, in which
 * a dot of a path stands for itself too. */
static int make_trial(const struct lora_file *f, bool whole, json_t *given,
                      struct err *err)
{
    json_t *targets = json_array(), *ranks = json_object(), *alphas = json_object();
    int64_t rank = 0;
    int rc = 0;
    for (size_t i = 0; i < f->g->tensor_count && !rc; i++) {
        const struct gguf_tensor *t = &f->g->tensors[i];
        enum gguf_rows rows;
        bool b;
        char *path = path_of(f, t->name, &b, &rows);
        if (!path || t->ndim != 2 || t->shape[b ? 1 : 0] > 4096)
            rc = err_set(err, ERR_CONFIG,
                         "tensor '%.100s' is none of a LoRA adapter of this model",
                         t->name);
        if (!rc && !b) {
            rank = rank ? rank : t->shape[0];
            add_once(targets, whole ? path : last_name(path));
            if (t->shape[0] != rank) {
                json_object_set_new(ranks, path, json_integer(t->shape[0]));
                if (!f->alpha)
                    json_object_set_new(alphas, path, json_integer(t->shape[0]));
            }
        }
        free(path);
    }
    if (!rc && !rank)
        rc = err_set(err, ERR_CONFIG, "it holds no tensor of a LoRA adapter");
    json_object_set_new(given, "rank", json_integer(rank));
    json_object_set_new(given, "alpha", json_real(f->alpha ? f->alpha : (double)rank));
    json_object_set_new(given, "target_modules", targets);
    if (json_object_size(ranks))
        json_object_set(given, "rank_pattern", ranks);
    if (json_object_size(alphas))
        json_object_set(given, "alpha_pattern", alphas);
    json_decref(ranks);
    json_decref(alphas);
    return rc;
}

/* Values in transformers' order of rows. */
static float *values_of(const struct gguf_tensor *t, int32_t heads)
{
    const int64_t rows = t->shape[0], width = t->shape[1],
                  blocks = width / t->type->elements, size = heads ? rows / heads : 0;
    float *out = xcalloc((size_t)t->count, sizeof *out);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t to =
            size ? r / size * size + gguf_row_from((int)(r % size), (int)size) : r;
        for (int64_t b = 0; b < blocks; b++)
            t->type->unpack(t->data + (r * blocks + b) * t->type->bytes,
                            out + to * width + b * t->type->elements);
    }
    return out;
}

static int take_tensor(struct lora_file *f, const struct gguf_tensor *t, struct err *err)
{
    enum gguf_rows rows;
    bool b;
    char *path = path_of(f, t->name, &b, &rows),
         *name = xasprintf("%s.lora_%c.weight", path, b ? 'B' : 'A');
    struct param *p = params_find(&f->a.net.params, name);
    const struct net_shape *shape = &f->a.net.shape;
    const int32_t heads = !b                    ? 0
                          : rows == GGUF_ROWS_Q ? shape->heads
                          : rows == GGUF_ROWS_K ? shape->kv_heads
                                                : 0;
    int rc = 0;
    if (!p || p->rows != t->shape[0] || p->cols != t->shape[1])
        rc = err_set(err, ERR_CONFIG,
                     "tensor '%.100s' is [%lld, %lld], which does not fit the model",
                     t->name, (long long)t->shape[0], (long long)t->shape[1]);
    else
        p->given = values_of(t, heads);
    for (int64_t i = 0; !rc && i < t->count; i++)
        if (!isfinite(p->given[i]))
            rc = err_set(err, ERR_NAN, "tensor '%.100s' holds %g", t->name,
                         (double)p->given[i]);
    free(path);
    free(name);
    return rc;
}

static int write_lora(void *ctx, const char *dir, struct err *err)
{
    struct lora_file *f = ctx;
    const struct net *net = &f->a.net;
    char *path = fs_join(dir, net->method->files->tensors);
    struct st_writer *w = st_writer_new();
    int rc = 0;
    st_writer_meta(w, "format", "pt");
    for (size_t i = 0; i < net->params.count && !rc; i++) {
        const struct param *p = net->params.items[i];
        struct buf name = BUF_INIT;
        if (!p->added || !p->trainable)
            continue;
        if (!p->given)
            rc = err_set(err, ERR_CONFIG, "it has one half only of '%s'", p->name);
        peft_tensor_name(net, p, &name);
        st_writer_add(w, buf_str(&name), DT_F32, 2, (int64_t[]){p->rows, p->cols},
                      p->given);
        buf_release(&name);
        f->report->tensors++;
        f->report->bytes += param_size(p) * (int64_t)sizeof(float);
    }
    if (!rc)
        rc = st_writer_save(w, path, err);
    st_writer_free(w);
    free(path);
    return rc ? rc
              : config_write(dir, "adapter_config.json",
                             config_make(net, CONFIG_TO_WRITE), err);
}

static size_t count_sites(const struct net *net)
{
    size_t n = 0;
    for (size_t i = 0; i < net->sites.count; i++)
        n += net->sites.items[i].rank != 0;
    return n;
}

/* By short names, as people write them, where these name no other site. */
static int open_net(struct lora_file *f, json_t *given, struct err *err)
{
    int rc = make_trial(f, false, given, err);
    if (rc)
        return rc;
    rc = adapter_net_plain(&f->a, f->hf, given, NULL);
    if (!rc && 2 * count_sites(&f->a.net) == f->g->tensor_count)
        return 0;
    f->a.hf = NULL;
    adapter_net_release(&f->a);
    rc = make_trial(f, true, given, err);
    return rc ? rc : adapter_net_plain(&f->a, f->hf, given, err);
}

static int open_base(struct lora_file *f, struct err *err)
{
    if (!f->c->model)
        return err_set(err, ERR_USAGE,
                       "a GGUF adapter does not name its base: say --model DIR");
    return hf_model_open_shape(f->c->model, &f->hf, err);
}

static int of_gguf(const struct convert *c, struct convert_report *out, struct err *err)
{
    struct lora_file f = {.c = c, .report = out};
    json_t *given = json_pack("{s:s, s:s, s:s?}", "method", method_lora.name, "task",
                              "CAUSAL_LM", "model", c->model);
    int rc = gguf_open(c->path, &f.g, err);
    if (!rc)
        rc = open_base(&f, err);
    if (!rc)
        rc = check_keys(&f, err);
    if (!rc)
        rc = open_net(&f, given, err);
    for (size_t i = 0; !rc && i < f.g->tensor_count; i++)
        rc = take_tensor(&f, &f.g->tensors[i], err);
    if (!rc)
        rc = make_folder(c, write_lora, &f, err);
    f.a.hf = NULL;
    adapter_net_release(&f.a);
    hf_model_close(f.hf);
    gguf_close(f.g);
    json_decref(given);
    return rc ? err_context(err, "GGUF adapter '%s': ", c->path) : 0;
}

int convert_peft(const struct convert *c, struct convert_report *out, struct err *err)
{
    if (c->kind == FROM_MODEL)
        return err_set(err, ERR_CONFIG, "'%s' is a model, not an adapter", c->path);
    return (c->kind == FROM_ADAPTER ? of_folder : of_gguf)(c, out, err);
}
