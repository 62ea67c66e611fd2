/* report/page/words.h - numbers as people read them, the same everywhere in the report.
 *
 * Each gives a string that lives in a ring of 64, so that a few fit into one printf. NaN
 * is an en dash. */
#ifndef REPORT_PAGE_WORDS_H
#define REPORT_PAGE_WORDS_H

#include "lib/stats/basic.h"
#include <stddef.h>
#include <stdint.h>

const char *word_f(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *word_score(double v, double delta);  /* one digit finer than delta */
const char *word_change(double v, double delta); /* with its sign */
const char *word_range(struct stat_interval i, double delta); /* "0.61 to 0.66" */
const char *word_change_range(struct stat_interval i, double delta);
const char *word_bytes(double v);   /* "38.5 MiB" */
const char *word_seconds(double v); /* "12.3 s", "4 min 10 s" */
const char *word_ms(double v);      /* "5.1" without the unit */
const char *word_usd(double v);     /* two significant digits below a dollar */
const char *word_usd_range(double low, double high);
const char *word_count(double v);                    /* "1.2 M", "74,883" */
const char *word_date(int64_t unix_ms);              /* "2026-11-24"; "unknown" for 0 */
const char *word_p(double p);                        /* "p < .001", "p = .032" */
const char *word_are(size_t n, const char *noun);    /* "1 trial is", "3 trials are" */
const char *word_plural(size_t n, const char *noun); /* "1 seed", "3 seeds" */

#endif
