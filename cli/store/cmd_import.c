/* cli/store/cmd_import.c - `peftlab import`: trials that were made elsewhere. */
#include "cli/command.h"
#include "cli/store/import_readers.h"
#include "cli/store/store_view.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "tracker/foreign/foreign.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 65536 };

static const struct format {
    const char *name, *endings; /* of files that are this without a word */
    const char *folder_ending;  /* which files of a folder are meant */
    import_reader *read;
} formats[] = {
    {"csv", ".csv|.tsv", ".csv", import_table},
    {"jsonl", ".jsonl|.ndjson", ".jsonl", import_lines},
    {"peft-results", ".json", ".json", import_peft_result},
};

/* clang-format off */
static const struct opt_def options[] = {
    STORE_OPTION, JSON_OPTION,
    {.key = "experiment", .type = OPT_STRING, .group = "what", .metavar = "NAME",
     .help = "experiment that the trials join (jsonl: instead of their own)"},
    {.key = "format", .type = OPT_CHOICE, .preset = "auto",
     .choices = "auto|csv|jsonl|peft-results"
#define FOREIGN(id, name, what) "|" name
#include "tracker/foreign/formats.def"
#undef FOREIGN
     , .group = "what",
     .help = "how the files are read; auto: by what they look like, else by their endings"},
    {.key = "running", .type = OPT_BOOL, .preset = "false", .group = "what",
     .help = "other trackers' runs that go on too, as far as they have come; again for more"},
    {.key = "params", .type = OPT_STRING, .group = "tables", .metavar = "A,B,...",
     .help = "columns that are parameters (default: all others)"},
    {.key = "metrics", .type = OPT_STRING, .group = "tables", .metavar = "A,B,...",
     .help = "columns that are results"},
};
/* clang-format on */
static const struct opt_table table = {"import", options, ARRAY_LEN(options)};

int import_error(const char *path, size_t line, struct err *err)
{
    return line > 0 ? err_context(err, "%s:%zu: ", path, line)
                    : err_context(err, "%s: ", path);
}

json_t *import_event(const char *path, size_t line)
{
    const char *slash = strrchr(path, '/');
    char *clean = str_clean(slash ? slash + 1 : path, strlen(slash ? slash + 1 : path));
    char *text =
        line ? xasprintf("from %s, line %zu", clean, line) : xasprintf("from %s", clean);
    json_t *event = json_pack("[I, s, s]", (json_int_t)clock_wall_ms(), "import", text);
    free(clean);
    free(text);
    return event;
}

static const struct format *find_format(const char *wish, const char *path,
                                        struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        const char *ending = strrchr(path, '.');
        if (str_eq(wish, formats[i].name) ||
            (str_eq(wish, "auto") && ending &&
             str_in_list(ending, formats[i].endings, '|')))
            return &formats[i];
    }
    err_set(err, ERR_USAGE,
            "import: what is '%s'? --format tells (peftlab import --help)", path);
    return NULL;
}

/* Of all paths together; left_out: {what: how many}, what another tracker has and a store
 * does not. */
struct total {
    size_t trials, runs, known, grown;
    json_t *left_out;
};

static int add_to(struct total *total, const struct import *in)
{
    total->trials += in->trials;
    total->runs += in->runs;
    total->known += in->known;
    total->grown += in->grown;
    return 0;
}

