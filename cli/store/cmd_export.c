/* cli/store/cmd_export.c - `peftlab export`: trials as JSON lines (everything; `import`
 * reads them) or as a table (parameters and summary values, one row per trial). */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/data/table.h"
#include "tracker/exchange/exchange.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* clang-format off */
static const struct opt_def options[] = {
    STORE_OPTION,
    {.key = "experiment", .type = OPT_STRING, .group = "which", .metavar = "NAME",
     .help = "only this experiment's"},
    {.key = "sweep", .type = OPT_STRING, .group = "which", .metavar = "ID|NAME",
     .help = "only this sweep's"},
    {.key = "format", .type = OPT_CHOICE, .preset = "jsonl", .choices = "jsonl|csv",
     .group = "output", .help = "jsonl: everything; csv: a row per trial"},
    {.key = "out", .aliases = "o", .type = OPT_PATH, .group = "output", .metavar = "FILE",
     .help = "where to (default: standard output)"},
};
/* clang-format on */
static const struct opt_table table = {"export", options, ARRAY_LEN(options)};

/* ---- JSON lines ---- */

static int write_failed(struct err *err)
{
    return err_set(err, ERR_IO, "export: cannot write: %s", strerror(errno));
}

static int write_line(void *ctx, const json_t *object, struct err *err)
{
    struct buf line = BUF_INIT;
    json_write(&line, object, 0);
    buf_char(&line, '\n');
    bool ok = !buf_overflowed(&line) && fwrite(line.data, 1, line.len, ctx) == line.len;
    buf_release(&line);
    return ok ? 0 : write_failed(err);
}

/* ---- table ---- */

static const char *const fixed[] = {"id",       "experiment", "sweep",
                                    "number",   "seed",       "state",
                                    "attempts", "started_ms", "duration_ms"};

/* One column: a fixed one, a parameter or a metric. Columns of parameters and metrics are
 * put together first, then rows are read again, so that memory stays that of one. */
struct sheet {
    FILE *out;
    json_t *params, *metrics; /* {name: true}, in order of their first trial */
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

static int gather_columns(void *ctx, const json_t *object, struct err *err)
{
    (void)err;
    struct sheet *t = ctx;
    const char *key;
    json_t *v;
    if (!str_eq(json_get_str(object, "type", ""), "trial"))
        return 0;
    json_object_foreach(json_object_get(object, "params"), key, v)
        json_object_set_new(t->params, key, json_true());
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
    if (!str_eq(json_get_str(object, "type", ""), "trial"))
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
    return fputc('\n', t->out) == EOF ? write_failed(err) : 0;
}

static int export_table(struct store *s, int64_t experiment, int64_t sweep, FILE *out,
                        struct err *err)
{
    struct sheet t = {out, json_object(), json_object()};
    const char *key;
    json_t *v;
    int rc = store_export(s, experiment, sweep, gather_columns, &t, err);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(fixed); i++)
        put_field(out, fixed[i], strlen(fixed[i]), i == 0);
    if (rc == 0) {
        json_object_foreach(t.params, key, v) put_text(out, key, strlen(key), false);
        json_object_foreach(t.metrics, key, v) put_text(out, key, strlen(key), false);
        fputc('\n', out);
        rc = store_export(s, experiment, sweep, put_row, &t, err);
    }
    json_decref(t.params);
    json_decref(t.metrics);
    return rc;
}

/* ---- command ---- */

static int export_to(struct store *s, const json_t *values, FILE *out, struct err *err)
{
    const char *sweep_name = json_get_str(values, "sweep", NULL),
               *experiment_name = json_get_str(values, "experiment", NULL);
    int64_t sweep = 0, experiment = 0;
    int rc = 0;
    if (sweep_name)
        rc = store_find_sweep(s, sweep_name, &sweep, err);
    if (rc == 0 && experiment_name)
        rc = view_find_experiment(s, experiment_name, &experiment, err);
    if (rc == 0)
        rc = str_eq(json_get_str(values, "format", "jsonl"), "csv")
                 ? export_table(s, experiment, sweep, out, err)
                 : store_export(s, experiment, sweep, write_line, out, err);
    if (rc == 0 && (fflush(out) == EOF || ferror(out)))
        rc = write_failed(err);
    return rc;
}

/* Written beside and renamed, so that FILE is all of it or what it was. */
static int export_to_file(struct store *s, const json_t *values, const char *path,
                          struct err *err)
{
    char *part = xasprintf("%s.part-%d", path, (int)getpid());
    FILE *out = fopen(part, "wx");
    int rc = out ? export_to(s, values, out, err)
                 : err_set(err, ERR_IO, "export: cannot write '%s': %s", part,
                           strerror(errno));
    if (out && rc == 0 && fsync(fileno(out)) < 0)
        rc = write_failed(err);
    if (out && fclose(out) == EOF && rc == 0)
        rc = write_failed(err);
    if (rc == 0)
        rc = fs_rename(part, path, err);
    if (rc < 0 && out)
        unlink(part);
    free(part);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    size_t count = 0;
    bool done = false;
    struct store *s = NULL;
    int rc = command_parse(&cmd_export, argc, argv, &values, NULL, 0, &count, &done, err);
    if (rc || done)
        return rc;
    const char *path = json_get_str(values, "out", NULL);
    rc = view_open(values, &s, err);
    if (rc == 0)
        rc = path ? export_to_file(s, values, path, err)
                  : export_to(s, values, stdout, err);
    json_decref(values);
    store_close(s);
    return rc;
}

const struct command cmd_export = {
    .name = "export",
    .usage = "export [--experiment NAME] [--sweep ID|NAME] [--format jsonl|csv] [--out "
             "FILE]",
    .help = "Write trials with all their values, for `import` or other programs.",
    .group = "Store",
    .options = &table,
    .run = run,
};
