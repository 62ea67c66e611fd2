/* cli/store/export_csv.c - see export_csv.h. */
#include "cli/store/export_csv.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/data/table.h"
#include "tracker/exchange/exchange.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int export_failed(struct err *err)
{
    return err_set(err, ERR_IO, "export: cannot write: %s", strerror(errno));
}

/* What MLflow's clients deleted is in no table, as it is in no list. */
static bool is_listed(const json_t *object)
{
    return str_eq(json_get_str(object, "type", ""), "trial") &&
           !json_object_get(object, "deleted_ms");
}

/* ---- a row per trial ---- */

static const char *const fixed[] = {"id",       "experiment", "sweep",
                                    "number",   "seed",       "state",
                                    "attempts", "started_ms", "duration_ms"};

/* Columns of parameters and metrics are put together first, then rows are read again, so
 * that memory stays that of one. */
struct sheet {
    FILE *out;
    json_t *params;  /* {name: see gather_params} */
    json_t *metrics; /* {name: true} */
    size_t trials;
};

static const json_t *summary_of(const json_t *trial)
{
    const json_t *runs = json_object_get(trial, "runs"), *run;
    int64_t counts = json_get_int(trial, "summary_attempt", 0);
    size_t i;
    json_array_foreach((json_t *)runs, i, run)
    {
        if (json_get_int(run, "attempt", 0) == counts)
            return json_object_get(run, "summary");
    }
    return NULL;
}

/* [value], or [] where it varies: what a trial lacks varies too. */
static void gather_params(struct sheet *t, const json_t *params)
{
    const char *key;
    json_t *v, *known;
    json_object_foreach((json_t *)params, key, v)
    {
        known = json_object_get(t->params, key);
        if (!known && t->trials == 0)
            json_object_set_new(t->params, key, json_pack("[O]", v));
        else if (!known)
            json_object_set_new(t->params, key, json_array());
        else if (!json_equal(json_array_get(known, 0), v))
            json_array_clear(known);
    }
    json_object_foreach(t->params, key, known)
    {
        if (!json_object_get(params, key))
            json_array_clear(known);
    }
    t->trials++;
}

static int gather_columns(void *ctx, const json_t *object, struct err *err)
{
    (void)err;
    struct sheet *t = ctx;
    const char *key;
    json_t *v;
    if (!is_listed(object))
        return 0;
    gather_params(t, json_object_get(object, "params"));
    json_object_foreach((json_t *)summary_of(object), key, v)
        json_object_set_new(t->metrics, key, json_true());
    return 0;
}

/* A field after RFC 4180; a line end, quote or comma in it needs quotes. */
static void put_field(FILE *out, const char *text, size_t n, bool first)
{
    if (!first)
        fputc(',', out);
    bool plain = n == 0 || (!memchr(text, ',', n) && !memchr(text, '"', n) &&
                            !memchr(text, '\n', n) && !memchr(text, '\r', n));
    if (!plain)
        fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"')
            fputc('"', out);
        fputc(text[i], out);
    }
    if (!plain)
        fputc('"', out);
}

/* A text from elsewhere that a spreadsheet would run gets the apostrophe in front that
 * makes it text there; `import` takes it off again (table_undefuse). */
static void put_text(FILE *out, const char *text, size_t n, bool first)
{
    struct buf b = BUF_INIT;
    if (table_is_formula(text, n))
        buf_char(&b, '\'');
    buf_add(&b, text, n);
    put_field(out, buf_str(&b), b.len, first);
    buf_release(&b);
}

static void put_value(FILE *out, const json_t *v, bool first)
{
    struct buf text = BUF_INIT;
    if (json_is_string(v)) {
        put_text(out, json_string_value(v), json_string_length(v), first);
        return;
    }
    if (v && !json_is_null(v))
        json_write(&text, v, 0);
    put_field(out, buf_str(&text), text.len, first);
    buf_release(&text);
}

