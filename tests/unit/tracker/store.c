/* tests/unit/tracker/store.c - schema, catalog, trials, numbers and hostile names. */
#include "tests/unit/tracker/fixture.h"
#include <float.h>
#include <sqlite3.h>

/* Runs SQL past the store, as a careless tool would. */
static int raw_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    return rc;
}

static void schema_refuses_what_makes_no_sense(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    claim_one(f->store, sweep, 1000);
    static const char *const bad[] = {
        "INSERT INTO experiment (name, created_ms) VALUES ('tests', 0)",
        "INSERT INTO experiment (name, created_ms) VALUES ('', 0)",
        "INSERT INTO experiment (name, created_ms) VALUES ('x', 'monday')",
        "INSERT INTO sweep (experiment, name, file_json, base_dir, created_ms) "
        "VALUES (99, 'x', '{}', '.', 0)",
        "INSERT INTO sweep (experiment, name, file_json, base_dir, created_ms) "
        "VALUES (1, 'x', '{', '.', 0)",
        "UPDATE trial SET state = 'sleeping'",
        "UPDATE trial SET number = -1",
        "UPDATE trial SET seed = 1.5",
        "UPDATE trial SET config_json = 'no'",
        "UPDATE run SET state = 'waiting'",
        "UPDATE run SET trial = 99",
        "INSERT INTO metric_key (id, name) VALUES (50, 'm'); "
        "INSERT INTO metric VALUES (1, 50, -1, 0.5, 0, NULL)",
        "INSERT INTO metric VALUES (1, 50, 1, NULL, 0, NULL)",
        "INSERT INTO metric VALUES (1, 50, 1, 0.5, 1, NULL)",
        "INSERT INTO metric VALUES (1, 50, 1, NULL, 5, NULL)",
        "INSERT INTO metric VALUES (1, 51, 1, 0.5, 0, NULL)",
        "INSERT INTO metric VALUES (9, 50, 1, 0.5, 0, NULL)",
        "DELETE FROM trial",
        "DELETE FROM run",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if ((raw_sql(f->path, bad[i]) & 0xff) != SQLITE_CONSTRAINT)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(
        raw_sql(f->path, "INSERT INTO metric VALUES (1, 50, 1, 0.5, 0, NULL)"),
        SQLITE_OK);
}

static void every_column_has_a_comment(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    OK(fs_read("schema.sql", 1 << 20, &text, err));
    bool inside = false;
    int columns = 0;
    char *save = NULL;
    for (char *line = strtok_r(text.data, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        if (!strncmp(line, "CREATE TABLE", 12))
            inside = true;
        else if (line[0] == ')')
            inside = false;
        else if (inside && !strncmp(line, "    ", 4) && line[4] >= 'a' &&
                 line[4] <= 'z') {
            columns++;
            bool continued = line[strlen(line) - 1] == ',' && strstr(line, "IN (");
            if (!strstr(line, "-- ") && !continued)
                fail_msg("no comment: %s", line);
        }
    }
    assert_true(columns > 50);
    buf_release(&text);
}

static void opens_once_and_again(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    char *missing = fs_join(f->dir, "none.db"), *text = fs_join(f->dir, "text.db"),
         *other = fs_join(f->dir, "other.db"), *empty = fs_join(f->dir, "empty.db");
    FAILS(store_open(missing, 0, &s, err), ERR_NOINPUT, "there is no store");
    FAILS(store_open(missing, STORE_READ_ONLY, &s, err), ERR_NOINPUT, "there is no");
    assert_false(fs_exists(missing));
    FAILS(store_open(f->dir, STORE_CREATE, &s, err), ERR_NOINPUT, "is a folder");
    OK(fs_write_atomic(text, "these are not the bytes of a database, by far", 45, err));
    FAILS(store_open(text, STORE_CREATE, &s, err), ERR_PARSE, "not a peftlab store");
    assert_int_equal(raw_sql(other, "CREATE TABLE notes (a)"), SQLITE_OK);
    FAILS(store_open(other, STORE_CREATE, &s, err), ERR_PARSE, "another program");
    OK(fs_write_atomic(empty, "", 0, err));
    FAILS(store_open(empty, STORE_READ_ONLY, &s, err), ERR_PARSE, "is empty");
    OK(store_open(f->path, 0, &s, err));
    new_sweep(s, "seen");
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM sweep"), 1);
    store_close(s);
    OK(store_open(f->path, STORE_READ_ONLY, &s, err));
    int64_t id = 0;
    FAILS(store_experiment(s, "new", &id, err), ERR_BUG, "opened for reading");
    OK(store_find_sweep(s, "seen", &id, err));
    store_close(s);
    free(missing), free(text), free(other), free(empty);
}

static void last_one_leaves_one_file(void **state)
{
    struct fixture *f = *state;
    new_sweep(f->store, "a");
    store_close(f->store);
    f->store = NULL;
    char *log = xasprintf("%s-wal", f->path);
    assert_false(fs_exists(log));
    OK(store_open(f->path, STORE_READ_ONLY, &f->store, err));
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM sweep"), 1);
    store_close(f->store);
    f->store = NULL;
    assert_false(fs_exists(log));
    free(log);
}

static void newer_store_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct buf before = BUF_INIT, after = BUF_INIT;
    struct store *s = NULL;
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(raw_sql(f->path, "PRAGMA user_version = 99"), SQLITE_OK);
    OK(fs_read(f->path, 1 << 24, &before, err));
    FAILS(store_open(f->path, STORE_CREATE, &s, err), ERR_CONFIG, "version 99");
    FAILS(store_open(f->path, STORE_READ_ONLY, &s, err), ERR_CONFIG, "newer peftlab");
    OK(fs_read(f->path, 1 << 24, &after, err));
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    buf_release(&before);
    buf_release(&after);
}

static void trials_are_unique(void **state)
{
    struct fixture *f = *state;
    int64_t a = new_sweep(f->store, "a"), b = new_sweep(f->store, "b");
    assert_int_equal(a, new_sweep(f->store, "a"));
    assert_int_not_equal(a, b);
    assert_int_equal(add_trials(f->store, a, 9), 9);
    OK(store_run_finish(f->store, claim_one(f->store, a, 1000).run, TRIAL_complete, 0,
                        NULL, err));
    assert_int_equal(add_trials(f->store, a, 12), 3);
    assert_int_equal(add_trials(f->store, b, 9), 9);
    assert_int_equal(add_trials(f->store, 0, 2), 2);
    assert_int_equal(add_trials(f->store, 0, 2), 0);
    assert_query_text(f->store, "SELECT state FROM trial_view WHERE id = 1", "complete");
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM trial_view"), 23);
}

static void trial_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct trial_row t = {0};
    int64_t sweep = new_sweep(f->store, "a");
    json_t *config = json_pack("{s:f, s:s, s:[s,s]}", "learning_rate", 1e-4, "method",
                               "lora", "target_modules", "query", "value");
    json_t *params = json_pack("{s:i, s:i}", "z", 1, "a", 2);
    struct trial_row row = {.sweep = sweep,
                            .experiment = 1,
                            .number = 7,
                            .key = "abc",
                            .seed = INT64_MAX,
                            .base_dir = "/some where",
                            .config = config,
                            .params = params,
                            .predicted_bytes = 1ll << 40,
                            .predicted_s = 0.1};
    OK(store_add_trials(f->store, &row, 1, NULL, err));
    assert_int_equal(row.state, TRIAL_waiting);
    OK(store_get_trial(f->store, row.id, &t, err));
    assert_int_equal(t.number, 7);
    assert_true(t.seed == INT64_MAX);
    assert_string_equal(t.base_dir, "/some where");
    assert_true(json_equal(t.config, config));
    assert_string_equal(json_object_iter_key(json_object_iter(t.params)), "z");
    assert_true(t.predicted_bytes == 1ll << 40 && t.predicted_s == 0.1);
    trial_row_release(&t);
    row.seed = (uint64_t)INT64_MAX + 1;
    FAILS(store_add_trials(f->store, &row, 1, NULL, err), ERR_CONFIG, "below 2^63");
    FAILS(store_get_trial(f->store, 999, &t, err), ERR_NOINPUT, "no trial 999");
    json_decref(config);
    json_decref(params);
}

