/* report/trials/grouping.c - groups and variants of trials (store_data.h); columns.c makes
 * the columns.
 *
 * A variant is made of the parameters that take more than one value over all trials
 * (being absent counts as a value), without the seed and what makes columns and groups;
 * so constants of the sweep file do not clutter names. */
#include "report/trials/grouping.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const column_keys[COLUMN_KEYS] = {"task", "model", "train_data",
                                              "max_train_samples", "hardware"};

/* ---- text of values ---- */

static char *list_text(const json_t *list)
{
    struct buf out = BUF_INIT;
    const json_t *v;
    size_t i;
    json_array_foreach((json_t *)list, i, v)
    {
        char *one = value_text(v);
        buf_printf(&out, "%s%s", i ? "+" : "", one);
        free(one);
    }
    return out.len ? buf_detach(&out, NULL) : xstrdup("none");
}

char *value_text(const json_t *value)
{
    if (!value || json_is_null(value))
        return xstrdup("none");
    if (json_is_string(value))
        return xstrdup(json_string_value(value));
    if (json_is_array(value))
        return list_text(value);
    if (json_is_real(value))
        return xasprintf("%.6g", json_real_value(value));
    struct buf out = BUF_INIT;
    json_write(&out, value, 0);
    return buf_detach(&out, NULL);
}

/* ---- tables of labels ---- */

size_t labels_place(struct report_labels *l, json_t *facts)
{
    struct buf id = BUF_INIT;
    json_canonical(&id, facts);
    for (size_t i = 0; i < l->count; i++)
        if (!strcmp(l->items[i].id, buf_str(&id))) {
            json_decref(facts);
            buf_release(&id);
            return i;
        }
    l->items = xgrow(l->items, &l->cap, l->count + 1, sizeof *l->items);
    l->items[l->count] =
        (struct report_label){.id = buf_detach(&id, NULL), .facts = facts};
    return l->count++;
}

/* ---- groups ---- */

static bool any_method(const struct report_data *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (trial_value(&d->trials[i], "method"))
            return true;
    return false;
}

static bool names_configs(const struct report_data *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (!json_is_string(json_object_get(d->trials[i].params, "config")))
            return false;
    return d->count > 0;
}

static json_t *group_facts(const struct report_trial *t, const json_t *group_by,
                           bool by_method)
{
    json_t *facts = json_object();
    const json_t *key;
    size_t i;
    if (by_method) {
        char *method = trial_method(t);
        json_object_set_new(facts, "method", json_string(method));
        free(method);
    }
    json_array_foreach((json_t *)group_by, i, key)
    {
        const json_t *v = trial_value(t, json_string_value(key));
        json_object_set(facts, json_string_value(key), v ? (json_t *)v : json_null());
    }
    return facts;
}

/* One key: its value; several: "rank=8 alpha=16". */
static char *facts_text(const json_t *facts)
{
    struct buf out = BUF_INIT;
    const char *key;
    json_t *v;
    bool several = json_object_size(facts) > 1;
    json_object_foreach((json_t *)facts, key, v)
    {
        char *text = value_text(v);
        if (several)
            buf_printf(&out, "%s%s=%s", out.len ? " " : "", key, text);
        else
            buf_str_add(&out, text);
        free(text);
    }
    return buf_detach(&out, NULL);
}

static bool is_group_key(const struct report_data *d, const char *key)
{
    return d->groups.count && json_object_get(d->groups.items[0].facts, key);
}

/* ---- variants ---- */

/* Whether trials that may be compared differ in it. What is judged by (other rows for other
 * training rows) is the situation's where each column has one of its own. */
static bool key_varies(const struct report_data *d, const char *key)
{
    const bool by_column = str_in_list(key, "eval_data|test_data", '|');
    for (size_t i = 1; i < d->count; i++) {
        size_t k = 0; /* the first, of its column */
        while (by_column && d->trials[k].column != d->trials[i].column)
            k++;
        const json_t *one = json_object_get(d->trials[k].params, key),
                     *other = json_object_get(d->trials[i].params, key);
        if (!one != !other || (one && !json_equal(one, other)))
            return true;
    }
    return false;
}

/* What a variant may be made of: {key: true}, in the order of first appearance. */
static json_t *varying_keys(const struct report_data *d)
{
    json_t *keys = json_object(), *v;
    const char *key;
    void *next;
    for (size_t i = 0; i < d->count; i++)
        json_object_foreach(d->trials[i].params, key, v)
            json_object_set_new(keys, key, json_false());
    json_object_foreach_safe(keys, next, key, v)
    {
        bool placed = str_eq(key, "seed") || is_group_key(d, key) ||
                      (d->by_method && str_eq(key, "quantization"));
        for (size_t k = 0; k < COLUMN_KEYS; k++)
            placed |= str_eq(key, column_keys[k]);
        if (placed || !key_varies(d, key))
            json_object_del(keys, key);
    }
    return keys;
}

