/* cli/ui/api/api.h - what the page asks (docs/ui.md): GET /api/....
 *
 * A row of api.def is a path, the parameters that it takes, and a function that answers
 * with a tree out of a store. Parameters come as texts by name in one object; the number
 * in a path ("trial/#") as "id". A function returns an object, NULL with the error set;
 * one whose answer is large writes it as text (API_TEXT). Each answer gets "change", the
 * number of the last change that it has for certain (feed.h). */
#ifndef CLI_UI_API_H
#define CLI_UI_API_H

#include "lib/buf.h"
#include "lib/err.h"
#include "tracker/store/store.h"
#include <jansson.h>
#include <stddef.h>

typedef json_t *api_function(struct store *s, const json_t *args, struct err *err);
typedef int api_text_function(struct store *s, const json_t *args, struct buf *out,
                              struct err *err);
#define API(path, parameters, function)      api_function function;
#define API_TEXT(path, parameters, function) api_text_function function;
#include "cli/ui/api/api.def"
#undef API
#undef API_TEXT

/* A whole number within bounds; `otherwise` where it is not given. */
int api_number(const json_t *args, const char *name, int64_t low, int64_t high,
               int64_t otherwise, int64_t *out, struct err *err);
/* "1,2,3", as many as API_MOST_IDS; *out is the caller's. None given: *count is 0. */
enum { API_MOST_IDS = 20000 };
int api_ids(const json_t *args, const char *name, int64_t **out, size_t *count,
            struct err *err);
/* "a,b,c" as a list of texts; a comma within a name is %2C. NULL: not given. */
json_t *api_names(const json_t *args, const char *name);

/* Answers a GET of /api/...; for the table of routes. */
struct server_call;
void api_get(void *ctx, struct server_call *call);

#endif
