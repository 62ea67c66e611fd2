/* lib/os/beneath.c - see beneath.h. */
#include "lib/os/beneath.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool beneath_is_path(const char *path)
{
    while (*path) {
        const size_t n = strcspn(path, "/");
        if (n == 0 || n > 255 || (n <= 2 && !strncmp(path, "..", n)))
            return false;
        if (path[n] == '/' && path[n + 1] == '\0')
            return false;
        path += n + (path[n] == '/');
    }
    return true;
}

/* Ends `dir`, also where it fails; errno stays. */
static int step(int dir, const char *name, int flags)
{
    const int fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC);
    const int no = errno;
    close(dir);
    errno = no;
    return fd;
}

/* A new one's name is on disk then. */
static int make_folder(int dir, const char *name)
{
    if (mkdirat(dir, name, 0777) == 0)
        return fsync(dir);
    return errno == EEXIST ? 0 : -1;
}

/* Follows no link; the folders on the way are made where `make`. */
static int walk(int dir, const char *path, int flags, bool make)
{
    int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    while (fd >= 0 && *path) {
        const size_t n = strcspn(path, "/");
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        const bool last = !path[n];
        if (make && make_folder(fd, name) < 0) {
            const int no = errno;
            close(fd);
            errno = no;
            return -1;
        }
        fd = step(fd, name, last ? flags : O_RDONLY | O_DIRECTORY);
        path += n + !last;
    }
    return fd;
}

static int open_beneath(int dir, const char *path)
{
    const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd;
    if (!*path)
        return fcntl(dir, F_DUPFD_CLOEXEC, 0);
    do /* EAGAIN: something was renamed on the way */
        fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN);
    /* It is not there, or a sandbox refuses what it does not know. */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = walk(dir, path, O_RDONLY | O_NONBLOCK, false);
    return fd;
}

int beneath_open(int dir, const char *path, bool *is_folder, uint64_t *size)
{
    struct stat st;
    const int fd = open_beneath(dir, path);
    if (fd < 0)
        return fd;
    const bool known =
        fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
    *is_folder = known && S_ISDIR(st.st_mode);
    *size = known ? (uint64_t)st.st_size : 0;
    if (known)
        return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}

/* The folder that the path's last component is in; *name points into `path`. */
static int parent_of(int dir, const char *path, bool make, const char **name)
{
    const char *slash = strrchr(path, '/');
    char *folder = xstrndup(path, slash ? (size_t)(slash - path) : 0);
    const int fd = walk(dir, folder, O_RDONLY | O_DIRECTORY, make);
    const int no = errno;
    *name = slash ? slash + 1 : path;
    free(folder);
    errno = no;
    return fd;
}

static int sync_file(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const int rc = fd < 0 ? -1 : fsync(fd), no = errno;
    if (fd >= 0)
        close(fd);
    errno = no;
    return rc;
}

int beneath_place(int dir, const char *path, const char *from)
{
    const char *name;
    if (sync_file(from) < 0)
        return -1;
    const int folder = parent_of(dir, path, true, &name);
    if (folder < 0)
        return -1;
    int rc = renameat(AT_FDCWD, from, folder, name);
    if (rc == 0)
        rc = fsync(folder);
    const int no = errno;
    close(folder);
    errno = no;
    return rc;
}

int beneath_remove(int dir, const char *path)
{
    const char *name;
    struct stat st;
    const int folder = parent_of(dir, path, false, &name);
    if (folder < 0)
        return -1;
    int rc = fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW);
    if (rc == 0 && S_ISDIR(st.st_mode)) { /* by a name that stays that of this folder */
        char *tree = xasprintf("/proc/self/fd/%d/%s", folder, name);
        rc = fs_remove_tree(tree, NULL) ? -1 : 0;
        free(tree);
    } else if (rc == 0) {
        rc = unlinkat(folder, name, 0);
    }
    const int no = errno;
    close(folder);
    errno = no;
    return rc;
}
