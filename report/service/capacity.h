/* report/service/capacity.h - arithmetic of what serving and training cost: GPUs for a
 * load, merged adapters against one shared base, spot instances, refreshes. No prices, no
 * catalogue: the caller brings them.
 *
 * Loads in requests per second, money in USD, times in the unit of the name. Quotients of
 * decimal numbers that come out whole stay whole (a load that fills its GPU exactly needs
 * no second one). Formulas: reference report-and-cost, section 3. */
#ifndef REPORT_SERVICE_CAPACITY_H
#define REPORT_SERVICE_CAPACITY_H

#include <stdbool.h>
#include <stddef.h>

/* ceil(load / capacity), at least `least`. */
size_t fleet_replicas(double load, double capacity, size_t least);
double fleet_usd_per_1k(double gpus, double usd_per_gpu_hour, double load);

/* One merged model per task against adapters on one shared base, which serves `phi` of a
 * merged GPU's capacity; or the heaviest tasks merged and the rest shared. */
struct adapter_fleet {
    const double *load; /* per task */
    size_t tasks;
    double capacity, phi, usd_per_gpu_hour;
    size_t least; /* GPUs of any service, for availability */
};
struct adapter_plan {
    size_t merged_gpus, shared_gpus;
    double merged_usd_per_hour, shared_usd_per_hour;
    double merged_usd_per_1k, shared_usd_per_1k; /* at full load */
    double merged_fill;                          /* mean use of the merged GPUs */
    bool shared_wins_unrounded;                  /* merged_fill < phi */
    size_t *hybrid_gpus; /* tasks + 1: with the `cut` heaviest tasks merged; owned */
    size_t best_cut;     /* fewest GPUs, then fewest merged */
};
void adapter_plan_init(struct adapter_plan *p, const struct adapter_fleet *f);
void adapter_plan_release(struct adapter_plan *p);

struct replica_plan {
    size_t replicas;
    double usd_per_1k; /* at the mean load */
    double utilisation_at_mean, headroom_at_peak;
};
/* star: the load of one replica up to which it keeps its promise. */
struct replica_plan replica_plan(double peak, double mean, double star,
                                 size_t gpus_per_replica, double usd_per_gpu_hour,
                                 size_t least);

double refresh_usd_per_year(double run_usd, double retrains_per_year, double tasks);

/* Interrupted on average every `mtbi_hours`, losing half a checkpoint interval and a
 * restart each time. */
struct spot {
    double interruptions, billed_hours, spot_usd, on_demand_usd;
    double break_even_ratio; /* spot price / on-demand price below which it pays */
    bool pays;
};
struct spot spot_solve(double hours, double mtbi_hours, double checkpoint_hours,
                       double restart_hours, double usd_spot, double usd_on_demand);

/* P(at least k of n replicas are up), independent, each up with probability a. */
double availability(size_t n, size_t k, double a);

#endif
