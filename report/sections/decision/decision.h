/* report/sections/decision/decision.h - the box at the top of the page (decision.c makes its
 * numbers and sentences, decision_box.c writes it). */
#ifndef REPORT_SECTIONS_DECISION_H
#define REPORT_SECTIONS_DECISION_H

#include "report/report.h"
#include <stdbool.h>

/* "Take lora (rank 8) at sst2: ...; expected regret ..., ... chance to lose more than
 * ...; the cheapest ... is ...". Of a table with a result. */
const char *decision_take_text(const struct report *r);
/* The same as members. */
json_t *decision_take_json(const struct report *r);
/* "0.912 (95 % 0.90 to 0.93, 3 seeds)" */
const char *decision_mean_text(const struct report *r, size_t group);
/* Of those that stay within delta of the best with 95 %, the one that needs least memory
 * (dollars of a run, where memory is not known of all). SIZE_MAX: none does. `known`:
 * whether that was recorded. */
size_t decision_cheapest(const struct report *r, bool *known);
/* Methods of the main column that were tried at one learning rate only; 0 where groups
 * are no methods. A verdict across methods rests on that rate then. */
size_t decision_shared_rates(const struct report *r);
const char *decision_shared_rate_text(const struct report *r);

/* "high confidence", "cannot tell", ... of a column's verdict. */
const char *decision_confidence(const struct report *r, size_t column);

/* The tied configuration that needs least memory, or of all when there is a winner. */
size_t decision_leanest(const struct report *r);
/* " tied with it", " of those undecided against it", "" where there is a winner. */
const char *decision_lean_word(const struct report *r);
/* Every other configuration beside the best, folded. */
void why_not_write(const struct report *r, struct html *h);
/* Sentences: at which load or price a service level breaks. */
json_t *decision_flips(const struct report *r);
void decision_write(const struct report *r, const json_t *numbers, struct html *h);

#endif
