/* cli/store/cmd_backup.c - `peftlab backup FILE`: a checked copy of the store, while it
 * is used. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "tracker/store/upkeep.h"
#include <stdio.h>

static const struct opt_def options[] = {STORE_OPTION, JSON_OPTION};
static const struct opt_table table = {"backup", options, ARRAY_LEN(options)};

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char *path = NULL;
    char size[32];
    size_t count = 0;
    bool done = false;
    struct store *s = NULL;
    int rc =
        command_parse(&cmd_backup, argc, argv, &values, &path, 1, &count, &done, err);
    if (rc || done)
        return rc;
    if (count == 0)
        rc = err_set(err, ERR_USAGE, "backup: into which file? (usage: peftlab %s)",
                     cmd_backup.usage);
    if (rc == 0)
        rc = view_open(values, &s, err);
    if (rc == 0)
        rc = store_backup(s, path, err);
    if (rc == 0 && json_is_true(json_object_get(values, "json")))
        view_print_json(
            json_pack("{s:s, s:I}", "file", path, "bytes", (json_int_t)fs_size(path)));
    else if (rc == 0)
        text_print(stdout, "%s: %s, checked\n", path,
                   str_bytes(size, sizeof size, (double)fs_size(path)));
    json_decref(values);
    store_close(s);
    return rc;
}

const struct command cmd_backup = {
    .name = "backup",
    .usage = "backup FILE",
    .help = "Copy the store of one moment into a new file, and check the copy.",
    .group = "Store",
    .options = &table,
    .run = run,
};
