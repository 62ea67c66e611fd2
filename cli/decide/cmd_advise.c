/* cli/decide/cmd_advise.c - `peftlab advise`: which method under these constraints, and
 * why. */
#include "cli/command.h"
#include "cli/decide/adviser.h"
#include "cli/decide/plan_item.h"
#include "cli/decide/task_advice.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct opt_def options[] = {
    {.key = "model", .type = OPT_STRING, .metavar = "NAME",
     .help = "base model: a folder, an id, or a known name (llama-2-7b, bert-base, ...)",
     .group = "what"},
    {.key = "tasks", .type = OPT_PATH, .metavar = "FILE",
     .help = "instead: how to serve the tasks of a file (docs/sla.md), by the trials and "
             "benches of the store", .group = "what"},
    {.key = "sweep", .type = OPT_STRING, .flags = OPT_REPEATED, .metavar = "NAME",
     .help = "trials of --tasks (default: the newest sweep)", .group = "evidence"},
    {.key = "task", .type = OPT_CHOICE, .choices = "seq-cls=SEQ_CLS=classification|causal-lm=CAUSAL_LM=generation",
     .help = "what is learned (default: by the base)", .group = "what"},
    {.key = "rows", .type = OPT_FLOAT, .min = 1, .max = 1e12, .metavar = "N",
     .help = "training rows (default: those of --train-data)", .group = "what"},
    {.key = "epochs", .type = OPT_FLOAT, .preset = "3", .min = 0.01, .max = 1e4,
     .metavar = "X", .help = "passes over them", .group = "what"},
    {.key = "seq_len", .aliases = "max_length", .type = OPT_INT, .min = 4, .max = 1000000,
     .metavar = "N", .help = "tokens per row (default: 512 for causal-lm, 128)",
     .group = "what"},
    {.key = "batch", .aliases = "batch_size", .type = OPT_INT, .preset = "16", .min = 1,
     .max = 100000, .metavar = "N", .help = "rows per update", .group = "what"},
    {.key = "rank", .type = OPT_INT, .min = 1, .max = 4096, .metavar = "N",
     .help = "of LoRA (default: by rows and base)", .group = "what"},
    {.key = "train_data", .type = OPT_PATH, .metavar = "FILE",
     .help = "the rows themselves: memory on this machine is then exact", .group = "what"},
    {.key = "eval_data", .type = OPT_PATH, .metavar = "FILE",
     .help = "rows to choose by, for the sweep file", .group = "what"},
    {.key = "gpu", .type = OPT_STRING, .metavar = "NxNAME",
     .help = "GPUs to train on, as 2xa100-40 (default: this machine)", .group = "limits"},
    {.key = "memory", .type = OPT_STRING, .metavar = "SIZE",
     .help = "memory of a device, as 24GB (default: the GPU's, this machine's)",
     .group = "limits"},
    {.key = "core_price", .type = OPT_FLOAT, .preset = "0.048", .min = 0, .max = 1000,
     .metavar = "USD", .help = "price of one core of this machine per hour",
     .group = "limits"},
    {.key = "hours", .type = OPT_FLOAT, .min = 0, .max = 1e6, .metavar = "X",
     .help = "longest training", .group = "limits"},
    {.key = "budget", .type = OPT_FLOAT, .min = 0, .max = 1e9, .metavar = "USD",
     .help = "of one training", .group = "limits"},
    {.key = "latency_ms", .type = OPT_FLOAT, .min = 0, .max = 1e9, .metavar = "MS",
     .help = "of a single request; of a language model, of each token that it writes",
     .group = "limits"},
    {.key = "ttft_ms", .type = OPT_FLOAT, .min = 0, .max = 1e9, .metavar = "MS",
     .help = "language models: to the first token, behind a prompt of --seq-len tokens",
     .group = "limits"},
    {.key = "base_untouched", .type = OPT_BOOL, .preset = "false",
     .help = "the base must stay byte-identical (certified, shared)", .group = "limits"},
    {.key = "tasks_later", .type = OPT_BOOL, .preset = "false",
     .help = "further tasks are added to the same base later", .group = "limits"},
    {.key = "keep_skills", .type = OPT_BOOL, .preset = "false",
     .help = "the base's other skills must stay", .group = "limits"},
    {.key = "checkpointing", .type = OPT_CHOICE, .preset = "auto", .choices = "auto|on|off",
     .help = "gradient checkpointing", .group = "limits"},
    {.key = "store", .type = OPT_PATH, .metavar = "FILE",
     .help = "evidence of its trials on the same task and base (default: PEFTLAB_STORE, "
             "then ./peftlab.db)", .group = "evidence"},
    {.key = "gpus", .type = OPT_PATH, .metavar = "FILE",
     .help = "catalogue of GPUs (default: built in)", .group = "evidence"},
    {.key = "prices", .type = OPT_PATH, .metavar = "FILE",
     .help = "prices of GPUs (default: built in, dated)", .group = "evidence"},
    {.key = "write", .type = OPT_PATH, .metavar = "FILE",
     .help = "write the first sweep file to run", .group = "output"},
    JSON_OPTION,
};
/* clang-format on */
static const struct opt_table table = {"advise", options, ARRAY_LEN(options)};

