/* report/sections/compare/changes.h - what changed since the last decision (report
 * --against STORE): the same question asked of an earlier store, and what the answers
 * differ in.
 *
 * `report.before` is the report of the earlier store, over the sweeps of the same names,
 * judged by the same metric, goal and delta. Trials are the same where their
 * configuration (key) and seed are. A reason is given for each change: a configuration
 * that is new, seeds that were added, a mean that moved. */
#ifndef REPORT_SECTIONS_COMPARE_CHANGES_H
#define REPORT_SECTIONS_COMPARE_CHANGES_H

#include "report/report.h"

/* Builds r->before from the options' `against`; 0 without. */
int changes_load(struct report *r, struct err *err);

#endif
