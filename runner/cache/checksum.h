/* runner/cache/checksum.h - 64 bits of some bytes, at the speed of memory, by all threads.
 *
 * They tell what is damaged, and values of one thing from other values of it: no protection
 * against anybody. A change of one word always changes them. */
#ifndef RUNNER_CACHE_CHECKSUM_H
#define RUNNER_CACHE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t cache_sum(const void *data, size_t n);

#endif
