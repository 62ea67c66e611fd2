/* tracker/store/copies.c - copies of small artifacts beside the store; see upkeep.h. */
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/store/store_priv.h"
#include "tracker/store/upkeep.h"
#include <stdlib.h>
#include <string.h>

enum { STORED, ALL };
static const char *const sql[] = {
    [STORED] = "UPDATE artifact SET stored = 1 WHERE run = ?1 AND name = ?2",
    [ALL] =
        "SELECT DISTINCT sha256 FROM artifact WHERE stored = 1 AND sha256 IS NOT NULL",
};
enum { MAX_COPY_BYTES = 1 << 28 };

char *store_copies_folder(const struct store *s)
{
    return xasprintf("%s.artifacts", s->path);
}

/* FOLDER/ab/abcdef... */
static char *copy_path(const char *folder, const char *sha256)
{
    return xasprintf("%s/%.2s/%s", folder, sha256, sha256);
}

static int write_copy(const char *folder, const char *sha256, const void *data, size_t n,
                      struct err *err)
{
    char *path = copy_path(folder, sha256), *dir = fs_dirname(path);
    int rc = fs_exists(path) ? 0 : fs_mkdirs(dir, err);
    if (rc == 0 && !fs_exists(path))
        rc = fs_write_atomic(path, data, n, err);
    free(path);
    free(dir);
    return rc;
}

int store_keep_content(struct store *s, const void *data, size_t n,
                       char sha256[SHA256_HEX], char **path, struct err *err)
{
    sha256_hex(data, n, sha256);
    char *folder = store_copies_folder(s);
    *path = copy_path(folder, sha256);
    int rc = write_copy(folder, sha256, data, n, err);
    free(folder);
    return rc;
}

int store_keep_artifact(struct store *s, int64_t run, const char *name, const void *data,
                        size_t n, struct err *err)
{
    char sha256[SHA256_HEX], *path;
    int rc = store_keep_content(s, data, n, sha256, &path, err);
    if (rc == 0)
        rc = store_log_artifact(s, run, name, path, (int64_t)n, sha256, err);
    if (rc == 0 && (rc = store_begin(s, err)) == 0)
        rc = store_end(s, store_exec(s, sql[STORED], ARGS(A_INT(run), A_TEXT(name)), err),
                       err);
    free(path);
    return rc < 0 ? rc : 0;
}

int store_kept_content(const struct store *s, const char *sha256, size_t max,
                       struct buf *out, struct err *err)
{
    char *folder = store_copies_folder(s), *path, found[SHA256_HEX];
    if (strlen(sha256) != 64 || strspn(sha256, "0123456789abcdef") != 64) {
        free(folder);
        return err_set(err, ERR_PARSE,
                       "the store names a copy '%.80s', which is no "
                       "SHA-256",
                       sha256);
    }
    path = copy_path(folder, sha256);
    int rc = fs_read(path, max, out, err);
    if (rc == 0)
        sha256_hex(buf_str(out), out->len, found);
    if (rc == 0 && !str_eq(found, sha256))
        rc = err_set(err, ERR_PARSE, "'%s' has changed since it was kept", path);
    free(folder);
    free(path);
    return rc;
}

int store_copy_artifacts(struct store *s, const char *other_store, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    char *folder = xasprintf("%s.artifacts", other_store);
    int rc = store_statement(s, sql[ALL], NULL, &stmt, err);
    while (rc >= 0 && (rc = store_step(s, stmt, err)) > 0) {
        const char *sha256 = (const char *)sqlite3_column_text(stmt, 0);
        struct buf content;
        buf_init(&content, MAX_COPY_BYTES);
        if (store_kept_content(s, sha256, MAX_COPY_BYTES, &content, NULL) == 0)
            rc = write_copy(folder, sha256, buf_str(&content), content.len, err);
        buf_release(&content);
    }
    if (stmt)
        store_done(stmt);
    free(folder);
    return rc < 0 ? rc : 0;
}
