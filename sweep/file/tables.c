/* sweep/file/tables.c - the keys of a sweep file, one table per section. */
#include "lib/mem.h"
#include "sweep/file/file_parts.h"

/* clang-format 14 crashes on rows of different lengths. */
/* clang-format off */
#define COUNT_MAX 1e9

/* What a file may choose from is what the registries have. */
static const char methods[] =
#define SAMPLER(id) #id "|"
#include "sweep/samplers/samplers.def"
#undef SAMPLER
    "bayes";
static const char rules[] =
#define PRUNER(id) "|" #id
#define PRUNER_OF_WANDB(id)
#include "sweep/pruners/pruners.def"
#undef PRUNER
    ;
static const char executors[] =
#define LAUNCHER(id) #id "|"
#include "sweep/launch/launchers.def"
#undef LAUNCHER
    "slurm";

static const struct opt_def top_rows[] = {
    {.key = "version", .type = OPT_INT,
     .help = "always 1"},
    {.key = "name", .type = OPT_STRING,
     .help = "name of the sweep"},
    {.key = "description", .type = OPT_STRING,
     .help = "a remark"},
    {.key = "project", .type = OPT_STRING,
     .help = "W&B's; not used"},
    {.key = "entity", .type = OPT_STRING,
     .help = "W&B's; not used"},
    {.key = "program", .type = OPT_STRING,
     .help = "a program of the user's instead of the trainer"},
    {.key = "command", .type = OPT_ANY,
     .help = "its words"},
    {.key = "method", .type = OPT_CHOICE, .choices = methods,
     .preset = "grid",
     .help = "how trials are chosen; W&B's `bayes` is `tpe`"},
    {.key = "metric", .type = OPT_ANY,
     .help = "`{name, goal}`: what is shown and compared"},
    {.key = "objectives", .type = OPT_ANY,
     .help = "several of these"},
    {.key = "parameters", .type = OPT_ANY,
     .help = "trial keys and their values"},
    {.key = "exclude", .type = OPT_ANY,
     .help = "list of combinations to drop"},
    {.key = "include", .type = OPT_ANY,
     .help = "list of combinations to extend or to add"},
    {.key = "seeds", .type = OPT_ANY,
     .help = "list; every combination once per seed"},
    {.key = "until", .type = OPT_ANY,
     .help = "what the sweep runs for: `decided`, or `{regret: X}`; no seed beyond that"},
    {.key = "early_terminate", .type = OPT_ANY,
     .help = "when poor trials end"},
    {.key = "interleave", .type = OPT_INT, .min = 1, .max = 1000,
     .help = "slices of each trial"},
    {.key = "sampler", .type = OPT_ANY,
     .help = "settings of the method"},
    {.key = "budget", .type = OPT_ANY,
     .help = "limits of the whole sweep"},
    {.key = "retry", .type = OPT_ANY,
     .help = "which ends are tried again"},
    {.key = "executor", .type = OPT_ANY,
     .help = "where trials run"},
    {.key = "run_cap", .type = OPT_INT, .min = 1, .max = COUNT_MAX,
     .help = "W&B's `budget.max_trials`"},
};
const struct opt_table sweep_top_table = {"sweep", top_rows, ARRAY_LEN(top_rows)};

static const struct opt_def metric_rows[] = {
    {.key = "name", .type = OPT_STRING,
     .help = "key of the metric"},
    {.key = "goal", .type = OPT_CHOICE, .choices = "minimize|maximize",
     .help = "direction (default: minimize)"},
    {.key = "target", .type = OPT_FLOAT,
     .help = "good enough"},
};
const struct opt_table sweep_metric_table = {"metric", metric_rows,
                                              ARRAY_LEN(metric_rows)};