static void find_sweep_names_the_nearest(void **state)
{
    struct fixture *f = *state;
    int64_t a = new_sweep(f->store, "reviews"), id = 0;
    OK(store_find_sweep(f->store, "reviews", &id, err));
    assert_int_equal(id, a);
    OK(store_find_sweep(f->store, "1", &id, err));
    assert_int_equal(id, a);
    FAILS(store_find_sweep(f->store, "reveiws", &id, err), ERR_NOINPUT,
          "did you mean 'reviews'?");
    FAILS(store_find_sweep(f->store, "77", &id, err), ERR_NOINPUT, "ls --sweeps");
    FAILS(store_find_sweep(f->store, "\x1b[2J", &id, err), ERR_NOINPUT, "no sweep");
}

static void odd_numbers_survive(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    struct run_claim c = claim_one(f->store, sweep, 1000);
    const double odd[] = {NAN,     INFINITY,     -INFINITY, -0.0, 0.0, 1e308,
                          DBL_MAX, DBL_TRUE_MIN, -5e-324,   0.1,  3.0, 1e22};
    static const char *const kinds[] = {"nan", "inf", "-inf", "-0"};
    struct metric_point p[ARRAY_LEN(odd) * 2];
    char names[ARRAY_LEN(odd)][16];
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        snprintf(names[i], sizeof names[i], "odd/%02zu", i);
        p[2 * i] = (struct metric_point){names[i], -1, odd[i]};
        p[2 * i + 1] = (struct metric_point){"series", (int64_t)i, odd[i]};
    }
    OK(store_log_metrics(f->store, c.run, p, ARRAY_LEN(p), err));
    OK(store_run_finish(f->store, c.run, TRIAL_complete, 0, NULL, err));
    static const char *const queries[] = {
        "SELECT value, kind FROM summary_view ORDER BY key",
        "SELECT value, kind FROM series_view ORDER BY step",
    };
    for (size_t q = 0; q < 2; q++) {
        json_t *rows = query_rows(f->store, queries[q]);
        assert_int_equal(json_array_size(rows), ARRAY_LEN(odd));
        for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
            json_t *row = json_array_get(rows, i), *v = json_array_get(row, 0);
            assert_string_equal(json_string_value(json_array_get(row, 1)),
                                i < 4 ? kinds[i] : "finite");
            if (isnan(odd[i]))
                assert_true(json_is_null(v));
            else if (isinf(odd[i]))
                assert_string_equal(json_string_value(v),
                                    odd[i] > 0 ? "Infinity" : "-Infinity");
            else {
                double got = json_real_value(v);
                assert_memory_equal(&got, &odd[i], sizeof got); /* bits: -0 too */
            }
        }
        json_decref(rows);
    }
    assert_int_equal(query_int(f->store, "SELECT count(value) FROM series_view"),
                     ARRAY_LEN(odd) - 1);
}

