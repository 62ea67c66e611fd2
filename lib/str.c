/* lib/str.c - see str.h. */
#include "lib/str.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define WORD_MAX 128 /* longer words are never near each other */

bool str_eq(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

bool str_has_prefix(const char *s, const char *prefix)
{
    return !strncmp(s, prefix, strlen(prefix));
}

bool str_has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Optimal string alignment: three rows of the table suffice for adjacent swaps. */
size_t str_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > WORD_MAX || m > WORD_MAX)
        return strcmp(a, b) ? (n > m ? n : m) : 0;
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = !same_letter(a[i - 1], b[j - 1]);
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + change);
            bool swapped = i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                           same_letter(a[i - 2], b[j - 1]);
            if (swapped && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[m];
}

static const char *tail_of(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* By letters: one wrong in a short word, about every fourth in a long one. `tails`: of what
 * stands behind the last '/', the shortest name of equal ones. */
static const char *nearest_letters(const char *word, const char *const *names,
                                   size_t count, bool tails)
{
    const size_t n = strlen(word), most = n < 4 ? 1 : 1 + (n - 1) / 4;
    size_t least = most + 1;
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t d = str_distance(word, tails ? tail_of(names[i]) : names[i]);
        if (d < least ||
            (tails && best && d == least && strlen(names[i]) < strlen(best))) {
            least = d;
            best = names[i];
        }
    }
    /* Nothing of the word is left: "xy" is not near "ab". */
    return best && least < n ? best : NULL;
}

static bool is_seam(char c)
{
    return c == '_' || c == '-' || c == '/' || c == '.';
}

enum part { NO_PART, WITHIN, AT_END, AT_BEGIN };

/* Where whole words of `name` are the word: "dropout" of "lora_dropout". */
static enum part part_of(const char *name, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = name; (at = strcasestr(at, word)); at++) {
        const bool begin = at == name, end = !at[n];
        if ((begin || is_seam(at[-1])) && (end || is_seam(at[n])))
            return begin ? AT_BEGIN : end ? AT_END : WITHIN;
    }
    return NO_PART;
}

/* What begins so, else what ends so, else what has it within; the shortest of them, none
 * where several are. */
static const char *nearest_whole(const char *word, const char *const *names, size_t count)
{
    const char *best[AT_BEGIN + 1] = {NULL};
    bool tie[AT_BEGIN + 1] = {false};
    for (size_t i = 0; i < count; i++) {
        const enum part p = part_of(names[i], word);
        const size_t n = strlen(names[i]), least = best[p] ? strlen(best[p]) : SIZE_MAX;
        tie[p] = n == least || (n > least && tie[p]);
        if (n < least)
            best[p] = names[i];
    }
    for (int p = AT_BEGIN; p > NO_PART; p--)
        if (best[p])
            return tie[p] ? NULL : best[p];
    return NULL;
}

const char *str_nearest(const char *word, const char *const *names, size_t count)
{
    enum { LEAST_PART = 4 };
    const char *near = nearest_letters(word, names, count, false);
    if (!near && strlen(word) >= LEAST_PART)
        near = nearest_whole(word, names, count);
    return near || strchr(word, '/') ? near : nearest_letters(word, names, count, true);
}

bool str_in_list(const char *word, const char *list, char separator)
{
    size_t n = strlen(word);
    for (const char *p = list; p && *p;) {
        const char *end = strchrnul(p, separator);
        if ((size_t)(end - p) == n && !memcmp(p, word, n))
            return true;
        p = *end ? end + 1 : end;
    }
    return false;
}

bool str_number(const char *s, double *out)
{
    char *end;
    const double x = strtod(s, &end);
    if (!*s || isspace((unsigned char)*s) || *end || !isfinite(x))
        return false;
    *out = x;
    return true;
}

bool str_whole(const char *s, int64_t *out)
{
    char *end;
    errno = 0;
    const int64_t n = strtoll(s, &end, 10);
    if (!*s || isspace((unsigned char)*s) || *end || errno)
        return false;
    *out = n;
    return true;
}

char *str_bytes(char *out, size_t n, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    while (fabs(bytes) >= 1023.5 && unit + 1 < ARRAY_LEN(units)) {
        bytes /= 1024;
        unit++;
    }
    bool fraction = unit > 0 && fabs(bytes) < 99.95;
    if (fabs(bytes) >= 1e7) /* nobody's memory, but it may be logged */
        snprintf(out, n, "%.2e %s", bytes, units[unit]);
    else
        snprintf(out, n, "%.*f %s", fraction ? 1 : 0, bytes, units[unit]);
    return out;
}

