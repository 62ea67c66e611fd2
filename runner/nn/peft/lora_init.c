/* runner/nn/peft/lora_init.c - start values that are taken out of the base.
 *
 * PiSSA (Meng et al. 2024): of W = U S V^T the r largest triplets, A = sqrt(S_r / s)
 * V_r^T and B = U_r sqrt(S_r / s). OLoRA (Buyukakyuz 2024): of W = Q R the first r
 * columns and rows, A = R_r, B = Q_r. Either way the frozen weight becomes W - s B0 A0,
 * so that nothing changes at first. An adapter folder that gives the start (init_adapter)
 * is taken instead of the decomposition.
 *
 * What is trained fits that base only. So the folder holds peft's conversion to a LoRA on
 * the untouched base: s (B A - B0 A0) = s [B, -B0] [A; A0], of twice the rank, alpha such
 * that s stays. Both forms can be read; the unconverted one (peft's, init_lora_weights
 * "pissa") needs the start again. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/svd.h"
#include "runner/nn/peft/lora.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool lora_takes_out(const json_t *init)
{
    const char *name = json_string_value(init);
    return name && str_in_list(name, "pissa|olora", '|');
}

bool lora_moves_base(const struct trial *trial)
{
    return lora_takes_out(trial->init_lora_weights);
}

int lora_resolve(const struct trial *trial, json_t *tree, struct err *err)
{
    (void)tree;
    const json_t *init = trial->init_lora_weights;
    const char *name = json_string_value(init);
    if (!json_is_boolean(init) &&
        !(name && str_in_list(name, "gaussian|pissa|olora", '|')))
        return err_set(
            err, ERR_CONFIG,
            "init_lora_weights must be true, false, gaussian, pissa or olora%s%s%s",
            name ? ", got '" : "", name ? name : "", name ? "'" : "");
    if (!lora_takes_out(init))
        return 0;
    if (!str_eq(trial->quantization, "none"))
        return err_set(
            err, ERR_CONFIG,
            "init_lora_weights '%s' changes the base's weights, which cannot be "
            "quantised then: the saved adapter would fit no other base",
            name);
    if (trial->use_dora)
        return err_set(
            err, ERR_CONFIG,
            "init_lora_weights '%s' cannot be saved for the untouched base with "
            "use_dora; take one of them",
            name);
    if (trial->use_rslora &&
        (json_object_size(trial->rank_pattern) || json_object_size(trial->alpha_pattern)))
        return err_set(
            err, ERR_CONFIG,
            "init_lora_weights '%s' cannot be saved with use_rslora and "
            "rank_pattern or alpha_pattern together: peft's scale would change",
            name);
    return 0;
}

static float *copy_of(const float *values, size_t count)
{
    float *copy = xmalloc(count * sizeof *copy);
    memcpy(copy, values, count * sizeof *copy);
    return copy;
}

/* a0 and b0 of a site by its weight's decomposition. */
static void decompose(const struct net *net, struct linear_site *s, const float *w)
{
    const size_t r = (size_t)s->rank, in = (size_t)s->in, out = (size_t)s->out;
    double *left = xmalloc(r * out * sizeof *left),
           *right = xmalloc(r * in * sizeof *right), *value = xmalloc(r * sizeof *value);
    const bool pissa = str_eq(json_string_value(net->trial->init_lora_weights), "pissa");
    if (pissa)
        svd_top(w, s->out, s->in, s->rank, left, value, right);
    else
        qr_top(w, s->out, s->in, s->rank, left, right);
    s->a0 = xmalloc(r * in * sizeof *s->a0);
    s->b0 = xmalloc(r * out * sizeof *s->b0);
    for (size_t k = 0; k < r; k++) {
        const double f = pissa ? sqrt(value[k] / s->scale) : 1;
        for (size_t c = 0; c < in; c++)
            s->a0[k * in + c] = (float)(f * right[k * in + c]);
        for (size_t i = 0; i < out; i++)
            s->b0[i * r + k] = (float)(f * left[k * out + i]);
    }
    free(left);
    free(right);
    free(value);
}

static int start_site(struct net *net, struct linear_site *s, uint64_t seed,
                      struct err *err)
{
    struct param *w = net_site_param(net, s, "weight"),
                 *a = net_site_param(net, s, "lora_A.weight"),
                 *b = net_site_param(net, s, "lora_B.weight");
    const size_t na = (size_t)param_size(a), nb = (size_t)param_size(b);
    if (!s->a0 && a->given && b->given && !net->change.start_apart) {
        s->a0 = copy_of(a->given, na);
        s->b0 = copy_of(b->given, nb);
    }
    if (!s->a0) {
        float *values = xmalloc((size_t)param_size(w) * sizeof *values);
        int rc = param_start_values(w, seed, values, err);
        if (!rc)
            decompose(net, s, values);
        free(values);
        if (rc)
            return rc;
    }
    if (!a->given)
        a->given = copy_of(s->a0, na);
    if (!b->given)
        b->given = copy_of(s->b0, nb);
    w->less = (struct low_rank){s->rank, s->scale, s->a0, s->b0};
    return 0;
}

/* Is s B A what a decomposition took out of W, so that nothing of W - s B A is left in the
 * directions of B: s (B^T B) A = B^T W? No training ends there; it is the start of an
 * adapter whose base is not this one, whatever its folder says. */
