/* runner/nn/peft/adalora_rank.c - see adalora.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/nn/peft/adalora.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *download(const struct backend *backend, const void *data, int64_t count)
{
    float *values = xmalloc((size_t)count * sizeof *values);
    backend->download(backend->device, values, data, (size_t)count * sizeof *values);
    return values;
}

/* --- orthogonality --- */

/* Row i of A, or column i of B. */
static double element(const struct param *p, const float *v, bool columns, int32_t i,
                      int32_t k)
{
    return columns ? v[(int64_t)k * p->cols + i] : v[(int64_t)i * p->cols + k];
}

/* ||M|| for M = P P^T - I, P the rows of A or the columns of B; its gradient 2 M P /
 * ||M|| times `weight` is added to the parameter's. */
static double add_orthogonality(const struct param *p, bool columns, double weight,
                                const struct backend *backend)
{
    const int32_t rank = columns ? p->cols : p->rows, n = columns ? p->rows : p->cols;
    float *v = download(backend, p->value.data, param_size(p)),
          *grad = download(backend, p->grad.data, param_size(p));
    double *m = xmalloc((size_t)rank * (size_t)rank * sizeof *m), square = 0;
    for (int32_t i = 0; i < rank; i++)
        for (int32_t j = 0; j < rank; j++) {
            double sum = i == j ? -1 : 0;
            for (int32_t k = 0; k < n; k++)
                sum += element(p, v, columns, i, k) * element(p, v, columns, j, k);
            m[i * rank + j] = sum;
            square += sum * sum;
        }
    const double norm = sqrt(square), factor = norm > 0 ? 2 * weight / norm : 0;
    for (int32_t i = 0; i < rank; i++)
        for (int32_t k = 0; k < n; k++) {
            double sum = 0;
            for (int32_t j = 0; j < rank; j++)
                sum += m[i * rank + j] * element(p, v, columns, j, k);
            float *g = columns ? &grad[(int64_t)k * p->cols + i]
                               : &grad[(int64_t)i * p->cols + k];
            *g = (float)(*g + factor * sum);
        }
    backend->upload(backend->device, p->grad.data, grad,
                    (size_t)param_size(p) * sizeof *grad);
    free(m);
    free(grad);
    free(v);
    return norm;
}

double adalora_penalty(struct net *net, const struct backend *backend)
{
    const struct adalora *l = net->change.data;
    const double weight = net->trial->orth_reg_weight / (double)(2 * l->site_count);
    double sum = 0;
    for (size_t i = 0; i < l->site_count && weight > 0; i++) {
        sum += add_orthogonality(l->sites[i].a, false, weight, backend);
        sum += add_orthogonality(l->sites[i].b, true, weight, backend);
    }
    return weight * sum;
}

/* --- importances --- */

static void see_param(const struct param *p, const struct backend *backend, float clip,
                      float beta1, float beta2, float *smoothed, float *doubt)
{
    float *v = download(backend, p->value.data, param_size(p)),
          *g = download(backend, p->grad.data, param_size(p));
    for (int64_t i = 0; i < param_size(p); i++) {
        const float importance = fabsf(v[i] * (g[i] * clip));
        smoothed[i] = beta1 * smoothed[i] + (1 - beta1) * importance;
        doubt[i] = beta2 * doubt[i] + (1 - beta2) * fabsf(importance - smoothed[i]);
    }
    free(v);
    free(g);
}

static void see_importances(struct net *net, const struct backend *backend, float clip)
{
    struct adalora *l = net->change.data;
    const float beta1 = (float)net->trial->beta1, beta2 = (float)net->trial->beta2;
    for (size_t i = 0; i < l->site_count; i++) {
        const struct adalora_site *s = &l->sites[i];
        const struct param *const parts[] = {s->a, s->b, s->e};
        size_t at = s->offset;
        for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
            see_param(parts[k], backend, clip, beta1, beta2, l->smoothed + at,
                      l->doubt + at);
            at += (size_t)param_size(parts[k]);
        }
    }
}

/* Score of one triplet: E's, and the means over A's row and B's column. */
static float score(const struct adalora *l, const struct adalora_site *s, int32_t r)
{
    const float *a = l->smoothed + s->offset, *a_doubt = l->doubt + s->offset;
    const size_t b = (size_t)param_size(s->a), e = b + (size_t)param_size(s->b);
    double row = 0, column = 0;
    for (int32_t k = 0; k < s->a->cols; k++) {
        const size_t at = (size_t)r * (size_t)s->a->cols + (size_t)k;
        row += (double)(a[at] * a_doubt[at]);
    }
    for (int32_t k = 0; k < s->b->rows; k++) {
        const size_t at = b + (size_t)k * (size_t)s->b->cols + (size_t)r;
        column += (double)(a[at] * a_doubt[at]);
    }
    return a[e + (size_t)r] * a_doubt[e + (size_t)r] +
           (float)(row / s->a->cols + column / s->b->rows);
}

/* --- ranks --- */

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Keeps what scores above the (all - budget)-th smallest. */
static void choose(struct adalora *l, int64_t budget)
{
    const size_t all = l->site_count * (size_t)l->rank;
    float *scores = xmalloc(all * sizeof *scores),
          *sorted = xmalloc(all * sizeof *sorted);
    for (size_t i = 0; i < all; i++)
        scores[i] =
            score(l, &l->sites[i / (size_t)l->rank], (int32_t)(i % (size_t)l->rank));
    memcpy(sorted, scores, all * sizeof *sorted);
    qsort(sorted, all, sizeof *sorted, ascending);
    const int64_t away = (int64_t)all - budget;
    for (size_t i = 0; i < all; i++)
        l->kept[i] = away <= 0 || scores[i] > sorted[away - 1];
    l->pruned = 1;
    free(scores);
    free(sorted);
}

static void zero_what_is_gone(const struct adalora *l, const struct backend *backend)
{
    for (size_t i = 0; i < l->site_count; i++) {
        const struct param *e = l->sites[i].e;
        float *v = download(backend, e->value.data, l->rank);
        for (int32_t r = 0; r < l->rank; r++)
            if (!l->kept[i * (size_t)l->rank + (size_t)r])
                v[r] = 0;
        backend->upload(backend->device, e->value.data, v, (size_t)l->rank * sizeof *v);
        free(v);
    }
}

/* Ranks of all sites together after an update: all of them until tinit, then a cubic way
 * down to target_r each. */
static int64_t budget_of(const struct net *net, const struct adalora *l, int64_t update)
{
    const int64_t first = net->trial->tinit, last = l->updates - net->trial->tfinal;
    const double all = (double)l->site_count * l->rank,
                 target = (double)l->site_count * (double)net->trial->target_r;
    const double left = 1 - (double)(update - first) / (double)(last - first);
    return (int64_t)((all - target) * (left * left * left) + target);
}

void adalora_allocate(struct net *net, const struct backend *backend, int64_t update,
                      double clip)
{
    struct adalora *l = net->change.data;
    const int64_t first = net->trial->tinit, last = l->updates - net->trial->tfinal;
    if (update < last)
        see_importances(net, backend, (float)clip);
    const bool due = update == last || (update < last && update > first &&
                                        update % net->trial->deltaT == 0);
    if (due)
        choose(l, budget_of(net, l, update));
    if (due || (update > last && l->pruned))
        zero_what_is_gone(l, backend);
}
