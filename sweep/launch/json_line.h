/* sweep/launch/json_line.h - the fields of a line that is a JSON object, however odd single
 * fields are.
 *
 * A strict parser refuses the whole text for one integer above 64 bits, one half of a
 * surrogate pair or a NUL in a text; here such a field costs itself only. Objects within
 * join their names by '/'. Numbers are what strtod takes: JSON's, and the bare words NaN,
 * Infinity, nan, inf with a sign, as Python and printf write them; the words NaN, Infinity
 * and -Infinity as texts are numbers too, true and false are 1 and 0. Texts are passed
 * over whatever is in them, lists as well. What is not built as an object at all (no
 * quotes, no colon, an end too early, something behind it) is refused as a whole. */
#ifndef SWEEP_LAUNCH_JSON_LINE_H
#define SWEEP_LAUNCH_JSON_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_LINE_NAME_MAX  256 /* bytes of a joined name */
#define JSON_LINE_DEPTH_MAX 64  /* objects in objects */

enum json_line_kind { LINE_NUMBER, LINE_NULL, LINE_OTHER /* a text, a list */ };

/* What keeps a field from having a value. */
enum json_line_odd {
    LINE_FINE,
    LINE_ODD_NAME,   /* empty, too long, no valid text, a NUL in it */
    LINE_ODD_NUMBER, /* beyond what a double holds */
    LINE_ODD_DEPTH,
};

struct json_line_field {
    char *name;
    enum json_line_kind kind;
    enum json_line_odd odd;
    double value;
};

struct json_line {
    struct json_line_field *fields; /* in the order of the line */
    size_t count, cap;
};

/* False: it is no object. To be released in either case. */
bool json_line_read(struct json_line *line, const char *text, size_t n);
void json_line_release(struct json_line *line);

#endif
