/* report/sections/next/next_step.h - the one thing to do next, as a command.
 *
 * Its rules stand in order of urgency in one table (next_step.c); the first that applies
 * is told: at the top of the page, in what `report` prints, in the JSON
 * (sections.decision.next) and wherever else a command asks for it, so that nobody is
 * told two things. FILE in a command is the sweep's file, which the store does not name. */
#ifndef REPORT_SECTIONS_NEXT_NEXT_STEP_H
#define REPORT_SECTIONS_NEXT_NEXT_STEP_H

#include "report/report.h"
#include "report/evidence/experiments.h"

/* {"command", "why"} */
json_t *next_step_json(const struct report *r);
/* The same of one sweep of a store, judged as `report` judges it; NULL where it is not
 * finished, or cannot be judged. */
json_t *next_step_of(struct store *s, int64_t sweep);
/* The experiment worth most per dollar where the decision is made: more seeds of the best
 * and of a rival. False: none is worth it. */
bool next_seeds_of_main(const struct report *r, struct next *out);
/* More seeds of a configuration that a sweep has run, as the command that adds them to it.
 * NULL for trials of no sweep, and for what was not run. Caller frees. */
char *seeds_command(const struct report *r, size_t column, size_t group, size_t seeds);

#endif
