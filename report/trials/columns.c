/* report/trials/columns.c - the situations that trials stand in (store_data.h): which trials
 * may be compared at all, and what their columns are called. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/trials/grouping.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORDED_KEYS = 3 }; /* of column_keys, what stands in front of the rows */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static bool fact_varies(const struct report_labels *l, const char *key)
{
    for (size_t i = 1; i < l->count; i++) {
        json_t *a = json_object_get(l->items[0].facts, key),
               *b = json_object_get(l->items[i].facts, key);
        if (!a != !b || (a && !json_equal(a, b)))
            return true;
    }
    return false;
}

/* Where trials come from, by name. */
static const char *source_of(const struct report_trial *t)
{
    return *t->sweep ? t->sweep : t->experiment;
}

/* "a and b": the sweeps or experiments of a column's trials. Caller frees. */
static char *column_sources(const struct report_data *d, size_t column)
{
    json_t *seen = json_object(), *none;
    struct buf out = BUF_INIT;
    const char *name;
    for (size_t i = 0; i < d->count; i++)
        if (d->trials[i].column == column)
            json_object_set_new(seen, source_of(&d->trials[i]), json_null());
    json_object_foreach(seen, name, none)
        buf_printf(&out, "%s%s", out.len ? " and " : "", name);
    json_decref(seen);
    return buf_detach(&out, NULL);
}

/* How much a label says: as little as tells columns apart. */
enum wording { SHORT, PATHS, SOURCES, HASHES };

/* "400 rows", "all 2571 rows", with the file or model in front where it varies; the sweep
 * where several are put side by side. */
static char *column_label(const struct report_data *d, size_t column, enum wording how)
{
    const struct report_labels *l = &d->columns;
    const struct report_label *c = &l->items[column];
    struct buf out = BUF_INIT;
    for (int k = 0; k < WORDED_KEYS; k++) {
        const char *text = json_get_str(c->facts, column_keys[k], NULL);
        if (text && fact_varies(l, column_keys[k]))
            buf_printf(&out, "%s, ", how < PATHS ? file_name(text) : text);
    }
    double rows = NAN;
    for (size_t i = 0; i < d->count && !(rows > 0); i++)
        if (d->trials[i].column == column)
            rows = trial_metric(&d->trials[i], "data/train_rows");
    if (isfinite(c->order))
        buf_printf(&out, "%.0f rows", c->order);
    else if (rows > 0)
        buf_printf(&out, "all %.0f rows", rows);
    else
        buf_str_add(&out, "all rows");
    const char *hardware = json_get_str(c->facts, "hardware", NULL);
    if (hardware && fact_varies(l, "hardware"))
        buf_printf(&out, ", %s", hardware);
    if (d->scope_count > 1 || json_object_get(c->facts, "source") || how >= SOURCES) {
        char *sources = column_sources(d, column);
        buf_printf(&out, ", %s", sources);
        free(sources);
    }
    if (how >= HASHES) {
        const char *key;
        json_t *v;
        json_object_foreach(json_object_get(c->facts, "sha256"), key, v)
            buf_printf(&out, ", %s %.8s", key, json_string_value(v));
    }
    return buf_detach(&out, NULL);
}

static bool labels_repeat(const struct report_labels *l)
{
    for (size_t i = 0; i < l->count; i++)
        for (size_t k = 0; k < i; k++)
            if (str_eq(l->items[i].label, l->items[k].label))
                return true;
    return false;
}

static void name_columns(struct report_data *d)
{
    for (int how = SHORT; how <= HASHES; how++) {
        for (size_t i = 0; i < d->columns.count; i++) {
            free(d->columns.items[i].label);
            d->columns.items[i].label = column_label(d, i, (enum wording)how);
        }
        if (!labels_repeat(&d->columns))
            return;
    }
}

/* ---- the content behind names ---- */

/* Hashes of a trial's inputs; of one that did not get so far those of a trial of its sweep
 * that names the same inputs. NULL: nothing is known. */
static json_t *input_hashes(const struct report_trial *t, json_t *known)
{
    static const char *const inputs[] = {"model", "train_data", "eval_data", "test_data"};
    struct buf name = BUF_INIT;
    buf_str_add(&name, source_of(t));
    for (size_t k = 0; k < ARRAY_LEN(inputs); k++) {
        char *text = value_text(trial_value(t, inputs[k]));
        buf_printf(&name, "\n%s", text);
        free(text);
    }
    json_t *all = json_object_get(t->environment, "sha256"), *out = NULL;
    for (size_t k = 0; k < ARRAY_LEN(inputs); k++) {
        json_t *v = json_object_get(all, inputs[k]);
        if (!json_is_string(v))
            continue;
        out = out ? out : json_object();
        json_object_set(out, inputs[k], v);
    }
    if (out && !json_object_get(known, buf_str(&name)))
        json_object_set(known, buf_str(&name), out);
    if (!out)
        out = json_incref(json_object_get(known, buf_str(&name)));
    buf_release(&name);
    return out;
}

