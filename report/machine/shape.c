/* report/machine/shape.c - see shape.h. */
#include "report/machine/shape.h"
#include "lib/buf.h"
#include "lib/embed.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

EMBED(builtin_models, "report/data/models.json");

/* Families by model_type; the first two letters of the keys differ for DistilBERT. */
static const struct family {
    const char *types;
    bool decoder, qkv_bias, pooler;
    const char *hidden, *layers, *heads, *ffn;
} families[] = {
    {"bert|roberta|xlm-roberta|camembert", false, false, true, "hidden_size",
     "num_hidden_layers", "num_attention_heads", "intermediate_size"},
    {"distilbert", false, false, false, "dim", "n_layers", "n_heads", "hidden_dim"},
    {"llama|mistral", true, false, false, "hidden_size", "num_hidden_layers",
     "num_attention_heads", "intermediate_size"},
    {"qwen2", true, true, false, "hidden_size", "num_hidden_layers",
     "num_attention_heads", "intermediate_size"},
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
        s->decoder ? 2 * d * s->q + 2 * d * s->kv + 3 * d * f : 4 * d * d + 2 * d * f;
    s->linear = s->layers * s->layer_linear;
    s->head = s->decoder ? s->vocab * d : 0;
    const double embedding = s->vocab * d;
    if (s->decoder)
        s->parameters = embedding * (s->tied ? 1 : 2) + s->linear +
                        s->layers * (2 * d + (s->qkv_bias ? s->q + 2 * s->kv : 0)) + d;
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
            "be told (BERT, RoBERTa, DistilBERT, Llama, Mistral, Qwen2)",
            name, type);
    /* the catalogue writes DistilBERT as the others */
    const bool own_keys = json_object_get(config, f->hidden) != NULL;
    if (!own_keys)
        f = &families[0];
    out->decoder = f->decoder;
    out->qkv_bias = f->qkv_bias;
    out->pooler = f->pooler && !str_eq(type, "distilbert");
    snprintf(out->name, sizeof out->name, "%s", name);
    snprintf(out->model_type, sizeof out->model_type, "%s", type);
    out->d = number(config, f->hidden, 1 << 20, 0, name, &own);
    out->layers = number(config, f->layers, 10000, 0, name, &own);
    const double heads = number(config, f->heads, 1 << 16, 0, name, &own);
    out->f = number(config, f->ffn, 1 << 22, 0, name, &own);
    out->vocab = number(config, "vocab_size", 1 << 24, 0, name, &own);
    out->positions = number(config, "max_position_embeddings", 1 << 24, 512, name, &own);
    out->types = json_get_num(config, "type_vocab_size", str_eq(type, "bert") ? 2 : 0);
    const double groups =
        number(config, "num_key_value_heads", 1 << 16, heads, name, &own);
    const double size =
        number(config, "head_dim", 1 << 16, heads > 0 ? out->d / heads : 1, name, &own);
    out->q = out->decoder ? heads * size : out->d;
    out->kv = out->decoder ? groups * size : out->d;
    out->tied = out->decoder && json_get_bool(config, "tie_word_embeddings", 0);
    snprintf(out->source, sizeof out->source, "%s",
             json_get_str(config, "source", "its config.json"));
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

/* --- the catalogue --- */

int shapes_load(struct shapes *out, struct err *err)
{
    out->file = json_parse(builtin_models, builtin_models_size, "models.json", err);
    return out->file ? 0 : err_context(err, "built-in file, this is a bug: ");
}

void shapes_release(struct shapes *s)
{
    json_decref(s->file);
    *s = (struct shapes){0};
}

/* "meta-llama/Llama-2-7b-hf" and "llama2-7b" are both "llama27b". */
static void normal_form(const char *name, char *out, size_t n)
{
    const char *slash = strrchr(name, '/');
    size_t len = 0, end;
    name = slash ? slash + 1 : name;
    end = strlen(name);
    if (end > 3 && !strcasecmp(name + end - 3, "-hf"))
        end -= 3;
    for (size_t i = 0; i < end && len + 1 < n; i++)
        if (isalnum((unsigned char)name[i]))
            out[len++] = (char)tolower((unsigned char)name[i]);
    out[len] = '\0';
}

static bool same_name(const char *a, const char *b)
{
    char x[128], y[128];
    normal_form(a, x, sizeof x);
    normal_form(b, y, sizeof y);
    return *x && str_eq(x, y);
}

int shape_find(const struct shapes *s, const char *name, struct model_shape *out)
{
    json_t *row, *alias;
    size_t i, k;
    json_array_foreach(json_object_get(s->file, "models"), i, row)
    {
        const char *known = json_get_str(row, "name", "");
        bool found = same_name(name, known);
        json_array_foreach(json_object_get(row, "aliases"), k, alias)
        {
            found |= same_name(name, json_string_value(alias));
        }
        if (found)
            return shape_from_config(row, known, out, NULL) == 0;
    }
    return 0;
}

int shape_unknown(const struct shapes *s, const char *name, struct err *err)
{
    const char *names[128];
    json_t *row;
    size_t i, n = 0;
    struct buf list = BUF_INIT;
    json_array_foreach(json_object_get(s->file, "models"), i, row)
    {
        if (n == ARRAY_LEN(names))
            break;
        names[n++] = json_get_str(row, "name", "");
        buf_printf(&list, "%s%s", i ? ", " : "", names[n - 1]);
    }
    const char *near = str_nearest(name, names, n);
    int rc = err_set(err, ERR_NOINPUT,
                     "model '%.100s': neither a folder nor a known name%s%s%s; known are "
                     "%.700s",
                     name, near ? " (did you mean '" : "", near ? near : "",
                     near ? "'?)" : "", buf_str(&list));
    buf_release(&list);
    return rc;
}
