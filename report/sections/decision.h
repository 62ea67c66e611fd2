/* report/sections/decision.h - the box at the top of the page (decision.c makes its
 * numbers and sentences, decision_box.c writes it). */
#ifndef REPORT_SECTIONS_DECISION_H
#define REPORT_SECTIONS_DECISION_H

#include "report/report.h"

/* The tied configuration that needs least memory, or of all when there is a winner. */
size_t decision_leanest(const struct report *r);
/* " tied with it", " of those undecided against it", "" where there is a winner. */
const char *decision_lean_word(const struct report *r);
/* Sentences: at which load or price a service level breaks. */
json_t *decision_flips(const struct report *r);
void decision_write(const struct report *r, const json_t *numbers, struct html *h);

#endif
