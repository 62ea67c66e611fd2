/* report/service/task_plans.h - ways to serve the tasks of an SLA file, each with replicas,
 * memory, price, what its tasks wait at the peak, and what gives way first.
 *
 *   shared   all tasks on one base, an adapter each, in replicas that all of them share
 *   several  each task on the base where it stands best; a shared set of replicas per base
 *   merged   replicas of its own for each task, the adapter worked into the base's weights
 *
 * A plan is one or more services: sets of alike replicas, their load spread at random.
 * A service has as many replicas as its peak needs at the load up to which each of its
 * tasks keeps its latency limits (replica.h), at least replicas_min. Where the store has a
 * bench of the base its batches are what replicas take, else single requests of the trials:
 * a prediction, labelled, and never better than at risk. A simulated response time is held
 * to be right within the largest error of the bench's own validation, TASK_MODEL_ERROR where
 * that has none.
 *
 * The plan's word is the worst of all that is asked of it: quality, latency of each task,
 * memory of a replica, availability, price. */
#ifndef REPORT_SERVICE_TASK_PLANS_H
#define REPORT_SERVICE_TASK_PLANS_H

#include "report/service/replica.h"
#include "report/service/tasks.h"

#define TASK_MODEL_ERROR 0.10 /* of a simulated percentile */

enum plan_kind { PLAN_SHARED, PLAN_SEVERAL, PLAN_MERGED, PLAN_KINDS };
extern const char *const plan_kind_names[PLAN_KINDS];

struct service_task {
    size_t task;
    const struct task_fit *fit;
    double peak_per_s;
    struct sla_check latency[QUEUE_PERCENTILES]; /* limit NaN: not asked */
};

/* Alike replicas for some of the tasks. */
struct task_service {
    size_t base;
    bool merged;
    struct service_task *tasks; /* owned */
    size_t count;
    bool known, measured;   /* known: something says how long requests take */
    int64_t bench;          /* that it was measured by */
    double error;           /* of simulated response times, as a share */
    double predicted_per_s; /* capacity by single requests; NaN: they are not known */
    double peak_per_s, capacity_per_s, replicas, memory_bytes, usd_per_hour;
    size_t first; /* of tasks: whose limit gives way first; count: none has one */
    int first_percentile;
};

struct task_plan {
    enum plan_kind kind;
    struct task_service *services; /* owned */
    size_t count;
    double replicas, usd_per_month; /* NaN: not known */
    double memory_bytes;            /* of all replicas */
    double largest_bytes;           /* of one */
    bool measured;                  /* all services are */
    enum sla_word quality, latency, overall;
    struct sla_check memory, availability, price; /* limit NaN: not asked */
    const struct task_service *first; /* gives way first as the load grows; NULL: none */
    double first_factor;              /* ... at so many times the planned peak */
};

struct task_plans {
    struct tasks tasks;
    struct task_plan *plans; /* the best first: by word, then by price; owned */
    size_t count;
};

int task_plans_make(const struct report *r, struct task_plans *out, struct err *err);
void task_plans_release(struct task_plans *p);
/* "shared all-MiniLM-L6-v2", "merged SmolLM2", "several bases" */
const char *task_plan_name(const struct task_plans *p, const struct task_plan *plan);
/* The first shared or several plan: what tasks are served by without one model each; NULL:
 * there is none. */
const struct task_plan *task_plans_shared(const struct task_plans *p);

#endif
