/* tracker/foreign/found_files.h - which files beneath a path are meant. */
#ifndef TRACKER_FOREIGN_FOUND_FILES_H
#define TRACKER_FOREIGN_FOUND_FILES_H

#include "lib/err.h"
#include <stdbool.h>
#include <stddef.h>

enum { FOUND_QUIET_MS = 600000 }; /* what is written more rarely goes on no more */

struct found_files {
    char **paths; /* in the order of their names, a folder's files together */
    size_t count, cap, looked_at;
    bool first_only;
};
typedef bool found_wanted(const char *name);

/* The path itself where it is a file that is wanted, else what lies up to `depth` folders
 * below. Links to folders and hidden folders are passed over. An error where there are
 * more than can be meant. */
int found_files_of(struct found_files *found, const char *path, int depth,
                   found_wanted *wanted, struct err *err);
void found_files_release(struct found_files *found);
/* Is there one? */
bool found_any(const char *path, int depth, found_wanted *wanted);
/* Does somebody write to the file just now? The kernel tells of a process of this host;
 * where it does not (another owner's file, some network file systems), one that was written
 * within FOUND_QUIET_MS counts as such. */
bool found_is_growing(const char *path);

#endif
