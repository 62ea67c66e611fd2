/* tests/unit/runner/nn/methods.c - the rows of the methods: what they say of themselves is so,
 * and stores know the same of the runs that they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/nn/peft/method.h"
#include "runner/trial.h"
#include "tracker/store/store.h"
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX = 64 };

static const char *const ids[] = {
#define METHOD(id) #id,
#define PRESET(name, id, options)
#include "runner/nn/peft/methods.def"
#undef METHOD
#undef PRESET
};

static json_t *trial(const char *text)
{
    struct err err = ERR_INIT;
    char *full = xasprintf("{model: tests/golden/models/bert, train_data: rows.jsonl, "
                           "num_labels: 3, %s}",
                           text);
    json_t *given = conf_parse_value(full, &err), *out = NULL;
    if (!given || trial_resolve(given, &out, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    json_decref(given);
    free(full);
    return out;
}

static json_t *trial_of(const char *method)
{
    char *text = xasprintf("method: %s", method);
    json_t *t = trial(text);
    free(text);
    return t;
}

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        char *name = xstrdup(ids[i]);
        for (char *c = name; *c; c++)
            *c = *c == '_' ? '-' : *c;
        assert_non_null(method_find(name, NULL));
        free(name);
    }
}

/* A row that says so trains on a quantised base; one that does not refuses it. */
static void test_quantisable(void **state)
{
    (void)state;
    struct method_facts all[MAX];
    const size_t n = method_facts_all(all, MAX);
    size_t can = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *out = NULL, *given = json_pack("{s:s, s:s, s:i, s:s, s:s}", "model",
                                               "tests/golden/models/bert", "train_data",
                                               "rows.jsonl", "num_labels", 3, "method",
                                               all[i].name, "quantization", "fp4");
        const int rc = trial_resolve(given, &out, NULL);
        if ((rc == 0) != all[i].quantisable)
            fail_msg("'%s' is quantisable: %d, resolving it gives %d", all[i].name,
                     all[i].quantisable, rc);
        can += all[i].quantisable;
        json_decref(out);
        json_decref(given);
    }
    assert_true(can > 3 && can < n);
}

/* Every key that a row reads is one, and one of methods; each of those is read. */
static void test_keys(void **state)
{
    (void)state;
    struct method_facts all[MAX];
    const size_t n = method_facts_all(all, MAX);
    for (size_t k = 0; k < trial_options.count; k++) {
        const struct opt_def *def = &trial_options.rows[k];
        size_t readers = 0;
        for (size_t i = 0; i < n; i++)
            readers += method_reads(method_find(all[i].method, NULL), def->key);
        if ((readers > 0) != ((def->flags & OPT_OF_METHOD) != 0))
            fail_msg("%s: read by the rows of %zu methods", def->key, readers);
    }
    for (size_t i = 0; i < n; i++) {
        const char *reads = method_find(all[i].method, NULL)->reads;
        char *copy = xstrdup(reads ? reads : ""), *save = NULL;
        for (char *key = strtok_r(copy, "|", &save); key;
             key = strtok_r(NULL, "|", &save)) {
            const struct opt_def *def = opt_find(&trial_options, key);
            if (!def || !str_eq(def->key, key))
                fail_msg("%s reads '%s', which is no key", all[i].name, key);
        }
        free(copy);
    }
}

static bool is_norm(const struct net *net, const char *name)
{
    for (size_t i = 0; i < net->norms.count; i++)
        if (!strncmp(name, net->norms.items[i], strlen(net->norms.items[i])))
            return true;
    return false;
}

