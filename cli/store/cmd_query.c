/* cli/store/cmd_query.c - `peftlab query`: read-only SQL over the store. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
static const struct opt_def options[] = {
    STORE_OPTION, JSON_OPTION,
    {.key = "limit", .type = OPT_INT, .preset = "1000", .max = 1e7, .group = "output",
     .metavar = "N", .help = "rows at most"},
    {.key = "timeout", .type = OPT_FLOAT, .preset = "60", .max = 1e6, .group = "output",
     .metavar = "SECONDS", .help = "the longest it may take; 0: no limit"},
    {.key = "format", .type = OPT_CHOICE, .preset = "table", .choices = "table|tsv|json",
     .group = "output", .help = "how rows are printed"},
};
/* clang-format on */
static const struct opt_table table = {"query", options, ARRAY_LEN(options)};

static void print_rows(const json_t *result, bool tsv)
{
    json_t *columns = json_object_get(result, "columns"), *row, *cell;
    size_t n = json_array_size(columns), r, c;
    const char **cells = xcalloc(n + 1, sizeof *cells);
    char **texts = xcalloc(n + 1, sizeof *texts), *align = xcalloc(1, n + 1);
    json_t *first = json_array_get(json_object_get(result, "rows"), 0);
    for (c = 0; c < n; c++) {
        cells[c] = json_string_value(json_array_get(columns, c));
        align[c] = json_is_number(json_array_get(first, c)) ? 'r' : 'l';
    }
    struct text_table *t = text_table_new(cells, align, n);
    json_array_foreach(json_object_get(result, "rows"), r, row)
    {
        json_array_foreach(row, c, cell)
        {
            struct buf exact = BUF_INIT; /* as stored: no units, no rounding */
            if (json_is_string(cell))
                buf_str_add(&exact, json_string_value(cell));
            else if (!json_is_null(cell))
                json_write(&exact, cell, 0);
            cells[c] = texts[c] = xstrdup(buf_str(&exact));
            buf_release(&exact);
        }
        text_table_row(t, cells);
        for (c = 0; c < n; c++)
            free(texts[c]);
    }
    (tsv ? text_table_print_tsv : text_table_print)(t, stdout);
    text_table_free(t);
    free(cells);
    free(texts);
    free(align);
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values, *result = NULL;
    const char *sql = NULL;
    size_t count = 0;
    bool done = false;
    struct store *s = NULL;
    int rc = command_parse(&cmd_query, argc, argv, &values, &sql, 1, &count, &done, err);
    if (rc || done)
        return rc;
    size_t limit = (size_t)json_get_int(values, "limit", 1000);
    double timeout_s = json_get_num(values, "timeout", 60);
    const char *format = json_get_str(values, "format", "table");
    if (count == 0)
        rc =
            err_set(err, ERR_USAGE, "query: no SQL (usage: peftlab %s)", cmd_query.usage);
    if (!rc)
        rc = view_open(values, &s, err);
    if (!rc && !(result = store_query_within(s, sql, NULL, limit, timeout_s, err)))
        rc = err_code(err);
    if (!rc && json_is_true(json_object_get(result, "truncated")))
        text_print(stderr, "peftlab: only the first %zu rows; --limit N shows more\n",
                   json_array_size(json_object_get(result, "rows")));
    if (!rc && (json_get_bool(values, "json", 0) || str_eq(format, "json")))
        view_print_json(json_incref(result));
    else if (!rc)
        print_rows(result, str_eq(format, "tsv"));
    json_decref(result);
    json_decref(values);
    store_close(s);
    return rc;
}

const struct command cmd_query = {
    .name = "query",
    .usage =
        "query \"SELECT ...\" [--limit N] [--timeout SECONDS] [--format table|tsv|json]",
    .help = "Ask the store in SQL (reading only; docs/store.md tells the views).",
    .group = "Store",
    .options = &table,
    .run = run,
};
