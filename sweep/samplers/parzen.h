/* sweep/samplers/parzen.h - the tree-structured Parzen estimator (Bergstra et al.,
 * NeurIPS 2011).
 *
 * Finished trials are split into the best tenth (at most 25) and the rest; each side's
 * values of one parameter become a mixture of kernels l(x) and g(x); of some candidates
 * drawn from l the one with the largest l(x) / g(x) is tried next. One parameter at a
 * time, so a conditional one learns from the trials that have it.
 *
 * The rules are those of Optuna 3.1.0 (multivariate=False, constant_liar=False):
 *  - complete trials by value, then pruned ones, deepest step first, then by value, NaN
 *    and those without any report last; failed trials are not looked at;
 *  - weights: 1 for the 25 newest of a side, a linear ramp from 1/n for older ones; the
 *    prior (middle of the range, sigma as wide as it) has weight 1 and comes last;
 *  - sigma: the larger gap to the neighbours, the prior's place and the ends included;
 *    the outermost take their one inner gap; within range / min(100, 1 + kernels) and
 *    the range;
 *  - a step widens the range by half of it on both sides and the density is the mass of
 *    the cell; with a logarithm it is the density of log x;
 *  - choices: 1 / kernels on each and 1 on the observed one.
 * Two things differ. What diverged ranks last of all and is never among the best: a
 * result that is infinite (of either sign) or NaN, and a pruned trial without any report,
 * which is how the caller hands in what ran out of memory; Optuna forgets a NaN, puts an
 * infinite result before the pruned ones, and fills the best tenth with them. And 3.1.0 forgot the 1 / sigma of the normal density for ranges without
 * a step (optuna/optuna#5109, fixed by PR 5110). `optuna_3_1_0` brings that back, for
 * tests only. */
#ifndef SWEEP_SAMPLERS_PARZEN_H
#define SWEEP_SAMPLERS_PARZEN_H

#include "sweep/samplers/sampler.h"

struct tpe_domain {
    size_t choices;      /* 0: a number */
    const double *share; /* prior of the choices, NULL: all alike */
    double low, high;
    double step; /* 0: continuous */
    bool log;
};

/* Choices are their index; numbers are as the parameter has them. */
struct tpe_kernels {
    size_t count; /* observations and the prior */
    double *weight, *mu, *sigma;
    double *log_whole;   /* of each kernel's mass within low and high */
    double low, high;    /* of mu: logarithm taken, widened */
    double *probability; /* choices: of the mixture; mu and sigma are NULL */
};

struct tpe_split {
    size_t n, n_below;
    size_t *below, *above; /* indices into the history, in order of the trials' numbers */
};

/* With several objectives the order of the complete trials is by non-domination rank,
 * then by what they add to the hypervolume (sweep/samplers/objectives.h). */
void tpe_split(const struct sampler_history *h, const struct sweep_objective *objectives,
               size_t objective_count, struct tpe_split *out);
void tpe_split_release(struct tpe_split *s);

/* `values` in the order of the trials' numbers. */
void tpe_kernels_init(struct tpe_kernels *k, const struct tpe_domain *d,
                      const double *values, size_t n);
void tpe_kernels_release(struct tpe_kernels *k);
double tpe_log_density(const struct tpe_kernels *k, const struct tpe_domain *d,
                       double value, bool optuna_3_1_0);
/* A value of the mixture from two numbers in (0, 1). */
double tpe_draw(const struct tpe_kernels *k, const struct tpe_domain *d, double u,
                double v);

#endif