/* What the net trains of the base, heads left out, is what the facts say. */
static void check_base(const char *text)
{
    struct err err = ERR_INIT;
    struct hf_model *hf;
    struct net net;
    struct trial typed;
    struct method_facts facts;
    size_t kinds[BASE_CHANGE_COUNT] = {0};
    json_t *t = trial(text);
    trial_init(&typed, t);
    assert_int_equal(hf_model_open("tests/golden/models/bert", &hf, &err), 0);
    const struct goal goal = {
        .task = task_find(TASK_DEFAULT, NULL), .labels = LABEL_class, .num_labels = 3};
    if (net_init(&net, hf, &typed, &goal, NULL, true, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    for (size_t i = 0; i < net.params.count; i++) {
        const struct param *p = net.params.items[i];
        if (!p->trainable || p->added || task_saves(goal.task, p->name))
            continue;
        const bool norm = is_norm(&net, p->name), bias = strstr(p->name, "bias") != NULL;
        kinds[norm && !bias ? BASE_norms : bias ? BASE_biases : BASE_all]++;
    }
    const enum base_change seen = kinds[BASE_all]      ? BASE_all
                                  : kinds[BASE_norms]  ? BASE_norms
                                  : kinds[BASE_biases] ? BASE_biases
                                                       : BASE_none;
    method_facts_of(t, &facts);
    if (facts.changes_base != seen)
        fail_msg("%s: the row says %s, the net trains %s", text,
                 base_change_names[facts.changes_base], base_change_names[seen]);
    assert_int_equal(facts.virtual_tokens,
                     net.change.prompt_rows > 0 || net.method->prefix);
    net_release(&net);
    hf_model_close(hf);
    trial_release(&typed);
    json_decref(t);
}

static void test_base(void **state)
{
    (void)state;
    struct method_facts all[MAX];
    const size_t n = method_facts_all(all, MAX);
    for (size_t i = 0; i < n; i++) {
        char *text = xasprintf("method: %s", all[i].name);
        check_base(text);
        free(text);
    }
    check_base("method: lora, bias: all");
    check_base("method: dora, bias: lora_only");
}

/* Whatever way it is written, one trial has one key and one name. */
static void test_called(void **state)
{
    (void)state;
    static const struct {
        const char *trial, *same, *name, *shown;
    } cases[] = {
        {"method: qlora", "method: lora, quantization: nf4", "qlora", "qlora"},
        {"method: qdora", "method: dora, quantization: nf4", "qdora", "qdora"},
        {"method: pissa", "method: lora, init_lora_weights: pissa", "pissa", "pissa"},
        {"method: rslora, quantization: nf4", "method: qlora, use_rslora: true", "rslora",
         "rslora on nf4"},
        {"method: rslora, use_dora: true", "method: dora, use_rslora: true", "dora",
         "dora"},
        {"method: lora, quantization: fp4", "quantization: fp4", "lora", "lora on fp4"},
        {"method: prefix, quantization: nf4", NULL, "prefix", "prefix on nf4"},
        {"method: lora", "method: qlora, quantization: none", "lora", "lora"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct method_facts facts, read;
        char key[65], other[65];
        json_t *t = trial(cases[i].trial),
               *same = trial(cases[i].same ? cases[i].same : cases[i].trial);
        trial_key(t, key);
        trial_key(same, other);
        assert_string_equal(key, other);
        assert_true(json_equal(t, same));
        method_facts_of(t, &facts);
        assert_string_equal(facts.name, cases[i].name);
        assert_string_equal(facts.shown, cases[i].shown);
        json_t *j = method_facts_json(&facts);
        assert_true(method_facts_read(j, &read));
        assert_memory_equal(&read, &facts, sizeof read);
        json_object_set_new(j, "changes_base", json_string("a little"));
        assert_false(method_facts_read(j, &read));
        json_decref(j);
        json_decref(t);
        json_decref(same);
    }
    struct method_facts read;
    assert_false(method_facts_read(NULL, &read));
}

/* --- stores of version 2 --- */

static void add_runs(struct store *s, json_t *const *trials, size_t count)
{
    struct err err = ERR_INIT;
    int64_t sweep = 0, experiment = 0;
    size_t added = 0;
    json_t *file = json_object(), *environment = proc_environment();
    struct trial_row rows[MAX] = {{0}};
    assert_int_equal(store_experiment(s, "e", &experiment, &err), 0);
    assert_int_equal(store_sweep(s, experiment, "s", file, "/", &sweep, &err), 0);
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct trial_row){.sweep = sweep,
                                     .experiment = experiment,
                                     .number = (int64_t)i,
                                     .key = "k",
                                     .seed = i,
                                     .base_dir = "/",
                                     .config = trials[i],
                                     .params = trials[i],
                                     .predicted_bytes = -1,
                                     .predicted_s = NAN,
                                     .state = TRIAL_waiting};
    if (store_add_trials(s, rows, count, &added, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < count; i++) {
        struct run_claim c;
        assert_int_equal(store_claim(s, sweep, 0, 60000, NULL, &c, &err), 1);
        if (i + 1 == count) /* as a program of the user's */
            json_object_set_new(environment, "command", json_pack("[s]", "train.py"));
        assert_int_equal(store_set_environment(s, c.run, environment, &err), 0);
        assert_int_equal(store_run_finish(s, c.run, TRIAL_complete, 0, NULL, &err), 0);
    }
    json_decref(file);
    json_decref(environment);
}

/* Takes the store back to the version before facts were kept. */
static void make_older(const char *path)
{
    sqlite3 *db = NULL;
    char *said = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(
            db,
            "DROP VIEW run_view; DROP VIEW trial_view; DROP TABLE store; "
            "DROP VIEW bench_view; DROP VIEW bench_setting_view; "
            "DROP VIEW bench_point_view; DROP VIEW bench_batch_view; "
            "DROP TABLE bench_batch; DROP TABLE bench_point; "
            "DROP TABLE bench_setting; DROP TABLE bench; "
            "DROP VIEW summary_view; DROP VIEW series_view; DROP VIEW param_view; "
            "DROP VIEW run_param_view; DROP VIEW input_view; DROP VIEW sweep_view; DROP "
            "VIEW tag_view; "
            "DROP VIEW experiment_view; DROP VIEW artifact_view; "
            "DROP VIEW event_view; DROP TABLE metric_more; "
            "DROP TABLE experiment_tag; DROP TABLE dataset_input; "
            "DROP TABLE run_param; DROP INDEX trial_by_sweep; "
            "DROP INDEX trial_by_experiment; DROP INDEX trial_deleted; "
            "CREATE INDEX trial_by_sweep ON trial (sweep); "
            "CREATE INDEX trial_by_experiment ON trial (experiment); "
            "ALTER TABLE experiment DROP COLUMN deleted_ms; "
            "ALTER TABLE experiment DROP COLUMN updated_ms; "
            "ALTER TABLE experiment DROP COLUMN artifact_location; "
            "ALTER TABLE trial DROP COLUMN deleted_ms; "
            "ALTER TABLE trial DROP COLUMN origin; "
            "ALTER TABLE metric DROP COLUMN at_ms; "
            "ALTER TABLE run DROP "
            "COLUMN method_json; PRAGMA user_version = 2",
            NULL, NULL, &said) != SQLITE_OK)
        fail_msg("%s", said);
    sqlite3_close(db);
}

/* The table in tracker/store/upgrade_2.sql says what the rows say. A method that came
 * later than version 3 needs no row there. */
static void test_upgrade(void **state)
{
    (void)state;
    char dir[] = "/tmp/peftlab-methods-XXXXXX", path[64];
    struct err err = ERR_INIT;
    struct method_facts all[MAX];
    struct store *s;
    json_t *trials[MAX];
    size_t n = method_facts_all(all, MAX), i;
    for (i = 0; i < n; i++)
        trials[i] = trial_of(all[i].name);
    trials[n++] = trial("method: lora, bias: all, quantization: fp4");
    trials[n++] = trial("method: rslora, quantization: nf4");
    trials[n++] = trial("method: lora, init_lora_weights: olora");
    trials[n++] = trial("method: lora");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.db", dir);
    assert_int_equal(store_open(path, STORE_CREATE, &s, &err), 0);
    add_runs(s, trials, n);
    store_close(s);
    make_older(path);
    if (store_open(path, 0, &s, &err) < 0)
        fail_msg("%s", err.msg);
    json_t *row, *result = store_query(s,
                                       "SELECT method_facts FROM trial_view ORDER BY "
                                       "number",
                                       NULL, MAX, &err);
    assert_int_equal(json_array_size(json_object_get(result, "rows")), n);
    size_t compared = 0;
    json_array_foreach(json_object_get(result, "rows"), i, row)
    {
        const char *text = json_string_value(json_array_get(row, 0));
        struct method_facts facts;
        method_facts_of(trials[i], &facts);
        json_t *now = method_facts_json(&facts),
               *kept = text ? json_parse(text, strlen(text), "facts", NULL) : NULL;
        if (i + 1 == n)
            assert_null(text);
        else if (text && !json_equal(now, kept))
            fail_msg("%s: the upgrade says %s", facts.name, text);
        compared += text != NULL;
        json_decref(now);
        json_decref(kept);
        json_decref(trials[i]);
    }
    assert_true(compared >= 12 + 5 + 3); /* methods, presets and more of version 3 */
    json_decref(result);
    store_close(s);
    assert_int_equal(fs_remove_tree(dir, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),  cmocka_unit_test(test_quantisable),
        cmocka_unit_test(test_keys),   cmocka_unit_test(test_base),
        cmocka_unit_test(test_called), cmocka_unit_test(test_upgrade),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
