/* sweep/launch/metric_lines.c - see metric_lines.h. */
#include "sweep/launch/metric_lines.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void metric_lines_init(struct metric_lines *m,
                       void (*tell)(void *, const char *, int64_t, double), void *ctx)
{
    *m = (struct metric_lines){.tell = tell, .ctx = ctx, .names = strmap_new()};
    buf_init(&m->line, METRIC_LINE_MAX + 1);
}

/* The number of a name that may be told, or -1. */
static int64_t name_index(struct metric_lines *m, const char *name)
{
    int64_t i;
    const size_t len = strlen(name);
    if (strmap_get(m->names, name, len, &i))
        return i;
    if (!len || len > METRIC_NAME_MAX || m->count >= METRIC_NAMES_MAX)
        return -1;
    m->last = xgrow(m->last, &m->cap, m->count + 1, sizeof *m->last);
    m->last[m->count] = (struct metric_last){.name = xstrdup(name)};
    strmap_put(m->names, name, len, (int64_t)m->count);
    return (int64_t)m->count++;
}

static void take(struct metric_lines *m, const char *name, int64_t step, double value)
{
    const int64_t i = name_index(m, name);
    if (i < 0) {
        m->dropped++;
        return;
    }
    m->last[i].value = value;
    if (step >= 0)
        m->tell(m->ctx, name, step, value);
}

static bool number_of(const json_t *v, double *out)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    if (json_is_number(v) || json_is_boolean(v)) {
        *out = json_is_number(v) ? json_number_value(v) : json_is_true(v);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(json_string_value(v), words[i].word)) {
            *out = words[i].value;
            return true;
        }
    return false;
}

static void take_object(struct metric_lines *m, const json_t *object, int64_t step,
                        const char *prefix)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        double number;
        char *name = *prefix ? xasprintf("%s/%s", prefix, key) : xstrdup(key);
        if (json_is_object(value))
            take_object(m, value, step, name);
        else if (number_of(value, &number))
            take(m, name, step, number);
        free(name);
    }
}

/* Takes the step out of the object; -1: it names none. */
static int64_t take_step(json_t *object)
{
    static const char *const names[] = {"step", "_step", "global_step"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const json_t *v = json_object_get(object, names[i]);
        if (!json_is_number(v))
            continue;
        const double step = json_number_value(v);
        json_object_del(object, names[i]);
        return step >= 0 && step < 9e15 ? (int64_t)step : -1;
    }
    return -1;
}

/* Python's json writes NaN and the infinities as bare words; JSON has only texts. */
static void quote_bare_words(const char *text, size_t n, struct buf *out)
{
    static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        size_t w = quoted ? ARRAY_LEN(words) : 0;
        while (w < ARRAY_LEN(words) &&
               (n - i < strlen(words[w]) ||
                memcmp(text + i, words[w], strlen(words[w])) != 0))
            w++;
        if (w < ARRAY_LEN(words)) {
            buf_printf(out, "\"%s\"", words[w]);
            i += strlen(words[w]) - 1;
            continue;
        }
        if (quoted && text[i] == '\\' && i + 1 < n)
            buf_char(out, text[i++]);
        else if (text[i] == '"')
            quoted = !quoted;
        buf_char(out, text[i]);
    }
}

static void take_line(struct metric_lines *m)
{
    const char *text = buf_str(&m->line);
    size_t n = m->line.len;
    struct buf repaired = BUF_INIT;
    m->lines++;
    while (n && isspace((unsigned char)*text))
        text++, n--;
    if (!n || *text != '{')
        return;
    json_t *object = json_parse(text, n, "stdout", NULL);
    if (!object) {
        quote_bare_words(text, n, &repaired);
        object = json_parse(buf_str(&repaired), repaired.len, "stdout", NULL);
        buf_release(&repaired);
    }
    if (json_is_object(object)) {
        const int64_t step = take_step(object);
        take_object(m, object, step, "");
    }
    json_decref(object);
}

void metric_lines_feed(struct metric_lines *m, const char *data, size_t n)
{
    while (n) {
        const char *newline = memchr(data, '\n', n);
        const size_t part = newline ? (size_t)(newline - data) : n;
        if (!m->skipping && m->line.len + part > METRIC_LINE_MAX) {
            m->skipping = true;
            m->dropped++;
        }
        if (!m->skipping)
            buf_add(&m->line, data, part);
        if (newline) {
            if (!m->skipping)
                take_line(m);
            m->skipping = false;
            buf_clear(&m->line);
        }
        data += part + (newline != NULL);
        n -= part + (newline != NULL);
    }
}

void metric_lines_end(struct metric_lines *m)
{
    if (!m->skipping && m->line.len)
        take_line(m);
    for (size_t i = 0; i < m->count; i++) {
        m->tell(m->ctx, m->last[i].name, -1, m->last[i].value);
        free(m->last[i].name);
    }
    free(m->last);
    strmap_free(m->names);
    buf_release(&m->line);
    *m = (struct metric_lines){0};
}