/* --- what was asked --- */

/* "24GB", "16 GiB", "8e9" as bytes; NaN: no size. */
static double parse_size(const char *text)
{
    static const char units[] = "KMGT";
    char *end;
    double n = strtod(text, &end);
    const bool number = end != text;
    end += strspn(end, " ");
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (unit) {
        const bool binary = end[1] == 'i';
        n *= pow(binary ? 1024 : 1000, (double)(unit - units + 1));
        end += binary ? 2 : 1;
    }
    end += *end == 'B';
    return !number || *end || !(n > 0) || !isfinite(n) ? NAN : n;
}

static int read_limits(const json_t *v, const struct catalog *c, struct advise_request *r,
                       struct err *err)
{
    const char *gpu = json_get_str(v, "gpu", NULL),
               *size = json_get_str(v, "memory", NULL), *data = r->train_data;
    int rc = gpu ? machine_parse(c, gpu, &r->machine, err) : 0;
    r->machine.count = gpu ? r->machine.count : 1;
    if (rc)
        return rc;
    r->memory_bytes =
        gpu ? r->machine.gpu->memory_bytes : (double)proc_memory_limit_bytes();
    if (size && !isfinite(r->memory_bytes = parse_size(size)))
        return err_set(err, ERR_USAGE, "advise: --memory '%s' is no size such as 24GB",
                       size);
    if (data && !isfinite(r->rows) && !isfinite(r->rows = count_lines(data, err)))
        return err_code(err);
    if (!r->shape.decoder && str_eq(r->task, "causal-lm"))
        return err_set(err, ERR_CONFIG,
                       "advise: '%s' is an encoder; for causal-lm take a language model",
                       r->model);
    if (isfinite(r->ttft_ms) && !str_eq(r->task, "causal-lm"))
        return err_set(err, ERR_USAGE,
                       "advise: --ttft-ms is of language models; a classifier has "
                       "--latency-ms");
    if (r->seq_len > r->shape.positions)
        return err_set(err, ERR_CONFIG,
                       "advise: '%s' has %.0f positions, --seq-len is %.0f", r->model,
                       r->shape.positions, r->seq_len);
    return 0;
}

