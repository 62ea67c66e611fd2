/* cli/trial/cmd_merge.c - `peftlab merge`: an adapter worked into its base, as a Hugging
 * Face folder. */
#include "cli/trial/trial_command.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/merge/merge.h"
#include "runner/trial.h"
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
static const struct opt_def options[] = {
    {.key = "adapter", .type = OPT_PATH, .group = "input", .flags = OPT_REQUIRED,
     .metavar = "DIR", .help = "adapter folder"},
    {.key = "out", .type = OPT_PATH, .group = "output", .flags = OPT_REQUIRED,
     .metavar = "DIR", .help = "model folder to write: config, weights, tokenizer"},
    {.key = "dtype", .type = OPT_CHOICE, .choices = "base|f32|f16|bf16", .preset = "base",
     .group = "output", .help = "numbers of the weights: as in the base (by base_dtype; 4 bits: "
     "what they were quantised from; GGUF's blocks: f32), or all the same"},
    {.key = "shard_size", .type = OPT_FLOAT, .preset = "5", .group = "output",
     .metavar = "GB", .min = 1e-9, .max = 1e6,
     .help = "cut weights of more than that into shards, with an index"},
    {.key = "overwrite", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "replace the model in DIR: the folder, in one step, at the end"},
    {.key = "json", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "print the report as JSON"},
};
/* clang-format on */
static const struct opt_table table = {"merge", options, ARRAY_LEN(options)};

static void print_json(const char *out, const struct merge_report *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "out", json_string(out));
    json_object_set_new(o, "tensors", json_integer(r->tensors));
    json_object_set_new(o, "bytes", json_integer(r->bytes));
    json_object_set_new(o, "files", json_integer(r->files));
    json_object_set_new(o, "dtype", json_string(dtype_word(r->dtype)));
    json_object_set_new(o, "layers", json_integer(r->layers));
    json_object_set_new(o, "rows", json_integer(r->rows));
    if (*r->not_compared)
        json_object_set_new(o, "not_compared", json_string(r->not_compared));
    json_object_set_new(o, "largest_change",
                        r->rows ? json_number_or_word(r->largest_change) : json_null());
    json_object_set_new(o, "largest_logit",
                        r->rows ? json_number_or_word(r->largest_logit) : json_null());
    command_print_json(o);
}

static void print_report(const char *out, const struct merge_report *r)
{
    char size[32];
    text_print(stdout, "%s: %lld tensors, %s in %s%s, %lld layers merged\n", out,
               (long long)r->tensors, str_bytes(size, sizeof size, (double)r->bytes),
               dtype_word(r->dtype), r->files > 1 ? ", in shards" : "",
               (long long)r->layers);
    if (r->rows)
        text_print(
            stdout,
            "largest change of a logit on %lld rows of eval_data: %.2e (largest logit "
            "%.3g)\n",
            (long long)r->rows, r->largest_change, r->largest_logit);
    else if (*r->not_compared)
        text_print(stdout, "the change of the logits is not known: %s\n",
                   r->not_compared);
    else
        text_print(stdout, "the trial has no eval_data, so that the change of the logits "
                           "is not known\n");
}

static int run(int argc, char **argv, struct err *err)
{
    struct trial_command t;
    struct merge_report report;
    int rc = trial_command_open(&t, &cmd_merge, trial_resolve_use, argc, argv, err);
    if (!rc && !t.done) {
        const struct merge_target to = {
            .out = json_get_str(t.values, "out", NULL),
            .dtype = merge_dtype(json_get_str(t.values, "dtype", NULL)),
            .shard_bytes = (int64_t)(1e9 * json_get_num(t.values, "shard_size", 5)),
            .overwrite = json_get_bool(t.values, "overwrite", 0)};
        rc = merge_folder(t.trial, t.base_dir, json_get_str(t.values, "adapter", NULL),
                          &to, &report, err);
        if (!rc)
            (json_get_bool(t.values, "json", 0) ? print_json : print_report)(to.out,
                                                                             &report);
    }
    trial_command_release(&t);
    return rc;
}

const struct command cmd_merge = {
    .name = "merge",
    .usage = "merge TRIAL.yaml [key=value ...] --adapter DIR --out DIR",
    .help = "Work an adapter into its base model.",
    .group = "Trials",
    .options = &table,
    .run = run,
};
