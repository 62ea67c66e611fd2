/* sweep/file/tables.c - the keys of a sweep file, one table per section. */
#include "lib/mem.h"
#include "sweep/file/file_parts.h"

/* clang-format 14 crashes on rows of different lengths.
 */
/* clang-format off */
#define COUNT_MAX 1e9

static const struct opt_def top_rows[] = {
    {.key = "version", .type = OPT_INT, .help = "1"},
    {.key = "name", .type = OPT_STRING, .help = "name of the sweep"},
    {.key = "description", .type = OPT_STRING, .help = "a remark"},
    {.key = "project", .type = OPT_STRING, .help = "W&B: not used"},
    {.key = "entity", .type = OPT_STRING, .help = "W&B: not used"},
    {.key = "program", .type = OPT_STRING, .help = "a program of the user's"},
    {.key = "command", .type = OPT_ANY, .help = "its command line"},
    {.key = "method",
     .type = OPT_CHOICE,
     .choices = "grid|random|sobol|tpe|bayes",
     .preset = "grid",
     .help = "how trials are chosen"},
    {.key = "metric", .type = OPT_ANY, .help = "{name, goal} of what is optimised"},
    {.key = "objectives", .type = OPT_ANY, .help = "several metrics"},
    {.key = "parameters", .type = OPT_ANY, .help = "trial keys and their values"},
    {.key = "exclude", .type = OPT_ANY, .help = "combinations to drop"},
    {.key = "include", .type = OPT_ANY, .help = "combinations to extend or to add"},
    {.key = "seeds", .type = OPT_ANY, .help = "one replicate per seed"},
    {.key = "early_terminate", .type = OPT_ANY, .help = "when to stop poor trials"},
    {.key = "interleave", .type = OPT_INT, .min = 1, .max = 1000, .help = "slices of each trial"},
    {.key = "sampler", .type = OPT_ANY, .help = "settings of the method"},
    {.key = "budget", .type = OPT_ANY, .help = "limits of the whole sweep"},
    {.key = "retry", .type = OPT_ANY, .help = "which ends are tried again"},
    {.key = "executor", .type = OPT_ANY, .help = "where trials run"},
    {.key = "run_cap", .type = OPT_INT, .min = 1, .max = COUNT_MAX, .help = "W&B: limit"},
};
const struct opt_table sweep_top_table = {"sweep", top_rows, ARRAY_LEN(top_rows)};

static const struct opt_def metric_rows[] = {
    {.key = "name", .type = OPT_STRING, .help = "key of the metric"},
    {.key = "goal", .type = OPT_CHOICE, .choices = "minimize|maximize", .help = "goal"},
    {.key = "target", .type = OPT_FLOAT, .help = "good enough"},
};
const struct opt_table sweep_metric_table = {"metric", metric_rows,
                                              ARRAY_LEN(metric_rows)};

static const struct opt_def early_rows[] = {
    {.key = "type",
     .type = OPT_CHOICE,
     .choices = "median|percentile|successive_halving|asha|hyperband"},
    {.key = "resource", .type = OPT_STRING, .help = "what is counted: step or epoch"},
    {.key = "min", .type = OPT_INT, .min = 1, .max = COUNT_MAX},
    {.key = "max", .type = OPT_INT, .min = 1, .max = COUNT_MAX},
    {.key = "eta", .type = OPT_INT, .min = 2, .max = 1000, .help = "1 of eta goes on"},
    {.key = "rate", .type = OPT_INT, .min = 0, .max = 60, .help = "rungs left out"},
    {.key = "bootstrap", .type = OPT_INT, .min = 0, .max = COUNT_MAX},
    {.key = "startup", .type = OPT_INT, .min = 0, .max = COUNT_MAX},
    {.key = "warmup", .type = OPT_INT, .min = 0, .max = COUNT_MAX},
    {.key = "interval", .type = OPT_INT, .min = 1, .max = COUNT_MAX},
    {.key = "min_trials", .type = OPT_INT, .min = 1, .max = COUNT_MAX},
    {.key = "percentile", .type = OPT_FLOAT, .min = 0, .max = 100},
    {.key = "min_iter", .type = OPT_INT, .min = 1, .max = COUNT_MAX, .help = "W&B"},
    {.key = "max_iter", .type = OPT_INT, .min = 1, .max = COUNT_MAX, .help = "W&B"},
    {.key = "s", .type = OPT_INT, .min = 1, .max = 1000, .help = "W&B: brackets"},
    {.key = "strict", .type = OPT_BOOL, .help = "W&B"},
};
const struct opt_table sweep_early_table = {"early_terminate", early_rows,
                                             ARRAY_LEN(early_rows)};

