/* lib/wire/tfrecords.c - TFRecord: length, its sum, bytes, their sum; see records.h. */
#include "lib/wire/crc.h"
#include "lib/wire/records.h"

enum { LENGTH_BYTES = 8, SUM_BYTES = 4, HEAD_BYTES = LENGTH_BYTES + SUM_BYTES };

static uint64_t little(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static bool sum_holds(const unsigned char *data, size_t n)
{
    return crc32_masked(crc32_castagnoli(0, data, n)) == little(data + n, SUM_BYTES);
}

void tfrecords_init(struct tfrecords *r, const void *data, size_t size)
{
    *r = (struct tfrecords){.data = data, .size = size};
}

bool tfrecords_next(struct tfrecords *r, struct record *out)
{
    while (r->at < r->size && !r->torn) {
        const unsigned char *head = r->data + r->at;
        const size_t left = r->size - r->at;
        if (left < HEAD_BYTES) {
            r->torn = true;
            break;
        }
        const uint64_t n = little(head, LENGTH_BYTES);
        if (!sum_holds(head, LENGTH_BYTES)) {
            r->damaged++;
            break; /* where the next one begins nobody knows */
        }
        if (left - HEAD_BYTES < SUM_BYTES || n > left - HEAD_BYTES - SUM_BYTES) {
            r->torn = true;
            break;
        }
        r->at += HEAD_BYTES + (size_t)n + SUM_BYTES;
        if (sum_holds(head + HEAD_BYTES, (size_t)n)) {
            *out = (struct record){head + HEAD_BYTES, (size_t)n};
            return true;
        }
        r->damaged++;
    }
    r->at = r->size;
    return false;
}
