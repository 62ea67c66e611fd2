/* report/cost/cost.h - what training and serving cost: measured on this machine,
 * predicted for the GPUs of the catalogue (reference report-and-cost.md, section 3).
 *
 * This machine (cost.c): a trial pays for the threads it used, at a price per core and
 * hour that the user states (the default is an assumption, see docs/report.md), or for
 * the GPU it ran on where the catalogue knows it:
 *   run      = (set-up + training + evaluation) x threads x price / 3600
 *   decision = the same over all attempts of all trials, failed and pruned ones too
 *   refresh  = run x retrains per year x tasks
 *   1,000    = 1,000 x p50 latency x threads x price / 3600, while busy; with a number of
 *              requests per day: the workers that keep the p99 wait within four service
 *              times at the peak (Erlang C, M/M/c), paid all day.
 *
 * GPUs (predict.c), always predictions: the roofline
 *   step  = max(FLOPs / (peak x e_c), bytes / (bandwidth x e_m)) + launches
 * where e_c starts from the share of the peak that the same method reached here
 * (train/share_of_peak, the calibration) times the part of it that is assumed to carry
 * over. low, base and high combine the price range with the range of the assumptions.
 *
 * Serving (serving.c): what one replica does, merged and unmerged. */
#ifndef REPORT_COST_COST_H
#define REPORT_COST_COST_H

#include "report/report.h"
#include "report/service/queue.h"

struct range3 {
    double low, base, high; /* NaN: not known */
};

struct assumption {
    const char *name, *unit, *why;
    double low, base, high; /* cheap end, base, dear end */
};
enum {
    ASSUME_CARRY_OVER,
    ASSUME_UTILISATION,
    ASSUME_SETUP_S,
    ASSUME_BANDWIDTH,
    ASSUME_LAUNCH_S,
    ASSUME_OVERHEAD_S,
    ASSUME_SPOT_HOURS,
    ASSUME_RESTART_S,
    ASSUME_PEAK_LOAD,
    ASSUME_COUNT
};
extern const struct assumption assumptions[ASSUME_COUNT];

/* ---- this machine ---- */

/* Means over the cell's trials; seconds, and USD of the whole. */
struct run_cost {
    double setup_s, train_s, eval_s, total_s, usd;
    double energy_j; /* of training; NaN: not measured */
};

enum decision_part {
    DECISION_COMPLETE,
    DECISION_FAILED,
    DECISION_PRUNED,
    DECISION_OPEN,
    DECISION_PARTS
};
struct decision_cost {
    size_t trials[DECISION_PARTS];
    double seconds[DECISION_PARTS], usd[DECISION_PARTS];
};
extern const char *const decision_part_names[DECISION_PARTS];

double trial_threads(const struct report_trial *t);
/* Whether it says that it ran on a GPU: the trainer's backend, an imported run's `gpu`, a
 * sweep whose executor gives GPUs. */
bool trial_has_gpu(const struct report_trial *t);
/* The GPU it ran on; NULL: the processor, or one that the catalogue does not know. */
const struct gpu *trial_gpu(const struct report *r, const struct report_trial *t);
/* What its sweep's budget pays, else of that GPU (median of its prices, times how many),
 * else threads x price per core; NaN: a GPU without a price, which no core stands for. */
double trial_usd_per_hour(const struct report *r, const struct report_trial *t);
double trial_usd(const struct report *r, const struct report_trial *t);
struct run_cost cell_run_cost(const struct report *r, const struct report_cell *c);
/* Mean over the cell's trials. */
double cell_run_usd(const struct report *r, const struct report_cell *c);
/* 1,000 requests one after the other, nothing idle. */
double cell_busy_usd(const struct report *r, const struct report_cell *c);
/* 1,000 requests: with a load in the SLA file on the replicas that it needs, idle ones
 * included, else at the requests per day, else while busy. */
double cell_per_1000_usd(const struct report *r, const struct report_cell *c,
                         double *workers);
/* USD per 1,000 requests of a service time, busy or at the requests per day. */
double cost_per_1000(const struct report *r, double service_s, double usd_per_hour,
                     double *workers);
/* All trials of the report, failed ones too. */
double decision_usd(const struct report *r, double *seconds);
struct decision_cost decision_cost(const struct report *r);
/* Per year: retrains of the SLA file (else 12) x its tasks (else 1). */
double refresh_usd(const struct report *r, const struct report_cell *c, double *runs);
/* The best of the main column; NULL: nothing is ranked. */
const struct report_cell *report_leader(const struct report *r);

/* ---- serving ---- */

struct serving {
    bool merged;
    size_t requests; /* of one trial */
    double p50_ms, p95_ms, p99_ms;
    struct spread spread_p50; /* over seeds */
    struct service service;
    double per_s; /* one replica, never idle */
};
/* False: that way was not measured. */
bool serving_measure(const struct report *r, const struct report_cell *c, bool merged,
                     struct serving *out);
void serving_release(struct serving *s);

/* phi: requests per second through an unmerged adapter over those merged. Measured with
 * one adapter; with many on one base each request may find its adapter cold, so that the
 * low end reads adapter / weights more of a merged request's bytes (predicted). */
struct adapter_share {
    struct spread one; /* per seed: merged p50 / unmerged p50 */
    double many_low;
};
bool adapter_share(const struct report_cell *c, struct adapter_share *out);
/* USD per hour of a replica: of the SLA file, else this machine's threads. */
double replica_usd_per_hour(const struct report *r, const struct report_cell *c);

/* ---- GPUs ---- */

enum memory_fit { FIT_YES, FIT_TIGHT, FIT_NO, FIT_UNKNOWN };
extern const char *const memory_fit_words[];

/* Shares of the peak that runs of a method reached: of the GPU itself where some ran on
 * it, else of this machine. */
struct calibration {
    struct range3 share; /* largest, median, smallest; NaN: no such runs */
    size_t runs;
    bool own; /* on that GPU: carries over as it is */
};
struct calibration calibrate_method(const struct report *r, const struct report_cell *c,
                                    const struct gpu *gpu);

struct gpu_cost {
    const struct gpu *gpu;
    struct price_range price, spot;
    enum memory_fit fit;
    bool memory_bound; /* the base prediction waits for memory, not for arithmetic */
    struct range3 train_s, run_usd, spot_usd, request_ms, per_1000_usd;
    int age_days; /* of the newest price */
};

/* FLOPs of one forward pass of a row, from the leanest training run; NaN: not known. */
double forward_flops(const struct report *r);
void predict_gpu(const struct report *r, const struct report_cell *c,
                 const struct gpu *gpu, struct gpu_cost *out);

#endif
