/* tests/unit/tracker/foreign.c - stores from elsewhere: what their schema holds does not
 * run; and stores that may only be read. */
#include "tests/unit/tracker/fixture.h"
#include "tracker/store/upkeep.h"
#include <sqlite3.h>
#include <sys/stat.h>

/* Runs SQL past the store, as whoever made the file would. */
static void tamper(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *said = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, NULL);
    if (sqlite3_exec(db, sql, NULL, NULL, &said) != SQLITE_OK)
        fail_msg("%s: %s", sql, said);
    sqlite3_close(db);
}

static char *copy_of(struct fixture *f)
{
    static int n;
    char *path = xasprintf("%s/copy%d.db", f->dir, n++);
    OK(store_backup(f->store, path, err));
    return path;
}

static void foreign_schemas_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *sql, *words;
    } cases[] = {
        {"CREATE TRIGGER evil AFTER INSERT ON tag BEGIN DELETE FROM run_summary; END",
         "it has the trigger 'evil'"},
        {"CREATE TRIGGER t INSTEAD OF INSERT ON trial_view BEGIN DELETE FROM trial; END",
         "trigger 't'"},
        {"DROP VIEW trial_view; CREATE VIEW trial_view AS WITH RECURSIVE n(i) AS (SELECT "
         "1 "
         "UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS id FROM n",
         "another 'trial_view'"},
        {"DROP VIEW event_view", "it lacks 'event_view'"},
        {"DROP TABLE tag; CREATE VIEW tag AS SELECT 1 AS trial, 'a' AS key, 'b' AS value",
         "another 'tag'"},
        {"ALTER TABLE tag ADD COLUMN more TEXT AS (hex(zeroblob(1000000)))",
         "another 'tag'"},
        {"CREATE INDEX slow ON tag (hex(value))", "it has the index 'slow'"},
        {"DROP TABLE tag", "it lacks 'tag"},
        {"DROP INDEX tag_by_key; CREATE INDEX tag_by_key ON tag (value)",
         "another 'tag_by_key'"},
        {"UPDATE sqlite_schema SET sql = 'CREATE VIEW event_view AS SELECT 1' WHERE name "
         "= "
         "'event_view'",
         "another 'event_view'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *path = copy_of(f);
        struct store *s = NULL;
        tamper(path, cases[i].sql);
        FAILS(store_open(path, 0, &s, err), ERR_PARSE, cases[i].words);
        FAILS(store_open(path, STORE_READ_ONLY, &s, err), ERR_PARSE, cases[i].words);
        assert_null(s);
        free(path);
    }
}

/* Tables and views of the user's own do no harm, and may be asked for. */
static void own_additions_are_left_alone(void **state)
{
    struct fixture *f = *state;
    char *path = copy_of(f);
    struct store *s = NULL;
    tamper(path,
           "CREATE TABLE mine (a); CREATE INDEX mine_by_a ON mine (a); CREATE VIEW "
           "forever AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM "
           "n) SELECT i FROM n; ANALYZE");
    OK(store_open(path, STORE_READ_ONLY, &s, err));
    struct err e = ERR_INIT;
    json_t *r = store_query_within(s, "SELECT count(*) FROM forever", NULL, 1, 0.2, &e);
    assert_null(r);
    assert_non_null(strstr(e.msg, "time limit"));
    store_close(s);
    free(path);
}

/* A trigger of an old file does not run while it is upgraded. */
static void old_triggers_do_not_run(void **state)
{
    struct fixture *f = *state;
    struct buf text = BUF_INIT;
    char *path = fs_join(f->dir, "v2.db");
    struct store *s = NULL;
    OK(fs_read("tests/golden/store/v2.sql", 1 << 24, &text, err));
    tamper(path, buf_str(&text));
    tamper(path,
           "CREATE TABLE witness (a); CREATE TRIGGER evil AFTER UPDATE ON run BEGIN "
           "INSERT INTO witness VALUES (1); END");
    FAILS(store_open(path, 0, &s, err), ERR_PARSE, "trigger 'evil'");
    tamper(path, "DROP TRIGGER evil");
    OK(store_open(path, 0, &s, err));
    json_t *r = store_query(s, "SELECT count(*) FROM witness", NULL, 1, NULL);
    json_t *rows = json_object_get(r, "rows");
    assert_int_equal(json_integer_value(json_array_get(json_array_get(rows, 0), 0)), 0);
    json_decref(r);
    store_close(s);
    buf_release(&text);
    free(path);
}

static void not_a_file(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    char *fifo = fs_join(f->dir, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    FAILS(store_open(fifo, STORE_READ_ONLY, &s, err), ERR_NOINPUT, "no regular file");
    FAILS(store_open(fifo, STORE_CREATE, &s, err), ERR_NOINPUT, "no regular file");
    FAILS(store_open(f->dir, STORE_READ_ONLY, &s, err), ERR_NOINPUT, "is a folder");
    FAILS(store_open("/dev/zero", STORE_READ_ONLY, &s, err), ERR_NOINPUT, "no regular");
    free(fifo);
}

/* As another user, since nothing is forbidden to root. */
static int read_as_nobody(const char *path)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *s = NULL;
        struct err e = ERR_INIT;
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(99);
        if (store_open(path, STORE_READ_ONLY, &s, &e) < 0) {
            fprintf(stderr, "%s\n", e.msg);
            _exit(e.code == ERR_IO ? 2 : 3);
        }
        json_t *r = store_query(s, "SELECT count(*) FROM trial_view", NULL, 1, &e);
        const json_t *n =
            json_array_get(json_array_get(json_object_get(r, "rows"), 0), 0);
        const int seen = (int)json_integer_value(n);
        json_decref(r);
        store_close(s);
        _exit(seen == 3 ? 0 : 4);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void read_only_places(void **state)
{
    struct fixture *f = *state;
    add_trials(f->store, new_sweep(f->store, "a"), 3);
    char *dir = fs_join(f->dir, "a?b#c%20"), *path = fs_join(dir, "s.db");
    char *log = xasprintf("%s-wal", path);
    OK(fs_mkdirs(dir, err));
    OK(store_backup(f->store, path, err));
    assert_int_equal(chmod(f->dir, 0755), 0);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(chmod(dir, 0555), 0);
    assert_int_equal(read_as_nobody(path), 0);
    /* a log that cannot be worked in is not passed over */
    assert_int_equal(chmod(dir, 0755), 0);
    OK(fs_write_atomic(log, "xxxx", 4, err));
    assert_int_equal(chmod(dir, 0555), 0);
    assert_int_equal(read_as_nobody(path), 2);
    assert_int_equal(chmod(dir, 0755), 0);
    free(dir);
    free(path);
    free(log);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        T(foreign_schemas_are_refused),
        T(own_additions_are_left_alone),
        T(old_triggers_do_not_run),
        T(not_a_file),
        T(read_only_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
