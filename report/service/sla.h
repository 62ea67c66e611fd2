/* report/service/sla.h - what a service asks of a configuration (`report --sla FILE`),
 * and whether it holds: a word per constraint, with margin and the load at which it
 * breaks.
 *
 * The file is YAML or JSON of the keys in sla.def, checked by type and range; docs/sla.md
 * explains them. sla_load reads it, sla_judge holds a configuration against it.
 *
 * A constraint has an estimate and, where the sample can carry it, a lower and an upper
 * bound (one-sided 95 %; section 3.4 of the reference):
 *   meets    the worse bound is within the limit: shown
 *   at risk  the limit lies between the bounds, or the figure is a prediction: cannot
 *            tell
 *   breaks   the better bound is beyond the limit: shown
 *   unknown  not measured, or the sample is too small (p99 needs 299 requests)
 * Worse means larger for latency, cost and memory and smaller for quality, throughput and
 * availability. margin = (limit - worse bound) / limit, turned round for the latter, so
 * that above 0 is good. Overall = the worst word of all.
 *
 * Latency is what a request sees at the planned peak: waiting and service, by an event
 * simulation of one replica (queue.h) at its share of the peak. */
#ifndef REPORT_SERVICE_SLA_H
#define REPORT_SERVICE_SLA_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct report;
struct report_cell;

/* A row of task.def. NULL: not said. */
struct sla_task {
    const char *name;
    double requests_per_s;
    const char *data, *base, *adapter, *metric;
    const json_t *values; /* all of it */
};

/* NaN: not asked for. Strings and names belong to `values`. */
struct sla {
    json_t *values; /* every key, defaults filled */
    struct sla_task *tasks;
    size_t task_count;
    double mean_per_s, peak_per_s; /* over all tasks */
    bool peak_assumed;             /* not given: the assumed multiple of the mean */
};

int sla_load(const char *path, struct sla **out, struct err *err);
/* The same from text; `name` is for messages. */
int sla_parse(const char *text, size_t len, const char *name, bool is_json,
              struct sla **out, struct err *err);
void sla_free(struct sla *s);
double sla_number(const struct sla *s, const char *key); /* NaN: not given, or s NULL */
bool sla_flag(const struct sla *s, const char *key);
const char *sla_text(const struct sla *s, const char *key); /* NULL: not given */
/* The tasks have trials of their own (`data`), so they are judged one by one (tasks.h);
 * else every configuration is judged for their sum. */
bool sla_by_task(const struct sla *s);
/* A task's own limit, else the service's; NaN: neither. */
double sla_task_number(const struct sla *s, const struct sla_task *t, const char *key);

/* ---- verdicts ---- */

/* From good to bad. */
enum sla_word { SLA_MEETS, SLA_AT_RISK, SLA_UNKNOWN, SLA_BREAKS };
extern const char *const sla_words[];

struct sla_check {
    const char *key, *title, *unit; /* of the limit */
    bool more_is_better;
    double ceiling; /* of a share: 1, so that the allowance is 1 - limit; 0: none */
    double limit, measured, lower, upper; /* NaN: not known */
    double margin;          /* share of the limit, or of the allowance, that is left; NaN:
                               not known */
    double break_per_s;     /* load of the whole service at which it breaks; NaN: does not
                               depend on the load */
    double break_low_per_s; /* the same by the upper bounds, so that it may be lower */
    bool predicted;         /* rests on a prediction, so it is never shown */
    enum sla_word word;
    char note[200]; /* why, "" where the numbers say it */
};

enum { SLA_MAX_CHECKS = 16 };

/* One configuration held against the file. */
struct sla_verdict {
    const struct report_cell *cell;
    bool merged;          /* how it is served */
    bool separate;        /* every task has replicas of its own */
    bool recorded;        /* service times are the requests, not fitted */
    double replicas;      /* NaN: no load given */
    double busiest_per_s; /* load of the busiest replica at the peak; NaN: no load */
    double load_per_s;    /* highest load of one replica within the latency limits */
    double usd_per_month; /* serving and refreshes; NaN: not known */
    struct sla_check checks[SLA_MAX_CHECKS];
    size_t count;
    enum sla_word overall;
    const struct sla_check *first; /* breaks first as the load grows; NULL: none does */
};

/* The rule of the words, and the margin, for one constraint. */
void sla_decide(struct sla_check *c);
/* Every group of the main column, in the order of groups; empty (count 0) where it has no
 * results. Caller frees with free(). */
struct sla_verdict *sla_judge(const struct report *r);
/* The highest load of one replica within the latency limits, by the upper bounds; NaN:
 * that way of serving was not measured. */
double sla_capacity(const struct report *r, const struct report_cell *c, bool merged);
/* The verdict on the best configuration; NULL: no file, or nothing ranked. */
const struct sla_verdict *sla_leader(const struct report *r);

#endif
