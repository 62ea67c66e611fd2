/* lib/rng.h - counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011;
 * known-answer vectors of Random123).
 *
 * A draw is a pure function of (key, counter), so that results do not depend on the order
 * of work, on the number of threads or on where a run was resumed. Streams are separated
 * by what goes into the key and counter: seed, step, site, token in its own trial,
 * feature. The same function serves dropout masks, initial values, shuffles and
 * samplers. */
#ifndef LIB_RNG_H
#define LIB_RNG_H

#include <stddef.h>
#include <stdint.h>

struct philox_key {
    uint32_t k[2];
};

/* Ten rounds; out[4] from counter ctr[4]. */
void philox4x32(const struct philox_key *key, const uint32_t ctr[4], uint32_t out[4]);
/* A key from a seed and a purpose such as "shuffle" or "init": different names never
 * share a stream. */
struct philox_key rng_key(uint64_t seed, const char *purpose);
/* Uniform in [0, 1) with 24 bits / 53 bits; standard normal (Box-Muller); all from one
 * counter. */
float rng_uniform24(uint32_t bits);
double rng_uniform(const struct philox_key *key, uint64_t stream, uint64_t index);
double rng_normal(const struct philox_key *key, uint64_t stream, uint64_t index);
uint64_t rng_below(const struct philox_key *key, uint64_t stream, uint64_t index,
                   uint64_t n); /* unbiased enough: 64-bit multiply */
/* Fisher-Yates permutation of 0..n-1, a function of (key, stream). */
void rng_permutation(const struct philox_key *key, uint64_t stream, size_t n,
                     uint32_t *out);

#endif
