/* lib/hash.c - see hash.h. */
#include "lib/hash.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* 2 n digits and the NUL. */
static void to_hex(const unsigned char *digest, int n, char *out)
{
    for (int i = 0; i < n; i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    out[2 * n] = '\0';
}

void sha256_bytes(const void *data, size_t n, unsigned char out[SHA256_BYTES])
{
    /* With a built-in digest this fails only when memory is out. */
    if (EVP_Digest(data, n, out, NULL, EVP_sha256(), NULL) != 1)
        abort();
}

void sha256_hex(const void *data, size_t n, char out[SHA256_HEX])
{
    unsigned char digest[SHA256_BYTES];
    sha256_bytes(data, n, digest);
    to_hex(digest, SHA256_BYTES, out);
}

/* Read at a time, and dropped again: a large file does not count as this process's memory. */
#define PIECE ((size_t)8 << 20)

int sha256_file(const char *path, char out[SHA256_HEX], struct err *err)
{
    struct fs_map map;
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    int rc = fs_map(path, &map, err);
    if (rc < 0)
        return rc;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (!c || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1)
        abort();
    for (size_t at = 0, n; at < map.size; at += n) {
        n = map.size - at < PIECE ? map.size - at : PIECE;
        EVP_DigestUpdate(c, map.data + at, n);
        (void)madvise((void *)(map.data + at), n, MADV_DONTNEED);
    }
    EVP_DigestFinal_ex(c, digest, NULL);
    EVP_MD_CTX_free(c);
    fs_unmap(&map);
    to_hex(digest, 32, out);
    return 0;
}

int git_blob_file(const char *path, char out[GIT_BLOB_HEX], struct err *err)
{
    struct fs_map map;
    char head[40];
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    int rc = fs_map(path, &map, err);
    if (rc < 0)
        return rc;
    int n = snprintf(head, sizeof head, "blob %zu", map.size) + 1;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (!c || EVP_DigestInit_ex(c, EVP_sha1(), NULL) != 1 ||
        EVP_DigestUpdate(c, head, (size_t)n) != 1 ||
        EVP_DigestUpdate(c, map.data, map.size) != 1 ||
        EVP_DigestFinal_ex(c, digest, NULL) != 1)
        rc = err_set(err, ERR_DEVICE, "'%s': SHA-1 is not to be had here", path);
    EVP_MD_CTX_free(c);
    fs_unmap(&map);
    to_hex(digest, 20, out);
    return rc;
}

uint64_t hash64(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

struct slot {
    uint64_t hash;
    size_t offset, len; /* key in `text`; offset is SIZE_MAX in a free slot */
    int64_t value;
};

/* Linear probing, at most 2/3 full, a power of two of slots; the keys lie one behind the
 * other in `text`. */
struct strmap {
    struct slot *slots;
    size_t size, count;
    char *text;
    size_t text_len, text_cap;
};

static struct slot *new_slots(size_t size)
{
    struct slot *slots = xmalloc(size * sizeof *slots);
    for (size_t i = 0; i < size; i++)
        slots[i].offset = SIZE_MAX;
    return slots;
}

struct strmap *strmap_new(void)
{
    struct strmap *m = xcalloc(1, sizeof *m);
    m->size = 16;
    m->slots = new_slots(m->size);
    return m;
}

void strmap_free(struct strmap *m)
{
    if (!m)
        return;
    free(m->slots);
    free(m->text);
    free(m);
}

/* The slot of the key, or the free one where it belongs. */
static struct slot *find_slot(const struct strmap *m, const char *key, size_t len,
                              uint64_t hash)
{
    /* FNV leaves its best bits at the top. */
    for (size_t i = hash ^ hash >> 32;; i++) {
        struct slot *s = &m->slots[i & (m->size - 1)];
        if (s->offset == SIZE_MAX)
            return s;
        if (s->hash == hash && s->len == len && !memcmp(m->text + s->offset, key, len))
            return s;
    }
}

static void grow(struct strmap *m)
{
    struct slot *old = m->slots;
    size_t old_size = m->size;
    m->size *= 2;
    m->slots = new_slots(m->size);
    for (size_t i = 0; i < old_size; i++)
        if (old[i].offset != SIZE_MAX)
            *find_slot(m, m->text + old[i].offset, old[i].len, old[i].hash) = old[i];
    free(old);
}

void strmap_put(struct strmap *m, const char *key, size_t len, int64_t value)
{
    uint64_t hash = hash64(key, len);
    struct slot *s = find_slot(m, key, len, hash);
    if (s->offset != SIZE_MAX) {
        s->value = value;
        return;
    }
    m->text = xgrow(m->text, &m->text_cap, m->text_len + len + 1, 1);
    memcpy(m->text + m->text_len, key, len);
    *s = (struct slot){hash, m->text_len, len, value};
    m->text_len += len;
    if (++m->count * 3 > m->size * 2)
        grow(m);
}

int strmap_get(const struct strmap *m, const char *key, size_t len, int64_t *value)
{
    const struct slot *s = find_slot(m, key, len, hash64(key, len));
    if (s->offset == SIZE_MAX)
        return 0;
    *value = s->value;
    return 1;
}

size_t strmap_count(const struct strmap *m)
{
    return m->count;
}
