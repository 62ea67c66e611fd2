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

static void swap(int32_t *a, int32_t *b)
{
    const int32_t t = *a;
    *a = *b;
    *b = t;
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
            swap(&s->order[i++], &s->order[j]);
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

/* --- by weight, without sorting them all --- */

enum { FEW = 48 }; /* are sorted */

/* Tokens [low, high): those above a pivot, then from `equal` on those like it, from `less` on
 * those below. */
static void split(struct sampler *s, size_t low, size_t high, size_t *equal, size_t *less)
{
    const float pivot = s->scores[s->order[(low + high) / 2]];
    size_t at = low;
    while (at < high) {
        const float x = s->scores[s->order[at]];
        if (x > pivot)
            swap(&s->order[at++], &s->order[low++]);
        else if (x < pivot)
            swap(&s->order[at], &s->order[--high]);
        else
            at++;
    }
    *equal = low;
    *less = high;
}

static double sum_of(const struct sampler *s, size_t begin, size_t end)
{
    double sum = 0;
    for (size_t i = begin; i < end; i++)
        sum += s->scores[s->order[i]];
    return sum;
}

static void sort(struct sampler *s, size_t begin, size_t end)
{
    qsort_r(s->order + begin, end - begin, sizeof *s->order, better, s->scores);
}

/* How many of n: of the ascending ones those go whose sum is at most 1 - p; the best one
 * stays. The others are in no order. */
static size_t keep_top_p(struct sampler *s, size_t n, double *sum)
{
    const double limit = (1 - s->how.top_p) * *sum;
    size_t low = 0, high = n; /* those before `low` stay, those from `high` on go */
    double below = 0;         /* sum of these */
    while (high - low > FEW) {
        size_t equal, less;
        split(s, low, high, &equal, &less);
        const double smaller = sum_of(s, less, high), same = sum_of(s, equal, less);
        if (below + smaller > limit) {
            low = less;
            continue;
        }
        below += smaller;
        high = less;
        if (below + same > limit || !equal) {
            low = equal;
            break;
        }
        below += same;
        high = equal;
    }
    sort(s, low, high);
    while (high > low && high > 1 && below + s->scores[s->order[high - 1]] <= limit)
        below += s->scores[s->order[--high]];
    *sum -= below;
    return high;
}

/* Tokens [begin, end) side by side, as wide as they are likely, from `below` on: whose place
 * `at` is. */
static int32_t token_at(const struct sampler *s, size_t begin, size_t end, double below,
                        double at)
{
    for (size_t i = begin; i + 1 < end; i++) {
        below += s->scores[s->order[i]];
        if (at < below)
            return s->order[i];
    }
    return s->order[end - 1];
}

/* The same of n tokens, the best first. */
static int32_t best_at(struct sampler *s, size_t n, double at)
{
    size_t low = 0, high = n; /* it is one of these */
    double below = 0;         /* sum of those before */
    while (high - low > FEW) {
        size_t equal, less;
        split(s, low, high, &equal, &less);
        const double larger = sum_of(s, low, equal), same = sum_of(s, equal, less);
        if (at < below + larger) {
            high = equal;
            continue;
        }
        below += larger;
        low = equal;
        if (at < below + same || less == high) {
            high = less;
            break;
        }
        below += same;
        low = less;
    }
    sort(s, low, high);
    return token_at(s, low, high, below, at);
}

/* By less than that logits are not divided: they would not be floats any more. What is drawn
 * has been the best one for long. */
#define COLDEST 1e-30

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
    const bool greedy = how->temperature < COLDEST;
    if (!are_numbers(logits, s->width))
        return -1;
    if (greedy && how->repetition_penalty == 1)
        return best_of(logits, s->width);
    memcpy(s->scores, logits, s->width * sizeof *logits);
    if (how->repetition_penalty != 1) {
        penalise(s, text->prompt, text->n_prompt);
        penalise(s, text->ids, text->n);
        forget(s, text->prompt, text->n_prompt);
        forget(s, text->ids, text->n);
    }
    if (greedy)
        return best_of(s->scores, s->width);
    for (size_t i = 0; i < s->width; i++)
        s->scores[i] = (float)(s->scores[i] / how->temperature);
    size_t n = keep_top_k(s);
    double sum = exponentials(s, n);
    const struct philox_key key = rng_key(how->seed, "generate");
    const double uniform = rng_uniform(&key, stream, text->n);
    if (how->top_p >= 1)
        return token_at(s, 0, n, 0, uniform * sum);
    n = keep_top_p(s, n, &sum);
    return best_at(s, n, uniform * sum);
}
