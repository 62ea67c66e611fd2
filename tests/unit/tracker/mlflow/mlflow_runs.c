/* tests/unit/tracker/mlflow/mlflow_runs.c - experiments, runs, parameters, tags by MLflow's API:
 * what is answered, what is kept, what is refused and with which code. */
#include "tests/unit/tracker/mlflow/calls.h"

/* ---- experiments ---- */

static void experiments_come_and_go(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    REFUSED(RESOURCE_DOES_NOT_EXIST, "with name 'a b'", "GET experiments/get-by-name",
            "{'experiment_name': 'a b'}");
    json_t *made = works(s, "POST experiments/create",
                         "{'name': 'a b', 'tags': [{'key': 'team', 'value': 'nlp'}]}");
    assert_string_equal(json_get_str(made, "experiment_id", ""), "1");
    json_decref(made);
    json_t *answer = works(s, "GET experiments/get", "{'experiment_id': '1'}");
    const json_t *x = json_object_get(answer, "experiment");
    assert_string_equal(json_get_str(x, "name", ""), "a b");
    assert_string_equal(json_get_str(x, "lifecycle_stage", ""), "active");
    assert_string_equal(json_get_str(x, "artifact_location", ""), "mlflow-artifacts:/1");
    json_decref(answer);
    new_run(s, "{'experiment_id': '1'}", run);
    DO("POST experiments/delete", "{'experiment_id': '1'}");
    answer = works(s, "GET experiments/get-by-name", "{'experiment_name': 'a b'}");
    assert_string_equal(
        json_get_str(json_object_get(answer, "experiment"), "lifecycle_stage", ""),
        "deleted");
    json_decref(answer);
    REFUSED(RESOURCE_ALREADY_EXISTS, "already exists", "POST experiments/create",
            "{'name': 'a b'}");
    REFUSED(INVALID_PARAMETER_VALUE, "'active' state", "POST runs/create",
            "{'experiment_id': '1'}");
    REFUSED(INVALID_PARAMETER_VALUE, "'active' state", "POST runs/set-tag",
            "{'run_id': '%s', 'key': 'a', 'value': 'b'}", run);
    REFUSED(RESOURCE_DOES_NOT_EXIST, "No Experiment", "POST experiments/delete",
            "{'experiment_id': '1'}");
    REFUSED(INVALID_STATE, "non-active", "POST experiments/update",
            "{'experiment_id': '1', 'new_name': 'c'}");
    assert_int_equal(mlflow_code_status(MLFLOW_INVALID_STATE), 400); /* not tried again */
    DO("POST experiments/restore", "{'experiment_id': '1'}");
    DO("POST experiments/update", "{'experiment_id': '1', 'new_name': 'c'}");
    DO("POST runs/set-tag", "{'run_id': '%s', 'key': 'a', 'value': 'b'}", run);
    assert_int_equal(query_int(s, "SELECT count(*) FROM trial_view WHERE experiment_name "
                                  "= 'c'"),
                     1);
}

static void experiment_requests_are_checked(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    REFUSED(INVALID_PARAMETER_VALUE, "Missing value for required parameter 'name'",
            "POST experiments/create", "{}");
    REFUSED(INVALID_PARAMETER_VALUE, "Missing value", "POST experiments/create",
            "{'name': ''}");
    REFUSED(INVALID_PARAMETER_VALUE, "Invalid value 5 for parameter 'name'",
            "POST experiments/create", "{'name': 5}");
    REFUSED(INVALID_PARAMETER_VALUE, "must be a valid integer", "GET experiments/get",
            "{'experiment_id': 'x'}");
    REFUSED(RESOURCE_DOES_NOT_EXIST, "No Experiment with id=99", "GET experiments/get",
            "{'experiment_id': '99'}");
    DO("POST experiments/create", "{'name': 'a'}");
    REFUSED(RESOURCE_DOES_NOT_EXIST, "No tag with name: x",
            "POST experiments/delete-experiment-tag",
            "{'experiment_id': '1', 'key': 'x'}");
    DO("POST experiments/set-experiment-tag",
       "{'experiment_id': '1', 'key': 'x', 'value': '1'}");
    DO("POST experiments/set-experiment-tag",
       "{'experiment_id': '1', 'key': 'x', 'value': '2'}");
    assert_query_text(s, "SELECT group_concat(key || value) FROM experiment_tag", "x2");
    DO("POST experiments/delete-experiment-tag", "{'experiment_id': '1', 'key': 'x'}");
    /* what fails leaves nothing behind */
    REFUSED(
        INVALID_PARAMETER_VALUE, "alphanumerics", "POST experiments/create",
        "{'name': 'b', 'tags': [{'key': 'ok', 'value': ''}, {'key': '<', 'value': ''}]}");
    assert_int_equal(query_int(s, "SELECT count(*) FROM experiment"), 1);
}