static void last_value_of_a_step_wins(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    struct run_claim c = claim_one(f->store, sweep, 1000);
    const struct metric_point p[] = {
        {"train/loss", 1, 0.5}, {"train/loss", 1, NAN}, {"train/loss", 1, 0.25},
        {"x", -1, NAN},         {"x", -1, 2},
    };
    OK(store_log_metrics(f->store, c.run, p, ARRAY_LEN(p), err));
    OK(store_log_metrics(f->store, c.run, p, 0, err));
    const struct metric_point bad[] = {{"good", 1, 1}, {"x", -2, 1}};
    FAILS(store_log_metrics(f->store, c.run, bad, 2, err), ERR_BUG, "step -2");
    /* the key of the failed batch must not be remembered as if it were there */
    OK(store_log_metrics(f->store, c.run, bad, 1, err));
    OK(store_run_finish(f->store, c.run, TRIAL_complete, 0, NULL, err));
    json_t *rows = query_rows(f->store, "SELECT value FROM series_view WHERE key = "
                                        "'train/loss' UNION ALL SELECT value FROM "
                                        "summary_view");
    json_t *wanted = json_pack("[[f], [f]]", 0.25, 2.0);
    assert_true(json_equal(rows, wanted));
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM series_view"), 2);
    json_decref(rows);
    json_decref(wanted);
}

