/* report/sla.h - what a service asks of a configuration (`report --sla FILE`), and
 * whether it holds: a word per constraint, with margin and the load at which it breaks.
 *
 * The file is YAML or JSON of the keys in sla.def, checked by type and range; docs/sla.md
 * explains them. sla_load reads it, sla_judge holds a configuration against it.
 *
 * A constraint has an estimate and, where the sample can carry it, a lower and an upper
 * bound (one-sided 95 %; section 3.4 of the reference):
 *   meets    the worse bound is within the limit: shown
 *   at risk  the limit lies between the bounds, or the figure is a prediction: cannot
 * tell breaks   the better bound is beyond the limit: shown unknown  not measured, or the
 * sample is too small (p99 needs 299 requests) Worse means larger for latency, cost and
 * memory and smaller for quality, throughput and availability. margin = (limit - worse
 * bound) / limit, turned round for the latter, so that above 0 is good. Overall = the
 * worst word of all.
 *
 * Latency is what a request sees at the planned peak: waiting and service, by an event
 * simulation of one replica (queue.h) at its share of the peak. */
#ifndef REPORT_SLA_H
#define REPORT_SLA_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct report;
struct report_cell;

struct sla_task {
    const char *name;
    double requests_per_s;
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

#endif
