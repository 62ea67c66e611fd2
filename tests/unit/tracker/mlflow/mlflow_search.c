/* tests/unit/tracker/mlflow/mlflow_search.c - MLflow's search over a store: what its own store answers
 * to the same filters over the same runs (tests/golden/search, PEFTLAB_SEARCH names another
 * recording), and what it never has: runs of ours, other clients' tokens. */
#include "tests/unit/tracker/fixture.h"
#include "lib/str.h"
#include "tracker/mlflow/flat_params.h"
#include "tracker/mlflow/mlflow_api.h"
#include "tracker/mlflow/run_text.h"
#include "tracker/mlflow/search/search.h"
#include "tracker/mlflow/search/search_priv.h"

/* ---- the recording's runs ---- */

static const char *const added[] = {
    "INSERT INTO experiment (id, name, created_ms, updated_ms, deleted_ms) VALUES (?1, "
    "?2, ?3, "
    "?4, iif(?5, 1, NULL))",
    "INSERT INTO experiment_tag VALUES (?1, ?2, ?3)",
    "INSERT INTO trial (id, experiment, number, key, seed, base_dir, config_json, "
    "params_json, "
    "state, created_ms, origin, deleted_ms, last_run) VALUES (?1, ?2, 0, 'mlflow:' || "
    "?1, 0, "
    "'.', ?3, ?3, 'complete', 0, 'mlflow', iif(?4, 1, NULL), NULL)",
    "INSERT INTO run (id, trial, attempt, state, started_ms, ended_ms, heartbeat_ms, "
    "lease_until_ms, owner_host, owner_scope, owner_pid, owner_start_ticks) VALUES (?1, "
    "?1, 1, "
    "?2, ?3, iif(?4 < 0, NULL, ?4), 0, 0, '', '', 0, 0)",
    "INSERT INTO tag VALUES (?1, ?2, ?3)",
    "INSERT INTO dataset_input VALUES (?1, ?2, ?3, 'local', 'x', NULL, NULL, ?4, '[]')",
    "UPDATE trial SET deleted_ms = 1 WHERE id = ?1",
    "INSERT INTO run_param VALUES (?1, ?2, ?3)",
};
enum { EXPERIMENT, EXPERIMENT_TAG, TRIAL, RUN, TAG, DATASET, DELETE, RUN_PARAM };

static void add(struct store *s, int statement, const struct arg *args)
{
    OK(store_exec(s, added[statement], args, err));
}

static void add_experiment(struct store *s, const json_t *e)
{
    const char *name = json_get_str(e, "name", "");
    const int64_t id =
        str_eq(name, "Default") ? 99 : strtoll(json_get_str(e, "id", "0"), NULL, 10);
    add(s, EXPERIMENT,
        ARGS(A_INT(id), A_TEXT(name), A_INT(json_get_int(e, "created", 0)),
             A_INT(json_get_int(e, "updated", 0)),
             A_INT(json_get_bool(e, "deleted", 0))));
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(e, "tags"), key, value)
    {
        add(s, EXPERIMENT_TAG,
            ARGS(A_INT(id), A_TEXT(key), A_TEXT(json_string_value(value))));
    }
}

static const struct mlflow_route *route(const char *path)
{
    const struct mlflow_route *r;
    for (size_t i = 0; (r = mlflow_route_at(i)); i++)
        if (str_eq(r->path, path))
            return r;
    fail_msg("no route %s", path);
    return NULL;
}

/* As a client logs them: which value of a step is the latest is not the search's to say. */
static void add_metrics(struct store *s, int64_t run, const json_t *metrics)
{
    struct mlflow_error e = {.message = ""};
    struct buf answer = BUF_INIT;
    char id[MLFLOW_RUN_ID_BYTES];
    json_t *batch = json_array();
    const json_t *m;
    size_t i;
    OK(mlflow_run_id(s, run, id, err));
    json_array_foreach((json_t *)metrics, i, m)
    {
        json_array_append_new(
            batch, json_pack("{s:O, s:O, s:O, s:O}", "key", json_array_get(m, 0), "value",
                             json_array_get(m, 1), "step", json_array_get(m, 2),
                             "timestamp", json_array_get(m, 3)));
    }
    json_t *fields = json_pack("{s:s, s:o}", "run_id", id, "metrics", batch);
    if (mlflow_call(s, route("runs/log-batch"), fields, &answer, &e) < 0)
        fail_msg("%s", e.message);
    json_decref(fields);
    buf_release(&answer);
}

