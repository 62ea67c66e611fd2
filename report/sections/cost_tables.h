/* report/sections/cost_tables.h - the tables of the cost section; its numbers and
 * sentences are in costs.c. */
#ifndef REPORT_SECTIONS_COST_TABLES_H
#define REPORT_SECTIONS_COST_TABLES_H

#include "report/cost/cost.h"

void write_training_cost(const struct report *r, struct html *h);
void write_decision_cost(const struct report *r, const struct report_cell *c,
                         struct html *h);
void write_serving_cost(const struct report *r, struct html *h);
/* The leader at 1 to 1,000 requests per s. */
void write_loads(const struct report *r, const struct report_cell *c, struct html *h);
/* "12 of 12 GPUs hold it; a run costs from ... to ..." */
void write_gpu_line(const struct report *r, const struct report_cell *c, struct html *h);
void write_gpu_cost(const struct report *r, const struct report_cell *c, struct html *h);
void write_assumptions(struct html *h);

#endif
