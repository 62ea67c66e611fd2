/* lib/hash.h - SHA-256, git's name of a file (OpenSSL EVP) and a fast 64-bit hash for
 * tables. */
#ifndef LIB_HASH_H
#define LIB_HASH_H

#include "lib/err.h"
#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_HEX   65 /* 64 digits and the NUL */

void sha256_hex(const void *data, size_t n, char out[SHA256_HEX]);
void sha256_bytes(const void *data, size_t n, unsigned char out[SHA256_BYTES]);
int sha256_file(const char *path, char out[SHA256_HEX], struct err *err);
/* What git calls the content of a file: SHA-1 of "blob SIZE\0" and the bytes. For
 * comparing with what a hub says; not a protection against anybody. */
#define GIT_BLOB_HEX 41
int git_blob_file(const char *path, char out[GIT_BLOB_HEX], struct err *err);
uint64_t hash64(const void *data, size_t n); /* FNV-1a */

/* String -> integer table (open addressing); keys are copied. */
struct strmap;
struct strmap *strmap_new(void);
void strmap_free(struct strmap *m);
/* Replaces */
void strmap_put(struct strmap *m, const char *key, size_t len, int64_t value);
/* 1 found, 0 not */
int strmap_get(const struct strmap *m, const char *key, size_t len, int64_t *value);
size_t strmap_count(const struct strmap *m);

#endif