static void add_datasets(struct store *s, int64_t run, const json_t *datasets)
{
    const json_t *d;
    size_t i;
    json_array_foreach((json_t *)datasets, i, d)
    {
        add(s, DATASET,
            ARGS(A_INT(run), A_TEXT(json_string_value(json_array_get(d, 0))),
                 A_TEXT(json_string_value(json_array_get(d, 1))),
                 A_TEXT(json_string_value(json_array_get(d, 2)))));
    }
}

static const char *state_of(const char *status)
{
    return str_eq(status, "RUNNING")    ? "running"
           : str_eq(status, "FINISHED") ? "complete"
           : str_eq(status, "KILLED")   ? "cancelled"
                                        : "failed";
}

static void add_run(struct store *s, int64_t id, const json_t *r)
{
    char *params = json_dumps(json_object_get(r, "params"), JSON_COMPACT);
    add(s, TRIAL,
        ARGS(A_INT(id), A_INT(strtoll(json_get_str(r, "experiment", "0"), NULL, 10)),
             A_TEXT(params)));
    free(params);
    add(s, RUN,
        ARGS(A_INT(id), A_TEXT(state_of(json_get_str(r, "status", ""))),
             A_INT(json_get_int(r, "start", 0)), A_INT(json_get_int(r, "end", -1))));
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(r, "tags"), key, value)
    {
        add(s, TAG, ARGS(A_INT(id), A_TEXT(key), A_TEXT(json_string_value(value))));
    }
    add(s, TAG,
        ARGS(A_INT(id), A_TEXT("mlflow.runName"), A_TEXT(json_get_str(r, "name", ""))));
    if (*json_get_str(r, "user", ""))
        add(s, TAG,
            ARGS(A_INT(id), A_TEXT("mlflow.user"), A_TEXT(json_get_str(r, "user", ""))));
    add_metrics(s, id, json_object_get(r, "metrics"));
    add_datasets(s, id, json_object_get(r, "datasets"));
    if (json_get_bool(r, "deleted", 0))
        add(s, DELETE, ARGS(A_INT(id)));
}

static void add_recording(struct store *s, const json_t *recording)
{
    const json_t *row;
    size_t i;
    OK(store_begin(s, err));
    json_array_foreach(json_object_get(recording, "experiments"), i, row)
    {
        add_experiment(s, row);
    }
    json_array_foreach(json_object_get(recording, "runs"), i, row)
    {
        add_run(s, (int64_t)i + 1, row);
    }
    OK(store_commit(s, err));
}

/* ---- its questions ---- */

/* With ids of ours for {run:N}. */
static char *own_filter(struct store *s, const char *text)
{
    struct buf out = BUF_INIT;
    for (const char *p; (p = strstr(text, "{run:")); text = strchr(p, '}') + 1) {
        char id[MLFLOW_RUN_ID_BYTES];
        OK(mlflow_run_id(s, strtoll(p + 5, NULL, 10) + 1, id, err));
        buf_add(&out, text, (size_t)(p - text));
        buf_str_add(&out, id);
    }
    buf_str_add(&out, text);
    return buf_detach(&out, NULL);
}