static void take_fact(json_t *facts, const struct report_trial *t, const char *key)
{
    json_t *value = json_object_get(t->params, key);
    if (value && !json_is_null(value))
        json_object_set(facts, key, value);
}

/* The shape of the adapter first, the learning rate last. */
static json_t *variant_facts(const struct report_trial *t, const json_t *keys)
{
    static const char *const first[] = {"rank", "alpha", "target_modules"};
    json_t *facts = json_object(), *v;
    const char *key;
    for (size_t i = 0; i < ARRAY_LEN(first); i++)
        if (json_object_get(keys, first[i]))
            take_fact(facts, t, first[i]);
    json_object_foreach((json_t *)keys, key, v)
    {
        if (!str_eq(key, "learning_rate"))
            take_fact(facts, t, key);
    }
    if (json_object_get(keys, "learning_rate"))
        take_fact(facts, t, "learning_rate");
    return facts;
}

static const char *short_name(const char *key)
{
    static const char *const names[][2] = {
        {"rank", "r"},
        {"alpha", "α"},
        {"learning_rate", "lr"},
        {"target_modules", ""},
        {"reduction_factor", "reduction"},
        {"num_virtual_tokens", "tokens"},
        {"num_train_epochs", "epochs"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(names[i][0], key))
            return names[i][1];
    return key;
}

static char *variant_text(const json_t *facts)
{
    struct buf out = BUF_INIT;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)facts, key, v)
    {
        char *text = value_text(v);
        const char *name = short_name(key);
        buf_printf(&out, "%s%s%s%s", out.len ? ", " : "", name, *name ? " " : "", text);
        free(text);
    }
    return buf_detach(&out, NULL);
}

/* Of trials with one configuration and seed in a column the last counts. */
static void mark_repeats(struct report_data *d)
{
    json_t *last = json_object();
    char id[96];
    for (size_t i = d->count; i-- > 0;) {
        struct report_trial *t = &d->trials[i];
        if (trial_is_open(t))
            continue;
        snprintf(id, sizeof id, "%zu %zu %zu %lld", t->column, t->group, t->variant,
                 (long long)t->seed);
        t->repeated = json_object_get(last, id) != NULL;
        json_object_set_new(last, id, json_null());
    }
    json_decref(last);
}

/* ---- machines ---- */

/* What may change numbers of a machine: all but the hashes of inputs and scripts, what
 * only names the machine, the state of the user's folder and what else ran. */
static json_t *machine_facts(const struct report_trial *t)
{
    json_t *facts = t->environment ? json_copy(t->environment) : json_object();
    static const char *const others[] = {"sha256", "scripts", "host",
                                         "git",    "owner",   "load"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        json_object_del(facts, others[i]);
    return facts;
}

/* The accelerator where one was used, else the processor. */
static const char *hardware_of(const struct report_trial *t)
{
    const char *gpu = json_get_str(t->environment, "gpu", NULL);
    return gpu && *gpu ? gpu : json_get_str(t->environment, "cpu", "");
}

void report_data_group(struct report_data *d, const json_t *group_by)
{
    for (size_t i = 0; i < d->count; i++)
        d->trials[i].hardware = hardware_of(&d->trials[i]);
    json_t *all_keys = NULL;
    if (!group_by && names_configs(d)) /* a table that says what its rows are */
        group_by = all_keys = json_pack("[s]", "config");
    d->by_method = !group_by && any_method(d);
    if (!group_by && !d->by_method) {
        /* A table without methods: every combination but its learning rate. */
        json_t *keys = varying_keys(d), *v;
        const char *key;
        all_keys = json_array();
        json_object_foreach(keys, key, v) if (!str_eq(key, "learning_rate"))
            json_array_append_new(all_keys, json_string(key));
        json_decref(keys);
        group_by = all_keys;
    }
    columns_make(d, group_by);
    for (size_t i = 0; i < d->count; i++)
        d->trials[i].group =
            labels_place(&d->groups, group_facts(&d->trials[i], group_by, d->by_method));
    for (size_t i = 0; i < d->groups.count; i++) {
        d->groups.items[i].label = facts_text(d->groups.items[i].facts);
    }
    json_t *keys = varying_keys(d);
    for (size_t i = 0; i < d->count; i++) {
        d->trials[i].variant =
            labels_place(&d->variants, variant_facts(&d->trials[i], keys));
        d->trials[i].machine = labels_place(&d->machines, machine_facts(&d->trials[i]));
    }
    for (size_t i = 0; i < d->variants.count; i++) {
        struct report_label *l = &d->variants.items[i];
        l->label = variant_text(l->facts);
        l->order = json_number_or(json_object_get(l->facts, "learning_rate"), 0);
    }
    for (size_t i = 0; i < d->machines.count; i++) {
        d->machines.items[i].label = xasprintf("%zu", i + 1);
    }
    mark_repeats(d);
    json_decref(keys);
    json_decref(all_keys);
}