static void default_is_there_before_it_is(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    json_t *answer = works(s, "GET experiments/get", "{'experiment_id': '0'}");
    assert_string_equal(json_get_str(json_object_get(answer, "experiment"), "name", ""),
                        "Default");
    json_decref(answer);
    assert_int_equal(query_int(s, "SELECT count(*) FROM experiment"), 0);
    DO("POST experiments/create", "{'name': 'a'}");
    new_run(s, "{}", run);
    json_t *r = get_run(s, run);
    assert_string_equal(json_get_str(json_object_get(r, "info"), "experiment_id", ""),
                        "0");
    json_decref(r);
    assert_int_equal(query_int(s, "SELECT id FROM experiment WHERE name = 'Default'"), 2);
    REFUSED(RESOURCE_ALREADY_EXISTS, "Default", "POST experiments/create",
            "{'name': 'Default'}");
    REFUSED(INVALID_PARAMETER_VALUE, "keeps its name", "POST experiments/update",
            "{'experiment_id': '0', 'new_name': 'x'}");
}

/* ---- runs ---- */

static void runs_become_trials(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(
        s,
        "{'experiment_id': '0', 'run_name': 'first', 'user_id': 'ana', 'start_time': "
        "'1700000000000', 'tags': [{'key': 'mlflow.note.content', 'value': 'hello'}]}",
        run);
    DO("POST runs/log-batch",
       "{'run_id': '%s', 'params': [{'key': 'lr', 'value': '0.1'}, {'key': 'seed', "
       "'value': "
       "'7'}], 'metrics': [{'key': 'loss', 'value': 0.5, 'timestamp': 1, 'step': 1}, "
       "{'key': 'loss', 'value': 0.25, 'timestamp': 2, 'step': 2}]}",
       run);
    json_t *r = get_run(s, run);
    const json_t *info = json_object_get(r, "info");
    assert_string_equal(json_get_str(info, "run_name", ""), "first");
    assert_string_equal(json_get_str(info, "user_id", ""), "ana");
    assert_string_equal(json_get_str(info, "status", ""), "RUNNING");
    assert_int_equal(json_get_int(info, "start_time", 0), 1700000000000);
    assert_null(json_object_get(info, "end_time"));
    json_decref(r);
    json_t *updated = works(s, "POST runs/update",
                            "{'run_id': '%s', 'status': 'FINISHED', 'end_time': "
                            "1700000005000, 'run_name': 'renamed'}",
                            run);
    info = json_object_get(updated, "run_info");
    assert_string_equal(json_get_str(info, "status", ""), "FINISHED");
    assert_string_equal(json_get_str(info, "run_name", ""), "renamed");
    assert_int_equal(json_get_int(info, "end_time", 0), 1700000005000);
    json_decref(updated);
    assert_data(s, run, "params", "lr=0.1 seed=7");
    assert_data(s, run, "metrics", "loss=0.25");
    /* and as everybody else sees it */
    assert_query_text(
        s,
        "SELECT state || seed || params || note || duration_ms || origin FROM "
        "trial_view",
        "complete7{\"lr\": \"0.1\"}hello5000mlflow");
    assert_query_text(s, "SELECT key || value FROM summary_view", "loss0.25");
    assert_int_equal(query_int(s, "SELECT count(*) FROM series_view"), 2);
}

