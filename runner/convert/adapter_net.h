/* runner/convert/adapter_net.h - an adapter's net without memory for it: parameters, sites
 * and what the folder gives (param.given), checked as for a training. Of the base its
 * shape is enough. */
#ifndef RUNNER_CONVERT_ADAPTER_NET_H
#define RUNNER_CONVERT_ADAPTER_NET_H

#include "runner/nn/net.h"
#include <jansson.h>

struct adapter_net {
    json_t *resolved; /* the trial */
    struct trial trial;
    struct hf_model *hf;
    struct net net;
};

/* model: NULL: the one that the folder names. Release it also where this fails. */
int adapter_net_open(struct adapter_net *a, const char *dir, const char *model,
                     struct err *err);
/* The net of a trial as a user would write it, without an adapter's values, on a
 * model that release closes unless `hf` is set to NULL. */
int adapter_net_plain(struct adapter_net *a, struct hf_model *hf, const json_t *given,
                      struct err *err);
void adapter_net_release(struct adapter_net *a);

#endif
