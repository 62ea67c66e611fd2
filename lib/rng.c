/* lib/rng.c - see rng.h. */
#include "lib/rng.h"
#include "lib/hash.h"
#include <math.h>
#include <string.h>

#define ROUNDS 10

void philox4x32(const struct philox_key *key, const uint32_t ctr[4], uint32_t out[4])
{
    uint32_t k0 = key->k[0], k1 = key->k[1];
    uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* The finisher of splitmix64 (Steele et al., 2014), a bijection. */
static uint64_t mix64(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

struct philox_key rng_key(uint64_t seed, const char *purpose)
{
    uint64_t name = hash64(purpose, strlen(purpose));
    uint64_t k = mix64(seed + 0x9E3779B97F4A7C15u + mix64(name));
    return (struct philox_key){{(uint32_t)k, (uint32_t)(k >> 32)}};
}

/* 128 random bits of one counter as two words. */
static void draw(const struct philox_key *key, uint64_t stream, uint64_t index,
                 uint64_t out[2])
{
    const uint32_t ctr[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
                             (uint32_t)(stream >> 32)};
    uint32_t w[4];
    philox4x32(key, ctr, w);
    out[0] = (uint64_t)w[1] << 32 | w[0];
    out[1] = (uint64_t)w[3] << 32 | w[2];
}

float rng_uniform24(uint32_t bits)
{
    return (float)(bits >> 8) * 0x1p-24f;
}

double rng_uniform(const struct philox_key *key, uint64_t stream, uint64_t index)
{
    uint64_t w[2];
    draw(key, stream, index, w);
    return (double)(w[0] >> 11) * 0x1p-53;
}

double rng_normal(const struct philox_key *key, uint64_t stream, uint64_t index)
{
    uint64_t w[2];
    draw(key, stream, index, w);
    double u = (double)((w[0] >> 11) + 1) * 0x1p-53; /* (0, 1]: the logarithm is finite */
    double v = (double)(w[1] >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

uint64_t rng_below(const struct philox_key *key, uint64_t stream, uint64_t index,
                   uint64_t n)
{
    uint64_t w[2];
    draw(key, stream, index, w);
    return (uint64_t)((unsigned __int128)w[0] * n >> 64);
}

void rng_permutation(const struct philox_key *key, uint64_t stream, size_t n,
                     uint32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = rng_below(key, stream, i, i + 1);
        if (j != i)
            out[i] = out[j];
        out[j] = (uint32_t)i;
    }
}
