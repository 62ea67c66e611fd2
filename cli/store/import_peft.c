/* cli/store/import_peft.c - a result file of huggingface/peft's method_comparison (one
 * run of one configuration): `run_info`, `train_info` with metrics by step, `meta_info`.
 *
 * Names become ours (test/accuracy, mem/..., time/...), memory in bytes, times in
 * seconds. The file does not say how many items its accuracies are shares of. The sizes
 * of the splits are known (GSM8K's test split has 1319 rows; 50 rows of MetaMathQA are
 * set aside for validation) and are taken where every accuracy of the split is a whole
 * number of items; else the number stays unknown. */
#include "cli/store/import_readers.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/peft/method.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GSM8K_TEST_ROWS     1319
#define METAMATH_VALID_ROWS 50
#define TOTAL_MAX_S         1e10 /* longer (317 years) is no time of a run */

/* Options of peft's LoRA that make a method of its own: ours by our rows' presets. */
static const char *const lora_flags[] = {"use_dora", "use_rslora"};

/* Summary values: where they stand, what they are called here. */
static const struct {
    const char *part, *theirs, *ours;
} values[] = {
    {"train_info", "train_time", "time/train_s"},
    {"run_info", "total_time", "time/total_s"},
    {"train_info", "file_size", "size/adapter_bytes"},
    {"train_info", "num_trainable_params", "params/trainable"},
    {"train_info", "num_total_params", "params/total"},
    {"train_info", "accelerator_memory_max", "mem/peak_device_bytes"},
    {"train_info", "accelerator_memory_reserved_avg", "mem/reserved_avg_bytes"},
    {"train_info", "accelerator_memory_reserved_99th", "mem/reserved_p99_bytes"},
};

/* Values by step; those with `last` also give a summary, of the last step. */
static const struct {
    const char *theirs, *ours, *last;
} series[] = {
    {"valid accuracy", "eval/accuracy", "eval/accuracy"},
    {"test accuracy", "test/accuracy", "test/accuracy"},
    {"forgetting", "test/forgetting", "test/forgetting"},
    {"train loss", "train/loss", "train/loss_last"},
    {"train samples", NULL, "train/samples"},
    {"train total tokens", NULL, "train/tokens"},
    {"tokens / sec", "throughput/tokens_per_s", NULL},
    {"mem allocated avg", "mem/allocated_avg_bytes", NULL},
    {"mem reserved avg", "mem/reserved_avg_bytes", NULL},
};

static void copy_member(json_t *to, const char *name, const json_t *from, const char *key)
{
    json_t *v = json_object_get(from, key);
    if (v && !json_is_null(v))
        json_object_set(to, name, v);
}

