/* runner/nn/arch/rope.c - see rope.h. Frequencies are made in double and rounded once. */
#include "runner/nn/arch/rope.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What every type sees, and makes its numbers of. */
struct rope_keys {
    const json_t *config, *scaling; /* scaling: rope_parameters or rope_scaling */
    const struct rope_family *family;
    double theta, factor; /* factor: of sines and cosines */
    int32_t dim;   /* rotated columns of a head; an odd one lies between two waves */
    int32_t count; /* waves */
    int32_t length, rows; /* see struct rope */
    double *f;            /* rows x count, the first row as `default` has it */
};

static int need_number(const struct rope_keys *k, const char *key, double min,
                       double *out, struct err *err)
{
    *out = json_get_num(k->scaling, key, NAN);
    return *out >= min && isfinite(*out)
               ? 0
               : err_set(err, ERR_PARSE, "rope: %s must be a number of at least %g", key,
                         min);
}

static double max_positions(const json_t *config)
{
    return json_get_num(config, "max_position_embeddings", ROPE_POSITIONS);
}

/* Of the length that the model was first trained on; a key beside the others wins. */
static double original_length(const struct rope_keys *k)
{
    const double inside = json_get_num(k->scaling, "original_max_position_embeddings",
                                       max_positions(k->config));
    return json_get_num(k->config, "original_max_position_embeddings",
                        k->family->original_length ? k->family->original_length : inside);
}

static int make_default(struct rope_keys *k, struct err *err)
{
    (void)k, (void)err;
    return 0;
}

static int make_linear(struct rope_keys *k, struct err *err)
{
    double s;
    int rc = need_number(k, "factor", 1, &s, err);
    for (int32_t i = 0; i < k->count && !rc; i++)
        k->f[i] /= s;
    return rc;
}

/* Row r is for sequences of length + r tokens: theta grows with the length. */
static int make_dynamic(struct rope_keys *k, struct err *err)
{
    double s;
    int rc = need_number(k, "factor", 1, &s, err);
    if (rc)
        return rc;
    if (k->dim <= 2)
        return err_set(err, ERR_PARSE, "rope: dynamic needs more than two columns");
    k->length = (int32_t)max_positions(k->config);
    k->rows = rope_positions(k->config) - k->length + 1;
    k->f = xrealloc(k->f, (size_t)k->rows * (size_t)k->count * sizeof *k->f);
    for (int32_t r = 1; r < k->rows; r++) {
        const double ratio = s * (k->length + r) / k->length - (s - 1);
        for (int32_t i = 0; i < k->count; i++)
            k->f[(size_t)r * (size_t)k->count + (size_t)i] =
                k->f[i] * pow(ratio, -2.0 * i / (k->dim - 2));
    }
    return 0;
}

static int make_llama3(struct rope_keys *k, struct err *err)
{
    const double length = original_length(k);
    double s, low, high;
    int rc = need_number(k, "factor", 1, &s, err);
    if (!rc)
        rc = need_number(k, "low_freq_factor", 1e-6, &low, err);
    if (!rc)
        rc = need_number(k, "high_freq_factor", 1e-6, &high, err);
    if (!rc && high <= low)
        rc = err_set(err, ERR_PARSE,
                     "rope: high_freq_factor %g must be above low_freq_factor %g", high,
                     low);
    for (int32_t i = 0; i < k->count && !rc; i++) {
        double *f = &k->f[i];
        const double wave = 2 * M_PI / *f, t = (length / wave - low) / (high - low);
        *f = wave < length / high  ? *f
             : wave > length / low ? *f / s
                                   : (1 - t) * *f / s + t * *f;
    }
    return rc;
}

/* Where a wave makes r turns over the original length, as an index. */
static double turns_at(const struct rope_keys *k, double r)
{
    return k->dim * log(original_length(k) / (r * 2 * M_PI)) / (2 * log(k->theta));
}

static double mscale(double s, double by)
{
    return s <= 1 ? 1 : 0.1 * by * log(s) + 1;
}

