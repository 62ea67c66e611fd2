/* cli/store/cmd_compare.c - `peftlab compare ID ID ...`: what differs between trials, and
 * their numbers side by side. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text_table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TRIALS = 64 };

static const struct opt_def options[] = {STORE_OPTION, JSON_OPTION};
static const struct opt_table table = {"compare", options, ARRAY_LEN(options)};

static void add_rows(struct text_table *t, const json_t *part, const char *title)
{
    const char *cells[MAX_TRIALS + 1] = {title}, *key;
    json_t *list, *v;
    if (json_object_size(part) == 0)
        return;
    text_table_row(t, cells);
    json_object_foreach((json_t *)part, key, list)
    {
        size_t i;
        char *heading = view_heading(key);
        char *texts[MAX_TRIALS + 1] = {xasprintf("  %s", heading)};
        free(heading);
        json_array_foreach(list, i, v)
        {
            texts[i + 1] = view_text(key, v);
        }
        for (i = 0; i <= MAX_TRIALS; i++)
            cells[i] = texts[i];
        text_table_row(t, cells);
        for (i = 0; i <= MAX_TRIALS; i++)
            free(texts[i]);
    }
}

/* "metrics (judged by wer, minimize)" */
static char *metrics_title(const json_t *judged_by)
{
    const json_t *first = json_array_get(judged_by, 0);
    return first
               ? xasprintf("metrics (judged by %s, %s)", json_get_str(first, "name", ""),
                           json_get_str(first, "goal", ""))
               : xstrdup("metrics");
}

static void print_comparison(const json_t *c)
{
    json_t *ids = json_object_get(c, "trials"), *id;
    const char *headings[MAX_TRIALS + 1] = {"trial"};
    char *texts[MAX_TRIALS] = {NULL};
    size_t i, n = json_array_size(ids);
    json_array_foreach(ids, i, id)
    {
        headings[i + 1] = texts[i] = view_text("id", id);
    }
    struct text_table *t = text_table_new(headings, "l", n + 1);
    add_rows(t, json_object_get(c, "facts"), "facts");
    add_rows(t, json_object_get(c, "differs"), "configuration (what differs)");
    char *title = metrics_title(json_object_get(c, "judged_by"));
    add_rows(t, json_object_get(c, "metrics"), title);
    free(title);
    text_table_print(t, stdout);
    if (json_object_size(json_object_get(c, "differs")) == 0)
        text_print(stdout, "their configurations do not differ\n");
    text_table_free(t);
    for (i = 0; i < n; i++)
        free(texts[i]);
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values, *comparison = NULL;
    const char *words[MAX_TRIALS];
    int64_t ids[MAX_TRIALS];
    size_t count = 0;
    bool done = false;
    struct store *s = NULL;
    int rc = command_parse(&cmd_compare, argc, argv, &values, words, MAX_TRIALS, &count,
                           &done, err);
    if (rc || done)
        return rc;
    if (count < 2)
        rc = err_set(err, ERR_USAGE,
                     "compare: at least two trials are needed (usage: peftlab %s)",
                     cmd_compare.usage);
    if (!rc)
        rc = view_open(values, &s, err);
    for (size_t i = 0; i < count && !rc; i++)
        rc = view_trial_id(words[i], &ids[i], err);
    if (!rc && !(comparison = view_comparison(s, ids, count, err)))
        rc = err_code(err);
    if (!rc && json_get_bool(values, "json", 0))
        view_print_json(json_incref(comparison));
    else if (!rc)
        print_comparison(comparison);
    json_decref(comparison);
    json_decref(values);
    store_close(s);
    return rc;
}

const struct command cmd_compare = {
    .name = "compare",
    .usage = "compare ID ID ...",
    .help = "Show what differs between trials, and their numbers side by side.",
    .group = "Store",
    .options = &table,
    .run = run,
};
