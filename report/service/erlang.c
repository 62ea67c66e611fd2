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

double mmc_wait_exceeds(const struct mmc *q, double wait)
{
    double spare = q->servers * q->mu - q->lambda;
    return spare > 0 ? q->erlang_c * exp(-spare * wait) : 1;
}

double mmc_max_utilisation(int servers, double p, double wait_in_services)
{
    if (servers < 1 || !(p > 0 && p < 1) || !(wait_in_services >= 0))
        return NAN;
    double low = 0, high = 1; /* the wait grows with the load */
    for (int i = 0; i < 60; i++) {
        double rho = 0.5 * (low + high);
        struct mmc q = mmc_solve(servers, rho * servers, 1);
        *(mmc_wait_quantile(&q, p) <= wait_in_services ? &low : &high) = rho;
    }
    return low;
}

/* Unnormalised probabilities w_n = w_(n-1) lambda / rate, rescaled when they grow; beyond
 * `most` a geometric series. */
struct birth_death birth_death_solve(const double *rate, size_t most, double lambda)
{
    struct birth_death out = {NAN, NAN, NAN, NAN, NAN, NAN};
    if (most == 0 || !(lambda > 0))
        return out;
    double r = lambda / rate[most - 1];
    out.rho = r;
    if (!(r < 1)) {
        out.empty = 0;
        out.mean_in_system = out.mean_e2e = INFINITY;
        out.arrival_waits = out.queue_not_empty = 1;
        return out;
    }
    double w = 1, first = 1, sum = 0, weighted = 0;
    for (size_t n = 0; n < most; n++) {
        sum += w;
        weighted += (double)n * w;
        w *= lambda / rate[n];
        if (w > 1e200) {
            w *= 1e-200;
            sum *= 1e-200;
            weighted *= 1e-200;
            first *= 1e-200;
        }
    }
    double tail = w / (1 - r), all = sum + tail;
    out.empty = first / all;
    out.mean_in_system =
        (weighted + w * ((double)most / (1 - r) + r / ((1 - r) * (1 - r)))) / all;
    out.mean_e2e = out.mean_in_system / lambda;
    out.arrival_waits = tail / all;
    out.queue_not_empty = tail * r / all;
    return out;
}

struct mg1 mg1_solve(double rho, double cv2, double mean_service)
{
    if (!(rho >= 0) || !(cv2 >= 0) || !(mean_service >= 0))
        return (struct mg1){NAN, NAN};
    if (rho >= 1)
        return (struct mg1){INFINITY, INFINITY};
    double mean = rho * (1 + cv2) / (2 * (1 - rho)) * mean_service;
    double p99 = rho > 0 ? mean / rho * log(rho / 0.01) : 0;
    return (struct mg1){mean, fmax(0, p99)};
}
