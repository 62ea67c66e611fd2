/* kernels/nf4.c - 4-bit block quantisation, see nf4.h. */
#include "kernels/nf4.h"
#include "kernels/half.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const float nf4_table[16] = {
    -0x1.000000p+0f, -0x1.647362p-1f, -0x1.0cd660p-1f, -0x1.946540p-2f,
    -0x1.23449ap-2f, -0x1.7a6a7ep-3f, -0x1.74f0e2p-4f, 0x0.000000p+0f,
    0x1.45f5fep-4f,  0x1.4995c6p-3f,  0x1.f809bap-3f,  0x1.5a0674p-2f,
    0x1.c34970p-2f,  0x1.200f56p-1f,  0x1.722766p-1f,  0x1.000000p+0f};

/* Sign, two bits of exponent, one of mantissa: code 8 is a second zero. */
const float fp4_table[16] = {
    0x0.000000p+0f,  0x1.555556p-8f,  0x1.555556p-1f,  0x1.000000p+0f,
    0x1.555556p-2f,  0x1.000000p-1f,  0x1.555556p-3f,  0x1.000000p-2f,
    0x0.000000p+0f,  -0x1.555556p-8f, -0x1.555556p-1f, -0x1.000000p+0f,
    -0x1.555556p-2f, -0x1.000000p-1f, -0x1.555556p-3f, -0x1.000000p-2f};

