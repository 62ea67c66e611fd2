/* report/trials/store_data.h - what a report is about: trials read from the store, and
 * how they are grouped.
 *
 * The store is read through its views alone (tracker/store/store.h). A trial's numbers
 * stay a JSON object {"eval/accuracy": 0.8}; NaN is the word "NaN" there.
 *
 * Three labels place a trial in the matrix:
 *   column   the situation: training rows, task, model and data (by the hashes of their
 *            files where runs know them, so that equal names do not pool other data); where
 *            several sweeps or experiments are put side by side also the hardware, and
 *            which of them it is where they repeat each other's configurations and seeds
 *   group    what is compared: the method, or the keys of --group-by
 *   variant  everything else that varies (rank, alpha, learning rate, ...) but the seed
 * A group stands for itself at its best variant on the selection metric (verdict.h). */
#ifndef REPORT_TRIALS_STORE_DATA_H
#define REPORT_TRIALS_STORE_DATA_H

#include "lib/err.h"
#include "lib/hash.h"
#include "tracker/store/store.h"
#include <jansson.h>
#include "tracker/view/method_facts.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct report_trial {
    int64_t id, seed, started_ms, ended_ms;
    enum trial_state state;
    int attempts;
    json_t *params, *config, *metrics;       /* objects */
    json_t *environment;                     /* object, or NULL: not said */
    struct method_facts *method;             /* of the trainer; NULL: not known */
    char *key, *reason, *sweep, *experiment; /* "" where there is none */
    double spent_s;                          /* of all its runs */
    double
        usd_per_hour; /* of the GPUs that it held, by its sweep's budget; 0: not said */
    double usd_per_core_hour; /* by its sweep's budget; 0: not said */
    double gpus;              /* that its sweep's executor gives a trial; 0: none */
    size_t column, group, variant, machine;
    bool repeated;        /* a later trial of its column has its configuration and seed */
    const char *hardware; /* "AMD EPYC", "NVIDIA L4"; "" where it was not said */
};

/* A column, group or variant: `label` is for people. */
struct report_label {
    char *id;      /* canonical text that makes it distinct */
    char *label;   /* "lora", "400", "r=16 a=32 query+value" */
    double order;  /* columns: training rows (infinity: all); variants: learning rate */
    json_t *facts; /* {key: value} behind the label, in order */
};

struct report_labels {
    struct report_label *items;
    size_t count, cap;
};

/* Trials of any of these; nothing named: the newest sweep, else the only experiment. */
struct report_scope {
    const json_t *sweeps, *experiments; /* lists of names, or NULL */
    json_t *group_by;                   /* list of keys, or NULL: by method */
};

struct report_data {
    struct report_trial *trials;
    size_t count;
    struct report_labels columns, groups, variants, machines;
    json_t *scope;      /* {"sweeps", "experiments"}: what was read, by name */
    json_t *objectives; /* [{"sweep", "objectives"}] of the trials' sweeps that
                                     state any (tracker/view/objective.h) */
    json_t *row_files;  /* [[trial, "rows/test", sha256]]: what runs kept of each
                                     test row (kept_rows.h), by trial, then run */
    size_t scope_count; /* sweeps and experiments that were named */
    char *title;        /* "sweep reviews", "sweeps a and b" */
    char rows_sha256[SHA256_HEX]; /* of the rows read, as canonical JSON */
    int64_t first_ms, last_ms;    /* of all runs; 0: none */
    bool by_method;               /* groups are methods */
};

/* Reads all trials of the scope (default: the newest sweep, else the only experiment).
 * ERR_NOINPUT when there are none. */
int report_data_load(struct store *s, const struct report_scope *scope,
                     struct report_data *out, struct err *err);
void report_data_release(struct report_data *d);
/* Gives every trial its column, group and variant (report/trials/grouping.c). */
void report_data_group(struct report_data *d, const json_t *group_by);

/* A number of a trial; NaN when it has none. */
double trial_metric(const struct report_trial *t, const char *key);
/* A value that the sweep sets, else of the resolved configuration; NULL: neither. */
const json_t *trial_value(const struct report_trial *t, const char *key);
/* Its method as people call it: "qlora" even where it resolved to lora on nf4. Before its
 * first run, and of a user's program, what the sweep calls it. */
char *trial_method(const struct report_trial *t);
/* How many items the metric is a share of ("test/accuracy" of data/test_rows); NaN where
 * it is no share of items or their number was not recorded. A language model's accuracy is
 * a share of tokens, which are not independent items. */
double trial_items(const struct report_trial *t, const char *metric);
/* It trains a language model: rows are texts, a score is a mean over their tokens. */
bool trial_is_lm(const struct report_trial *t);
/* Rows of the split that a metric was taken on, whatever it is; NaN: not recorded. */
double trial_split_rows(const struct report_trial *t, const char *metric);
bool trial_is_open(const struct report_trial *t); /* not run to an end: never a failure */
bool trial_is_failed(const struct report_trial *t);
/* Short text of a parameter's value: "query+value", "0.006". Caller frees. */
char *value_text(const json_t *value);

/* Points of one series, by step; NULL with an error. Rows of (trial, step, value). */
json_t *report_series(struct store *s, const json_t *trial_ids, const char *key,
                      struct err *err);

#endif
