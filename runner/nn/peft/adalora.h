/* runner/nn/peft/adalora.h - AdaLoRA (Zhang et al. 2023) as peft has it: y = W x + b + s
 * B (E * (A dropout(x))) with s = alpha / (init_r + 1e-5), E a vector that starts at 0, A
 * and B ~ N(0, 0.02) (init_lora_weights: false: all three N(0, 1)).
 *
 * adalora.c has the method and its folder; adalora_rank.c what happens beside the graph:
 * the orthogonality term, importances, and the ranks that are left. */
#ifndef RUNNER_NN_PEFT_ADALORA_H
#define RUNNER_NN_PEFT_ADALORA_H

#include "runner/nn/peft/method.h"

struct adalora_site {
    struct param *a, *b, *e;
    size_t offset; /* of its numbers in `smoothed` and `doubt`: A's, B's, then E's */
};

/* All in host memory: the matrices are small, and ranks are chosen by sorting. */
struct adalora {
    struct adalora_site *sites;
    size_t site_count;
    int32_t rank; /* init_r */
    int64_t updates;
    float *smoothed, *doubt; /* moving averages of each number's importance and of how
                                far it strays; only where it trains */
    size_t numbers;
    uint8_t *kept;  /* per site and rank: still there */
    uint8_t pruned; /* ranks have been taken away at least once */
};

/* orth_reg_weight times the mean over all A and B of ||A A^T - I|| and ||B^T B - I||
 * (Frobenius); adds its gradient. */
double adalora_penalty(struct net *net, const struct backend *backend);
/* peft's update_and_allocate behind the optimiser's step `update` (0-based); the
 * gradients count as clipped, that is times `clip`. */
void adalora_allocate(struct net *net, const struct backend *backend, int64_t update,
                      double clip);

#endif
