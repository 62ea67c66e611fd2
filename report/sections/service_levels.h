/* report/sections/service_levels.h - cells of tables that hold something against a limit. */
#ifndef REPORT_SECTIONS_SERVICE_LEVELS_H
#define REPORT_SECTIONS_SERVICE_LEVELS_H

#include "report/report.h"

/* The word in its colour. */
void write_sla_word(struct html *h, enum sla_word w);
/* A number; what rests on a prediction looks like one. */
void write_sla_figure(struct html *h, bool predicted, const char *text);

#endif
