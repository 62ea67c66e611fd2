/* tracker/mlflow/artifacts.c - see artifacts.h: files put, read and removed. */
#include "tracker/mlflow/artifacts.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/beneath.h"
#include "lib/os/proc.h"
#include "tracker/mlflow/artifact_place.h"
#include "tracker/store/store_priv.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOG, FORGET };
static const char *const sql[] = {
    /* what the run logged by itself keeps its place */
    [LOG] = "INSERT INTO artifact (run, name, path, bytes, sha256, at_ms, stored) "
            "VALUES (?1, ?3, ?4, ?5, NULL, ?6, 0) ON CONFLICT (run, name) DO UPDATE SET "
            "path = excluded.path, bytes = excluded.bytes, at_ms = excluded.at_ms "
            "WHERE " ARTIFACT_IS_PUT,
    [FORGET] = "DELETE FROM artifact WHERE run = ?1 AND " ARTIFACT_IS_PUT
               " AND (name = ?3 OR substr(name, 1, length(?3) + 1) = ?3 || '/')",
};

char *mlflow_artifact_folder(const char *store_path)
{
    return xasprintf("%s.mlartifacts", store_path);
}

char *mlflow_artifact_uploads(const char *store_path)
{
    return xasprintf("%s.mlartifacts/.uploads", store_path);
}

static int fail(struct err *err, const char *path)
{
    const int no = errno;
    const enum err_code code =
        no == ENOENT || no == ENOTDIR ? ERR_NOINPUT
        : no == EISDIR || no == EINVAL || no == ENAMETOOLONG || no == ELOOP || no == EXDEV
            ? ERR_CONFIG
            : ERR_IO;
    if (code == ERR_NOINPUT)
        return err_set(err, code, "No such artifact: '%.300s'", path);
    return err_set(err, code, "artifact '%.300s': %s", path, strerror(no));
}

static int of_the_run(const struct artifact_place *p, struct err *err)
{
    return err_set(err, ERR_USAGE, "artifact '%.300s' is of the run itself", p->name);
}

int mlflow_artifact_open(struct store *s, const char *path, int *fd, uint64_t *size,
                         struct err *err)
{
    struct artifact_place p;
    struct artifact_opened w = {.fd = -1};
    int rc = artifact_place_find(s, path, true, &p, err);
    if (!rc)
        rc = artifact_place_open(s, &p, &w, err);
    if (!rc && w.fd < 0)
        rc = fail(err, path);
    if (!rc && w.is_folder)
        rc = err_set(err, ERR_CONFIG, "artifact '%.300s' is a folder", p.name);
    if (rc && w.fd >= 0)
        close(w.fd);
    *fd = w.fd;
    *size = w.size;
    artifact_place_release(&p);
    return rc;
}

int mlflow_artifact_place(struct store *s, const char *path, const char *from,
                          struct err *err)
{
    struct artifact_place p;
    int rc = artifact_place_find(s, path, true, &p, err);
    if (!rc && (rc = artifact_hides_own(s, &p, err)) > 0)
        rc = of_the_run(&p, err);
    if (!rc)
        rc = fs_mkdirs(p.folder, err);
    const int dir = rc ? -1 : artifact_folder_open(p.folder);
    if (!rc && (dir < 0 || beneath_place(dir, p.name, from) < 0))
        rc = errno == ENOTDIR ? err_set(err, ERR_CONFIG,
                                        "artifact '%.300s': a file is where a folder "
                                        "is needed",
                                        p.name)
                              : fail(err, path);
    if (dir >= 0)
        close(dir);
    artifact_place_release(&p);
    return rc;
}

int mlflow_artifact_log(struct store *s, const char *path, struct err *err)
{
    struct artifact_place p;
    int rc = artifact_place_find(s, path, true, &p, err);
    if (!rc && (rc = store_begin(s, err)) == 0) {
        char *file = xasprintf("%s/%s", p.folder, p.name);
        const int64_t size = fs_size(file);
        if (size >= 0)
            rc = store_exec(s, sql[LOG],
                            ARGS(A_INT(p.run), A_TEXT(p.beside), A_TEXT(p.name),
                                 A_TEXT(file), A_INT(size), A_INT(clock_wall_ms())),
                            err);
        rc = store_end(s, rc, err);
        free(file);
    }
    artifact_place_release(&p);
    return rc < 0 ? rc : 0;
}

int mlflow_artifact_remove(struct store *s, const char *path, struct err *err)
{
    struct artifact_place p;
    int rc = artifact_place_find(s, path, true, &p, err);
    const int dir = rc ? -1 : artifact_folder_open(p.folder);
    if (!rc && (dir < 0 || beneath_remove(dir, p.name) < 0)) {
        int fd;
        uint64_t size;
        rc = fail(err, path);
        if (rc == -ERR_NOINPUT && mlflow_artifact_open(s, path, &fd, &size, NULL) == 0) {
            close(fd);
            err_clear(err);
            rc = of_the_run(&p, err);
        }
    }
    if (dir >= 0)
        close(dir);
    artifact_place_release(&p);
    return rc;
}

int mlflow_artifact_forget(struct store *s, const char *path, struct err *err)
{
    struct artifact_place p;
    int rc = artifact_place_find(s, path, true, &p, err);
    if (!rc && (rc = store_begin(s, err)) == 0) {
        rc = store_exec(s, sql[FORGET],
                        ARGS(A_INT(p.run), A_TEXT(p.beside), A_TEXT(p.name)), err);
        rc = store_end(s, rc, err);
    }
    artifact_place_release(&p);
    return rc < 0 ? rc : 0;
}
