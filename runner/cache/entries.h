/* runner/cache/entries.h - the files of a cache's folder (cache.h): which there are, how many
 * bytes they take, which go. */
#ifndef RUNNER_CACHE_ENTRIES_H
#define RUNNER_CACHE_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_PART ".part"

struct cache_file {
    char *path;
    size_t bytes; /* on disk */
    int64_t used_ns;
    bool part;
};

/* Files that are the cache's own by their names, those that were used longest ago first. */
size_t cache_folder_list(const char *dir, struct cache_file **out);
void cache_folder_free(struct cache_file *files, size_t count);
/* NULL: no cache is wanted, or there is no place for it. free() */
char *cache_folder_find(void);
size_t cache_folder_limit(void);
/* Bytes that could be written there: 0 where that is not known. */
size_t cache_folder_free_bytes(const char *dir);
/* Removes entries that were not used since `since_ns` until `need` more bytes are within the
 * limit; false: they are not. *room: how many are. */
bool cache_folder_make_room(const char *dir, size_t need, int64_t since_ns, size_t *room);
/* A part that no living process writes. */
bool cache_folder_is_left(const char *path);

#endif
