/* lib/regex.h - Python-like regular expressions by PCRE2 (UTF-8, Unicode properties),
 * with a match limit. */
#ifndef LIB_REGEX_H
#define LIB_REGEX_H

#include "lib/err.h"

struct regex;
/* Compiles; the message names the pattern, the position and what PCRE2 says. */
int regex_new(const char *pattern, struct regex **out, struct err *err);
void regex_free(struct regex *r);
/* 1 when the pattern matches the whole text (re.fullmatch), 0 when not or when the match
 * limit is reached. */
int regex_fullmatch(const struct regex *r, const char *text);

#endif
