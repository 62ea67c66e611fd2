/* runner/convert/gguf_lora.c - a LoRA adapter as llama.cpp's GGUF (convert_lora_to_gguf.py,
 * src/llama-adapter.cpp).
 *
 * Two tensors a site, "<name of the base's weight>.lora_a" (rank x in) and ".lora_b" (out x
 * rank); where the base's rows of q and k are reordered, those of B are too. llama.cpp adds
 * adapter.lora.alpha / rank times B A, with one alpha for the file and the rank of each
 * site. So a scale that is another (rsLoRA on sites of different rank, alpha_pattern) goes
 * into B. Everything else that an adapter may hold has no place there. */
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/convert/adapter_net.h"
#include "runner/convert/convert.h"
#include "runner/hub/gguf_family.h"
#include "runner/hub/gguf/write.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/lora.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MERGE_HINT "; merge it into its base instead (--to gguf)"

/* --- what has a place --- */

static int check_method(const struct net *net, struct err *err)
{
    if (net->method != &method_lora)
        return err_set(err, ERR_CONFIG,
                       "method '%s' has no place in llama.cpp's adapters, which are LoRA "
                       "only%s",
                       net->method->name, net->method->no_merge ? "" : MERGE_HINT);
    if (net->trial->use_dora)
        return err_set(
            err, ERR_CONFIG,
            "DoRA's magnitudes have no place in llama.cpp's adapters" MERGE_HINT);
    return net->change.base_moved && !net->change.converted
               ? err_set(
                     err, ERR_CONFIG,
                     "the adapter's start is taken out of the base (%s): llama.cpp has "
                     "the base as it is; save it converted, as train does",
                     json_string_value(net->trial->init_lora_weights))
               : 0;
}

/* Heads, biases and modules that train whole. */
static int check_params(const struct net *net, struct err *err)
{
    for (size_t i = 0; i < net->params.count; i++) {
        const struct param *p = net->params.items[i];
        if (!(p->trainable || p->saved) || p->added)
            continue;
        return err_set(err, ERR_CONFIG,
                       "the adapter holds '%s' whole (%s): llama.cpp's adapters have no "
                       "place for it" MERGE_HINT,
                       p->name,
                       task_saves(net->goal.task, p->name) ? "the task's head"
                       : str_has_suffix(p->name, ".bias")  ? "bias"
                                                           : "modules_to_save");
    }
    return 0;
}

/* --- scale --- */

/* alpha of the file: the trial's where the sites have that, else the first site's. */
static double file_alpha(const struct net *net, const struct linear_site *first)
{
    const int ranks = net->change.converted ? lora_saved_ranks(net) : 1;
    const double own = net->trial->alpha *
                       (net->change.converted ? lora_saved_alphas(net) : 1) *
                       (net->trial->use_rslora ? sqrt((double)net->trial->rank * ranks)
                                               : 1),
                 site = (double)first->scale * first->rank;
    const double alpha = fabs(own - site) <= 1e-6 * site ? own : site;
    return alpha > 0 ? alpha : 1; /* 0 would mean no alpha there */
}

/* What B is multiplied by. */
static float folded(const struct linear_site *s, double alpha)
{
    const double factor = (double)s->scale * s->rank / alpha;
    return fabs(factor - 1) <= 1e-6 ? 1 : (float)factor;
}

/* --- tensors --- */

struct half {
    const struct param *p;
    float factor;
};

static int values_of(void *ctx, const struct gguf_new_tensor *t, float *out,
                     struct err *err)
{
    const struct half *h = t->source;
    (void)ctx;
    (void)err;
    for (int64_t i = 0; i < param_size(h->p); i++)
        out[i] = h->p->given[i] * h->factor;
    return 0;
}

/* Rows that are no whole blocks stand in F16, as the converter of llama.cpp has it. */
static const struct block_type *type_of(const struct convert *c, int64_t width)
{
    return width % c->dtype->elements ? block_type_named("F16") : c->dtype;
}

