/* tracker/store/store.c - opening, creating and upgrading the file. */
#include "tracker/store/store.h"
#include "lib/embed.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/store/store_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

EMBED(schema_sql, "schema.sql");
EMBED(views_sql, "views.sql");
EMBED(upgrade_1_sql, "tracker/store/upgrade_1.sql");
EMBED(upgrade_2_sql, "tracker/store/upgrade_2.sql");
EMBED(upgrade_3_sql, "tracker/store/upgrade_3.sql");
EMBED(upgrade_4_sql, "tracker/store/upgrade_4.sql");
EMBED(upgrade_5_sql, "tracker/store/upgrade_5.sql");
EMBED(upgrade_6_sql, "tracker/store/upgrade_6.sql");

/* What alters the tables of a file from version i + 1 to the next. */
static const char *const upgrades[STORE_VERSION - 1] = {upgrade_1_sql, upgrade_2_sql,
                                                        upgrade_3_sql, upgrade_4_sql,
                                                        upgrade_5_sql, upgrade_6_sql};

enum { HEADER, JOURNAL, VIEWS, ID };
static const char *const sql[] = {
    /* One statement, so that all three are of one moment. */
    [HEADER] = "SELECT (SELECT user_version FROM pragma_user_version), (SELECT "
               "application_id FROM pragma_application_id), count(*) FROM sqlite_schema",
    [JOURNAL] = "PRAGMA journal_mode",
    [VIEWS] = "SELECT name FROM sqlite_schema WHERE type = 'view' AND name NOT LIKE "
              "'%\"%'",
    [ID] = "SELECT id FROM store",
};

static const char connection_setup[] = "PRAGMA foreign_keys = ON;"
                                       "PRAGMA synchronous = NORMAL;"
                                       "PRAGMA wal_autocheckpoint = 0;"
                                       "PRAGMA temp_store = MEMORY;"
                                       "PRAGMA cell_size_check = ON;";

char *store_default_path(const char *flag)
{
    const char *path = flag && *flag ? flag : getenv("PEFTLAB_STORE");
    return xstrdup(path && *path ? path : "peftlab.db");
}

const char *store_path(const struct store *s)
{
    return s->path;
}

const char *store_id(struct store *s, struct err *err)
{
    enum { LEAST = 8 };
    sqlite3_stmt *stmt = NULL;
    if (s->id[0] || store_statement(s, sql[ID], NULL, &stmt, err) < 0)
        return s->id[0] ? s->id : NULL;
    const char *id =
        store_step(s, stmt, err) > 0 ? (const char *)sqlite3_column_text(stmt, 0) : "";
    if (strlen(id) >= LEAST && strlen(id) < sizeof s->id &&
        strspn(id, "0123456789abcdef") == strlen(id))
        snprintf(s->id, sizeof s->id, "%s", id);
    else
        err_set(err, ERR_PARSE, "store '%s' has no id of its own", s->path);
    store_done(stmt);
    return s->id[0] ? s->id : NULL;
}

static int remember_wal_pages(void *ctx, sqlite3 *db, const char *schema, int pages)
{
    (void)db;
    (void)schema;
    ((struct store *)ctx)->wal_pages = pages;
    return SQLITE_OK;
}

