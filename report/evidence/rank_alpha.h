/* report/evidence/rank_alpha.h - rank, alpha and target modules of one group: the cells
 * behind the heatmap and the ladder of targets.
 *
 * A cell is a (rank, alpha, target modules) at its best other settings by the selection
 * metric. Alpha alone confounds, so each cell carries its effective scale: alpha / rank,
 * or alpha / sqrt(rank) under rsLoRA. Cells are judged like configurations
 * (verdict.h). */
#ifndef REPORT_EVIDENCE_RANK_ALPHA_H
#define REPORT_EVIDENCE_RANK_ALPHA_H

#include "report/report.h"

struct grid_cell {
    double rank, alpha, scale;
    size_t target;           /* index into targets */
    struct report_cell cell; /* its trials; empty: all failed */
    size_t failed;
};

struct grid {
    size_t group;
    struct grid_cell *cells;
    size_t count, cap;
    double *ranks, *alphas; /* ascending, distinct */
    size_t rank_count, alpha_count;
    char **targets; /* "query+value"; fewest trainable parameters first */
    size_t target_count;
    struct verdict *verdict; /* a configuration per cell */
};

/* The group with most cells in the main column; NULL: none has ranks and alphas. */
struct grid *grid_new(const struct report *r);
void grid_free(struct grid *g);
/* Best cell by the selection metric among those with this rank (NaN: any) and target
 * (SIZE_MAX: any); SIZE_MAX: none. */
size_t grid_best(const struct report *r, const struct grid *g, double rank,
                 size_t target);
const char *grid_cell_name(const struct grid *g, size_t cell);

#endif