/* Codes by ascending value. Of FP4's two zeros code 8 takes the tiny positives. */
const uint8_t nf4_ascending[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
const uint8_t fp4_ascending[16] = {11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3};

static const float *table_of(enum quant_kind kind)
{
    return kind == QUANT_FP4 ? fp4_table : nf4_table;
}

enum { MAP = 256, GROUP = 256 };

/* ------------------------------------------------------------------------- the layout */

static size_t aligned(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

struct q4_layout q4_layout(const struct weight_spec *spec)
{
    const size_t n = (size_t)spec->rows * (size_t)spec->cols;
    const size_t block = (size_t)spec->block;
    const bool double_quant = spec->double_quant;
    struct q4_layout l = {.n = n, .blocks = (n + block - 1) / block};
    l.groups = double_quant ? (l.blocks + GROUP - 1) / GROUP : 0;
    l.absmax = aligned((n + 1) / 2);
    l.absmax2 = l.absmax + aligned(l.blocks * (double_quant ? 1 : sizeof(float)));
    l.offset = l.absmax2 + aligned(l.groups * sizeof(float));
    l.bytes = l.offset + (double_quant ? aligned(sizeof(float)) : 0);
    return l;
}

int q4_check_block(const struct weight_spec *spec, struct err *err)
{
    const int32_t block = spec->block;
    if (block < 32 || block > 4096 || (block & (block - 1)))
        return err_set(
            err, ERR_CONFIG,
            "4-bit block of %d elements - it is a power of two from 32 to 4096", block);
    return 0;
}

int q4_check_values(const float *src, size_t count, size_t first, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(src[i]))
            return err_set(err, ERR_PARSE,
                           "element %zu of the weight is %g - it has no 4-bit form",
                           first + i, src[i]);
    return 0;
}

int q4_check(const float *src, const struct weight_spec *spec, struct err *err)
{
    const int rc = q4_check_block(spec, err);
    return rc ? rc
              : q4_check_values(src, (size_t)spec->rows * (size_t)spec->cols, 0, err);
}

/* ---- double quantisation ---- */

enum { LANES = 8, CHAINS = 4, LANE_SUMS = LANES * CHAINS, LEVELS = 4 };

static void add_lanes(float *dst, const float *src, int n)
{
    for (int i = 0; i < n; i++)
        dst[i] += src[i];
}

/* Sums of every 32nd element over whole rows of 32, in a cascade of four levels. */
static void cascade(const float *x, size_t rows, float sums[LANE_SUMS])
{
    float level[LEVELS][LANE_SUMS] = {{0}};
    int log2_rows = 0;
    while (((size_t)1 << log2_rows) < rows)
        log2_rows++;
    int power = log2_rows / LEVELS > 4 ? log2_rows / LEVELS : 4;
    size_t step = (size_t)1 << power, i = 0;
    while (i < rows) {
        add_lanes(level[0], x + i++ * LANE_SUMS, LANE_SUMS);
        if (i % step)
            continue;
        for (int l = 1; l < LEVELS; l++) {
            add_lanes(level[l], level[l - 1], LANE_SUMS);
            memset(level[l - 1], 0, sizeof level[l - 1]);
            if (i & (step - 1) << l * power)
                break;
        }
    }
    for (int l = 1; l < LEVELS; l++)
        add_lanes(level[0], level[l], LANE_SUMS);
    memcpy(sums, level[0], sizeof level[0]);
}

/* The mean as torch adds it up on one thread (ATen SumKernel.cpp, 8 lanes), for the last
 * bit of the offset. */
static float mean(const float *x, size_t n)
{
    size_t vectors = n / LANES, rows = vectors / CHAINS;
    float lanes[LANE_SUMS], sum = 0;
    cascade(x, rows, lanes);
    for (size_t v = rows * CHAINS; v < vectors; v++)
        add_lanes(lanes, x + v * LANES, LANES);
    for (int c = 1; c < CHAINS; c++)
        add_lanes(lanes, lanes + c * LANES, LANES);
    for (size_t i = vectors * LANES; i < n; i++)
        sum += x[i];
    for (int l = 0; l < LANES; l++)
        sum += lanes[l];
    return sum / (float)n;
}

static float largest(const float *x, size_t n)
{
    float max = 0;
    for (size_t i = 0; i < n; i++)
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    return max;
}

void q4_keep_absmax(float *absmax, const struct weight_spec *spec, void *dst)
{
    const struct q4_layout l = q4_layout(spec);
    const float *m = dynamic_map_signed();
    char *bytes = dst;
    uint8_t *codes = (uint8_t *)bytes + l.absmax;
    float *absmax2 = (float *)(bytes + l.absmax2), *offset = (float *)(bytes + l.offset);
    if (!spec->double_quant) {
        memcpy(bytes + l.absmax, absmax, l.blocks * sizeof *absmax);
        return;
    }
    *offset = mean(absmax, l.blocks);
    for (size_t b = 0; b < l.blocks; b++)
        absmax[b] -= *offset;
    for (size_t g = 0; g < l.groups; g++) {
        size_t begin = g * GROUP, left = l.blocks - begin;
        size_t count = left < GROUP ? left : GROUP;
        absmax2[g] = largest(absmax + begin, count);
        for (size_t b = begin; b < begin + count; b++)
            codes[b] =
                absmax2[g] > 0 ? dynamic_on_grid(m, absmax[b] * (1 / absmax2[g])) : 0;
    }
}

/* ----------------------------------------------------------------- 4 bits per element */

void q4_cut_points(enum quant_kind kind, float cuts[15])
{
    const float *table = table_of(kind);
    const uint8_t *order = kind == QUANT_FP4 ? fp4_ascending : nf4_ascending;
    for (int i = 0; i < 15; i++)
        cuts[i] = (table[order[i]] + table[order[i + 1]]) / 2;
}

/* Codes of one block, one per byte, as places in the ascending order. The last block of a
 * matrix, where it is short, is divided by its maximum, the others are multiplied by the
 * inverse; so does bitsandbytes, and the last bit of a quotient may differ. */
static void block_places(const float *x, size_t n, bool is_short, float absmax,
                         const float cuts[15], uint8_t *places)
{
    const float least = absmax > Q4_ABSMAX_MIN ? absmax : Q4_ABSMAX_MIN;
    const float inverse = 1 / least;
    for (size_t i = 0; i < n; i++) {
        float scaled = is_short ? x[i] / least : x[i] * inverse;
        int place = 0;
        for (int c = 0; c < 15; c++)
            place += scaled > cuts[c];
        places[i] = place;
    }
}

void q4_quantize_blocks(const float *src, const struct weight_spec *spec, size_t begin,
                        size_t end, float *absmax, void *dst)
{
    const size_t n = (size_t)spec->rows * (size_t)spec->cols, block = (size_t)spec->block;
    const uint8_t *order = spec->quant == QUANT_FP4 ? fp4_ascending : nf4_ascending;
    uint8_t *codes = dst, places[4096 + 1];
    float cuts[15];
    q4_cut_points(spec->quant, cuts);
    for (size_t b = begin; b < end; b++) {
        const size_t first = b * block, left = n - first;
        const size_t count = left < block ? left : block;
        const bool is_short = count < block;
        const float *x = src + (b - begin) * block;
        absmax[b] = largest(x, count);
        if (is_short && absmax[b] < Q4_ABSMAX_MIN)
            absmax[b] = Q4_ABSMAX_MIN;
        block_places(x, count, is_short, absmax[b], cuts, places);
        places[count] = 7; /* where n is odd a nibble is left that stands for zero */
        for (size_t i = 0; i < count; i += 2)
            codes[(first + i) / 2] =
                (uint8_t)(order[places[i]] << 4 | order[places[i + 1]]);
    }
}

void q4_quantize(const float *src, const struct weight_spec *spec, void *dst)
{
    const struct q4_layout l = q4_layout(spec);
    float *absmax = xcalloc(l.blocks, sizeof *absmax);
    memset(dst, 0, l.bytes);
    q4_quantize_blocks(src, spec, 0, l.blocks, absmax, dst);
    q4_keep_absmax(absmax, spec, dst);
    free(absmax);
}

static float block_absmax(const char *q, const struct q4_layout *l, int double_quant,
                          const float *m, size_t b)
{
    if (!double_quant)
        return ((const float *)(q + l->absmax))[b];
    float absmax2 = ((const float *)(q + l->absmax2))[b / GROUP];
    return m[((const uint8_t *)q)[l->absmax + b]] * absmax2 +
           *(const float *)(q + l->offset);
}

void q4_absmax(const void *q, const struct weight_spec *spec, float *dst)
{
    const struct q4_layout l = q4_layout(spec);
    const float *m = dynamic_map_signed();
    for (size_t b = 0; b < l.blocks; b++)
        dst[b] = block_absmax(q, &l, spec->double_quant, m, b);
}

float q4_rounded(enum dtype t, float x)
{
    return t == DT_BF16  ? bf16_to_float(bf16_of_float(x))
           : t == DT_F16 ? half_to_float(half_of_float(x))
                         : x;
}

void q4_dequantize(const void *q, const struct weight_spec *spec, size_t begin,
                   size_t count, float *dst)
{
    const struct q4_layout l = q4_layout(spec);
    const float *m = dynamic_map_signed(), *table = table_of(spec->quant);
    const uint8_t *codes = q;
    const size_t end = begin + count, block = (size_t)spec->block;
    for (size_t i = begin; i < end;) {
        size_t b = i / block, stop = (b + 1) * block < end ? (b + 1) * block : end;
        float absmax = block_absmax(q, &l, spec->double_quant, m, b);
        for (; i < stop; i++) {
            int code = i % 2 ? codes[i / 2] & 15 : codes[i / 2] >> 4;
            *dst++ = q4_rounded(spec->rounded, table[code] * absmax);
        }
    }
}
