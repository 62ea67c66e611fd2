/* tracker/view/listing.c - which trials, sweeps or experiments, and in which order; see
 * view.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/view/objective.h"
#include "tracker/view/view.h"
#include <stdlib.h>
#include <string.h>

#define FIELDS                                                                           \
    "id, sweep, sweep_name, experiment_name, number, state, seed, attempts, params, "    \
    "duration_ms, started_ms, ended_ms, reason, predicted_bytes, predicted_s, key, "     \
    "parent, note, CASE WHEN sweep IS NULL THEN config END AS config, " VIEW_METHOD
static const char fields[] = "|id|sweep|sweep_name|experiment_name|number|state|seed|"
                             "attempts|duration_ms|started_ms|ended_ms|reason|"
                             "predicted_bytes|predicted_s|key|parent|note|tags|";

#define BY_METRIC "(SELECT value FROM summary_view WHERE trial = t.id AND key = ?1)"
#define BY_PARAM  "(SELECT value FROM param_view WHERE trial = t.id AND key = ?1)"

/* Conditions that were asked for, and nothing else, so that SQLite can use its indices.
 * ?1 is the key to sort by. */
struct which {
    struct buf where;
    json_t *bind;
};

bool view_is_field(const char *name)
{
    char *framed = xasprintf("|%s|", name);
    bool known = !strchr(name, '|') && strstr(fields, framed);
    free(framed);
    return known;
}

int view_find_experiment(struct store *s, const char *name, int64_t *id, struct err *err)
{
    json_t *rows = view_rows(s, "SELECT id, name FROM experiment_view ORDER BY name",
                             NULL, 100000, err),
           *row;
    if (!rows)
        return err_code(err);
    size_t i, n = json_array_size(rows);
    const char **names = xcalloc(n + 1, sizeof *names);
    *id = 0;
    json_array_foreach(rows, i, row)
    {
        names[i] = json_get_str(row, "name", "");
        if (str_eq(names[i], name))
            *id = json_get_int(row, "id", 0);
    }
    const char *near = str_nearest(name, names, n);
    char *clean = str_clean(name, strlen(name)),
         *hint = str_clean(near ? near : "", near ? strlen(near) : 0);
    int rc =
        *id ? 0
            : err_set(err, ERR_NOINPUT, "store '%s' has no experiment '%.200s'%s%.200s%s",
                      store_path(s), clean, near ? " (did you mean '" : "",
                      near ? hint : "; 'peftlab ls --experiments' lists them",
                      near ? "'?)" : "");
    free(clean);
    free(hint);
    free(names);
    json_decref(rows);
    return rc;
}

char *view_sort_key(const char *sort, int *given)
{
    *given = str_has_suffix(sort, ":asc") ? 1 : str_has_suffix(sort, ":desc") ? -1 : 0;
    const char *colon = *given ? strrchr(sort, ':') : NULL;
    return colon ? xstrndup(sort, (size_t)(colon - sort)) : xstrdup(sort);
}

/* By a metric, best first; NULL with an error where nothing says what is best. */
static char *by_metric(struct store *s, const char *key, int given, struct err *err)
{
    enum direction way = DIRECTION_UNKNOWN;
    if (!given && view_direction(s, key, &way, err) < 0)
        return NULL;
    if (given || way)
        return xasprintf(BY_METRIC " %s",
                         given > 0 || way == DIRECTION_LOWER ? "ASC" : "DESC");
    char *clean = str_clean(key, strlen(key));
    err_set(err, ERR_USAGE,
            "whether '%.200s' is better high or low is not known: --sort '%.200s:asc' or "
            "'%.200s:desc'",
            clean, clean, clean);
    free(clean);
    return NULL;
}

/* The expression to order by; NULL with an error when there is no such thing. The name of
 * a field comes from the list above, metrics and parameters are bound. */
static char *order_of(struct store *s, const char *key, int given, struct err *err)
{
    static const char any[] =
        "SELECT EXISTS (SELECT 1 FROM summary_view WHERE key = ?1) AS metric, "
        "EXISTS (SELECT 1 FROM param_view WHERE key = ?1) AS param";
    const char *way = given < 0 ? " DESC" : "";
    if (view_is_field(key) && !str_eq(key, "tags"))
        return xasprintf("%s%s", key, way);
    json_t *rows = view_rows(s, any, json_pack("[s]", key), 1, err);
    if (!rows)
        return NULL;
    const json_t *row = json_array_get(rows, 0);
    bool metric = json_get_int(row, "metric", 0), param = json_get_int(row, "param", 0);
    json_decref(rows);
    if (metric)
        return by_metric(s, key, given, err);
    if (param)
        return xasprintf(BY_PARAM "%s", way);
    char *clean = str_clean(key, strlen(key));
    err_set(err, ERR_USAGE,
            "cannot sort by '%.200s': no trial has such a column, metric or parameter",
            clean);
    free(clean);
    return NULL;
}

