/* tests/unit/tracker/deleted.c - what is deleted is hidden and can come back; transactions within
 * transactions; what MLflow's API adds to a store travels with an export. */
#include "tests/unit/tracker/fixture.h"
#include "tracker/exchange/exchange.h"
#include "tracker/store/batch.h"
#include "tracker/store/labels.h"
#include "tracker/store/store_priv.h"

static int run_sql(struct store *s, const char *text)
{
    struct err e = ERR_INIT;
    const int rc = store_script(s, text, &e);
    if (rc < 0)
        fail_msg("%s: %s", text, e.msg);
    return rc;
}

/* ---- deleted ---- */

static void deleted_trials_are_in_no_view(void **state)
{
    static const char *const counts[] = {
        "SELECT count(*) FROM trial_view",    "SELECT count(*) FROM summary_view",
        "SELECT count(*) FROM series_view",   "SELECT count(*) FROM param_view",
        "SELECT count(*) FROM run_view",      "SELECT count(*) FROM artifact_view",
        "SELECT count(*) FROM event_view",    "SELECT count(*) FROM tag_view",
        "SELECT sum(trials) FROM sweep_view", "SELECT sum(trials) FROM experiment_view"};
    struct fixture *f = *state;
    struct store *s = f->store;
    int64_t before[ARRAY_LEN(counts)];
    const int64_t sweep = new_sweep(s, "a");
    add_trials(s, sweep, 2);
    for (int i = 0; i < 2; i++) {
        struct run_claim c = claim_one(s, sweep, 60000);
        struct metric_point points[] = {{"loss", 1, 0.5}, {"loss", -1, 0.25}};
        OK(store_log_metrics(s, c.run, points, 2, err));
        OK(store_log_event(s, c.run, "note", "x", err));
        OK(store_log_artifact(s, c.run, "file", "/tmp/x", 1, NULL, err));
        OK(store_tag(s, c.trial, "owner", "ana", err));
        OK(store_run_finish(s, c.run, TRIAL_complete, 0, NULL, err));
    }
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        before[i] = query_int(s, counts[i]);
    run_sql(s, "UPDATE trial SET deleted_ms = 1 WHERE id = 1");
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        assert_int_equal(query_int(s, counts[i]), before[i] / 2);
    /* added again it is there again, with what it measured */
    assert_int_equal(add_trials(s, sweep, 2), 0);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        assert_int_equal(query_int(s, counts[i]), before[i]);
}

static void deleted_trials_are_not_claimed(void **state)
{
    struct fixture *f = *state;
    struct run_claim c = {0};
    const int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 2);
    run_sql(f->store, "UPDATE trial SET deleted_ms = 1 WHERE id = 1");
    c = claim_one(f->store, sweep, 60000);
    assert_int_equal(c.trial, 2);
    assert_int_equal(store_claim(f->store, sweep, 0, 1000, NULL, &c, NULL), 0);
    assert_int_equal(store_claim(f->store, 0, 1, 1000, NULL, &c, NULL), 0);
}

static void deleted_experiments_come_back_by_their_name(void **state)
{
    struct fixture *f = *state;
    int64_t id = 0, again = 0;
    OK(store_experiment(f->store, "old", &id, err));
    run_sql(f->store, "UPDATE experiment SET deleted_ms = 1");
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM experiment_view"), 0);
    OK(store_experiment(f->store, "old", &again, err));
    assert_int_equal(id, again);
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM experiment_view"), 1);
}

/* ---- transactions within transactions ---- */

