/* runner/nn/specs.c - see specs.h. */
#include "runner/nn/specs.h"
#include "kernels/nf4.h"
#include "lib/json.h"
#include "lib/str.h"
#include "runner/nn/peft/method.h"
#include <stdio.h>
#include <string.h>

static enum quant_kind quant_of(const struct trial *trial)
{
    const char *q = trial->quantization;
    return str_eq(q, "nf4") ? QUANT_NF4 : str_eq(q, "fp4") ? QUANT_FP4 : QUANT_NONE;
}

static const char *quant_word(enum quant_kind kind)
{
    return kind == QUANT_FP4 ? "fp4" : "nf4";
}

/* What a folder that is in 4 bits already has stands; the trial says the same or nothing.
 * That is its defaults: double_quant true, quant_block_size 64. */
static int check_quantised(const struct net *net, struct err *err)
{
    const struct weight_spec *has = &net->hf->quantised;
    const struct trial *t = net->trial;
    const enum quant_kind said = quant_of(t);
    const char *key = NULL;
    struct method_facts facts;
    method_facts_of(t->json, &facts);
    if (has->quant == QUANT_NONE)
        return 0;
    if (!facts.quantisable)
        return err_set(err, ERR_CONFIG,
                       "method '%s' changes the base's weights, which are in 4 bits in "
                       "model folder '%s'; take the model it was made from",
                       facts.shown, net->hf->dir);
    if (said != QUANT_NONE && said != has->quant)
        key = "quantization";
    else if (!t->double_quant && has->double_quant)
        key = "double_quant";
    else if (t->quant_block_size != 64 && t->quant_block_size != has->block)
        key = "quant_block_size";
    if (!key)
        return 0;
    return err_set(err, ERR_CONFIG,
                   "%s: model folder '%s' is quantised already, to %s in blocks of %d%s; "
                   "leave the key out",
                   key, net->hf->dir, quant_word(has->quant), has->block,
                   has->double_quant ? ", double_quant" : "");
}

/* What the base's values are rounded to as they are read; DT_F32: they are not. */
static enum dtype asked_dtype(const struct trial *trial)
{
    const char *word = trial->base_dtype;
    return str_eq(word, "bfloat16") ? DT_BF16 : str_eq(word, "float16") ? DT_F16 : DT_F32;
}

int specs_kind(struct net *net, struct err *err)
{
    if (net->hf->weights)
        st_round(net->hf->weights, asked_dtype(net->trial));
    net->quant = net->hf->quantised.quant != QUANT_NONE ? net->hf->quantised.quant
                                                        : quant_of(net->trial);
    return check_quantised(net, err);
}

enum dtype specs_dtype(const struct net *net)
{
    return str_eq(net->trial->dtype, "bfloat16") ? DT_BF16 : DT_F32;
}

/* transformers' rule for parameters without weight decay: biases and norms, by name. */
static bool name_has_no_decay(const char *name)
{
    char low[512];
    size_t n = 0;
    for (; name[n] && n + 1 < sizeof low; n++)
        low[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + 32 : name[n]);
    low[n] = 0;
    if (strstr(low, "bias") || strstr(low, "layernorm") || strstr(low, "rmsnorm"))
        return true;
    for (const char *at = strstr(low, "norm"); at; at = strstr(at + 1, "norm")) {
        const bool starts = at == low || at[-1] == '.' || at[-1] == '_';
        if (starts && (at[4] == 0 || at[4] == '.'))
            return true;
    }
    return false;
}

/* A linear weight's quantisation: as it lies in the file; else, but of heads, the
 * trial's. A folder that is quantised already quantises nothing more. */
static void set_quantisation(const struct net *net, struct param *p, bool head)
{
    const struct st_q4 *q4 = p->base ? p->base->q4 : NULL;
    const bool folder = net->hf->quantised.quant != QUANT_NONE && !p->absent;
    const struct weight_spec *from = q4          ? &q4->spec
                                     : p->absent ? &net->hf->quantised
                                                 : NULL;
    if (from && from->quant != QUANT_NONE) {
        p->spec.block = from->block;
        p->spec.double_quant = from->double_quant;
        p->spec.rounded = from->rounded;
    }
    if (q4 ? q4_is_irregular(p->cols, p->spec.block) : head || folder)
        return;
    if (!q4 && net->quant != QUANT_NONE && q4_is_irregular(p->cols, p->spec.block))
        p->round_trip = net->quant;
    else
        p->spec.quant = q4 ? q4->spec.quant : net->quant;
}

/* Frozen linear weights are prepared for the backend; what is quantised is decided
 * here. */
void specs_set(struct net *net)
{
    for (size_t i = 0; i < net->params.count; i++) {
        struct param *p = net->params.items[i];
        p->no_decay = name_has_no_decay(p->name);
        p->rounded =
            p->trainable && !p->exact && str_eq(net->trial->adapter_dtype, "bfloat16");
        p->spec = (struct weight_spec){.rows = p->rows,
                                       .cols = p->cols,
                                       .compute = DT_F32,
                                       .block = (int32_t)net->trial->quant_block_size,
                                       .double_quant = net->trial->double_quant};
    }
    for (size_t i = 0; i < net->sites.count; i++) {
        const bool head = role_is_head(net->sites.items[i].role);
        struct param *p = net_site_param(net, &net->sites.items[i], "weight");
        if (net->sites.items[i].role != ROLE_head)
            p->spec.compute = specs_dtype(net);
        set_quantisation(net, p, head);
    }
}

/* A file says "BF16" whether its tensors lie there as they are or in blocks. */
static enum dtype file_dtype(const struct st_tensor *t)
{
    if (t->rounded != DT_F32)
        return t->rounded;
    if (t->q4 || t->offset != 0)
        return DT_F32;
    return str_eq(t->word, dtype_word(DT_BF16))  ? DT_BF16
           : str_eq(t->word, dtype_word(DT_F16)) ? DT_F16
                                                 : DT_F32;
}

/* Of a base that is known by its configuration alone: as asked, or as transformers saves
 * it. */
static enum dtype absent_dtype(const struct net *net)
{
    const json_t *config = net->hf->config;
    const enum dtype asked = asked_dtype(net->trial);
    const char *old = json_get_str(config, "torch_dtype", "");
    const char *word = json_get_str(config, "dtype", old);
    return asked != DT_F32            ? asked
           : str_eq(word, "bfloat16") ? DT_BF16
           : str_eq(word, "float16")  ? DT_F16
                                      : DT_F32;
}

enum dtype specs_stored(const struct net *net, const struct param *p)
{
    const bool as_in_file = (p->base || p->absent) && !p->given && !p->round_trip &&
                            !net->change.base_moved && p->spec.quant == QUANT_NONE;
    return as_in_file && param_is_prepared(p) && p->spec.compute == DT_F32
               ? p->base ? file_dtype(p->base) : absent_dtype(net)
               : DT_F32;
}

void specs_method_facts(const struct net *net, struct method_facts *out)
{
    method_facts_of(net->trial->json, out);
    if (out->quantised || net->quant == QUANT_NONE)
        return;
    out->quantised = true;
    snprintf(out->shown, sizeof out->shown, "%s on %s", out->name,
             quant_word(net->quant));
}
