/* tracker/foreign/found_files.c - see found_files.h. */
#include "tracker/foreign/found_files.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "tracker/foreign/foreign.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_ENTRIES = 1 << 20 };

void found_files_release(struct found_files *found)
{
    for (size_t i = 0; i < found->count; i++)
        free(found->paths[i]);
    free(found->paths);
    *found = (struct found_files){0};
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int look(struct found_files *found, const char *path, int depth,
                found_wanted *wanted, struct err *err);

static int look_into(struct found_files *found, const char *path, int depth,
                     found_wanted *wanted, struct err *err)
{
    DIR *dir = opendir(path);
    char **names = NULL;
    size_t count = 0, cap = 0;
    int rc = 0;
    for (struct dirent *e; dir && rc == 0 && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        if (found->looked_at++ >= MAX_ENTRIES)
            rc = err_set(err, ERR_CONFIG,
                         "'%s' holds more than %d files; name one of its "
                         "folders",
                         path, MAX_ENTRIES);
        names = xgrow(names, &cap, count + 1, sizeof *names);
        names[count++] = fs_join(path, e->d_name);
    }
    if (dir)
        closedir(dir);
    if (count)
        qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        if (rc == 0)
            rc = look(found, names[i], depth - 1, wanted, err);
        free(names[i]);
    }
    free(names);
    return rc;
}

static int look(struct found_files *found, const char *path, int depth,
                found_wanted *wanted, struct err *err)
{
    struct stat st;
    if ((found->first_only && found->count > 0) || lstat(path, &st) < 0)
        return 0;
    if (S_ISDIR(st.st_mode))
        return depth < 0 ? 0 : look_into(found, path, depth, wanted, err);
    if (!S_ISREG(st.st_mode) || !wanted(last_part(path)))
        return 0;
    if (found->count >= FOREIGN_MAX_RUNS)
        return err_set(err, ERR_CONFIG,
                       "'%s': more than %d files; name one of the folders", path,
                       FOREIGN_MAX_RUNS);
    found->paths = xgrow(found->paths, &found->cap, found->count + 1, sizeof(char *));
    found->paths[found->count++] = xstrdup(path);
    return 0;
}

/* What was named may be a link, what lies below may not. */
int found_files_of(struct found_files *found, const char *path, int depth,
                   found_wanted *wanted, struct err *err)
{
    char *real = realpath(path, NULL);
    int rc = real ? look(found, real, depth, wanted, err) : 0;
    free(real);
    return rc;
}

bool found_any(const char *path, int depth, found_wanted *wanted)
{
    struct found_files found = {.first_only = true};
    const bool any =
        found_files_of(&found, path, depth, wanted, NULL) == 0 && found.count > 0;
    found_files_release(&found);
    return any;
}

/* A read lease is granted only where nobody has the file open for writing. It is given back
 * at once; should somebody open it in between, the signal is one that is ignored. */
static int has_writer(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    int writer = 0;
    if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
        writer = errno == EAGAIN ? 1 : -1;
    else
        fcntl(fd, F_SETLEASE, F_UNLCK);
    close(fd);
    return writer;
}

bool found_is_growing(const char *path)
{
    struct fs_stamp stamp;
    const int writer = has_writer(path);
    if (writer >= 0)
        return writer > 0;
    return fs_stamp(path, &stamp) &&
           clock_wall_ms() - stamp.modified_ns / 1000000 < FOUND_QUIET_MS;
}
