/* lib/config/conf_scalar.c - plain YAML scalars by the 1.2 core schema. */
#include "lib/config/conf_parts.h"
#include "lib/json.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(s, *words))
            return true;
    return false;
}

static const char *skip_digits(const char *s)
{
    return s + strspn(s, "0123456789");
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_decimal(const char *s, bool *whole)
{
    s += *s == '-' || *s == '+';
    const char *start = s;
    s = skip_digits(s);
    size_t before = (size_t)(s - start), after = 0;
    *whole = *s == '\0';
    if (*s == '.') {
        const char *fraction = ++s;
        s = skip_digits(s);
        after = (size_t)(s - fraction);
    }
    if (before + after == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        const char *exponent = s;
        s = skip_digits(s);
        if (s == exponent)
            return false;
    }
    return *s == '\0';
}

static json_t *read_integer(const char *digits, int base)
{
    errno = 0;
    long long v = strtoll(digits, NULL, base);
    return errno ? NULL : json_integer(v);
}

json_t *conf_plain_scalar(const char *s, size_t len)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const infs[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    if (is_one_of(s, nulls))
        return json_null();
    if (is_one_of(s, trues))
        return json_true();
    if (is_one_of(s, falses))
        return json_false();
    if (is_one_of(s, nans))
        return json_number_or_word(NAN);
    if (is_one_of(s + (*s == '-' || *s == '+'), infs))
        return json_number_or_word(*s == '-' ? -INFINITY : INFINITY);
    if (!strncmp(s, "0x", 2) && s[2] && !s[2 + strspn(s + 2, "0123456789abcdefABCDEF")])
        return read_integer(s + 2, 16);
    if (!strncmp(s, "0o", 2) && s[2] && !s[2 + strspn(s + 2, "01234567")])
        return read_integer(s + 2, 8);
    bool whole;
    if (!is_decimal(s, &whole))
        return json_stringn(s, len);
    if (whole)
        return read_integer(s, 10);
    double v = strtod(s, NULL);
    return json_real(v); /* NULL for an infinity */
}
