/* runner/data/targets.c - labels of whole rows (sequence_labels): classes, numbers, sets.
 *
 * Regression: a number, or a list of as many as there are outputs. Several labels per
 * row: a list of names, of which a row may have none, or a list of numbers in 0..1, one
 * for each label (transformers' form). All rows of a training have one form. */
#include "lib/mem.h"
#include "runner/data/label_map.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define OUTPUTS_MAX 100000

static int wrong_kind(enum label_kind p, struct err *err)
{
    return err_set(err, ERR_PARSE,
                   p == LABEL_numbers
                       ? "the label of a regression must be a number or a list of numbers"
                       : "the label must be a list of names, or of a number in 0..1 for "
                         "each label");
}

/* A list of names (an empty one too) against numbers. */
static bool holds_names(const json_t *label)
{
    return json_is_array(label) &&
           (json_array_size(label) == 0 || json_is_string(json_array_get(label, 0)));
}

static int targets_learn(struct label_map *m, enum label_kind p, const json_t *label,
                         struct err *err)
{
    const size_t n = json_is_array(label) ? json_array_size(label) : 1;
    if (p == LABEL_set && holds_names(label)) {
        int rc = 0;
        for (size_t i = 0; i < n && rc >= 0; i++)
            rc = json_is_string(json_array_get(label, i))
                     ? label_map_learn(m, json_array_get(label, i), err)
                     : wrong_kind(p, err);
        return rc;
    }
    if (n == 0 || n > OUTPUTS_MAX || (p == LABEL_set && !json_is_array(label)))
        return wrong_kind(p, err);
    if (m->labels->count)
        return err_set(err, ERR_PARSE,
                       "labels are numbers in some rows and names in others");
    if (m->highest >= 0 && (size_t)m->highest + 1 != n)
        return err_set(err, ERR_PARSE, "%zu numbers, but %" PRId64 " in the rows before",
                       n, m->highest + 1);
    m->highest = (int64_t)n - 1;
    return 0;
}

static int read_number(const json_t *v, enum label_kind p, float *out, struct err *err)
{
    const double x = json_number_value(v);
    *out = (float)x;
    if (!json_is_number(v))
        return wrong_kind(p, err);
    if (isinf(*out) || (p == LABEL_set && (x < 0 || x > 1)))
        return err_set(err, ERR_PARSE, "label %g is out of range", x);
    return 0;
}

static int read_names(const struct label_map *m, enum label_kind p, const json_t *label,
                      float *out, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < json_array_size(label) && rc >= 0; i++) {
        const json_t *name = json_array_get(label, i);
        int32_t at;
        rc = json_is_string(name) ? label_map_index(m, name, &at, err)
                                  : wrong_kind(p, err);
        if (rc >= 0)
            out[at] = 1;
    }
    return rc;
}

static int targets_read(const struct label_map *m, enum label_kind p, const json_t *label,
                        float *out, struct err *err)
{
    const size_t count = m->labels->count;
    memset(out, 0, count * sizeof *out);
    if (p == LABEL_set && m->labels->from_strings)
        return holds_names(label) ? read_names(m, p, label, out, err)
                                  : wrong_kind(p, err);
    if (p == LABEL_set && !json_is_array(label))
        return wrong_kind(p, err);
    const bool list = json_is_array(label);
    const size_t n = list ? json_array_size(label) : 1;
    if (n != count)
        return err_set(err, ERR_PARSE,
                       "%zu numbers in the label, but there are %zu outputs", n, count);
    int rc = 0;
    for (size_t i = 0; i < n && rc >= 0; i++)
        rc = read_number(list ? json_array_get(label, i) : label, p, &out[i], err);
    return rc;
}

static int learn(struct label_map *m, enum label_kind kind, const json_t *label,
                 struct err *err)
{
    return kind == LABEL_class ? label_map_learn(m, label, err)
                               : targets_learn(m, kind, label, err);
}

static int read(const struct label_map *m, enum label_kind kind, const json_t *label,
                struct example *e, struct err *err)
{
    if (kind == LABEL_class)
        return label_map_index(m, label, &e->label, err);
    e->targets = xcalloc(m->labels->count, sizeof *e->targets);
    return targets_read(m, kind, label, e->targets, err);
}

const struct label_reader sequence_labels = {.learn = learn, .read = read};
