/* tracker/mlflow/artifact_lists.c - see artifacts.h: what there is, and what of it may go. */
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "tracker/mlflow/artifact_place.h"
#include "tracker/mlflow/artifacts.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- lists --- */

struct listing {
    const char *name;
    json_t *entries; /* by name */
};

static void add_entry(json_t *entries, const char *name, bool is_folder, uint64_t size)
{
    json_t *entry = json_pack("{s:s, s:b}", "path", name, "is_dir", is_folder);
    if (!entry) /* it is not UTF-8 */
        return;
    if (!is_folder)
        json_object_set_new(entry, "file_size", json_integer((json_int_t)size));
    json_object_set_new(entries, name, entry);
}

/* Ends fd. */
static void add_folder(json_t *entries, int fd)
{
    DIR *d = fdopendir(fd);
    struct stat st;
    if (!d)
        close(fd);
    for (struct dirent *e; d && (e = readdir(d));)
        if (!str_in_list(e->d_name, ".|..", '|') &&
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
            add_entry(entries, e->d_name, S_ISDIR(st.st_mode), (uint64_t)st.st_size);
    if (d)
        closedir(d);
}

/* A logged name below the listed one shows as its next component. */
static int take_listed(void *ctx, const char *name, const char *path, struct err *err)
{
    const struct listing *l = ctx;
    const char *rest = artifact_behind(name, l->name);
    (void)err;
    if (!rest || !*rest)
        return 0;
    const size_t n = strcspn(rest, "/");
    char *first = xstrndup(rest, n);
    struct stat st = {0};
    if (rest[n])
        add_entry(l->entries, first, true, 0);
    else if (stat(path, &st) == 0)
        add_entry(l->entries, first, S_ISDIR(st.st_mode), (uint64_t)st.st_size);
    free(first);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *in_order(json_t *entries)
{
    const size_t n = json_object_size(entries);
    const char **names = xcalloc(n + 1, sizeof *names), *name;
    json_t *entry, *list = json_array();
    size_t i = 0;
    json_object_foreach(entries, name, entry) names[i++] = name;
    qsort(names, n, sizeof *names, by_name);
    for (i = 0; i < n; i++)
        json_array_append(list, json_object_get(entries, names[i]));
    free(names);
    return list;
}

int mlflow_artifact_list(struct store *s, const char *path, json_t **files,
                         struct err *err)
{
    struct artifact_place p;
    struct artifact_opened w = {.fd = -1};
    int rc = artifact_place_find(s, path, false, &p, err);
    struct listing l = {p.name, json_object()};
    if (!rc)
        rc = artifact_each_own(s, &p, take_listed, &l, err);
    if (!rc)
        rc = artifact_place_open(s, &p, &w, err);
    if (w.fd >= 0 && w.is_folder)
        add_folder(l.entries, w.fd);
    else if (w.fd >= 0)
        close(w.fd);
    *files = rc ? NULL : in_order(l.entries);
    json_decref(l.entries);
    artifact_place_release(&p);
    return rc;
}

/* --- what may go --- */

enum { LEFT_S = 86400 }; /* no upload takes longer */

static bool is_run_id(const char *name)
{
    return strlen(name) == 2 * ARTIFACT_ID &&
           strspn(name, "0123456789abcdef") == 2 * ARTIFACT_ID;
}

static bool is_known(struct store *s, const char *run)
{
    struct artifact_place p;
    char *path = xasprintf("0/%s/artifacts", run);
    struct err err = ERR_INIT;
    const int rc = artifact_place_find(s, path, false, &p, &err);
    artifact_place_release(&p);
    free(path);
    return rc != -ERR_NOINPUT;
}

static void add_left(json_t *list, const char *folder)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char *path = fs_join(folder, e->d_name);
        struct stat st;
        if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
            clock_wall_ms() / 1000 - st.st_mtime > LEFT_S)
            json_array_append_new(list, json_pack("{s:s, s:s}", "path", path, "why",
                                                  "an upload that was cut off"));
        free(path);
    }
    if (d)
        closedir(d);
}

json_t *mlflow_artifact_garbage(struct store *s)
{
    json_t *list = json_array();
    char *folder = mlflow_artifact_folder(store_path(s)),
         *uploads = mlflow_artifact_uploads(store_path(s));
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_run_id(e->d_name) && !is_known(s, e->d_name)) {
            char *path = fs_join(folder, e->d_name);
            json_array_append_new(list, json_pack("{s:s, s:s}", "path", path, "why",
                                                  "the store has no such run"));
            free(path);
        }
    if (d)
        closedir(d);
    add_left(list, uploads);
    free(folder);
    free(uploads);
    return list;
}