static void parts_fail_alone(void **state)
{
    struct fixture *f = *state;
    struct store *s = f->store;
    const struct metric_point kept = {"kept", -1, 1}, lost = {"lost", -1, 1};
    const int64_t sweep = new_sweep(s, "a");
    add_trials(s, sweep, 1);
    struct run_claim c = claim_one(s, sweep, 60000);
    OK(store_begin(s, err));
    OK(store_log_metrics(s, c.run, &kept, 1, err));
    OK(store_begin(s, err));
    OK(store_log_metrics(s, c.run, &lost, 1, err));
    store_rollback(s);
    FAILS(store_log_metrics(s, 99, &kept, 1, err), ERR_NOINPUT, "no run 99");
    /* its key was taken back with it: the number may be another's now */
    OK(store_log_metrics(s, c.run, &(struct metric_point){"other", -1, 2}, 1, err));
    OK(store_log_metrics(s, c.run, &(struct metric_point){"lost", 3, 3}, 1, err));
    OK(store_commit(s, err));
    assert_query_text(s,
                      "SELECT group_concat(name || value) FROM (SELECT name, value FROM "
                      "run_summary JOIN metric_key ON id = key ORDER BY name)",
                      "kept1.0,other2.0");
    assert_query_text(s, "SELECT name FROM metric JOIN metric_key ON id = key", "lost");
}

static void nothing_stays_of_a_whole_that_fails(void **state)
{
    struct fixture *f = *state;
    struct store *s = f->store, *reader = NULL;
    int64_t id = 0;
    OK(store_open(f->path, STORE_READ_ONLY, &reader, err));
    OK(store_begin(s, err));
    OK(store_experiment(s, "x", &id, err));
    assert_int_equal(query_int(reader, "SELECT count(*) FROM experiment"), 0);
    store_rollback(s);
    assert_int_equal(query_int(s, "SELECT count(*) FROM experiment"), 0);
    OK(store_experiment(s, "y", &id, err)); /* and it works on */
    assert_int_equal(query_int(reader, "SELECT count(*) FROM experiment"), 1);
    store_close(reader);
}

/* SQLite may take back all by itself: then a part must not begin anew, nor be told kept. */
static void what_was_taken_back_is_told(void **state)
{
    struct fixture *f = *state;
    struct store *s = f->store;
    int64_t id = 0;
    OK(store_begin(s, err));
    run_sql(s, "ROLLBACK");
    FAILS(store_experiment(s, "x", &id, err), ERR_IO, "taken back");
    FAILS(store_commit(s, err), ERR_IO, "taken back");
    OK(store_experiment(s, "x", &id, err));
}

static int add_named(struct store *s, void *name, struct err *err)
{
    int64_t id = 0;
    return store_experiment(s, name, &id, err);
}

static int take_all_back(struct store *s, void *ctx, struct err *err)
{
    (void)ctx;
    return store_script(s, "ROLLBACK", err);
}

/* Nobody is told of a success that is not kept, and all are told why. */
static void a_batch_that_is_lost_is_lost_for_all(void **state)
{
    struct fixture *f = *state;
    char x[] = "x", y[] = "y";
    struct store_job jobs[] = {{.work = add_named, .ctx = x},
                               {.work = take_all_back},
                               {.work = add_named, .ctx = y}};
    store_batch(f->store, jobs, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jobs[i].rc, -ERR_IO);
        char *path = strstr(jobs[i].err.msg, f->path);
        assert_non_null(path);
        assert_null(strstr(path + 1, f->path)); /* said once */
    }
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM experiment"), 0);
    store_batch(f->store, jobs, 1);
    assert_int_equal(jobs[0].rc, 0);
}

static int add_much(struct store *s, void *ctx, struct err *err)
{
    (void)ctx;
    return store_script(s,
                        "INSERT INTO experiment_tag SELECT id, 'much', "
                        "hex(zeroblob(2000000)) FROM experiment",
                        err);
}

static void a_full_disk_takes_one_job_alone(void **state)
{
    struct fixture *f = *state;
    char x[] = "x", y[] = "y";
    struct store_job jobs[] = {
        {.work = add_named, .ctx = x}, {.work = add_much}, {.work = add_named, .ctx = y}};
    run_sql(f->store, "PRAGMA max_page_count = 300");
    store_batch(f->store, jobs, 3);
    assert_int_equal(jobs[1].rc, -ERR_IO);
    assert_non_null(strstr(jobs[1].err.msg, "the disk is full"));
    const int64_t there = query_int(f->store, "SELECT count(*) FROM experiment");
    assert_int_equal(there, (jobs[0].rc == 0) + (jobs[2].rc == 0));
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM experiment_tag"), 0);
}

