/* runner/nn/peft/dora.c - DoRA (Liu et al. 2024) as peft has it: a LoRA whose layer
 * computes
 *
 *   y = (m / n) (W x + s B A x) + b,    n = row norms of W + s B A
 *
 * with a trained magnitude m per output. n is computed anew in each forward pass and is a
 * constant to the gradient. m starts as n, so nothing changes at first. Dropout acts on
 * the update and on the part of the base product that the magnitude changes:
 *
 *   y = W x + b + (m / n - 1) W x' + (m / n) s B A x',    x' = dropout(x)
 *
 * A quantised W counts with its dequantised values (QDoRA). The norm comes from r-sized
 * products: n^2 = |W|^2 + 2 s <W, B A> + s^2 |B A|^2; |W|^2 is kept ("w2"). */
#include "lib/mem.h"
#include "runner/nn/peft/lora.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAGNITUDE "lora_magnitude_vector"
#define SQUARES   "dora_w2"

void dora_attach(struct net *net, const struct linear_site *s)
{
    char *m = xasprintf("%s." MAGNITUDE, s->path),
         *w2 = xasprintf("%s." SQUARES, s->path);
    struct param *magnitude = net_method_param(net, m, 1, 1, s->out, INIT_ZEROS, 0);
    magnitude->derived = true;
    magnitude->exact = true; /* its updates may be smaller than bf16 can tell (TRL) */
    struct param *squares = net_method_param(net, w2, 1, 1, s->out, INIT_ZEROS, 0);
    squares->derived = true;
    squares->trainable = false;
    free(m);
    free(w2);
}

static int param_of(struct graph *g, const struct linear_site *s, const char *what)
{
    char name[256];
    snprintf(name, sizeof name, "%s.%s", s->path, what);
    return g_param(g, name);
}

int dora_record(const struct net *net, struct graph *g, const struct linear_site *s,
                int x, float p)
{
    const int w = param_of(g, s, "weight"),
              bias = s->has_bias ? param_of(g, s, "bias") : -1;
    const int norm =
        g_dora_norm(g, param_of(g, s, SQUARES), w, param_of(g, s, "lora_A.weight"),
                    param_of(g, s, "lora_B.weight"), s->scale);
    const int factor = g_colscale(g, param_of(g, s, MAGNITUDE), norm, -1);
    const int dropped = g_dropout(g, x, p);
    const int y = g_linear(g, dropped, w, -1, 1);
    (void)net;
    lora_record_onto(g, s, dropped, y);
    if (dropped == x)
        return g_colscale(g, y, factor, bias);
    const int rest = g_add(g, g_scale(g, dropped, -1), x);
    return g_add(g, g_colscale(g, y, factor, -1), g_linear(g, rest, w, bias, 1));
}

static void upload(const struct backend *backend, const struct param *p,
                   const float *values)
{
    backend->upload(backend->device, p->value.data, values,
                    (size_t)param_size(p) * sizeof *values);
}

/* |row| of a matrix, squared. */
static double square(const float *row, int32_t n)
{
    double sum = 0;
    for (int32_t c = 0; c < n; c++)
        sum += (double)row[c] * row[c];
    return sum;
}

void dora_derive(struct net *net, const struct backend *backend,
                 const struct linear_site *s)
{
    const struct param *w = net_site_param(net, s, "weight"),
                       *m = net_site_param(net, s, MAGNITUDE);
    float *values = xmalloc((size_t)param_size(w) * sizeof *values);
    float *norms = xmalloc((size_t)s->out * sizeof *norms);
    backend->weight_unpack(backend->device, &w->spec, w->prepared.data, values);
    for (int32_t r = 0; r < s->out; r++)
        norms[r] = (float)square(values + (size_t)r * s->in, s->in);
    upload(backend, net_site_param(net, s, SQUARES), norms);
    if (m->derived) {
        float *a = net_download(backend, net_site_param(net, s, "lora_A.weight")),
              *b = net_download(backend, net_site_param(net, s, "lora_B.weight"));
        lora_add(values, s, a, b);
        for (int32_t r = 0; r < s->out; r++)
            norms[r] = (float)sqrt(square(values + (size_t)r * s->in, s->in));
        upload(backend, m, norms);
        free(a);
        free(b);
    }
    free(values);
    free(norms);
}

void dora_merge(const struct net *net, const struct backend *backend,
                const struct linear_site *s, float *w)
{
    float *m = net_download(backend, net_site_param(net, s, MAGNITUDE));
    for (int32_t r = 0; r < s->out; r++) {
        float *row = w + (size_t)r * s->in;
        const double factor = m[r] / sqrt(square(row, s->in));
        for (int32_t c = 0; c < s->in; c++)
            row[c] = (float)(factor * row[c]);
    }
    free(m);
}
