/* runner/data/label_map.c - class names, sorted, and their indices. */
#include "runner/data/label_map.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES_MAX 100000
#define NAMES_SHOWN 8

void labels_release(struct labels *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->names[i]);
    free(l->names);
    free(l->source);
    memset(l, 0, sizeof *l);
}

void label_map_init(struct label_map *m, struct labels *labels)
{
    *m = (struct label_map){labels, strmap_new(), -1};
    for (size_t i = 0; i < labels->count; i++)
        strmap_put(m->index, labels->names[i], strlen(labels->names[i]), (int64_t)i);
}

void label_map_release(struct label_map *m)
{
    strmap_free(m->index);
}

static void add_name(struct labels *l, char *name)
{
    /* doubles when the count is a power of two */
    if ((l->count & (l->count - 1)) == 0)
        l->names = xrealloc(l->names, (l->count ? 2 * l->count : 1) * sizeof *l->names);
    l->names[l->count++] = name;
}

static int mixed(struct err *err)
{
    return err_set(err, ERR_PARSE, "labels are integers in some rows and text in others");
}

static int too_many(struct err *err)
{
    return err_set(err, ERR_PARSE, "more than %d classes", CLASSES_MAX);
}

static int not_a_label(const json_t *label, struct err *err)
{
    return err_set(err, ERR_PARSE, "a label must be an integer or text%s",
                   json_is_real(label) ? ", not a fraction" : "");
}

/* A hole in the data must not become a class. */
static bool is_missing(const json_t *label, struct err *err)
{
    const char *s = json_string_value(label);
    const bool blank =
        s && s[strspn(s, " \t\r\n")] == '\0' && strlen(s) == json_string_length(label);
    if (!blank && !json_is_null(label))
        return false;
    err_set(err, ERR_PARSE,
            "the label is missing (%s); give the row a label or take it out",
            blank ? "an empty text" : "null");
    return true;
}

int label_map_learn(struct label_map *m, const json_t *label, struct err *err)
{
    int64_t known;
    if (is_missing(label, err))
        return -ERR_PARSE;
    if (json_is_integer(label)) {
        int64_t v = json_integer_value(label);
        if (m->labels->count)
            return mixed(err);
        if (v < 0)
            return err_set(err, ERR_PARSE, "label %" PRId64 " is negative", v);
        if (v >= CLASSES_MAX)
            return too_many(err);
        m->highest = v > m->highest ? v : m->highest;
        return 0;
    }
    if (!json_is_string(label))
        return not_a_label(label, err);
    if (m->highest >= 0)
        return mixed(err);
    const char *s = json_string_value(label);
    if (strmap_get(m->index, s, strlen(s), &known))
        return 0;
    if (m->labels->count >= CLASSES_MAX)
        return too_many(err);
    strmap_put(m->index, s, strlen(s), 0);
    add_name(m->labels, xstrdup(s));
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int label_map_fix(struct label_map *m, int32_t num_labels, const char *source,
                  struct err *err)
{
    struct labels *l = m->labels;
    l->from_strings = m->highest < 0;
    size_t found = l->from_strings ? l->count : (size_t)m->highest + 1;
    if (num_labels > 0 && found > (size_t)num_labels)
        return err_set(err, ERR_CONFIG,
                       "data file '%s': %zu classes, but num_labels is %" PRId32, source,
                       found, num_labels);
    if (l->count)
        qsort(l->names, l->count, sizeof *l->names, by_text);
    size_t want = num_labels > 0 ? (size_t)num_labels : found;
    while (l->count < want)
        add_name(l, l->from_strings ? xasprintf("LABEL_%zu", l->count)
                                    : xasprintf("%zu", l->count));
    for (size_t i = 0; i < l->count; i++)
        strmap_put(m->index, l->names[i], strlen(l->names[i]), (int64_t)i);
    free(l->source);
    l->source = xstrdup(source);
    return 0;
}

static int unknown_name(const struct labels *l, const char *name, struct err *err)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < l->count && i < NAMES_SHOWN; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", l->names[i]);
    int rc =
        err_set(err, ERR_PARSE,
                "label '%.100s' does not occur in the training data%s%s%s (%.400s%s)",
                name, l->source ? " '" : "", l->source ? l->source : "",
                l->source ? "'" : "", buf_str(&b), l->count > NAMES_SHOWN ? ", ..." : "");
    buf_release(&b);
    return rc;
}

int label_map_index(const struct label_map *m, const json_t *label, int32_t *out,
                    struct err *err)
{
    const struct labels *l = m->labels;
    int64_t found;
    if (is_missing(label, err))
        return -ERR_PARSE;
    if (json_is_integer(label) && !l->from_strings) {
        int64_t v = json_integer_value(label);
        if (v < 0 || (uint64_t)v >= l->count)
            return err_set(err, ERR_PARSE, "label %" PRId64 " is not in 0..%zu", v,
                           l->count - 1);
        *out = (int32_t)v;
        return 0;
    }
    if (json_is_integer(label))
        return err_set(err, ERR_PARSE,
                       "label %" JSON_INTEGER_FORMAT
                       " is an integer, the training labels are text",
                       json_integer_value(label));
    if (!json_is_string(label))
        return not_a_label(label, err);
    const char *s = json_string_value(label);
    if (!l->from_strings)
        return err_set(err, ERR_PARSE,
                       "label '%.100s' is text, the training labels are integers", s);
    if (!strmap_get(m->index, s, strlen(s), &found))
        return unknown_name(l, s, err);
    *out = (int32_t)found;
    return 0;
}