static void hostile_names_are_only_names(void **state)
{
    struct fixture *f = *state;
    char *long_name = xmalloc(10241);
    memset(long_name, 'x', 10240);
    long_name[10240] = '\0';
    const char *names[] = {"'; DROP TABLE trial; --",
                           "\"quoted\"",
                           "two\nlines\r\n",
                           "../../etc/passwd",
                           "\xe2\x80\xae rtl \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
                           "<script>alert(1)</script>",
                           "`reboot` $(reboot) %00 %s%n",
                           "\x1b[31mred\x07",
                           long_name};
    int64_t experiment = 0, sweep = 0, found = 0, first = new_sweep(f->store, "plain");
    add_trials(f->store, first, 1);
    struct run_claim c = claim_one(f->store, first, 1000);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_t *file = json_pack("{s:s}", names[i], names[i]);
        const struct metric_point p = {names[i], -1, (double)i};
        OK(store_experiment(f->store, names[i], &experiment, err));
        OK(store_sweep(f->store, experiment, names[i], file, names[i], &sweep, err));
        OK(store_find_sweep(f->store, names[i], &found, err));
        assert_int_equal(found, sweep);
        OK(store_log_metrics(f->store, c.run, &p, 1, err));
        OK(store_log_event(f->store, c.run, names[i], names[i], err));
        OK(store_log_artifact(f->store, c.run, names[i], names[i], 1, NULL, err));
        json_decref(file);
        json_t *bind = json_pack("[s]", names[i]);
        json_t *r = store_query(f->store, "SELECT name FROM sweep WHERE name = ?1", bind,
                                2, NULL);
        assert_string_equal(json_string_value(json_array_get(
                                json_array_get(json_object_get(r, "rows"), 0), 0)),
                            names[i]);
        json_decref(r);
        json_decref(bind);
    }
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM sweep_view"),
                     1 + ARRAY_LEN(names));
    FAILS(store_experiment(f->store, "", &experiment, err), ERR_CONFIG, "empty");
    FAILS(store_experiment(f->store, "\xff\xfe", &experiment, err), ERR_CONFIG, "UTF-8");
    OK(store_run_finish(f->store, c.run, TRIAL_failed, 1, "bytes \xff\xfe of a log",
                        err));
    assert_query_text(f->store, "SELECT reason FROM trial_view WHERE id = 1",
                      "bytes \xef\xbf\xbd\xef\xbf\xbd of a log");
    free(long_name);
}

static void facts_of_a_run_are_kept(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    struct run_claim c = {0};
    struct err e = ERR_INIT;
    assert_int_equal(store_claim(f->store, 0, 1, 1000, "/runs", &c, &e), 1);
    char *dir = store_run_dir(f->store, c.run, &e);
    assert_string_equal(dir, "/runs/trial-1/attempt-1");
    free(dir);
    json_t *env = json_pack("{s:s, s:i}", "cpu", "some", "cores", 2);
    OK(store_set_environment(f->store, c.run, env, err));
    json_decref(env);
    OK(store_log_artifact(f->store, c.run, "adapter", "/runs/adapter", -1, NULL, err));
    OK(store_log_artifact(f->store, c.run, "adapter", "/runs/adapter", 7, "00", err));
    assert_int_equal(query_int(f->store, "SELECT bytes FROM artifact"), 7);
    assert_int_equal(query_int(f->store, "SELECT environment ->> 'cores' FROM run_view"),
                     2);
    assert_int_equal(
        query_int(f->store, "SELECT value FROM param_view WHERE key = 'rank'"), 4);
    FAILS(store_log_event(f->store, 99, "note", "x", err), ERR_NOINPUT, "no run 99");
}

static void local_sink_batches_and_closes(void **state)
{
    struct fixture *f = *state;
    int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 2);
    struct run_claim c = claim_one(f->store, sweep, 60000);
    struct sink *s = sink_local(f->store, c.run, 60000);
    for (int i = 0; i < 1000; i++)
        s->ops->metric(s, "train/loss", i, 1.0 / (i + 1));
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM metric"), 768);
    assert_true(s->ops->alive(s));
    char *path = fs_join(f->dir, "file");
    OK(fs_write_atomic(path, "abc", 3, err));
    s->ops->artifact(s, "file", path);
    s->ops->artifact(s, "folder", f->dir);
    s->ops->event(s, "note", "said");
    free(path);
    OK(sink_close(s, err));
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM metric"), 1000);
    assert_query_text(f->store, "SELECT sha256 FROM artifact WHERE name = 'file'",
                      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    s = sink_null();
    s->ops->metric(s, "x", 1, 1);
    assert_true(s->ops->alive(s));
    OK(sink_close(s, err));
    /* a run that has ended: said once, reported by close, nothing crashes */
    OK(store_run_finish(f->store, c.run, TRIAL_complete, 0, NULL, err));
    s = sink_local(f->store, c.run, 0);
    s->ops->metric(s, "late", 1, 1);
    assert_false(s->ops->alive(s));
    s->ops->metric(s, "late", 2, 1);
    FAILS(sink_close(s, err), ERR_BUSY, "already ended as complete");
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM metric"), 1000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(schema_refuses_what_makes_no_sense),
        cmocka_unit_test(every_column_has_a_comment),
        T(opens_once_and_again),
        T(last_one_leaves_one_file),
        T(newer_store_is_left_alone),
        T(trials_are_unique),
        T(trial_comes_back_as_it_was),
        T(find_sweep_names_the_nearest),
        T(odd_numbers_survive),
        T(last_value_of_a_step_wins),
        T(hostile_names_are_only_names),
        T(facts_of_a_run_are_kept),
        T(local_sink_batches_and_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