static const struct opt_def early_rows[] = {
    {.key = "type", .type = OPT_CHOICE,
     .choices = rules + 1,
     .help = "the rule"},
    {.key = "resource", .type = OPT_STRING,
     .help = "what is counted: step or epoch"},
    {.key = "min", .type = OPT_INT, .min = 1, .max = COUNT_MAX,
     .help = "first rung"},
    {.key = "max", .type = OPT_INT, .min = 1, .max = COUNT_MAX,
     .help = "last rung (default: a whole trial)"},
    {.key = "eta", .type = OPT_INT, .min = 2, .max = 1000,
     .help = "one of eta goes on (default: 4; hyperband 3)"},
    {.key = "rate", .type = OPT_INT, .min = 0, .max = 60,
     .help = "rungs left out at the start (default: 0)"},
    {.key = "bootstrap", .type = OPT_INT, .min = 0, .max = COUNT_MAX,
     .help = "successive_halving: values at a rung before anything passes (default: 0)"},
    {.key = "startup", .type = OPT_INT, .min = 0, .max = COUNT_MAX,
     .help = "median, percentile: complete trials before anything ends (default: 5)"},
    {.key = "warmup", .type = OPT_INT, .min = 0, .max = COUNT_MAX,
     .help = "median, percentile: steps without judgement (default: 0)"},
    {.key = "interval", .type = OPT_INT, .min = 1, .max = COUNT_MAX,
     .help = "median, percentile: steps from one judgement to the next (default: 1)"},
    {.key = "min_trials", .type = OPT_INT, .min = 1, .max = COUNT_MAX,
     .help = "median, percentile: trials that have reported at the step (default: 1)"},
    {.key = "percentile", .type = OPT_FLOAT, .min = 0, .max = 100,
     .help = "percentile: the best share, in percent, that stays (default: 25)"},
    {.key = "min_iter", .type = OPT_INT, .min = 1, .max = COUNT_MAX,
     .help = "W&B's hyperband: the first band"},
    {.key = "max_iter", .type = OPT_INT, .min = 1, .max = COUNT_MAX,
     .help = "W&B's hyperband: the last band, with `s`"},
    {.key = "s", .type = OPT_INT, .min = 1, .max = 1000,
     .help = "W&B's hyperband: number of brackets"},
    {.key = "strict", .type = OPT_BOOL,
     .help = "W&B's hyperband: judge the value at the band instead of the best so far "
             "(default: false)"},
};
const struct opt_table sweep_early_table = {"early_terminate", early_rows,
                                             ARRAY_LEN(early_rows)};

static const struct opt_def until_rows[] = {
    {.key = "regret", .type = OPT_FLOAT, .min = 1e-300, .max = 1e300,
     .help = "until taking the best mean costs less than this, on average over what the "
             "scores leave open"},
    {.key = "chance", .type = OPT_FLOAT, .min = 1e-6, .max = 0.5,
     .help = "until the chance to lose more than `delta` by taking it is below this"},
    {.key = "decided", .type = OPT_BOOL,
     .help = "until every other is shown to be worse, or no more than `delta` apart"},
    {.key = "delta", .type = OPT_FLOAT, .min = 0, .max = 1e300,
     .help = "smallest difference that matters (default: as the report's, .01 of a share)"},
    {.key = "seeds_max", .type = OPT_INT, .min = 2, .max = 10000,
     .help = "most seeds of a configuration (default: as many as `seeds`, 5 without); those "
             "beyond the list go on from its largest"},
};
const struct opt_table sweep_until_table = {"until", until_rows, ARRAY_LEN(until_rows)};

static const struct opt_def sampler_rows[] = {
    {.key = "seed", .type = OPT_INT, .min = 0, .max = 9e15,
     .help = "of the draws (default: the first of `seeds`)"},
    {.key = "startup", .type = OPT_INT, .min = 1, .max = COUNT_MAX,
     .help = "tpe: finished configurations before it looks at results (default: 10)"},
    {.key = "candidates", .type = OPT_INT, .min = 1, .max = 10000,
     .help = "tpe: candidates per parameter (default: 24)"},
    {.key = "shift", .type = OPT_BOOL,
     .help = "sobol: a random digital shift of all points (default: false)"},
};
const struct opt_table sweep_sampler_table = {"sampler", sampler_rows,
                                               ARRAY_LEN(sampler_rows)};

static const struct opt_def budget_rows[] = {
    {.key = "max_trials", .type = OPT_INT, .min = 1, .max = COUNT_MAX,
     .help = "trials that are started (the first N of a grid); W&B's `run_cap`"},
    {.key = "max_failures", .type = OPT_INT, .min = 1, .max = COUNT_MAX,
     .help = "trials that end failed, oom, nan or timeout"},
    {.key = "max_wall", .type = OPT_ANY,
     .help = "time in which at least one trial runs (`90`, `30m`, `8h`, `1h30m`): "
             "pauses are free, trials side by side count once"},
    {.key = "trial_timeout", .type = OPT_ANY,
     .help = "time of one trial, which ends as timeout"},
    {.key = "max_hours", .type = OPT_FLOAT, .min = 1e-9, .max = COUNT_MAX,
     .help = "hours of cores over all runs (threads that a trial has)"},
    {.key = "max_gpu_hours", .type = OPT_FLOAT, .min = 1e-9, .max = COUNT_MAX,
     .help = "hours of GPUs over all runs (`executor.gpus`)"},
    {.key = "max_usd", .type = OPT_FLOAT, .min = 1e-9, .max = COUNT_MAX,
     .help = "GPU hours x `usd_per_gpu_hour` where trials hold GPUs, else core hours x "
             "`usd_per_core_hour`"},
    {.key = "usd_per_core_hour", .type = OPT_FLOAT, .min = 1e-9, .max = COUNT_MAX,
     .help = "price of a core (default: 0.048, the report's assumption)"},
    {.key = "usd_per_gpu_hour", .type = OPT_FLOAT, .min = 1e-9, .max = COUNT_MAX,
     .help = "price of a GPU"},
};
const struct opt_table sweep_budget_table = {"budget", budget_rows,
                                              ARRAY_LEN(budget_rows)};

