/* tracker/mlflow/artifact_copy.c - see artifacts.h: what a backup takes along. */
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/artifacts.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(const char *what, const char *path, struct err *err)
{
    return err_set(err, ERR_IO, "cannot %s '%s': %s", what, path, strerror(errno));
}

/* In the kernel, which shares the blocks where the file system can. */
static int copy_bytes(int from, int to)
{
    ssize_t n;
    do
        n = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0);
    while (n > 0 || (n < 0 && errno == EINTR));
    if (n == 0 ||
        (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP))
        return n < 0 ? -1 : 0;
    do
        n = sendfile(to, from, NULL, (size_t)1 << 30);
    while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? -1 : 0;
}

static int copy_file(const char *from, const char *to, struct err *err)
{
    const int in = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC),
              out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int rc = 0;
    if (in < 0 && errno == ENOENT)
        return 0; /* it was removed meanwhile */
    if (in < 0 || out < 0 || copy_bytes(in, out) < 0 || fsync(out) < 0)
        rc = failed("copy to", to, err);
    if (out >= 0)
        close(out);
    if (in >= 0)
        close(in);
    return rc;
}

/* Folders and files; whatever else lies there nobody put there. */
static int copy_tree(const char *from, const char *to, const char *without,
                     struct err *err)
{
    DIR *d = opendir(from);
    if (!d && errno == ENOENT)
        return 0;
    int rc = d ? fs_mkdirs(to, err) : failed("read", from, err);
    for (struct dirent *e; d && !rc && (e = readdir(d));) {
        struct stat st;
        if (str_in_list(e->d_name, ".|..", '|') || str_eq(e->d_name, without) ||
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        char *one = fs_join(from, e->d_name), *other = fs_join(to, e->d_name);
        if (S_ISDIR(st.st_mode))
            rc = copy_tree(one, other, "", err);
        else if (S_ISREG(st.st_mode))
            rc = copy_file(one, other, err);
        free(one);
        free(other);
    }
    if (d)
        closedir(d);
    return rc;
}

int mlflow_artifact_copy(const struct store *s, const char *other_store, struct err *err)
{
    char *from = mlflow_artifact_folder(store_path(s)),
         *to = mlflow_artifact_folder(other_store);
    const bool in_the_way = fs_is_dir(from) && fs_exists(to);
    int rc = 0;
    if (in_the_way)
        rc = err_set(err, ERR_CONFIG,
                     "'%s' is there already: remove it, or name a new file", to);
    else if (fs_is_dir(from))
        rc = copy_tree(from, to, ".uploads", err);
    if (rc < 0 && !in_the_way) /* half a copy would be in the way of the next */
        fs_remove_tree(to, NULL);
    free(from);
    free(to);
    return rc;
}
