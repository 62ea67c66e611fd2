/* tracker/mlflow/search/search.c - a request of runs/search or experiments/search; see search.h. */
#include "tracker/mlflow/search/search.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/flat_params.h"
#include "tracker/mlflow/mlflow_ids.h"
#include "tracker/mlflow/mlflow_inner.h"
#include "tracker/mlflow/run_text.h"
#include "tracker/mlflow/search/search_priv.h"
#include <stdlib.h>
#include <string.h>

/* ---- what was asked ---- */

static int read_filter(struct search *q, const json_t *request, struct err *err)
{
    const char *filter = json_get_str(request, "filter", "");
    return search_filter_read(q, filter, strlen(filter), err);
}

/* A list, or the text of a single one (of a GET). */
static int read_orders(struct search *q, const json_t *request, struct err *err)
{
    const json_t *list = json_object_get(request, "order_by");
    const size_t count = json_is_string(list) ? 1 : json_array_size(list);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const json_t *item = json_is_string(list) ? list : json_array_get(list, i);
        const char *text = json_is_string(item) ? json_string_value(item) : "";
        rc = search_order_read(q, text, strlen(text), err);
    }
    return rc;
}

static int read_limit(const json_t *request, size_t *limit, struct err *err)
{
    const json_t *v = json_object_get(request, "max_results");
    int64_t n = SEARCH_RESULTS;
    if (v && !json_is_null(v) && !mlflow_as_int(v, &n))
        return err_set(err, ERR_USAGE,
                       "Invalid value for parameter 'max_results' supplied: "
                       "it has to be a whole number");
    if (n < 1 || n > SEARCH_MAX_RESULTS)
        return err_set(err, ERR_USAGE,
                       "Invalid value %lld for parameter 'max_results' "
                       "supplied: it must be at least 1 and at most %d",
                       (long long)n, SEARCH_MAX_RESULTS);
    *limit = (size_t)n;
    return 0;
}

/* What is seen of what may be deleted, by `column`, when it was. */
static const struct {
    const char *name;
    int number;
    const char *test;
} views[] = {{"ACTIVE_ONLY", 1, " IS NULL"},
             {"DELETED_ONLY", 2, " IS NOT NULL"},
             {"ALL", 3, NULL}};

static int add_view(struct search_sql *q, const json_t *request, const char *member,
                    const char *column, struct err *err)
{
    const json_t *v = json_object_get(request, member);
    const char *name = json_is_string(v) ? json_string_value(v) : "";
    const int64_t number = json_is_integer(v) ? json_integer_value(v) : *name ? 0 : 1;
    for (size_t i = 0; i < ARRAY_LEN(views); i++)
        if (str_eq(views[i].name, name) || views[i].number == number) {
            if (views[i].test)
                buf_printf(&q->text, " AND %s%s", column, views[i].test);
            return 0;
        }
    return err_set(err, ERR_USAGE,
                   "Invalid value '%.100s' for parameter '%s' supplied: it is "
                   "none of ACTIVE_ONLY, DELETED_ONLY, ALL",
                   name, member);
}

/* ---- the statement ---- */

#define FROM_RUNS " FROM trial JOIN run ON run.trial = trial.id WHERE 1"
/* With Default, which is there for MLflow's clients before anybody made it. */
#define FROM_EXPERIMENTS                                                                 \
    " FROM (SELECT id, name, created_ms, updated_ms, deleted_ms FROM experiment UNION "  \
    "ALL SELECT 0, 'Default', 0, NULL, NULL WHERE NOT EXISTS (SELECT 1 FROM experiment " \
    "WHERE name = 'Default')) AS experiment WHERE 1"

/* ", EXPRESSION AS kN" */
static void add_key(struct search_sql *q, struct search_keys *keys,
                    const char *expression, bool descending)
{
    keys->descending[keys->count++] = descending;
    buf_printf(&q->text, "%s AS k%zu", expression, keys->count);
}

static int add_keys(struct search_sql *q, struct store *s, const struct search *search,
                    struct search_keys *keys, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < search->order_count && rc == 0; i++) {
        const struct search_order *o = &search->orders[i];
        buf_str_add(&q->text, ", ");
        rc = search_sql_order(q, s, search->what, o, err);
        add_key(q, keys, "", o->descending);
    }
    return rc;
}

static bool is_ordered_by(const struct search *search, const char *sql)
{
    for (size_t i = 0; i < search->order_count; i++) {
        const struct search_attribute *a = search->orders[i].name.attribute;
        if (a && str_eq(a->sql, sql))
            return true;
    }
    return false;
}

