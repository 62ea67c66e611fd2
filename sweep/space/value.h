/* sweep/space/value.h - what "the same value" means in a sweep file.
 *
 * Two values are equal when their canonical JSON is: 8, 8.0 and 8e0 are one number, "8"
 * is another value, lists compare in order. Values are brought to that form once
 * (value_canon), so that jansson's json_equal decides everywhere after. */
#ifndef SWEEP_SPACE_VALUE_H
#define SWEEP_SPACE_VALUE_H

#include "lib/buf.h"
#include <jansson.h>
#include <stdbool.h>

/* A deep copy in which whole doubles below 2^53 are integers. New reference. */
json_t *value_canon(const json_t *v);
/* Holds one of the words that stand for what JSON has no number for: "NaN", "Infinity",
 * "-Infinity". */
bool value_is_word(const json_t *v);
/* {expr: "..."}: a value that is computed. */
bool value_is_expr(const json_t *v);
/* Short text for people: `8`, `lora`, `[query, value]`. */
void value_show(struct buf *out, const json_t *v);

#endif