static void runs_have_names(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    json_t *r = get_run(s, run);
    const char *name = json_get_str(json_object_get(r, "info"), "run_name", "");
    int number = -1;
    assert_non_null(strchr(name, '-'));
    assert_int_equal(sscanf(strrchr(name, '-'), "-%d", &number), 1);
    assert_true(number >= 0 && number <= 1000 && strlen(name) <= 20);
    json_decref(r);
    REFUSED(INVALID_PARAMETER_VALUE, "different values", "POST runs/create",
            "{'run_name': 'a', 'tags': [{'key': 'mlflow.runName', 'value': 'b'}]}");
    DO("POST runs/set-tag", "{'run_id': '%s', 'key': 'mlflow.runName', 'value': 'c'}",
       run);
    DO("POST runs/set-tag", "{'run_id': '%s', 'key': 'mlflow.runName', 'value': ''}",
       run);
    r = get_run(s, run);
    assert_string_equal(json_get_str(json_object_get(r, "info"), "run_name", ""), "c");
    json_decref(r);
}

static void runs_end_and_go_on(void **state)
{
    static const struct {
        const char *status, *state;
    } ends[] = {{"FAILED", "failed"},    {"RUNNING", "running"},
                {"KILLED", "cancelled"}, {"SCHEDULED", "preempted"},
                {"RUNNING", "running"},  {"FINISHED", "complete"}};
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        json_t *answer = works(s, "POST runs/update",
                               "{'run_id': '%s', 'status': '%s', 'end_time': 99}", run,
                               ends[i].status);
        assert_string_equal(
            json_get_str(json_object_get(answer, "run_info"), "status", ""),
            ends[i].status);
        json_decref(answer);
        assert_query_text(s, "SELECT state FROM trial_view", ends[i].state);
        assert_query_text(s, "SELECT state FROM run_view", ends[i].state);
    }
    REFUSED(INVALID_PARAMETER_VALUE, "'status'", "POST runs/update",
            "{'run_id': '%s', 'status': 'DONE'}", run);
    REFUSED(INVALID_PARAMETER_VALUE, "'end_time'", "POST runs/update",
            "{'run_id': '%s', 'status': 'FAILED', 'end_time': -1}", run);
}

static void runs_are_deleted_and_restored(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    DO("POST runs/delete", "{'run_id': '%s'}", run);
    json_t *r = get_run(s, run);
    assert_string_equal(json_get_str(json_object_get(r, "info"), "lifecycle_stage", ""),
                        "deleted");
    json_decref(r);
    REFUSED(INVALID_PARAMETER_VALUE, "must be in the 'active' state",
            "POST runs/log-metric",
            "{'run_id': '%s', 'key': 'a', 'value': 1, 'timestamp': 1}", run);
    assert_int_equal(query_int(s, "SELECT count(*) FROM trial_view"), 0);
    DO("POST runs/restore", "{'run_uuid': '%s'}", run);
    DO("POST runs/log-metric",
       "{'run_uuid': '%s', 'key': 'a', 'value': 1, 'timestamp': 1}", run);
    REFUSED(RESOURCE_DOES_NOT_EXIST, "not found", "POST runs/delete",
            "{'run_id': '00000000000000000000000000000001'}");
    REFUSED(RESOURCE_DOES_NOT_EXIST, "not found", "GET runs/get",
            "{'run_id': '%.16s%016x'}", run, 77);
    REFUSED(INVALID_PARAMETER_VALUE, "required parameter 'run_id'", "GET runs/get", "{}");
}

/* ---- parameters ---- */

