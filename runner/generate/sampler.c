/* runner/generate/sampler.c - see sampler.h. */
#include "runner/generate/sampler.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void sampler_init(struct sampler *s, const struct sampling *how, size_t width)
{
    *s = (struct sampler){.how = *how,
                          .width = width,
                          .scores = xcalloc(width + 1, sizeof *s->scores),
                          .order = xcalloc(width + 1, sizeof *s->order),
                          .seen = xcalloc(width + 1, sizeof *s->seen)};
}

void sampler_release(struct sampler *s)
{
    free(s->scores);
    free(s->order);
    free(s->seen);
    *s = (struct sampler){0};
}

/* --- repetition penalty --- */

static void penalise(struct sampler *s, const int32_t *ids, size_t n)
{
    const float penalty = (float)s->how.repetition_penalty;
    for (size_t i = 0; i < n; i++) {
        float *score = &s->scores[ids[i]];
        if (!s->seen[ids[i]])
            *score = *score < 0 ? *score * penalty : *score / penalty;
        s->seen[ids[i]] = 1;
    }
}

static void forget(struct sampler *s, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        s->seen[ids[i]] = 0;
}

/* --- what may be drawn --- */

/* Descending, equal ones by number. */
static int better(const void *a, const void *b, void *scores)
{
    const int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    const float x = ((const float *)scores)[i], y = ((const float *)scores)[j];
    return x != y ? (x < y ? 1 : -1) : i - j;
}

/* The k-th largest of n scores: Hoare's selection on a copy in `order`. */
static float kth_score(struct sampler *s, size_t k)
{
    size_t low = 0, high = s->width - 1;
    for (size_t i = 0; i < s->width; i++)
        s->order[i] = (int32_t)i;
    while (low < high) {
        const float pivot = s->scores[s->order[(low + high) / 2]];
        size_t i = low, j = high;
        while (i <= j) {
            while (s->scores[s->order[i]] > pivot)
                i++;
            while (s->scores[s->order[j]] < pivot)
                j--;
            if (i > j)
                break;
            const int32_t t = s->order[i];
            s->order[i++] = s->order[j];
            s->order[j] = t;
            if (j == 0)
                break;
            j--;
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            break;
    }
    return s->scores[s->order[k - 1]];
}

/* Fills `order` with what top-k leaves; how many. */
static size_t keep_top_k(struct sampler *s)
{
    const size_t k = (size_t)s->how.top_k;
    const float least = k && k < s->width ? kth_score(s, k) : -INFINITY;
    size_t n = 0;
    for (size_t i = 0; i < s->width; i++)
        if (s->scores[i] >= least)
            s->order[n++] = (int32_t)i;
    return n;
}

/* Of n tokens the probabilities by softmax, into `scores`; their sum. */
static double exponentials(struct sampler *s, size_t n)
{
    float max = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmaxf(max, s->scores[s->order[i]]);
    for (size_t i = 0; i < n; i++) {
        float *score = &s->scores[s->order[i]];
        *score = expf(*score - max);
        sum += *score;
    }
    return sum;
}

/* How many of n, best first: those go of which the ascending sum is at most 1 - p; the
 * best one stays. */
static size_t keep_top_p(struct sampler *s, size_t n, double *sum)
{
    qsort_r(s->order, n, sizeof *s->order, better, s->scores);
    const double limit = (1 - s->how.top_p) * *sum;
    double below = 0;
    while (n > 1 && below + s->scores[s->order[n - 1]] <= limit)
        below += s->scores[s->order[--n]];
    *sum -= below;
    return n;
}

static int32_t draw(struct sampler *s, size_t n, double sum, double uniform)
{
    const double at = uniform * sum;
    double below = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        below += s->scores[s->order[i]];
        if (at < below)
            return s->order[i];
    }
    return s->order[n - 1];
}

static int32_t best_of(const float *scores, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = scores[i] > scores[best] ? i : best;
    return (int32_t)best;
}

static bool are_numbers(const float *scores, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(scores[i]) || scores[i] == INFINITY)
            return false;
    return true;
}

int32_t sampler_next(struct sampler *s, const float *logits, const struct text_ids *text,
                     uint64_t stream)
{
    const struct sampling *how = &s->how;
    if (!are_numbers(logits, s->width))
        return -1;
    if (how->temperature <= 0 && how->repetition_penalty == 1)
        return best_of(logits, s->width);
    memcpy(s->scores, logits, s->width * sizeof *logits);
    if (how->repetition_penalty != 1) {
        penalise(s, text->prompt, text->n_prompt);
        penalise(s, text->ids, text->n);
        forget(s, text->prompt, text->n_prompt);
        forget(s, text->ids, text->n);
    }
    if (how->temperature <= 0)
        return best_of(s->scores, s->width);
    for (size_t i = 0; i < s->width; i++)
        s->scores[i] = (float)(s->scores[i] / how->temperature);
    size_t n = keep_top_k(s);
    double sum = exponentials(s, n);
    if (how->top_p < 1)
        n = keep_top_p(s, n, &sum);
    const struct philox_key key = rng_key(how->seed, "generate");
    return draw(s, n, sum, rng_uniform(&key, stream, text->n));
}
