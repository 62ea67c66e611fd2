/* cli/store/store_view.c - see store_view.h. */
#include "cli/store/store_view.h"
#include "cli/command.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

int view_trial_id(const char *word, int64_t *id, struct err *err)
{
    if (!str_whole(word, id) || *id <= 0 || *id == INT64_MAX) {
        char *clean = str_clean(word, strlen(word));
        int rc = err_set(err, ERR_USAGE,
                         "'%.100s' is not the number of a trial; 'peftlab ls' lists them",
                         clean);
        free(clean);
        return rc;
    }
    return 0;
}

/* ---- text ---- */

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

/* By the first row that has it. */
static bool is_number_column(const json_t *rows, const char *name)
{
    for (size_t r = 0; r < json_array_size(rows); r++) {
        const json_t *v = view_value(json_array_get(rows, r), name);
        if (v && !json_is_null(v))
            return json_is_number(v) && !is_time(name);
    }
    return false;
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
}

void view_print_table(const json_t *rows, const json_t *columns, bool fitting)
{
    size_t n = json_array_size(columns);
    const char **cells = xcalloc(n + 1, sizeof *cells);
    char **texts = xcalloc(n + 1, sizeof *texts), *align = xcalloc(1, n + 1);
    for (size_t c = 0; c < n; c++) {
        const char *name = json_string_value(json_array_get(columns, c));
        align[c] = is_number_column(rows, name) ? 'r' : 'l';
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
    (fitting ? text_table_print_fitting : text_table_print)(t, stdout);
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
    json_decref(object);
    command_print_json(out);
    return 0;
}
