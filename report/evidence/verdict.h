/* report/evidence/verdict.h - what may be said about configurations: better, equivalent
 * or undecided; the best, and what is tied with it.
 *
 * The rules are those of golden/verdicts/README.md (alpha .05), with "variant" where they
 * say learning rate: a configuration tried in several variants stands for itself at the
 * one with the best mean `select`, and only `score` is compared.
 *   1. Failed trials are counted (Wilson interval), never averaged.
 *   2. A pair is compared by the paired t over shared good seeds (at least 3; of trials in
 *      several environments those that ran in the same one, where there are 3), else by
 *      Welch (at least 2 each), else not at all. Two without a common environment are not
 *      compared ("apart"): a software stack alone moves scores.
 *   3. better: p_holm (over all pairs of the table) < alpha and difference >= delta;
 *      else equivalent: p_tost < alpha; else undecided.
 *   4. Where one was tried in at least twice as many variants, better must hold at equal
 *      effort too: the expected score when each is tuned over the smaller number.
 *   5. best = best mean; tied set = best and all that it is not better than.
 *   6. Configurations that ran in several environments are ranked by least squares on
 *      configuration + environment: one that ran where all score low is not ranked down.
 *      With one environment that is the mean.
 * Single runs: where both have one good trial and the score is a share of known items, a
 * pair is compared by the two-proportion test on counts ("items"). That says what the
 * evaluation set can tell of these two runs, nothing about other seeds, so such a table
 * has a tied set but never a winner. There the words of the best's pairs rest on Holm
 * over the comparisons with the best (`p_holm_best`; reference section 0), p_holm stays
 * over all pairs and is the stricter one.
 *
 * Differences count in the goal's direction: `diff` > 0 says that `a` is better, also
 * where lower scores are better. Why Holm runs over all pairs: the best was picked from
 * the same data (reference/report-and-cost.md, corrections). */
#ifndef REPORT_EVIDENCE_VERDICT_H
#define REPORT_EVIDENCE_VERDICT_H

#include "lib/stats/basic.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERDICT_ALPHA 0.05

struct verdict_rules {
    bool minimize;
    double delta;    /* smallest difference that matters, >= 0 */
    double collapse; /* scores at or beyond this side of bad are failures; NaN: none */
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

struct verdict_config {
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
};

enum verdict_word { VERDICT_BETTER, VERDICT_EQUIVALENT, VERDICT_UNDECIDED };
const char *verdict_word_text(enum verdict_word w);

struct verdict_pair {
    size_t a, b;      /* a has the better mean */
    const char *test; /* "paired", "welch", "items", "none" */
    double diff, sd;  /* sd of paired differences, of independent ones by Welch */
    double se;        /* standard error of diff; NaN: not compared */
    size_t n;         /* shared good seeds */
    double df, p, p_holm, p_tost, p_tost_holm; /* NaN: not compared */
    struct stat_interval ci95, ci90;
    double p_holm_best;       /* items, pairs of the best; NaN elsewhere */
    double equal_effort_diff; /* NaN where rule 4 was not needed */
    bool apart;               /* no common environment: not compared */
    enum verdict_word word;
};

struct verdict {
    struct verdict_rules rules;
    struct verdict_config *configs;
    size_t config_count;
    struct verdict_pair *pairs; /* by the means of a, then of b */
    size_t pair_count;
    size_t *ranking, ranked;  /* configurations with a mean, best first */
    size_t *rank_of;          /* by configuration; of those without a mean `ranked` */
    bool item_level;          /* the best is compared by items: one seed, no winner */
    size_t *tied, tied_count; /* best first; 0: nothing is known */
};

/* Rows with the same (config, variant, seed) count once, the last one. */
struct verdict *verdict_new(const struct verdict_row *rows, size_t count,
                            size_t config_count, const struct verdict_rules *rules);
void verdict_free(struct verdict *v);
/* The comparison of two configurations in whatever order; NULL: none. */
const struct verdict_pair *verdict_find(const struct verdict *v, size_t one,
                                        size_t other);
/* The test of rule 2 alone; scores by ascending seed. */
struct verdict_pair verdict_compare(const struct verdict_config *a,
                                    const struct verdict_config *b,
                                    const struct verdict_rules *rules);
/* Items a single run got right; `items` must not be 0. */
size_t verdict_hits(const struct verdict_config *c);
/* {"configs": {name: ...}, "pairs", "best", "tied_set", "decision"}. */
json_t *verdict_json(const struct verdict *v, const char *const *names);
/* Seeds per configuration with which the pair is likely (80 %) to be decided when `pairs`
 * are compared, at most 1000; 0: cannot be said, as too few seeds tell nothing about the
 * spread. */
size_t verdict_seeds_needed(const struct verdict_pair *p, double delta, size_t pairs);

#endif