static int check_place(struct store *s, unsigned flags, struct err *err)
{
    const char *fs = NULL;
    struct stat st;
    if (stat(s->path, &st) == 0 && !S_ISREG(st.st_mode))
        return err_set(err, ERR_NOINPUT, "store '%s' is %s; name a file", s->path,
                       S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
    if (!fs_exists(s->path) && !(flags & STORE_CREATE))
        return err_set(
            err, ERR_NOINPUT,
            "there is no store '%s'; 'peftlab sweep run' or 'peftlab train' makes "
            "one, --store FILE or PEFTLAB_STORE names another",
            s->path);
    if (!(flags & STORE_READ_ONLY) && turn_is_network_fs(s->path, &fs))
        return err_set(
            err, ERR_CONFIG,
            "store '%s' lies on a network file system (%s), where SQLite cannot "
            "keep writers apart; put it on a local disk",
            s->path, fs);
    return 0;
}

/* Without its index file (FILE-shm), which a folder without write permission does not let
 * SQLite make, a file can be read only as one that nobody changes; its log must be empty
 * then. *uri gets the name to open (NULL: the path). */
static int frozen_name(const struct store *s, char **uri, struct err *err)
{
    char *dir = fs_dirname(s->path), *log = xasprintf("%s-wal", s->path),
         *index = xasprintf("%s-shm", s->path);
    struct buf name = BUF_INIT;
    int rc = 0;
    *uri = NULL;
    if (access(dir, W_OK) != 0 && !fs_exists(index)) {
        if (fs_size(log) > 0)
            rc =
                err_set(err, ERR_IO,
                        "store '%s' has a log that cannot be worked in, since its folder "
                        "may not be written; copy '%s' and '%s' to a folder of yours",
                        s->path, s->path, log);
        buf_str_add(&name, "file:");
        for (const char *c = s->path; *c; c++)
            if (strchr("?#%", *c))
                buf_printf(&name, "%%%02x", (unsigned char)*c);
            else
                buf_char(&name, *c);
        buf_str_add(&name, "?immutable=1");
        *uri = buf_detach(&name, NULL);
    }
    free(dir);
    free(log);
    free(index);
    return rc;
}

static bool may_be_written(const struct store *s)
{
    const char *fs = NULL;
    char *dir = fs_dirname(s->path);
    const bool yes = access(s->path, W_OK) == 0 && access(dir, W_OK) == 0 &&
                     !turn_is_network_fs(s->path, &fs);
    free(dir);
    return yes;
}

/* What a file from elsewhere holds shall not run: no triggers (we have none), and no
 * extension; its views are compared before they are read (schema_check.c). trusted_schema
 * cannot be off: SQLite 3.40 holds json_valid() of our own checks for unsafe then. */
static void distrust(sqlite3 *db)
{
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
}

/* A reader of a file that may be written opens it so as well (with query_only), since
 * only such a connection can tidy up the log of a killed writer. */
static int connect(struct store *s, unsigned flags, struct err *err)
{
    bool reader = flags & STORE_READ_ONLY, plain = reader && !may_be_written(s);
    int mode = plain ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI : SQLITE_OPEN_READWRITE;
    char *uri = NULL;
    int rc = plain ? frozen_name(s, &uri, err) : 0;
    if (flags & STORE_CREATE)
        mode |= SQLITE_OPEN_CREATE;
    if (rc < 0)
        return free(uri), rc;
    if (!uri) /* a path that begins with "file:" would be one too: ours is absolute */
        mode &= ~SQLITE_OPEN_URI;
    rc = sqlite3_open_v2(uri ? uri : s->path, &s->db, mode | SQLITE_OPEN_NOMUTEX, NULL);
    free(uri);
    if (rc != SQLITE_OK)
        return store_sql_error(s, rc, "open it", err);
    distrust(s->db);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    s->writable = !reader;
    rc = store_script(s, connection_setup, err);
    /* After: autocheckpoint uses it too */
    sqlite3_wal_hook(s->db, remember_wal_pages, s);
    if (rc == 0 && reader)
        rc = store_script(s, "PRAGMA query_only = ON", err);
    return rc;
}

/* The version, after making sure that the file is one of ours or empty. */
static int read_version(struct store *s, int64_t *version, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int64_t application = 0, objects = 0;
    int rc = store_statement(s, sql[HEADER], NULL, &stmt, err);
    if (rc == 0)
        rc = store_step(s, stmt, err);
    if (rc > 0) {
        *version = sqlite3_column_int64(stmt, 0);
        application = sqlite3_column_int64(stmt, 1);
        objects = sqlite3_column_int64(stmt, 2);
    }
    if (stmt)
        store_done(stmt);
    if (rc < 0)
        return rc;
    if (objects > 0 && application != STORE_APPLICATION_ID)
        return err_set(err, ERR_PARSE,
                       "'%s' is an SQLite file of another program, not a peftlab store",
                       s->path);
    if (*version > STORE_VERSION)
        return err_set(err, ERR_CONFIG,
                       "store '%s' has version %lld, this program knows up to %d; use a "
                       "newer peftlab (the file was left as it is)",
                       s->path, (long long)*version, STORE_VERSION);
    return 0;
}

/* The views are not altered but made anew; only names of ours can be there. */
static int drop_views(struct store *s, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    struct buf script = BUF_INIT;
    int rc = store_statement(s, sql[VIEWS], NULL, &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0)
        buf_printf(&script, "DROP VIEW \"%s\";",
                   (const char *)sqlite3_column_text(stmt, 0));
    store_done(stmt);
    if (rc == 0)
        rc = store_script(s, buf_str(&script), err);
    buf_release(&script);
    return rc;
}

static int upgrade_from(struct store *s, int64_t version, struct err *err)
{
    int rc = version == 0 ? store_script(s, schema_sql, err) : drop_views(s, err);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL); /* upgrade_3.sql */
    for (int64_t v = version; rc == 0 && v > 0 && v < STORE_VERSION; v++)
        rc = store_script(s, upgrades[v - 1], err);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return rc == 0 ? store_script(s, views_sql, err) : rc;
}

