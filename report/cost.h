/* report/cost.h - what training and serving cost: measured on this machine, predicted for
 * the GPUs of the catalogue.
 *
 * This machine: a trial pays for the threads it used, at a price per core and hour that
 * the user states (the default is an assumption, see docs/report.md):
 *   run    = seconds of all its attempts x threads x price / 3600
 *   1,000  = 1,000 x p50 latency x threads x price / 3600, while busy; with a number of
 *            requests per day: the workers that keep the p99 wait within four service
 *            times at the peak (Erlang C, M/M/c), paid all day.
 * GPUs (predicted, roofline, reference/report-and-cost.md 3.1 and 3.3):
 *   run    = price x (set-up + FLOPs / (peak x utilisation)) / 3600
 *   1,000  = price x 1,000 x max(weight bytes / (bandwidth x .7), FLOPs / (peak x
 *            utilisation)) / 3600, one request at a time; the low end takes full batches,
 *            the high end a fixed overhead per request.
 * low, base and high combine the price range with the range of the assumption. */
#ifndef REPORT_COST_H
#define REPORT_COST_H

#include "report/report.h"

struct range3 {
    double low, base, high; /* NaN: not known */
};

struct assumption {
    const char *name, *unit, *why;
    double low, base, high;
};
enum {
    ASSUME_UTILISATION,
    ASSUME_SETUP_S,
    ASSUME_BANDWIDTH,
    ASSUME_OVERHEAD_S,
    ASSUME_PEAK_LOAD,
    ASSUME_COUNT
};
extern const struct assumption assumptions[ASSUME_COUNT];

struct gpu_cost {
    const struct gpu *gpu;
    struct price_range price;
    bool fits; /* the planned peak fits its memory */
    struct range3 train_s, run_usd, request_ms, per_1000_usd;
    int age_days; /* of the newest price */
};

double trial_threads(const struct report_trial *t);
double trial_usd(const struct report *r, const struct report_trial *t);
/* Mean over the cell's trials. */
double cell_run_usd(const struct report *r, const struct report_cell *c);
double cell_per_1000_usd(const struct report *r, const struct report_cell *c,
                         double *workers);
/* All trials of the report, failed ones too. */
double decision_usd(const struct report *r, double *seconds);
/* FLOPs of one forward pass of a row, from the leanest training run; NaN: not known. */
double forward_flops(const struct report *r);
void predict_gpu(const struct report *r, const struct report_cell *c,
                 const struct gpu *gpu, struct gpu_cost *out);

#endif
