/* lib/regex.c - see regex.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "lib/regex.h"
#include "lib/mem.h"
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#define MATCH_LIMIT 1000000

struct regex {
    char *pattern;
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

int regex_new(const char *pattern, struct regex **out, struct err *err)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *c = pcre2_compile((PCRE2_SPTR)pattern, strlen(pattern),
                                  PCRE2_UTF | PCRE2_UCP, &code, &at, NULL);
    if (!c) {
        PCRE2_UCHAR why[128];
        pcre2_get_error_message(code, why, sizeof why);
        return err_set(err, ERR_CONFIG, "regular expression '%s': at character %zu: %s",
                       pattern, (size_t)at, (const char *)why);
    }
    struct regex *r = xcalloc(1, sizeof *r);
    r->pattern = xstrdup(pattern);
    r->code = c;
    r->match = pcre2_match_data_create_from_pattern(c, NULL);
    r->context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(r->context, MATCH_LIMIT);
    *out = r;
    return 0;
}

void regex_free(struct regex *r)
{
    if (!r)
        return;
    pcre2_match_data_free(r->match);
    pcre2_match_context_free(r->context);
    pcre2_code_free(r->code);
    free(r->pattern);
    free(r);
}

/* Of what pcre2_match says: 1, 0 or an error. */
static int judged(const struct regex *r, int said, size_t len, struct err *err)
{
    if (said >= 0 || said == PCRE2_ERROR_NOMATCH)
        return said >= 0;
    PCRE2_UCHAR why[128];
    pcre2_get_error_message(said, why, sizeof why);
    return err_set(err, ERR_PARSE,
                   "regular expression '%.200s' on a text of %zu bytes: %s; write it so "
                   "that it has fewer ways to match",
                   r->pattern, len, (const char *)why);
}

int regex_fullmatch(const struct regex *r, const char *text, struct err *err)
{
    const size_t n = strlen(text);
    return judged(r,
                  pcre2_match(r->code, (PCRE2_SPTR)text, n, 0,
                              PCRE2_ANCHORED | PCRE2_ENDANCHORED, r->match, r->context),
                  n, err);
}

int regex_search(const struct regex *r, const char *text, size_t len, size_t from,
                 size_t *begin, size_t *end, struct err *err)
{
    int rc = judged(r,
                    pcre2_match(r->code, (PCRE2_SPTR)text, len, from, PCRE2_NO_UTF_CHECK,
                                r->match, r->context),
                    len, err);
    if (rc <= 0)
        return rc;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(r->match);
    if (at[0] > at[1]) /* \K behind the end, in a look-ahead */
        return 0;
    *begin = at[0];
    *end = at[1];
    return 1;
}