static int import_file(struct store *s, const char *path, const struct format *f,
                       const struct import_wish *wish, struct total *total,
                       struct err *err)
{
    struct import in;
    int rc = import_begin(&in, s, err);
    if (rc < 0)
        return rc;
    rc = import_end(&in, f->read(&in, path, wish, err), err);
    return rc < 0 ? rc : add_to(total, &in);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Files of a folder in the order of their names. */
static int import_folder(struct store *s, const char *path, const char *format,
                         const struct import_wish *wish, struct total *total,
                         struct err *err)
{
    const struct format *f = &formats[ARRAY_LEN(formats) - 1];
    if (!str_eq(format, "auto") && !(f = find_format(format, path, err)))
        return err_code(err);
    DIR *dir = opendir(path);
    char **names = NULL;
    size_t count = 0, cap = 0;
    int rc = 0;
    for (struct dirent *e; dir && count < MAX_FILES && (e = readdir(dir));)
        if (e->d_name[0] != '.' && str_has_suffix(e->d_name, f->folder_ending)) {
            names = xgrow(names, &cap, count + 1, sizeof *names);
            names[count++] = fs_join(path, e->d_name);
        }
    if (dir)
        closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    if (count == 0)
        rc = err_set(err, ERR_NOINPUT, "import: folder '%s' has no *%s", path,
                     f->folder_ending);
    for (size_t i = 0; i < count; i++) {
        if (rc == 0)
            rc = import_file(s, names[i], f, wish, total, err);
        free(names[i]);
    }
    free(names);
    return rc;
}

/* Another tracker's file or folder. */
static int import_foreign(struct store *s, const char *path,
                          const struct foreign_format *f, const struct import_wish *wish,
                          struct total *total, struct err *err)
{
    struct import in;
    struct foreign foreign = {&in, wish->experiment, total->left_out, wish->running};
    int rc = import_begin(&in, s, err);
    if (rc < 0)
        return rc;
    rc = import_end(&in, f->read(&foreign, path, err), err);
    total->left_out = foreign.left_out;
    return rc < 0 ? rc : add_to(total, &in);
}

static const struct foreign_format *foreign_of(const char *format, const char *path)
{
    return str_eq(format, "auto") ? foreign_look(path) : foreign_find(format);
}

static int import_paths(struct store *s, const json_t *values, const char **paths,
                        size_t count, struct total *total, struct err *err)
{
    const struct import_wish wish = {
        json_get_str(values, "experiment", NULL), json_get_str(values, "params", NULL),
        json_get_str(values, "metrics", NULL), json_get_bool(values, "running", 0)};
    const char *format = json_get_str(values, "format", "auto");
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct format *f;
        const struct foreign_format *foreign = foreign_of(format, paths[i]);
        if (foreign)
            rc = import_foreign(s, paths[i], foreign, &wish, total, err);
        else if (fs_is_dir(paths[i]))
            rc = import_folder(s, paths[i], format, &wish, total, err);
        else if (!(f = find_format(format, paths[i], err)))
            rc = err_code(err);
        else
            rc = import_file(s, paths[i], f, &wish, total, err);
    }
    return rc;
}

static void print_total(const struct total *total, bool json)
{
    const char *what;
    json_t *count;
    size_t said = 0;
    if (json) {
        view_print_json(
            json_pack("{s:I, s:I, s:I, s:I, s:O?}", "trials", (json_int_t)total->trials,
                      "runs", (json_int_t)total->runs, "known", (json_int_t)total->known,
                      "grown", (json_int_t)total->grown, "left_out", total->left_out));
        return;
    }
    text_print(stdout, "%zu trials added, %zu were known; %zu runs added", total->trials,
               total->known, total->runs);
    if (total->grown > 0)
        text_print(stdout, ", %zu went on", total->grown);
    text_print(stdout, "\n");
    json_object_foreach(total->left_out, what, count)
    {
        text_print(stdout, "%s%s (%" JSON_INTEGER_FORMAT ")",
                   said++ ? ", " : "left out: ", what, json_integer_value(count));
    }
    if (said)
        text_print(stdout, "\n");
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char **paths = xcalloc((size_t)argc + 1, sizeof *paths);
    size_t count = 0;
    bool done = false;
    struct store *s = NULL;
    struct total total = {0};
    int rc = command_parse(&cmd_import, argc, argv, &values, paths, (size_t)argc, &count,
                           &done, err);
    if (rc == 0 && !done) {
        if (count == 0)
            rc = err_set(err, ERR_USAGE, "import: which file? (usage: peftlab %s)",
                         cmd_import.usage);
        if (rc == 0)
            rc = view_open_writable(values, &s, err);
        if (rc == 0)
            rc = import_paths(s, values, paths, count, &total, err);
        if (rc == 0)
            print_total(&total, json_get_bool(values, "json", 0));
        json_decref(total.left_out);
        json_decref(values);
        store_close(s);
    }
    free(paths);
    return rc;
}

const struct command cmd_import = {
    .name = "import",
    .usage = "import FILE|DIR... [--experiment NAME] [--params A,B] [--metrics C,D] "
             "[--format NAME]",
    .help = "Add trials made elsewhere: tables, exports, peft's results, other trackers' "
            "files.",
    .group = "Store",
    .options = &table,
    .run = run,
};
