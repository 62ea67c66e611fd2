/* cli/trial/cmd_train.c - `peftlab train`: one trial file into one run folder. */
#include "cli/trial/recorded.h"
#include "cli/trial/shown.h"
#include "cli/trial/trial_command.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/text_table.h"
#include "runner/metric/metric.h"
#include "runner/train/profile.h"
#include "runner/trial.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
static const struct opt_def options[] = {
    {.key = "out", .type = OPT_PATH, .group = "output", .flags = OPT_REQUIRED,
     .metavar = "DIR", .help = "run folder: trace.jsonl, adapter/, result.json, rows_*.bin (what each "
                               "row of eval_data and test_data got)"},
    {.key = "profile", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "time each op of the updates: calls, ms, GFLOP/s, shares"},
    {.key = "overwrite", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "replace the finished training of another trial in DIR"},
    {.key = "json", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "print result.json"},
    RECORD_OPTIONS,
};
/* clang-format on */
static const struct opt_table table = {"train", options, ARRAY_LEN(options)};

/* "eval: accuracy 0.8750, loss 0.3312", whatever the task measures. */
static void print_evaluation(const json_t *r, const char *split)
{
    const json_t *values = json_object_get(r, split);
    struct buf line = BUF_INIT;
    for (size_t m = 0; m < metric_count; m++)
        if (json_object_get(values, metric_defs[m].name))
            buf_printf(&line, "%s%s %.4f", line.len ? ", " : "", metric_defs[m].name,
                       json_get_num(values, metric_defs[m].name, NAN));
    if (line.len)
        text_print(stdout, "%s: %s\n", split, buf_str(&line));
    buf_release(&line);
}

static void print_summary(const json_t *r, const char *out)
{
    const json_t *t = json_object_get(r, "throughput"), *mem = json_object_get(r, "mem");
    text_print(stdout, "%s: %s, %lld trainable parameters\n", out,
               json_get_str(json_object_get(r, "method"), "shown", ""),
               (long long)json_get_int(json_object_get(r, "params"), "trainable", 0));
    print_evaluation(r, "eval");
    print_evaluation(r, "test");
    text_print(stdout, "%.1f samples/s, %.0f tokens/s, planned memory %.1f MiB\n",
               json_get_num(t, "samples_per_s", 0), json_get_num(t, "tokens_per_s", 0),
               json_get_num(mem, "planned_bytes", 0) / 1048576.0);
    const json_t *course = json_object_get(r, "train");
    const double reused = json_get_num(course, "reused_tokens", 0);
    if (reused > 0)
        text_print(stdout,
                   "frozen layers ran once per row (cache_features): not for %.0f %% of "
                   "the tokens, %.0f %% of the work left out\n",
                   100 * reused / json_get_num(course, "tokens", 1),
                   100 / (1 + json_get_num(course, "flops", 0) /
                                  json_get_num(course, "reused_flops", 1)));
    if (json_object_get(r, "profile"))
        profile_print(r, stdout);
}

static void print_result(const char *out, bool as_json)
{
    char *path = xasprintf("%s/result.json", out);
    json_t *r = json_read_file(path, NULL);
    if (as_json)
        command_print_json(json_incref(r));
    else
        print_summary(r, out);
    json_decref(r);
    free(path);
}

static int train(const struct trial_command *t, struct err *err)
{
    const struct trial_run place = {.out_dir = json_get_str(t->values, "out", NULL),
                                    .profile = json_get_bool(t->values, "profile", 0),
                                    .overwrite =
                                        json_get_bool(t->values, "overwrite", 0)};
    const bool as_json = json_get_bool(t->values, "json", 0);
    struct err why = ERR_INIT;
    struct recorded record;
    recorded_open(&record, t, place.out_dir);
    struct sink *sink = sink_shown(recorded_sink(&record), stderr);
    proc_catch_signals();
    int rc = trial_train(t->trial, t->base_dir, &place, sink, &why);
    sink_close(sink, NULL);
    const int64_t trial = recorded_end(&record, &why);
    if (!rc)
        print_result(place.out_dir, as_json);
    if (!rc && trial && !as_json)
        text_print(stdout, "trial %lld in %s: peftlab show %lld, peftlab ls\n",
                   (long long)trial, record.shown, (long long)trial);
    recorded_release(&record);
    return rc ? err_set(err, why.code, "%s", why.msg) : 0;
}

static int run(int argc, char **argv, struct err *err)
{
    struct trial_command t;
    int rc = trial_command_open(&t, &cmd_train, trial_resolve, argc, argv, err);
    if (!rc && t.done)
        opt_print_help(&trial_options, false, stdout);
    else if (!rc)
        rc = train(&t, err);
    trial_command_release(&t);
    return rc;
}

const struct command cmd_train = {
    .name = "train",
    .usage = "train TRIAL.yaml [key=value ...] --out DIR [--no-store]",
    .help = "Train one trial file; keys of the file may be overridden.",
    .group = "Trials",
    .options = &table,
    .run = run,
};
