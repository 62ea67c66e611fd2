/* lib/json.c - see json.h. */
#include "lib/json.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define DEPTH_MAX 64
#define BYTES_MAX ((size_t)256 << 20)

static const char *number_word(double v)
{
    return isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity";
}

/* Most numbers that people have are n / 10^k with few digits: where that is exact (both are
 * below 2^53, so the quotient is correctly rounded) it is the text, without a search. */
static bool put_short(struct buf *out, double v)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10};
    const double size = fabs(v);
    if (!(size >= 1e-4 && size < 1e5))
        return false;
    for (int k = 0; k < (int)(sizeof powers / sizeof *powers); k++) {
        const double n = nearbyint(size * powers[k]);
        if (n >= 1e15 || n / powers[k] != size)
            continue;
        const long long digits = (long long)n, one = (long long)powers[k];
        if (k)
            buf_printf(out, "%s%lld.%0*lld", v < 0 ? "-" : "", digits / one, k,
                       digits % one);
        else
            buf_printf(out, "%s%lld.0", v < 0 ? "-" : "", digits);
        return true;
    }
    return false;
}

void json_put_double(struct buf *out, double v)
{
    if (!isfinite(v)) {
        buf_printf(out, "\"%s\"", number_word(v));
        return;
    }
    if (put_short(out, v))
        return;
    /* 15 digits always survive in a normal number; denormal ones hold fewer. */
    char text[40];
    for (int digits = fabs(v) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_str_add(out, text);
    if (!strpbrk(text, ".e"))
        buf_str_add(out, ".0");
}

/* `shown`: also what drives a terminal or turns the direction of text is escaped. */
static void put_string(struct buf *out, const char *utf8, size_t len, bool shown)
{
    static const char named[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)utf8;
    buf_char(out, '"');
    while (len > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(p, (utf8proc_ssize_t)len, &c);
        const char *escape = n == 1 && *p ? strchr(named, *p) : NULL;
        if (n <= 0) {
            n = 1;
            buf_str_add(out, "\xef\xbf\xbd");
        } else if (escape) {
            buf_char(out, '\\');
            buf_char(out, letter[escape - named]);
        } else if (c < 0x20 || (shown && str_is_control(c))) {
            buf_printf(out, "\\u%04x", (unsigned)c);
        } else {
            buf_add(out, p, (size_t)n);
        }
        p += n;
        len -= (size_t)n;
    }
    buf_char(out, '"');
}

void json_put_string(struct buf *out, const char *utf8, size_t len)
{
    put_string(out, utf8, len, false);
}

struct style {
    bool canonical, order_within, shown;
    int indent;
};

static void put_value(struct buf *out, const json_t *v, struct style style, int depth);

static void put_break(struct buf *out, struct style style, int depth)
{
    if (style.indent <= 0)
        return;
    buf_char(out, '\n');
    for (int i = 0; i < depth * style.indent; i++)
        buf_char(out, ' ');
}

static void put_array(struct buf *out, const json_t *v, struct style style, int depth)
{
    size_t n = json_array_size(v);
    buf_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_str_add(out, style.canonical || style.indent ? "," : ", ");
        put_break(out, style, depth + 1);
        put_value(out, json_array_get(v, i), style, depth + 1);
    }
    if (n > 0)
        put_break(out, style, depth);
    buf_char(out, ']');
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_object(struct buf *out, const json_t *v, struct style style, int depth)
{
    size_t n = 0;
    const char **keys = xcalloc(json_object_size(v), sizeof *keys);
    for (void *it = json_object_iter((json_t *)v); it;
         it = json_object_iter_next((json_t *)v, it))
        keys[n++] = json_object_iter_key(it);
    if (style.canonical && !(style.order_within && depth > 0))
        qsort(keys, n, sizeof *keys, by_bytes);
    buf_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_str_add(out, style.canonical || style.indent ? "," : ", ");
        put_break(out, style, depth + 1);
        put_string(out, keys[i], strlen(keys[i]), style.shown);
        buf_str_add(out, style.canonical ? ":" : ": ");
        put_value(out, json_object_get(v, keys[i]), style, depth + 1);
    }
    if (n > 0)
        put_break(out, style, depth);
    buf_char(out, '}');
    free(keys);
}

