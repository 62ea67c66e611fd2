/* runner/merge/latency.c - merged weights where they lie, and what a request takes then. */
#include "lib/mem.h"
#include "runner/merge/merge.h"
#include "runner/nn/peft/method.h"
#include <stdlib.h>

static float *value_of(const struct session *s, const struct param *p)
{
    if (!param_is_prepared(p))
        return net_download(s->backend, p);
    float *values = xmalloc((size_t)param_size(p) * sizeof *values);
    s->backend->weight_unpack(s->backend->device, &p->spec, p->prepared.data, values);
    return values;
}

static int merge_in_place(struct session *s, const struct linear_site *site,
                          struct err *err)
{
    const struct net *net = &s->net;
    const struct param *w = net_site_param(net, site, "weight"),
                       *b = net_site_param(net, site, "bias");
    float *weight = value_of(s, w), *bias = b ? value_of(s, b) : NULL;
    int rc = 0;
    if (net->method->merge(net, s->backend, site, weight, bias) &&
        !(rc = session_own_param(s, w, err)) &&
        !(rc = b ? session_own_param(s, b, err) : 0)) {
        rc = backend_prepare(s->backend, &w->spec, weight, w->prepared.data, err);
        if (b)
            s->backend->upload(s->backend->device, b->value.data, bias,
                               (size_t)param_size(b) * sizeof *bias);
    }
    free(weight);
    free(bias);
    return rc;
}

int merge_latency(struct session *s, size_t requests, struct latency *out,
                  struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->net.sites.count && !rc; i++)
        if (s->net.sites.items[i].rank)
            rc = merge_in_place(s, &s->net.sites.items[i], err);
    return rc ? rc : evaluate_latency(s, &s->merged_graph, requests, out, err);
}