/* ---- exchange ---- */

static const char what_mlflow_adds[] =
    "UPDATE experiment SET updated_ms = 5, artifact_location = 's3://x' WHERE name = "
    "'tests';"
    "INSERT INTO experiment_tag VALUES (1, 'team', 'nlp');"
    "INSERT INTO experiment (name, created_ms, deleted_ms) VALUES ('gone', 3, 4);"
    "UPDATE trial SET origin = 'mlflow', deleted_ms = 77 WHERE id = 1;"
    "INSERT INTO metric_key (id, name) VALUES (50, 'loss');"
    "INSERT INTO metric VALUES (1, 50, 0, 0.5, 0, 1000), (1, 50, 1, NULL, 1, NULL);"
    "INSERT INTO metric_more VALUES (1, 50, 0, 900, 0.75, 0), (1, 50, -2, 5, 0, 2);"
    "INSERT INTO dataset_input VALUES (1, 'sst2', 'd1', 'hf', '{}', NULL, '{\"n\":1}', "
    "'train', '[{\"key\": \"mlflow.data.context\", \"value\": \"train\"}]');"
    "INSERT INTO run_param VALUES (1, 'optimizer', 'adamw')";

static const char *const everything[] = {
    "SELECT name, created_ms, deleted_ms, updated_ms, artifact_location FROM experiment "
    "ORDER BY name",
    "SELECT key, value FROM experiment_tag",
    "SELECT key, state, origin, deleted_ms FROM trial ORDER BY id",
    "SELECT name, step, value, kind, at_ms FROM metric JOIN metric_key ON id = key ORDER "
    "BY step",
    "SELECT name, step, at_ms, value, kind FROM metric_more JOIN metric_key ON id = key "
    "ORDER BY step",
    "SELECT * FROM dataset_input",
    "SELECT * FROM run_param",
};

static int take_line(void *ctx, const json_t *object, struct err *err)
{
    return import_object(ctx, object, err);
}

static void exports_lose_nothing(void **state)
{
    struct fixture *f = *state;
    struct store *copy = NULL;
    struct import in = {0};
    char *path = fs_join(f->dir, "copy.db");
    const int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    struct run_claim c = claim_one(f->store, sweep, 60000);
    OK(store_run_finish(f->store, c.run, TRIAL_complete, 0, NULL, err));
    run_sql(f->store, what_mlflow_adds);
    OK(store_open(path, STORE_CREATE, &copy, err));
    for (int round = 0; round < 2; round++) { /* again adds nothing */
        OK(import_begin(&in, copy, err));
        OK(import_end(&in, store_export(f->store, 0, 0, take_line, &in, NULL), err));
        for (size_t i = 0; i < ARRAY_LEN(everything); i++) {
            json_t *had = query_rows(f->store, everything[i]),
                   *has = query_rows(copy, everything[i]);
            assert_true(json_array_size(had) > 0);
            if (!json_equal(had, has))
                fail_msg("%s: %s, not %s", everything[i], json_dumps(has, 0),
                         json_dumps(had, 0));
            json_decref(had);
            json_decref(has);
        }
    }
    store_close(copy);
    free(path);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(deleted_trials_are_in_no_view),
        T(deleted_trials_are_not_claimed),
        T(deleted_experiments_come_back_by_their_name),
        T(parts_fail_alone),
        T(nothing_stays_of_a_whole_that_fails),
        T(what_was_taken_back_is_told),
        T(a_batch_that_is_lost_is_lost_for_all),
        T(a_full_disk_takes_one_job_alone),
        T(exports_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
