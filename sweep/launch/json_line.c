/* sweep/launch/json_line.c - see json_line.h. */
#include "sweep/launch/json_line.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const char *at, *end;
    struct json_line *out;
};

static void skip_space(struct scan *s)
{
    while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at)
        s->at++;
}

static bool take(struct scan *s, char c)
{
    skip_space(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* A text from its first quote to its last; what lies between, as it stands. */
static bool take_text(struct scan *s, const char **from, size_t *n)
{
    if (!take(s, '"'))
        return false;
    *from = s->at;
    while (s->at < s->end && *s->at != '"')
        s->at += *s->at == '\\' && s->at + 1 < s->end ? 2 : 1;
    if (s->at >= s->end)
        return false;
    *n = (size_t)(s->at++ - *from);
    return true;
}

/* ---- names ---- */

static int hex4(const char *p, const char *end)
{
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef", *d = strchr(digits, p[i] | 0x20);
        if (!p[i] || !d)
            return -1;
        value = value * 16 + (int)(d - digits);
    }
    return value;
}

static void put_utf8(struct buf *out, int c)
{
    if (c < 0x80) {
        buf_char(out, (char)c);
        return;
    }
    const int tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const int lead[] = {0, 0xc0, 0xe0, 0xf0};
    buf_char(out, (char)(lead[tail] | c >> 6 * tail));
    for (int i = tail - 1; i >= 0; i--)
        buf_char(out, (char)(0x80 | (c >> 6 * i & 0x3f)));
}

/* The code point of an escape behind \u, a pair of surrogates taken together; -1: none. */
static int code_point(const char **p, const char *end)
{
    const int c = hex4(*p, end);
    *p += c < 0 ? 0 : 4;
    if (c < 0xd800 || c > 0xdfff)
        return c ? c : -1; /* a NUL would end the name */
    const int low = c < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u'
                        ? hex4(*p + 2, end)
                        : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    *p += 6;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* Without its escapes; false: it is no name. */
static bool unescape(const char *p, size_t n, struct buf *out)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *end = p + n;
    while (p < end) {
        if (!*p || *p != '\\') {
            buf_char(out, *p);
            if (!*p++)
                return false;
            continue;
        }
        const char c = p[1], *found = c ? strchr(plain, c) : NULL;
        p += 2;
        if (found) {
            buf_char(out, meant[found - plain]);
        } else {
            const int code = c == 'u' ? code_point(&p, end) : -1;
            if (code < 0)
                return false;
            put_utf8(out, code);
        }
    }
    json_t *valid = json_stringn(buf_str(out), out->len);
    json_decref(valid);
    return valid != NULL;
}

static struct json_line_field *add(struct scan *s, const char *prefix, const char *text,
                                   size_t n)
{
    struct json_line *l = s->out;
    struct buf name = BUF_INIT;
    if (*prefix)
        buf_printf(&name, "%s/", prefix);
    bool fine = n <= 6 * JSON_LINE_NAME_MAX && unescape(text, n, &name);
    fine &= name.len > 0 && name.len <= JSON_LINE_NAME_MAX;
    l->fields = xgrow(l->fields, &l->cap, l->count + 1, sizeof *l->fields);
    struct json_line_field *f = &l->fields[l->count++];
    *f = (struct json_line_field){.name = xstrdup(fine ? buf_str(&name) : ""),
                                  .kind = LINE_OTHER,
                                  .odd = fine ? LINE_FINE : LINE_ODD_NAME};
    buf_release(&name);
    return f;
}

/* ---- values ---- */

/* A list, or an object that is too deep: to its closing bracket, texts taken whole. */
static bool skip_nested(struct scan *s)
{
    size_t depth = 0;
    while (s->at < s->end) {
        const char *text, c = *s->at;
        size_t n;
        if (c == '"') {
            if (!take_text(s, &text, &n))
                return false;
            continue;
        }
        s->at++;
        depth += c == '[' || c == '{';
        depth -= c == ']' || c == '}';
        if (!depth)
            return true;
    }
    return false;
}

/* A number or a bare word. */
static bool read_word(struct scan *s, struct json_line_field *f)
{
    static const struct {
        const char *word;
        enum json_line_kind kind;
        double value;
    } words[] = {
        {"true", LINE_NUMBER, 1}, {"false", LINE_NUMBER, 0}, {"null", LINE_NULL, 0}};
    char word[400]; /* an integer of 400 digits is beyond a double */
    size_t n = 0;
    const char *from = s->at;
    while (s->at < s->end && *s->at && !strchr(",}] \t\r\n", *s->at))
        s->at++;
    n = (size_t)(s->at - from);
    const bool digits = strspn(from, "+-.0123456789eE") >= n;
    if (!n || (n >= sizeof word && !digits))
        return false;
    f->kind = LINE_NUMBER;
    if (n >= sizeof word) {
        f->odd = f->odd ? f->odd : LINE_ODD_NUMBER;
        return true;
    }
    memcpy(word, from, n);
    word[n] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!strcmp(word, words[i].word)) {
            f->kind = words[i].kind;
            f->value = words[i].value;
            return true;
        }
    char *end;
    f->value = strtod(word, &end);
    if (*end || strpbrk(word, "xXpP("))
        return false;
    if (digits && isinf(f->value) && !f->odd)
        f->odd = LINE_ODD_NUMBER;
    return true;
}

static void read_number_text(const char *text, size_t n, struct json_line_field *f)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (n == strlen(words[i].word) && !memcmp(text, words[i].word, n)) {
            f->kind = LINE_NUMBER;
            f->value = words[i].value;
        }
}

static bool read_object(struct scan *s, const char *prefix, int depth);

/* The field's name is known. An object within gives fields of its own in its place. */
static bool read_value(struct scan *s, const char *prefix, const char *name, size_t len,
                       int depth)
{
    const char *text;
    size_t n;
    struct json_line_field *f = add(s, prefix, name, len);
    skip_space(s);
    const char c = s->at < s->end ? *s->at : '\0';
    if (c == '"') {
        if (!take_text(s, &text, &n))
            return false;
        read_number_text(text, n, f);
        return true;
    }
    if (c != '{' && c != '[')
        return read_word(s, f);
    const bool object = c == '{';
    if (!object || f->odd || depth >= JSON_LINE_DEPTH_MAX) {
        if (object && !f->odd)
            f->odd = LINE_ODD_DEPTH;
        f->kind = object ? LINE_NUMBER : LINE_OTHER; /* numbers may be lost in it */
        return skip_nested(s);
    }
    char *joined = f->name;
    s->out->count--;
    const bool ok = read_object(s, joined, depth + 1);
    free(joined);
    return ok;
}

static bool read_object(struct scan *s, const char *prefix, int depth)
{
    const char *name;
    size_t n;
    if (!take(s, '{'))
        return false;
    if (take(s, '}'))
        return true;
    do {
        if (!take_text(s, &name, &n) || !take(s, ':') ||
            !read_value(s, prefix, name, n, depth))
            return false;
    } while (take(s, ','));
    return take(s, '}');
}

bool json_line_read(struct json_line *line, const char *text, size_t n)
{
    struct scan s = {text, text + n, line};
    *line = (struct json_line){0};
    if (!read_object(&s, "", 1))
        return false;
    skip_space(&s);
    return s.at == s.end;
}

void json_line_release(struct json_line *line)
{
    for (size_t i = 0; i < line->count; i++)
        free(line->fields[i].name);
    free(line->fields);
    *line = (struct json_line){0};
}
