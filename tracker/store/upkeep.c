/* tracker/store/upkeep.c - see upkeep.h. */
#include "tracker/store/upkeep.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/artifacts.h"
#include "tracker/store/run_root.h"
#include "tracker/store/store_priv.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IS_NAMED, SUPERSEDED };
static const char *const sql[] = {
    [IS_NAMED] = "SELECT 1 FROM artifact WHERE sha256 = ?1 AND stored = 1",
    [SUPERSEDED] =
        "SELECT run.run_dir, run.trial, run.attempt, run.state FROM run JOIN trial ON "
        "trial.id = run.trial WHERE run.run_dir IS NOT NULL AND run.owner_pid <> 0 AND "
        "run.id <> trial.last_run "
        "AND run.id IS NOT trial.summary_run AND run.state <> 'running' AND trial.state "
        "NOT IN ('waiting', 'running', 'preempted') AND NOT EXISTS (SELECT 1 FROM run AS "
        "other WHERE other.run_dir = run.run_dir AND other.id <> run.id) ORDER BY run.id",
};

/* ---- backup ---- */

static int check_copy(const char *path, struct err *err)
{
    struct store *copy = NULL;
    int rc = store_open(path, STORE_READ_ONLY, &copy, err);
    json_t *result =
        rc == 0 ? store_query(copy, "PRAGMA quick_check(1)", NULL, 1, err) : NULL;
    const char *said = json_string_value(
        json_array_get(json_array_get(json_object_get(result, "rows"), 0), 0));
    if (rc == 0 && !str_eq(said, "ok"))
        rc = err_set(err, ERR_PARSE,
                     "backup: the copy is damaged (%.200s); so may be the "
                     "store: 'peftlab doctor --store FILE' looks",
                     said ? said : "unread");
    json_decref(result);
    store_close(copy);
    return rc;
}

int store_backup(struct store *s, const char *path, struct err *err)
{
    static const char copy_sql[] = "VACUUM INTO ?1";
    if (fs_exists(path))
        return err_set(err, ERR_CONFIG, "backup: '%s' is there already; name a new file",
                       path);
    char *part = xasprintf("%s.part-%d", path, (int)getpid()),
         *lock = xasprintf("%s-lock", part);
    bool reader =
        !s->writable; /* query_only would refuse it, though it only reads here */
    int rc = reader ? store_script(s, "PRAGMA query_only = OFF", err) : 0;
    if (rc == 0)
        rc = store_exec(s, copy_sql, ARGS(A_TEXT(part)), err);
    if (reader)
        store_script(s, "PRAGMA query_only = ON", NULL);
    if (rc >= 0)
        rc = check_copy(part, err);
    if (rc >= 0)
        rc = store_copy_artifacts(s, path, err);
    if (rc >= 0)
        rc = mlflow_artifact_copy(s, path, err);
    if (rc >= 0)
        rc = fs_rename(part, path, err);
    if (rc < 0)
        unlink(part);
    unlink(lock);
    free(part);
    free(lock);
    return rc < 0 ? rc : 0;
}

/* ---- examination ---- */

static json_t *first_cell(struct store *s, const char *text, struct err *err)
{
    json_t *r = store_query(s, text, NULL, 1, err);
    json_t *cell =
        json_incref(json_array_get(json_array_get(json_object_get(r, "rows"), 0), 0));
    json_decref(r);
    return cell;
}

int store_examine(struct store *s, json_t **out, struct err *err)
{
    static const struct {
        const char *name, *sql;
    } questions[] = {
        {"version", "SELECT user_version FROM pragma_user_version"},
        {"experiments", "SELECT count(*) FROM experiment"},
        {"sweeps", "SELECT count(*) FROM sweep"},
        {"trials", "SELECT count(*) FROM trial"},
        {"runs", "SELECT count(*) FROM run"},
        {"running", "SELECT count(*) FROM run WHERE state = 'running'"},
        {"foreign_keys",
         "SELECT CASE count(*) WHEN 0 THEN 'ok' ELSE count(*) || ' broken' "
         "END FROM pragma_foreign_key_check"},
        {"integrity", "PRAGMA integrity_check(1)"},
    };
    char *log = xasprintf("%s-wal", s->path);
    int rc = 0;
    *out = json_pack("{s:s, s:I, s:I}", "file", s->path, "bytes",
                     (json_int_t)fs_size(s->path), "log_bytes",
                     (json_int_t)(fs_exists(log) ? fs_size(log) : 0));
    for (size_t i = 0; i < ARRAY_LEN(questions) && rc == 0; i++) {
        json_t *answer = first_cell(s, questions[i].sql, err);
        const char *text = json_string_value(answer);
        if (!answer)
            rc = err_code(err);
        else if (text && strcmp(text, "ok") != 0)
            rc =
                err_set(err, ERR_PARSE,
                        "store '%s' is damaged (%s: %.200s); restore a backup or salvage "
                        "with 'sqlite3 FILE .recover'",
                        s->path, questions[i].name, text);
        if (answer)
            json_object_set_new(*out, questions[i].name, answer);
    }
    free(log);
    return rc;
}

