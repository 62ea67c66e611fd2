/* lib/fs.h - files: whole reads with a ceiling, atomic writes, read-only maps, folders,
 * paths. */
#ifndef LIB_FS_H
#define LIB_FS_H

#include "lib/buf.h"
#include "lib/err.h"
#include <stdbool.h>
#include <stdint.h>

/* What the system says of a file; each change of its content changes it, except within the
 * grain of the file system's clock. */
struct fs_stamp {
    uint64_t device, inode;
    int64_t size, modified_ns, changed_ns; /* since 1970 */
};

struct fs_map {
    const unsigned char *data;
    size_t size;
    struct fs_stamp stamp; /* of the file when it was opened */
};

/* ERR_NOINPUT when it is not there */
int fs_read(const char *path, size_t max_bytes, struct buf *out, struct err *err);
/* Temp file in the same folder, fsync, rename: a reader or a crash never sees half a
 * file. */
int fs_write_atomic(const char *path, const void *data, size_t n, struct err *err);
/* The same from several pieces, one after the other, without a copy of the whole. */
struct fs_part {
    const void *data;
    size_t size;
};
int fs_write_atomic_parts(const char *path, const struct fs_part *parts, size_t count,
                          struct err *err);
/* The same for what is made piece by piece: begin, add, then finish, which renames, or
 * abandon, which leaves nothing. The first failure stays; finish tells it and abandons.
 * Both end the writer. */
struct fs_writer;
int fs_writer_begin(const char *path, struct fs_writer **out, struct err *err);
int fs_writer_add(struct fs_writer *w, const void *data, size_t n, struct err *err);
int fs_writer_finish(struct fs_writer *w, struct err *err);
void fs_writer_abandon(struct fs_writer *w); /* NULL: nothing to do */
/* read-only, shared; fs_unmap ends it */
int fs_map(const char *path, struct fs_map *out, struct err *err);
void fs_unmap(struct fs_map *m);
int fs_mkdirs(const char *path, struct err *err); /* like mkdir -p */
int fs_remove_tree(const char *path, struct err *err);
/* Renames a file or folder and brings the new name to disk. */
int fs_rename(const char *from, const char *to, struct err *err);
/* Puts the folder `from` in the place of the folder `to`, if there is one, and removes
 * that. Whoever is killed leaves one of both at `to`, whole: the two names are exchanged
 * in one step (renameat2). Where a file system cannot do that, the old folder steps aside
 * as "TO.old" for a moment; fs_folder_recover brings it back after a kill, and both call
 * it first. */
int fs_replace_folder(const char *from, const char *to, struct err *err);
int fs_folder_recover(const char *to, struct err *err);
/* Makes a folder whole or not at all: `write` fills "TO.new", which then takes TO's place. */
typedef int fs_write_folder(void *ctx, const char *dir, struct err *err);
int fs_make_folder(const char *to, fs_write_folder *write, void *ctx, struct err *err);
/* A new folder of our own in TMPDIR (else /tmp), "peftlab-WHAT-..."; NULL: an error. */
char *fs_temp_folder(const char *what, struct err *err);
bool fs_stamp(const char *path, struct fs_stamp *out); /* false: it is not there */
bool fs_stamp_eq(const struct fs_stamp *a, const struct fs_stamp *b);
bool fs_exists(const char *path);
bool fs_is_dir(const char *path);
int64_t fs_size(const char *path); /* -1 when it is not there */
/* Newly allocated paths. fs_join with an absolute `name` gives `name`. fs_dirname("a") is
 * ".". */
char *fs_join(const char *dir, const char *name);
char *fs_dirname(const char *path);
/* Made absolute and without . and .. as text; need not exist */
char *fs_absolute(const char *path);

#endif
