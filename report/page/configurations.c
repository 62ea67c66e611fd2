/* report/page/configurations.c - see configurations.h. */
#include "report/page/configurations.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "report/evidence/front.h"
#include "report/trials/store_data.h"
#include <math.h>
#include <stdlib.h>

/* A cell with what it is sorted by. */
struct ranked {
    struct report_cell cell;
    double score; /* higher is better */
    size_t order;
};

static int best_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

void configurations_find(struct report *r)
{
    size_t n;
    struct report_cell *all =
        matrix_variants(&r->data, &r->settings, r->matrix.main_column, &n);
    struct ranked *list = xcalloc(n + 1, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        double score = cell_spread(&all[i], r->settings.metric).mean;
        list[i] = (struct ranked){all[i], r->settings.rules.minimize ? -score : score, i};
    }
    qsort(list, n, sizeof *list, best_first);
    for (size_t i = 0; i < n; i++)
        all[i] = list[i].cell;
    free(list);
    r->configurations = all;
    r->configuration_count = n;
}

size_t configuration_of(const struct report *r, const struct report_cell *c)
{
    for (size_t i = 0; i < r->configuration_count; i++)
        if (r->configurations[i].group == c->group &&
            r->configurations[i].variant == c->variant)
            return i;
    return CONFIGURATION_NONE;
}

/* ---- JSON ---- */

static const json_t *groups_facts(const struct report *r, const struct report_cell *c)
{
    return r->data.groups.items[c->group].facts;
}

static const json_t *variants_facts(const struct report *r, const struct report_cell *c)
{
    return r->data.variants.items[c->variant].facts;
}

static void add_keys(json_t *keys, const json_t *facts)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)facts, key, value)
        json_object_set_new(keys, key, json_true());
}

/* Five digits are more than a picture shows. */
static json_t *short_number(double v)
{
    char text[32];
    if (!isfinite(v))
        return json_null();
    snprintf(text, sizeof text, "%.5g", v);
    return json_real(strtod(text, NULL));
}

static json_t *parameter(const struct report *r, const struct report_cell *c,
                         const char *key)
{
    json_t *v = json_object_get(groups_facts(r, c), key);
    v = v ? v : json_object_get(variants_facts(r, c), key);
    if (!v || json_is_null(v) || json_is_number(v))
        return v ? json_incref(v) : json_null();
    char *text = value_text(v);
    json_t *word = json_string(text);
    free(text);
    return word;
}

static bool stands_for_group(const struct report *r, const struct report_cell *c)
{
    const struct report_cell *chosen =
        matrix_cell(&r->matrix, r->matrix.main_column, c->group);
    return chosen->count && chosen->variant == c->variant;
}

static json_t *row_of(const struct report *r, const struct report_cell *c, json_t *keys,
                      const double *scales)
{
    const char *key;
    json_t *row = json_pack("[i, s, b, i]", (int)c->group,
                            r->data.variants.items[c->variant].label,
                            stands_for_group(r, c), (int)c->count),
           *none;
    json_object_foreach(keys, key, none) json_array_append_new(row, parameter(r, c, key));
    json_array_append_new(row, short_number(cell_spread(c, r->settings.metric).mean));
    for (size_t a = 0; a < front_axis_count; a++)
        json_array_append_new(
            row, short_number(cell_cost(r, c, &front_axes[a]).mean * scales[a]));
    return row;
}

static json_t *names_of(const json_t *keys)
{
    json_t *names = json_array(), *none;
    const char *key;
    json_object_foreach((json_t *)keys, key, none)
        json_array_append_new(names, json_string(key));
    return names;
}

/* [{"name", "unit"}] of the score and of what it costs; fills the scales of the costs. */
static json_t *measures_of(const struct report *r, size_t listed, double *scales)
{
    json_t *measures = json_array();
    json_array_append_new(
        measures, json_pack("{s:s, s:s}", "name", r->settings.metric, "unit", ""));
    for (size_t a = 0; a < front_axis_count; a++) {
        const char *unit;
        double most = 0;
        for (size_t i = 0; i < listed; i++)
            most = fmax(most, cell_cost(r, &r->configurations[i], &front_axes[a]).mean);
        scales[a] = front_axis_scale(&front_axes[a], most, &unit);
        json_array_append_new(
            measures, json_pack("{s:s, s:s}", "name", front_axes[a].name, "unit", unit));
    }
    return measures;
}

json_t *configurations_json(const struct report *r)
{
    json_t *groups = json_array(), *keys = json_object(), *rows = json_array();
    size_t listed = r->configuration_count < CONFIGURATIONS_MOST ? r->configuration_count
                                                                 : CONFIGURATIONS_MOST;
    double *scales = xcalloc(front_axis_count + 1, sizeof *scales);
    for (size_t g = 0; g < r->data.groups.count; g++)
        json_array_append_new(groups, json_string(r->data.groups.items[g].label));
    for (size_t i = 0; i < listed; i++) {
        add_keys(keys, groups_facts(r, &r->configurations[i]));
        add_keys(keys, variants_facts(r, &r->configurations[i]));
    }
    json_t *measures = measures_of(r, listed, scales);
    for (size_t i = 0; i < listed; i++)
        json_array_append_new(rows, row_of(r, &r->configurations[i], keys, scales));
    json_t *o =
        json_pack("{s:o, s:o, s:o, s:s, s:o, s:i}", "groups", groups, "parameters",
                  names_of(keys), "measures", measures, "best", best_word(r), "rows",
                  rows, "left_out", (int)(r->configuration_count - listed));
    json_decref(keys);
    free(scales);
    return o;
}
