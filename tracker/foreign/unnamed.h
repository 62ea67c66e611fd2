/* tracker/foreign/unnamed.h - a copy of another tracker's SQLite file without a name.
 *
 * Its files are open and lie in no folder (O_TMPFILE), so that nothing of them is left
 * whatever ends the process; SQLite opens them through a file system of its own
 * (sqlite3_vfs) that knows the copy and what SQLite keeps beside it, its log (-wal) or its
 * journal, by these names alone: another file that a journal names (SQLite would read it, and
 * delete it) is neither opened nor deleted. One connection at a time, of the thread that made
 * it: the log's index is in memory. */
#ifndef TRACKER_FOREIGN_UNNAMED_H
#define TRACKER_FOREIGN_UNNAMED_H

#include "lib/err.h"
#include <sqlite3.h>

enum { UNNAMED_FILES = 3 };
extern const char *const unnamed_endings[UNNAMED_FILES]; /* "", "-wal", "-journal" */

struct unnamed {
    sqlite3_vfs vfs;
    int fds[UNNAMED_FILES];
};
/* Makes the files; they are empty. NULL: an error. Not to be moved in memory. */
struct unnamed *unnamed_new(struct err *err);
void unnamed_free(struct unnamed *u); /* after the connection was closed; NULL is fine */
/* From another file; what is not there is empty. Again: it takes the place of what was. */
int unnamed_copy(struct unnamed *u, int which, const char *from, struct err *err);
int unnamed_open(struct unnamed *u, sqlite3 **db); /* an SQLite code */

#endif
