/* lib/stats/importance.h - which parameter moves the score: PED-ANOVA (Watanabe, Bansal,
 * Hutter, IJCAI 2023, arXiv 2304.10255) with regimes for conditional spaces (arXiv
 * 2601.20800), as Optuna 5.0.0 computes it.
 *
 * For one parameter: how far is the density of its values among the best trials from that
 * among all trials? Pearson divergence of two discretised Parzen estimators, times the
 * square of the share of best trials. Trials in which the parameter was absent, or was
 * drawn from another range, are a regime of their own: (share of the best that fell into
 * it)^2 / (share of all) weighs its divergence.
 *
 * Importance is relative to the ranges that were searched, and one parameter at a time:
 * interactions do not show. The caller passes finite objectives of complete trials. */
#ifndef LIB_STATS_IMPORTANCE_H
#define LIB_STATS_IMPORTANCE_H

#include <stdbool.h>
#include <stddef.h>

enum importance_kind { IMPORTANCE_FLOAT, IMPORTANCE_INT, IMPORTANCE_CATEGORICAL };

/* Where a value was drawn from. */
struct importance_space {
    enum importance_kind kind;
    double low, high, step; /* step 0: none for a float, 1 for an int */
    bool log;
    size_t choices; /* categorical: values are 0..choices-1 */
};

/* One trial's value of the parameter; space NULL: absent. */
struct importance_value {
    const struct importance_space *space;
    double value;
};

#define IMPORTANCE_QUANTILE 0.1 /* the best tenth, Optuna's target_quantile */

/* Raw importance, >= 0; trials[i] belongs to objective[i]. 0 where nothing can be said:
 * fewer than two trials, a range of one value. */
double stat_ped_anova(const struct importance_value *trials, const double *objective,
                      size_t count, bool minimize, double quantile);
/* Shares of 1; equal shares where all are 0. */
void stat_importance_normalize(double *raw, size_t count);

#endif
