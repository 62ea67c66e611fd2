/* runner/cache/entries.c - see entries.h. */
#include "runner/cache/entries.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/cache/cache.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LIMIT_BYTES ((size_t)16 << 30)

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

char *cache_folder_find(void)
{
    const char *own = env("PEFTLAB_CACHE"), *shared = env("XDG_CACHE_HOME"),
               *home = env("HOME");
    if (own)
        return str_eq(own, "off") ? NULL : xstrdup(own);
    if (shared && *shared == '/')
        return fs_join(shared, "peftlab");
    return home && *home == '/' ? fs_join(home, ".cache/peftlab") : NULL;
}

size_t cache_folder_limit(void)
{
    const char *text = env("PEFTLAB_CACHE_BYTES");
    char *end;
    if (!text)
        return LIMIT_BYTES;
    errno = 0;
    const unsigned long long n = strtoull(text, &end, 10);
    return *text < '0' || *text > '9' || *end || errno ? LIMIT_BYTES : (size_t)n;
}

size_t cache_folder_free_bytes(const char *dir)
{
    struct statvfs v;
    char *at = xstrdup(dir);
    int rc;
    while ((rc = statvfs(at, &v)) < 0 && errno == ENOENT && !str_eq(at, "/") &&
           !str_eq(at, ".")) { /* it is made later */
        char *up = fs_dirname(at);
        free(at);
        at = up;
    }
    free(at);
    return rc < 0 ? 0 : (size_t)v.f_bavail * (size_t)v.f_frsize;
}

/* KIND-KEY or KIND-KEY.part, the key 64 digits. Nothing else in the folder is touched. */
static bool is_own(const char *name, bool *part)
{
    const size_t letters = strspn(name, "abcdefghijklmnopqrstuvwxyz"),
                 digits = letters && name[letters] == '-'
                              ? strspn(name + letters + 1, "0123456789abcdef")
                              : 0;
    const char *rest = name + letters + 1 + digits;
    *part = digits && str_eq(rest, CACHE_PART);
    return digits == SHA256_HEX - 1 && (*part || !*rest);
}

static int by_use(const void *a, const void *b)
{
    const struct cache_file *x = a, *y = b;
    return x->used_ns < y->used_ns ? -1 : x->used_ns > y->used_ns;
}

size_t cache_folder_list(const char *dir, struct cache_file **out)
{
    size_t count = 0, cap = 0;
    DIR *d = opendir(dir);
    struct stat st;
    bool part;
    *out = NULL;
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (!is_own(e->d_name, &part) ||
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        *out = xgrow(*out, &cap, count + 1, sizeof **out);
        (*out)[count++] = (struct cache_file){
            .path = fs_join(dir, e->d_name),
            .bytes = (size_t)st.st_blocks * 512,
            .used_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
            .part = part};
    }
    if (d)
        closedir(d);
    if (count)
        qsort(*out, count, sizeof **out, by_use);
    return count;
}

void cache_folder_free(struct cache_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(files[i].path);
    free(files);
}

bool cache_folder_is_left(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    const bool left = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return left;
}

bool cache_folder_make_room(const char *dir, size_t need, int64_t since_ns, size_t *room)
{
    struct cache_file *files;
    const size_t count = cache_folder_list(dir, &files), limit = cache_folder_limit();
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += files[i].bytes;
    for (size_t i = 0; i < count && need <= limit && sum > limit - need; i++) {
        const bool goes = files[i].used_ns < since_ns &&
                          (!files[i].part || cache_folder_is_left(files[i].path));
        if (goes && unlink(files[i].path) == 0)
            sum -= files[i].bytes;
    }
    cache_folder_free(files, count);
    *room = sum < limit ? limit - sum : 0;
    return need <= *room;
}

json_t *cache_facts(void)
{
    char *dir = cache_folder_find();
    struct cache_file *files;
    if (!dir)
        return json_pack("{s:s}", "folder", "none (switched off, or no home)");
    const size_t count = cache_folder_list(dir, &files);
    json_int_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += (json_int_t)files[i].bytes;
    json_t *facts =
        json_pack("{s:s, s:I, s:I, s:I}", "folder", dir, "entries", (json_int_t)count,
                  "bytes", bytes, "limit_bytes", (json_int_t)cache_folder_limit());
    cache_folder_free(files, count);
    free(dir);
    return facts;
}

json_t *cache_garbage(bool all)
{
    char *dir = cache_folder_find();
    struct cache_file *files = NULL;
    const size_t count = dir ? cache_folder_list(dir, &files) : 0;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct cache_file *f = &files[i];
        if (f->part ? cache_folder_is_left(f->path) : all)
            json_array_append_new(
                list, json_pack("{s:s, s:b, s:I, s:s}", "path", f->path, "whole",
                                !f->part, "bytes", (json_int_t)f->bytes, "why",
                                f->part ? "cache: left by a process that was killed"
                                        : "cache: is made again when it is needed"));
    }
    cache_folder_free(files, count);
    free(dir);
    return list;
}
