/* lib/base64.h - bytes as text and back (RFC 4648, with padding). */
#ifndef LIB_BASE64_H
#define LIB_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Newly allocated. */
char *base64_encode(const void *data, size_t n);
/* The bytes of n characters, at most 3 n / 4; padding may be missing. Returns how many, or
 * -1 where a character is none of the alphabet. */
int64_t base64_decode(const char *s, size_t n, unsigned char *out);

#endif
