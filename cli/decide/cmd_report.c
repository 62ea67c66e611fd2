/* cli/decide/cmd_report.c - `peftlab report`: the page, or its content as JSON. */
#include "cli/command.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "report/page/verify.h"
#include "report/report.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* clang-format off */
static const struct opt_def options[] = {
    {.key = "sweep", .type = OPT_STRING, .metavar = "NAME", .flags = OPT_REPEATED,
     .help = "trials of this sweep, name or number (default: the newest)", .group = "what"},
    {.key = "experiment", .type = OPT_STRING, .metavar = "NAME", .flags = OPT_REPEATED,
     .help = "trials of this experiment", .group = "what"},
    STORE_OPTION,
    {.key = "against", .type = OPT_PATH, .metavar = "STORE",
     .help = "an earlier copy of the store: what changed since that decision", .group = "what"},
    {.key = "metric", .type = OPT_STRING, .metavar = "KEY",
     .help = "judge by it (default: the sweep's metric)", .group = "judging"},
    {.key = "select_metric", .type = OPT_STRING, .metavar = "KEY",
     .help = "choose each method's configuration by it (default: eval/... for test/...)",
     .group = "judging"},
    {.key = "group_by", .type = OPT_STRING, .metavar = "KEYS", .group = "judging",
     .help = "compare by these parameters, comma-separated (default: method)"},
    {.key = "goal", .type = OPT_CHOICE, .choices = "maximize|minimize",
     .help = "direction (default: the sweep's, else by the name)", .group = "judging"},
    {.key = "delta", .type = OPT_FLOAT, .min = 0, .max = 1e300, .metavar = "X",
     .help = "smallest difference that matters (default: 0.01 for shares)",
     .group = "judging"},
    {.key = "collapse", .type = OPT_FLOAT, .min = -1e300, .max = 1e300, .metavar = "X",
     .help = "scores at or below it are failures (at or above, to minimize)",
     .group = "judging"},
    {.key = "prices", .type = OPT_PATH, .metavar = "FILE",
     .help = "prices of GPUs (default: built in, dated)", .group = "cost"},
    {.key = "gpus", .type = OPT_PATH, .metavar = "FILE",
     .help = "GPUs to predict for (default: built in)", .group = "cost"},
    {.key = "core_price", .type = OPT_FLOAT, .preset = "0.048", .min = 0, .max = 1000,
     .metavar = "USD", .help = "price of one core of this machine per hour",
     .group = "cost"},
    {.key = "requests_per_day", .type = OPT_FLOAT, .min = 1, .max = 1e10, .metavar = "N",
     .help = "load that serving is sized for (default: cost while busy)",
     .group = "cost"},
    {.key = "sla", .type = OPT_PATH, .metavar = "FILE",
     .help = "what the service asks for: a word per constraint (docs/sla.md)",
     .group = "cost"},
    {.key = "output", .aliases = "o", .type = OPT_PATH, .preset = "report.html", .metavar = "FILE",
     .help = "the page", .group = "output"},
    {.key = "json", .type = OPT_BOOL, .preset = "false",
     .help = "print the content as JSON; no page is written", .group = "output"},
};
/* clang-format on */
static const struct opt_table table = {"report", options, ARRAY_LEN(options)};

/* "config,rank" as a list; NULL: not asked for. */
static json_t *split_keys(const char *text)
{
    json_t *list = text && *text ? json_array() : NULL;
    for (const char *at = text; list && at;) {
        const char *comma = strchr(at, ',');
        size_t n = comma ? (size_t)(comma - at) : strlen(at);
        if (n)
            json_array_append_new(list, json_stringn(at, n));
        at = comma ? comma + 1 : NULL;
    }
    return list;
}

static void add_flag(struct buf *out, const char *key, const json_t *value)
{
    char *text = json_is_string(value) ? xstrdup(json_string_value(value))
                                       : xasprintf("%.12g", json_number_value(value));
    char *flag = xasprintf(" --%s ", key);
    for (char *c = flag; *c; c++)
        *c = *c == '_' ? '-' : *c;
    buf_str_add(out, flag);
    buf_shell_word(out, text);
    free(flag);
    free(text);
}

/* The call with what changes the page's content: no store, no output file. */
static char *command_text(const json_t *values)
{
    struct buf out = BUF_INIT;
    buf_str_add(&out, "peftlab report");
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const json_t *v = json_object_get(values, options[i].key);
        json_t *preset = opt_default(&options[i]);
        bool shown = v && !json_is_null(v) && !json_equal(v, preset) &&
                     !str_in_list(options[i].key, "store|against|output|json", '|');
        json_decref(preset);
        if (!shown)
            continue;
        const json_t *one;
        size_t k;
        json_array_foreach((json_t *)v, k, one) add_flag(&out, options[i].key, one);
        if (!json_is_array(v))
            add_flag(&out, options[i].key, v);
    }
    return buf_detach(&out, NULL);
}

