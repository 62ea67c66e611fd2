/* report/advise/priors.h - what is known of methods before anything is measured: claims
 * with scope, source and strength, from report/data/priors.json (built in).
 *
 * A claim compares methods: `better` has the higher, lower or equal `metric` than
 * `worse`; PRIOR_ADVICE compares nothing. The lists are method names of
 * runner/nn/peft/methods.def and its presets, "lora|ia3"; better_with and worse_with
 * narrow them to trials with these parameters. `metric` is "quality" (what a report
 * judges by) or a key of the store. A claim speaks for its scope alone: outside of it the
 * word is PRIOR_OUTSIDE, never agreement.
 *
 * `defaults` are situations with what to take first and what to avoid (the matrix of
 * reference/report-and-cost 6.2); report/advise/advise.c knows their conditions.
 * Everything borrows from the file's tree. */
#ifndef REPORT_ADVISE_PRIORS_H
#define REPORT_ADVISE_PRIORS_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum prior_direction { PRIOR_HIGHER, PRIOR_LOWER, PRIOR_EQUAL, PRIOR_ADVICE };

struct prior_scope {
    const char *task;          /* "seq-cls"; NULL: any */
    double rows_min, rows_max; /* training rows; 0 and infinity: any */
    const char *base;          /* the base it was seen on, for people; NULL: several */
    const char *hardware;      /* NULL: any */
};

struct prior {
    const char *id, *claim;
    struct prior_scope scope;
    const char *better, *worse;             /* "" where it compares nothing */
    const json_t *better_with, *worse_with; /* {parameter: value} or NULL */
    const char *metric;
    enum prior_direction direction;
    const char *number; /* "0.44 x"; NULL: none given */
    const char *source;
    const char *strength; /* "A" peer-reviewed, several seeds ... "D" documentation */
    const char *mark;     /* "V" read in the source, "C" computed, "M" from memory */
    const char *counter;  /* where a measurement already disagrees; NULL */
};

struct prior_default {
    const char *id, *situation, *first, *then, *avoid, *why; /* lists of methods or "" */
    const char
        *served; /* first and then hold so served: "merged|own", "beside"; "": any */
    const json_t *conditions;
};

struct priors {
    json_t *file;
    struct prior *claims;
    struct prior_default *defaults;
    size_t claim_count, default_count;
};

/* The built-in file. */
int priors_load(struct priors *out, struct err *err);
/* The same from text; ERR_CONFIG names the row and the key that is wrong. */
int priors_parse(const char *text, size_t len, const char *name, struct priors *out,
                 struct err *err);
void priors_release(struct priors *p);

/* Whether a claim speaks for such data. rows: training rows, NaN where unknown (then a
 * claim about numbers of rows does not). task NULL: unknown, any claim does. */
bool prior_in_scope(const struct prior *p, const char *task, double rows);
/* Whether trials of `method` with `params` are on the claim's better (or worse) side. */
bool prior_is_better(const struct prior *p, const char *method, const json_t *params);
bool prior_is_worse(const struct prior *p, const char *method, const json_t *params);

enum prior_word { PRIOR_AGREES, PRIOR_DISAGREES, PRIOR_SILENT, PRIOR_OUTSIDE };
/* The rule of reference/report-and-cost 6.3 for a measured difference (better minus
 * worse) with its interval: agrees if the interval leaves out 0 on the claim's side,
 * disagrees on the other, else open. For "equal": agrees if it lies within +/- delta,
 * disagrees if it leaves out 0 by more than delta. NaN ends: open. */
enum prior_word prior_judge(const struct prior *p, double low, double high, double delta);
const char *prior_word_text(enum prior_word w); /* "agrees", "disagrees", ... */

#endif
