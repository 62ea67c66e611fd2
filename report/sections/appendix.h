/* report/sections/appendix.h - parts of the appendix that appendix.c puts together. */
#ifndef REPORT_SECTIONS_APPENDIX_H
#define REPORT_SECTIONS_APPENDIX_H

#include "report/report.h"

void write_formulas(const struct report *r, struct html *h);
void write_prices(const struct report *r, struct html *h);
void write_gpu_data(const struct report *r, struct html *h);

#endif
