/* report/appendix.h - parts of the appendix that section_appendix.c puts together. */
#ifndef REPORT_APPENDIX_H
#define REPORT_APPENDIX_H

#include "report/report.h"

void write_formulas(const struct report *r, struct html *h);
void write_prices(const struct report *r, struct html *h);
void write_gpu_data(const struct report *r, struct html *h);

#endif
