/* report/service/replica.h - one replica under requests of several tasks: what each task
 * waits at a load, and the highest load at which all keep their limits.
 *
 * The replica is the event simulation of lib/load/simulate.h. How long its batches take is,
 * in this order of evidence,
 *   measured    by `peftlab bench` on that base: batches of many rows and adapters
 *   predicted   from single requests of the tasks' trials, one after the other: what the
 *               store has before anybody ran a bench. Batches would carry more, other
 *               adapters between them less, so a word from it is never better than at risk.
 * Requests are a Poisson stream; each belongs to a task by the tasks' shares and has its
 * mean number of tokens. A fixed seed: the same store gives the same page. */
#ifndef REPORT_SERVICE_REPLICA_H
#define REPORT_SERVICE_REPLICA_H

#include "lib/load/simulate.h"
#include "report/service/queue.h"

enum { REPLICA_REQUESTS = 12000 /* simulated; the first tenth is left out */ };

/* Of a task on the replica. Limits NaN: none. */
struct replica_task {
    double per_s;
    int32_t tokens;
    double limit_ms[QUEUE_PERCENTILES];
};

struct replica {
    bool measured;
    struct simulated_server server; /* its `seen` is the owner's */
};

struct replica_answer {
    double per_s, utilisation;                /* of all tasks */
    double (*response_ms)[QUEUE_PERCENTILES]; /* per task; the caller's room */
};
/* All tasks together `per_s` requests a second, shared out as their per_s are. */
void replica_simulate(const struct replica *r, const struct replica_task *tasks,
                      size_t count, double per_s, struct replica_answer *out);
/* The most requests per second of full batches of such a mix. */
double replica_most_per_s(const struct replica *r, const struct replica_task *tasks,
                          size_t count);
/* The highest load at which every task keeps its limits, to 1 %; without limits 70 % of
 * the most. 0: not even an idle replica does. *task and *percentile: what gives way first
 * beyond it; *task is `count` where there are no limits. */
double replica_capacity(const struct replica *r, const struct replica_task *tasks,
                        size_t count, size_t *task, int *percentile);

#endif
