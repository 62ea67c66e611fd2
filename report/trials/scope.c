/* report/trials/scope.c - see scope.h. */
#include "report/trials/scope.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_VALUES = 10000000 };

/* ---- rows of a query ---- */

int rows_fetch(struct store *s, const char *sql, json_t *bind, struct rows *out,
               struct buf *hashed, struct err *err)
{
    *out = (struct rows){.result = store_query(s, sql, bind, MAX_VALUES, err)};
    json_decref(bind);
    if (!out->result)
        return err_code(err);
    out->columns = json_object_get(out->result, "columns");
    out->list = json_object_get(out->result, "rows");
    if (hashed)
        json_canonical(hashed, out->list);
    return 0;
}

json_t *rows_cell(const struct rows *r, size_t row, const char *column)
{
    const json_t *name;
    size_t i;
    json_array_foreach(r->columns, i, name)
    {
        if (str_eq(json_string_value(name), column))
            return json_array_get(json_array_get(r->list, row), i);
    }
    return NULL;
}

int64_t rows_int(const struct rows *r, size_t row, const char *column)
{
    return (int64_t)json_integer_value(rows_cell(r, row, column));
}

const char *rows_text(const struct rows *r, size_t row, const char *column)
{
    const char *text = json_string_value(rows_cell(r, row, column));
    return text ? text : "";
}

json_t *rows_object(const struct rows *r, size_t row, const char *column)
{
    const char *text = rows_text(r, row, column);
    json_t *v = *text ? json_parse(text, strlen(text), column, NULL) : NULL;
    if (json_is_object(v))
        return v;
    json_decref(v);
    return NULL;
}

/* ---- which trials ---- */

/* The number of the experiment named so; the message names the nearest. */
static int find_experiment(struct store *s, const char *name, int64_t *id,
                           struct err *err)
{
    struct rows r;
    int rc = rows_fetch(s, "SELECT id, name FROM experiment_view ORDER BY id", NULL, &r,
                        NULL, err);
    if (rc)
        return rc;
    size_t n = json_array_size(r.list);
    const char **names = xcalloc(n + 1, sizeof *names);
    *id = 0;
    for (size_t i = 0; i < n; i++) {
        names[i] = rows_text(&r, i, "name");
        if (str_eq(names[i], name))
            *id = rows_int(&r, i, "id");
    }
    if (*id == 0) {
        const char *near = str_nearest(name, names, n);
        char *clean = str_clean(name, strlen(name));
        rc = err_set(err, ERR_NOINPUT, "store '%s' has no experiment '%.100s'%s%s%s",
                     store_path(s), clean, near ? "; did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
        free(clean);
    }
    free(names);
    json_decref(r.result);
    return rc;
}

/* Without a wish: the newest sweep, else the newest experiment. */
static int find_default(struct store *s, struct scope_ids *ids, struct err *err)
{
    struct rows r;
    int rc = rows_fetch(s,
                        "SELECT (SELECT max(id) FROM sweep_view) AS sweep, "
                        "(SELECT max(id) FROM experiment_view) AS experiment",
                        NULL, &r, NULL, err);
    if (rc)
        return rc;
    int64_t sweep = rows_int(&r, 0, "sweep"), experiment = rows_int(&r, 0, "experiment");
    json_decref(r.result);
    if (!sweep && !experiment)
        return err_set(err, ERR_NOINPUT,
                       "store '%s' has no trials; 'peftlab sweep run FILE' adds some",
                       store_path(s));
    json_array_append_new(sweep ? ids->sweeps : ids->experiments,
                          json_integer(sweep ? sweep : experiment));
    return 0;
}

/* Adds what was named to the list; the same thing twice is a slip. */
static int add_id(json_t *list, int64_t id, const char *what, const char *name,
                  struct err *err)
{
    const json_t *there;
    size_t i;
    json_array_foreach(list, i, there)
    {
        if (json_integer_value(there) == id)
            return err_set(err, ERR_USAGE, "%s '%.100s' is named twice", what, name);
    }
    json_array_append_new(list, json_integer(id));
    return 0;
}

int scope_find(struct store *s, const struct report_scope *scope, struct scope_ids *ids,
               struct err *err)
{
    const json_t *name;
    size_t i;
    int rc = 0;
    int64_t id;
    json_array_foreach((json_t *)scope->sweeps, i, name)
    {
        if (!rc && !(rc = store_find_sweep(s, json_string_value(name), &id, err)))
            rc = add_id(ids->sweeps, id, "sweep", json_string_value(name), err);
    }
    json_array_foreach((json_t *)scope->experiments, i, name)
    {
        if (!rc && !(rc = find_experiment(s, json_string_value(name), &id, err)))
            rc = add_id(ids->experiments, id, "experiment", json_string_value(name), err);
    }
    if (!rc && json_array_size(ids->sweeps) + json_array_size(ids->experiments) == 0)
        rc = find_default(s, ids, err);
    return rc;
}

json_t *scope_bind(const struct scope_ids *ids)
{
    struct buf sweeps = BUF_INIT, experiments = BUF_INIT;
    json_write(&sweeps, ids->sweeps, 0);
    json_write(&experiments, ids->experiments, 0);
    json_t *bind = json_pack("[s, s]", buf_str(&sweeps), buf_str(&experiments));
    buf_release(&sweeps);
    buf_release(&experiments);
    return bind;
}
