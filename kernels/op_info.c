/* kernels/op_info.c - names of the ops and what they cost.
 *
 * Only what grows with a product of three sizes is counted: the linear family and
 * attention. Where sequences begin is not known from shapes, so attention counts N equal
 * sequences of T / N tokens; a causal query sees half of its own sequence, and every
 * query sees all prefix keys, or what a window leaves of both. */
#include "kernels/backend.h"

const struct op_info op_info[OP_COUNT] = {
#define OP(name, n_in, n_out, in_place) [OP_##name] = {#name, n_in, n_out, in_place},
#include "kernels/ops.def"
#undef OP
};

/* Keys that one of n queries sees on the average, behind `prefix` others. */
static double keys_seen(const struct op_attr *attr, double n, double prefix)
{
    if (!attr->causal)
        return prefix + n;
    if (!attr->window || attr->window >= prefix + n)
        return prefix + n / 2;
    if (attr->window <= prefix)
        return attr->window;
    const double ramp = attr->window - prefix; /* queries until the window is full */
    return (ramp * (prefix + ramp / 2) + (n - ramp) * attr->window) / n;
}

/* QK^T and PV: 2 * 2 * T * keys * d. */
static double attention_flops(const struct op_attr *attr, const struct tensor *q,
                              const struct tensor *seq, const struct tensor *prefix)
{
    const double sequences = seq->rows > 1 ? seq->rows - 1 : 1;
    const double keys =
        keys_seen(attr, q->rows / sequences, prefix->data ? prefix->rows : 0);
    return 4.0 * q->rows * keys * q->cols;
}

/* A sequence's cache is half full on the way. */
static double cached_flops(const struct tensor *q, const struct op_attr *attr)
{
    const double half = attr->capacity / 2.0;
    const bool windowed = attr->window && attr->window < half;
    return 4.0 * q->rows * (windowed ? attr->window : half) * q->cols;
}

double op_flops(enum op op, const struct op_args *shapes)
{
    const struct tensor *in = shapes->in, *out = shapes->out;
    switch (op) {
    case OP_linear:
    case OP_linear_dx:
        return 2.0 * in[0].rows * in[0].cols * out[0].cols;
    case OP_linear_dw:
        return 2.0 * in[0].rows * in[0].cols * in[1].cols;
    case OP_attention:
        return attention_flops(&shapes->attr, &in[0], &in[3], &in[4]);
    case OP_cached_attention:
        return cached_flops(&in[0], &shapes->attr);
    case OP_attention_bwd: /* five products for the forward's two */
        return 2.5 * attention_flops(&shapes->attr, &in[1], &in[6], &in[7]);
    default:
        return 0;
    }
}