static void parameters_are_written_once(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    DO("POST runs/log-parameter", "{'run_id': '%s', 'key': 'lr', 'value': '0.1'}", run);
    DO("POST runs/log-parameter", "{'run_id': '%s', 'key': 'lr', 'value': '0.1'}", run);
    REFUSED(INVALID_PARAMETER_VALUE,
            "Param with key='lr' was already logged with value='0.1'",
            "POST runs/log-parameter", "{'run_id': '%s', 'key': 'lr', 'value': '0.2'}",
            run);
    REFUSED(
        INVALID_PARAMETER_VALUE, "Duplicate parameter keys", "POST runs/log-batch",
        "{'run_id': '%s', 'params': [{'key': 'a', 'value': '1'}, {'key': 'a', 'value': "
        "'1'}]}",
        run);
    REFUSED(INVALID_PARAMETER_VALUE, "'old_value': '0.1'", "POST runs/log-batch",
            "{'run_id': '%s', 'params': [{'key': 'new', 'value': '1'}, {'key': 'lr', "
            "'value': '3'}], 'tags': [{'key': 't', 'value': ''}]}",
            run);
    DO("POST runs/log-parameter",
       "{'run_id': '%s', 'key': 'api_key', 'value': 'abcdef12'}", run);
    assert_data(s, run, "params", "api_key=[redacted] lr=0.1");
    /* an empty text is one */
    DO("POST runs/log-parameter", "{'run_id': '%s', 'key': 'empty'}", run);
    assert_data(s, run, "params", "api_key=[redacted] empty= lr=0.1");
}

/* They are refused, not kept as nothing. */
static void values_are_texts(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    REFUSED(INVALID_PARAMETER_VALUE, "0.1 for parameter 'params[1].value'",
            "POST runs/log-batch",
            "{'run_id': '%s', 'params': [{'key': 'a', 'value': 'x'}, {'key': 'lr', "
            "'value': 0.1}]}",
            run);
    REFUSED(INVALID_PARAMETER_VALUE, "true for parameter 'tags[0].value'",
            "POST runs/log-batch",
            "{'run_id': '%s', 'tags': [{'key': 'done', 'value': true}]}", run);
    REFUSED(INVALID_PARAMETER_VALUE, "'tags[0].value'", "POST runs/create",
            "{'tags': [{'key': 'a', 'value': 1}]}");
    REFUSED(INVALID_PARAMETER_VALUE, "'tags[0].value'", "POST experiments/create",
            "{'name': 'a', 'tags': [{'key': 'a', 'value': {}}]}");
    assert_data(s, run, "params", "");
    assert_int_equal(query_int(s, "SELECT count(*) FROM run"), 1);
    DO("POST runs/log-batch",
       "{'run_id': '%s', 'params': [{'key': 'a'}, {'key': 'b', 'value': null}]}", run);
    assert_data(s, run, "params", "a= b=");
}

static void long_values_are_cut(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES], *value = xmalloc(20001);
    new_run(s, "{}", run);
    memset(value, 'x', 20000);
    value[20000] = '\0';
    DO("POST runs/log-parameter", "{'run_id': '%s', 'key': 'p', 'value': '%.7000s'}", run,
       value);
    DO("POST runs/log-parameter", "{'run_id': '%s', 'key': 'p', 'value': '%.6500s'}", run,
       value);
    DO("POST runs/set-tag", "{'run_id': '%s', 'key': 't', 'value': '%s'}", run, value);
    assert_int_equal(query_int(s, "SELECT length(config ->> 'p') FROM trial_view"), 6000);
    assert_int_equal(query_int(s, "SELECT length(value) FROM tag WHERE key = 't'"), 8000);
    REFUSED(INVALID_PARAMETER_VALUE, "exceeds the maximum length of 250",
            "POST runs/set-tag", "{'run_id': '%s', 'key': '%.251s', 'value': ''}", run,
            value);
    free(value);
}

