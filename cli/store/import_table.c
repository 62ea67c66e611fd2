/* cli/store/import_table.c - a CSV or TSV table of complete trials.
 *
 * Columns `seed` and `state` are known; --metrics names the numbers, --params what the
 * trials differ in (default: every other column). An empty cell is missing, `nan` is NaN.
 * Without a seed column, rows that repeat a configuration get the seeds 0, 1, ... in the
 * order of the file; with one, a repeated row is an error. */
#include "cli/store/import_readers.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/data/table.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 30 };

struct reader {
    struct import *in;
    const struct import_wish *wish;
    const char *path;
    struct table table;
    json_t *params, *metrics; /* lists of columns */
    bool has_seed;
    struct strmap *seen; /* configuration (and seed) -> its line, or its next seed */
    int64_t now_ms, number;
    size_t line;
};

static bool has_column(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (str_eq(t->columns[i], name))
            return true;
    return false;
}

static int unknown_column(const struct table *t, const char *name, struct err *err)
{
    const char *near = str_nearest(name, (const char *const *)t->columns, t->count);
    char *clean = str_clean(name, strlen(name)),
         *hint = str_clean(near ? near : "", near ? strlen(near) : 0);
    int rc = err_set(err, ERR_USAGE, "the table has no column '%.200s'%s%.200s%s", clean,
                     near ? "; did you mean '" : "", hint, near ? "'?" : "");
    free(clean);
    free(hint);
    return rc;
}

static int split_names(const struct table *t, const char *names, json_t *out,
                       struct err *err)
{
    char *copy = xstrdup(names), *save = NULL;
    int rc = 0;
    for (char *name = strtok_r(copy, ",", &save); name && rc == 0;
         name = strtok_r(NULL, ",", &save)) {
        name += strspn(name, " ");
        if (has_column(t, name))
            json_array_append_new(out, json_string(name));
        else
            rc = unknown_column(t, name, err);
    }
    free(copy);
    return rc;
}

static bool is_listed(const json_t *list, const char *name)
{
    const json_t *v;
    size_t i;
    json_array_foreach((json_t *)list, i, v)
    {
        if (str_eq(json_string_value(v), name))
            return true;
    }
    return false;
}

static int choose_columns(struct reader *r, struct err *err)
{
    /* what `peftlab export --format csv` writes beside parameters and metrics */
    static const char known[] = "id|experiment|sweep|number|seed|state|attempts|"
                                "started_ms|duration_ms";
    int rc = 0;
    if (!r->wish->metrics)
        return err_set(err, ERR_USAGE,
                       "a table needs --metrics A,B: which columns are results?");
    rc = split_names(&r->table, r->wish->metrics, r->metrics, err);
    if (rc == 0 && r->wish->params)
        rc = split_names(&r->table, r->wish->params, r->params, err);
    for (size_t i = 0; !r->wish->params && i < r->table.count; i++) {
        const char *name = r->table.columns[i];
        if (*name && !str_in_list(name, known, '|') && !is_listed(r->metrics, name))
            json_array_append_new(r->params, json_string(name));
    }
    r->has_seed = has_column(&r->table, "seed") && !is_listed(r->params, "seed");
    return rc;
}

/* ---- cells ---- */

/* Numbers and true/false as such, all else as text. */
static json_t *param_value(const char *text)
{
    char *end;
    int64_t whole;
    if (strspn(text, "0123456789+-.eE") != strlen(text))
        return str_eq(text, "true")    ? json_true()
               : str_eq(text, "false") ? json_false()
                                       : json_string(text);
    if (str_whole(text, &whole))
        return json_integer(whole);
    double v = strtod(text, &end);
    return *text && !*end && isfinite(v) ? json_real(v) : json_string(text);
}

static int metric_value(const char *column, const char *text, json_t **out,
                        struct err *err)
{
    char *end;
    double v = strtod(text, &end);
    end += strspn(end, " ");
    if (end == text || *end) {
        char *clean = str_clean(text, strlen(text)),
             *name = str_clean(column, strlen(column));
        int rc = err_set(err, ERR_PARSE, "%.200s: '%.100s' is not a number", name, clean);
        free(clean);
        free(name);
        return rc;
    }
    *out = json_number_or_word(v);
    return 0;
}

static int read_seed(const json_t *row, int64_t *seed, struct err *err)
{
    const char *text = json_get_str(row, "seed", "");
    if (!str_whole(text, seed) || *seed < 0)
        return err_set(err, ERR_PARSE, "seed: '%.100s' is not a whole number from 0 on",
                       *text ? text : "(empty)");
    return 0;
}

/* ---- rows ---- */

/* Which row of its configuration this is: its seed. */
static int place_row(struct reader *r, const json_t *row, json_t *params, int64_t *seed,
                     struct err *err)
{
    struct buf id = BUF_INIT;
    int64_t before = 0;
    int rc = r->has_seed ? read_seed(row, seed, err) : 0;
    json_canonical(&id, params);
    if (r->has_seed)
        buf_printf(&id, " %lld", (long long)*seed);
    bool repeats = strmap_get(r->seen, buf_str(&id), id.len, &before);
    if (rc == 0 && r->has_seed && repeats)
        rc = err_set(err, ERR_PARSE, "the same parameters and seed as in line %lld",
                     (long long)before);
    if (!r->has_seed)
        *seed = repeats ? before : 0;
    strmap_put(r->seen, buf_str(&id), id.len, r->has_seed ? (int64_t)r->line : *seed + 1);
    buf_release(&id);
    return rc;
}

