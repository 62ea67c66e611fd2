/* report/service/erlang.h - formulas of queues: how long requests wait at a number of servers.
 *
 * Rates per second (or any one unit), times in the same unit. `servers` >= 1. A queue
 * that is not stable (arrivals >= capacity) has waits of infinity. Exact for exponential
 * service only; report/service/queue.h simulates measured service times. Erlang 1917; mg1 is
 * Pollaczek and Khinchine's mean with an exponential tail, which is 13-33 % too low for
 * cv2 of 2 to 4 (reference, corrections to 3.5). */
#ifndef REPORT_SERVICE_ERLANG_H
#define REPORT_SERVICE_ERLANG_H

#include <stddef.h>

/* Probability that all servers are busy where nobody waits (B) and where all do (C, 1 at
 * or above capacity); offered load = lambda / mu. */
double stat_erlang_b(int servers, double offered);
double stat_erlang_c(int servers, double offered);

/* M/M/c. */
struct mmc {
    int servers;
    double lambda, mu;
    double rho, erlang_b, erlang_c, mean_wait;
};
struct mmc mmc_solve(int servers, double lambda, double mu);
double mmc_wait_quantile(const struct mmc *q, double p);   /* 0 where most do not wait */
double mmc_wait_exceeds(const struct mmc *q, double wait); /* P(wait > ...) */
/* The largest utilisation at which the p-quantile of the wait is at most so many mean
 * service times. */
double mmc_max_utilisation(int servers, double p, double wait_in_services);

/* A server that works on several requests at once (batching): with n of them it finishes
 * rate[min(n, most) - 1] per second in all. */
struct birth_death {
    double rho, empty;               /* P(nobody there) */
    double mean_in_system, mean_e2e; /* Little: mean_in_system / lambda */
    double arrival_waits;            /* P(N >= most) */
    double queue_not_empty;          /* P(N > most) */
};
struct birth_death birth_death_solve(const double *rate, size_t most, double lambda);

struct mg1 {
    double mean_wait, wait_p99; /* the latter approximate */
};
/* cv2: squared coefficient of variation of the service time. */
struct mg1 mg1_solve(double rho, double cv2, double mean_service);

#endif