/* Holding the turn. Another process may have been faster, so the version is read again
 * inside the transaction. */
static int migrate(struct store *s, struct err *err)
{
    int64_t version = 0;
    int rc = store_script(s, "BEGIN EXCLUSIVE", err);
    if (rc < 0)
        return rc;
    rc = read_version(s, &version, err);
    if (rc == 0 && version < STORE_VERSION)
        rc = upgrade_from(s, version, err);
    if (rc >= 0)
        rc = store_script(s, "COMMIT", err);
    if (rc < 0)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return rc < 0 ? rc : 0;
}

static bool uses_wal(struct store *s)
{
    sqlite3_stmt *stmt = NULL;
    bool wal = false;
    if (store_statement(s, sql[JOURNAL], NULL, &stmt, NULL) == 0) {
        if (store_step(s, stmt, NULL) > 0)
            wal = str_eq((const char *)sqlite3_column_text(stmt, 0), "wal");
        store_done(stmt);
    }
    return wal;
}

static int make_ready(struct store *s, struct err *err)
{
    int64_t version = 0;
    int rc = read_version(s, &version, err);
    if (rc < 0 || (version == STORE_VERSION && uses_wal(s)))
        return rc;
    rc = turn_take(s, STORE_BUSY_MS, err);
    if (rc < 0)
        return rc;
    rc = store_script(s, "PRAGMA journal_mode = WAL", err);
    if (rc == 0 && !uses_wal(s))
        rc = err_set(err, ERR_IO,
                     "store '%s': this file system does not allow write-ahead logging",
                     s->path);
    if (rc == 0)
        rc = migrate(s, err);
    turn_give(s);
    return rc;
}

/* An older file is upgraded by a reader as well, by way of a writer, where it may be. */
static int check_readable(struct store *s, struct err *err)
{
    struct store *writer = NULL;
    int64_t version = 0;
    int rc = read_version(s, &version, err);
    if (rc < 0 || version == STORE_VERSION)
        return rc;
    if (version == 0)
        return err_set(err, ERR_PARSE, "'%s' is empty, not a peftlab store", s->path);
    if (sqlite3_db_readonly(s->db, "main") != 0)
        return err_set(err, ERR_PARSE,
                       "'%s' is a store of version %lld and may not be written; open a "
                       "copy of it, which is upgraded to version %d",
                       s->path, (long long)version, STORE_VERSION);
    rc = store_open(s->path, 0, &writer, err);
    store_close(writer);
    return rc;
}

int store_open(const char *path, unsigned flags, struct store **out, struct err *err)
{
    struct store *s = xcalloc(1, sizeof *s);
    s->path = fs_absolute(path);
    s->turn_fd = -1;
    s->metric_keys = strmap_new();
    int rc = check_place(s, flags, err);
    if (rc == 0)
        rc = connect(s, flags, err);
    if (rc == 0 && s->writable)
        rc = turn_open(s, err);
    if (rc == 0)
        rc = s->writable ? make_ready(s, err) : check_readable(s, err);
    if (rc == 0)
        rc = store_check_schema(s, (const char *const[]){schema_sql, views_sql, NULL},
                                err);
    if (rc < 0) {
        s->leave_alone = true;
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

/* The last one to leave writes the log back, so that the store is one file again; only
 * with the turn, and without waiting for it. */
static void tidy_up(struct store *s)
{
    if (s->leave_alone || sqlite3_db_readonly(s->db, "main") != 0)
        return;
    if ((s->turn_fd < 0 && turn_open(s, NULL) < 0) || turn_take(s, 0, NULL) < 0)
        return;
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    while (s->depth > 0)
        store_rollback(s);
    for (size_t i = 0; i < s->cache_count; i++)
        sqlite3_finalize(s->cache[i].stmt);
    if (s->db)
        tidy_up(s);
    sqlite3_close(s->db);
    if (s->turn_fd >= 0)
        close(s->turn_fd); /* gives the turn */
    strmap_free(s->metric_keys);
    free(s->cache);
    free(s->path);
    free(s);
}
