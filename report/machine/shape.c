/* report/machine/shape.c - see shape.h. */
#include "report/machine/shape.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Families by model_type; the first two letters of the keys differ for DistilBERT. */
static const struct family {
    const char *types;
    bool decoder, qkv_bias, qk_norm, pooler;
    bool plain;
    bool four_norms, tied; /* in a decoder's layer; tied where config.json says nothing */
    int head_dim;          /* where it says nothing; 0: hidden / heads */
    const char *hidden, *layers, *heads, *ffn, *positions; /* NULL: max_position_.. */
    const char *query_value; /* NULL: as Llama's or BERT's */
} families[] = {
#define KEYS                                                                             \
    .hidden = "hidden_size", .layers = "num_hidden_layers",                              \
    .heads = "num_attention_heads", .ffn = "intermediate_size"
    {"bert|roberta|xlm-roberta|camembert", .pooler = true, KEYS},
    {"distilbert", .hidden = "dim", .layers = "n_layers", .heads = "n_heads",
     .ffn = "hidden_dim"},
    {"llama|mistral", .decoder = true, KEYS},
    {"qwen2", .decoder = true, .qkv_bias = true, KEYS},
    {"qwen3", .decoder = true, .qk_norm = true, .head_dim = 128, KEYS},
    {"gemma2", .decoder = true, .four_norms = true, .tied = true, .head_dim = 256, KEYS},
    {"gemma3_text", .decoder = true, .four_norms = true, .tied = true, .head_dim = 256,
     .qk_norm = true, KEYS},
    {"phi3", .decoder = true, .query_value = "qkv_proj", KEYS},
    {"smollm3", .decoder = true, .tied = true, KEYS},
    {"gpt2", .decoder = true, .plain = true, .tied = true, .hidden = "n_embd",
     .layers = "n_layer", .heads = "n_head", .ffn = "n_inner", .positions = "n_positions",
     .query_value = "c_attn"},
#undef KEYS
};

static const struct family *find_family(const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (str_in_list(type, families[i].types, '|'))
            return &families[i];
    return NULL;
}

/* --- the formula --- */

static void count(struct model_shape *s)
{
    const double d = s->d, f = s->f;
    s->layer_linear =
        2 * d * s->q + 2 * d * s->kv + (s->decoder && !s->plain ? 3 : 2) * d * f;
    s->linear = s->layers * s->layer_linear;
    s->head = s->decoder ? s->vocab * d : 0;
    const double embedding = s->vocab * d;
    if (s->plain)
        s->parameters = embedding * (s->tied ? 1 : 2) + s->positions * d + s->linear +
                        s->layers * (4 * d + f + d + 4 * d) + 2 * d;
    else if (s->decoder)
        s->parameters = embedding * (s->tied ? 1 : 2) + s->linear +
                        s->layers * ((s->four_norms ? 4 : 2) * d +
                                     (s->qkv_bias ? s->q + 2 * s->kv : 0) +
                                     (s->qk_norm ? 2 * s->head_size : 0)) +
                        d;
    else /* biases, two norms a layer, the norm of the embeddings */
        s->parameters = embedding + (s->positions + s->types) * d + 2 * d + s->linear +
                        s->layers * (4 * d + f + d + 4 * d) + (s->pooler ? d * d + d : 0);
}

/* --- config.json --- */

/* A whole number within what models have; `otherwise` where the key is missing, with 0
 * an error. */
static double number(const json_t *c, const char *key, double most, double otherwise,
                     const char *name, struct err *err)
{
    const json_t *v = json_object_get(c, key);
    if ((!v || json_is_null(v)) && otherwise > 0)
        return otherwise;
    double n = json_is_integer(v) ? (double)json_integer_value(v) : -1;
    if (n < 1 || n > most)
        err_set(err, ERR_CONFIG, "model '%.200s': '%s' must be 1 to %.0f", name, key,
                most);
    return n;
}

int shape_from_config(const json_t *config, const char *name, struct model_shape *out,
                      struct err *err)
{
    struct err own = ERR_INIT;
    const char *type = json_get_str(config, "model_type", "");
    const struct family *f = find_family(type);
    *out = (struct model_shape){0};
    if (!f)
        return err_set(
            err, ERR_CONFIG,
            "model '%.200s': its architecture '%.40s' is none whose memory can "
            "be told (BERT, RoBERTa, DistilBERT, Llama, Mistral, Qwen2, Qwen3, Gemma 2, "
            "Gemma 3, Phi-3, SmolLM3, GPT-2)",
            name, type);
    out->decoder = f->decoder;
    out->four_norms = f->four_norms;
    out->qkv_bias = f->qkv_bias;
    out->qk_norm = f->qk_norm;
    out->pooler = f->pooler;
    out->plain = f->plain;
    out->query_value = f->query_value ? f->query_value
                       : f->decoder   ? "q_proj, v_proj"
                                      : "query, value";
    snprintf(out->name, sizeof out->name, "%s", name);
    snprintf(out->model_type, sizeof out->model_type, "%s", type);
    out->d = number(config, f->hidden, 1 << 20, 0, name, &own);
    out->layers = number(config, f->layers, 10000, 0, name, &own);
    const double heads = number(config, f->heads, 1 << 16, 0, name, &own);
    out->f = number(config, f->ffn, 1 << 22, f->plain ? 4 * out->d : 0, name, &own);
    out->vocab = number(config, "vocab_size", 1 << 24, 0, name, &own);
    out->positions =
        number(config, f->positions ? f->positions : "max_position_embeddings", 1 << 24,
               512, name, &own);
    out->types = json_get_num(config, "type_vocab_size", str_eq(type, "bert") ? 2 : 0);
    const double groups =
        number(config, "num_key_value_heads", 1 << 16, heads, name, &own);
    const double size = number(config, "head_dim", 1 << 16,
                               f->head_dim ? f->head_dim
                               : heads > 0 ? out->d / heads
                                           : 1,
                               name, &own);
    out->head_size = size;
    out->q = out->decoder ? heads * size : out->d;
    out->kv = out->decoder ? groups * size : out->d;
    out->tied = out->decoder && json_get_bool(config, "tie_word_embeddings", f->tied);
    if (own.code)
        return err_set(err, own.code, "%s", own.msg);
    count(out);
    return 0;
}

int shape_from_folder(const char *dir, struct model_shape *out, struct err *err)
{
    char *path = fs_join(dir, "config.json");
    json_t *config = json_read_file(path, err);
    int rc = config ? shape_from_config(config, dir, out, err) : err_code(err);
    json_decref(config);
    free(path);
    return rc;
}
