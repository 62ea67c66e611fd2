/* report/page/words.c - see words.h. */
#include "report/page/words.h"
#include "lib/str.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NOTHING "–"

static char *slot(size_t *size)
{
    static _Thread_local char ring[64][512];
    static _Thread_local unsigned next;
    *size = sizeof ring[0];
    return ring[next++ % 64];
}

const char *word_f(const char *fmt, ...)
{
    size_t size;
    char *out = slot(&size);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out, size, fmt, ap);
    va_end(ap);
    return out;
}

static int decimals(double delta)
{
    if (!(delta > 0) || !isfinite(delta))
        return 3;
    int d = (int)ceil(-log10(delta) - 1e-9) + 1;
    return d < 0 ? 0 : d;
}

enum { MOST_DECIMALS = 7 }; /* more are powers of ten */
#define POWERS_FROM 1e9     /* from here on digits tell less than their number */

/* A real minus sign, and none before zero; large numbers in powers of ten. */
static const char *signed_number(double v, int digits, bool plus)
{
    char text[64];
    if (fabs(v) >= POWERS_FROM)
        snprintf(text, sizeof text, "%.2e", fabs(v));
    else if (digits > MOST_DECIMALS)
        snprintf(text, sizeof text, "%.4g", fabs(v));
    else
        snprintf(text, sizeof text, "%.*f", digits, fabs(v));
    bool zero = strspn(text, "0.") == strlen(text);
    return word_f("%s%s", v < 0 && !zero ? "−" : plus && !zero ? "+" : "", text);
}

const char *word_score(double v, double delta)
{
    return isfinite(v) ? signed_number(v, decimals(delta), false) : NOTHING;
}

const char *word_change(double v, double delta)
{
    return isfinite(v) ? signed_number(v, decimals(delta), true) : NOTHING;
}

const char *word_range(struct stat_interval i, double delta)
{
    if (!isfinite(i.low) || !isfinite(i.high))
        return NOTHING;
    return word_f("%s to %s", word_score(i.low, delta), word_score(i.high, delta));
}

const char *word_change_range(struct stat_interval i, double delta)
{
    if (!isfinite(i.low) || !isfinite(i.high))
        return NOTHING;
    return word_f("%s to %s", word_change(i.low, delta), word_change(i.high, delta));
}

const char *word_bytes(double v)
{
    size_t size;
    if (!(v >= 0))
        return NOTHING;
    char *out = slot(&size);
    return str_bytes(out, size, v);
}

const char *word_seconds(double v)
{
    size_t size;
    if (!(v >= 0))
        return NOTHING;
    char *out = slot(&size);
    return str_duration(out, size, v);
}

const char *word_ms(double v)
{
    if (!(v >= 0))
        return NOTHING;
    if (v >= POWERS_FROM)
        return word_f("%.2e", v);
    return word_f("%.*f", v < 1 ? 3 : v < 10 ? 2 : v < 100 ? 1 : 0, v);
}

const char *word_usd(double v)
{
    if (!isfinite(v))
        return NOTHING;
    if (v <= 0)
        return "$0";
    if (v >= POWERS_FROM)
        return word_f("$%.2e", v);
    if (v >= 100)
        return word_f("$%.0f", v);
    if (v >= 1)
        return word_f("$%.2f", v);
    if (v < 1e-5)
        return "under $0.00001";
    return word_f("$%.*f", 1 - (int)floor(log10(v)), v);
}

const char *word_usd_range(double low, double high)
{
    if (!isfinite(low) || !isfinite(high))
        return NOTHING;
    return word_f("%s to %s", word_usd(low), word_usd(high));
}

const char *word_count(double v)
{
    if (!(v >= 0))
        return NOTHING;
    if (v >= 1e13)
        return word_f("%.2e", v);
    if (v >= 1e9)
        return word_f("%.3g G", v / 1e9);
    if (v >= 1e6)
        return word_f("%.3g M", v / 1e6);
    if (v >= 1e3)
        return word_f("%d,%03d", (int)(v / 1000), (int)fmod(v, 1000));
    return word_f("%.0f", v);
}

const char *word_date(int64_t unix_ms)
{
    struct tm tm;
    char text[32];
    time_t seconds = (time_t)(unix_ms / 1000);
    if (unix_ms <= 0 || !gmtime_r(&seconds, &tm))
        return "unknown";
    strftime(text, sizeof text, "%Y-%m-%d", &tm);
    return word_f("%s", text);
}

const char *word_p(double p)
{
    if (isnan(p))
        return NOTHING;
    if (p < .001)
        return "p < .001";
    return word_f("p = %.*f", p < .1 ? 3 : 2, p);
}

const char *word_plural(size_t n, const char *noun)
{
    return word_f("%zu %s%s", n, noun, n == 1 ? "" : "s");
}

const char *word_are(size_t n, const char *noun)
{
    return word_f("%s %s", word_plural(n, noun), n == 1 ? "is" : "are");
}
