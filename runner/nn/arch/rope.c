/* runner/nn/arch/rope.c - see rope.h. Frequencies are made in double and rounded once. */
#include "runner/nn/arch/rope.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>

/* What every type sees. */
struct rope_keys {
    const json_t *config, *scaling; /* scaling: rope_parameters or rope_scaling */
    double theta;
    int32_t dim; /* rotated columns of a head */
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

/* Of the length that the model was first trained on; a key beside the others wins. */
static double original_length(const struct rope_keys *k)
{
    const double inside =
        json_get_num(k->scaling, "original_max_position_embeddings",
                     json_get_num(k->config, "max_position_embeddings", 2048));
    return json_get_num(k->config, "original_max_position_embeddings", inside);
}

static int make_default(const struct rope_keys *k, double *f, double *factor,
                        struct err *err)
{
    (void)k, (void)f, (void)factor, (void)err;
    return 0;
}

static int make_linear(const struct rope_keys *k, double *f, double *factor,
                       struct err *err)
{
    double s;
    (void)factor;
    int rc = need_number(k, "factor", 1, &s, err);
    for (int32_t i = 0; i < k->dim / 2 && !rc; i++)
        f[i] /= s;
    return rc;
}

static int make_llama3(const struct rope_keys *k, double *f, double *factor,
                       struct err *err)
{
    const double length = original_length(k);
    double s, low, high;
    (void)factor;
    int rc = need_number(k, "factor", 1, &s, err);
    if (!rc)
        rc = need_number(k, "low_freq_factor", 1e-6, &low, err);
    if (!rc)
        rc = need_number(k, "high_freq_factor", 1e-6, &high, err);
    if (!rc && high <= low)
        rc = err_set(err, ERR_PARSE,
                     "rope: high_freq_factor %g must be above low_freq_factor %g", high,
                     low);
    for (int32_t i = 0; i < k->dim / 2 && !rc; i++) {
        const double wave = 2 * M_PI / f[i], t = (length / wave - low) / (high - low);
        f[i] = wave < length / high  ? f[i]
               : wave > length / low ? f[i] / s
                                     : (1 - t) * f[i] / s + t * f[i];
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

static int make_yarn(const struct rope_keys *k, double *f, double *factor,
                     struct err *err)
{
    const double length = original_length(k);
    const double given = json_get_num(k->config, "max_position_embeddings", 2048);
    const double s = json_get_num(k->scaling, "factor", given / length);
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
    for (int32_t i = 0; i < k->dim / 2; i++) {
        const double t = fmin(fmax((i - low) / (high - low), 0), 1);
        f[i] = t * f[i] / s + (1 - t) * f[i];
    }
    const double usual = scale > 0 && scale_all > 0
                             ? mscale(s, scale) / mscale(s, scale_all)
                             : mscale(s, 1);
    *factor = json_get_num(k->scaling, "attention_factor", usual);
    return 0;
}

static const struct {
    const char *name;
    int (*make)(const struct rope_keys *k, double *f, double *factor, struct err *err);
} types[] = {
    {"default", make_default},
    {"linear", make_linear},
    {"llama3", make_llama3},
    {"yarn", make_yarn},
};

static int find_type(const json_t *scaling, size_t *out, struct err *err)
{
    const char *name = json_get_str(scaling, "rope_type", NULL);
    if (!name)
        name = json_get_str(scaling, "type", "default");
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eq(types[i].name, name))
            return *out = i, 0;
    return err_set(err, ERR_CONFIG,
                   "rope_type '%s' is not supported (known: default, linear, llama3, "
                   "yarn)",
                   name);
}

int rope_read(const json_t *config, int32_t head_dim, struct rope *out, struct err *err)
{
    struct rope_keys k = {.config = config, .dim = head_dim};
    double factor = 1;
    size_t type = 0;
    *out = (struct rope){.count = head_dim / 2};
    k.scaling = json_object_get(config, "rope_parameters");
    if (!json_is_object(k.scaling))
        k.scaling = json_object_get(config, "rope_scaling");
    k.theta =
        json_get_num(k.scaling, "rope_theta", json_get_num(config, "rope_theta", 10000));
    if (head_dim % 2 || head_dim < 2 || !(k.theta > 1))
        return err_set(err, ERR_PARSE,
                       "rope: heads of %d columns with rope_theta %g (columns must be "
                       "even, theta above 1)",
                       head_dim, k.theta);
    int rc = find_type(k.scaling, &type, err);
    if (rc)
        return rc;
    double *f = xcalloc((size_t)out->count, sizeof *f);
    for (int32_t i = 0; i < out->count; i++)
        f[i] = pow(k.theta, -2.0 * i / head_dim);
    rc = types[type].make(&k, f, &factor, err);
    out->factor = (float)factor;
    out->frequencies = xcalloc((size_t)out->count, sizeof *out->frequencies);
    for (int32_t i = 0; i < out->count; i++)
        out->frequencies[i] = (float)f[i];
    free(f);
    return rc;
}

void rope_release(struct rope *r)
{
    free(r->frequencies);
    *r = (struct rope){0};
}
