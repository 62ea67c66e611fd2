/* report/service/queue.h - what a request waits for at a replica: event simulation of a
 * first come, first served queue with Poisson arrivals and the service times that were
 * measured (Lindley's recursion; Kiefer and Wolfowitz's for several servers).
 *
 * Why not a formula: the approximations of M/G/1 tails are 13-35 % too low for service
 * times as spread as a text model's (reference 3.5). Waits of M/M/c are exact only for
 * exponential service and are printed beside.
 *
 * A `struct service` is a sample of service times. Where the store has the requests
 * themselves (series latency/request_ms) they are it; where it has only p50, p95 and p99
 * they are fitted: the logarithm is linear in the normal quantile between the known
 * points. Its bounds are samples too: every quantile moved to its one-sided 95 % bound
 * from order statistics, so that what is simulated from them bounds a percentile from
 * above and from below. The upper end of a sample stays what it is: a percentile is only
 * claimed where the sample can carry it (queue_can_claim).
 *
 * All simulations share one stream of random numbers (fixed seed, printed), so that
 * percentiles rise smoothly with the load and the page is the same each time. */
#ifndef REPORT_SERVICE_QUEUE_H
#define REPORT_SERVICE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#define QUEUE_SEED     20261124
#define QUEUE_REQUESTS 40000 /* simulated, the first tenth is left out */

struct service {
    double *ms;      /* ascending; owned */
    size_t n;        /* of ms */
    size_t requests; /* measured behind it */
    double mean_ms;
    bool recorded; /* else fitted to percentiles */
};

/* `ms` is copied and sorted. */
void service_from_sample(struct service *s, const double *ms, size_t n);
/* p95 and p99 NaN: not known. False where the percentiles make no sense. */
bool service_fit(struct service *s, double p50_ms, double p95_ms, double p99_ms,
                 double largest_ms, size_t requests);
void service_bound(const struct service *s, bool upper, struct service *out);
void service_release(struct service *s);
double service_quantile(const struct service *s, double q);

/* The sample's largest value bounds the q-quantile with 95 % confidence only from n such
 * that 1 - q^n >= .95: 59 for p95, 299 for p99. */
bool queue_can_claim(size_t requests, double q);

/* Draws shared by all simulations of a report. */
struct queue {
    double *gaps, *choices, *response_ms, *wait_ms, *free_ms;
};
void queue_init(struct queue *q);
void queue_release(struct queue *q);

enum { QUEUE_P50, QUEUE_P95, QUEUE_P99, QUEUE_PERCENTILES };
extern const double queue_percentiles[QUEUE_PERCENTILES];

struct load_point {
    double per_s, utilisation;
    double response_ms[QUEUE_PERCENTILES]; /* infinite at or above capacity */
    double mean_wait_ms, wait_p99_ms;
};

/* `per_s` requests per second at `servers` replicas with one queue. */
void queue_simulate(struct queue *q, const struct service *s, int servers, double per_s,
                    struct load_point *out);
/* The highest load of one replica at which the percentile stays within the limit; 0 where
 * not even an idle replica does. */
double queue_break_load(struct queue *q, const struct service *s, int percentile,
                        double limit_ms);

#endif
