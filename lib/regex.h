/* lib/regex.h - Python-like regular expressions by PCRE2 (UTF-8, Unicode properties),
 * with a match limit. */
#ifndef LIB_REGEX_H
#define LIB_REGEX_H

#include "lib/err.h"
#include <stddef.h>

struct regex;
/* Compiles; the message names the pattern, the position and what PCRE2 says. */
int regex_new(const char *pattern, struct regex **out, struct err *err);
void regex_free(struct regex *r);
/* 1 when the pattern matches the whole text (re.fullmatch), 0 when not. ERR_PARSE where
 * the match limit is reached: whether it matches is not known then. */
int regex_fullmatch(const struct regex *r, const char *text, struct err *err);
/* The first match at or behind byte `from` (re.search): 1 with its bytes [*begin, *end),
 * 0 where there is none, ERR_PARSE as above. `text` must be UTF-8, which is not checked
 * again, and `from` the start of a character; what is before it is seen by look-behind. */
int regex_search(const struct regex *r, const char *text, size_t len, size_t from,
                 size_t *begin, size_t *end, struct err *err);

#endif
