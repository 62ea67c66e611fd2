/* cli/store/cmd_compare.c - `peftlab compare ID ID ...`: what differs between trials, and
 * their numbers side by side. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text_table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TRIALS = 64 };

static const struct opt_def options[] = {STORE_OPTION, JSON_OPTION};
static const struct opt_table table = {"compare", options, ARRAY_LEN(options)};

/* Nested configuration as {"a.b": value}. */
static void flatten(const json_t *tree, const char *prefix, json_t *out)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)tree, key, v)
    {
        char *name = xasprintf("%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(v) && json_object_size(v) > 0)
            flatten(v, name, out);
        else
            json_object_set(out, name, v);
        free(name);
    }
}

static int read_trials(struct store *s, const char *const *words, size_t count,
                       json_t **out, struct err *err)
{
    json_t *all = json_array();
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        int64_t id = 0;
        json_t *rows = NULL;
        rc = view_trial_id(words[i], &id, err);
        if (!rc && !(rows = view_rows(s, "SELECT * FROM trial_view WHERE id = ?1",
                                      json_pack("[I]", (json_int_t)id), 1, err)))
            rc = err_code(err);
        if (!rc && json_array_size(rows) == 0)
            rc = err_set(err, ERR_NOINPUT,
                         "store '%s' has no trial %lld; 'peftlab ls' lists them",
                         store_path(s), (long long)id);
        json_array_extend(all, rows);
        json_decref(rows);
    }
    if (!rc)
        rc = view_add_metrics(s, all, err);
    if (rc)
        json_decref(all);
    else
        *out = all;
    return rc;
}

/* {name: [value of each trial]} from one object per trial; only what differs, or all. */
static json_t *side_by_side(const json_t *objects, bool only_differing)
{
    json_t *out = json_object(), *value, *object;
    size_t n = json_array_size(objects), i;
    const char *key;
    json_array_foreach(objects, i, object)
    {
        json_object_foreach(object, key, value)
        {
            if (json_object_get(out, key))
                continue;
            json_t *list = json_array();
            bool differs = false, known = false;
            for (size_t j = 0; j < n; j++) {
                json_t *v = json_object_get(json_array_get(objects, j), key);
                differs |= !v || !json_equal(v, value);
                known |= v && !json_is_null(v);
                json_array_append_new(list, v ? json_incref(v) : json_null());
            }
            if (known && (differs || !only_differing))
                json_object_set(out, key, list);
            json_decref(list);
        }
    }
    return out;
}

static json_t *compare(const json_t *trials)
{
    static const char *const heads[] = {"state", "seed", "sweep_name", "duration_ms",
                                        "predicted_bytes"};
    json_t *ids = json_array(), *configs = json_array(), *metrics = json_array(),
           *facts = json_array(), *trial;
    size_t i;
    json_array_foreach(trials, i, trial)
    {
        json_t *flat = json_object(), *fact = json_object();
        flatten(json_object_get(trial, "config"), "", flat);
        for (size_t h = 0; h < ARRAY_LEN(heads); h++)
            json_object_set(fact, heads[h], json_object_get(trial, heads[h]));
        if (!json_object_get(flat, "seed"))
            json_object_set(flat, "seed", json_object_get(trial, "seed"));
        json_object_del(fact, json_object_get(flat, "seed") ? "seed" : "");
        json_array_append(ids, json_object_get(trial, "id"));
        json_array_append_new(configs, flat);
        json_array_append_new(facts, fact);
        json_array_append(metrics, json_object_get(trial, "metrics"));
    }
    json_t *out = json_pack(
        "{s:o, s:o, s:o, s:o}", "trials", ids, "facts", side_by_side(facts, false),
        "differs", side_by_side(configs, true), "metrics", side_by_side(metrics, false));
    json_decref(configs);
    json_decref(metrics);
    json_decref(facts);
    return out;
}

static void add_rows(struct text_table *t, const json_t *part, const char *title)
{
    const char *cells[MAX_TRIALS + 1] = {title}, *key;
    json_t *list, *v;
    if (json_object_size(part) == 0)
        return;
    text_table_row(t, cells);
    json_object_foreach((json_t *)part, key, list)
    {
        size_t i;
        char *heading = view_heading(key);
        char *texts[MAX_TRIALS + 1] = {xasprintf("  %s", heading)};
        free(heading);
        json_array_foreach(list, i, v)
        {
            texts[i + 1] = view_text(key, v);
        }
        for (i = 0; i <= MAX_TRIALS; i++)
            cells[i] = texts[i];
        text_table_row(t, cells);
        for (i = 0; i <= MAX_TRIALS; i++)
            free(texts[i]);
    }
}

static void print_comparison(const json_t *c)
{
    json_t *ids = json_object_get(c, "trials"), *id;
    const char *headings[MAX_TRIALS + 1] = {"trial"};
    char *texts[MAX_TRIALS] = {NULL};
    size_t i, n = json_array_size(ids);
    json_array_foreach(ids, i, id)
    {
        headings[i + 1] = texts[i] = view_text("id", id);
    }
    struct text_table *t = text_table_new(headings, "l", n + 1);
    add_rows(t, json_object_get(c, "facts"), "facts");
    add_rows(t, json_object_get(c, "differs"), "configuration (what differs)");
    add_rows(t, json_object_get(c, "metrics"), "metrics");
    text_table_print(t, stdout);
    if (json_object_size(json_object_get(c, "differs")) == 0)
        puts("their configurations do not differ");
    text_table_free(t);
    for (i = 0; i < n; i++)
        free(texts[i]);
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values, *trials = NULL;
    const char *words[MAX_TRIALS];
    size_t count = 0;
    bool done = false;
    struct store *s = NULL;
    int rc = command_parse(&cmd_compare, argc, argv, &values, words, MAX_TRIALS, &count,
                           &done, err);
    if (rc || done)
        return rc;
    if (count < 2)
        rc = err_set(err, ERR_USAGE,
                     "compare: at least two trials are needed (usage: peftlab %s)",
                     cmd_compare.usage);
    if (!rc)
        rc = view_open(values, &s, err);
    if (!rc)
        rc = read_trials(s, words, count, &trials, err);
    json_t *comparison = rc ? NULL : compare(trials);
    if (!rc && json_get_bool(values, "json", 0))
        view_print_json(json_incref(comparison));
    else if (!rc)
        print_comparison(comparison);
    json_decref(comparison);
    json_decref(trials);
    json_decref(values);
    store_close(s);
    return rc;
}

const struct command cmd_compare = {
    .name = "compare",
    .usage = "compare ID ID ...",
    .help = "Show what differs between trials, and their numbers side by side.",
    .group = "Store",
    .options = &table,
    .run = run,
};
