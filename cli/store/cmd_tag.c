/* cli/store/cmd_tag.c - `peftlab tag`: words of the user on trials. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/store/labels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct opt_def options[] = {
    STORE_OPTION,
    {.key = "remove", .type = OPT_STRING, .group = "what", .metavar = "KEY,...",
     .help = "tags to take away"},
};
/* clang-format on */
static const struct opt_table table = {"tag", options, ARRAY_LEN(options)};

static bool is_number(const char *word)
{
    return *word && word[strspn(word, "0123456789")] == '\0';
}

static int set_tag(struct store *s, int64_t trial, const char *word, struct err *err)
{
    const char *equals = strchr(word, '=');
    char *key = xstrndup(word, equals ? (size_t)(equals - word) : strlen(word));
    int rc = store_tag(s, trial, key, equals ? equals + 1 : "", err);
    free(key);
    return rc;
}

static int remove_tags(struct store *s, int64_t trial, const char *keys, struct err *err)
{
    char *copy = xstrdup(keys), *save = NULL;
    int rc = 0;
    for (char *key = strtok_r(copy, ",", &save); key && rc == 0;
         key = strtok_r(NULL, ",", &save))
        rc = store_tag(s, trial, key, NULL, err);
    free(copy);
    return rc;
}

/* Words: numbers of trials first, then tags. */
static int tag_all(struct store *s, const char **words, size_t count, const char *removed,
                   struct err *err)
{
    size_t ids = 0;
    int rc = 0;
    int64_t id;
    while (ids < count && is_number(words[ids]))
        ids++;
    if (ids == 0 || (ids == count && !removed))
        return err_set(err, ERR_USAGE, "tag: %s (usage: peftlab %s)",
                       ids == 0 ? "which trial?" : "which tag?", cmd_tag.usage);
    for (size_t i = 0; i < ids && rc == 0; i++) {
        rc = view_trial_id(words[i], &id, err);
        if (rc == 0 && removed)
            rc = remove_tags(s, id, removed, err);
        for (size_t k = ids; k < count && rc == 0; k++)
            rc = set_tag(s, id, words[k], err);
    }
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char **words = xcalloc((size_t)argc + 1, sizeof *words);
    size_t count = 0;
    bool done = false;
    struct store *s = NULL;
    int rc = command_parse(&cmd_tag, argc, argv, &values, words, (size_t)argc, &count,
                           &done, err);
    if (rc == 0 && !done) {
        rc = view_open_existing(values, &s, err);
        if (rc == 0)
            rc = tag_all(s, words, count, json_get_str(values, "remove", NULL), err);
        json_decref(values);
        store_close(s);
    }
    free(words);
    return rc;
}

const struct command cmd_tag = {
    .name = "tag",
    .usage = "tag ID... KEY[=VALUE]... [--remove KEY,...]",
    .help = "Put tags on trials; `ls --tag` finds them.",
    .group = "Store",
    .options = &table,
    .run = run,
};
