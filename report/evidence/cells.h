/* report/evidence/cells.h - the selection matrix: for every column (situation) the
 * verdict among groups, and for every group the trials of its best variant.
 *
 * settings.c decides what is measured by: the metric, the metric to select on, the goal,
 * the smallest difference that matters. */
#ifndef REPORT_EVIDENCE_CELLS_H
#define REPORT_EVIDENCE_CELLS_H

#include "report/evidence/chance.h"
#include "report/evidence/verdict.h"
#include "report/trials/store_data.h"

struct report_options;

struct report_settings {
    const char *metric, *select_metric; /* owned by the options, the data or static */
    const json_t *stated; /* the sweeps' own {"name", "goal"}; NULL: none states one */
    bool metric_overruled, goal_overruled; /* by --metric, --goal, against `stated` */
    bool select_minimize;                  /* lower is better of select_metric */
    struct verdict_rules rules;
    bool delta_chosen; /* not given by the user */
    bool same_split;   /* selected and reported on the same numbers: optimistic */
    double scale;      /* median of the metric, for texts */
    struct stat_interval range; /* where the metric can lie: intervals stay in it */
    const char *memory_key; /* what stands for peak memory: planned, of the device, of the
                               process; the first that there is */
};

enum cell_word {
    CELL_BEST, /* alone at the top */
    CELL_TIED, /* equivalent to the best within delta */
    CELL_WORSE,
    CELL_UNDECIDED, /* the best is not shown to be better, nor are they equivalent */
    CELL_FAILED,    /* ran, never well */
    CELL_NOT_RUN
};
const char *cell_word_text(enum cell_word w);

/* Mean over seeds with its 95 % t interval (NaN below two). */
struct spread {
    double mean, sd;
    struct stat_interval ci;
    size_t n;
};

struct report_cell {
    size_t column, group, variant;
    enum cell_word word;
    const struct report_trial **trials; /* good ones of the variant, by seed */
    size_t count;
    const struct verdict_config *verdict;
};

struct matrix {
    struct verdict **verdicts; /* per column */
    struct chance *chances;    /* per column: what rows and seeds make of its scores */
    struct report_cell *cells; /* columns x groups */
    size_t columns, groups;
    size_t main_column; /* the largest situation with results */
};

/* ERR_CONFIG when the metric is not there, with the nearest name, when sweeps are judged
 * by different ones, or when nothing says whether it is better high or low. */
int settings_choose(const struct report_data *d, const struct report_options *o,
                    struct report_settings *out, struct err *err);
/* A trial's selection metric, turned to the goal's direction. */
double trial_select(const struct report_trial *t, const struct report_settings *s);
/* Mean of the selection metric over a cell's trials, higher is better. */
double cell_select(const struct report_cell *c, const struct report_settings *s);
/* "the sweep's own is wer (minimize), overruled by --metric"; "" where nothing is. */
const char *settings_overruled(const struct report_settings *s);
/* kept: what test rows got, borrowed. Where it is known the intervals of the verdicts'
 * configurations hold for other seeds and other rows. */
void matrix_build(struct matrix *m, const struct report_data *d,
                  const struct report_settings *s, const struct kept_rows *kept);
void matrix_release(struct matrix *m);
const struct report_cell *matrix_cell(const struct matrix *m, size_t column,
                                      size_t group);
/* Groups of a column, best first, then failed, then not run. Fills m->groups indices. */
void matrix_order(const struct matrix *m, size_t column, size_t *groups);

struct spread spread_of(const double *values, size_t n);
struct spread trials_spread(const struct report_trial *const *trials, size_t count,
                            const char *key);
struct spread cell_spread(const struct report_cell *c, const char *key);

/* All configurations (group and variant) of a column that have good trials, each as a
 * cell with its own trials and no word. */
struct report_cell *matrix_variants(const struct report_data *d,
                                    const struct report_settings *s, size_t column,
                                    size_t *count);
void matrix_variants_free(struct report_cell *cells, size_t count);
bool trial_is_good(const struct report_trial *t, const struct report_settings *s);

#endif
