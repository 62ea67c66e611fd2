/* cli/start/cmd_init.c - `peftlab init`: from rows of one's own to a sweep that can run. */
#include "cli/command.h"
#include "cli/start/init.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <math.h>
#include <stdlib.h>

/* clang-format off */
static const struct opt_def options[] = {
    {.key = "model", .type = OPT_STRING, .metavar = "NAME",
     .help = "base model (default: one of the right kind that is here, else a small one by "
             "name)", .group = "what"},
    {.key = "eval_data", .type = OPT_PATH, .metavar = "FILE",
     .help = "rows to choose by (default: a neighbour called dev, eval or validation)",
     .group = "what"},
    {.key = "test_data", .type = OPT_PATH, .metavar = "FILE",
     .help = "rows to report on (default: a neighbour called test)", .group = "what"},
    {.key = "text_column", .type = OPT_STRING, .metavar = "NAME",
     .help = "the text (default: found)", .group = "what"},
    {.key = "text_pair_column", .type = OPT_STRING, .metavar = "NAME",
     .help = "a second text (default: found)", .group = "what"},
    {.key = "label_column", .type = OPT_STRING, .metavar = "NAME",
     .help = "what is learned (default: found)", .group = "what"},
    {.key = "minutes", .type = OPT_FLOAT, .preset = "30", .min = 0.1, .max = 1e6,
     .metavar = "N", .help = "the sweep is made small enough for it, as predicted here",
     .group = "limits"},
    {.key = "name", .type = OPT_STRING, .metavar = "NAME",
     .help = "of the sweep (default: by the file)", .group = "output"},
    {.key = "out", .type = OPT_PATH, .metavar = "DIR",
     .help = "folder to write into (default: the name)", .group = "output"},
    {.key = "overwrite", .type = OPT_BOOL, .preset = "false",
     .help = "what an earlier init wrote there may go", .group = "output"},
    JSON_OPTION,
};
/* clang-format on */
static const struct opt_table table = {"init", options, ARRAY_LEN(options)};

void init_release(struct init *i)
{
    for (int p = 0; p < LOOK_PARTS; p++) {
        look_release(&i->parts[p].rows);
        free(i->parts[p].path);
    }
    adviser_close(&i->adviser);
    init_predict_forget();
    free(i->dealing);
    free(i->model);
    free(i->name);
    free(i->out);
}

static void tell_next(const struct init *i)
{
    char time[32];
    text_print(stdout, "\nWrote %s/trial.yaml and %s/sweep.yaml: %s%zu trials", i->out,
               i->out, i->at_most ? "at most " : "", i->trials);
    if (!isnan(i->seconds))
        text_print(stdout, ", about %s on this machine",
                   str_duration(time, sizeof time, i->seconds));
    if (i->seconds > 60 * json_get_num(i->values, "minutes", 30))
        text_print(
            stdout,
            "\n  ! longer than --minutes allows, and the least that tells anything: "
            "take fewer rows (max_train_samples in the file), a smaller model, or "
            "the time");
    if (!i->model_is_here)
        text_print(
            stdout,
            "\n  ! how long that takes is not known before the model is here: fetch "
            "it, then run init again with --overwrite, to keep within --minutes");
    text_print(stdout, "\nNext:\n");
    if (!i->model_is_here)
        text_print(stdout, "  peftlab pull %s\n", i->model);
    text_print(stdout,
               "  peftlab sweep run %s/sweep.yaml\n"
               "  peftlab report --sweep %s -o report.html\n",
               i->out, i->name);
}

static int init(const json_t *values, const char *given, struct err *err)
{
    struct init i = {.values = values, .seconds = NAN};
    const bool as_json = json_get_bool(values, "json", 0);
    int rc = init_find(&i, given, err);
    if (!rc)
        rc = init_look(&i, err);
    if (!rc && !as_json)
        init_tell(&i);
    if (!rc)
        rc = init_write(&i, err);
    if (!rc && as_json)
        command_print_json(init_json(&i));
    else if (!rc)
        tell_next(&i);
    init_release(&i);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char *given = NULL;
    size_t count = 0;
    bool done = false;
    int rc = command_parse(&cmd_init, argc, argv, &values, &given, 1, &count, &done, err);
    if (!rc && !done)
        rc = init(values, count ? given : NULL, err);
    json_decref(values);
    return rc;
}

const struct command cmd_init = {
    .name = "init",
    .usage = "init [FILE.csv|FILE.jsonl|FOLDER] [--model NAME] [--minutes N] [--out DIR]",
    .help = "Look at rows of your own and write a trial file and a sweep file for them.",
    .group = "Trials",
    .options = &table,
    .run = run,
};