/* Which experiments. */
static int add_experiments(struct search_sql *q, struct store *s, const json_t *request,
                           struct err *err)
{
    static const char find_default[] = "SELECT id FROM experiment WHERE name = 'Default'";
    const json_t *ids = json_object_get(request, "experiment_ids"), *v;
    struct buf list = BUF_INIT;
    int64_t standard = -1, id;
    size_t i;
    int rc = store_int(s, find_default, NULL, &standard, err);
    buf_str_add(&list, "[-1");
    json_array_foreach(ids, i, v)
    {
        if (mlflow_as_int(v, &id))
            buf_printf(&list, ", %lld", (long long)(id == 0 ? standard : id));
        else
            rc = err_set(err, ERR_USAGE,
                         "Invalid experiment ID. Experiment ID must be a "
                         "valid integer.");
    }
    buf_char(&list, ']');
    buf_str_add(&q->text, " AND trial.experiment IN (SELECT value FROM json_each(");
    search_sql_text(q, buf_str(&list));
    buf_str_add(&q->text, "))");
    buf_release(&list);
    return rc < 0 ? rc : 0;
}

static int find(struct search_sql *q, struct store *s, struct search *search,
                const json_t *request, struct search_page *out, struct err *err)
{
    const bool runs = search->what == SEARCH_RUNS;
    struct search_keys keys = {.count = 0};
    size_t limit = 0;
    int rc = read_limit(request, &limit, err);
    buf_printf(&q->text, "SELECT %s AS id", runs ? "run.id" : "experiment.id");
    if (rc == 0)
        rc = add_keys(q, s, search, &keys, err);
    if (runs && !is_ordered_by(search, "run.started_ms"))
        add_key(q, &keys, ", run.started_ms", true);
    if (!runs && search->order_count == 0)
        add_key(q, &keys, ", experiment.created_ms", true);
    if (!runs && !is_ordered_by(search, EXPERIMENT_ID_SQL))
        add_key(q, &keys, ", " EXPERIMENT_ID_SQL, true);
    buf_str_add(&q->text, runs ? FROM_RUNS : FROM_EXPERIMENTS);
    if (rc == 0)
        rc = runs ? add_view(q, request, "run_view_type", "trial.deleted_ms", err)
                  : add_view(q, request, "view_type", "experiment.deleted_ms", err);
    if (rc == 0 && runs)
        rc = add_experiments(q, s, request, err);
    if (rc == 0)
        rc = search_sql_clauses(q, s, search, err);
    return rc < 0 ? rc
                  : search_page_read(q, s, &keys, limit,
                                     json_get_str(request, "page_token", ""), out, err);
}

/* Who searches once searches again, and over the same pages of the file: they are kept, 64 MiB
 * at most. */
static int prepare(struct store *s, struct err *err)
{
    int rc = flat_params_register(s, err);
    return rc > 0 ? store_script(s, "PRAGMA cache_size = -65536", err) : rc;
}

static int search_all(struct store *s, enum search_what what, const json_t *request,
                      struct search_page *out, struct err *err)
{
    struct search search;
    struct search_sql q;
    *out = (struct search_page){0};
    search_init(&search, what);
    search_sql_init(&q);
    int rc = prepare(s, err);
    if (rc == 0)
        rc = read_filter(&search, request, err);
    if (rc == 0)
        rc = read_orders(&search, request, err);
    if (rc == 0)
        rc = find(&q, s, &search, request, out, err);
    search_sql_release(&q);
    search_release(&search);
    return rc;
}

int search_runs(struct store *s, const json_t *request, struct search_page *out,
                struct err *err)
{
    return search_all(s, SEARCH_RUNS, request, out, err);
}

int search_experiments(struct store *s, const json_t *request, struct search_page *out,
                       struct err *err)
{
    return search_all(s, SEARCH_EXPERIMENTS, request, out, err);
}

int search_runs_answer(struct store *s, const json_t *request, struct buf *answer,
                       struct err *err)
{
    struct search_page page;
    int rc = search_runs(s, request, &page, err);
    buf_str_add(answer, page.count ? "{\"runs\": [" : "{");
    for (size_t i = 0; i < page.count && rc == 0; i++) {
        buf_str_add(answer, i ? ", " : "");
        rc = run_text_write(s, page.ids[i], answer, err);
    }
    buf_str_add(answer, page.count ? "]" : "");
    if (page.next)
        buf_printf(answer, ", \"next_page_token\": \"%s\"", page.next);
    buf_char(answer, '}');
    search_page_release(&page);
    return rc;
}
