/* report/evidence/verdict.h - what may be said about configurations: better, equivalent
 * or undecided; the best, and what is tied with it.
 *
 * The rules are those of golden/verdicts/README.md (alpha .05), with "variant" where they
 * say learning rate: a configuration tried in several variants stands for itself at the
 * one with the best mean `select`, and only `score` is compared.
 *   1. Failed trials are counted (Wilson interval), never averaged.
 *   2. A pair is compared over shared good seeds (at least 3; of trials in several
 *      environments those that ran in the same one, where there are 3), else by its means
 *      (at least 2 each), else not at all. Two without a common environment are not
 *      compared ("apart"): a software stack alone moves scores.
 *      What a score varies by is told by all configurations together (lib/stats/pooled.h):
 *      the pooled variance of the table, or a configuration's own where that is larger.
 *      With it a t test; degrees of freedom by Satterthwaite, those of the pool for a
 *      configuration that is no noisier than the rest, falling to its own n - 1 the less
 *      its own variance fits the pool (verdict_spread.c). Identical scores are compared
 *      as such.
 *   3. better: p_adjusted < alpha and difference >= delta; else equivalent: p_tost <
 *      alpha; else undecided. p_adjusted is the smaller of
 *        - the studentised range over all configurations (Tukey): right for all pairs at
 *          once, as are the intervals `ci_all`;
 *        - for pairs of the best: the largest p_winner among them, times alpha /
 *          winner_alpha. That the best is best alone needs one test, against what comes
 *          closest: the chance that it beats all others by so much is largest where two
 *          lead together (Gutmann and Maymin 1987; Hung and Fithian 2019). Both may be
 *          used in one table as winner_alpha = alpha - P(range of k - 2 > the critical
 *          value for k) leaves the other pairs their share.
 *   4. Where one was tried in at least twice as many variants, better must hold at equal
 *      effort too: the expected score when each is tuned over the smaller number.
 *   5. best = best mean; tied set = best and all that it is not better than.
 *   6. Configurations that ran in several environments are ranked by least squares on
 *      configuration + environment: one that ran where all score low is not ranked down.
 *      With one environment that is the mean.
 * Single runs: where both have one good trial and the score is a share of known items, a
 * pair is compared by the two-proportion test on counts ("items"), adjusted in the same
 * way with known variance. Where it is known what each row got, single runs are paired by
 * row ("rows"), whatever the score is: by McNemar's exact test where rows are right or
 * wrong, else by a t test over rows. That says what the evaluation set can tell of these two runs,
 * nothing about other seeds, so such a table has a tied set but never a winner.
 *
 * What to take now (`regrets`): the best. It is given its expected regret and its chance
 * to be more than delta off the truly best (lib/stats/regret.h) from means, standard
 * errors and degrees of freedom alone, so it needs no word and no number of looks.
 *
 * A second source of chance, the choice of test rows: rules.row_variance gives the
 * variance of a difference of two means over new rows like these, paired by row (NaN: not
 * known). It is added in one place (verdict_spread.c, verdict_difference_spread), to
 * every test, interval and the regret.
 *
 * Differences count in the goal's direction: `diff` > 0 says that `a` is better, also
 * where lower scores are better. How often all this errs: docs/verdicts.md. */
#ifndef REPORT_EVIDENCE_VERDICT_H
#define REPORT_EVIDENCE_VERDICT_H

#include "lib/stats/basic.h"
#include "lib/stats/regret.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERDICT_ALPHA 0.05
/* Up to so many configurations all pairs are compared, of more those of the best ranks:
 * half a million tests among what nobody would take cost minutes and say nothing. Ps and
 * intervals are adjusted over all pairs all the same. */
enum { VERDICT_ALL_PAIRS = 300, VERDICT_BEST_PAIRS = 30 };

struct verdict_config;
struct verdict_rules {
    bool minimize;
    double delta;    /* smallest difference that matters, >= 0 */
    double collapse; /* scores at or beyond this side of bad are failures; NaN: none */
    /* Of mean(a) - mean(b), of a's mean alone where b is NULL; NULL: rows are not known. */
    double (*row_variance)(const void *rows, const struct verdict_config *a,
                           const struct verdict_config *b);
    /* The differences of two single runs row by row, newly allocated; NULL: not known. */
    double *(*row_differences)(const void *rows, const struct verdict_config *a,
                               const struct verdict_config *b, size_t *count);
    const void *rows;
};

/* One trial that ran to an end. NaN: missing. */
struct verdict_row {
    size_t config;  /* 0..config_count-1, in the order in which ties are broken */
    size_t variant; /* any numbers */
    double order;   /* of variants, ties in select go to the smaller (learning rate) */
    int64_t seed;
    bool complete;
    double select, score;
    double items; /* the score is a share of so many; 0 or NaN: not known */
    size_t block; /* the environment it ran in */
};

/* A variance and how well it is known: cautiously, and as all of the table tell it. NaN:
 * not at all. */
struct verdict_spread {
    double variance, df, pool_df;
};