static void restrict_to(struct which *w, const char *condition, json_t *value)
{
    buf_printf(&w->where, " AND %s", condition);
    json_array_append_new(w->bind, value);
    buf_printf(&w->where, "?%zu", json_array_size(w->bind));
}

static void restrict_to_tag(struct which *w, const char *tag)
{
    const char *equals = strchr(tag, '=');
    char *key = xstrndup(tag, equals ? (size_t)(equals - tag) : strlen(tag));
    restrict_to(w, "id IN (SELECT trial FROM tag_view WHERE key = ", json_string(key));
    if (equals)
        restrict_to(w, "value = ", json_string(equals + 1));
    buf_char(&w->where, ')');
    free(key);
}

static int find_which(struct store *s, const struct view_query *q, struct which *w,
                      struct err *err)
{
    int64_t id = 0;
    int rc = 0;
    if (q->experiment && (rc = view_find_experiment(s, q->experiment, &id, err)) == 0)
        restrict_to(w, "experiment = ", json_integer(id));
    if (rc == 0 && q->sweep && (rc = store_find_sweep(s, q->sweep, &id, err)) == 0)
        restrict_to(w, "sweep = ", json_integer(id));
    if (q->state)
        restrict_to(w, "state = ", json_string(q->state));
    if (q->tag)
        restrict_to_tag(w, q->tag);
    if (q->before > 0)
        restrict_to(w, "id < ", json_integer(q->before));
    return rc;
}

/* By the configurations, which the rows do not keep. */
static void fill_params(json_t *rows)
{
    const size_t n = json_array_size(rows);
    json_t **params = xcalloc(n + 1, sizeof(json_t *));
    const json_t **configs = xcalloc(n + 1, sizeof(json_t *));
    for (size_t i = 0; i < n; i++) {
        json_t *config = json_object_get(json_array_get(rows, i), "config");
        params[i] = json_object_get(json_array_get(rows, i), "params");
        configs[i] = json_is_object(config) ? config : NULL;
    }
    view_fill_params(params, configs, n);
    for (size_t i = 0; i < n; i++)
        json_object_del(json_array_get(rows, i), "config");
    free(params);
    free(configs);
}

static json_t *read_rows(struct store *s, const struct which *w, const char *sort,
                         int given, int64_t limit, struct err *err)
{
    char *order = sort ? order_of(s, sort, given, err) : NULL;
    if (sort && !order)
        return NULL;
    char *sql =
        sort ? xasprintf("SELECT " FIELDS " FROM trial_view AS t WHERE ?1 IS ?1%s "
                         "ORDER BY %s NULLS LAST, id LIMIT %lld",
                         buf_str(&w->where), order, (long long)limit)
             : xasprintf("SELECT * FROM (SELECT " FIELDS " FROM trial_view AS t "
                         "WHERE ?1 IS ?1%s ORDER BY id DESC LIMIT %lld) ORDER BY id",
                         buf_str(&w->where), (long long)limit);
    json_t *rows = view_rows(s, sql, json_incref(w->bind), (size_t)limit, err);
    free(order);
    free(sql);
    fill_params(rows);
    if (rows && (view_add_metrics(s, rows, err) < 0 || view_add_tags(s, rows, err) < 0)) {
        json_decref(rows);
        rows = NULL;
    }
    return rows;
}

json_t *view_trials(struct store *s, const struct view_query *q, int64_t *total,
                    struct err *err)
{
    int given = 0;
    char *sort = q->sort ? view_sort_key(q->sort, &given) : NULL;
    struct which w = {.where = BUF_INIT,
                      .bind = json_pack("[o]", sort ? json_string(sort) : json_null())};
    json_t *rows = NULL;
    if (find_which(s, q, &w, err) == 0) {
        char *sql = xasprintf("SELECT count(*) AS n FROM trial_view WHERE ?1 IS ?1%s",
                              buf_str(&w.where));
        json_t *count = view_rows(s, sql, json_incref(w.bind), 1, err);
        if (count)
            rows = read_rows(s, &w, sort, given, q->limit, err);
        *total = json_get_int(json_array_get(count, 0), "n", 0);
        json_decref(count);
        free(sql);
    }
    json_decref(w.bind);
    buf_release(&w.where);
    free(sort);
    return rows;
}

json_t *view_groups(struct store *s, enum view_group kind, const char *experiment,
                    int64_t limit, struct err *err)
{
    static const char *const sql[] = {
        [VIEW_SWEEPS] = "SELECT * FROM sweep_view WHERE ?1 IS NULL OR experiment_name = "
                        "?1 ORDER BY id LIMIT ?2",
        [VIEW_EXPERIMENTS] = "SELECT * FROM experiment_view WHERE ?1 IS NULL OR name = "
                             "?1 ORDER BY id LIMIT ?2",
    };
    int64_t id;
    if (experiment && view_find_experiment(s, experiment, &id, err) < 0)
        return NULL;
    return view_rows(s, sql[kind],
                     json_pack("[o, I]",
                               experiment ? json_string(experiment) : json_null(),
                               (json_int_t)limit),
                     1000000, err);
}
