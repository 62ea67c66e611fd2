/* runner/nn/peft/bottleneck.h - the kinds of bottleneck adapters (`adapter_type`). */
#ifndef RUNNER_NN_PEFT_BOTTLENECK_H
#define RUNNER_NN_PEFT_BOTTLENECK_H

#include "runner/options.h"
#include <stdbool.h>

struct bottleneck_kind {
    const char *name;
    const char *init; /* adapters' init_weights */
    bool attention;   /* behind the attention too, not only the feed-forward part */
    bool norm_before; /* reads LN(h + x), else h */
    bool parallel;    /* reads the sublayer's residual x */
    float scaling;    /* of what it adds */
    double reduction_factor; /* when the trial gives none */
    const char *non_linearity;
};

const struct bottleneck_kind *bottleneck_kind(const struct trial *trial);

#endif
