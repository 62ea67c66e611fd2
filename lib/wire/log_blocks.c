/* lib/wire/log_blocks.c - logs of LevelDB's kind; see records.h. */
#include "lib/wire/crc.h"
#include "lib/wire/records.h"

enum { BLOCK_BYTES = 32768, HEAD_BYTES = 7, MAX_RECORD_BYTES = 256 << 20 };
enum chunk_type { PADDING = 0, FULL, FIRST, MIDDLE, LAST };

static uint32_t leveldb_sum(unsigned char type, const unsigned char *data, size_t n)
{
    return crc32_masked(crc32_castagnoli(crc32_castagnoli(0, &type, 1), data, n));
}

void log_blocks_init(struct log_blocks *l, const void *data, size_t size, size_t at,
                     log_checksum *checksum)
{
    *l = (struct log_blocks){.data = data,
                             .size = size,
                             .at = at,
                             .checksum = checksum ? checksum : leveldb_sum};
    buf_init(&l->whole, MAX_RECORD_BYTES);
}

void log_blocks_release(struct log_blocks *l)
{
    buf_release(&l->whole);
}

static size_t block_end(const struct log_blocks *l)
{
    const size_t end = l->at - l->at % BLOCK_BYTES + BLOCK_BYTES;
    return end < l->size ? end : l->size;
}

/* The next chunk that holds what its sum says. Behind one that does not, the rest of its
 * block is not to be trusted either. */
static bool next_chunk(struct log_blocks *l, enum chunk_type *type, struct record *out)
{
    while (l->at < l->size) {
        const unsigned char *p = l->data + l->at;
        const size_t end = block_end(l), left = end - l->at;
        if (left < HEAD_BYTES) {
            l->torn = end % BLOCK_BYTES != 0;
            l->at = end;
            continue;
        }
        const uint32_t sum =
            p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        const size_t n = p[4] | (size_t)p[5] << 8;
        if (n > left - HEAD_BYTES && end == l->size) {
            l->torn = true;
            l->at = end;
            continue;
        }
        if (p[6] < FULL || p[6] > LAST || n > left - HEAD_BYTES ||
            l->checksum(p[6], p + HEAD_BYTES, n) != sum) {
            l->damaged++;
            l->at = end;
            continue;
        }
        *type = (enum chunk_type)p[6];
        *out = (struct record){p + HEAD_BYTES, n};
        l->at += HEAD_BYTES + n;
        return true;
    }
    return false;
}

bool log_blocks_next(struct log_blocks *l, struct record *out)
{
    enum chunk_type type;
    bool begun = false;
    while (next_chunk(l, &type, out)) {
        const bool starts = type == FULL || type == FIRST;
        if (starts == begun)
            l->damaged++; /* an end without a beginning, or a beginning without an end */
        if (type == FULL)
            return true;
        if (starts)
            buf_clear(&l->whole);
        else if (!begun)
            continue;
        begun = true;
        buf_add(&l->whole, out->data, out->length);
        if (type != LAST)
            continue;
        begun = false;
        if (!buf_overflowed(&l->whole)) {
            *out =
                (struct record){(const unsigned char *)buf_str(&l->whole), l->whole.len};
            return true;
        }
        l->damaged++;
    }
    l->torn |= begun;
    return false;
}