static int make_yarn(struct rope_keys *k, struct err *err)
{
    const double s =
        json_get_num(k->scaling, "factor", max_positions(k->config) / original_length(k));
    const double scale = json_get_num(k->scaling, "mscale", 0),
                 scale_all = json_get_num(k->scaling, "mscale_all_dim", 0);
    if (!(s >= 1))
        return err_set(err, ERR_PARSE, "rope: factor must be a number of at least 1");
    double low = turns_at(k, json_get_num(k->scaling, "beta_fast", 32)),
           high = turns_at(k, json_get_num(k->scaling, "beta_slow", 1));
    if (json_get_bool(k->scaling, "truncate", 1)) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, k->dim - 1);
    if (low == high)
        high += 0.001;
    for (int32_t i = 0; i < k->count; i++) {
        const double t = fmin(fmax((i - low) / (high - low), 0), 1);
        k->f[i] = t * k->f[i] / s + (1 - t) * k->f[i];
    }
    const double usual = scale > 0 && scale_all > 0
                             ? mscale(s, scale) / mscale(s, scale_all)
                             : mscale(s, 1);
    k->factor = json_get_num(k->scaling, "attention_factor", usual);
    return 0;
}

/* Divides a row of frequencies by the numbers of a key. */
static int divide(const struct rope_keys *k, const char *key, double *f, struct err *err)
{
    const json_t *list = json_object_get(k->scaling, key);
    bool good = json_array_size(list) == (size_t)k->count;
    for (int32_t i = 0; i < k->count && good; i++) {
        const double by = json_number_value(json_array_get(list, (size_t)i));
        good = by > 0;
        f[i] /= by;
    }
    return good ? 0
                : err_set(err, ERR_PARSE,
                          "rope: %s must be a list of %d numbers above 0, one for each "
                          "pair of rotated columns",
                          key, k->count);
}

static int make_longrope(struct rope_keys *k, struct err *err)
{
    const double length = original_length(k);
    const double s =
        json_get_num(k->scaling, "factor", max_positions(k->config) / length);
    const size_t n = (size_t)k->count;
    if (!(length > 1 && length < INT32_MAX))
        return err_set(err, ERR_PARSE,
                       "rope: original_max_position_embeddings must be above 1");
    k->length = (int32_t)length;
    k->rows = 2;
    k->f = xrealloc(k->f, 2 * n * sizeof *k->f);
    memcpy(k->f + n, k->f, n * sizeof *k->f);
    k->factor = json_get_num(k->scaling, "attention_factor",
                             s <= 1 ? 1 : sqrt(1 + log(s) / log(length)));
    int rc = divide(k, "short_factor", k->f, err);
    return rc ? rc : divide(k, "long_factor", k->f + n, err);
}

static const struct rope_type {
    const char *name;
    int (*make)(struct rope_keys *k, struct err *err);
} types[] = {
    {"default", make_default}, {"linear", make_linear}, {"dynamic", make_dynamic},
    {"llama3", make_llama3},   {"yarn", make_yarn},     {"longrope", make_longrope},
};

static const char *type_name(const json_t *scaling)
{
    return json_get_str(scaling, "rope_type", json_get_str(scaling, "type", "default"));
}

static int find_type(const struct rope_keys *k, const struct rope_type **out,
                     struct err *err)
{
    const char *name = type_name(k->scaling), *const old[] = {"su", "yarn"};
    struct buf known = BUF_INIT;
    for (size_t i = 0; i < ARRAY_LEN(old) && k->family->only_longrope; i++)
        if (str_eq(name, old[i]))
            name = "longrope";
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const bool has = !k->family->only_longrope || types[i].make == make_default ||
                         types[i].make == make_longrope;
        if (has && str_eq(types[i].name, name)) {
            buf_release(&known);
            return *out = &types[i], 0;
        }
        if (has)
            buf_printf(&known, "%s%s", i ? ", " : "", types[i].name);
    }
    int rc = err_set(err, ERR_CONFIG, "rope_type '%s' is not supported (known: %s)", name,
                     buf_str(&known));
    buf_release(&known);
    return rc;
}

