/* report/evidence/strength.h - how much the trials can carry: what the evidence section
 * prints and what the threats are judged by. */
#ifndef REPORT_EVIDENCE_STRENGTH_H
#define REPORT_EVIDENCE_STRENGTH_H

#include "report/report.h"

struct evidence {
    size_t complete, failed, open, pruned;
    size_t spared;                   /* never run: the sweep was decided without them */
    size_t seeds_fewest, seeds_most; /* over cells with results */
    double rows;                     /* of the evaluation split; NaN: not recorded */
    double visible_by_rows;  /* difference that these rows alone show with 80 % power: of
                                two unpaired shares, or, where it is known what each row
                                got, paired by row; NaN: neither */
    bool rows_paired;        /* the latter */
    double visible_by_seeds; /* median half-width of the best's intervals; NaN: none */
    size_t variants_fewest, variants_most; /* tried per group */
};
struct evidence evidence_of(const struct report *r);

/* SHA-256 of an input ("train_data") as a trial's environment has it; "" not recorded. */
const char *trial_hash(const struct report_trial *t, const char *input);
/* Cores that other work kept busy while a trial's latency (or its run) was timed; NaN: not
 * recorded. */
double trial_others(const struct report_trial *t, bool latency);
/* From here on a figure is that of a busy machine. */
#define BUSY_CORES 0.25
/* Trials of a cell whose latency was measured on a busy machine. */
size_t cell_busy(const struct report_cell *c);
/* Trials whose training file is also their evaluation or test file, byte by byte. */
size_t evidence_leaks(const struct report *r);
/* Different files (by hash) that trials of the main column were judged on; 0: unknown. */
size_t evidence_test_files(const struct report *r);

/* Trials of the column that ran, per environment block (store_data.h, machines);
 * SIZE_MAX: of all. */
void evidence_blocks(const struct report *r, size_t column, size_t *trials);
size_t evidence_block_count(const struct report *r, size_t column);
/* Trials of the main column whose environment nobody recorded: that they share one is not
 * known. */
size_t evidence_unrecorded(const struct report *r);
/* Learning rates that were tried for a group in a column. */
size_t evidence_rates(const struct report *r, size_t column, size_t group);
/* Whether two cells have trials in a common block: else they differ in more than their
 * configurations. */
bool cells_share_block(const struct report_cell *a, const struct report_cell *b);

#endif
