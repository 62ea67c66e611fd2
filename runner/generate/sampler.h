/* runner/generate/sampler.h - from logits to the next token.
 *
 * Greedy where no temperature is given. Else as transformers' logits processors and in
 * their order: repetition penalty (Keskar et al. 2019: the logit of each token that the
 * prompt or the text holds is divided by it where positive, multiplied where negative;
 * greedy choices have it too), temperature, top-k (what is below the k-th logit goes,
 * equal ones stay), top-p (Holtzman et al. 2020: of the probabilities in ascending order
 * those go whose sum is at most 1 - p), then a draw.
 *
 * A draw is a function of the seed, of the text's number and of the token's place in it,
 * so that a text does not depend on what else was generated beside it. */
#ifndef RUNNER_GENERATE_SAMPLER_H
#define RUNNER_GENERATE_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

struct sampling {
    double temperature;        /* 0: greedy */
    int64_t top_k;             /* 0: all */
    double top_p;              /* 1: all */
    double repetition_penalty; /* 1: none */
    uint64_t seed;
};
#define SAMPLING_GREEDY ((struct sampling){0, 0, 1, 1, 0})

struct sampler {
    struct sampling how;
    size_t width;   /* of the vocabulary */
    float *scores;  /* of the row at hand */
    int32_t *order; /* of tokens that are left, best first */
    uint8_t *seen;  /* marks of the repetition penalty; all 0 between draws */
};

void sampler_init(struct sampler *s, const struct sampling *how, size_t width);
void sampler_release(struct sampler *s);

/* A text so far: what the prompt holds, and what came of it. */
struct text_ids {
    const int32_t *prompt, *ids;
    size_t n_prompt, n;
};
/* The next token of text number `stream`, of equal logits the first; -1 where one of the
 * logits is no number. */
int32_t sampler_next(struct sampler *s, const float *logits, const struct text_ids *text,
                     uint64_t stream);

#endif