struct verdict_config {
    size_t index;   /* as in rows; verdict_config of a table */
    bool known;     /* has any row */
    size_t variant; /* the chosen one */
    size_t variants_tried;
    size_t n, n_ok, n_failed; /* of the chosen variant; of all where none was good */
    struct stat_interval failure;
    double mean, sd;         /* NaN without good trials */
    double level;            /* mean without what its environments add (rule 6) */
    struct stat_interval ci; /* 95 %, NaN below two good trials */
    int64_t *seeds;          /* n_ok, ascending */
    double *scores;
    size_t *blocks; /* NULL: all in one */
    size_t items;   /* of a single good trial, whose ci is Wilson's then; 0: none */
    size_t rows;    /* of a single good trial, else: test rows that its ci is over; 0: not
                       known what they got */
    /* Of one score, as tests take it: `paired` without what a seed does to all alike. */
    struct verdict_spread paired, plain;
};

enum verdict_word { VERDICT_BETTER, VERDICT_EQUIVALENT, VERDICT_UNDECIDED };
const char *verdict_word_text(enum verdict_word w);

struct verdict_pair {
    size_t a, b;      /* a has the better mean */
    const char *test; /* "paired", "welch" (by means), "items", "rows", "none" */
    double diff, sd;  /* sd of a difference of two scores */
    double se;        /* standard error of diff; NaN: not compared */
    double rows;      /* the part of se^2 that test rows make, which no seed takes away */
    size_t n;         /* shared good seeds */
    double df, p, p_adjusted, p_tost, p_tost_holm; /* NaN: not compared */
    double p_winner; /* for the winner's test: with the geometric mean of df and the
                        pool's degrees of freedom */
    struct stat_interval ci95, ci90;
    struct stat_interval ci_all; /* 95 %, for all pairs of the table at once */
    double equal_effort_diff;    /* NaN where rule 4 was not needed */
    bool apart;                  /* no common environment: not compared */
    enum verdict_word word;
};

struct verdict {
    struct verdict_rules rules;
    struct verdict_config *configs;
    size_t config_count;
    struct verdict_pair *pairs; /* by the means of a, then of b */
    size_t pair_count;
    size_t *ranking, ranked; /* configurations with a mean, best first */
    size_t compared; /* the first so many ranks have their pairs with all behind */
    size_t family;   /* pairs of all ranked, which adjustments are over */
    size_t *rank_of; /* by configuration; of those without a mean `ranked` */
    bool item_level; /* the best is compared by items: one seed, no winner */
    size_t *tied, tied_count; /* best first; 0: nothing is known */
    double winner_alpha;      /* rule 3; alpha where there are up to 3 */
    /* By configuration: of taking it. NaN: it, or nobody else, has a spread. */
    struct stat_regret *regrets;
};

/* Rows with the same (config, variant, seed) count once, the last one. */
struct verdict *verdict_new(const struct verdict_row *rows, size_t count,
                            size_t config_count, const struct verdict_rules *rules);
void verdict_free(struct verdict *v);
/* The comparison of two configurations in whatever order; NULL: none. */
const struct verdict_pair *verdict_find(const struct verdict *v, size_t one,
                                        size_t other);
/* The test of rule 2 for two that stand in no table, from their own scores, which ascend
 * by seed; the spreads are not read. p_adjusted is p. */
struct verdict_pair verdict_compare(const struct verdict_config *a,
                                    const struct verdict_config *b,
                                    const struct verdict_rules *rules);
/* Both are single runs, compared by what they were tested on ("items", "rows"). */
bool verdict_is_single(const struct verdict_pair *p);
/* Items or rows that a single run is known by; 0: none, or several runs. */
size_t verdict_tested(const struct verdict_config *c);
/* Items a single run got right; `items` must not be 0. */
size_t verdict_hits(const struct verdict_config *c);
/* {"configs": {name: ...}, "pairs", "best", "tied_set", "decision"}. */
json_t *verdict_json(const struct verdict *v, const char *const *names);
/* Seeds per configuration with which the pair is likely (80 %) to be decided at `alpha`
 * (two-sided), at most 1000; 0: cannot be said, as too few seeds tell nothing about the
 * spread. */
size_t verdict_seeds_needed(const struct verdict_pair *p, double delta, double alpha);
/* The configurations that lose at most delta with 95 %: within[config]. Returns how
 * many. */
size_t verdict_within(const struct verdict *v, bool *within);

/* ---- between the files of verdicts ---- */

/* Fills the spreads of a table's configurations. */
void verdict_fill_spreads(struct verdict_config *configs, size_t count);
/* Of mean(a) - mean(b) over n pairs of scores (0: over their own), rows included. */
struct verdict_spread verdict_difference_spread(const struct verdict_config *a,
                                                const struct verdict_config *b, size_t n,
                                                const struct verdict_rules *rules);
/* The test of rule 2 with the spreads of a table. */
struct verdict_pair verdict_test_pair(const struct verdict_config *a,
                                      const struct verdict_config *b,
                                      const struct verdict_rules *rules);
/* Rule 3: p_adjusted, ci_all, p_tost_holm of all pairs, winner_alpha. */
void verdict_adjust(struct verdict *v);
void verdict_fill_regrets(struct verdict *v);

#endif
