/* kernels/ref/attention.c - softmax attention over packed sequences.
 *
 * Key j of a sequence is prefix row j while j < prefix, then the sequence's own token
 * j - prefix. Nothing is stored per pair of tokens: scores are computed again wherever
 * they are needed, and the backward pass takes probabilities from the saved log-sum-exp
 * (Dao et al. 2022). With P the probabilities, M the dropout mask over 1 - p:
 *   dV = (P M)^T dO,  dS = P (M (dO V^T) - rowsum(dO O)),  dQ = scale dS K,
 *   dK = scale dS^T Q;
 * where scores S = c tanh(R / c) are capped, dR = dS (1 - (S / c)^2) is in dS's place. */
#include "kernels/ref/ref.h"
#include "kernels/dropout.h"
#include <assert.h>
#include <math.h>

enum { HEAD_DIM_MAX = 512 };

/* One head of one sequence. */
struct head {
    const struct op_args *args;
    const struct tensor *q, *k, *v, *pk, *pv;
    int64_t first;           /* the sequence's first row */
    int tokens, prefix, dim; /* own tokens, virtual keys before them, columns per head */
    int index, column;       /* which head, its first column */
    int kv_column;           /* of the head of keys and values that serves it */
};

static struct head head_of(const struct op_args *args, const struct tensor *q,
                           const struct tensor *seq, const struct tensor *prefix, int n,
                           int index)
{
    int dim = q->cols / args->attr.heads;
    assert(q->cols % args->attr.heads == 0 && dim <= HEAD_DIM_MAX);
    return (struct head){
        .args = args,
        .q = q,
        .k = q + 1,
        .v = q + 2,
        .pk = prefix,
        .pv = prefix + 1,
        .first = ref_index(seq, n),
        .tokens = ref_index(seq, n + 1) - ref_index(seq, n),
        .prefix = prefix->data ? prefix->rows : 0,
        .dim = dim,
        .index = index,
        .column = index * dim,
        .kv_column = index / op_attr_group(&args->attr) * dim,
    };
}

/* The head's columns of own token i. */
static float *token(const struct head *h, const struct tensor *t, int i)
{
    return ref_row(t, h->first + i) + h->column;
}

static const float *key(const struct head *h, int j)
{
    return (j < h->prefix ? ref_row(h->pk, j) : ref_row(h->k, h->first + j - h->prefix)) +
           h->kv_column;
}

static const float *value(const struct head *h, int j)
{
    return (j < h->prefix ? ref_row(h->pv, j) : ref_row(h->v, h->first + j - h->prefix)) +
           h->kv_column;
}

/* Keys first .. end - 1 are seen by query i. */
struct span {
    int first, end;
};

static struct span seen(const struct head *h, int i)
{
    const int end = h->prefix + (h->args->attr.causal ? i + 1 : h->tokens);
    return (struct span){op_attr_first_key(&h->args->attr, end), end};
}

static double score(const struct head *h, int i, int j)
{
    const double c = h->args->attr.softcap;
    const double s = h->args->attr.scale * ref_dot(token(h, h->q, i), key(h, j), h->dim);
    return c > 0 ? c * tanh(s / c) : s;
}

static double mask(const struct head *h, int i, int j)
{
    const struct op_attr *attr = &h->args->attr;
    if (attr->p <= 0)
        return 1;
    uint32_t col = DROPOUT_COL(h->index, j);
    if (!dropout_keep(&h->args->step, attr->site, attr->p, h->first + i, col))
        return 0;
    return 1 / (1 - (double)attr->p);
}

static double log_sum_exp(const struct head *h, int i)
{
    const struct span keys = seen(h, i);
    double max = -INFINITY, sum = 0;
    for (int j = keys.first; j < keys.end; j++)
        max = fmax(max, score(h, i, j));
    for (int j = keys.first; j < keys.end; j++)
        sum += exp(score(h, i, j) - max);
    return max + log(sum);
}

static void put_head(const struct op_args *args, int output, float *dst,
                     const double *src, int n)
{
    for (int c = 0; c < n; c++)
        ref_put(args, output, dst + c, src[c]);
}

static void add_scaled(double *dst, double factor, const float *src, int n)
{
    for (int c = 0; c < n; c++)
        dst[c] += factor * src[c];
}

static void forward(const struct head *h, int i)
{
    const struct op_args *args = h->args;
    const struct span keys = seen(h, i);
    double sum[HEAD_DIM_MAX] = {0}, lse = log_sum_exp(h, i);
    for (int j = keys.first; j < keys.end; j++) {
        double p = exp(score(h, i, j) - lse);
        add_scaled(sum, p * mask(h, i, j), value(h, j), h->dim);
    }
    put_head(args, 0, token(h, &args->out[0], i), sum, h->dim);
    if (args->out[1].data)
        ref_row(&args->out[1], h->first + i)[h->index] = (float)lse;
}

