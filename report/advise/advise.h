/* report/advise/advise.h - which method under these constraints, and why.
 *
 * The way: every candidate (a method and how it is served) is set up so that it fits, by
 * halving the micro-batch and recomputing activations (advise.c); rules give each reasons
 * for and against with points, or rule it out (rules.c); what the store measured
 * on the same task and base outweighs priors (measured.c), and what it decided is said as
 * its report says it (decided.c); the rest is words, JSON and a first sweep file (write.c, first_sweep.c).
 *
 * Hard constraints rule out: memory, the base's bytes, hours, dollars, latency where it
 * was measured. Everything else is points, and each point has its sentence. Numbers are
 * predicted (report/machine/estimate.h) but for what `exact` plans. */
#ifndef REPORT_ADVISE_ADVISE_H
#define REPORT_ADVISE_ADVISE_H

#include "report/advise/priors.h"
#include "report/machine/estimate.h"
#include "report/machine/machine.h"
#include "tracker/store/store.h"
#include "tracker/view/method_facts.h"
#include <stdio.h>

enum served { SERVED_MERGED, SERVED_BESIDE, SERVED_OWN, SERVED_COUNT };

struct candidate {
    const char *method;
    enum served served;
    const char *title;
    double lm_points, cls_points; /* standing before anything is asked */
};

/* What a planner that really plans says of a setup: bytes and time on this machine, counts
 * on any. */
struct exact_plan {
    double bytes[EST_COUNT], peak;
    double own_peak; /* the same by this program on the GPU that is asked about; 0: it has
                        no backend for it, or declines */
    double seconds;  /* of the whole training; NaN: unknown */
    struct counts counts;
};

/* How large the first sweep may be; 0: three methods, their three rates, two ranks, three
 * seeds. */
struct sweep_size {
    int methods, rates, ranks, seeds;
};

/* What the first sweep is about beside its methods. All may be NULL: a placeholder, or
 * what a trial takes by itself. */
struct sweep_subject {
    const char *name;          /* a plain word */
    const char *metric, *goal; /* "eval/macro_f1", "maximize" */
    const char *test_data, *text_column, *text_pair_column, *label_column, *problem_type;
    double
        validation_split; /* of the training rows, where there is no eval_data; 0: none */
    const char *remark;   /* a comment at its head, lines that begin with # */
};

struct advise_request {
    const char *task;  /* "seq-cls" or "causal-lm" */
    const char *model; /* as the user named it */
    struct model_shape shape;
    double rows, epochs, seq_len, batch, rank; /* rank NaN: chosen */
    double hours, usd, latency_ms;             /* NaN: no limit */
    double ttft_ms; /* to the first token of a prompt of seq_len; NaN: no limit */
    bool base_untouched, tasks_later, keep_skills;
    int checkpointing;                  /* -1: where it is needed */
    struct machine machine;             /* gpu NULL: this machine */
    double memory_bytes;                /* of one device */
    double usd_per_hour;                /* of this machine, where no GPU is named */
    const char *train_data, *eval_data; /* for the sweep file; NULL: placeholders */
    struct sweep_subject subject;
    struct sweep_size size;
    const struct catalog *catalog;
    const struct priors *priors;
    const struct method_facts *methods; /* the trainer's rows */
    size_t method_count;
    struct store *store; /* NULL: none */
    /* What a base of the store is called where it has several names ("bert-base"); NULL
     * from it: none that is known. May be NULL. */
    const char *(*known_name)(const char *path);
    bool trains; /* this program's trainer knows the architecture */
    /* Fills *out for a setup, negative where it cannot; NULL: by formula alone. */
    int (*exact)(void *ctx, const struct setup *s, struct exact_plan *out);
    void *ctx;
};

enum fit { FIT_YES, FIT_SHARDED, FIT_TIGHT, FIT_NO };

struct measured {
    size_t trials, configurations; /* 0: nothing measured */
    char metric[64];
    bool maximize;
    double mean, low, high; /* of the best configuration, 95 % t interval over seeds */
    size_t seeds;
    double *values;    /* owned; of that configuration */
    double latency_ms; /* its mean p50; NaN */
};

struct advice {
    const struct candidate *candidate;
    struct setup setup;
    struct estimate estimates[STACK_COUNT];
    bool exact; /* estimates[STACK_PEFT] holds planned bytes */
    enum fit fit;
    double peak;                        /* that `fit` was judged by */
    struct estimate_range seconds, usd; /* NaN: unknown */
    struct estimate_range request_ms;   /* of one, predicted; NaN: no GPU was named */
    struct estimate_range first_ms;     /* to the first token, of a language model */
    double own_peak; /* of this program on the GPU, planned; NaN: it cannot, or no GPU */
    double points;
    json_t *reasons, *against, *ruled_out; /* lists of sentences */
    json_t *priors;                        /* [{id, side}] */
    struct measured measured;
};

/* Whose trials the store's figures are: of the data that are asked about, where those are
 * given, else of the newest trial's. */
struct evidence_data {
    char name[128];       /* "train.jsonl (sweep set-a)"; "" nothing was measured */
    bool asked;           /* the data that are asked about, by the hashes of its files */
    size_t others;        /* complete trials on other data, left out */
    char other_name[128]; /* of the newest of them */
};

struct advise {
    const struct advise_request *request;
    struct evidence_data data;
    struct advice *items; /* best first; those ruled out last */
    size_t count, open;   /* open: not ruled out */
    json_t *watch;        /* sentences for the first */
    json_t *
        decided; /* advise_decided of the newest sweep whose figures these are; or NULL */
    struct price_range price; /* of the GPU; NaN where there is none */
};

int advise_make(const struct advise_request *r, struct advise *out, struct err *err);
void advise_release(struct advise *a);
json_t *advise_json(const struct advise *a);
void advise_print(const struct advise *a, FILE *f);
/* The first sweep to run: for what trains here a sweep of trials, else one that drives
 * the user's own program. YAML text, caller frees; NULL: everything is ruled out. */
char *advise_sweep(const struct advise *a);
/* The rates that it tries of a method: 0 the lowest, 1, 2. */
double advise_rate(const struct advise *a, const char *method, int which);
/* The setup that its trials share, which is leaner than the first method's where others
 * or another rank need more. Something must be open. */
struct setup advise_sweep_setup(const struct advise *a);

/* ---- between the files ---- */

extern const char *const served_names[SERVED_COUNT];
extern const char *const fit_names[];
extern const struct candidate advise_candidates[]; /* report/advise/methods.def */
extern const size_t advise_candidate_count;
/* All false and no name where the trainer has no such method. */
const struct method_facts *advise_facts(const struct advise_request *r,
                                        const char *method);
/* Rules: points, reasons, what is ruled out. */
void advise_judge(struct advise *a, struct advice *item);
void advise_watch(struct advise *a);
int advise_measure(struct advise *a, struct err *err);
/* {"about": "sweep reviews", "decision", "sentence", "take"}: what the report of a sweep
 * says first; NULL: nothing. */
json_t *advise_decided(struct store *s, int64_t sweep);
const struct advice *advise_find(const struct advise *a, const char *method);
bool advise_is_lm(const struct advise_request *r);
/* How a setup fits, from plan or formula, and into *peak what that was judged by (may be
 * NULL). */
enum fit advise_fit(const struct advise_request *r, const struct setup *s, double *peak);
/* The next leaner setup of the same updates: recompute, then smaller micro-batches, then
 * 8-bit moments. False: there is none. */
bool advise_leaner(const struct advise_request *r, struct setup *s);
/* A formatted sentence into a list. */
void advise_say(json_t *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
