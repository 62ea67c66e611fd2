/* report/service/erlang.c - see erlang.h. */
#include "report/service/erlang.h"
#include <math.h>

double stat_erlang_b(int servers, double offered)
{
    if (servers < 1 || !(offered >= 0))
        return NAN;
    double b = 1; /* by recursion over servers: no factorials */
    for (int c = 1; c <= servers; c++)
        b = offered * b / (c + offered * b);
    return b;
}

double stat_erlang_c(int servers, double offered)
{
    double b = stat_erlang_b(servers, offered);
    if (offered >= servers)
        return isnan(b) ? b : 1;
    return b / (1 - offered / servers * (1 - b));
}

struct mmc mmc_solve(int servers, double lambda, double mu)
{
    double offered = lambda / mu, spare = servers * mu - lambda;
    struct mmc q = {.servers = servers,
                    .lambda = lambda,
                    .mu = mu,
                    .rho = offered / servers,
                    .erlang_b = stat_erlang_b(servers, offered),
                    .erlang_c = stat_erlang_c(servers, offered)};
    q.mean_wait = spare > 0 ? q.erlang_c / spare : INFINITY;
    return q;
}

double mmc_wait_quantile(const struct mmc *q, double p)
{
    double spare = q->servers * q->mu - q->lambda;
    if (q->erlang_c <= 1 - p)
        return 0;
    return spare > 0 ? log(q->erlang_c / (1 - p)) / spare : INFINITY;
}