void ref_attention(const struct op_args *args)
{
    const struct tensor *seq = &args->in[3];
    for (int n = 0; n + 1 < seq->rows; n++)
        for (int a = 0; a < args->attr.heads; a++) {
            struct head h = head_of(args, &args->in[0], seq, &args->in[4], n, a);
            for (int i = 0; i < h.tokens; i++)
                forward(&h, i);
        }
}

/* What query i and key j have to do with each other, seen from the loss; dscore: of the
 * score as it was before the cap. */
struct pair {
    double masked_p, dscore;
};

static struct pair pair_of(const struct head *h, int i, int j)
{
    const float *d_o = token(h, &h->args->in[0], i), *o = token(h, &h->args->in[4], i);
    double lse = ref_row(&h->args->in[5], h->first + i)[h->index];
    const double c = h->args->attr.softcap, s = score(h, i, j);
    double p = exp(s - lse), m = mask(h, i, j);
    double dp = m * ref_dot(d_o, value(h, j), h->dim);
    double dscore = p * (dp - ref_dot(d_o, o, h->dim));
    return (struct pair){p * m, c > 0 ? dscore * (1 - (s / c) * (s / c)) : dscore};
}

static void query_gradient(const struct head *h, int i)
{
    const struct span keys = seen(h, i);
    double dq[HEAD_DIM_MAX] = {0};
    for (int j = keys.first; j < keys.end; j++)
        add_scaled(dq, h->args->attr.scale * pair_of(h, i, j).dscore, key(h, j), h->dim);
    put_head(h->args, 0, token(h, &h->args->out[0], i), dq, h->dim);
}

/* Adds what this sequence's queries say about key j and its value. */
static void add_key_gradient(const struct head *h, int j, double *dk, double *dv)
{
    for (int i = 0; i < h->tokens; i++) {
        const struct span keys = seen(h, i);
        if (j < keys.first || j >= keys.end)
            continue;
        struct pair pair = pair_of(h, i, j);
        add_scaled(dk, h->args->attr.scale * pair.dscore, token(h, h->q, i), h->dim);
        add_scaled(dv, pair.masked_p, token(h, &h->args->in[0], i), h->dim);
    }
}

/* Of own token i as a key, from all heads that its head of keys serves. */
static void own_key_gradient(const struct op_args *args, int n, int kv, int i)
{
    const int group = op_attr_group(&args->attr);
    double dk[HEAD_DIM_MAX] = {0}, dv[HEAD_DIM_MAX] = {0};
    struct head h;
    for (int a = kv * group; a < (kv + 1) * group; a++) {
        h = head_of(args, &args->in[1], &args->in[6], &args->in[7], n, a);
        add_key_gradient(&h, h.prefix + i, dk, dv);
    }
    if (args->out[1].data)
        put_head(args, 1, ref_row(&args->out[1], h.first + i) + h.kv_column, dk, h.dim);
    if (args->out[2].data)
        put_head(args, 2, ref_row(&args->out[2], h.first + i) + h.kv_column, dv, h.dim);
}

/* Every sequence sees the prefix, so its gradient is a sum over all of them. */
static void prefix_gradient(const struct op_args *args, int kv, int j)
{
    const struct tensor *seq = &args->in[6], *dpk = &args->out[3], *dpv = &args->out[4];
    const int group = op_attr_group(&args->attr);
    double dk[HEAD_DIM_MAX] = {0}, dv[HEAD_DIM_MAX] = {0};
    int dim = args->in[1].cols / args->attr.heads;
    for (int n = 0; n + 1 < seq->rows; n++)
        for (int a = kv * group; a < (kv + 1) * group; a++) {
            struct head h = head_of(args, &args->in[1], seq, &args->in[7], n, a);
            add_key_gradient(&h, j, dk, dv);
        }
    if (dpk->data)
        put_head(args, 3, ref_row(dpk, j) + kv * dim, dk, dim);
    if (dpv->data)
        put_head(args, 4, ref_row(dpv, j) + kv * dim, dv, dim);
}

static void query_gradients(const struct op_args *args, int n)
{
    for (int a = 0; a < args->attr.heads; a++) {
        struct head h = head_of(args, &args->in[1], &args->in[6], &args->in[7], n, a);
        for (int i = 0; i < h.tokens; i++)
            query_gradient(&h, i);
    }
}

void ref_attention_bwd(const struct op_args *args)
{
    const struct tensor *seq = &args->in[6], *prefix = &args->in[7], *out = args->out;
    const int heads = args->attr.heads / op_attr_group(&args->attr); /* of keys */
    for (int n = 0; n + 1 < seq->rows; n++) {
        const int tokens = ref_index(seq, n + 1) - ref_index(seq, n);
        if (out[0].data)
            query_gradients(args, n);
        for (int kv = 0; (out[1].data || out[2].data) && kv < heads; kv++)
            for (int i = 0; i < tokens; i++)
                own_key_gradient(args, n, kv, i);
    }
    for (int kv = 0; prefix->data && (out[3].data || out[4].data) && kv < heads; kv++)
        for (int j = 0; j < prefix->rows; j++)
            prefix_gradient(args, kv, j);
}
