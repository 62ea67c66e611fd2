/* tracker/view/rows.c - rows of the store's views as objects, and what is added to trials:
 * metrics, tags; see view.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/view/view.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const view_main_metrics[] = {
    "eval/accuracy",
    "eval/macro_f1",
    "eval/micro_f1",
    "eval/pearson",
    "eval/spearman",
    "eval/mse",
    "eval/loss",
    "score",
    "mem/peak_rss_bytes",
    "throughput/tokens_per_s",
    NULL,
};

static bool holds_json(const char *column)
{
    return str_in_list(column, "params|config|environment|method_facts|file", '|');
}

static json_t *unfold(const char *column, json_t *value)
{
    if (!holds_json(column) || !json_is_string(value))
        return json_incref(value);
    json_t *tree =
        json_parse(json_string_value(value), json_string_length(value), column, NULL);
    return tree ? tree : json_incref(value);
}

json_t *view_rows(struct store *s, const char *sql, json_t *bind, size_t max_rows,
                  struct err *err)
{
    json_t *result = store_query(s, sql, bind, max_rows, err);
    json_decref(bind);
    if (!result)
        return NULL;
    json_t *columns = json_object_get(result, "columns"), *out = json_array(), *row;
    size_t r, c;
    json_array_foreach(json_object_get(result, "rows"), r, row)
    {
        json_t *object = json_object(), *cell;
        json_array_foreach(row, c, cell)
        {
            const char *name = json_string_value(json_array_get(columns, c));
            json_object_set_new(object, name, unfold(name, cell));
        }
        json_array_append_new(out, object);
    }
    json_decref(result);
    return out;
}

/* {trial number as text: its metrics object} from rows (trial, key, value, kind). */
static void spread(json_t *rows, json_t *values)
{
    json_t *by_id = json_object(), *row;
    char id[32];
    size_t i;
    json_array_foreach(rows, i, row)
    {
        json_t *metrics = json_object();
        snprintf(id, sizeof id, "%lld", (long long)json_get_int(row, "id", 0));
        json_object_set_new(row, "metrics", metrics);
        json_object_set(by_id, id, metrics);
    }
    json_array_foreach(values, i, row)
    {
        bool nan = str_eq(json_get_str(row, "kind", ""), "nan");
        snprintf(id, sizeof id, "%lld", (long long)json_get_int(row, "trial", 0));
        json_object_set_new(json_object_get(by_id, id), json_get_str(row, "key", ""),
                            nan ? json_number_or_word(NAN)
                                : json_incref(json_object_get(row, "value")));
    }
    json_decref(by_id);
}

int view_add_metrics(struct store *s, json_t *rows, struct err *err)
{
    enum { MAX_VALUES = 1000000 };
    json_t *ids = json_array(), *row, *order = json_array();
    size_t i;
    json_array_foreach(rows, i, row)
    {
        json_array_append(ids, json_object_get(row, "id"));
    }
    for (const char *const *m = view_main_metrics; *m; m++)
        json_array_append_new(order, json_string(*m));
    struct buf text = BUF_INIT, first = BUF_INIT;
    json_write(&text, ids, 0);
    json_write(&first, order, 0);
    json_t *values = view_rows(
        s,
        "SELECT trial, summary_view.key AS key, summary_view.value AS value, kind "
        "FROM summary_view LEFT JOIN json_each(?2) AS main ON main.value = "
        "summary_view.key WHERE trial IN (SELECT value FROM json_each(?1)) "
        "ORDER BY trial, main.key IS NULL, main.key, summary_view.key",
        json_pack("[s, s]", buf_str(&text), buf_str(&first)), MAX_VALUES, err);
    if (values)
        spread(rows, values);
    json_decref(values);
    json_decref(ids);
    json_decref(order);
    buf_release(&text);
    buf_release(&first);
    return values ? 0 : err_code(err);
}

int view_add_tags(struct store *s, json_t *rows, struct err *err)
{
    json_t *ids = json_array(), *row, *by_id = json_object(), *found;
    struct buf text = BUF_INIT;
    char id[32];
    size_t i;
    json_array_foreach(rows, i, row)
    {
        json_array_append(ids, json_object_get(row, "id"));
        snprintf(id, sizeof id, "%lld", (long long)json_get_int(row, "id", 0));
        json_object_set(by_id, id, row);
    }
    json_write(&text, ids, 0);
    found =
        view_rows(s,
                  "SELECT trial, key, value FROM tag_view WHERE trial IN (SELECT value "
                  "FROM json_each(?1)) ORDER BY trial, key",
                  json_pack("[s]", buf_str(&text)), 1000000, err);
    json_array_foreach(found, i, row)
    {
        snprintf(id, sizeof id, "%lld", (long long)json_get_int(row, "trial", 0));
        json_t *trial = json_object_get(by_id, id),
               *tags = json_object_get(trial, "tags");
        if (!tags)
            json_object_set_new(trial, "tags", tags = json_object());
        json_object_set(tags, json_get_str(row, "key", ""),
                        json_object_get(row, "value"));
    }
    int rc = found ? 0 : err_code(err);
    json_decref(found);
    json_decref(ids);
    json_decref(by_id);
    buf_release(&text);
    return rc;
}

void view_fill_params(json_t *const *params, const json_t *const *configs, size_t count)
{
    json_t *keys = json_object(), *v;
    const char *key;
    for (size_t i = 0; i < count; i++)
        json_object_foreach(params[i], key, v)
            json_object_set_new(keys, key, json_null());
    for (size_t i = 0; i < count; i++)
        json_object_foreach(keys, key, v)
        {
            json_t *own = configs[i] ? json_object_get(configs[i], key) : NULL;
            if (own && !json_object_get(params[i], key))
                json_object_set(params[i], key, own);
        }
    json_decref(keys);
}

const json_t *view_value(const json_t *row, const char *column)
{
    const json_t *v = json_object_get(row, column);
    if (!v || json_is_object(v)) /* not the field "params" itself */
        v = json_object_get(json_object_get(row, "params"), column);
    return v ? v : json_object_get(json_object_get(row, "metrics"), column);
}
