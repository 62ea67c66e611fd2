/* report/sections/evidence_chance.h - the part of the evidence section about the two sources of
 * chance (report/evidence/chance.h): seeds and test rows, what each makes of the ranges,
 * and which of more seeds or more rows would help. */
#ifndef REPORT_SECTIONS_EVIDENCE_CHANCE_H
#define REPORT_SECTIONS_EVIDENCE_CHANCE_H

#include "report/report.h"

/* {"with", "without", "configs": [...], "lead": {...}}; its sentences go to the takeaways
 * of `numbers`. */
json_t *chance_json(const struct report *r, json_t *numbers);
void chance_write(const struct report *r, const json_t *chance, struct html *h);

#endif