static json_t *request_of(struct store *s, const json_t *q)
{
    json_t *r = json_object();
    char *filter = own_filter(s, json_get_str(q, "filter", ""));
    json_object_set_new(r, "filter", json_string(filter));
    free(filter);
    json_object_set(r, "order_by", json_object_get(q, "order_by"));
    json_object_set_new(r, "max_results", json_integer(json_get_int(q, "page", 1000)));
    const char *view =
        json_is_string(json_object_get(q, "of")) ? "view_type" : "run_view_type";
    json_object_set(r, view, json_object_get(q, "view"));
    json_t *experiments = json_object_get(q, "experiments");
    json_object_set_new(r, "experiment_ids",
                        experiments ? json_incref(experiments)
                                    : json_pack("[s, s, s]", "1", "2", "3"));
    return r;
}

/* All pages of it, as the recording names what is found; NULL: refused. */
static json_t *answer_of(struct store *s, const json_t *q, struct err *err)
{
    const bool experiments = json_is_string(json_object_get(q, "of"));
    json_t *request = request_of(s, q), *found = json_array();
    bool more = true;
    while (more && found) {
        struct search_page page;
        int rc = experiments ? search_experiments(s, request, &page, err)
                             : search_runs(s, request, &page, err);
        for (size_t i = 0; rc == 0 && i < page.count; i++) {
            int64_t id = page.ids[i];
            json_array_append_new(found,
                                  json_integer(experiments ? id == 99 ? 0 : id : id - 1));
        }
        more = rc == 0 && page.next;
        if (more)
            json_object_set_new(request, "page_token", json_string(page.next));
        if (rc == 0) {
            search_page_release(&page);
        } else {
            json_decref(found);
            found = NULL;
        }
    }
    json_decref(request);
    return found;
}

/* Whether it is answered as it was recorded; says where it is not. */
static bool is_same(struct store *s, const json_t *q)
{
    struct err err = ERR_INIT;
    const json_t *gives = json_object_get(q, "gives");
    json_t *found = answer_of(s, q, &err);
    const bool same =
        gives ? found && json_equal(found, gives) : !found && err.code == ERR_USAGE;
    if (!same) {
        char *asked = json_dumps(q, JSON_ENCODE_ANY),
             *got = json_dumps(found, JSON_ENCODE_ANY);
        print_message("# asked %s\n# got %s %s\n", asked, got ? got : "", err.msg);
        free(asked), free(got);
    }
    json_decref(found);
    return same;
}

static void answers_what_mlflow_answers(void **state)
{
    struct fixture *f = *state;
    const char *given = getenv("PEFTLAB_SEARCH");
    struct err e = ERR_INIT;
    json_t *recording =
        json_read_file(given ? given : "tests/golden/search/mlflow.json", &e);
    const json_t *q;
    size_t i, wrong = 0;
    if (!recording)
        fail_msg("%s", e.msg);
    add_recording(f->store, recording);
    json_array_foreach(json_object_get(recording, "asked"), i, q)
    {
        wrong += !is_same(f->store, q);
    }
    print_message("# %zu questions\n",
                  json_array_size(json_object_get(recording, "asked")));
    json_decref(recording);
    assert_int_equal(wrong, 0);
}

/* ---- runs of ours ---- */

static json_t *ask(struct store *s, const char *filter, const char *order)
{
    json_t *q = json_pack("{s:s, s:[s], s:s}", "filter", filter, "experiments", "1",
                          "view", "ALL");
    if (order)
        json_object_set_new(q, "order_by", json_pack("[s]", order));
    struct err e = ERR_INIT;
    json_t *found = answer_of(s, q, &e);
    if (!found)
        fail_msg("%s: %s", filter, e.msg);
    json_decref(q);
    return found;
}

static void finds(struct store *s, const char *filter, size_t count)
{
    json_t *found = ask(s, filter, NULL);
    if (json_array_size(found) != count)
        fail_msg("%s: %zu, not %zu", filter, json_array_size(found), count);
    json_decref(found);
}

