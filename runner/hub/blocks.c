/* runner/hub/blocks.c - the block types as a table. */
#include "runner/hub/blocks.h"
#include "kernels/half.h"
#include "lib/mem.h"
#include <math.h>
#include <string.h>
#include <strings.h>

static uint16_t word_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static float half_at(const uint8_t *p)
{
    return half_to_float(word_at(p));
}

/* ---- plain ------------------------------------------------------------------------- */

static void f32(const uint8_t *p, float *out)
{
    memcpy(out, p, sizeof *out);
}

static void f16(const uint8_t *p, float *out)
{
    *out = half_at(p);
}

static void bf16(const uint8_t *p, float *out)
{
    *out = bf16_to_float(word_at(p));
}

static void put_word(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void to_f32(const float *in, uint8_t *p)
{
    memcpy(p, in, sizeof *in);
}

static void to_f16(const float *in, uint8_t *p)
{
    put_word(p, half_of_float(*in));
}

static void to_bf16(const float *in, uint8_t *p)
{
    put_word(p, bf16_of_float(*in));
}

/* ---- blocks of 32: d, sometimes m, sometimes fifth bits, codes ---------------------- */

/* Byte j holds element j in its low four bits and element j + 16 in its high ones. */
static int nibble(const uint8_t *q, int j)
{
    return j < 16 ? q[j] & 15 : q[j - 16] >> 4;
}

/* Bit j of the 32 that stand before the codes. */
static int fifth(const uint8_t *h, int j)
{
    return (h[j / 8] >> j % 8 & 1) << 4;
}

static void q4_0(const uint8_t *p, float *out)
{
    const float d = half_at(p);
    for (int j = 0; j < 32; j++)
        out[j] = d * (float)(nibble(p + 2, j) - 8);
}

static void q4_1(const uint8_t *p, float *out)
{
    const float d = half_at(p), m = half_at(p + 2);
    for (int j = 0; j < 32; j++) {
        const float product = d * (float)nibble(p + 4, j);
        out[j] = product + m;
    }
}

static void q5_0(const uint8_t *p, float *out)
{
    const float d = half_at(p);
    for (int j = 0; j < 32; j++)
        out[j] = d * (float)((nibble(p + 6, j) | fifth(p + 2, j)) - 16);
}

static void q5_1(const uint8_t *p, float *out)
{
    const float d = half_at(p), m = half_at(p + 2);
    for (int j = 0; j < 32; j++) {
        const float product = d * (float)(nibble(p + 8, j) | fifth(p + 4, j));
        out[j] = product + m;
    }
}

static void q8_0(const uint8_t *p, float *out)
{
    const float d = half_at(p);
    for (int j = 0; j < 32; j++)
        out[j] = d * (float)(int8_t)p[2 + j];
}

static void to_q8_0(const float *in, uint8_t *p)
{
    float most = 0;
    for (int j = 0; j < 32; j++)
        most = fmaxf(most, fabsf(in[j]));
    const float d = most / 127, inverse = d != 0 ? 1 / d : 0;
    put_word(p, half_of_float(d));
    for (int j = 0; j < 32; j++)
        p[2 + j] = (uint8_t)(int8_t)roundf(in[j] * inverse);
}

/* ---- K types: 256 elements in sub-blocks ------------------------------------------- */

/* The 12 bytes of Q4_K and Q5_K hold eight scales and eight minima of six bits: the first
 * four of each in the low bits of bytes 0..3 and 4..7, of the others the low four bits in
 * bytes 8..11 and the upper two on top of bytes 0..7. */
static void scale_and_min(const uint8_t *s, int j, float *scale, float *min)
{
    const int sc = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
    const int mn = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
    *scale = (float)sc;
    *min = (float)mn;
}

/* Sub-blocks 2p and 2p + 1 share 32 bytes: low and high four bits. `high` has the fifth
 * bits, bit j of byte l for element l of sub-block j; NULL: there are none. */
static void four_or_five(const uint8_t *p, const uint8_t *high, const uint8_t *q,
                         float *out)
{
    const float d = half_at(p), dmin = half_at(p + 2);
    for (int j = 0; j < 8; j++) {
        float scale, min;
        scale_and_min(p + 4, j, &scale, &min);
        scale *= d;
        min *= dmin;
        for (int l = 0; l < 32; l++) {
            int code = q[32 * (j / 2) + l] >> 4 * (j & 1) & 15;
            if (high)
                code |= (high[l] >> j & 1) << 4;
            const float product = scale * (float)code;
            out[32 * j + l] = product - min;
        }
    }
}

static void q4_k(const uint8_t *p, float *out)
{
    four_or_five(p, NULL, p + 16, out);
}

static void q5_k(const uint8_t *p, float *out)
{
    four_or_five(p, p + 16, p + 48, out);
}

/* Halves of 128, each in quarters u of 32: the low four bits of quarters 0 and 2, 1 and 3
 * share bytes, the upper two of all four do. One signed scale for 16 elements; d last. */
static void q6_k(const uint8_t *p, float *out)
{
    const uint8_t *low = p, *high = p + 128, *scales = p + 192;
    const float d = half_at(p + 208);
    for (int e = 0; e < 256; e++) {
        const int n = e / 128, u = e / 32 % 4, l = e % 32;
        const int four = low[64 * n + 32 * (u & 1) + l] >> 4 * (u >> 1) & 15;
        const int two = high[32 * n + l] >> 2 * u & 3;
        const float scale = d * (float)(int8_t)scales[e / 16];
        out[e] = scale * (float)((four | two << 4) - 32);
    }
}

static const struct block_type types[] = {
    {0, "F32", 1, 4, f32, to_f32},      {1, "F16", 1, 2, f16, to_f16},
    {30, "BF16", 1, 2, bf16, to_bf16},  {8, "Q8_0", 32, 34, q8_0, to_q8_0},
    {2, "Q4_0", 32, 18, q4_0, NULL},    {3, "Q4_1", 32, 20, q4_1, NULL},
    {6, "Q5_0", 32, 22, q5_0, NULL},    {7, "Q5_1", 32, 24, q5_1, NULL},
    {12, "Q4_K", 256, 144, q4_k, NULL}, {13, "Q5_K", 256, 176, q5_k, NULL},
    {14, "Q6_K", 256, 210, q6_k, NULL},
};

const struct block_type *block_type_find(uint32_t number)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].number == number)
            return &types[i];
    return NULL;
}

const struct block_type *block_type_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (!strcasecmp(types[i].name, name))
            return &types[i];
    return NULL;
}

enum dtype block_type_dtype(const struct block_type *t)
{
    return t->elements > 1  ? DT_COUNT
           : t->number == 0 ? DT_F32
           : t->number == 1 ? DT_F16
                            : DT_BF16;
}

const char *block_type_names(void)
{
    return "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K";
}
