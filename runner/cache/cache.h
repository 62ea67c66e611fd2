/* runner/cache/cache.h - a folder of things that were worked out from files and that other
 * processes need too: packed weights, hashes of large files, what frozen layers gave for
 * rows of data.
 *
 * An entry is a file KIND-KEY whose key says all that its bytes follow from (its caller
 * hashes that), so it is never out of date: other files, another program, other vectors make
 * another entry. It is mapped, so that all processes which use it hold it once.
 *
 * Tokenised rows are not kept: 4,000 of them take .09 s by WordPiece, .14 s by BPE, .17 s by
 * Unigram, which is .4 % of one epoch on MiniLM (22 s on the same processor) and less on
 * larger bases.
 *
 * Nothing may go wrong because of it. Who finds no folder (no home, PEFTLAB_CACHE=off), may
 * not write there, has no room on the disk or waits too long for another goes on with memory
 * of its own; the bytes are the same. That is never an error and not told.
 *
 * - Written to KIND-KEY.part and renamed: an entry is whole. Who writes holds an flock on that
 *   file; others wait for it and then map what was written. The lock goes with the process, so
 *   kill -9 leaves a part that nobody holds: the next one starts it again, `gc` removes it.
 * - Behind the bytes stand their length, the key and a checksum of 64 bits. All of it is
 *   checked each time that an entry is opened (at the speed of memory, by all threads; whoever
 *   trains reads all of it anyway), which is why nothing is synced to disk: what a power loss
 *   tore, or who else damaged, is made again.
 * - Of an entry that its users fill together (cache_take_common) size and key are checked, and
 *   the disk's blocks are there from the start. What of it is whole, its users have to mark,
 *   behind it, with a checksum: they see each other's bytes as they come, and what a killed
 *   process left.
 * - PEFTLAB_CACHE_BYTES (16 GiB) bounds the folder: for a new entry the least recently used
 *   ones go, never those used since the cache was opened. What would take more than a quarter
 *   of the disk's free bytes is not kept either.
 * - Removing an entry that others have mapped is safe, they keep it.
 * - Who may write to the folder decides what weights are trained on, as who may write to the
 *   model: it is made for its owner alone. */
#ifndef RUNNER_CACHE_CACHE_H
#define RUNNER_CACHE_CACHE_H

#include "lib/err.h"
#include "lib/hash.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct cache;

/* The folder of the environment: PEFTLAB_CACHE, XDG_CACHE_HOME/peftlab, ~/.cache/peftlab.
 * It is made with its first entry. NULL: there is none, or it is switched off. */
struct cache *cache_open(void);
void cache_close(struct cache *c);

struct cache_entry {
    void *data; /* 64-byte aligned */
    size_t bytes;
    bool mapped; /* read-only, and shared with whoever uses the same entry */
};

/* Fills `dst`, zeroed. A positive code: made, but not to be kept. */
typedef int cache_make_fn(void *ctx, void *dst, struct err *err);

/* The entry of this kind (a short word) and key (a text of any length), made by `make` where
 * there is none. Errors are those of `make`, or no memory. `c` may be NULL. */
int cache_take(struct cache *c, const char *kind, const char *key, size_t bytes,
               cache_make_fn *make, void *ctx, struct cache_entry *out, struct err *err);
/* An entry that all who have it write to, and see what others wrote: zeroed when it is new.
 * Never without a file: false where there is no place for one. */
bool cache_take_common(struct cache *c, const char *kind, const char *key, size_t bytes,
                       struct cache_entry *out);
/* Lets its owner write to it: what is written is copied, and his alone. */
int cache_entry_own(struct cache_entry *e, struct err *err);
void cache_entry_release(struct cache_entry *e);

/* There seems to be such an entry (it is looked at when it is taken). */
bool cache_holds(const struct cache *c, const char *kind, const char *key);
/* Entries of so many bytes together would be kept. */
bool cache_has_room(const struct cache *c, size_t bytes);

/* SHA-256 of a file's content, which is remembered by what stat says of the file, and worked
 * out again where that may not tell a change (changed within the last seconds). `stamp`: of the
 * file that is meant, an error if it is another by now; NULL: whichever is there. */
struct fs_stamp;
int cache_file_hash(struct cache *c, const char *path, const struct fs_stamp *stamp,
                    char hex[SHA256_HEX], struct err *err);

/* --- for gc and doctor --- */

/* {"folder", "entries", "bytes", "limit_bytes"}; where there is none "folder" says so. */
json_t *cache_facts(void);
/* What may go: [{"path", "whole", "bytes", "why"}]: parts that no living process writes, and
 * with `all` every entry. */
json_t *cache_garbage(bool all);

#endif
