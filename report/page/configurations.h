/* report/page/configurations.h - every configuration of the main column as one row: what
 * figures number their marks by, and what the page's script draws and marks.
 *
 * A configuration is a group at one of its variants. They are kept best first, so that an
 * index is stable within a page; figures put it on their marks (data-c), the script finds
 * rows of tables by the names. The page carries them once, in its JSON. */
#ifndef REPORT_PAGE_CONFIGURATIONS_H
#define REPORT_PAGE_CONFIGURATIONS_H

#include "report/report.h"

enum { CONFIGURATIONS_MOST = 2000 /* the best; more are counted, not listed */ };
#define CONFIGURATION_NONE ((size_t)-1)

/* Fills r->configurations. */
void configurations_find(struct report *r);
/* The index of a cell's group and variant, in whatever column; CONFIGURATION_NONE. */
size_t configuration_of(const struct report *r, const struct report_cell *c);
/* {"groups": [name], "parameters": [key], "measures": [{"name", "unit"}], "best": "highest",
 * "rows": [[group, variant, stands for its group, seeds, parameters..., measures...]],
 * "left_out"}; null where there is no value. */
json_t *configurations_json(const struct report *r);

#endif
