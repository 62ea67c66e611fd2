/* tracker/store/run_root.c - see run_root.h. */
#include "tracker/store/run_root.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/store/store_priv.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MARK     ".store"
#define ID_SHOWN 8

enum { OWN_RUNS };
static const char *const sql[] = {
    /* an imported run has no process */
    [OWN_RUNS] = "SELECT count(*) FROM run WHERE owner_pid <> 0 AND "
                 "substr(run_dir, 1, length(?1) + 1) = ?1 || '/'",
};

/* --- the mark --- */

static json_t *read_mark(const char *root)
{
    char *path = fs_join(root, MARK);
    json_t *mark = fs_exists(path) ? json_read_file(path, NULL) : NULL;
    free(path);
    return mark;
}

/* Where two stores come at once, one makes it: link() does not replace. */
static int write_mark(const struct store *s, const char *root, const char *id,
                      bool replace, struct err *err)
{
    char *path = fs_join(root, MARK),
         *own = xasprintf("%s-%ld", path, syscall(SYS_gettid));
    json_t *mark = json_pack("{s:s, s:s}", "id", id, "store", s->path);
    int rc = fs_mkdirs(root, err);
    if (!rc && !mark)
        rc = err_set(err, ERR_CONFIG, "the path of store '%s' is not UTF-8", s->path);
    if (!rc)
        rc = json_write_file(replace ? path : own, mark, 0, err);
    if (!rc && !replace && link(own, path) < 0 && errno != EEXIST)
        rc = fs_rename(own, path, err); /* a file system without links */
    unlink(own);
    json_decref(mark);
    free(path);
    free(own);
    return rc;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

enum owner { NOBODY, OURS, OURS_MOVED, OTHERS };

static enum owner owner_of(const struct store *s, const char *root, const char *id)
{
    json_t *mark = read_mark(root);
    const char *file = json_get_str(mark, "store", "");
    enum owner o = !mark ? NOBODY : OTHERS;
    if (mark && str_eq(json_get_str(mark, "id", ""), id))
        o = is_same_file(file, s->path) ? OURS : fs_exists(file) ? OTHERS : OURS_MOVED;
    json_decref(mark);
    return o;
}

static bool has_trials(const char *root)
{
    DIR *d = opendir(root);
    bool found = false;
    for (const struct dirent *e; d && !found && (e = readdir(d));)
        found = str_has_prefix(e->d_name, "trial-");
    if (d)
        closedir(d);
    return found;
}

static bool has_own_runs(struct store *s, const char *root)
{
    int64_t n = 0;
    return store_int(s, sql[OWN_RUNS], ARGS(A_TEXT(root)), &n, NULL) > 0 && n > 0;
}

/* 1: it is ours now, 0: another store's. */
static int take(struct store *s, const char *root, const char *id, struct err *err)
{
    enum owner o = owner_of(s, root, id);
    int rc = 0;
    if (o == NOBODY && (!has_trials(root) || has_own_runs(s, root)))
        rc = write_mark(s, root, id, false, err);
    else if (o == OURS_MOVED)
        rc = write_mark(s, root, id, true, err);
    return rc < 0 ? rc : owner_of(s, root, id) == OURS;
}

int store_run_root(struct store *s, const char *given, char **root, struct err *err)
{
    const char *id = store_id(s, err);
    char *dir = fs_dirname(s->path);
    int rc = id ? 0 : err_code(err);
    *root = given ? fs_absolute(given) : fs_join(dir, "peftlab-runs");
    if (!rc)
        rc = take(s, *root, id, err);
    if (rc == 0 && id && !given) {
        free(*root);
        *root = xasprintf("%s/peftlab-runs-%.*s", dir, ID_SHOWN, id);
        rc = take(s, *root, id, err);
    }
    if (rc == 0 && id)
        rc = err_set(
            err, ERR_CONFIG,
            "'%s' holds the run folders of another store (%s/%s says which): name "
            "another --run-dir",
            *root, *root, MARK);
    free(dir);
    if (rc < 0) {
        free(*root);
        *root = NULL;
    }
    return rc < 0 ? rc : 0;
}

/* --- one run's folder --- */

static bool is_folder(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode); /* no link to one */
}

bool store_owns_run_folder(struct store *s, const char *run_dir)
{
    char *trial = fs_dirname(run_dir), *root = fs_dirname(trial);
    char *dir = fs_dirname(s->path), *usual = fs_join(dir, "peftlab-runs");
    const char *id = store_id(s, NULL);
    bool ours = false;
    if (id && is_folder(run_dir) && is_folder(trial)) {
        const enum owner o = owner_of(s, root, id);
        ours = o == OURS || (o == NOBODY && str_eq(root, usual));
    }
    free(trial);
    free(root);
    free(dir);
    free(usual);
    return ours;
}
