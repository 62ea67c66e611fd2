/* cli/store/cmd_export.c - `peftlab export`: trials as JSON lines (everything; `import`
 * reads them), as a table, or to a server. */
#include "cli/command.h"
#include "cli/store/export_csv.h"
#include "cli/store/store_view.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "tracker/exchange/exchange.h"
#include "tracker/exchange/push.h"
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
     .group = "output", .help = "jsonl: everything; csv: a table"},
    {.key = "rows", .type = OPT_CHOICE, .preset = "trials", .choices = "trials|points",
     .group = "output", .help = "csv: a row per trial, or per point of the curves"},
    {.key = "varying", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "csv: without the parameters that are the same in all trials"},
    {.key = "out", .aliases = "o", .type = OPT_PATH, .group = "output", .metavar = "FILE",
     .help = "where to (default: standard output)"},
    {.key = "to", .type = OPT_CHOICE, .choices = "mlflow", .group = "server",
     .help = "what kind of server the URL is (else MLFLOW_TRACKING_URI); runs that it has are "
             "brought up to date"},
    {.key = "artifacts", .type = OPT_BOOL, .preset = "false", .group = "server",
     .help = "the files of the runs too"},
};
/* clang-format on */
static const struct opt_table table = {"export", options, ARRAY_LEN(options)};

/* ---- JSON lines ---- */

static int write_line(void *ctx, const json_t *object, struct err *err)
{
    struct buf line = BUF_INIT;
    json_write(&line, object, 0);
    buf_char(&line, '\n');
    bool ok = !buf_overflowed(&line) && fwrite(line.data, 1, line.len, ctx) == line.len;
    buf_release(&line);
    return ok ? 0 : export_failed(err);
}

/* ---- where to ---- */

static int find_wanted(struct store *s, const json_t *values, int64_t *experiment,
                       int64_t *sweep, struct err *err)
{
    const char *sweep_name = json_get_str(values, "sweep", NULL),
               *experiment_name = json_get_str(values, "experiment", NULL);
    int rc = 0;
    *experiment = *sweep = 0;
    if (sweep_name)
        rc = store_find_sweep(s, sweep_name, sweep, err);
    if (rc == 0 && experiment_name)
        rc = view_find_experiment(s, experiment_name, experiment, err);
    return rc;
}

static int export_to(struct store *s, const json_t *values, FILE *out, struct err *err)
{
    struct csv_wish wish = {.series = str_eq(json_get_str(values, "rows", ""), "points"),
                            .varying = json_get_bool(values, "varying", 0)};
    int rc = find_wanted(s, values, &wish.experiment, &wish.sweep, err);
    if (rc == 0)
        rc = str_eq(json_get_str(values, "format", "jsonl"), "csv")
                 ? export_csv(s, &wish, out, err)
                 : store_export(s, wish.experiment, wish.sweep, write_line, out, err);
    if (rc == 0 && (fflush(out) == EOF || ferror(out)))
        rc = export_failed(err);
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
        rc = export_failed(err);
    if (out && fclose(out) == EOF && rc == 0)
        rc = export_failed(err);
    if (rc == 0)
        rc = fs_rename(part, path, err);
    if (rc < 0 && out)
        unlink(part);
    free(part);
    return rc;
}

/* ---- to a server ---- */

static void say_waiting(void *ctx, const char *why, double seconds)
{
    (void)ctx;
    text_print(stderr, "export: %s; once more in %.0f s\n", why, seconds);
}

static void say_total(const struct push_total *total)
{
    const char *what;
    json_t *count;
    text_print(stdout,
               "%zu trials added there, %zu brought up to date, %zu were the same; %zu "
               "values, %zu files sent\n",
               total->added, total->renewed, total->same, total->values, total->files);
    json_object_foreach(total->left_out, what, count)
        text_print(stdout, "left out: %s (%" JSON_INTEGER_FORMAT ")\n", what,
                   json_integer_value(count));
}

static int export_to_server(struct store *s, const json_t *values, const char *url,
                            struct err *err)
{
    struct push_wish wish = {.url = url,
                             .artifacts = json_get_bool(values, "artifacts", 0),
                             .policy = http_policy_default};
    struct push_total total = {0};
    int rc = find_wanted(s, values, &wish.experiment, &wish.sweep, err);
    wish.policy.waiting = say_waiting;
    if (rc == 0)
        rc = store_push(s, &wish, &total, err);
    if (rc < 0)
        rc = err_context(err, "export: ");
    else
        say_total(&total);
    push_total_release(&total);
    return rc;
}

/* ---- command ---- */

static int export_wanted(struct store *s, const json_t *values, const char *url,
                         struct err *err)
{
    const char *path = json_get_str(values, "out", NULL);
    if (url)
        return export_to_server(s, values, url, err);
    return path ? export_to_file(s, values, path, err)
                : export_to(s, values, stdout, err);
}

/* Options that this way out would not heed. */
static int check_options(const json_t *values, bool to_server, struct err *err)
{
    const bool csv = str_eq(json_get_str(values, "format", ""), "csv"),
               of_csv = str_eq(json_get_str(values, "rows", ""), "points") ||
                        json_get_bool(values, "varying", 0),
               of_file = csv || of_csv || json_get_str(values, "out", NULL);
    if (to_server && of_file)
        return err_set(
            err, ERR_USAGE,
            "export: --out, --format, --rows and --varying are for files, --to "
            "mlflow is for a server; export twice for both");
    if (!to_server && json_get_bool(values, "artifacts", 0))
        return err_set(
            err, ERR_USAGE,
            "export: --artifacts goes with --to mlflow; a file of `export` names "
            "artifacts and does not hold them (`peftlab backup` copies those "
            "beside the store)");
    return of_csv && !csv ? err_set(err, ERR_USAGE,
                                    "export: --rows and --varying go with --format csv")
                          : 0;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char *url = NULL;
    size_t count = 0;
    bool done = false;
    struct store *s = NULL;
    int rc = command_parse(&cmd_export, argc, argv, &values, &url, 1, &count, &done, err);
    if (rc || done)
        return rc;
    const bool to_server = json_get_str(values, "to", NULL) != NULL;
    if (to_server && !url)
        url = getenv("MLFLOW_TRACKING_URI");
    if (!url != !to_server)
        rc = err_set(err, ERR_USAGE, "export: %s (usage: peftlab %s)",
                     url ? "a URL needs --to mlflow"
                         : "--to mlflow needs a URL, or MLFLOW_TRACKING_URI",
                     cmd_export.usage);
    if (rc == 0)
        rc = check_options(values, to_server, err);
    if (rc == 0)
        rc = view_open(values, &s, err);
    if (rc == 0)
        rc = export_wanted(s, values, url, err);
    json_decref(values);
    store_close(s);
    return rc;
}

const struct command cmd_export = {
    .name = "export",
    .usage = "export [--experiment NAME] [--sweep ID|NAME] [--format jsonl|csv] [--out "
             "FILE] [--to mlflow URL]",
    .help =
        "Write trials with all their values, for `import`, other programs or an MLflow "
        "server.",
    .group = "Store",
    .options = &table,
    .run = run,
};