/* What of peft's we call by another name; the rest is lower case with '-'. */
static char *method_name(const json_t *peft_config)
{
    const bool adapts = json_is_object(peft_config);
    const char *type = adapts ? json_get_str(peft_config, "peft_type", "unknown") : "";
    const struct method *ours = adapts ? method_of_peft(type) : &method_full;
    struct method_facts facts = {.name = ""};
    if (ours && !json_is_true(json_object_get(peft_config, "use_qalora"))) {
        json_t *trial = json_pack("{s:s}", "method", ours->name);
        for (size_t i = 0; i < ARRAY_LEN(lora_flags); i++)
            copy_member(trial, lora_flags[i], peft_config, lora_flags[i]);
        method_facts_of(trial, &facts);
        json_decref(trial);
        return xstrdup(facts.name);
    }
    char *name = xstrdup(ours ? "qalora" : type);
    for (char *c = name; *c; c++)
        *c = *c == '_' ? '-' : (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    return name;
}

static json_t *make_params(const json_t *run_info)
{
    const json_t *train = json_object_get(run_info, "train_config"),
                 *peft = json_object_get(run_info, "peft_config"),
                 *optimizer = json_object_get(train, "optimizer_kwargs");
    char *method = method_name(peft);
    json_t *p = json_object();
    copy_member(p, "config", run_info, "experiment_name");
    copy_member(p, "model", train, "model_id");
    json_object_set_new(p, "task", json_string("causal-lm"));
    json_object_set_new(p, "method", json_string(method));
    copy_member(p, "rank", peft, "r");
    copy_member(p, "alpha", peft, "lora_alpha");
    copy_member(p, "target_modules", peft, "target_modules");
    copy_member(p, "num_virtual_tokens", peft, "num_virtual_tokens");
    copy_member(p, "learning_rate", optimizer, "lr");
    copy_member(p, "weight_decay", optimizer, "weight_decay");
    copy_member(p, "optim", train, "optimizer_type");
    copy_member(p, "lr_scheduler_type", train, "lr_scheduler");
    copy_member(p, "batch_size", train, "batch_size");
    copy_member(p, "max_steps", train, "max_steps");
    copy_member(p, "max_length", train, "max_seq_length");
    copy_member(p, "dtype", train, "dtype");
    free(method);
    return p;
}

/* ---- numbers ---- */

static bool read_number(const json_t *object, const char *key, double *out)
{
    const json_t *v = json_object_get(object, key);
    *out = json_is_number(v) ? json_number_value(v) : NAN;
    return json_is_number(v);
}

static bool is_share_of(double share, double items)
{
    return fabs(share * items - nearbyint(share * items)) < 1e-6 * items;
}

/* Of two values of one step the later: the last line repeats the training's with the
 * test's. */
static void add_point(json_t *all, const char *key, json_int_t step, double value)
{
    json_t *list = json_object_get(all, key);
    if (!list)
        json_object_set_new(all, key, list = json_array());
    const size_t n = json_array_size(list);
    const json_t *newest = n ? json_array_get(list, n - 1) : NULL;
    if (n && json_integer_value(json_array_get(newest, 0)) == step)
        json_array_remove(list, n - 1);
    json_array_append_new(list, json_pack("[I, o]", step, json_number_or_word(value)));
}

/* Two points of one step are one point of a store, so that no step may be guessed. */
static int check_steps(const json_t *metrics, struct err *err)
{
    const json_t *m;
    size_t i;
    json_array_foreach((json_t *)metrics, i, m)
    {
        const json_t *step = json_object_get(m, "step");
        if (json_is_integer(step) && json_integer_value(step) >= 0)
            continue;
        char *said = step ? json_dumps(step, JSON_ENCODE_ANY) : NULL;
        err_set(
            err, ERR_PARSE,
            "train_info.metrics[%zu]: step is %.40s, wanted is a whole number from 0 on",
            i, said ? said : "missing");
        free(said);
        return err_code(err);
    }
    return 0;
}

/* What happened at a step in several lines (training, then the test) is one step. */
static void take_metrics(const json_t *metrics, json_t *summary, json_t *all)
{
    double v, eval_s = 0, items = METAMATH_VALID_ROWS;
    const json_t *m;
    size_t i;
    json_array_foreach((json_t *)metrics, i, m)
    {
        json_int_t step = json_get_int(m, "step", 0);
        for (size_t k = 0; k < ARRAY_LEN(series); k++) {
            if (!read_number(m, series[k].theirs, &v))
                continue;
            if (series[k].ours)
                add_point(all, series[k].ours, step, v);
            if (series[k].last)
                json_object_set_new(summary, series[k].last, json_number_or_word(v));
        }
        if (read_number(m, "eval time", &v))
            eval_s += v;
        if (read_number(m, "valid accuracy", &v) && !is_share_of(v, items))
            items = 0;
        if (read_number(m, "test accuracy", &v) && is_share_of(v, GSM8K_TEST_ROWS))
            json_object_set_new(summary, "data/test_rows", json_integer(GSM8K_TEST_ROWS));
    }
    if (eval_s > 0)
        json_object_set_new(summary, "time/eval_s", json_real(eval_s));
    if (items > 0 && json_object_get(summary, "eval/accuracy"))
        json_object_set_new(summary, "data/eval_rows", json_real(items));
}

static void take_values(const json_t *file, json_t *summary)
{
    double v, tokens, seconds;
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        if (read_number(json_object_get(file, values[i].part), values[i].theirs, &v))
            json_object_set_new(summary, values[i].ours, json_number_or_word(v));
    const json_t *train = json_object_get(file, "train_info");
    if (read_number(summary, "train/tokens", &tokens) &&
        read_number(train, "train_time", &seconds) && seconds > 0)
        json_object_set_new(summary, "throughput/tokens_per_s",
                            json_real(tokens / seconds));
}

/* ---- surroundings ---- */

static json_t *make_environment(const json_t *file)
{
    const json_t *meta = json_object_get(file, "meta_info"),
                 *system = json_object_get(meta, "system_info");
    json_t *e = json_object();
    copy_member(e, "gpu", system, "accelerator");
    copy_member(e, "os", system, "system");
    copy_member(e, "kernel", system, "release");
    copy_member(e, "machine", system, "machine");
    copy_member(e, "packages", meta, "package_info");
    copy_member(e, "pytorch", meta, "pytorch_info");
    json_object_set_new(e, "revisions",
                        json_pack("{s:O?, s:O?}", "model",
                                  json_object_get(meta, "model_info"), "data",
                                  json_object_get(meta, "dataset_info")));
    return e;
}

/* "2026-07-15T05:41:18+00:00" in Unix milliseconds; 0 when it is something else. */
static int64_t read_time_ms(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int hours = 0, minutes = 0;
    char sign = '+';
    if (!rest)
        return 0;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (*rest && *rest != 'Z' && sscanf(rest, "%c%2d:%2d", &sign, &hours, &minutes) != 3)
        return 0;
    int64_t offset_s = (hours * 60 + minutes) * 60;
    return ((int64_t)timegm(&tm) - (sign == '-' ? -offset_s : offset_s)) * 1000;
}

static const char *state_name(const char *status)
{
    static const struct {
        const char *theirs, *ours;
    } states[] = {{"success", "complete"},
                  {"failed", "failed"},
                  {"canceled", "cancelled"},
                  {"cancelled", "cancelled"},
                  {"running", "failed"}};
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (str_eq(states[i].theirs, status))
            return states[i].ours;
    return NULL;
}

static json_t *make_run(const json_t *file, const char *state, const char *path)
{
    const json_t *run_info = json_object_get(file, "run_info"),
                 *train = json_object_get(file, "train_info");
    json_t *summary = json_object(), *all = json_object();
    take_metrics(json_object_get(train, "metrics"), summary, all);
    take_values(file, summary);
    int64_t started = read_time_ms(json_get_str(run_info, "created_at", ""));
    double total_s = json_get_num(run_info, "total_time", NAN);
    json_t *run =
        json_pack("{s:i, s:s, s:I, s:o, s:o, s:o, s:[o]}", "attempt", 1, "state", state,
                  "started_ms", (json_int_t)started, "summary", summary, "series", all,
                  "environment", make_environment(file), "events", import_event(path, 0));
    if (total_s >= 0 && total_s < TOTAL_MAX_S)
        json_object_set_new(run, "ended_ms",
                            json_integer(started + (int64_t)(total_s * 1000)));
    const char *message = json_get_str(run_info, "error_msg", "");
    if (*message)
        json_object_set_new(run, "reason", json_string(message));
    return run;
}

static int take_file(struct import *in, const json_t *file, const char *path,
                     const struct import_wish *wish, struct err *err)
{
    const json_t *run_info = json_object_get(file, "run_info"),
                 *train_info = json_object_get(file, "train_info"),
                 *train = json_object_get(run_info, "train_config");
    if (!json_is_object(train) ||
        !json_is_array(json_object_get(train_info, "metrics")) ||
        !json_get_str(run_info, "experiment_name", NULL))
        return err_set(
            err, ERR_PARSE,
            "not a result of peft's method_comparison (run_info.experiment_name,"
            " run_info.train_config and train_info.metrics are wanted)");
    const char *status = json_get_str(train_info, "status", ""),
               *state = state_name(status);
    if (!state)
        return err_set(err, ERR_PARSE, "train_info.status '%.100s' is not known", status);
    if (check_steps(json_object_get(train_info, "metrics"), err) < 0)
        return err_code(err);
    json_t *config = json_pack("{s:O, s:O?}", "train_config", train, "peft_config",
                               json_object_get(run_info, "peft_config"));
    json_object_set(config, "experiment_name",
                    json_object_get(run_info, "experiment_name"));
    json_t *trial =
        json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:[o]}", "type", "trial", "experiment",
                  wish->experiment, "seed", (json_int_t)json_get_int(train, "seed", 0),
                  "state", state, "params", make_params(run_info), "config", config,
                  "runs", make_run(file, state, path));
    int rc = import_object(in, trial, err);
    json_decref(trial);
    return rc;
}

int import_peft_result(struct import *in, const char *path,
                       const struct import_wish *wish, struct err *err)
{
    if (!wish->experiment)
        return err_set(err, ERR_USAGE, "peft results need --experiment NAME");
    json_t *file = json_read_file(path, err);
    if (!file)
        return err_code(err);
    int rc = take_file(in, file, path, wish, err);
    json_decref(file);
    return rc < 0 ? import_error(path, 0, err) : 0;
}
