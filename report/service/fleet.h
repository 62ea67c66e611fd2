/* report/service/fleet.h - serving several tasks from one base: a merged replica set per
 * task, one shared set with unmerged adapters, or the heaviest tasks merged and the rest
 * shared (arithmetic: report/service/capacity.h; reference report-and-cost.md 3.6). phi
 * is what an unmerged adapter leaves of the merged capacity. */
#ifndef REPORT_SERVICE_FLEET_H
#define REPORT_SERVICE_FLEET_H

#include "report/service/capacity.h"
#include "report/cost/cost.h"

/* The tasks of the SLA file on the best configuration. */
struct fleet {
    const struct report_cell *cell;
    double *peaks; /* of the tasks; owned */
    size_t count;
    double capacity; /* load of a merged replica within the latency limits */
    struct adapter_share phi;
    double phi_low; /* with many adapters and the interval's low end: predicted */
    size_t least;   /* replicas of any set */
    double usd_per_hour, mean_per_s;
    bool may_merge; /* the base may change */
    struct adapter_plan plan, plan_low, plan_published;
};
#define FLEET_PUBLISHED_PHI 0.66 /* vLLM pull request 11267: 11.45 -> 7.60 requests/s */

/* False: fewer than two tasks, or merging was not measured. */
bool fleet_of(const struct report *r, struct fleet *out);
/* For peaks other than the file's, and a phi. */
void fleet_plan(const struct fleet *f, const double *peaks, double phi,
                struct adapter_plan *out);
void fleet_release(struct fleet *f);
void fleet_numbers(const struct report *r, json_t *numbers); /* with its sentence */
void write_fleet(const struct report *r, struct html *h);

#endif
