/* runner/cache/checksum.c - see checksum.h. */
#include "runner/cache/checksum.h"
#include "lib/mem.h"
#include "lib/os/pool.h"
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 18, LANES = 8 };

struct summing {
    const unsigned char *data;
    uint64_t *sums;
};

/* Multiply and turn, a word at a time, in as many lanes as a processor has on the way. */
static void sum_line(uint64_t lane[LANES], const void *p, size_t n)
{
    uint64_t word[LANES] = {0};
    memcpy(word, p, n);
    for (int i = 0; i < LANES; i++) {
        const uint64_t x = (lane[i] ^ word[i]) * 0x9e3779b97f4a7c15u;
        lane[i] = x << 29 | x >> 35;
    }
}

static uint64_t sum_piece(const unsigned char *p, size_t n)
{
    enum { LINE = LANES * sizeof(uint64_t) };
    uint64_t lane[LANES] = {1, 2, 3, 4, 5, 6, 7, 8}, sum = n;
    for (; n >= LINE; p += LINE, n -= LINE)
        sum_line(lane, p, LINE);
    sum_line(lane, p, n);
    for (int i = 0; i < LANES; i++)
        sum = (sum ^ lane[i] ^ lane[i] >> 32) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 29;
}

static void sum_pieces(void *ctx, size_t begin, size_t end, int thread)
{
    const struct summing *s = ctx;
    (void)thread;
    s->sums[begin / PIECE] = sum_piece(s->data + begin, end - begin);
}

uint64_t cache_sum(const void *data, size_t n)
{
    const size_t pieces = n / PIECE + 1;
    uint64_t *sums = xcalloc(pieces, sizeof *sums);
    pool_run(sum_pieces, &(struct summing){data, sums}, n, PIECE);
    const uint64_t sum = sum_piece((const unsigned char *)sums, pieces * sizeof *sums);
    free(sums);
    return sum;
}
