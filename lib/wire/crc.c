/* lib/wire/crc.c - see crc.h. */
#include "lib/wire/crc.h"
#include <pthread.h>

enum { IEEE, CASTAGNOLI, KINDS };
static uint32_t tables[KINDS][256];
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    static const uint32_t reversed[KINDS] = {0xedb88320u, 0x82f63b78u};
    for (int kind = 0; kind < KINDS; kind++)
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int bit = 0; bit < 8; bit++)
                c = c & 1 ? c >> 1 ^ reversed[kind] : c >> 1;
            tables[kind][i] = c;
        }
}

static uint32_t sum(int kind, uint32_t before, const unsigned char *data, size_t n)
{
    uint32_t c = ~before;
    pthread_once(&made, make_tables);
    for (size_t i = 0; i < n; i++)
        c = tables[kind][(c ^ data[i]) & 0xff] ^ c >> 8;
    return ~c;
}

uint32_t crc32_ieee(uint32_t before, const void *data, size_t n)
{
    return sum(IEEE, before, data, n);
}

uint32_t crc32_castagnoli(uint32_t before, const void *data, size_t n)
{
    return sum(CASTAGNOLI, before, data, n);
}

uint32_t crc32_masked(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}
