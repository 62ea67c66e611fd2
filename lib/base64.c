/* lib/base64.c - see base64.h. */
#include "lib/base64.h"
#include "lib/mem.h"
#include <string.h>

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t n)
{
    const unsigned char *b = data;
    char *text = xmalloc((n + 2) / 3 * 4 + 1), *at = text;
    for (size_t i = 0; i < n; i += 3) {
        const size_t left = n - i;
        const uint32_t bits = (uint32_t)b[i] << 16 |
                              (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) |
                              (left > 2 ? b[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            *at++ = k <= left ? digits[bits >> (18 - 6 * k) & 63] : '=';
    }
    *at = '\0';
    return text;
}

static int value_of(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

int64_t base64_decode(const char *s, size_t n, unsigned char *out)
{
    size_t done = 0;
    uint32_t bits = 0;
    while (n && s[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++) {
        const int v = value_of(s[i]);
        if (v < 0)
            return -1;
        bits = bits << 6 | (uint32_t)v;
        if (i % 4)
            out[done++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    return (int64_t)done;
}
