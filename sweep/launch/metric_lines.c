/* sweep/launch/metric_lines.c - see metric_lines.h. */
#include "sweep/launch/metric_lines.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MAX  9007199254740992.0 /* 2^53: whole numbers are exact up to here */
#define SHOWN_MAX 60                 /* bytes of a line in a message */

void metric_lines_init(struct metric_lines *m,
                       void (*tell)(void *, const char *, int64_t, double),
                       void (*warn)(void *, const char *), void *ctx)
{
    *m = (struct metric_lines){
        .tell = tell, .warn = warn, .ctx = ctx, .names = strmap_new()};
    buf_init(&m->line, METRIC_LINE_MAX + 1);
}

/* The first of its kind is told. */
static void odd(struct metric_lines *m, enum metric_odd kind, const char *first)
{
    static const char *const texts[METRIC_ODD_COUNT] = {
#define X(name, text) text,
        METRIC_ODDITIES(X)
#undef X
    };
    if (m->odd[kind]++ || !m->warn)
        return;
    char *shown = str_clean(first, strlen(first));
    struct buf text = BUF_INIT;
    const char *place = strstr(texts[kind], "%s");
    buf_printf(&text, "%.*s%s%s", (int)(place - texts[kind]), texts[kind], shown,
               place + 2);
    m->warn(m->ctx, buf_str(&text));
    buf_release(&text);
    free(shown);
}

/* The number of a name that may be told, or -1. */
static int64_t name_index(struct metric_lines *m, const char *name)
{
    int64_t i;
    const size_t len = strlen(name);
    if (strmap_get(m->names, name, len, &i))
        return i;
    if (m->count >= METRIC_NAMES_MAX) {
        odd(m, METRIC_ODD_names, name);
        return -1;
    }
    m->last = xgrow(m->last, &m->cap, m->count + 1, sizeof *m->last);
    m->last[m->count] = (struct metric_last){.name = xstrdup(name), .step = -1};
    strmap_put(m->names, name, len, (int64_t)m->count);
    return (int64_t)m->count++;
}

static void take(struct metric_lines *m, const char *name, int64_t step, double value)
{
    const int64_t i = name_index(m, name);
    if (i < 0)
        return;
    struct metric_last *last = &m->last[i];
    if (last->line == m->lines)
        odd(m, METRIC_ODD_twice, name);
    else if (step >= 0 && step <= last->step)
        odd(m, METRIC_ODD_again, name);
    last->value = value;
    last->line = m->lines;
    if (step < 0)
        return;
    last->step = step;
    m->tell(m->ctx, name, step, value);
}

/* Which field is the step; the line's count: none. */
static size_t find_step(const struct json_line *line)
{
    static const char *const names[] = {"step", "_step", "global_step"};
    for (size_t k = 0; k < ARRAY_LEN(names); k++)
        for (size_t i = line->count; i-- > 0;)
            if (!strcmp(line->fields[i].name, names[k]) &&
                line->fields[i].kind != LINE_NULL)
                return i;
    return line->count;
}

/* -1: none, or an odd one. */
static int64_t step_of(struct metric_lines *m, const struct json_line_field *f)
{
    char text[32] = "(a text or list)";
    if (f->kind == LINE_NUMBER && !f->odd && f->value >= 0 && f->value <= STEP_MAX &&
        f->value == floor(f->value))
        return (int64_t)f->value;
    if (f->kind == LINE_NUMBER)
        snprintf(text, sizeof text, "%g", f->odd ? INFINITY : f->value);
    odd(m, METRIC_ODD_step, text);
    return -1;
}

static void take_fields(struct metric_lines *m, const struct json_line *line)
{
    static const enum metric_odd kinds[] = {[LINE_ODD_NAME] = METRIC_ODD_name,
                                            [LINE_ODD_NUMBER] = METRIC_ODD_number,
                                            [LINE_ODD_DEPTH] = METRIC_ODD_depth};
    const size_t step_at = find_step(line);
    const struct json_line_field *s =
        step_at < line->count ? &line->fields[step_at] : NULL;
    const int64_t step = s ? step_of(m, s) : -1;
    for (size_t i = 0; i < line->count; i++) {
        const struct json_line_field *f = &line->fields[i];
        if (f->kind != LINE_NUMBER || i == step_at)
            continue;
        if (f->odd)
            odd(m, kinds[f->odd], f->name);
        else if (s && !strcmp(f->name, s->name))
            odd(m, METRIC_ODD_twice, f->name);
        else
            take(m, f->name, step, f->value);
    }
}

static void take_line(struct metric_lines *m)
{
    struct json_line line;
    m->lines++;
    if (json_line_read(&line, buf_str(&m->line), m->line.len)) {
        take_fields(m, &line);
    } else {
        char first[SHOWN_MAX + 1] = "";
        memcpy(first, buf_str(&m->line), strnlen(buf_str(&m->line), SHOWN_MAX));
        odd(m, METRIC_ODD_broken, first);
    }
    json_line_release(&line);
}

/* Only what begins as an object is kept. */
static void add_part(struct metric_lines *m, const char *data, size_t n)
{
    while (n && !m->line.len && strchr(" \t\r", *data) && *data)
        data++, n--;
    if (m->skipping || !n)
        return;
    m->skipping = !m->line.len && *data != '{';
    if (!m->skipping && m->line.len + n > METRIC_LINE_MAX) {
        m->skipping = true;
        odd(m, METRIC_ODD_long_line, "");
    }
    if (!m->skipping)
        buf_add(&m->line, data, n);
}

void metric_lines_feed(struct metric_lines *m, const char *data, size_t n)
{
    while (n) {
        const char *newline = memchr(data, '\n', n);
        const size_t part = newline ? (size_t)(newline - data) : n;
        add_part(m, data, part);
        if (newline) {
            if (!m->skipping && m->line.len)
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
