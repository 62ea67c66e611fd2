/* report/service/erlang.h - how long requests wait at a number of servers.
 *
 * Rates per second (or any one unit), times in the same unit. `servers` >= 1. A queue
 * that is not stable (arrivals >= capacity) has waits of infinity. Exact for exponential
 * service only; report/service/queue.h simulates measured service times. Erlang 1917. */
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
double mmc_wait_quantile(const struct mmc *q, double p); /* 0 where most do not wait */

#endif