/* The older spelling first, as transformers has it. */
static const json_t *parameters_of(const json_t *config)
{
    static const char *const keys[] = {"rope_scaling", "rope_parameters"};
    const json_t *p = NULL;
    for (size_t i = 0; i < ARRAY_LEN(keys) && !json_object_size(p); i++)
        p = json_object_get(config, keys[i]);
    return p;
}

/* One table, or the layer type's own. Gemma 3's older spelling has rope_scaling for the
 * layers without a window, and the other's theta by a key of its own. */
static void read_theta(struct rope_keys *k, const char *layer_type)
{
    const json_t *all = parameters_of(k->config);
    const json_t *own = layer_type ? json_object_get(all, layer_type) : NULL;
    const bool local = layer_type && !own && str_eq(layer_type, "sliding_attention");
    k->scaling = own ? own : local ? NULL : all;
    k->theta = json_get_num(k->scaling, "rope_theta",
                            json_get_num(k->config,
                                         local ? "rope_local_base_freq" : "rope_theta",
                                         k->family->theta));
}

/* How many columns of a head are rotated; llama's own `default` has no part of them. */
static int rotated(struct rope_keys *k, const struct rope_type *type, int32_t head_dim,
                   struct err *err)
{
    const double part = json_get_num(k->scaling, "partial_rotary_factor",
                                     json_get_num(k->config, "partial_rotary_factor", 1));
    const bool counts = k->family->partial || type->make != make_default;
    if (counts && part != 1 && !k->family->partial)
        return err_set(err, ERR_CONFIG,
                       "rope: partial_rotary_factor %g is not supported in this family",
                       part);
    if (!(part > 0 && part <= 1))
        return err_set(err, ERR_PARSE, "rope: partial_rotary_factor must be in 0..1");
    k->dim = counts ? (int32_t)(head_dim * part) : head_dim;
    k->count = (k->dim + 1) / 2;
    return 0;
}

static int check_shape(const struct rope_keys *k, int32_t head_dim, struct err *err)
{
    if (k->dim < 2 || 2 * k->count > head_dim || !(k->theta > 1))
        return err_set(err, ERR_PARSE,
                       "rope: heads of %d columns, of which %d are rotated, with "
                       "rope_theta %g (columns must be even, theta above 1)",
                       head_dim, k->dim, k->theta);
    return 0;
}

int32_t rope_positions(const json_t *config)
{
    const json_t *p = parameters_of(config);
    const double n = max_positions(config), s = json_get_num(p, "factor", 1);
    const bool grows = str_eq(type_name(p), "dynamic") && s > 1;
    return (int32_t)fmin(grows ? 4 * s * n : n, n + ROPE_MOST_ROWS - 1);
}

int rope_read(const json_t *config, const struct rope_family *family,
              const char *layer_type, int32_t head_dim, struct rope *out, struct err *err)
{
    struct rope_keys k = {.config = config, .family = family, .factor = 1, .rows = 1};
    const struct rope_type *type = NULL;
    *out = (struct rope){0};
    read_theta(&k, layer_type);
    int rc = find_type(&k, &type, err);
    if (!rc)
        rc = rotated(&k, type, head_dim, err);
    if (!rc)
        rc = check_shape(&k, head_dim, err);
    if (rc)
        return rc;
    k.f = xcalloc((size_t)k.count, sizeof *k.f);
    for (int32_t i = 0; i < k.count; i++)
        k.f[i] = pow(k.theta, -2.0 * i / k.dim);
    rc = type->make(&k, err);
    *out = (struct rope){
        .count = k.count, .rows = k.rows, .length = k.length, .factor = (float)k.factor};
    const size_t n = (size_t)k.rows * (size_t)k.count;
    out->frequencies = xcalloc(n, sizeof *out->frequencies);
    for (size_t i = 0; i < n && !rc; i++)
        out->frequencies[i] = (float)k.f[i];
    free(k.f);
    return rc;
}

void rope_release(struct rope *r)
{
    free(r->frequencies);
    *r = (struct rope){0};
}
