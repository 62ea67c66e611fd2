/* sweep/pruners/pruner.h - which trials go on, judged by their curves: one row per rule.
 *
 * Two kinds. A *stopping* rule looks at a trial that reports and says whether it ends
 * now. A *promotion* rule lets every trial pause at rungs and says, whenever a worker is
 * free, which one runs on and how far, or that a new one starts.
 *
 *   median, percentile    stopping: worse than the median (percentile) of the complete
 *                         trials at the same step (Golovin et al., Vizier, KDD 2017;
 *                         rules and defaults are Optuna's)
 *   successive_halving    stopping: Optuna's asynchronous form; at rung k, step
 *                         min * eta^(rate + k), only the best 1/eta so far go on
 *   bands                 stopping: W&B's `hyperband` with min_iter, or max_iter and s
 *   asha                  promotion: Li et al., MLSys 2020, algorithm 2
 *   hyperband             promotion: Li et al., JMLR 2018; brackets by integer rule,
 *                         one after the other, each rung filled before it promotes
 *
 * The unit is the configuration. Where a sweep has seeds, its curve is the mean over them
 * (curve_mean); `number` is then the configuration's place in the sweep. Values are those
 * of the sweep's metric; smaller is better unless the settings say `maximize`. Steps are
 * in the unit of `early_terminate.resource`.
 *
 * Nothing here knows a store. What a rule decides is a function of the settings and the
 * curves it is given, with one exception: successive_halving depends on when a trial
 * came to a rung, so a struct pruner remembers what it has judged. A new one (after a
 * restart) takes it from the points; this differs only for a pruned trial whose last
 * report jumped over several rungs, and where `min` is derived. */
#ifndef SWEEP_PRUNERS_PRUNER_H
#define SWEEP_PRUNERS_PRUNER_H

#include "lib/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct sweep_file;

struct curve_point {
    int64_t step;
    double value; /* NaN: diverged */
};

enum curve_state {
    CURVE_WAITING, /* never started, parked at a rung, or between two attempts */
    CURVE_RUNNING,
    CURVE_COMPLETE,
    CURVE_PRUNED,
    CURVE_FAILED /* also retired: it will not go on, and does not count as complete */
};

struct curve {
    uint64_t number;
    enum curve_state state;
    const struct curve_point *points; /* steps increase */
    size_t count;
    /* Promotion rules only, in resource units: how far it has run, and how far it was
     * last sent (0: not started). While it runs reached < target. */
    int64_t reached, target;
};

/* The mean over seeds at every step that all of them have reported; curves without points
 * are left out. Returns the number of points written to `out` (as many as the shortest
 * curve at most). A NaN makes its step NaN. */
size_t curve_mean(const struct curve *seeds, size_t count, struct curve_point *out);

/* The value of the last report up to this step; NaN: none. */
double curve_at(const struct curve *c, int64_t step);
/* Whether it was sent as far as this and has come there, or has ended on the way. */
bool curve_finished(const struct curve *c, int64_t resource);

struct pruner_settings {
    bool maximize;
    int64_t min, max, eta, rate; /* min 0: not given; rate: rungs left out at the start */
    int64_t startup, warmup, interval, min_trials, bootstrap;
    double percentile;
    int64_t min_iter, max_iter, bands; /* W&B; bands is its `s` */
    bool strict;
};

enum pruner_action {
    PRUNER_WAIT,  /* nothing can be started before something ends */
    PRUNER_START, /* a new configuration, the next number */
    PRUNER_RUN    /* curves[index] goes on */
};

struct pruner_move {
    enum pruner_action action;
    size_t index;     /* PRUNER_RUN only */
    int64_t resource; /* run until here, then pause */
    int rung;
    bool last; /* no rung comes after: what is there is the result */
};

/* What successive_halving has seen of a trial. */
struct halving_record {
    bool known;
    int rungs; /* that hold a value */
    double *value;
};

struct pruner;

struct pruner_rule {
    const char *name;       /* early_terminate.type */
    const char *wandb_name; /* type in W&B's files, known by W&B's keys; NULL: none */
    bool promotes;
    bool counts_reports; /* its unit is a report of the metric, not a step or epoch */
    /* How it goes on, for people; `unit` is the word for one. */
    void (*say)(const struct pruner *p, const char *unit, FILE *f);
    /* Checks the settings, fills what the file leaves to the rule. */
    int (*check)(struct pruner_settings *s, struct err *err);
    /* Stopping: whether curves[self], which has just reported its last point, ends. */
    bool (*judge)(struct pruner *p, const struct curve *curves, size_t count,
                  size_t self);
    /* Promotion: what a free worker does. `exhausted`: no new configuration is left. */
    void (*next)(struct pruner *p, const struct curve *curves, size_t count,
                 bool exhausted, struct pruner_move *move);
    /* Promotion: the rung of trial `number` that ends at `resource`, and how many rungs
     * that trial has. */
    int (*rung_of)(const struct pruner *p, uint64_t number, int64_t resource, int *rungs);
};

struct pruner {
    const struct pruner_rule *rule;
    struct pruner_settings s;
    int64_t derived_min; /* successive_halving without `min`, 0: not yet known */
    struct halving_record *records; /* by number */
    size_t record_count;
};

/* NULL: no such rule. */
const struct pruner_rule *pruner_find(const char *name);
size_t pruner_rules(const struct pruner_rule *const **rows); /* all of them */
/* The rule of the file's early_terminate (which must be there). `max_resource`: how far
 * a trial runs in all, used where the file has no `max`; 0: not known yet, so that only
 * what the file says is checked. ERR_CONFIG with the place. */
int pruner_init(struct pruner *p, const struct sweep_file *f, int64_t max_resource,
                struct err *err);
void pruner_release(struct pruner *p);
bool pruner_judge(struct pruner *p, const struct curve *curves, size_t count,
                  size_t self);
/* What was sent and has not come there (its process was lost) is on its way: it goes on
 * whatever the rule says, which the caller sees to. */
void pruner_next(struct pruner *p, const struct curve *curves, size_t count,
                 bool exhausted, struct pruner_move *move);

#define PRUNER_RUNGS_MAX 64

/* asha: min * eta^(rate + k) while that is not above max. Returns how many, 1 at
 * least. */
int asha_rungs(const struct pruner_settings *s, int64_t out[PRUNER_RUNGS_MAX]);
/* bands: where W&B's rule looks, increasing; a unit is one report of the metric. */
int bands_steps(const struct pruner_settings *s, int64_t out[PRUNER_RUNGS_MAX]);

/* hyperband, the most aggressive bracket first: it starts n = ceil((s_max + 1) eta^s /
 * (s + 1)) trials, its rung i holds floor(n / eta^i) and runs at max / eta^(s - i).
 * Integer rule: s_max is the largest s with min * eta^s <= max. Returns how many. */
struct hyperband_bracket {
    int s;
    int64_t n;
};
int hyperband_brackets(const struct pruner_settings *s,
                       struct hyperband_bracket out[PRUNER_RUNGS_MAX]);

#endif
