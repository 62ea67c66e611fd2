/* report/cost_write.h - the tables of the cost section; its numbers and sentences are in
 * section_cost.c. */
#ifndef REPORT_COST_WRITE_H
#define REPORT_COST_WRITE_H

#include "report/cost.h"

void write_training_cost(const struct report *r, struct html *h);
void write_decision_cost(const struct report *r, const struct report_cell *c,
                         struct html *h);
void write_serving_cost(const struct report *r, struct html *h);
void write_gpu_cost(const struct report *r, const struct report_cell *c, struct html *h);
void write_assumptions(struct html *h);

#endif