static struct report_options read_options(const json_t *values, const char *command)
{
    return (struct report_options){
        .scope = {.sweeps = json_object_get(values, "sweep"),
                  .experiments = json_object_get(values, "experiment"),
                  .group_by = split_keys(json_get_str(values, "group_by", NULL))},
        .metric = json_get_str(values, "metric", NULL),
        .select_metric = json_get_str(values, "select_metric", NULL),
        .goal = json_get_str(values, "goal", NULL),
        .delta = json_get_num(values, "delta", NAN),
        .collapse = json_get_num(values, "collapse", NAN),
        .prices_path = json_get_str(values, "prices", NULL),
        .gpus_path = json_get_str(values, "gpus", NULL),
        .sla_path = json_get_str(values, "sla", NULL),
        .requests_per_day = json_get_num(values, "requests_per_day", NAN),
        .core_usd_per_hour = json_get_num(values, "core_price", REPORT_CORE_USD_PER_HOUR),
        .command = command,
    };
}

static int write_page(const struct report *r, const char *path, struct err *err)
{
    struct html page;
    html_init(&page);
    report_html(r, &page);
    int rc = buf_overflowed(&page.out)
                 ? err_set(err, ERR_NOMEM,
                           "the page would be over %zu bytes; name a "
                           "smaller sweep",
                           HTML_MAX)
                 : fs_write_atomic(path, buf_str(&page.out), page.out.len, err);
    html_release(&page);
    if (rc)
        return rc;
    char *lines = report_lines(r), *clean = str_clean(path, strlen(path));
    text_print(stdout, "%s%s\n", lines, clean);
    free(lines);
    free(clean);
    return 0;
}

/* The store of the earlier decision; the one that the report is about is none. */
static int open_against(const json_t *values, const struct store *now, struct store **out,
                        struct err *err)
{
    const char *path = json_get_str(values, "against", NULL);
    struct stat a, b;
    if (!path)
        return 0;
    if (stat(path, &a) == 0 && stat(store_path(now), &b) == 0 && a.st_dev == b.st_dev &&
        a.st_ino == b.st_ino)
        return err_set(
            err, ERR_USAGE,
            "--against names the store that the report is about; 'peftlab backup "
            "FILE' keeps a copy to compare with later");
    return store_open(path, STORE_READ_ONLY, out, err) < 0 ? err_context(err, "--against")
                                                           : 0;
}

/* ---- verify ---- */

static void tell(const char *what, int holds, const char *yes, const char *no)
{
    text_print(stdout, "%-6s %s\n", what, holds > 0 ? yes : no);
}

static int print_verification(const struct verification *v)
{
    tell("data", v->data, "ok: the embedded data are as they were written",
         "CHANGED: the embedded data do not have their hash");
    tell("page", v->page, "ok: every byte is as it was written",
         "CHANGED: the page was altered after it was written");
    if (v->store >= 0)
        tell("store", v->store, "ok: the same rows",
             "DIFFERS: the store's rows are not those of the page");
    text_print(stdout, "%s, %s, store rows %s\n", json_get_str(v->content, "about", ""),
               json_get_str(v->content, "metric", ""),
               json_get_str(v->content, "store_rows_sha256", ""));
    return v->data && v->page && v->store != 0 ? 0 : 1;
}

/* `report verify FILE`: exit status 1 where something does not hold. */
static int verify(const char *file, const char *store_path, struct err *err)
{
    struct buf page = BUF_INIT;
    struct store *s = NULL;
    struct verification v = {.store = -1};
    int rc = fs_read(file, HTML_MAX, &page, err);
    if (!rc && store_path)
        rc = store_open(store_path, STORE_READ_ONLY, &s, err);
    if (!rc)
        rc = verify_page(buf_str(&page), page.len, s, &v, err);
    if (!rc)
        rc = print_verification(&v);
    verification_release(&v);
    store_close(s);
    buf_release(&page);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char *words[2];
    size_t count = 0;
    bool done = false;
    int rc =
        command_parse(&cmd_report, argc, argv, &values, words, 2, &count, &done, err);
    if (rc || done)
        return rc;
    if (count) {
        rc = count == 2 && str_eq(words[0], "verify")
                 ? verify(words[1], json_get_str(values, "store", NULL), err)
                 : err_set(err, ERR_USAGE,
                           "report: '%.100s' is not understood; 'peftlab report verify "
                           "FILE' checks a page",
                           words[0]);
        json_decref(values);
        return rc;
    }
    char *command = command_text(values);
    struct report_options o = read_options(values, command);
    char *path = store_default_path(json_get_str(values, "store", NULL));
    struct store *s = NULL;
    struct report *r = NULL;
    rc = store_open(path, STORE_READ_ONLY, &s, err);
    if (!rc)
        rc = open_against(values, s, &o.against, err);
    if (!rc)
        rc = report_build(s, &o, &r, err);
    if (!rc && json_get_bool(values, "json", 0))
        command_print_json(report_json(r));
    else if (!rc)
        rc = write_page(r, json_get_str(values, "output", "report.html"), err);
    report_free(r);
    store_close(o.against);
    store_close(s);
    json_decref(o.scope.group_by);
    json_decref(values);
    free(command);
    free(path);
    return rc;
}

const struct command cmd_report = {
    .name = "report",
    .usage = "report [--sweep NAME ...] [--against STORE] [-o report.html] [--json] | "
             "report verify FILE",
    .help = "Write the page that says which configuration to choose, and why.",
    .group = "Store",
    .options = &table,
    .run = run,
};