static void add_half(const struct convert *c, struct gguf_writer *w, const char *base,
                     const char *suffix, const struct half *h, int32_t heads)
{
    struct gguf_new_tensor t = {.name = xasprintf("%s.%s", base, suffix),
                                .type = type_of(c, h->p->cols),
                                .ndim = 2,
                                .shape = {h->p->rows, h->p->cols},
                                .heads = heads,
                                .source = h};
    gguf_writer_add(w, &t);
    free(t.name);
}

static int add_site(const struct convert *c, const struct adapter_net *a,
                    const struct linear_site *s, double alpha, struct half half[2],
                    struct gguf_writer *w, struct err *err)
{
    const struct gguf_family *f = gguf_family_of(a->hf->model_type);
    char *weight = xasprintf("%s.weight", s->path);
    enum gguf_rows rows;
    char *base = gguf_name_of_hf(f, weight, &rows);
    int rc = 0;
    if (!base || s->tied)
        rc = err_set(err, ERR_CONFIG,
                     s->tied
                         ? "'%s' shares its weight with the embeddings, which llama.cpp "
                           "cannot adapt" MERGE_HINT
                         : "'%s' has no name in llama.cpp's files",
                     s->path);
    if (!rc) {
        half[0] = (struct half){net_site_param(&a->net, s, "lora_A.weight"), 1};
        half[1] =
            (struct half){net_site_param(&a->net, s, "lora_B.weight"), folded(s, alpha)};
        add_half(c, w, base, "lora_a", &half[0], 0);
        add_half(c, w, base, "lora_b", &half[1],
                 rows == GGUF_ROWS_Q   ? a->net.shape.heads
                 : rows == GGUF_ROWS_K ? a->net.shape.kv_heads
                                       : 0);
    }
    free(weight);
    free(base);
    return rc;
}

static void put_keys(const struct convert *c, const struct adapter_net *a, double alpha,
                     struct gguf_writer *w)
{
    const char *arch = gguf_family_of(a->hf->model_type)->name,
               *slash = strrchr(c->out, '/');
    const char *name = slash ? slash + 1 : c->out;
    const size_t n = str_has_suffix(name, ".gguf") ? strlen(name) - 5 : strlen(name);
    gguf_put_string(w, "general.architecture", arch, strlen(arch));
    gguf_put_string(w, "general.type", "adapter", 7);
    gguf_put_string(w, "general.name", name, n);
    gguf_put_file_type(w, c->dtype);
    gguf_put_string(w, "adapter.type", "lora", 4);
    gguf_put_f32(w, "adapter.lora.alpha", (float)alpha);
}

static int write_file(const struct convert *c, const struct adapter_net *a,
                      struct convert_report *out, struct err *err)
{
    const size_t count = a->net.sites.count;
    struct gguf_writer *w = gguf_writer_new();
    struct half *halves = xcalloc(2 * count + 1, sizeof *halves);
    double alpha = 0;
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++) {
        const struct linear_site *s = &a->net.sites.items[i];
        if (!s->rank)
            continue;
        if (!alpha)
            put_keys(c, a, alpha = file_alpha(&a->net, s), w);
        rc = add_site(c, a, s, alpha, &halves[2 * i], w, err);
        out->tensors += 2;
    }
    if (!rc)
        rc = gguf_writer_save(w, c->out, values_of, NULL, &out->bytes, err);
    gguf_writer_free(w);
    free(halves);
    return rc;
}

int convert_gguf_lora(const struct convert *c, struct convert_report *out,
                      struct err *err)
{
    struct adapter_net a;
    if (c->kind != FROM_ADAPTER)
        return err_set(err, ERR_CONFIG, "'%s' is %s, not an adapter's folder", c->path,
                       c->kind == FROM_MODEL ? "a model" : "a GGUF adapter already");
    int rc = adapter_net_open(&a, c->path, c->model, err);
    if (!rc && !gguf_family_of(a.hf->model_type))
        rc = err_set(err, ERR_CONFIG,
                     "models of type '%s' have no name in GGUF here (%s have)",
                     a.hf->model_type, gguf_family_names(true));
    if (!rc)
        rc = check_method(&a.net, err);
    if (!rc)
        rc = check_params(&a.net, err);
    if (!rc)
        rc = write_file(c, &a, out, err);
    adapter_net_release(&a);
    return rc;
}
