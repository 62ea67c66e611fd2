/* lib/fs.c - see fs.h. */
#include "lib/fs.h"
#include "lib/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct err *err, const char *what, const char *path)
{
    int no = errno;
    enum err_code code = no == ENOENT || no == ENOTDIR ? ERR_NOINPUT : ERR_IO;
    return err_set(err, code, "cannot %s '%s': %s", what, path, strerror(no));
}

/* Opens a regular file (or a pipe, for reading streams) and tells its size. A FIFO that
 * nobody writes is empty, not waited for. */
static int open_input(const char *path, struct stat *st, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail(err, "open", path);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    if (fstat(fd, st) < 0) {
        int rc = fail(err, "look at", path);
        close(fd);
        return rc;
    }
    if (S_ISDIR(st->st_mode)) {
        close(fd);
        return err_set(err, ERR_NOINPUT, "'%s' is a folder, a file is needed", path);
    }
    return fd;
}

int fs_read(const char *path, size_t max_bytes, struct buf *out, struct err *err)
{
    struct stat st;
    int fd = open_input(path, &st, err);
    if (fd < 0)
        return fd;
    int rc = 0;
    size_t total = 0;
    char *block = xmalloc(1 << 16);
    for (;;) {
        ssize_t n = read(fd, block, 1 << 16);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = fail(err, "read", path);
        if (n <= 0)
            break;
        total += (size_t)n;
        if (total > max_bytes || (buf_add(out, block, (size_t)n), buf_overflowed(out))) {
            rc = err_set(err, ERR_PARSE,
                         "'%s' is larger than %zu bytes, the limit for such "
                         "files",
                         path, max_bytes);
            break;
        }
    }
    free(block);
    close(fd);
    return rc;
}

static int write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, data, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        data += w;
        n -= (size_t)w;
    }
    return 0;
}

/* The rename is lasting only when the folder is on disk too; some file systems cannot,
 * which is no reason to fail. */
static void sync_folder(const char *path)
{
    char *dir = fs_dirname(path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(dir);
}

struct fs_writer {
    char *path, *temp;
    int fd, no; /* no: errno of the first failure */
    bool made;  /* the temporary file is there */
};

static int not_written(const struct fs_writer *w, struct err *err)
{
    return err_set(err, ERR_IO, "cannot write '%s': %s", w->path, strerror(w->no));
}

int fs_writer_begin(const char *path, struct fs_writer **out, struct err *err)
{
    struct fs_writer *w = xcalloc(1, sizeof *w);
    w->path = xstrdup(path);
    w->temp = xasprintf("%s.tmp-XXXXXX", path);
    *out = NULL;
    w->fd = mkostemp(w->temp, O_CLOEXEC);
    w->made = w->fd >= 0;
    mode_t mask = umask(0);
    umask(mask);
    if (w->fd < 0 || fchmod(w->fd, 0666 & ~mask) < 0) {
        w->no = errno;
        int rc = not_written(w, err);
        fs_writer_abandon(w);
        return rc;
    }
    *out = w;
    return 0;
}

int fs_writer_add(struct fs_writer *w, const void *data, size_t n, struct err *err)
{
    if (!w->no && write_all(w->fd, data, n) < 0)
        w->no = errno;
    return w->no ? not_written(w, err) : 0;
}

void fs_writer_abandon(struct fs_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->made)
        unlink(w->temp);
    free(w->temp);
    free(w->path);
    free(w);
}

int fs_writer_finish(struct fs_writer *w, struct err *err)
{
    int rc = 0;
    if (!w->no && fsync(w->fd) < 0)
        w->no = errno;
    if (close(w->fd) < 0 && !w->no)
        w->no = errno;
    w->fd = -1;
    if (!w->no && rename(w->temp, w->path) < 0)
        w->no = errno;
    if (w->no) {
        rc = not_written(w, err);
    } else {
        w->made = false;
        sync_folder(w->path);
    }
    fs_writer_abandon(w);
    return rc;
}

int fs_write_atomic(const char *path, const void *data, size_t n, struct err *err)
{
    return fs_write_atomic_parts(path, &(struct fs_part){data, n}, 1, err);
}

int fs_write_atomic_parts(const char *path, const struct fs_part *parts, size_t count,
                          struct err *err)
{
    struct fs_writer *w;
    int rc = fs_writer_begin(path, &w, err);
    for (size_t i = 0; i < count && !rc; i++)
        rc = fs_writer_add(w, parts[i].data, parts[i].size, err);
    if (rc) {
        fs_writer_abandon(w);
        return rc;
    }
    return fs_writer_finish(w, err);
}

int fs_rename(const char *from, const char *to, struct err *err)
{
    if (rename(from, to) < 0)
        return err_set(err, ERR_IO, "cannot rename '%s' to '%s': %s", from, to,
                       strerror(errno));
    sync_folder(to);
    return 0;
}

int fs_folder_recover(const char *to, struct err *err)
{
    char *old = xasprintf("%s.old", to);
    int rc = 0;
    if (fs_is_dir(old))
        rc = fs_exists(to) ? fs_remove_tree(old, err) : fs_rename(old, to, err);
    free(old);
    return rc;
}

