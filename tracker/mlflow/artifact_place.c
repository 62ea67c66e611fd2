/* tracker/mlflow/artifact_place.c - see artifact_place.h. */
#include "tracker/mlflow/artifact_place.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/beneath.h"
#include "lib/str.h"
#include "tracker/store/store_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIND_RUN, OWN };
static const char *const sql[] = {
    [FIND_RUN] = "SELECT run.id FROM run, store WHERE store.id = ?1 AND run.id = ?2",
    /* an imported run has no process */
    [OWN] = "SELECT artifact.name, artifact.path FROM artifact JOIN run ON run.id = "
            "artifact.run WHERE run.id = ?1 AND run.owner_pid <> 0 AND NOT "
            "(" ARTIFACT_IS_PUT ") ORDER BY artifact.name",
};

/* --- a path taken apart --- */

void artifact_place_release(struct artifact_place *p)
{
    free(p->folder);
}

/* "EXPERIMENT/RUN/artifacts" or with "/NAME"; *run and *name point into it. */
static bool split(const char *path, const char **run, const char **name)
{
    static const char room[] = "/artifacts";
    const size_t n = strspn(path, "0123456789");
    *run = path + n + 1;
    if (!n || path[n] != '/' || strspn(*run, "0123456789abcdef") != 2 * ARTIFACT_ID)
        return false;
    const char *rest = *run + 2 * ARTIFACT_ID;
    if (!str_has_prefix(rest, room))
        return false;
    rest += strlen(room);
    *name = *rest == '/' ? rest + 1 : rest;
    return *rest == '/' || !*rest;
}

int artifact_place_find(struct store *s, const char *path, bool named,
                        struct artifact_place *out, struct err *err)
{
    const char *run;
    int64_t id = 0;
    *out = (struct artifact_place){0};
    if (!split(path, &run, &out->name) || (named && !*out->name))
        return err_set(err, ERR_CONFIG,
                       "Invalid path: it is EXPERIMENT_ID/RUN_ID/artifacts/NAME");
    char *store = xstrndup(run, ARTIFACT_ID),
         *number = xstrndup(run + ARTIFACT_ID, ARTIFACT_ID);
    id = (int64_t)strtoull(number, NULL, 16);
    int rc = store_int(s, sql[FIND_RUN], ARGS(A_TEXT(store), A_INT(id)), &out->run, err);
    free(store);
    free(number);
    if (rc == 0)
        return err_set(err, ERR_NOINPUT, "Run with id=%.32s not found", run);
    if (rc < 0)
        return rc;
    out->folder = xasprintf("%s.mlartifacts/%.32s", store_path(s), run);
    out->beside = out->folder + strlen(store_path(s));
    return 0;
}

int artifact_folder_open(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* --- what a run logged by itself --- */

const char *artifact_behind(const char *name, const char *head)
{
    const size_t n = strlen(head);
    if (!n)
        return name;
    if (strncmp(name, head, n) != 0 || (name[n] && name[n] != '/'))
        return NULL;
    return name[n] ? name + n + 1 : name + n;
}

int artifact_each_own(struct store *s, const struct artifact_place *p, artifact_own *take,
                      void *ctx, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc =
        store_statement(s, sql[OWN], ARGS(A_INT(p->run), A_TEXT(p->beside)), &stmt, err);
    while (rc >= 0 && (rc = store_step(s, stmt, err)) > 0)
        if ((rc = take(ctx, (const char *)sqlite3_column_text(stmt, 0),
                       (const char *)sqlite3_column_text(stmt, 1), err)) < 0)
            break;
    if (stmt)
        store_done(stmt);
    return rc < 0 ? rc : 0;
}

struct hidden {
    const char *name; /* of the file that is to be put */
    bool yes;
};

/* It is there itself, or below the file; or it is a file where the other needs a folder. */
static int take_hidden(void *ctx, const char *name, const char *path, struct err *err)
{
    struct hidden *h = ctx;
    const char *rest = artifact_behind(h->name, name);
    char *file = fs_join(path, rest ? rest : "");
    struct stat st;
    (void)err;
    if (artifact_behind(name, h->name))
        h->yes |= fs_exists(path);
    else if (rest)
        h->yes |= stat(file, &st) == 0 || errno == ENOTDIR;
    free(file);
    return 0;
}

int artifact_hides_own(struct store *s, const struct artifact_place *p, struct err *err)
{
    struct hidden h = {.name = p->name};
    const int rc = artifact_each_own(s, p, take_hidden, &h, err);
    return rc < 0 ? rc : h.yes;
}

/* Opens `rest` of a logged file or folder. */
static int open_own(const char *path, const char *rest, bool *is_folder, uint64_t *size)
{
    char *at = fs_dirname(path);
    const char *slash = strrchr(path, '/');
    const int dir = *rest ? artifact_folder_open(path) : artifact_folder_open(at);
    const int fd = dir < 0 ? -1
                           : beneath_open(dir,
                                          *rest   ? rest
                                          : slash ? slash + 1
                                                  : path,
                                          is_folder, size);
    const int no = errno;
    if (dir >= 0)
        close(dir);
    free(at);
    errno = no;
    return fd;
}

static int take_wanted(void *ctx, const char *name, const char *path, struct err *err)
{
    struct artifact_opened *w = ctx;
    const char *rest = artifact_behind(w->name, name);
    (void)err;
    if (rest && w->fd < 0)
        w->fd = open_own(path, rest, &w->is_folder, &w->size);
    return 0;
}

int artifact_place_open(struct store *s, const struct artifact_place *p,
                        struct artifact_opened *w, struct err *err)
{
    const int dir = artifact_folder_open(p->folder);
    *w = (struct artifact_opened){.name = p->name, .fd = -1};
    if (dir >= 0) {
        w->fd = beneath_open(dir, p->name, &w->is_folder, &w->size);
        const int no = errno;
        close(dir);
        errno = no;
        if (w->fd >= 0 || no != ENOENT)
            return 0;
    }
    const int rc = *p->name ? artifact_each_own(s, p, take_wanted, w, err) : 0;
    errno = ENOENT;
    return rc;
}