static void put_value(struct buf *out, const json_t *v, struct style style, int depth)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_OBJECT:
        put_object(out, v, style, depth);
        return;
    case JSON_ARRAY:
        put_array(out, v, style, depth);
        return;
    case JSON_STRING:
        put_string(out, json_string_value(v), json_string_length(v), style.shown);
        return;
    case JSON_INTEGER:
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        return;
    case JSON_REAL: {
        double d = json_real_value(v);
        if (style.canonical && d == trunc(d) && fabs(d) < 0x1p53)
            buf_printf(out, "%" JSON_INTEGER_FORMAT, (json_int_t)d);
        else
            json_put_double(out, d);
        return;
    }
    case JSON_TRUE:
        buf_str_add(out, "true");
        return;
    case JSON_FALSE:
        buf_str_add(out, "false");
        return;
    case JSON_NULL:
        buf_str_add(out, "null");
        return;
    }
}

void json_canonical(struct buf *out, const json_t *value)
{
    put_value(out, value, (struct style){.canonical = true}, 0);
}

void json_configuration(struct buf *out, const json_t *value)
{
    put_value(out, value, (struct style){.canonical = true, .order_within = true}, 0);
}

void json_write(struct buf *out, const json_t *value, int indent)
{
    put_value(out, value, (struct style){.indent = indent, .shown = true}, 0);
}

static bool deeper_than(const json_t *v, int limit)
{
    if (!json_is_array(v) && !json_is_object(v))
        return false;
    if (limit == 0)
        return true;
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++)
        if (deeper_than(json_array_get(v, i), limit - 1))
            return true;
    for (void *it = json_is_object(v) ? json_object_iter((json_t *)v) : NULL; it;
         it = json_object_iter_next((json_t *)v, it))
        if (deeper_than(json_object_iter_value(it), limit - 1))
            return true;
    return false;
}

static json_t *parse(const char *text, size_t len, const char *name, size_t lines_before,
                     size_t flags, struct err *err)
{
    if (len > BYTES_MAX) {
        err_set(err, ERR_PARSE, "%s: larger than 256 MiB, the limit for JSON", name);
        return NULL;
    }
    json_error_t e;
    json_t *v =
        json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | flags, &e);
    if (!v) {
        char *clean = str_clean(e.text, strlen(e.text));
        err_set(err, ERR_PARSE, "%s: line %zu, column %d: %s", name,
                lines_before + (size_t)(e.line > 0 ? e.line : 0), e.column, clean);
        free(clean);
        return NULL;
    }
    if (deeper_than(v, DEPTH_MAX)) {
        err_set(err, ERR_PARSE, "%s: nested deeper than %d levels", name, DEPTH_MAX);
        json_decref(v);
        return NULL;
    }
    return v;
}

json_t *json_parse(const char *text, size_t len, const char *name, struct err *err)
{
    return parse(text, len, name, 0, 0, err);
}

json_t *json_parse_line(const char *text, size_t len, const char *name, size_t line,
                        struct err *err)
{
    return parse(text, len, name, line - 1, JSON_ALLOW_NUL, err);
}

json_t *json_read_file(const char *path, struct err *err)
{
    struct buf text = BUF_INIT;
    json_t *v = NULL;
    if (fs_read(path, BYTES_MAX, &text, err) == 0)
        v = json_parse(buf_str(&text), text.len, path, err);
    buf_release(&text);
    return v;
}

int json_write_file(const char *path, const json_t *value, int indent, struct err *err)
{
    struct buf text = BUF_INIT;
    json_write(&text, value, indent);
    buf_char(&text, '\n');
    int rc = buf_overflowed(&text)
                 ? err_set(err, ERR_IO, "cannot write '%s': larger than 1 GiB", path)
                 : fs_write_atomic(path, text.data, text.len, err);
    buf_release(&text);
    return rc;
}

json_t *json_number_or_word(double v)
{
    return isfinite(v) ? json_real(v) : json_string(number_word(v));
}

const char *json_get_str(const json_t *object, const char *key, const char *otherwise)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) ? json_string_value(v) : otherwise;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_integer(v))
        return json_integer_value(v);
    double d = json_is_real(v) ? json_real_value(v) : NAN;
    return d == trunc(d) && fabs(d) < 0x1p53 ? (int64_t)d : otherwise;
}

bool json_as_number(const json_t *v, double *out)
{
    static const double words[] = {NAN, INFINITY, -INFINITY};
    if (json_is_number(v)) {
        *out = json_number_value(v);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (json_is_string(v) && !strcmp(json_string_value(v), number_word(words[i]))) {
            *out = words[i];
            return true;
        }
    return false;
}

double json_get_num(const json_t *object, const char *key, double otherwise)
{
    double x;
    return json_as_number(json_object_get(object, key), &x) ? x : otherwise;
}

int json_get_bool(const json_t *object, const char *key, int otherwise)
{
    const json_t *v = json_object_get(object, key);
    return json_is_boolean(v) ? json_boolean_value(v) : otherwise;
}
