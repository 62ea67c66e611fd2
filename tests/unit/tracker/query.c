/* tests/unit/tracker/query.c - what store_query lets through and what it refuses. */
#include "tests/unit/tracker/fixture.h"

static json_t *query(struct store *s, const char *sql, size_t max_rows, struct err *err)
{
    return store_query(s, sql, NULL, max_rows, err);
}

static void only_reading_passes(void **state)
{
    struct fixture *f = *state;
    add_trials(f->store, new_sweep(f->store, "a"), 3);
    char *other = fs_join(f->dir, "other.db");
    char *attach = xasprintf("ATTACH '%s' AS o", other);
    char *into = xasprintf("VACUUM INTO '%s'", other);
    const char *refused[] = {
        "INSERT INTO experiment (name, created_ms) VALUES ('x', 0)",
        "WITH a AS (SELECT 1) INSERT INTO experiment (name, created_ms) SELECT 'x', 0",
        "UPDATE trial SET state = 'complete' RETURNING id",
        "DELETE FROM trial",
        "UPDATE sqlite_master SET sql = ''",
        "UPDATE sqlite_schema SET sql = ''",
        "REPLACE INTO experiment (id, name, created_ms) VALUES (1, 'x', 0)",
        "DROP TABLE trial",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t (a)",
        "CREATE VIRTUAL TABLE t USING fts5(a)",
        "ALTER TABLE trial RENAME TO t",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA user_version = 9",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA foreign_keys = OFF",
        "SELECT load_extension('x.so')",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT a",
        "VACUUM",
        "REINDEX",
        "ANALYZE",
        attach,
        into,
        "DETACH main",
        "SELECT 1; DELETE FROM trial",
        "SELECT 1; SELECT 2",
        "",
        "  -- nothing",
        ";",
        "SELEC 1",
        "SELECT * FROM no_such_table",
        "SELECT ?1",
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct err e = ERR_INIT;
        json_t *r = query(f->store, refused[i], 10, &e);
        if (r || e.code != ERR_USAGE)
            fail_msg("passed or wrong code: %s (%s)", refused[i], e.msg);
    }
    assert_false(fs_exists(other));
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM trial"), 3);
    char *log = xasprintf("%s-wal", f->path);
    assert_true(fs_exists(log)); /* still in WAL mode */
    free(log);
    add_trials(f->store, new_sweep(f->store, "b"), 3); /* writing works again after */
    static const char *const allowed[] = {
        "SELECT 1; -- and a remark\n ;",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) "
        "SELECT i FROM n",
        "VALUES (1), (2)",
        "EXPLAIN QUERY PLAN SELECT * FROM trial_view",
        "PRAGMA table_info(trial)",
        "SELECT name FROM pragma_table_info('trial')",
        "SELECT key, value FROM json_each('[1, 2]')",
        "SELECT name, sql FROM sqlite_schema",
        "SELECT json_extract(config, '$.rank') FROM trial_view",
    };
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        json_decref(query_rows(f->store, allowed[i]));
    free(other), free(attach), free(into);
}

static void rows_are_capped(void **state)
{
    struct fixture *f = *state;
    static const char sql[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                              "FROM n) SELECT i FROM n LIMIT 10";
    static const struct {
        size_t max, rows;
        bool truncated;
    } cases[] = {
        {3, 3, true}, {9, 9, true}, {10, 10, false}, {100, 10, false}, {0, 0, true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *r = query(f->store, sql, cases[i].max, NULL);
        assert_int_equal(json_array_size(json_object_get(r, "rows")), cases[i].rows);
        assert_int_equal(json_is_true(json_object_get(r, "truncated")),
                         cases[i].truncated);
        json_decref(r);
    }
}

static void values_keep_their_types(void **state)
{
    struct fixture *f = *state;
    json_t *bind = json_pack("[i, f, s, n, b]", 7, 0.5, "t'x", 1);
    struct err e = ERR_INIT;
    json_t *r = store_query(f->store,
                            "SELECT ?1, ?2, ?3 AS three, ?4, ?5, x'00ff', 9e999, 3.0, "
                            "cast(x'ff41' AS TEXT), 9223372036854775807",
                            bind, 10, &e);
    assert_non_null(r);
    json_t *wanted = json_pack("[i, f, s, n, i, s, s, f, s, I]", 7, 0.5, "t'x", 1, "00ff",
                               "Infinity", 3.0,
                               "\xef\xbf\xbd"
                               "A",
                               (json_int_t)INT64_MAX);
    assert_true(json_equal(json_array_get(json_object_get(r, "rows"), 0), wanted));
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(r, "columns"), 2)), "three");
    json_decref(r);
    json_decref(wanted);
    assert_null(store_query(f->store, "SELECT ?1", bind, 10, &e));
    assert_int_equal(e.code, ERR_USAGE);
    json_decref(bind);
}

static void empty_store_has_its_columns(void **state)
{
    struct fixture *f = *state;
    static const char *const views[] = {"trial_view", "summary_view", "series_view",
                                        "param_view", "run_view",     "sweep_view"};
    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        char *sql = xasprintf("SELECT * FROM %s", views[i]);
        json_t *r = query(f->store, sql, 10, NULL);
        assert_true(json_array_size(json_object_get(r, "columns")) >= 3);
        assert_int_equal(json_array_size(json_object_get(r, "rows")), 0);
        json_decref(r);
        free(sql);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(only_reading_passes),
        T(rows_are_capped),
        T(values_keep_their_types),
        T(empty_store_has_its_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