static bool is_part_of(const struct linear_site *s, const float *w, const float *a,
                       const float *b)
{
    double most = 0, off = 0, *bb = xmalloc((size_t)s->rank * sizeof *bb);
    for (int32_t k = 0; k < s->rank && off <= 1e-3 * most; k++) {
        for (int32_t j = 0; j < s->rank; j++) {
            bb[j] = 0;
            for (int32_t o = 0; o < s->out; o++)
                bb[j] += (double)b[(size_t)o * s->rank + k] * b[(size_t)o * s->rank + j];
        }
        for (int32_t c = 0; c < s->in && bb[k] > 0; c++) {
            double left = 0, taken = 0;
            for (int32_t o = 0; o < s->out; o++)
                left += (double)b[(size_t)o * s->rank + k] * w[(size_t)o * s->in + c];
            for (int32_t j = 0; j < s->rank; j++)
                taken += bb[j] * a[(size_t)j * s->in + c];
            most = fmax(most, fabs(left));
            off = fmax(off, fabs(left - s->scale * taken));
        }
    }
    free(bb);
    return most > 0 && off <= 1e-3 * most;
}

/* A given adapter that is a start without saying so; the first site tells. */
static int check_given(struct net *net, const struct linear_site *s, uint64_t seed,
                       struct err *err)
{
    struct param *w = net_site_param(net, s, "weight"),
                 *a = net_site_param(net, s, "lora_A.weight"),
                 *b = net_site_param(net, s, "lora_B.weight");
    if (!a->given || !b->given || net->change.converted)
        return 0;
    float *values = xmalloc((size_t)param_size(w) * sizeof *values);
    int rc = param_start_values(w, seed, values, err);
    if (!rc && is_part_of(s, values, a->given, b->given))
        rc = err_set(err, ERR_CONFIG,
                     "the adapter of '%s' is a part of the base's own weight, as "
                     "init_lora_weights pissa or olora takes it out: it fits the base "
                     "without that part only; use method=pissa with it as init_adapter",
                     s->path);
    free(values);
    return rc;
}

int lora_start(struct net *net, uint64_t seed, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < net->sites.count && !net->change.base_moved; i++)
        if (net->sites.items[i].rank)
            return check_given(net, &net->sites.items[i], seed, err);
    for (size_t i = 0; i < net->sites.count && net->change.base_moved && !rc; i++)
        if (net->sites.items[i].rank)
            rc = start_site(net, &net->sites.items[i], seed, err);
    return rc;
}

/* --- the converted form --- */

int lora_saved_ranks(const struct net *net)
{
    return net->change.base_moved || net->change.converted ? 2 : 1;
}

double lora_saved_alphas(const struct net *net)
{
    const bool root = net->trial->use_rslora;
    return lora_saved_ranks(net) == 1 ? 1 : root ? sqrt(2) : 2;
}

/* The site that a parameter is A or B of; *is_b. */
static const struct linear_site *site_of(const struct net *net, const struct param *p,
                                         bool *is_b)
{
    const char *at = strstr(p->name, ".lora_");
    if (!at)
        return NULL;
    char *path = xstrndup(p->name, (size_t)(at - p->name));
    const struct linear_site *s = net_site(net, path);
    free(path);
    *is_b = at[6] == 'B';
    return s;
}

void lora_saved(const struct net *net, const struct param *p, int64_t shape[2],
                const float *own, float *out)
{
    bool is_b = false;
    const struct linear_site *s = net->change.base_moved ? site_of(net, p, &is_b) : NULL;
    const size_t n = (size_t)param_size(p);
    if (s)
        shape[is_b] = 2 * s->rank;
    if (!out)
        return;
    if (!s || !is_b)
        memcpy(out, own, n * sizeof *out);
    if (s && !is_b)
        memcpy(out + n, s->a0, n * sizeof *out);
    for (int32_t r = 0; s && is_b && r < p->rows; r++)
        for (int32_t k = 0; k < s->rank; k++) {
            out[(size_t)r * 2 * s->rank + k] = own[(size_t)r * s->rank + k];
            out[(size_t)r * 2 * s->rank + s->rank + k] = -s->b0[(size_t)r * s->rank + k];
        }
}

/* What init_adapter gave is the start, the finished adapter comes apart from it. */
static void keep_start(struct net *net, struct linear_site *s)
{
    struct param *a = net_site_param(net, s, "lora_A.weight"),
                 *b = net_site_param(net, s, "lora_B.weight");
    s->a0 = a->given;
    s->b0 = b->given;
    a->given = b->given = NULL;
}

static void double_rank(struct net *net, struct linear_site *s)
{
    struct param *a = net_site_param(net, s, "lora_A.weight"),
                 *b = net_site_param(net, s, "lora_B.weight");
    s->rank *= 2;
    a->rows = b->cols = s->rank;
    free(a->given);
    free(b->given);
    a->given = b->given = NULL;
}

int lora_adopt(struct net *net, const char *dir, struct err *err)
{
    if (!net->change.base_moved)
        return 0;
    char *path = fs_join(dir, "adapter_config.json");
    json_t *c = json_read_file(path, err);
    free(path);
    if (!c)
        return err_code(err);
    const bool apart = lora_takes_out(json_object_get(c, "init_lora_weights"));
    json_decref(c);
    for (size_t i = 0; i < net->sites.count; i++)
        if (net->sites.items[i].rank)
            (apart ? keep_start : double_rank)(net, &net->sites.items[i]);
    net->change.start_apart = apart;
    net->change.base_moved = apart;
    net->change.converted = !apart;
    return 0;
}