static int step_aside(const char *from, const char *to, struct err *err)
{
    char *old = xasprintf("%s.old", to);
    int rc = fs_rename(to, old, err);
    if (!rc)
        rc = fs_rename(from, to, err);
    if (!rc)
        rc = fs_remove_tree(old, err);
    free(old);
    return rc;
}

int fs_replace_folder(const char *from, const char *to, struct err *err)
{
    int rc = fs_folder_recover(to, err);
    if (rc || !fs_exists(to))
        return rc ? rc : fs_rename(from, to, err);
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) < 0)
        return step_aside(from, to, err);
    sync_folder(to);
    return fs_remove_tree(from, err);
}

int fs_make_folder(const char *to, fs_write_folder *write, void *ctx, struct err *err)
{
    char *clean = fs_absolute(to), *fresh = xasprintf("%s.new", clean);
    int rc = fs_remove_tree(fresh, err);
    if (!rc)
        rc = fs_mkdirs(fresh, err);
    if (!rc)
        rc = write(ctx, fresh, err);
    if (!rc)
        rc = fs_replace_folder(fresh, clean, err);
    if (rc)
        fs_remove_tree(fresh, NULL);
    free(clean);
    free(fresh);
    return rc;
}

static int64_t in_ns(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct fs_stamp stamp_of(const struct stat *st)
{
    return (struct fs_stamp){st->st_dev, st->st_ino, st->st_size, in_ns(st->st_mtim),
                             in_ns(st->st_ctim)};
}

bool fs_stamp(const char *path, struct fs_stamp *out)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return false;
    *out = stamp_of(&st);
    return true;
}

bool fs_stamp_eq(const struct fs_stamp *a, const struct fs_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

int fs_map(const char *path, struct fs_map *out, struct err *err)
{
    *out = (struct fs_map){0};
    struct stat st;
    int fd = open_input(path, &st, err);
    if (fd < 0)
        return fd;
    int rc = 0;
    if (!S_ISREG(st.st_mode)) {
        rc = err_set(err, ERR_NOINPUT, "'%s' is not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            rc = err_set(err, ERR_IO, "cannot map '%s': %s", path, strerror(errno));
        else
            *out = (struct fs_map){p, (size_t)st.st_size, stamp_of(&st)};
    } else {
        /* An empty file cannot be mapped; data is still not NULL. */
        *out = (struct fs_map){(const unsigned char *)"", 0, stamp_of(&st)};
    }
    close(fd);
    return rc;
}

void fs_unmap(struct fs_map *m)
{
    if (m->data && m->size)
        munmap((void *)m->data, m->size);
    *m = (struct fs_map){0};
}

int fs_mkdirs(const char *path, struct err *err)
{
    char *copy = xstrdup(path);
    int rc = 0;
    for (char *p = copy; rc == 0 && *p;) {
        p += strspn(p, "/");
        p += strcspn(p, "/");
        char kept = *p;
        *p = '\0';
        if (*copy && mkdir(copy, 0777) < 0 && !fs_is_dir(copy))
            rc = err_set(err, ERR_IO, "cannot make the folder '%s': %s", copy,
                         strerror(errno == EEXIST ? ENOTDIR : errno));
        *p = kept;
    }
    free(copy);
    return rc;
}

static int remove_at(int parent, const char *name, const char *path, int depth,
                     struct err *err)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return err_set(err, ERR_IO, "cannot remove '%s': %s", path, strerror(errno));
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 && depth < 64 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return err_set(err, ERR_IO, "cannot remove '%s': %s", path, strerror(errno));
    }
    int rc = 0;
    for (struct dirent *d; rc == 0 && (d = readdir(dir));) {
        if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
            continue;
        char *inside = fs_join(path, d->d_name);
        rc = remove_at(fd, d->d_name, inside, depth + 1, err);
        free(inside);
    }
    closedir(dir);
    if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        rc = err_set(err, ERR_IO, "cannot remove '%s': %s", path, strerror(errno));
    return rc;
}

int fs_remove_tree(const char *path, struct err *err)
{
    return remove_at(AT_FDCWD, path, path, 0, err);
}

bool fs_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool fs_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *fs_temp_folder(const char *what, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    char *path = xasprintf("%s/peftlab-%s-XXXXXX", tmp && *tmp ? tmp : "/tmp", what);
    if (mkdtemp(path))
        return path;
    err_set(err, ERR_IO, "cannot make '%s': %s", path, strerror(errno));
    free(path);
    return NULL;
}

int64_t fs_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

char *fs_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    if (name[0] == '/' || n == 0)
        return xstrdup(name);
    return xasprintf("%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

char *fs_dirname(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n ? xstrndup(path, n) : xstrdup(".");
}

char *fs_absolute(const char *path)
{
    char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
    char *whole =
        path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", cwd ? cwd : "", path);
    free(cwd);
    char *out = xmalloc(strlen(whole) + 2);
    size_t len = 0;
    for (const char *p = whole; *p;) {
        p += strspn(p, "/");
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (len > 0 && out[--len] != '/')
                ;
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            out[len++] = '/';
            memcpy(out + len, p, n);
            len += n;
        }
        p += n;
    }
    if (len == 0)
        out[len++] = '/';
    out[len] = '\0';
    free(whole);
    return out;
}
