/* cli/store/cmd_gc.c - `peftlab gc`: files of runs that count for nothing, what killed
 * processes left in the cache of packed weights, or all of that. Says what would go;
 * --delete removes it. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/cache/cache.h"
#include "tracker/store/upkeep.h"
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
static const struct opt_def options[] = {
    STORE_OPTION, JSON_OPTION,
    {.key = "delete", .type = OPT_BOOL, .preset = "false", .group = "what",
     .help = "remove the files instead of listing them"},
    {.key = "cache", .type = OPT_BOOL, .preset = "false", .group = "what",
     .help = "the whole cache of packed weights, and no store"},
};
/* clang-format on */
static const struct opt_table table = {"gc", options, ARRAY_LEN(options)};

static int remove_all(const json_t *list, struct err *err)
{
    const json_t *entry;
    size_t i;
    int rc = 0;
    json_array_foreach((json_t *)list, i, entry)
    {
        if (rc == 0)
            rc = fs_remove_tree(json_get_str(entry, "path", ""), err);
    }
    return rc;
}

static void print_list(const json_t *list, bool removed)
{
    const json_t *entry;
    size_t i;
    char size[32];
    double sum = 0, of_cache = 0;
    int entries = 0;
    json_array_foreach((json_t *)list, i, entry)
    {
        const char *path = json_get_str(entry, "path", "");
        if (json_get_bool(entry, "whole", 0)) { /* hundreds of names that say nothing */
            of_cache += json_get_num(entry, "bytes", 0);
            entries++;
            continue;
        }
        char *clean = str_clean(path, json_string_length(json_object_get(entry, "path")));
        double bytes = json_get_num(entry, "bytes", 0);
        sum += bytes;
        text_print(stdout, "%10s  %s  (%s)\n", str_bytes(size, sizeof size, bytes), clean,
                   json_get_str(entry, "why", ""));
        free(clean);
    }
    if (entries)
        text_print(stdout, "%10s  %d entries of the cache, made again when needed\n",
                   str_bytes(size, sizeof size, of_cache), entries);
    sum += of_cache;
    text_print(stdout, "%zu %s, %s%s\n", i, removed ? "removed" : "may go",
               str_bytes(size, sizeof size, sum),
               i > 0 && !removed ? "; --delete removes them" : "");
}

static int find_garbage(const json_t *values, json_t **list, struct err *err)
{
    const bool cache = json_get_bool(values, "cache", 0);
    struct store *s = NULL;
    int rc = cache ? 0 : view_open(values, &s, err);
    if (rc)
        return rc;
    *list = cache ? json_array() : store_garbage(s, err);
    json_t *entries = cache_garbage(cache);
    if (*list)
        json_array_extend(*list, entries);
    json_decref(entries);
    store_close(s);
    return *list ? 0 : err_code(err);
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values, *list = NULL;
    size_t count = 0;
    bool done = false;
    int rc = command_parse(&cmd_gc, argc, argv, &values, NULL, 0, &count, &done, err);
    if (rc || done)
        return rc;
    bool removed = json_get_bool(values, "delete", 0);
    rc = find_garbage(values, &list, err);
    if (rc == 0 && removed)
        rc = remove_all(list, err);
    if (rc == 0 && json_get_bool(values, "json", 0))
        view_print_json(json_pack("{s:O, s:b}", "files", list, "removed", removed));
    else if (rc == 0)
        print_list(list, removed);
    json_decref(list);
    json_decref(values);
    return rc;
}

const struct command cmd_gc = {
    .name = "gc",
    .usage = "gc [--cache] [--delete]",
    .help = "Find files of runs that count for nothing any more; or all of the cache.",
    .group = "Store",
    .options = &table,
    .run = run,
};
