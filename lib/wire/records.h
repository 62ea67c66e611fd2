/* lib/wire/records.h - files that are a row of records with checksums: TFRecord, and logs
 * of LevelDB's kind.
 *
 * Both are written while a program runs, so that a torn end is the usual case, not an
 * error: it is told by `torn`. Damage in the middle is counted by `damaged`. A log is
 * divided into blocks of 32 KiB, and reading goes on with the next block; a TFRecord file
 * has no such marks: it ends with the first length that cannot be true, while a record
 * whose bytes alone are wrong is passed over.
 *
 * The bytes belong to the caller (fs_map); a record is valid until the next is read. */
#ifndef LIB_WIRE_RECORDS_H
#define LIB_WIRE_RECORDS_H

#include "lib/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record {
    const unsigned char *data;
    size_t length;
};

struct tfrecords {
    const unsigned char *data;
    size_t size, at, damaged;
    bool torn;
};
void tfrecords_init(struct tfrecords *r, const void *data, size_t size);
bool tfrecords_next(struct tfrecords *r, struct record *out);

/* The checksum of a log's chunk: of its type byte and its bytes. */
typedef uint32_t log_checksum(unsigned char type, const unsigned char *data, size_t n);

struct log_blocks {
    const unsigned char *data;
    size_t size, at, damaged; /* damaged: chunks, or pieces of records, that are lost */
    bool torn;
    log_checksum *checksum;
    struct buf whole; /* a record of several chunks */
};
/* `at`: where the first chunk begins; blocks are counted from the file's beginning.
 * checksum NULL: LevelDB's own. */
void log_blocks_init(struct log_blocks *l, const void *data, size_t size, size_t at,
                     log_checksum *checksum);
void log_blocks_release(struct log_blocks *l);
bool log_blocks_next(struct log_blocks *l, struct record *out);

#endif