static json_t *row_params(const struct reader *r, const json_t *row)
{
    json_t *params = json_object(), *name;
    size_t i;
    json_array_foreach(r->params, i, name)
    {
        const char *column = json_string_value(name),
                   *text = json_get_str(row, column, "");
        if (!*text)
            continue;
        char *own = xstrdup(text);
        table_undefuse(own);
        json_object_set_new(params, column, param_value(own));
        free(own);
    }
    return params;
}

static json_t *row_metrics(const struct reader *r, const json_t *row, struct err *err)
{
    json_t *metrics = json_object(), *name, *value = NULL;
    size_t i;
    int rc = 0;
    json_array_foreach(r->metrics, i, name)
    {
        const char *column = json_string_value(name),
                   *text = json_get_str(row, column, "");
        if (rc == 0 && *text && (rc = metric_value(column, text, &value, err)) == 0)
            json_object_set_new(metrics, column, value);
    }
    if (rc == 0)
        return metrics;
    json_decref(metrics);
    return NULL;
}

static int check_state(const char *state, struct err *err)
{
    int known = trial_state_from_name(state);
    if (known >= 0 && trial_state_is_final((enum trial_state)known))
        return 0;
    char *clean = str_clean(state, strlen(state));
    int rc = err_set(err, ERR_PARSE,
                     "state: '%.100s' is none of complete, pruned, failed, oom, nan, "
                     "timeout, cancelled, spared",
                     clean);
    free(clean);
    return rc;
}

static int take_row(struct reader *r, const json_t *row, struct err *err)
{
    const char *state = json_get_str(row, "state", "");
    state = *state ? state : "complete";
    int64_t seed = 0;
    json_t *params = row_params(r, row), *metrics = NULL;
    int rc = check_state(state, err);
    if (rc == 0)
        rc = place_row(r, row, params, &seed, err);
    if (rc == 0 && !(metrics = row_metrics(r, row, err)))
        rc = err_code(err);
    if (rc == 0) {
        json_t *trial = json_pack(
            "{s:s, s:s, s:I, s:I, s:s, s:O, s:[{s:i, s:s, s:I, s:O, s:[o]}]}", "type",
            "trial", "experiment", r->wish->experiment, "number", (json_int_t)r->number,
            "seed", (json_int_t)seed, "state", state, "params", params, "runs", "attempt",
            1, "state", state, "started_ms", (json_int_t)r->now_ms, "summary", metrics,
            "events", import_event(r->path, r->line));
        rc = import_object(r->in, trial, err);
        json_decref(trial);
    }
    r->number++;
    json_decref(params);
    json_decref(metrics);
    return rc;
}

static size_t count_lines(const char *text, size_t n)
{
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

static int read_table(struct reader *r, const char *text, size_t size, struct err *err)
{
    const char delimiter = table_delimiter(r->path) ? table_delimiter(r->path) : ',';
    size_t at = size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
    int rc = 0;
    for (r->line = 1; at < size && rc == 0;) {
        size_t end = table_record_end(text, size, at, delimiter), n = end - at;
        n -= n && text[end - 1] == '\r';
        if (!r->table.count) {
            rc = table_header(&r->table, delimiter, text + at, n, err);
            for (size_t i = 0; i < r->table.count; i++)
                table_undefuse(r->table.columns[i]);
            if (rc == 0)
                rc = choose_columns(r, err);
        } else if (n > 0) {
            json_t *row = table_row(&r->table, text + at, n, err);
            rc = row ? take_row(r, row, err) : err_code(err);
            json_decref(row);
        }
        if (rc == 0)
            r->line += count_lines(text + at, end - at) + 1;
        at = end + 1;
    }
    if (rc == 0 && r->number == 0)
        return err_set(err, ERR_PARSE, "the table has no rows");
    return rc;
}

int import_table(struct import *in, const char *path, const struct import_wish *wish,
                 struct err *err)
{
    struct reader r = {.in = in,
                       .wish = wish,
                       .path = path,
                       .params = json_array(),
                       .metrics = json_array(),
                       .seen = strmap_new(),
                       .now_ms = clock_wall_ms()};
    struct buf text = BUF_INIT;
    int rc = fs_read(path, MAX_BYTES, &text, err);
    const char *wide = rc ? NULL : str_wide_encoding(buf_str(&text), text.len);
    if (wide)
        rc = err_set(err, ERR_PARSE, "'%s' is %s text; save it as UTF-8", path, wide);
    else if (rc == 0 && !wish->experiment)
        rc = err_set(err, ERR_USAGE, "a table needs --experiment NAME");
    else if (rc == 0 && (rc = read_table(&r, buf_str(&text), text.len, err)) < 0)
        rc = import_error(path, r.line, err);
    table_release(&r.table);
    strmap_free(r.seen);
    json_decref(r.params);
    json_decref(r.metrics);
    buf_release(&text);
    return rc;
}
