/* report/service/capacity.c - see capacity.h. */
#include "report/service/capacity.h"
#include "lib/mem.h"
#include "lib/stats/dist.h"
#include <math.h>
#include <stdlib.h>

size_t fleet_replicas(double load, double capacity, size_t least)
{
    double need = load / capacity;
    /* Decimals are not exact in binary: a hair above a whole number is that number. */
    double whole = ceil(need * (1 - 1e-12));
    return whole > (double)least ? (size_t)whole : least;
}

double fleet_usd_per_1k(double gpus, double usd_per_gpu_hour, double load)
{
    return gpus * usd_per_gpu_hour * 1000 / (3600 * load);
}

/* ---- merged against shared ---- */

static int heaviest_first(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static void try_cuts(struct adapter_plan *p, const struct adapter_fleet *f,
                     const double *load)
{
    size_t merged = 0;
    p->hybrid_gpus = xcalloc(f->tasks + 1, sizeof *p->hybrid_gpus);
    for (size_t cut = 0; cut <= f->tasks; cut++) {
        double rest = 0;
        for (size_t i = f->tasks; i-- > cut;) /* the small ones first: least rounding */
            rest += load[i];
        size_t shared =
            cut < f->tasks ? fleet_replicas(rest, f->phi * f->capacity, f->least) : 0;
        p->hybrid_gpus[cut] = merged + shared;
        if (p->hybrid_gpus[cut] < p->hybrid_gpus[p->best_cut])
            p->best_cut = cut;
        if (cut < f->tasks)
            merged += fleet_replicas(load[cut], f->capacity, f->least);
    }
    p->shared_gpus = p->hybrid_gpus[0];
    p->merged_gpus = p->hybrid_gpus[f->tasks];
}

void adapter_plan_init(struct adapter_plan *p, const struct adapter_fleet *f)
{
    *p = (struct adapter_plan){0};
    double *load = xmalloc((f->tasks + 1) * sizeof *load), all = 0;
    for (size_t i = 0; i < f->tasks; i++)
        load[i] = f->load[i];
    qsort(load, f->tasks, sizeof *load, heaviest_first);
    for (size_t i = f->tasks; i-- > 0;)
        all += load[i];
    try_cuts(p, f, load);
    free(load);
    double merged = (double)p->merged_gpus, shared = (double)p->shared_gpus;
    p->merged_usd_per_hour = merged * f->usd_per_gpu_hour;
    p->shared_usd_per_hour = shared * f->usd_per_gpu_hour;
    p->merged_usd_per_1k = fleet_usd_per_1k(merged, f->usd_per_gpu_hour, all);
    p->shared_usd_per_1k = fleet_usd_per_1k(shared, f->usd_per_gpu_hour, all);
    p->merged_fill = all / (merged * f->capacity);
    p->shared_wins_unrounded = p->merged_fill < f->phi * (1 - 1e-12);
}

void adapter_plan_release(struct adapter_plan *p)
{
    free(p->hybrid_gpus);
    *p = (struct adapter_plan){0};
}

struct replica_plan replica_plan(double peak, double mean, double star,
                                 size_t gpus_per_replica, double usd_per_gpu_hour,
                                 size_t least)
{
    size_t n = fleet_replicas(peak, star, least);
    double gpus = (double)(n * gpus_per_replica), served = (double)n * star;
    return (struct replica_plan){.replicas = n,
                                 .usd_per_1k =
                                     fleet_usd_per_1k(gpus, usd_per_gpu_hour, mean),
                                 .utilisation_at_mean = mean / served,
                                 .headroom_at_peak = served / peak};
}

/* ---- training ---- */

double refresh_usd_per_year(double run_usd, double retrains_per_year, double tasks)
{
    return run_usd * retrains_per_year * tasks;
}

struct spot spot_solve(double hours, double mtbi_hours, double checkpoint_hours,
                       double restart_hours, double usd_spot, double usd_on_demand)
{
    struct spot s = {.interruptions = hours / mtbi_hours,
                     .on_demand_usd = usd_on_demand * hours};
    s.billed_hours = hours + s.interruptions * (checkpoint_hours / 2 + restart_hours);
    s.spot_usd = usd_spot * s.billed_hours;
    s.break_even_ratio = hours / s.billed_hours;
    s.pays = usd_spot / usd_on_demand < s.break_even_ratio;
    return s;
}

/* ---- promises ---- */

double availability(size_t n, size_t k, double a)
{
    return k == 0 ? 1 : stat_binom_sf(k - 1, n, a);
}
