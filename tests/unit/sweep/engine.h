/* tests/unit/sweep/engine.h - the controller's loop with a real store and real processes:
 * a test program is also the child that the launcher starts ("trial ID --store ..."). Such a
 * trial has `updates` steps of a made-up loss, quality + spread * (seed ? -1 : 1) + noise *
 * (a number of the seed and quality) + 1 / step, told to the store as the trainer tells it.
 * One with `hangs` waits after its second step until it is asked to stop, so that a rule
 * has time to judge it. One whose quality is below `floor` runs out of memory. One that
 * `deletes` deletes what waits, as MLflow's API does. */
#ifndef TESTS_SWEEP_ENGINE_H
#define TESTS_SWEEP_ENGINE_H

#include "tests/unit/sweep/fixture.h"
#include "lib/hash.h"
#include "lib/rng.h"
#include "sweep/sweep.h"
#include "tests/unit/tracker/fixture.h"
#include "tracker/store/store_priv.h"

/* --- the child --- */

static const char *flag(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], name, strlen(name)))
            return argv[i][strlen(name)] == '=' ? argv[i] + strlen(name) + 1
                                                : argv[i + 1 < argc ? i + 1 : i];
    return NULL;
}

static double loss_at(const json_t *config, int64_t step)
{
    const double spread = json_get_num(config, "spread", 0);
    const double quality = json_get_num(config, "quality", 0);
    const int64_t seed = json_get_int(config, "seed", 0);
    const struct philox_key key = rng_key((uint64_t)seed, "loss");
    return quality + (seed ? -spread : spread) +
           json_get_num(config, "noise", 0) *
               rng_normal(&key, 0, (uint64_t)(quality * 64)) +
           1.0 / (double)step;
}

static void hang(struct sink *sink)
{
    for (int i = 0; i < 200 && !proc_signals(NULL) && sink->ops->alive(sink); i++)
        usleep(100000);
}

static enum trial_state train(const json_t *config, int64_t until, struct sink *sink)
{
    const int64_t all = json_get_int(config, "updates", 1);
    const int64_t end = until && until < all ? until : all;
    if (json_get_num(config, "quality", 0) < json_get_num(config, "floor", -INFINITY))
        return TRIAL_oom;
    for (int64_t step = 1; step <= end; step++) {
        sink->ops->metric(sink, "eval/loss", step, loss_at(config, step));
        if (step == 2 && json_get_bool(config, "hangs", 0))
            hang(sink);
        if (proc_signals(NULL))
            return TRIAL_preempted;
    }
    sink->ops->metric(sink, "eval/loss", -1, loss_at(config, end));
    return end < all ? TRIAL_preempted : TRIAL_complete;
}

static int child(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct store *store;
    struct run_claim claim;
    struct trial_row t;
    const char *given = flag(argc, argv, "--until-step");
    const int64_t until = given ? atoll(given) : 0;
    proc_catch_signals();
    if (store_open(flag(argc, argv, "--store"), 0, &store, &err) < 0 ||
        store_claim(store, 0, atoll(argv[2]), 30000, NULL, &claim, &err) != 1 ||
        store_get_trial(store, claim.trial, &t, &err) < 0 ||
        (until && store_run_until(store, claim.run, until, &err) < 0)) {
        fprintf(stderr, "%s\n", err.msg);
        return 75;
    }
    struct sink *sink = sink_local(store, claim.run, 30000);
    const enum trial_state state = train(t.config, until, sink);
    if (json_get_bool(t.config, "deletes", 0))
        store_script(store, "UPDATE trial SET deleted_ms = 1 WHERE state = 'waiting'",
                     &err);
    const int code = state == TRIAL_preempted && proc_signals(NULL) ? 75 : 0;
    sink_close(sink, NULL);
    store_run_finish(store, claim.run, state, code, code ? "stopped" : "parked", &err);
    trial_row_release(&t);
    store_close(store);
    return code;
}

/* --- the trainer's side --- */

