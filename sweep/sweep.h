/* sweep/sweep.h - planning, running and watching a sweep.
 *
 * A sweep file (sweep/file/sweep_file.h) is expanded to rows up front
 * (sweep/space/space.h); rows times seeds are the trials (struct sweep_plan). `run`
 * writes them to the store, where adding is idempotent, and starts a child process per
 * trial; running the same file again is therefore how a sweep goes on.
 *
 * This layer does not know the trainer. What it must ask it comes in as hooks. */
#ifndef SWEEP_SWEEP_H
#define SWEEP_SWEEP_H

#include "lib/buf.h"
#include "lib/config/opt.h"
#include "lib/err.h"
#include "sweep/file/sweep_file.h"
#include "sweep/space/space.h"
#include "tracker/store/store.h"
#include <jansson.h>
#include <stdio.h>

/* What of its memory a trial has in common with others of its process: a base, with all
 * that name the same one, and what comes with a turn. */
struct sweep_common {
    char base[65];
    int64_t base_bytes, turn_bytes;
};

/* What training will take: exact bytes, seconds on this machine (NaN: unknown), and how
 * many updates it has. Of the seconds `shared_s` are spent once by all trials together that
 * have the same `shared`. */
struct sweep_prediction {
    int64_t peak_bytes;
    double seconds;
    int64_t updates, updates_per_epoch;
    double shared_s;
    char shared[65];
    struct sweep_common common; /* of peak_bytes */
};

struct sweep_hooks {
    const struct opt_table *trial_options;
    int (*resolve)(const json_t *given, json_t **resolved, struct err *err);
    void (*key)(const json_t *resolved, char key[65]);
    int (*predict)(const json_t *resolved, const char *base_dir,
                   struct sweep_prediction *out, struct err *err);
    /* Hashes of the files that a configuration names, by its keys; new reference. */
    int (*fingerprint)(const json_t *resolved, const char *base_dir, json_t **out,
                       struct err *err);
};

struct sweep_trial {
    json_t *params;   /* what the sweep sets (borrowed from the plan's space) */
    json_t *resolved; /* owned; without a model it is params and the seed */
    uint64_t seed;
    char key[65];                       /* of the configuration without the seed */
    int64_t peak_bytes;                 /* -1: unknown */
    struct sweep_common common;         /* empty: unknown */
    double seconds;                     /* NaN: unknown */
    int64_t updates, updates_per_epoch; /* of its training; 0: unknown */
};

struct sweep_plan {
    const struct sweep_file *file;
    struct sweep_space space;
    struct sweep_trial *trials; /* combinations in order, seeds fastest */
    size_t count;
    size_t coincided; /* combinations equal to an earlier one, also after resolving */
    size_t excluded;
    size_t combinations;   /* that remained */
    int64_t peak_bytes;    /* of the largest trial, -1: unknown */
    double total_s;        /* of all trials one after another, NaN: unknown */
    struct strmap *shared; /* what the trials predicted so far leave to others */
    double shared_s;       /* what others therefore do not spend: not in total_s */
};

/* Without a model in the file nothing is resolved or predicted: the key is the SHA-256
 * of the canonical params. A combination that the trainer refuses is an error which
 * shows it. `predict` false leaves bytes and seconds unknown. The plan refers to `f`. */
int sweep_plan_make(const struct sweep_file *f, const struct sweep_hooks *hooks,
                    bool predict, struct sweep_plan *out, struct err *err);
void sweep_plan_release(struct sweep_plan *p);
/* Resolves one trial of these params, which it borrows; its key comes with it. */
int sweep_plan_trial(const struct sweep_plan *p, const struct sweep_hooks *hooks,
                     json_t *params, uint64_t seed, struct sweep_trial *out,
                     struct err *err);
/* Predicts one trial of a plan made without. What trials share is the first one's time. */
int sweep_plan_predict(struct sweep_plan *p, const struct sweep_hooks *hooks,
                       struct sweep_trial *t, struct err *err);
/* Seconds until all are done with this many at a time, started in order. NaN: unknown. */
double sweep_plan_wall_s(const struct sweep_plan *p, int jobs);
json_t *sweep_plan_json(const struct sweep_plan *p, int jobs); /* trial-file.md, 4 */
void sweep_plan_print(const struct sweep_plan *p, int jobs, FILE *f);
/* plan_words.c: how its trials are chosen, which rungs or slices they run in, and by what
 * rule they end early. Prints nothing for a plain grid. */
void sweep_plan_words(const struct sweep_plan *p, int slices, FILE *f);
/* Trials that run in any case: all, or with `until` the first seeds of each. */
size_t sweep_plan_least(const struct sweep_plan *p);
/* How far the longest trial runs, in the unit of early_terminate; 0: not known. */
int64_t sweep_plan_resource(const struct sweep_plan *p);

/* Trials at a time (flag, then executor.parallel, then one per core) and the threads that
 * each gets, so that a trial's thread count does not depend on what else runs. */
int sweep_jobs(const struct sweep_file *f, int flag, int *threads);
/* What all trials at a time may take here; without an end where that is a GPU's memory. */
int64_t sweep_memory_bytes(const struct sweep_file *f);

/* Which keys tell the combinations of a list apart, and a short name made of them:
 * "lora rank=8 alpha=16 seed=0". The keys belong to `params`. With a file given, what it
 * computes from other parameters is left out. */
struct sweep_labels {
    const char **keys;
    size_t count;
    bool seeds; /* the seed tells apart too */
};
void sweep_labels_init(struct sweep_labels *l, const struct sweep_file *f,
                       json_t *const *params, size_t count, bool seeds);
void sweep_labels_release(struct sweep_labels *l);
/* Appends. */
void sweep_label(const struct sweep_labels *l, const json_t *params, uint64_t seed,
                 struct buf *out);

#define SWEEP_PACK_AUTO (-1)

struct sweep_run_options {
    const char *experiment; /* NULL: the sweep's name */
    const char *name;       /* NULL: the file's */
    const char *run_root;   /* folder of run folders */
    int jobs;               /* processes; 0: by file and machine */
    int pack;       /* trials in each (launch_pack.c); 0, 1: one; SWEEP_PACK_AUTO */
    int interleave; /* slices of each trial; 0: the file's */
    bool retry_failed;
    FILE *out; /* progress and summary */
};
/* Runs what is not finished. Predictions that the plan lacks are taken from the store
 * where it has the trial, else made. Returns 0 when all trials are complete, 1 when some
 * are not, 128 + n when signal n ended it, or a negative error. */
int sweep_run(struct sweep_plan *plan, const struct sweep_hooks *hooks,
              struct store *store, const struct sweep_run_options *o, struct err *err);

/* Tables of `sweep status`: all sweeps (sweep 0), or one with its running trials. */
int sweep_status(struct store *store, int64_t sweep, bool as_json, FILE *f,
                 struct err *err);

#endif
