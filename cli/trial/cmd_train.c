/* cli/trial/cmd_train.c - `peftlab train`: one trial file into one run folder. */
#include "cli/trial/trial_command.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/text_table.h"
#include "runner/metric/metric.h"
#include "runner/train/profile.h"
#include "runner/trial.h"
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
static const struct opt_def options[] = {
    {.key = "out", .type = OPT_PATH, .group = "output", .flags = OPT_REQUIRED,
     .metavar = "DIR", .help = "run folder: trace.jsonl, adapter/, result.json"},
    {.key = "profile", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "time each op of the updates: calls, ms, GFLOP/s, shares"},
    {.key = "overwrite", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "replace the finished training of another trial in DIR"},
    {.key = "json", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "print result.json"},
};
/* clang-format on */
static const struct opt_table table = {"train", options, ARRAY_LEN(options)};

/* The metrics that the problem has, "eval: mse 0.0420, pearson 0.9100, loss 0.0420". */
static void print_scores(const char *split, const json_t *scores)
{
    size_t shown = 0;
    for (size_t m = 0; m < metric_count; m++) {
        const json_t *v = json_object_get(scores, metric_defs[m].name);
        if (!v)
            continue;
        char *text = json_is_number(v) ? xasprintf("%.4f", json_number_value(v))
                                       : xstrdup(json_string_value(v));
        printf("%s%s%s %s", shown ? "" : split, shown ? ", " : ": ", metric_defs[m].name,
               text);
        shown++;
        free(text);
    }
    if (shown)
        putchar('\n');
}

static void print_summary(const char *out, bool as_json)
{
    char *path = xasprintf("%s/result.json", out);
    json_t *r = json_read_file(path, NULL);
    struct buf b = BUF_INIT;
    if (as_json) {
        json_write(&b, r, 1);
        puts(buf_str(&b));
    } else {
        const json_t *t = json_object_get(r, "throughput");
        text_print(stdout, "%s\n", out);
        print_scores("eval", json_object_get(r, "eval"));
        print_scores("test", json_object_get(r, "test"));
        printf("%.1f samples/s, %.0f tokens/s, planned memory %.1f MiB\n",
               json_get_num(t, "samples_per_s", 0), json_get_num(t, "tokens_per_s", 0),
               json_get_num(json_object_get(r, "mem"), "planned_bytes", 0) / 1048576.0);
        if (json_object_get(r, "profile"))
            profile_print(r, stdout);
    }
    buf_release(&b);
    json_decref(r);
    free(path);
}

static int train(const struct trial_command *t, struct err *err)
{
    const struct trial_run place = {.out_dir = json_get_str(t->values, "out", NULL),
                                    .profile = json_get_bool(t->values, "profile", 0),
                                    .overwrite =
                                        json_get_bool(t->values, "overwrite", 0)};
    struct sink *sink = sink_null();
    proc_catch_signals();
    int rc = trial_train(t->trial, t->base_dir, &place, sink, err);
    sink_close(sink, NULL);
    if (!rc)
        print_summary(place.out_dir, json_get_bool(t->values, "json", 0));
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    struct trial_command t;
    int rc = trial_command_open(&t, &cmd_train, argc, argv, err);
    if (!rc && t.done)
        opt_print_help(&trial_options, false, stdout);
    else if (!rc)
        rc = train(&t, err);
    trial_command_release(&t);
    return rc;
}

const struct command cmd_train = {
    .name = "train",
    .usage = "train TRIAL.yaml [key=value ...] --out DIR",
    .help = "Train one trial file; keys of the file may be overridden.",
    .group = "Trials",
    .options = &table,
    .run = run,
};