static const struct opt_def key_rows[] = {
    {.key = "model", .type = OPT_STRING},   {.key = "quality", .type = OPT_FLOAT},
    {.key = "spread", .type = OPT_FLOAT},   {.key = "updates", .type = OPT_INT},
    {.key = "eval_steps", .type = OPT_INT}, {.key = "hangs", .type = OPT_BOOL},
    {.key = "seed", .type = OPT_INT},       {.key = "floor", .type = OPT_FLOAT},
    {.key = "noise", .type = OPT_FLOAT},    {.key = "deletes", .type = OPT_BOOL},
};
static const struct opt_table keys = {"trial", key_rows, ARRAY_LEN(key_rows)};

static int resolve(const json_t *given, json_t **resolved, struct err *err)
{
    (void)err;
    *resolved = json_copy((json_t *)given);
    return 0;
}

static int predict(const json_t *resolved, const char *base_dir,
                   struct sweep_prediction *out, struct err *err)
{
    (void)base_dir;
    (void)err;
    *out = (struct sweep_prediction){.peak_bytes = 1000,
                                     .seconds = 0.01,
                                     .updates = json_get_int(resolved, "updates", 1),
                                     .updates_per_epoch = 2};
    return 0;
}

static const struct sweep_hooks hooks = {&keys, resolve, key_of, predict, NULL};

/* --- running --- */

#define HEAD                                                                             \
    "name: s\nmetric: {name: eval/loss}\n"                                               \
    "parameters:\n  model: {value: m}\n  eval_steps: {value: 1}\n"

/* Runs the file to its end and returns what was printed. */
static char *run_file(struct fixture *f, const char *text, const char *word, int jobs,
                      int *status, struct err *err)
{
    struct sweep_file *file = NULL;
    struct sweep_plan plan;
    char *out = NULL, *root = fs_join(f->dir, "runs");
    size_t size = 0;
    FILE *stream = open_memstream(&out, &size);
    const struct sweep_run_options o = {.run_root = root, .jobs = jobs, .out = stream};
    *status = sweep_file_parse(text, strlen(text), "s.yaml", false, &word, word ? 1 : 0,
                               &keys, &file, err);
    if (*status == 0)
        *status = sweep_plan_make(file, &hooks, false, &plan, err);
    if (*status == 0) {
        *status = sweep_run(&plan, &hooks, f->store, &o, err);
        sweep_plan_release(&plan);
    }
    sweep_file_free(file);
    fclose(stream);
    free(root);
    return out;
}

/* Must end well. */
static void run(struct fixture *f, const char *text, const char *word, int jobs)
{
    struct err err = ERR_INIT;
    int status;
    char *out = run_file(f, text, word, jobs, &status, &err);
    if (status != 0)
        fail_msg("status %d, %s\n%s", status, err.msg, out);
    free(out);
}

static void refused(struct fixture *f, const char *text, const char *words)
{
    struct err err = ERR_INIT;
    int status;
    char *out = run_file(f, text, NULL, 1, &status, &err);
    assert_int_equal(status, -ERR_CONFIG);
    if (!strstr(err.msg, words))
        fail_msg("'%s' lacks '%s'", err.msg, words);
    free(out);
}

/* Rows of a query as one line: "1 2|3 4". */
static void expect(struct fixture *f, const char *sql, const char *wanted)
{
    struct buf got = BUF_INIT;
    json_t *rows = query_rows(f->store, sql), *row, *cell;
    size_t i, k;
    json_array_foreach(rows, i, row)
    {
        buf_str_add(&got, i ? "|" : "");
        json_array_foreach(row, k, cell)
        {
            buf_str_add(&got, k ? " " : "");
            if (json_is_string(cell))
                buf_str_add(&got, json_string_value(cell));
            else if (!json_is_null(cell))
                json_write(&got, cell, 0);
            else
                buf_str_add(&got, "-");
        }
    }
    json_decref(rows);
    if (strcmp(buf_str(&got), wanted))
        fail_msg("%s\n  gives %s\n  not   %s", sql, buf_str(&got), wanted);
    buf_release(&got);
}

#endif