static void flat_params_are_texts(void **state)
{
    (void)state;
    static const char json[] = "{\"lr\": 5e-05, \"lora\": {\"rank\": 8, \"deep\": "
                               "{\"on\": true, \"none\": {}}}, "
                               "\"names\": [\"q\", {\"a\": \"}\"}], \"quo\\\"te\": "
                               "\"a\\n\\\"b\\\"\", \"none\": null, "
                               "\"api_key\": \"hunter22\"}";
    static const struct {
        const char *name, *value;
    } wanted[] = {{"lr", "5e-05"},
                  {"lora.rank", "8"},
                  {"lora.deep.on", "true"},
                  {"lora.deep.none", "{}"},
                  {"names", "[\"q\", {\"a\": \"}\"}]"},
                  {"quo\"te", "a\n\"b\""},
                  {"none", "null"},
                  {"api_key", "[redacted]"}};
    struct buf value = BUF_INIT;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        buf_clear(&value);
        assert_true(flat_params_find(json, wanted[i].name, &value));
        assert_string_equal(buf_str(&value), wanted[i].value);
    }
    static const char *const absent[] = {"lora", "rank", "q", "a", "", "lora.deep"};
    for (size_t i = 0; i < ARRAY_LEN(absent); i++)
        assert_false(flat_params_find(json, absent[i], &value));
    static const char *const odd[] = {"",           "[]",          "{",
                                      "{\"a\"",     "{\"a\":",     "{\"a\": {",
                                      "{\"a\": [1", "{\"a\": \"x", "1"};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        flat_params_find(odd[i], "b", &value);
    buf_release(&value);
}

static void runs_of_ours_are_found(void **state)
{
    struct fixture *f = *state;
    struct store *s = f->store;
    int64_t sweep = new_sweep(s, "grid");
    add_trials(s, sweep, 4);
    for (int i = 0; i < 3; i++) {
        struct run_claim c = claim_one(s, sweep, 60000);
        struct metric_point p[] = {
            {"eval/loss", 1, 0.9 - i}, {"eval/loss", 5, 0.5 - i}, {"acc", -1, 0.25 * i}};
        OK(store_log_metrics(s, c.run, p, 3, err));
        if (i < 2)
            OK(store_run_finish(s, c.run, i ? TRIAL_pruned : TRIAL_complete, 0, NULL,
                                err));
    }
    finds(s, "", 3);
    finds(s, "params.rank = '4'", 1);
    finds(s, "params.rank LIKE '%'", 3);
    finds(s, "params.api_key LIKE '%'", 0);
    finds(s, "status = 'FINISHED'", 2);
    finds(s, "status = 'RUNNING'", 1);
    finds(s, "run_name = 'grid/1'", 1);
    finds(s, "tags.`mlflow.runName` LIKE 'grid/%'", 3);
    finds(s, "metrics.`eval/loss` = 0.5", 1);
    finds(s, "metrics.`eval/loss` < 0.9", 3);
    finds(s, "metrics.acc >= 0.25", 2);
    add(s, RUN_PARAM, ARGS(A_INT(2), A_TEXT("optimizer"), A_TEXT("adamw")));
    finds(s, "params.optimizer = 'adamw'", 1);
    finds(s, "params.optimizer IS NULL AND params.rank IS NOT NULL", 2);
    json_t *found = ask(s, "", "metrics.acc DESC");
    assert_int_equal(json_integer_value(json_array_get(found, 0)), 2);
    json_decref(found);

    struct err e = ERR_INIT;
    json_t *run = run_text_tree(s, 1, &e);
    if (!run)
        fail_msg("%s", e.msg);
    json_t *info = json_object_get(run, "info"), *data = json_object_get(run, "data");
    assert_string_equal(json_get_str(info, "run_name", ""), "grid/0");
    assert_string_equal(json_get_str(info, "status", ""), "FINISHED");
    assert_string_equal(json_get_str(info, "lifecycle_stage", ""), "active");
    assert_int_equal(strlen(json_get_str(info, "run_id", "")), 32);
    assert_int_equal(json_array_size(json_object_get(data, "metrics")), 2);
    json_t *m =
        json_array_get(json_object_get(data, "metrics"), 1); /* behind the summary */
    assert_string_equal(json_get_str(m, "key", ""), "eval/loss");
    assert_int_equal(json_get_int(m, "step", -1), 5);
    json_decref(run);
}

/* ---- limits ---- */

