/* lib/os/beneath.h - files below a folder, for paths that come from outside.
 *
 * A path is "a/b/c": relative, without empty components, "." and ".." (beneath_is_path says
 * whether it is one; the others take only such). What is opened lies below the folder
 * whatever links lie on the way and whoever changes them meanwhile: links are followed only
 * as far as they stay below (openat2, RESOLVE_BENEATH), and not at all where the system has
 * no openat2, where something is made, or where it is removed.
 *
 * `dir` is an open folder, borrowed. Descriptors are the caller's; -1: errno says why. */
#ifndef LIB_OS_BENEATH_H
#define LIB_OS_BENEATH_H

#include <stdbool.h>
#include <stdint.h>

bool beneath_is_path(const char *path);
/* To read: a regular file, or a folder ("": `dir` itself). ELOOP or EXDEV: a link leads away;
 * EINVAL: it is neither (a FIFO is not waited for). */
int beneath_open(int dir, const char *path, bool *is_folder, uint64_t *size);
/* The file `from`, of any place on the same file system, becomes `path`, whose folder is made,
 * and is on disk then. Replaces a file. 0, or -1. */
int beneath_place(int dir, const char *path, const char *from);
/* A file, or a folder with all that it holds. 0, or -1. */
int beneath_remove(int dir, const char *path);

#endif
