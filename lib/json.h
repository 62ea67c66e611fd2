/* lib/json.h - what jansson lacks: shortest doubles, canonical text, checked getters.
 *
 * The configuration tree of this project is jansson's json_t (reference counted;
 * `json_decref` ends it). NaN and infinities do not exist in JSON: writers put the
 * strings "NaN", "Infinity", "-Infinity". Limits on reading: depth 64, 256 MiB of text,
 * duplicate keys refused. */
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include "lib/buf.h"
#include "lib/err.h"
#include <jansson.h>
#include <stdint.h>

/* Shortest decimal text that reads back as the same double; always with '.', 'e' or both
 * ("3.0", "1e-05"). */
void json_put_double(struct buf *out, double v);
/* With quotes; invalid UTF-8 becomes U+FFFD */
void json_put_string(struct buf *out, const char *utf8, size_t len);
/* Compact text, keys sorted, shortest doubles, whole doubles below 2^53 written as
 * integers (3e0 == 3). */
void json_canonical(struct buf *out, const json_t *value);
/* The same of a trial's configuration: its keys are sorted, objects within keep their
 * order, which has a meaning (of rank_pattern the first match counts). Equal
 * configurations have equal text; its SHA-256 is a trial's key. */
void json_configuration(struct buf *out, const json_t *value);
/* Readable text: insertion order, 1 space indent (0: one line), shortest doubles. */
void json_write(struct buf *out, const json_t *value, int indent);
/* Parses text; `name` is for messages ("trial.json"), which carry line and column. NULL
 * on error. */
json_t *json_parse(const char *text, size_t len, const char *name, struct err *err);
/* One line of a JSON lines file; messages say `name`, `line` and column. Unlike elsewhere
 * strings may hold NUL (json_string_length counts it): rows are text, not names. */
json_t *json_parse_line(const char *text, size_t len, const char *name, size_t line,
                        struct err *err);
json_t *json_read_file(const char *path, struct err *err);
/* Atomic, ends with \n */
int json_write_file(const char *path, const json_t *value, int indent, struct err *err);

/* A double as JSON: a number, or one of the three strings. New reference. */
json_t *json_number_or_word(double v);
/* Getters with a default; a missing key, null or wrong type gives the default. Borrowed
 * strings. */
const char *json_get_str(const json_t *object, const char *key, const char *otherwise);
int64_t json_get_int(const json_t *object, const char *key, int64_t otherwise);
/* A number, or one of the words "NaN", "Infinity", "-Infinity"; false: neither. */
bool json_as_number(const json_t *v, double *out);
/* Also "NaN" and the like */
double json_get_num(const json_t *object, const char *key, double otherwise);
int json_get_bool(const json_t *object, const char *key, int otherwise);

#endif
