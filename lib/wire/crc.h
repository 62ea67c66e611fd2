/* lib/wire/crc.h - CRC-32: of zlib, gzip, PNG (IEEE), and of iSCSI, LevelDB, TFRecord
 * (Castagnoli, CRC-32C). They find damage, not malice. */
#ifndef LIB_WIRE_CRC_H
#define LIB_WIRE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* `before` is the sum of what came in front; 0 at the beginning. */
uint32_t crc32_ieee(uint32_t before, const void *data, size_t n);
uint32_t crc32_castagnoli(uint32_t before, const void *data, size_t n);
/* As LevelDB and TFRecord store it: a sum over bytes that hold sums says little. */
uint32_t crc32_masked(uint32_t crc);

#endif
