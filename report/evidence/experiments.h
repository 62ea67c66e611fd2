/* report/evidence/experiments.h - which experiments are worth their price.
 *
 * Value = expected value of sample information, in units of the metric: how much better
 * the choice is on average after the experiment than now. With a normal belief about the
 * difference d of the leader to a rival (mean d, standard error e) and n more seeds
 * beside the m there are, the difference will be re-estimated with a spread of
 *
 *   s = e sqrt(n / (n + m))    (its preposterior standard deviation)
 *
 * and the choice gains s phi(d / s) - d Phi(-d / s) (unit normal loss; Raiffa and
 * Schlaifer 1961). An experiment on what was never run has e from the spread between
 * groups and s = e. Rank: value per USD of training, per trial where no price is known.
 * What cannot be valued so (a second environment, a wider range) stands without rank. */
#ifndef REPORT_EVIDENCE_EXPERIMENTS_H
#define REPORT_EVIDENCE_EXPERIMENTS_H

#include "report/report.h"

enum next_kind { NEXT_SEEDS, NEXT_CELL };

struct next {
    enum next_kind kind;
    size_t group, rival;   /* NEXT_SEEDS: of both; NEXT_CELL: group alone */
    size_t column, trials; /* trials: all that it needs */
    size_t seeds;          /* per group, in addition */
    double value;          /* of the metric */
    double usd;            /* NaN: no price known */
    double rate;           /* value per USD, else per trial */
    bool assumed_spread;   /* e was not measured for it */
};

/* The gain of the choice for a difference d that will be re-estimated with spread s. */
double next_value(double d, double s);
/* Seeds that a cell needs to count. */
enum { NEXT_CELL_SEEDS = 3 };
/* Price of one run of a group in a column: its own, else that of another column by rows,
 * else the mean of the column; NaN: nothing is known. */
double next_run_price(const struct report *r, size_t column, size_t group);
/* Best rate first. Caller frees. */
struct next *next_experiments(const struct report *r, size_t *count);

#endif
