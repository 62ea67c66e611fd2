/* report/sections/next/more_data.h - what more training rows gave so far: the best of the
 * decision beside the same at fewer rows. It says what was measured, per doubling, and
 * that going on so was not. */
#ifndef REPORT_SECTIONS_NEXT_MORE_DATA_H
#define REPORT_SECTIONS_NEXT_MORE_DATA_H

#include "report/report.h"

/* {"text"} and, where two sizes were measured, {"rows_from", "rows_to", "gain",
 * "per_doubling", "low95", "high95"} (per doubling, in the goal's direction). */
json_t *more_data_json(const struct report *r);

#endif
