/* cli/trial/cmd_convert.c - `peftlab convert`: models and adapters as files of other
 * programs. */
#include "cli/command.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/convert/convert.h"
#include <stdio.h>

static const char targets[] = ""
#define TARGET(id, name, dtypes, help) "|" name
#include "runner/convert/targets.def"
#undef TARGET
    ;

/* clang-format off */
static const struct opt_def rows[] = {
    {.key = "to", .type = OPT_CHOICE, .choices = targets + 1, .group = "output",
     .flags = OPT_REQUIRED, .metavar = "TARGET", .help = "what to write:"
#define TARGET(id, name, dtypes, help) " " name " is " help ";"
#include "runner/convert/targets.def"
#undef TARGET
     },
    {.key = "model", .type = OPT_PATH, .group = "input", .metavar = "MODEL",
     .help = "the adapter's base: folder, GGUF file or name (default: the one that it names)"},
    {.key = "dtype", .type = OPT_STRING, .group = "output", .metavar = "TYPE",
     .help = "numbers of matrices, where the target has a choice: base (as they are), f32, f16, bf16, q8_0"},
    {.key = "out", .type = OPT_PATH, .group = "output", .flags = OPT_REQUIRED,
     .metavar = "PATH", .help = "file or folder to write"},
    {.key = "overwrite", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "replace what is there"},
    JSON_OPTION,
};
/* clang-format on */
static const struct opt_table options = {"convert", rows, ARRAY_LEN(rows)};

static void print_report(const json_t *values, const struct convert_report *r)
{
    const char *out = json_get_str(values, "out", "");
    char size[32];
    if (json_get_bool(values, "json", 0)) {
        command_print_json(json_pack(
            "{s:s, s:s, s:I, s:I}", "to", json_get_str(values, "to", ""), "out", out,
            "tensors", (json_int_t)r->tensors, "bytes", (json_int_t)r->bytes));
        return;
    }
    text_print(stdout, "%s: %lld tensors, %s\n", out, (long long)r->tensors,
               str_bytes(size, sizeof size, (double)r->bytes));
}

static int run(int argc, char **argv, struct err *err)
{
    const char *from = NULL;
    size_t count = 0;
    json_t *values = NULL;
    bool done;
    struct convert_report report;
    int rc =
        command_parse(&cmd_convert, argc, argv, &values, &from, 1, &count, &done, err);
    if (!rc && !done && !count)
        rc = err_set(err, ERR_USAGE, "convert: what? usage: peftlab %s",
                     cmd_convert.usage);
    if (!rc && !done)
        rc = convert_run(
            json_get_str(values, "to", ""), from, json_get_str(values, "model", NULL),
            json_get_str(values, "dtype", NULL), json_get_str(values, "out", ""),
            json_get_bool(values, "overwrite", 0), &report, err);
    if (!rc && !done)
        print_report(values, &report);
    json_decref(values);
    return rc;
}

const struct command cmd_convert = {
    .name = "convert",
    .usage =
        "convert ADAPTER-or-MODEL --to TARGET [--model MODEL] [--dtype TYPE] --out PATH",
    .help = "Write a model or an adapter for another program.",
    .group = "Models and data",
    .options = &options,
    .run = run,
};
