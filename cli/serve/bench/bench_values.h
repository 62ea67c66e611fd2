/* cli/serve/bench/bench_values.h - how values of a bench file are read, and its arrivals (inside
 * bench_file.c and bench_arrivals.c). Each message names the key. */
#ifndef CLI_SERVE_BENCH_BENCH_VALUES_H
#define CLI_SERVE_BENCH_BENCH_VALUES_H

#include "cli/serve/bench/bench_file.h"

int bench_wrong(const char *key, const char *what, struct err *err); /* ERR_CONFIG */
/* A number with its unit; NaN: it is none. */
double bench_seconds_of(const json_t *v);
double bench_bytes_of(const json_t *v);
/* What an object has under the key; what is not there leaves *out alone. */
int bench_seconds_at(const json_t *o, const char *key, double least, double most,
                     double *out, struct err *err);
int bench_integer_at(const json_t *o, const char *key, int64_t least, int64_t most,
                     int64_t *out, struct err *err);
/* Keys of an object, ended by NULL. */
int bench_check_keys(const json_t *o, const char *where, const char *const *known,
                     struct err *err);
/* One or a list; `word`: a text that may stand among them. */
int bench_numbers(const json_t *v, const char *key, const char *word, double most,
                  double *out, size_t *count, bool *has_word, struct err *err);

int bench_arrivals(struct bench_file *b, struct err *err);

#endif