static const struct opt_def retry_rows[] = {
    {.key = "max", .type = OPT_INT, .min = 0, .max = 100,
     .help = "how often a trial whose process was lost is tried again (default: 2)"},
    {.key = "on", .type = OPT_NAMES,
     .help = "preempted, node_fail, stale (default: all): without stale or node_fail a "
             "lost trial has failed, without preempted only the next `run` or `resume` "
             "goes on with one"},
};
const struct opt_table sweep_retry_table = {"retry", retry_rows, ARRAY_LEN(retry_rows)};

static const struct opt_def executor_rows[] = {
    {.key = "type", .type = OPT_CHOICE, .choices = executors, .preset = "local",
     .help = "slurm is not available yet"},
    {.key = "parallel", .type = OPT_INT, .min = 1, .max = 256,
     .help = "trials at a time (default: one per core)"},
    {.key = "gpus", .type = OPT_INT, .min = 0, .max = 1024,
     .help = "GPUs that each trial holds, for the budget (default: 0)"},
    {.key = "backend", .type = OPT_STRING, .metavar = "NAME",
     .help = "what trials compute with: cpu, cuda, ... (default: PEFTLAB_BACKEND, then "
             "cpu); where it is not usable the sweep does not start"},
    {.key = "template", .type = OPT_STRING,
     .help = "Slurm: batch script"},
};
const struct opt_table sweep_executor_table = {"executor", executor_rows,
                                                ARRAY_LEN(executor_rows)};

/* The mapping below the name of a parameter. */
static const struct opt_def param_rows[] = {
    {.key = "value", .type = OPT_ANY,
     .help = "a constant; not an axis, so an `include` may change it"},
    {.key = "values", .type = OPT_ANY,
     .help = "an axis; a list inside is one value, an entry may be `{expr: \"2*rank\"}`"},
    {.key = "expr", .type = OPT_STRING,
     .help = "a constant that is computed from other parameters"},
    {.key = "when", .type = OPT_STRING,
     .help = "the parameter is absent (not null) where this is false, or where it "
             "needs an absent parameter"},
    {.key = "distribution", .type = OPT_CHOICE,
     .choices = "constant|categorical|int_uniform|uniform|q_uniform|log_uniform|"
                "log_uniform_values|q_log_uniform|q_log_uniform_values|"
                "inv_log_uniform|inv_log_uniform_values|normal|q_normal|log_normal|"
                "q_log_normal|beta|q_beta",
     .help = "for the methods that draw (below); W&B's names. Without it whole `min` "
             "and `max` are `int_uniform`, others `uniform`"},
    {.key = "min", .type = OPT_FLOAT,
     .help = "lower end"},
    {.key = "max", .type = OPT_FLOAT,
     .help = "upper end"},
    {.key = "mu", .type = OPT_FLOAT,
     .help = "mean (default: 0)"},
    {.key = "sigma", .type = OPT_FLOAT, .min = 1e-300, .max = 1e300,
     .help = "deviation (default: 1)"},
    {.key = "q", .type = OPT_FLOAT, .min = 1e-300, .max = 1e300,
     .help = "draws are rounded to multiples of it (default: 1)"},
    {.key = "a", .type = OPT_FLOAT, .min = 1e-300, .max = 1e300,
     .help = "beta: first shape"},
    {.key = "b", .type = OPT_FLOAT, .min = 1e-300, .max = 1e300,
     .help = "beta: second shape"},
    {.key = "probabilities", .type = OPT_ANY,
     .help = "one per value, sum 1: how often each is drawn"},
    {.key = "parameters", .type = OPT_ANY,
     .help = "W&B's nesting; names are joined with dots"},
};
const struct opt_table sweep_param_table = {"parameter", param_rows,
                                            ARRAY_LEN(param_rows)};

/* clang-format on */

const struct opt_table *sweep_file_table(size_t i)
{
    static const struct opt_table *const tables[] = {
        &sweep_top_table,     &sweep_param_table, &sweep_metric_table,
        &sweep_sampler_table, &sweep_until_table, &sweep_early_table,
        &sweep_budget_table,  &sweep_retry_table, &sweep_executor_table};
    return i < ARRAY_LEN(tables) ? tables[i] : NULL;
}
