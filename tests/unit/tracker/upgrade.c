/* tests/unit/tracker/upgrade.c - stores of earlier versions, from their SQL texts in
 * tests/golden/store (PEFTLAB_GOLDEN names another folder with more of them). */
#include "lib/buf.h"
#include "lib/hash.h"
#include "tests/unit/tracker/fixture.h"
#include "tracker/store/store_priv.h"
#include <dirent.h>
#include <sqlite3.h>

static void load(const char *path, const char *sql_file)
{
    struct buf text = BUF_INIT;
    sqlite3 *db = NULL;
    OK(fs_read(sql_file, 1 << 24, &text, err));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, buf_str(&text), NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql_file, sqlite3_errmsg(db));
    sqlite3_close(db);
    buf_release(&text);
}

static const struct {
    const char *table, *columns;
} kept[] = {
    {"trial", "id, sweep, number, key, seed, config_json, params_json, state, attempts"},
    {"run", "id, trial, attempt, state, exit_code, run_dir, started_ms, owner_host"},
    {"metric", "run, key, step, value, kind"},
    {"run_summary", "run, key, value, kind"},
    {"event", "id, run, kind, text"},
    {"artifact", "run, name, path, sha256"},
};

/* A table's rows with the columns that the old store had, read past the store. */
static char *rows_of(const char *path, size_t i)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    struct buf out = BUF_INIT;
    char *sql = xasprintf("SELECT json_array(%s) FROM %s ORDER BY 1", kept[i].columns,
                          kept[i].table);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW)
        buf_printf(&out, "%s\n", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    free(sql);
    assert_true(out.len > 0);
    return buf_detach(&out, NULL);
}

/* Tables, columns, indices and views, without the text that made them: ALTER TABLE and
 * CREATE TABLE word the same thing differently. */
static char *shape(struct store *s)
{
    struct buf out = BUF_INIT;
    static const char *const queries[] = {
        "SELECT m.name, c.cid, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk FROM "
        "sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1, "
        "2",
        "SELECT m.name, f.\"table\", f.\"from\", f.\"to\" FROM sqlite_schema m, "
        "pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY 1, 3, 2",
        "SELECT name, sql FROM sqlite_schema WHERE type IN ('view', 'index') ORDER BY 1",
    };
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        json_t *rows = query_rows(s, queries[i]);
        json_write(&out, rows, 1);
        json_decref(rows);
    }
    return buf_detach(&out, NULL);
}

static void check_upgrade(struct fixture *f, const char *file)
{
    char *path = fs_join(f->dir, "old.db"), *fresh = shape(f->store);
    char *before[ARRAY_LEN(kept)];
    struct store *s = NULL;
    load(path, file);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        before[i] = rows_of(path, i);
    OK(store_open(path, 0, &s, err));
    char *now = shape(s);
    assert_string_equal(now, fresh);
    assert_query_text(s, "PRAGMA integrity_check", "ok");
    json_t *broken = query_rows(s, "PRAGMA foreign_key_check");
    assert_int_equal(json_array_size(broken), 0);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        char *after = rows_of(path, i);
        assert_string_equal(after, before[i]);
        free(after);
        free(before[i]);
    }
    /* it works on: what waited is claimed, run and ended */
    struct run_claim c = claim_one(s, 1, 1000);
    assert_int_equal(c.trial, 4);
    OK(store_run_finish(s, c.run, TRIAL_complete, 0, NULL, err));
    /* version 4: what is left may be spared, and comes back */
    OK(store_retry(s, 1, NULL, err));
    const int spared = store_spare(s, 1, "decided", NULL);
    assert_true(spared >= 0);
    assert_int_equal(query_int(s,
                               "SELECT count(*) FROM trial_view WHERE state = 'spared' "
                               "AND reason = 'decided'"),
                     spared);
    assert_int_equal(store_unspare(s, 1, NULL), spared);
    store_close(s);
    json_decref(broken);
    fs_remove_tree(path, NULL);
    free(path), free(fresh), free(now);
}

static const char *golden_folder(void)
{
    const char *given = getenv("PEFTLAB_GOLDEN");
    return given ? given : "tests/golden/store";
}

static void old_stores_are_upgraded(void **state)
{
    struct fixture *f = *state;
    int count = 0;
    DIR *dir = opendir(golden_folder());
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strstr(e->d_name, ".sql"))
            continue;
        char *file = fs_join(golden_folder(), e->d_name);
        check_upgrade(f, file);
        free(file);
        count++;
    }
    closedir(dir);
    assert_true(count > 0);
}

/* Reading is enough; what may not be written says what to do. */
static void readers_upgrade_too(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    char *path = fs_join(f->dir, "old.db"), *file = fs_join(golden_folder(), "v1.sql");
    load(path, file);
    OK(store_open(path, STORE_READ_ONLY, &s, err));
    assert_int_equal(query_int(s, "SELECT count(*) FROM tag_view"), 0);
    assert_int_equal(query_int(s, "SELECT user_version FROM pragma_user_version"),
                     STORE_VERSION);
    int64_t id = 0;
    FAILS(store_experiment(s, "new", &id, err), ERR_BUG, "opened for reading");
    assert_query_text(s,
                      "SELECT group_concat(kind) FROM (SELECT kind FROM series_view "
                      "WHERE trial = 1 AND step > 999990 ORDER BY step)",
                      "nan,inf,-inf,-0");
    /* the trainer's runs get the facts of their method */
    assert_query_text(s, "SELECT group_concat(method_facts ->> 'shown') FROM run_view",
                      "head,head,head");
    store_close(s);
    free(path), free(file);
}

/* Thirty-two processes upgrade one file at the same time. */
static void upgrade_is_a_race_without_losers(void **state)
{
    enum { PROCESSES = 32 };
    struct fixture *f = *state;
    char *path = fs_join(f->dir, "old.db"), *file = fs_join(golden_folder(), "v1.sql");
    load(path, file);
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            struct store *s = NULL;
            int rc = store_open(path, i % 2 ? STORE_READ_ONLY : 0, &s, NULL);
            store_close(s);
            _exit(rc < 0);
        }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 1;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    struct store *s = NULL;
    OK(store_open(path, STORE_READ_ONLY, &s, err));
    assert_query_text(s, "PRAGMA integrity_check", "ok");
    assert_int_equal(query_int(s, "SELECT count(*) FROM trial_view"), 4);
    store_close(s);
    free(path), free(file);
}

/* What is broken halfway leaves the old version as it was. */
static void failed_upgrade_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    sqlite3 *db = NULL;
    char *path = fs_join(f->dir, "old.db"), *file = fs_join(golden_folder(), "v1.sql");
    load(path, file);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE tag (a)", NULL, NULL, NULL), 0);
    struct err e = ERR_INIT;
    assert_true(store_open(path, 0, &s, &e) < 0);
    assert_non_null(strstr(e.msg, "tag"));
    assert_int_equal(sqlite3_exec(db, "SELECT note FROM trial", NULL, NULL, NULL),
                     SQLITE_ERROR);
    assert_int_equal(sqlite3_exec(db, "SELECT * FROM trial_view", NULL, NULL, NULL), 0);
    assert_int_equal(sqlite3_exec(db, "DROP TABLE tag", NULL, NULL, NULL), 0);
    sqlite3_close(db);
    OK(store_open(path, 0, &s, err));
    store_close(s);
    free(path), free(file);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(old_stores_are_upgraded),
        T(readers_upgrade_too),
        T(upgrade_is_a_race_without_losers),
        T(failed_upgrade_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
