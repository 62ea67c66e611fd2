/* cli/store/cmd_note.c - `peftlab note`: a text of the user on a trial or sweep. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tracker/store/labels.h"
#include <stdio.h>

/* clang-format off */
static const struct opt_def options[] = {
    STORE_OPTION,
    {.key = "sweep", .type = OPT_STRING, .group = "what", .metavar = "ID|NAME",
     .help = "write on this sweep instead of a trial"},
};
/* clang-format on */
static const struct opt_table table = {"note", options, ARRAY_LEN(options)};

static int write_note(struct store *s, const char *sweep, const char **words,
                      size_t count, struct err *err)
{
    int64_t id = 0;
    size_t wanted = sweep ? 1 : 2;
    if (count != wanted)
        return err_set(err, ERR_USAGE,
                       "note: one text in quotes is wanted%s (usage: peftlab %s)",
                       sweep ? "" : " behind the trial's number", cmd_note.usage);
    int rc =
        sweep ? store_find_sweep(s, sweep, &id, err) : view_trial_id(words[0], &id, err);
    if (rc < 0)
        return rc;
    return sweep ? store_note_sweep(s, id, words[0], err)
                 : store_note_trial(s, id, words[1], err);
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char *words[3];
    size_t count = 0;
    bool done = false;
    struct store *s = NULL;
    int rc = command_parse(&cmd_note, argc, argv, &values, words, 3, &count, &done, err);
    if (rc || done)
        return rc;
    rc = view_open_existing(values, &s, err);
    if (rc == 0)
        rc = write_note(s, json_get_str(values, "sweep", NULL), words, count, err);
    json_decref(values);
    store_close(s);
    return rc;
}

const struct command cmd_note = {
    .name = "note",
    .usage = "note ID TEXT | note --sweep ID|NAME TEXT",
    .help = "Write a note on a trial or sweep (an empty text removes it).",
    .group = "Store",
    .options = &table,
    .run = run,
};