static const struct opt_def sampler_rows[] = {
    {.key = "seed", .type = OPT_INT, .min = 0, .max = 9e15, .help = "of the draws"},
    {.key = "startup", .type = OPT_INT, .min = 1, .max = COUNT_MAX, .help = "tpe"},
    {.key = "candidates", .type = OPT_INT, .min = 1, .max = 10000, .help = "tpe"},
    {.key = "shift", .type = OPT_BOOL, .help = "sobol: a random digital shift"},
};
const struct opt_table sweep_sampler_table = {"sampler", sampler_rows,
                                               ARRAY_LEN(sampler_rows)};

static const struct opt_def budget_rows[] = {
    {.key = "max_trials", .type = OPT_INT, .min = 1, .max = COUNT_MAX},
    {.key = "max_failures", .type = OPT_INT, .min = 1, .max = COUNT_MAX},
    {.key = "max_wall", .type = OPT_ANY, .help = "duration: 90, 30m, 8h, 1d"},
    {.key = "trial_timeout", .type = OPT_ANY, .help = "duration"},
    {.key = "max_hours", .type = OPT_FLOAT, .min = 1e-9, .max = COUNT_MAX,
     .help = "hours of cores"},
    {.key = "max_gpu_hours", .type = OPT_FLOAT, .min = 1e-9, .max = COUNT_MAX},
    {.key = "max_usd", .type = OPT_FLOAT, .min = 1e-9, .max = COUNT_MAX},
    {.key = "usd_per_core_hour", .type = OPT_FLOAT, .min = 1e-9, .max = COUNT_MAX},
    {.key = "usd_per_gpu_hour", .type = OPT_FLOAT, .min = 1e-9, .max = COUNT_MAX},
};
const struct opt_table sweep_budget_table = {"budget", budget_rows,
                                              ARRAY_LEN(budget_rows)};

static const struct opt_def retry_rows[] = {
    {.key = "max", .type = OPT_INT, .min = 0, .max = 100},
    {.key = "on", .type = OPT_NAMES, .help = "preempted, node_fail, stale"},
};
const struct opt_table sweep_retry_table = {"retry", retry_rows, ARRAY_LEN(retry_rows)};

static const struct opt_def executor_rows[] = {
    {.key = "type", .type = OPT_CHOICE, .choices = "local|slurm", .preset = "local"},
    {.key = "parallel", .type = OPT_INT, .min = 1, .max = 256, .help = "trials at a time"},
    {.key = "gpus", .type = OPT_INT, .min = 0, .max = 1024, .help = "GPUs that a trial holds"},
    {.key = "template", .type = OPT_STRING, .help = "Slurm: batch script"},
};
const struct opt_table sweep_executor_table = {"executor", executor_rows,
                                                ARRAY_LEN(executor_rows)};

/* The mapping below the name of a parameter. */
static const struct opt_def param_rows[] = {
    {.key = "value", .type = OPT_ANY, .help = "a constant"},
    {.key = "values", .type = OPT_ANY, .help = "a list: an axis of the grid"},
    {.key = "expr", .type = OPT_STRING, .help = "computed from other parameters"},
    {.key = "when", .type = OPT_STRING, .help = "present only where this holds"},
    {.key = "distribution",
     .type = OPT_CHOICE,
     .choices = "constant|categorical|int_uniform|uniform|q_uniform|log_uniform|"
                "log_uniform_values|q_log_uniform|q_log_uniform_values|inv_log_uniform|"
                "inv_log_uniform_values|normal|q_normal|log_normal|q_log_normal|beta|"
                "q_beta",
     .help = "W&B's names"},
    {.key = "min", .type = OPT_FLOAT, .help = "lower end"},
    {.key = "max", .type = OPT_FLOAT, .help = "upper end"},
    {.key = "mu", .type = OPT_FLOAT, .help = "mean"},
    {.key = "sigma", .type = OPT_FLOAT, .min = 1e-300, .max = 1e300},
    {.key = "q", .type = OPT_FLOAT, .min = 1e-300, .max = 1e300, .help = "step"},
    {.key = "a", .type = OPT_FLOAT, .min = 1e-300, .max = 1e300, .help = "beta"},
    {.key = "b", .type = OPT_FLOAT, .min = 1e-300, .max = 1e300, .help = "beta"},
    {.key = "probabilities", .type = OPT_ANY, .help = "one per value"},
    {.key = "parameters", .type = OPT_ANY, .help = "W&B: nested parameters"},
};
const struct opt_table sweep_param_table = {"parameter", param_rows,
                                            ARRAY_LEN(param_rows)};
