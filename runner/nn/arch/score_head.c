/* runner/nn/arch/score_head.c - see score_head.h. */
#include "runner/nn/arch/score_head.h"

int score_head_declare(struct net *net, struct err *err)
{
    return net_linear(net, "score", net->goal.num_labels, net->shape.hidden, -1,
                      ROLE_head, false, err);
}

int score_head_record(const struct net *net, struct graph *g, int picked)
{
    return net_record_linear(net, g, "score", picked);
}
