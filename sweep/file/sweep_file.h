/* sweep/file/sweep_file.h - a sweep file, read and checked.
 *
 * YAML or JSON (lib/config/conf.h). Every section is checked by an option table, so
 * unknown keys come with file, line, column and the nearest known key. W&B sweep files
 * are accepted as they are: nested `parameters` become names with dots, `bayes` is tpe,
 * `run_cap` is budget.max_trials. docs/sweep-file.md is the user's page.
 *
 * A file that has `command` or `program` drives something of the user's; all others
 * drive our trainer, and then each parameter must be a trial key. Values are canonical
 * (sweep/space/value.h). Everything a struct sweep_file points to is owned by it. */
#ifndef SWEEP_FILE_SWEEP_FILE_H
#define SWEEP_FILE_SWEEP_FILE_H

#include "lib/config/conf.h"
#include "lib/config/opt.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "sweep/space/expr.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define SWEEP_PARAMS_MAX 300

enum sweep_param_kind {
    PARAM_CONSTANT, /* `value` or `expr`: not an axis, an include may change it */
    PARAM_VALUES,   /* `values`: an axis of the grid */
    PARAM_RANGE     /* a distribution: for the random methods only */
};

/* A value as the file gives it: plain, or computed when expr is not NULL. */
struct sweep_choice {
    json_t *value;
    struct expr *expr;
};

struct sweep_param {
    char *name; /* nested W&B names joined with dots */
    char *path; /* place in the file, for conf_where */
    enum sweep_param_kind kind;
    struct sweep_choice *choices; /* one for a constant, none for a range */
    size_t count;
    struct expr *when; /* NULL: always there */
    json_t *spec;      /* the checked mapping; a range's numbers are read from it */
    const char *distribution;
};

/* An entry of `exclude` or `include`. */
struct sweep_entry {
    struct sweep_choice *by_param; /* [param_count]; value NULL: not named */
    json_t *extra;                 /* include only: keys that are no parameter */
    char *path;
};

struct sweep_objective {
    const char *name;
    bool maximize;
    double target; /* good enough; NaN: none */
};

/* `until`: what the sweep runs for, sweep/run/until_rule.h. */
enum until_goal { UNTIL_NONE, UNTIL_REGRET, UNTIL_CHANCE, UNTIL_DECIDED };
struct sweep_until {
    enum until_goal goal;
    double limit; /* of the expected regret, or of the chance */
    double delta; /* smallest difference that matters; NaN: by the scores */
};

struct sweep_file {
    struct conf *conf;
    char *name, *base_dir; /* base_dir: where relative paths start */
    const char *method;    /* grid, random, sobol, tpe */
    bool was_bayes;
    const char *metric; /* NULL: none named; the first objective */
    bool maximize;
    struct sweep_objective *objectives;
    size_t objective_count; /* 0 without a metric */
    bool drives_command, names_model, names_seed;

    struct sweep_param *params;
    size_t param_count;
    struct strmap *names; /* parameter name -> index */
    size_t *order;        /* indices, dependencies first */

    struct sweep_entry *excludes, *includes;
    size_t exclude_count, include_count;
    uint64_t *seeds;   /* never empty; {0} when the file has none */
    size_t seed_count; /* with `until` the most of each configuration */
    struct sweep_until until;

    const char *early_terminate;      /* its type, NULL: none */
    json_t *early, *sampler;          /* the checked sections, NULL: none */
    int interleave;                   /* slices of each trial; 0: not asked for */
    int64_t max_trials, max_failures; /* 0: no limit */
    double max_wall_s, trial_timeout_s;
    double max_hours, max_gpu_hours, max_usd;   /* tracker/claims/budget.h */
    double usd_per_core_hour, usd_per_gpu_hour; /* 0: not said */
    int gpus;                                   /* that each trial holds */
    int max_retries;                            /* of lost trials */
    bool retry_preempted; /* else the next `run` goes on with them */
    const char *executor;
    const char *backend; /* of the trainer's; NULL: not said */
    int parallel;        /* 0: by the machine */
};

/* The keys of the file and of its sections, the file's own first, for documentation; NULL:
 * no more. */
const struct opt_table *sweep_file_table(size_t i);

/* Reads the file, applies the overrides (sweep/file/override.h) and checks all. `keys` are the
 * trial's options; NULL: parameter names are not checked. */
int sweep_file_load(const char *path, const char *const *overrides, size_t override_count,
                    const struct opt_table *keys, struct sweep_file **out,
                    struct err *err);
/* The same from text; `name` stands for the file. */
int sweep_file_parse(const char *text, size_t len, const char *name, bool is_json,
                     const char *const *overrides, size_t override_count,
                     const struct opt_table *keys, struct sweep_file **out,
                     struct err *err);
void sweep_file_free(struct sweep_file *f);

/* ERR_CONFIG with the place of `path` in front. */
int sweep_file_error(const struct sweep_file *f, const char *path, struct err *err,
                     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
