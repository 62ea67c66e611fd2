/* cli/store/store_view.c - see store_view.h. */
#include "cli/store/store_view.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const view_main_metrics[] = {
    "eval/accuracy",      "eval/macro_f1",           "eval/loss",
    "mem/peak_rss_bytes", "throughput/tokens_per_s", NULL,
};

static int open_with(const json_t *values, unsigned flags, struct store **out,
                     struct err *err)
{
    char *path = store_default_path(json_get_str(values, "store", NULL));
    int rc = store_open(path, flags, out, err);
    free(path);
    return rc;
}

int view_open(const json_t *values, struct store **out, struct err *err)
{
    return open_with(values, STORE_READ_ONLY, out, err);
}

int view_open_writable(const json_t *values, struct store **out, struct err *err)
{
    return open_with(values, STORE_CREATE, out, err);
}

int view_open_existing(const json_t *values, struct store **out, struct err *err)
{
    return open_with(values, 0, out, err);
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

int view_trial_id(const char *word, int64_t *id, struct err *err)
{
    char *end = NULL;
    long long n = strtoll(word, &end, 10);
    if (*word < '0' || *word > '9' || *end || n <= 0 || n == INT64_MAX) {
        char *clean = str_clean(word, strlen(word));
        int rc = err_set(err, ERR_USAGE,
                         "'%.100s' is not the number of a trial; 'peftlab ls' lists them",
                         clean);
        free(clean);
        return rc;
    }
    *id = n;
    return 0;
}

/* ---- rows ---- */

static bool holds_json(const char *column)
{
    return str_in_list(column, "params|config|environment|method_facts", '|');
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

/* ---- text ---- */

bool view_lower_is_better(const char *metric)
{
    static const char *const endings[] = {"_bytes", "_ms",       "_ms_p50",   "_s",
                                          "loss",   "loss_last", "perplexity"};
    if (str_has_suffix(metric, "_per_s"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if (str_has_suffix(metric, endings[i]))
            return true;
    return str_has_prefix(metric, "params/");
}

static char *number_text(const char *name, double v)
{
    char out[64];
    if (isnan(v))
        return xstrdup("NaN");
    if (str_has_suffix(name, "_bytes"))
        return xstrdup(str_bytes(out, sizeof out, v));
    if (str_eq(name, "duration_ms") || (str_has_suffix(name, "_ms") && v >= 1000))
        return xstrdup(str_duration(out, sizeof out, v / 1000));
    if (str_has_suffix(name, "_s") && !str_has_suffix(name, "_per_s") && v >= 0)
        return xstrdup(str_duration(out, sizeof out, v));
    if (v == floor(v) && fabs(v) < 1e15)
        return xasprintf("%.0f", v);
    return xasprintf(fabs(v) >= 100 && fabs(v) < 1e6 ? "%.1f" : "%.4g", v);
}

char *view_text(const char *name, const json_t *value)
{
    if (!value || json_is_null(value))
        return xstrdup("");
    if (json_is_string(value))
        return xstrndup(json_string_value(value), json_string_length(value));
    if (json_is_integer(value) && !str_has_suffix(name, "_bytes") &&
        !str_has_suffix(name, "_ms"))
        return xasprintf("%lld", (long long)json_integer_value(value));
    if (json_is_number(value))
        return number_text(name, json_number_value(value));
    struct buf text = BUF_INIT;
    json_write(&text, value, 0);
    return buf_detach(&text, NULL);
}

/* Unix milliseconds as "2026-11-24 10:52:49Z"; "" for null. */
static char *view_time(const json_t *unix_ms)
{
    struct tm tm;
    char out[32] = "";
    time_t seconds = (time_t)(json_integer_value(unix_ms) / 1000);
    if (json_is_integer(unix_ms) && gmtime_r(&seconds, &tm))
        strftime(out, sizeof out, "%Y-%m-%d %H:%M:%SZ", &tm);
    return xstrdup(out);
}

const json_t *view_value(const json_t *row, const char *column)
{
    const json_t *v = json_object_get(row, column);
    if (!v || json_is_object(v)) /* not the field "params" itself */
        v = json_object_get(json_object_get(row, "params"), column);
    return v ? v : json_object_get(json_object_get(row, "metrics"), column);
}

static bool is_time(const char *column)
{
    return str_in_list(column, "started_ms|ended_ms|created_ms|heartbeat_ms|at_ms", '|');
}

char *view_heading(const char *column)
{
    bool shown_otherwise = is_time(column) || str_eq(column, "duration_ms");
    return xstrndup(column, strlen(column) - (shown_otherwise ? strlen("_ms") : 0));
}

static char *cell_text(const json_t *row, const char *column)
{
    if (is_time(column))
        return view_time(view_value(row, column));
    return view_text(column, view_value(row, column));
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
}

void view_print_table(const json_t *rows, const json_t *columns)
{
    size_t n = json_array_size(columns);
    const char **cells = xcalloc(n + 1, sizeof *cells);
    char **texts = xcalloc(n + 1, sizeof *texts), *align = xcalloc(1, n + 1);
    for (size_t c = 0; c < n; c++) {
        const char *name = json_string_value(json_array_get(columns, c));
        const json_t *v = view_value(json_array_get(rows, 0), name);
        align[c] = json_is_number(v) && !is_time(name) ? 'r' : 'l';
        cells[c] = texts[c] = view_heading(name);
    }
    struct text_table *t = text_table_new(cells, align, n);
    free_texts(texts, n);
    for (size_t r = 0; r < json_array_size(rows); r++) {
        for (size_t c = 0; c < n; c++)
            cells[c] = texts[c] = cell_text(
                json_array_get(rows, r), json_string_value(json_array_get(columns, c)));
        text_table_row(t, cells);
        free_texts(texts, n);
    }
    text_table_print(t, stdout);
    text_table_free(t);
    free(cells);
    free(texts);
    free(align);
}

void view_field(const json_t *row, const char *column)
{
    const json_t *v = json_object_get(row, column);
    if (!v || json_is_null(v))
        return;
    char *text = is_time(column) ? view_time(v) : view_text(column, v);
    char *heading = view_heading(column);
    char *clean = str_clean(text, strlen(text)),
         *name = str_clean(heading, strlen(heading));
    text_print(stdout, "  %-26s  %s\n", name, clean);
    free(text);
    free(heading);
    free(clean);
    free(name);
}

int view_print_json(json_t *object)
{
    json_t *out = json_pack("{s:i}", "schema_version", VIEW_SCHEMA_VERSION);
    json_object_update(out, object);
    struct buf text = BUF_INIT;
    json_write(&text, out, 1);
    puts(buf_str(&text));
    buf_release(&text);
    json_decref(out);
    json_decref(object);
    return 0;
}