static int read_request(const json_t *v, const struct catalog *c,
                        struct advise_request *r, struct err *err)
{
    const char *way = json_get_str(v, "checkpointing", "auto");
    r->task = json_get_str(v, "task", r->shape.decoder ? "causal-lm" : "seq-cls");
    r->rows = json_get_num(v, "rows", NAN);
    r->epochs = json_get_num(v, "epochs", 3);
    r->seq_len = json_get_num(
        v, "seq_len", fmin(str_eq(r->task, "causal-lm") ? 512 : 128, r->shape.positions));
    r->batch = json_get_num(v, "batch", 16);
    r->rank = json_get_num(v, "rank", NAN);
    r->usd_per_hour = json_get_num(v, "core_price", NAN) * proc_cpu_count();
    r->hours = json_get_num(v, "hours", NAN);
    r->usd = json_get_num(v, "budget", NAN);
    r->latency_ms = json_get_num(v, "latency_ms", NAN);
    r->ttft_ms = json_get_num(v, "ttft_ms", NAN);
    r->base_untouched = json_get_bool(v, "base_untouched", 0);
    r->tasks_later = json_get_bool(v, "tasks_later", 0);
    r->keep_skills = json_get_bool(v, "keep_skills", 0);
    r->checkpointing = str_eq(way, "on") ? 1 : str_eq(way, "off") ? 0 : -1;
    r->train_data = json_get_str(v, "train_data", NULL);
    r->eval_data = json_get_str(v, "eval_data", NULL);
    return read_limits(v, c, r, err);
}

/* --- the command --- */

static int write_sweep(const struct advise *a, const char *path, struct err *err)
{
    char *text = advise_sweep(a);
    if (!text)
        return err_set(err, ERR_FAILED, "no method is left: there is no sweep to write");
    int rc = fs_write_atomic(path, text, strlen(text), err);
    free(text);
    return rc;
}

static int answer(const json_t *values, const struct advise *a, struct err *err)
{
    const char *path = json_get_str(values, "write", NULL);
    const bool as_json = json_get_bool(values, "json", 0);
    if (as_json) {
        command_print_json(advise_json(a));
    } else {
        advise_print(a, stdout);
    }
    int rc = path ? write_sweep(a, path, err) : 0;
    if (!rc && path && !as_json)
        text_print(stdout, "\nThe first sweep is in %s: peftlab sweep plan %s\n", path,
                   path);
    return rc ? rc : !a->open;
}

/* Paths of a sweep file are relative to it. */
static void from_file(const char **path, const char *write, char **owned)
{
    if (*path && write && strchr(write, '/'))
        *path = *owned = fs_absolute(*path);
}

static int make_and_answer(const json_t *values, struct advise_request *r,
                           struct err *err)
{
    const char *write = json_get_str(values, "write", NULL);
    char *owned[3] = {NULL, NULL, NULL};
    struct advise a;
    int rc = advise_make(r, &a, err);
    if (rc)
        return rc;
    from_file(&r->train_data, write, &owned[0]);
    from_file(&r->eval_data, write, &owned[1]);
    if (fs_exists(r->model))
        from_file(&r->model, write, &owned[2]);
    rc = answer(values, &a, err);
    advise_release(&a);
    for (size_t i = 0; i < ARRAY_LEN(owned); i++)
        free(owned[i]);
    return rc;
}

static int advise(const json_t *values, struct err *err)
{
    const char *model = json_get_str(values, "model", NULL);
    struct adviser a;
    if (!model)
        return err_set(err, ERR_USAGE, "advise: --model is missing (usage: peftlab %s)",
                       cmd_advise.usage);
    int rc = adviser_open(&a, model, json_get_str(values, "gpus", NULL),
                          json_get_str(values, "prices", NULL),
                          json_get_str(values, "store", NULL), err);
    if (!rc)
        rc = read_request(values, &a.catalog, &a.request, err);
    if (!rc)
        rc = make_and_answer(values, &a.request, err);
    adviser_close(&a);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    size_t count = 0;
    bool done = false;
    int rc = command_parse(&cmd_advise, argc, argv, &values, NULL, 0, &count, &done, err);
    if (!rc && !done)
        rc = json_get_str(values, "tasks", NULL) ? task_advice(values, err)
                                                 : advise(values, err);
    json_decref(values);
    return rc;
}

const struct command cmd_advise = {
    .name = "advise",
    .usage = "advise --model NAME [--gpu 2xa100-40] [--rows N] [--base-untouched] ... | "
             "advise --tasks FILE",
    .help = "Rank methods under your constraints: memory, time, cost, priors, evidence.",
    .group = "Trials",
    .options = &table,
    .run = run,
};