/* ---- garbage ---- */

static _Thread_local int64_t tree_bytes;

static int add_bytes(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)path, (void)ftw;
    if (kind == FTW_F)
        tree_bytes += (int64_t)st->st_blocks * 512;
    return 0;
}

static int64_t disk_bytes(const char *path)
{
    tree_bytes = 0;
    nftw(path, add_bytes, 16, FTW_PHYS);
    return tree_bytes;
}

static void add_garbage(json_t *list, const char *path, const char *why)
{
    json_t *entry = json_pack("{s:s, s:I, s:s}", "path", path, "bytes",
                              (json_int_t)disk_bytes(path), "why", why);
    if (entry) /* a path that is not UTF-8 is none of ours */
        json_array_append_new(list, entry);
}

static bool is_sha256(const char *name)
{
    return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

static int look_at_copies(struct store *s, const char *dir, json_t *list, struct err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); /* no link */
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int rc = 0;
    for (struct dirent *e; d && rc >= 0 && (e = readdir(d));) {
        int64_t named = 0;
        if (!is_sha256(e->d_name))
            continue;
        rc = store_int(s, sql[IS_NAMED], ARGS(A_TEXT(e->d_name)), &named, err);
        if (rc == 0) {
            char *path = fs_join(dir, e->d_name);
            add_garbage(list, path, "no run names this copy");
            free(path);
        }
    }
    if (d)
        closedir(d);
    return rc < 0 ? rc : 0;
}

static int find_copies(struct store *s, json_t *list, struct err *err)
{
    char *root = store_copies_folder(s);
    DIR *d = opendir(root);
    int rc = 0;
    for (struct dirent *e; d && rc == 0 && (e = readdir(d));)
        if (strlen(e->d_name) == 2 && e->d_name[0] != '.') {
            char *dir = fs_join(root, e->d_name);
            rc = look_at_copies(s, dir, list, err);
            free(dir);
        }
    if (d)
        closedir(d);
    free(root);
    return rc;
}

/* The folder is this store's, and is called as store_run_dir calls it. */
static bool is_run_folder(struct store *s, const char *path, int64_t trial,
                          int64_t attempt)
{
    char *ending =
        xasprintf("/trial-%lld/attempt-%lld", (long long)trial, (long long)attempt);
    bool ours = str_has_suffix(path, ending) && !strstr(path, "/../") &&
                store_owns_run_folder(s, path);
    free(ending);
    return ours;
}

static int find_attempts(struct store *s, json_t *list, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(s, sql[SUPERSEDED], NULL, &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0) {
        const char *path = (const char *)sqlite3_column_text(stmt, 0);
        char *why = xasprintf("attempt %d of trial %lld, %s; a later one counts",
                              sqlite3_column_int(stmt, 2),
                              (long long)sqlite3_column_int64(stmt, 1),
                              (const char *)sqlite3_column_text(stmt, 3));
        if (is_run_folder(s, path, sqlite3_column_int64(stmt, 1),
                          sqlite3_column_int64(stmt, 2)))
            add_garbage(list, path, why);
        free(why);
    }
    store_done(stmt);
    return rc;
}

static void find_uploads(struct store *s, json_t *list)
{
    json_t *found = mlflow_artifact_garbage(s), *entry;
    size_t i;
    json_array_foreach(found, i, entry) add_garbage(list, json_get_str(entry, "path", ""),
                                                    json_get_str(entry, "why", ""));
    json_decref(found);
}

static int by_bytes(const void *a, const void *b)
{
    int64_t x = json_get_int(*(json_t *const *)a, "bytes", 0),
            y = json_get_int(*(json_t *const *)b, "bytes", 0);
    return x < y   ? 1
           : x > y ? -1
                   : strcmp(json_get_str(*(json_t *const *)a, "path", ""),
                            json_get_str(*(json_t *const *)b, "path", ""));
}

json_t *store_garbage(struct store *s, struct err *err)
{
    json_t *found = json_array(), *sorted = json_array();
    if (find_copies(s, found, err) < 0 || find_attempts(s, found, err) < 0) {
        json_decref(found);
        json_decref(sorted);
        return NULL;
    }
    find_uploads(s, found);
    size_t n = json_array_size(found);
    json_t **entries = xcalloc(n + 1, sizeof(json_t *));
    for (size_t i = 0; i < n; i++)
        entries[i] = json_array_get(found, i);
    qsort(entries, n, sizeof *entries, by_bytes);
    for (size_t i = 0; i < n; i++)
        json_array_append(sorted, entries[i]);
    free(entries);
    json_decref(found);
    return sorted;
}