static void names_are_checked(void **state)
{
    static const char *const bad[] = {"a\\\"b<>", "a//b", "/a", "../a", "a/..", "./a",
                                      "a/.",      "..b",  ".",  "a/",   "a,b",  "a\\nb"};
    static const char *const good[] = {"a/b.c-d_e f:g", "épée/größe", "a..b", ".a", "9"};
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        REFUSED(INVALID_PARAMETER_VALUE, "Invalid value", "POST runs/log-metric",
                "{'run_id': '%s', 'key': '%s', 'value': 1, 'timestamp': 1}", run, bad[i]);
        REFUSED(INVALID_PARAMETER_VALUE, "Invalid value", "POST runs/log-batch",
                "{'run_id': '%s', 'params': [{'key': '%s', 'value': ''}]}", run, bad[i]);
        REFUSED(INVALID_PARAMETER_VALUE, "Invalid value", "POST runs/set-tag",
                "{'run_id': '%s', 'key': '%s', 'value': ''}", run, bad[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        DO("POST runs/log-metric",
           "{'run_id': '%s', 'key': '%s', 'value': 1, 'timestamp': 1}", run, good[i]);
    assert_int_equal(query_int(s, "SELECT count(*) FROM metric"), ARRAY_LEN(good));
}

/* ---- tags, inputs ---- */

static void tags_come_and_go(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{'run_name': 'n'}", run);
    DO("POST runs/set-tag", "{'run_id': '%s', 'key': 'a', 'value': '1'}", run);
    DO("POST runs/set-tag", "{'run_id': '%s', 'key': 'a', 'value': '2'}", run);
    assert_data(s, run, "tags", "a=2 mlflow.runName=n");
    DO("POST runs/delete-tag", "{'run_id': '%s', 'key': 'a'}", run);
    REFUSED(RESOURCE_DOES_NOT_EXIST, "No tag with name: a in run with id",
            "POST runs/delete-tag", "{'run_id': '%s', 'key': 'a'}", run);
}

static void inputs_are_kept(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    for (int i = 0; i < 2; i++)
        DO("POST runs/log-inputs",
           "{'run_id': '%s', 'datasets': [{'tags': [{'key': 'mlflow.data.context', "
           "'value': "
           "'train'}], 'dataset': {'name': 'sst2', 'digest': 'abc', 'source_type': 'hf', "
           "'source': 'x', 'profile': 'y'}}]}",
           run);
    json_t *r = get_run(s, run);
    const json_t *input = json_array_get(
        json_object_get(json_object_get(r, "inputs"), "dataset_inputs"), 0);
    assert_string_equal(json_get_str(json_object_get(input, "dataset"), "name", ""),
                        "sst2");
    json_decref(r);
    assert_int_equal(query_int(s, "SELECT count(*) FROM dataset_input WHERE context = "
                                  "'train'"),
                     1);
    REFUSED(INVALID_PARAMETER_VALUE, "Dataset digest cannot be None",
            "POST runs/log-inputs",
            "{'run_id': '%s', 'datasets': [{'dataset': {'name': 'a'}}]}", run);
    REFUSED(INVALID_PARAMETER_VALUE, "5 for parameter 'digest'", "POST runs/log-inputs",
            "{'run_id': '%s', 'datasets': [{'dataset': {'name': 'a', 'digest': 5}}]}",
            run);
}

static void inputs_have_no_secrets(void **state)
{
    struct store *s = ((struct fixture *)*state)->store;
    char run[MLFLOW_RUN_ID_BYTES];
    new_run(s, "{}", run);
    DO("POST runs/log-inputs",
       "{'run_id': '%s', 'datasets': [{'tags': [{'key': 'api_key', 'value': 'abcdef12', "
       "'more': 'abcdef12'}, {'key': 'mlflow.data.context', 'value': 'eval'}], "
       "'dataset': "
       "{'name': 'a', 'digest': 'd', 'source_type': 'http', 'source': "
       "'https://me:abcdef12@host/x'}}]}",
       run);
    assert_query_text(s, "SELECT context || tags_json FROM dataset_input",
                      "eval[{\"key\": \"api_key\", \"value\": \"[redacted]\"}, {\"key\": "
                      "\"mlflow.data.context\", \"value\": \"eval\"}]");
    json_t *r = get_run(s, run);
    char *text = json_dumps(r, 0);
    assert_null(strstr(text, "abcdef12"));
    free(text);
    json_decref(r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(experiments_come_and_go),
        T(experiment_requests_are_checked),
        T(default_is_there_before_it_is),
        T(runs_become_trials),
        T(runs_have_names),
        T(runs_end_and_go_on),
        T(runs_are_deleted_and_restored),
        T(parameters_are_written_once),
        T(values_are_texts),
        T(long_values_are_cut),
        T(names_are_checked),
        T(tags_come_and_go),
        T(inputs_are_kept),
        T(inputs_have_no_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
