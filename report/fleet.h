/* report/fleet.h - serving several tasks from one base: a merged replica set per task,
 * one shared set with unmerged adapters, or the heaviest tasks merged and the rest shared
 * (reference report-and-cost.md 3.6).
 *
 *   merged = sum over tasks of max(n_min, ceil(lambda_t / capacity))
 *   shared = max(n_min, ceil(sum of lambda / (phi capacity)))
 *   cut k  = the k heaviest merged, the rest (if any) shared; k from 0 to the tasks
 *
 * phi is what an unmerged adapter leaves of the merged capacity. Without rounding shared
 * wins while the mean fill of the merged set, sum of lambda / (replicas x capacity), is
 * below phi. */
#ifndef REPORT_FLEET_H
#define REPORT_FLEET_H

#include "report/cost.h"

struct fleet_plan {
    double merged, shared, best; /* replicas */
    size_t best_cut;             /* fewest replicas, then fewest merged tasks */
    double merged_fill;
    bool shared_wins_unrounded;
};

/* by_cut: room for count + 1 numbers, or NULL. */
void fleet_plan(const double *lambda, size_t count, double capacity, double phi,
                double n_min, struct fleet_plan *out, double *by_cut);
double fleet_usd_per_1000(double replicas, double usd_per_hour, double per_s);

/* The tasks of the SLA file on the best configuration. */
struct fleet {
    const struct report_cell *cell;
    double *peaks; /* of the tasks; owned */
    size_t count;
    double capacity; /* load of a merged replica within the latency limits */
    struct adapter_share phi;
    double phi_low; /* with many adapters and the interval's low end: predicted */
    double n_min, usd_per_hour, mean_per_s;
    bool may_merge; /* the base may change */
    struct fleet_plan plan, plan_low, plan_published;
};
#define FLEET_PUBLISHED_PHI 0.66 /* vLLM pull request 11267: 11.45 -> 7.60 requests/s */

/* False: fewer than two tasks, or merging was not measured. */
bool fleet_of(const struct report *r, struct fleet *out);
void fleet_release(struct fleet *f);
void fleet_numbers(const struct report *r, json_t *numbers); /* with its sentence */
void write_fleet(const struct report *r, struct html *h);

#endif
