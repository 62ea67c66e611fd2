/* tracker/foreign/unnamed.c - see unnamed.h. */
#include "tracker/foreign/unnamed.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "unnamed"
enum { MAIN, WAL, JOURNAL, PIECE = 1 << 20 };

const char *const unnamed_endings[UNNAMED_FILES] = {
    [MAIN] = "", [WAL] = "-wal", [JOURNAL] = "-journal"};

static sqlite3_vfs *real_vfs(void)
{
    return sqlite3_vfs_find(NULL);
}

/* Which of the files a name is; -1: none. */
static int which_of(const char *name)
{
    for (int i = 0; name && i < UNNAMED_FILES; i++)
        if (str_has_prefix(name, NAME) && str_eq(name + strlen(NAME), unnamed_endings[i]))
            return i;
    return -1;
}

/* ---- one of the files ---- */

struct own_file {
    sqlite3_file base;
    int fd; /* borrowed */
};

static int fd_of(sqlite3_file *file)
{
    return ((struct own_file *)file)->fd;
}

static int file_close(sqlite3_file *file)
{
    (void)file;
    return SQLITE_OK;
}

/* What is behind the end reads as zeros. */
static int file_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
    const ssize_t got = pread(fd_of(file), to, (size_t)n, at);
    if (got < 0)
        return SQLITE_IOERR_READ;
    memset((char *)to + got, 0, (size_t)(n - got));
    return got == n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
    return pwrite(fd_of(file), from, (size_t)n, at) == n ? SQLITE_OK : SQLITE_FULL;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return ftruncate(fd_of(file), size) == 0 ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int file_sync(sqlite3_file *file, int flags)
{
    (void)file, (void)flags;
    return SQLITE_OK; /* nobody reads it after us */
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    struct stat st;
    if (fstat(fd_of(file), &st) < 0)
        return SQLITE_IOERR_FSTAT;
    *size = st.st_size;
    return SQLITE_OK;
}

/* Nobody else has it. */
static int file_lock(sqlite3_file *file, int kind)
{
    (void)file, (void)kind;
    return SQLITE_OK;
}

static int file_is_locked(sqlite3_file *file, int *out)
{
    (void)file;
    *out = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
    (void)file, (void)op, (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_nothing(sqlite3_file *file)
{
    (void)file;
    return 0; /* sector size, characteristics: as SQLite takes it */
}

static const sqlite3_io_methods own_methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_is_locked,
    .xFileControl = file_control,
    .xSectorSize = file_nothing,
    .xDeviceCharacteristics = file_nothing,
};

/* ---- what SQLite asks of the file system ---- */

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                     int *out_flags)
{
    const struct unnamed *u = vfs->pAppData;
    const int which = which_of(name);
    if (!name) /* what SQLite sorts on disk */
        return real_vfs()->xOpen(real_vfs(), name, file, flags, out_flags);
    if (which < 0)
        return SQLITE_CANTOPEN;
    *(struct own_file *)file = (struct own_file){{&own_methods}, u->fds[which]};
    if (out_flags)
        *out_flags = flags;
    return SQLITE_OK;
}

static int delete_file(sqlite3_vfs *vfs, const char *name, int sync)
{
    const struct unnamed *u = vfs->pAppData;
    const int which = which_of(name);
    (void)sync;
    if (which < 0)
        return SQLITE_IOERR_DELETE;
    return ftruncate(u->fds[which], 0) == 0 ? SQLITE_OK : SQLITE_IOERR_DELETE;
}

/* A log or a journal is there where it holds something. */
static int access_file(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    const struct unnamed *u = vfs->pAppData;
    const int which = which_of(name);
    struct stat st;
    if (which < 0)
        return real_vfs()->xAccess(real_vfs(), name, flags, out);
    *out = which == MAIN || (fstat(u->fds[which], &st) == 0 && st.st_size > 0);
    return SQLITE_OK;
}

static int full_name(sqlite3_vfs *vfs, const char *name, int n, char *out)
{
    (void)vfs;
    return snprintf(out, (size_t)n, "%s", name) < n ? SQLITE_OK : SQLITE_CANTOPEN;
}

/* ---- the files ---- */

/* Where a file system has no files without a name, one that loses it at once. */
static int nameless(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    char *path = xasprintf("%s/peftlab-import-XXXXXX", folder);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    free(path);
    return fd;
}

static int make_files(struct unnamed *u, struct err *err)
{
    const char *tmp = getenv("TMPDIR"), *folder = tmp && *tmp ? tmp : "/tmp";
    for (int i = 0; i < UNNAMED_FILES; i++) {
        u->fds[i] = nameless(folder);
        if (u->fds[i] < 0)
            return err_set(err, ERR_IO, "cannot make a copy in '%s': %s", folder,
                           strerror(errno));
    }
    return 0;
}

struct unnamed *unnamed_new(struct err *err)
{
    struct unnamed *u = xcalloc(1, sizeof *u);
    for (int i = 0; i < UNNAMED_FILES; i++)
        u->fds[i] = -1;
    u->vfs = *real_vfs();
    u->vfs.pNext = NULL;
    u->vfs.zName = "peftlab-unnamed";
    if (u->vfs.szOsFile < (int)sizeof(struct own_file))
        u->vfs.szOsFile = (int)sizeof(struct own_file);
    u->vfs.pAppData = u;
    u->vfs.xOpen = open_file;
    u->vfs.xDelete = delete_file;
    u->vfs.xAccess = access_file;
    u->vfs.xFullPathname = full_name;
    if (make_files(u, err) == 0)
        return u;
    unnamed_free(u);
    return NULL;
}

void unnamed_free(struct unnamed *u)
{
    if (!u)
        return;
    for (int i = 0; i < UNNAMED_FILES; i++)
        if (u->fds[i] >= 0)
            close(u->fds[i]);
    free(u);
}

static bool write_all(int fd, const char *data, size_t n)
{
    for (size_t done = 0; done < n;) {
        const ssize_t w = write(fd, data + done, n - done);
        if (w < 0 && errno != EINTR)
            return false;
        done += w > 0 ? (size_t)w : 0;
    }
    return true;
}

int unnamed_copy(struct unnamed *u, int which, const char *from, struct err *err)
{
    const int to = u->fds[which], in = open(from, O_RDONLY | O_CLOEXEC);
    bool ok = ftruncate(to, 0) == 0 && lseek(to, 0, SEEK_SET) == 0;
    if (in < 0 && errno == ENOENT && which != MAIN)
        return 0;
    char *piece = xmalloc(PIECE);
    ssize_t n = in < 0 ? -1 : 1;
    while (ok && n > 0 && (n = read(in, piece, PIECE)) > 0)
        ok = write_all(to, piece, (size_t)n);
    const int rc = ok && n == 0 ? 0
                                : err_set(err, ERR_IO, "cannot copy '%s': %s", from,
                                          strerror(errno));
    free(piece);
    if (in >= 0)
        close(in);
    return rc;
}

int unnamed_open(struct unnamed *u, sqlite3 **db)
{
    int rc = sqlite3_vfs_register(&u->vfs, 0);
    if (rc == SQLITE_OK)
        rc = sqlite3_open_v2(NAME, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                             u->vfs.zName);
    sqlite3_vfs_unregister(&u->vfs); /* the connection keeps it */
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(*db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    return rc;
}