static int put_row(void *ctx, const json_t *object, struct err *err)
{
    struct sheet *t = ctx;
    const char *key;
    json_t *v;
    if (!is_listed(object))
        return 0;
    const json_t *runs = json_object_get(object, "runs"),
                 *last = json_array_get(runs, json_array_size(runs) - 1),
                 *started = json_object_get(last, "started_ms"),
                 *ended = json_object_get(last, "ended_ms");
    json_t *row = json_copy((json_t *)object);
    if (started)
        json_object_set(row, "started_ms", (json_t *)started);
    if (started && ended)
        json_object_set_new(
            row, "duration_ms",
            json_integer(json_integer_value(ended) - json_integer_value(started)));
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        put_value(t->out, json_object_get(row, fixed[i]), i == 0);
    json_object_foreach(t->params, key, v)
        put_value(t->out, json_object_get(json_object_get(row, "params"), key), false);
    json_object_foreach(t->metrics, key, v)
        put_value(t->out, json_object_get(summary_of(row), key), false);
    json_decref(row);
    return fputc('\n', t->out) == EOF ? export_failed(err) : 0;
}

/* Of trials that are all alike nothing varies; of one, neither. */
static void drop_constant(struct sheet *t)
{
    const char *key;
    json_t *known;
    void *next;
    json_object_foreach_safe(t->params, next, key, known)
    {
        if (json_array_size(known) > 0)
            json_object_del(t->params, key);
    }
}

static int write_trials(struct store *s, const struct csv_wish *wish, FILE *out,
                        struct err *err)
{
    struct sheet t = {out, json_object(), json_object(), 0};
    const char *key;
    json_t *v;
    int rc = store_export(s, wish->experiment, wish->sweep, gather_columns, &t, err);
    if (wish->varying)
        drop_constant(&t);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(fixed); i++)
        put_field(out, fixed[i], strlen(fixed[i]), i == 0);
    if (rc == 0) {
        json_object_foreach(t.params, key, v) put_text(out, key, strlen(key), false);
        json_object_foreach(t.metrics, key, v) put_text(out, key, strlen(key), false);
        fputc('\n', out);
        rc = store_export(s, wish->experiment, wish->sweep, put_row, &t, err);
    }
    json_decref(t.params);
    json_decref(t.metrics);
    return rc;
}

/* ---- a row per point ---- */

static const char *const of_trial[] = {"id", "experiment", "sweep", "seed"};

static void put_points(FILE *out, const json_t *trial, const json_t *run, const char *key,
                       const json_t *points)
{
    json_t *point;
    size_t i;
    json_array_foreach((json_t *)points, i, point)
    {
        for (size_t k = 0; k < ARRAY_LEN(of_trial); k++)
            put_value(out, json_object_get(trial, of_trial[k]), k == 0);
        put_value(out, json_object_get(run, "attempt"), false);
        put_text(out, key, strlen(key), false);
        for (size_t k = 0; k < 3; k++)
            put_value(out, json_array_get(point, k), false);
        fputc('\n', out);
    }
}

static int put_series(void *ctx, const json_t *object, struct err *err)
{
    static const char *const parts[] = {"series", "more"};
    FILE *out = ctx;
    json_t *run, *points;
    const char *key;
    size_t i;
    if (!is_listed(object))
        return 0;
    json_array_foreach(json_object_get(object, "runs"), i, run)
    {
        for (size_t k = 0; k < ARRAY_LEN(parts); k++)
            json_object_foreach(json_object_get(run, parts[k]), key, points)
                put_points(out, object, run, key, points);
    }
    return ferror(out) ? export_failed(err) : 0;
}

int export_csv(struct store *s, const struct csv_wish *wish, FILE *out, struct err *err)
{
    if (!wish->series)
        return write_trials(s, wish, out, err);
    text_print(out, "trial,experiment,sweep,seed,attempt,key,step,value,at_ms\n");
    return store_export(s, wish->experiment, wish->sweep, put_series, out, err);
}
