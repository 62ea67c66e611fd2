/* runner/chat/jinja.h - the part of Jinja that chat templates are written in.
 *
 * A model's chat template is a program from elsewhere, so it runs in a small interpreter
 * of its own: nothing but text comes out, nothing is read or changed, and steps, depth,
 * memory and output have limits (below). What it knows is what published templates use,
 * with the meaning that jinja2 gives it in transformers' environment (trim_blocks and
 * lstrip_blocks on, no escaping, immutable sandbox, loop controls):
 *   statements  for (with if, else, several targets), break, continue, if/elif/else, set
 *               (also of a namespace's attribute, and as a block), macro, generation
 *   operators   + - % ~ == != < <= > >= in, not in, and, or, not, is, x if c else y,
 *               attributes, items, slices, calls
 *   tables      filters.c, predicates.c (tests), methods_of.c, functions.c
 * Everything else is an error with line and column when the template is read, never a
 * guess. Strings are counted in code points; what is undefined prints as nothing, and an
 * attribute of it or an operation with it is an error.
 *
 * The bodies of {% generation %} are what the assistant says: their places in the text
 * come out as spans. One within a macro or a set block has no place yet and is an error. */
#ifndef RUNNER_CHAT_JINJA_H
#define RUNNER_CHAT_JINJA_H

#include "lib/buf.h"
#include "lib/err.h"
#include <jansson.h>
#include <time.h>

#define JINJA_TEMPLATE_BYTES_MAX ((size_t)4 << 20)
#define JINJA_OUTPUT_BYTES_MAX   ((size_t)64 << 20)
#define JINJA_MEMORY_BYTES_MAX   ((size_t)512 << 20)
#define JINJA_STEPS_MAX          20000000 /* nodes evaluated, and bytes touched / 16 */
#define JINJA_DEPTH_MAX          1000     /* of evaluation; macros may call themselves */
#define JINJA_NESTING_MAX        200      /* of brackets and blocks in the template */

struct jinja;

/* What came out; _init before, _release at the end, may be used again. */
struct jinja_output {
    struct buf text;
    size_t (*spans)[2]; /* [begin, end) of generation bodies, in code points */
    size_t n_spans, spans_cap;
};
void jinja_output_init(struct jinja_output *o);
void jinja_output_release(struct jinja_output *o);

/* Messages say "template: line 3, column 5: ...". */
int jinja_parse(const char *text, size_t len, struct jinja **out, struct err *err);
void jinja_free(struct jinja *j);
bool jinja_has_generation(const struct jinja *j);
/* True where the template's text mentions a name anywhere. */
bool jinja_mentions(const struct jinja *j, const char *name);
/* `variables`: an object; `now` is what strftime_now prints. A template's own
 * raise_exception gives its text as the message, without a place. */
int jinja_render(const struct jinja *j, const json_t *variables, const struct tm *now,
                 struct jinja_output *out, struct err *err);

#endif