char *str_duration(char *out, size_t n, double seconds)
{
    if (!isfinite(seconds) || fabs(seconds) > 1e15) {
        snprintf(out, n, "?");
        return out;
    }
    const char *sign = seconds < 0 ? "-" : "";
    double s = fabs(seconds);
    long long whole = (long long)(s + 0.5);
    if (s < 0.9995)
        snprintf(out, n, "%s%.0f ms", sign, s * 1e3);
    else if (s < 9.95)
        snprintf(out, n, "%s%.1f s", sign, s);
    else if (whole < 60)
        snprintf(out, n, "%s%lld s", sign, whole);
    else if (whole < 3600)
        snprintf(out, n, "%s%lld min %lld s", sign, whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(out, n, "%s%lld h %lld min", sign, whole / 3600, whole / 60 % 60);
    else
        snprintf(out, n, "%s%lld d %lld h", sign, whole / 86400, whole / 3600 % 24);
    return out;
}

const char *str_wide_encoding(const void *text, size_t n)
{
    const unsigned char *p = text;
    if (n >= 4 && (!memcmp(p, "\xff\xfe\0\0", 4) || !memcmp(p, "\0\0\xfe\xff", 4)))
        return "UTF-32";
    if (n >= 2 && (!memcmp(p, "\xff\xfe", 2) || !memcmp(p, "\xfe\xff", 2)))
        return "UTF-16";
    if (n >= 4 && ((p[0] && !p[1] && p[2] && !p[3]) || (!p[0] && p[1] && !p[2] && p[3])))
        return "UTF-16";
    return NULL;
}

size_t str_width(const char *utf8)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)utf8;
    utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(utf8);
    size_t width = 0;
    while (left > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(p, left, &c);
        if (n <= 0) {
            n = 1;
            width++;
        } else {
            width += (size_t)utf8proc_charwidth(c);
        }
        p += n;
        left -= n;
    }
    return width;
}

/* C0, DEL and C1 drive a terminal; so do, in what is seen, the embeddings, overrides and
 * isolates that turn the direction of text ("Trojan Source"). */
bool str_is_control(int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static char visible(utf8proc_int32_t c)
{
    return c == '\n' || c == '\t' || c == '\r' ? ' ' : '?';
}

void str_clean_here(char *s)
{
    utf8proc_uint8_t *p = (utf8proc_uint8_t *)s;
    utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(s);
    while (left > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(p, left, &c);
        const bool bad = n <= 0;
        n = bad ? 1 : n;
        if (bad || str_is_control(c))
            memset(p, bad ? '?' : visible(c), (size_t)n);
        p += n;
        left -= n;
    }
}

char *str_clean(const char *s, size_t len)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 4);
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)s;
    while (len > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(p, (utf8proc_ssize_t)len, &c);
        if (n <= 0) {
            n = 1;
            buf_str_add(&out, "\xef\xbf\xbd");
        } else if (str_is_control(c)) {
            buf_char(&out, visible(c));
        } else {
            buf_add(&out, p, (size_t)n);
        }
        p += n;
        len -= (size_t)n;
    }
    return buf_detach(&out, NULL);
}

/* ---- base64 ---- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *str_base64_encode(const void *data, size_t n)
{
    const unsigned char *b = data;
    char *text = xmalloc((n + 2) / 3 * 4 + 1), *at = text;
    for (size_t i = 0; i < n; i += 3) {
        const size_t left = n - i;
        const uint32_t bits = (uint32_t)b[i] << 16 |
                              (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) |
                              (left > 2 ? b[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            *at++ = k <= left ? base64_digits[bits >> (18 - 6 * k) & 63] : '=';
    }
    *at = '\0';
    return text;
}

static int base64_value(char c)
{
    const char *at = c ? strchr(base64_digits, c) : NULL;
    return at ? (int)(at - base64_digits) : -1;
}

int64_t str_base64_decode(const char *s, size_t n, unsigned char *out)
{
    size_t done = 0;
    uint32_t bits = 0;
    while (n && s[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++) {
        const int v = base64_value(s[i]);
        if (v < 0)
            return -1;
        bits = bits << 6 | (uint32_t)v;
        if (i % 4)
            out[done++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    return (int64_t)done;
}
