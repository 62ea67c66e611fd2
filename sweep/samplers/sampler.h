/* sweep/samplers/sampler.h - which configuration is tried next: one row per method.
 *
 *   grid     all of them, in the order of sweep/space/space.h
 *   random   independent draws; where every parameter is discrete, without replacement
 *   sobol    a low-discrepancy sequence (sweep/samplers/sobol_points.h)
 *   tpe      tree-structured Parzen estimator (sweep/samplers/parzen.h)
 *
 * A suggestion is a pure function of (file, seed, number, history): draws come from a
 * counter-based generator keyed by seed, number and the parameter's name, so neither the
 * order of the calls nor the number of workers changes a result, and adding a parameter
 * does not change the draws of the others. Only tpe looks at the history, and only at
 * what it is given.
 *
 * Whatever the method, `when` and `expr` hold for what it draws, `exclude` rejects a draw
 * (the next one of the same number is taken), an `include` extends the draws whose
 * values it does not change, and one that no draw can match comes first, as numbers 0, 1,
 * ... No store is needed. */
#ifndef SWEEP_SAMPLERS_SAMPLER_H
#define SWEEP_SAMPLERS_SAMPLER_H

#include "sweep/file/sweep_file.h"
#include "sweep/pruners/pruner.h"
#include <stdio.h>

/* A configuration that was tried: `value` is its result (mean over seeds), NaN when there
 * is none. `curve` serves pruned ones, ranked by how far they came. */
struct sampler_trial {
    const json_t *params; /* what the sampler had suggested */
    double value;         /* of the file's first objective */
    const double *values; /* of all objectives, NULL: only `value` */
    struct curve curve;   /* number, state, points */
};

struct sampler_history {
    const struct sampler_trial *trials;
    size_t count;
};

struct sampler;

struct sampler_row {
    const char *name; /* `method` */
    const char *help;
    bool adapts; /* the history matters: trials are added as results come */
    bool
        enumerates; /* walks through listed values: ranges are refused, nothing is drawn */
    /* How it goes on, for people, with `count` configurations planned; NULL: nothing to
     * say. */
    void (*say)(const struct sweep_file *f, size_t count, FILE *out);
    int (*open)(struct sampler *s, struct err *err);
    /* 1 with a new reference, 0 when nothing is left, or a negative error. */
    int (*suggest)(struct sampler *s, uint64_t number, const struct sampler_history *h,
                   json_t **params, struct err *err);
    void (*close)(struct sampler *s);
};

const struct sampler_row *sampler_find(const char *name); /* NULL: no such method */
size_t sampler_rows(const struct sampler_row *const **rows);
bool sampler_enumerates(const struct sweep_file *f);
/* For rows that draw without results. */
void sampler_say_drawn(const struct sweep_file *f, size_t count, FILE *out);

/* The method of the file, which must outlive it. The seed is the file's `sampler.seed`
 * where it has one, else `seed`. */
int sampler_new(const struct sweep_file *f, uint64_t seed, struct sampler **out,
                struct err *err);
void sampler_free(struct sampler *s);
bool sampler_adapts(const struct sampler *s); /* tpe: more trials come with results */
/* The space is a list that ends. */
bool sampler_is_finite(const struct sampler *s);
/* tpe: how many finished configurations it wants before it looks at results. */
uint64_t sampler_startup(const struct sweep_file *f);
/* Returns 1 and a new reference in *params, 0 when the space is exhausted, or a negative
 * error. Equal configurations may come twice from a space with continuous parameters that
 * are rounded; the caller keeps one. `h` NULL: nothing has been tried. */
int sampler_suggest(struct sampler *s, uint64_t number, const struct sampler_history *h,
                    json_t **params, struct err *err);

#endif
