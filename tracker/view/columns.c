/* tracker/view/columns.c - which columns a table of trials has; see view.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/view/view.h"
#include <stdlib.h>
#include <string.h>

static bool present(const json_t *rows, const char *column)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *v = view_value(json_array_get(rows, i), column);
        if (v && !json_is_null(v))
            return true;
    }
    return false;
}

/* 2 is 2.0, however it was written. */
static bool is_same(const json_t *a, const json_t *b)
{
    return json_is_number(a) && json_is_number(b)
               ? json_number_value(a) == json_number_value(b)
               : json_equal((json_t *)a, (json_t *)b);
}

static bool varies(const json_t *rows, const char *column)
{
    const json_t *first = view_value(json_array_get(rows, 0), column);
    for (size_t i = 1; i < json_array_size(rows); i++) {
        const json_t *v = view_value(json_array_get(rows, i), column);
        if (!v != !first || (v && !is_same(v, first)))
            return true;
    }
    return false;
}

static void add(json_t *columns, const char *name)
{
    for (size_t i = 0; i < json_array_size(columns); i++)
        if (str_eq(json_string_value(json_array_get(columns, i)), name))
            return;
    json_array_append_new(columns, json_string(name));
}

/* Metrics of rows that have none that is known: the first few. */
static void add_any_metrics(json_t *columns, const json_t *rows)
{
    enum { FEW = 4 };
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *key;
        json_t *v, *metrics = json_object_get(json_array_get(rows, i), "metrics");
        json_object_foreach(metrics, key, v)
        {
            bool score = !strchr(key, '/') || str_has_prefix(key, "eval/") ||
                         str_has_prefix(key, "test/");
            if (n < FEW && score) {
                size_t before = json_array_size(columns);
                add(columns, key);
                n += json_array_size(columns) - before;
            }
        }
    }
}

/* What the rows are judged by: the metrics of their sweeps, what they are sorted by, else
 * the best known that somebody has. */
static void add_scores(json_t *columns, const json_t *rows, const json_t *objectives,
                       const char *sort)
{
    const size_t without = json_array_size(columns);
    const json_t *o;
    size_t i;
    json_array_foreach((json_t *)objectives, i, o)
    {
        add(columns, json_get_str(o, "name", ""));
    }
    if (sort) {
        int given;
        char *key = view_sort_key(sort, &given);
        add(columns, key);
        free(key);
    }
    for (const char *const *m = view_main_metrics;
         *m && json_array_size(columns) == without; m++)
        if (present(rows, *m))
            add(columns, *m);
    if (json_array_size(columns) == without)
        add_any_metrics(columns, rows);
}

/* What a sweep sets is shown of a single trial too; a trial by hand has a whole file. */
static void add_params(json_t *columns, const json_t *rows)
{
    const json_t *first = json_array_get(rows, 0);
    const bool all = json_array_size(rows) == 1 && present(rows, "sweep");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *key;
        json_t *v, *params = json_object_get(json_array_get(rows, i), "params");
        json_object_foreach(params, key, v)
        {
            if (all || varies(rows, key))
                add(columns, key);
        }
    }
    if (first && varies(rows, "seed"))
        add(columns, "seed");
}

json_t *view_default_columns(const json_t *rows, const json_t *objectives,
                             const char *sort)
{
    json_t *columns = json_array();
    add(columns, "id");
    if (varies(rows, "sweep"))
        add(columns, "sweep");
    if (present(rows, "method"))
        add(columns, "method");
    add_scores(columns, rows, objectives, sort);
    if (varies(rows, "state"))
        add(columns, "state");
    add_params(columns, rows);
    add(columns, "state");
    add(columns, "duration_ms");
    if (present(rows, "tags"))
        add(columns, "tags");
    for (const char *const *m = view_main_metrics; *m; m++)
        if (present(rows, *m))
            add(columns, *m);
    if (present(rows, "sweep")) {
        add(columns, "sweep");
        add(columns, "number");
    }
    return columns;
}

json_t *view_chosen_columns(const json_t *rows, const char *list, struct err *err)
{
    json_t *columns = json_array();
    char *copy = xstrdup(list), *save = NULL;
    for (char *name = strtok_r(copy, ",", &save); name;
         name = strtok_r(NULL, ",", &save)) {
        name += strspn(name, " ");
        if (json_array_size(rows) > 0 && !view_is_field(name) && !present(rows, name)) {
            char *clean = str_clean(name, strlen(name));
            err_set(err, ERR_USAGE,
                    "none of these trials has a column, parameter or metric '%.200s'",
                    clean);
            free(clean);
            json_decref(columns);
            columns = NULL;
            break;
        }
        add(columns, name);
    }
    free(copy);
    return columns;
}
