/* runner/hub/gguf/scaling.c - see scaling.h. */
#include "runner/hub/gguf/scaling.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FREQS "rope_freqs.weight"
#define LONG  "rope_factors_long.weight"
#define SHORT "rope_factors_short.weight"

bool gguf_rope_tensor(const char *name)
{
    return str_in_list(name, FREQS "|" LONG "|" SHORT, '|');
}

static const char *own_key(const struct gguf_family *f, const char *key, char name[128])
{
    snprintf(name, 128, "%s.rope.%s", f->name, key);
    return name;
}

/* A list of `count` positive numbers; NULL: there is no such tensor. */
static int read_divisors(const struct gguf *g, const char *name, int64_t count,
                         json_t **out, struct err *err)
{
    const struct gguf_tensor *t = gguf_find_tensor(g, name);
    bool good = t && t->count == count && str_eq(t->type->name, "F32");
    *out = t ? json_array() : NULL;
    for (int64_t i = 0; i < count && good; i++) {
        float v;
        memcpy(&v, t->data + (size_t)i * sizeof v, sizeof v);
        good = v > 0 && isfinite(v);
        json_array_append_new(*out, json_real((double)v));
    }
    return !t || good ? 0
                      : err_set(err, ERR_PARSE,
                                "tensor '%s': %lld numbers of F32 above 0 expected", name,
                                (long long)count);
}

/* What Llama 3.1 and its successors have, with one number for the largest divisor. */
static double llama3_divisor(double frequency, double factor)
{
    const double length = 8192, low = 1, high = 4, wave = 2 * M_PI / frequency;
    const double t = (length / wave - low) / (high - low);
    return wave < length / high  ? 1
           : wave > length / low ? factor
                                 : 1 / ((1 - t) / factor + t);
}

static bool is_llama3(const json_t *divisors, double theta, double *factor)
{
    const size_t n = json_array_size(divisors);
    *factor = 1;
    for (size_t i = 0; i < n; i++)
        *factor = fmax(*factor, json_number_value(json_array_get(divisors, i)));
    for (size_t i = 0; i < n; i++) {
        const double f = pow(theta, -(double)i / (double)n);
        const double want = llama3_divisor(f, *factor),
                     v = json_number_value(json_array_get(divisors, i));
        if (!(fabs(v - want) <= 1e-5 * want))
            return false;
    }
    return true;
}

/* Divisors of both tables, which may be one. */
static json_t *longrope(const json_t *config, json_t *both[2], double attention,
                        int64_t original)
{
    json_t *s = json_pack("{s:s, s:O, s:O, s:f}", "rope_type", "longrope", "short_factor",
                          both[0], "long_factor", both[1], "attention_factor", attention);
    if (!original)
        original = json_get_int(config, "max_position_embeddings", 0);
    json_object_set_new(s, "original_max_position_embeddings", json_integer(original));
    return s;
}

static int read_tensors(const struct gguf *g, const struct gguf_family *f, json_t *config,
                        int64_t count, json_t **out, struct err *err)
{
    json_t *freqs = NULL, *both[2] = {NULL, NULL};
    char name[128];
    double factor, attention = 1;
    int64_t original = 0;
    (void)gguf_num(g, own_key(f, "scaling.attn_factor", name), &attention);
    (void)gguf_int(g, own_key(f, "scaling.original_context_length", name), &original);
    int rc = read_divisors(g, FREQS, count, &freqs, err);
    if (!rc)
        rc = read_divisors(g, SHORT, count, &both[0], err);
    if (!rc)
        rc = read_divisors(g, LONG, count, &both[1], err);
    if (!rc && (!both[0] != !both[1] || (freqs && both[0])))
        rc =
            err_set(err, ERR_PARSE, "tensors '%s' and '%s' belong together", SHORT, LONG);
    if (!rc && both[0])
        *out = longrope(config, both, attention, original);
    if (!rc && freqs &&
        is_llama3(freqs, json_get_num(config, "rope_theta", 10000), &factor))
        *out = json_pack("{s:s, s:f, s:f, s:f, s:i}", "rope_type", "llama3", "factor",
                         factor, "low_freq_factor", 1.0, "high_freq_factor", 4.0,
                         "original_max_position_embeddings", 8192);
    else if (!rc && freqs)
        *out = longrope(config, (json_t *[2]){freqs, freqs}, 1, 0);
    json_decref(freqs);
    json_decref(both[0]);
    json_decref(both[1]);
    return rc;
}

static json_t *scaled(const struct gguf *g, const struct gguf_family *f, const char *type)
{
    char name[128], text[32];
    double factor = 1;
    int64_t original;
    (void)gguf_num(g, own_key(f, "scaling.factor", name), &factor);
    snprintf(text, sizeof text, "%.6g", factor); /* it stands there as fp32 */
    json_t *s = json_pack("{s:s, s:f}", "rope_type", type, "factor", strtod(text, NULL));
    if (gguf_int(g, own_key(f, "scaling.original_context_length", name), &original))
        json_object_set_new(s, "original_max_position_embeddings",
                            json_integer(original));
    return s;
}

int gguf_rope_config(const struct gguf *g, const struct gguf_family *f, json_t *config,
                     struct err *err)
{
    char key[128];
    json_t *type = gguf_string(g, own_key(f, "scaling.type", key)), *scaling = NULL;
    const char *name = type ? json_string_value(type) : "none";
    int64_t rotated = json_get_int(config, "head_dim", 0);
    (void)gguf_int(g, own_key(f, "dimension_count", key), &rotated);
    int rc = read_tensors(g, f, config, rotated / 2, &scaling, err);
    if (!rc && (str_eq(name, "linear") || str_eq(name, "yarn"))) {
        if (scaling)
            rc = err_set(err, ERR_CONFIG,
                         "rope.scaling.type '%s' beside divisors of frequencies", name);
        json_decref(scaling);
        scaling = scaled(g, f, name);
    } else if (!rc && !str_in_list(name, "none|longrope", '|')) {
        rc = err_set(err, ERR_CONFIG, "rope.scaling.type '%.50s' is not read", name);
    }
    json_object_set_new(config, "rope_scaling", scaling ? scaling : json_null());
    json_decref(type);
    return rc;
}
