/* report/service/service_times.h - how long the replicas of a service take, out of the
 * store: batches of a bench of its base, else single requests of its tasks' trials. */
#ifndef REPORT_SERVICE_SERVICE_TIMES_H
#define REPORT_SERVICE_SERVICE_TIMES_H

#include "report/service/task_plans.h"

struct service_times {
    struct replica replica;
    struct batch_seen *seen; /* that its server draws from; owned */
    int64_t bench;           /* 0: predicted */
    double error;            /* of what is simulated, as a share */
};
/* False: the store knows nothing of it. */
bool service_times_find(const struct report *r, const struct tasks *t,
                        const struct task_service *s, struct service_times *out);
/* By single requests alone, whatever a bench measured. */
bool service_times_predict(const struct report *r, const struct tasks *t,
                           const struct task_service *s, struct service_times *out);
void service_times_release(struct service_times *x);

#endif