static void pages_go_on_in_any_order(void **state)
{
    struct fixture *f = *state;
    struct search_page page;
    json_t *orders = json_array();
    add_trials(f->store, new_sweep(f->store, "grid"), 3);
    for (int i = 0; i < 3; i++)
        claim_one(f->store, 1, 60000);
    for (int i = 0; i < SEARCH_MAX_ORDERS; i++) {
        char item[32];
        snprintf(item, sizeof item, "params.p%d %s", i, i % 2 ? "DESC" : "ASC");
        json_array_append_new(orders, json_string(item));
    }
    json_t *r = json_pack("{s:[s], s:o, s:i}", "experiment_ids", "1", "order_by", orders,
                          "max_results", 1);
    for (int64_t i = 1; i <= 3; i++) {
        OK(search_runs(f->store, r, &page, err));
        assert_int_equal(page.count, 1);
        assert_true(page.ids[0] >= 1 && page.ids[0] <= 3);
        assert_int_equal(page.next != NULL, i < 3);
        if (page.next)
            json_object_set_new(r, "page_token", json_string(page.next));
        search_page_release(&page);
    }
    json_array_append_new(orders, json_string("params.more"));
    FAILS(search_runs(f->store, r, &page, err), ERR_USAGE, "more than 100 items");
    json_decref(r);
}

static void limits_and_tokens_are_kept(void **state)
{
    struct fixture *f = *state;
    struct search_page page;
    struct buf filter = BUF_INIT;
    for (int i = 0; i < SEARCH_MAX_CLAUSES; i++)
        buf_str_add(&filter, i ? " AND metrics.a > 1" : "metrics.a > 1");
    json_t *r =
        json_pack("{s:s, s:[s]}", "filter", buf_str(&filter), "experiment_ids", "1");
    OK(search_runs(f->store, r, &page, err));
    search_page_release(&page);
    buf_str_add(&filter, " AND params.b = 'x'");
    json_object_set_new(r, "filter", json_string(buf_str(&filter)));
    FAILS(search_runs(f->store, r, &page, err), ERR_USAGE, "more than 500 clauses");
    buf_clear(&filter);
    for (int i = 0; i <= SEARCH_MAX_FILTER; i++)
        buf_char(&filter, i % 2 ? '\'' : ' ');
    json_object_set_new(r, "filter", json_string(buf_str(&filter)));
    FAILS(search_runs(f->store, r, &page, err), ERR_USAGE, "bytes long");
    buf_release(&filter);
    json_object_set_new(r, "filter", json_string(""));

    static const char *const tokens[] = {
        "x", "!", "e30=", "W10=", "WzFd", "WzEsMiwzXQ==", "eyJvZmZzZXQiOiAxfQ=="};
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        json_object_set_new(r, "page_token", json_string(tokens[i]));
        FAILS(search_runs(f->store, r, &page, err), ERR_USAGE, "Invalid page token");
    }
    json_object_del(r, "page_token");
    static const char *const limits[] = {"0", "-1", "50001", "\"x\"", "1.5", "true"};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        json_object_set_new(r, "max_results",
                            json_loads(limits[i], JSON_DECODE_ANY, NULL));
        FAILS(search_runs(f->store, r, &page, err), ERR_USAGE, "max_results");
    }
    json_object_set_new(r, "max_results", json_string("5"));
    static const char *const views[] = {"\"NONE\"", "4", "0"};
    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        json_object_set_new(r, "run_view_type",
                            json_loads(views[i], JSON_DECODE_ANY, NULL));
        FAILS(search_runs(f->store, r, &page, err), ERR_USAGE, "run_view_type");
    }
    json_object_set_new(r, "run_view_type", json_integer(3));
    OK(search_runs(f->store, r, &page, err));
    search_page_release(&page);
    json_decref(r);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(answers_what_mlflow_answers), TEST(flat_params_are_texts),
        TEST(runs_of_ours_are_found),      TEST(pages_go_on_in_any_order),
        TEST(limits_and_tokens_are_kept),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