/* Whether two sweeps or experiments hold the same configuration and seed: two
 * results of one thing are neither pooled nor is one of them dropped. */
static bool sources_repeat(const struct report_data *d)
{
    json_t *seen = json_object();
    bool repeat = false;
    for (size_t i = 0; i < d->count && !repeat; i++) {
        const struct report_trial *t = &d->trials[i];
        if (trial_is_open(t))
            continue;
        struct buf id = BUF_INIT;
        json_canonical(&id, t->params);
        buf_printf(&id, "\n%lld", (long long)t->seed);
        const char *before = json_string_value(json_object_get(seen, buf_str(&id)));
        repeat = before && !str_eq(before, source_of(t));
        if (!before)
            json_object_set_new(seen, buf_str(&id), json_string(source_of(t)));
        buf_release(&id);
    }
    json_decref(seen);
    return repeat;
}

struct column_rule {
    const json_t *group_by;
    bool by_hardware, by_source;
    json_t *hashes; /* input_hashes(), known so far */
};

static json_t *column_facts(const struct report_trial *t, const struct column_rule *rule)
{
    json_t *facts = json_object(), *hashes = input_hashes(t, rule->hashes);
    if (rule->by_hardware && *t->hardware)
        json_object_set_new(facts, "hardware", json_string(t->hardware));
    if (rule->by_source)
        json_object_set_new(facts, "source", json_string(source_of(t)));
    for (size_t k = 0; k < COLUMN_KEYS; k++) {
        const json_t *v = trial_value(t, column_keys[k]), *named;
        bool grouped = false;
        size_t i;
        json_array_foreach((json_t *)rule->group_by, i, named)
        {
            grouped |= str_eq(json_string_value(named), column_keys[k]);
        }
        if (v && !grouped)
            json_object_set(facts, column_keys[k], (json_t *)v);
        if (grouped) /* what is compared makes no column, nor do its hashes */
            json_object_del(hashes, column_keys[k]);
    }
    if (hashes)
        json_object_set_new(facts, "sha256", hashes);
    return facts;
}

static int by_order(const void *x, const void *y)
{
    const struct report_label *a = *(const struct report_label *const *)x,
                              *b = *(const struct report_label *const *)y;
    const char *ma = json_get_str(a->facts, "model", ""),
               *mb = json_get_str(b->facts, "model", "");
    int c = strcmp(ma, mb);
    if (!c && a->order != b->order)
        c = a->order < b->order ? -1 : 1;
    return c ? c : strcmp(a->id, b->id);
}

/* Columns in the order of training rows; `all` last. */
static void sort_columns(struct report_data *d)
{
    size_t n = d->columns.count;
    struct report_label **order = xcalloc(n + 1, sizeof *order);
    struct report_label *sorted = xcalloc(n + 1, sizeof *sorted);
    size_t *place_of = xcalloc(n + 1, sizeof *place_of);
    for (size_t i = 0; i < n; i++)
        order[i] = &d->columns.items[i];
    qsort(order, n, sizeof *order, by_order);
    for (size_t i = 0; i < n; i++) {
        sorted[i] = *order[i];
        place_of[order[i] - d->columns.items] = i;
    }
    memcpy(d->columns.items, sorted, n * sizeof *sorted);
    for (size_t i = 0; i < d->count; i++)
        d->trials[i].column = place_of[d->trials[i].column];
    free(order);
    free(sorted);
    free(place_of);
}

void columns_make(struct report_data *d, const json_t *group_by)
{
    struct column_rule rule = {.group_by = group_by,
                               .by_hardware = d->scope_count > 1,
                               .by_source = sources_repeat(d),
                               .hashes = json_object()};
    for (size_t i = 0; i < d->count;
         i++) /* first what is known, for those that are not */
        json_decref(input_hashes(&d->trials[i], rule.hashes));
    for (size_t i = 0; i < d->count; i++)
        d->trials[i].column =
            labels_place(&d->columns, column_facts(&d->trials[i], &rule));
    for (size_t i = 0; i < d->columns.count; i++)
        d->columns.items[i].order = json_number_or(
            json_object_get(d->columns.items[i].facts, "max_train_samples"), INFINITY);
    sort_columns(d);
    name_columns(d);
    json_decref(rule.hashes);
}
