/* cli/store/cmd_log.c - `peftlab log`: numbers of the run that this is called in. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/launch/metric_lines.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256 };

/* clang-format off */
static const struct opt_def options[] = {
    {.key = "step", .type = OPT_INT, .min = 0, .max = 9007199254740992, .group = "what",
     .metavar = "N", .help = "a point of a curve; without it the value alone, as a result"},
};
/* clang-format on */
static const struct opt_table table = {"log", options, ARRAY_LEN(options)};

static int wrong(const char *word, const char *why, struct err *err)
{
    char *clean = str_clean(word, strlen(word));
    const int rc = err_set(err, ERR_USAGE, "log: '%.100s' %s", clean, why);
    free(clean);
    return rc;
}

static int take_word(const char *word, struct metric_point *p, char **key,
                     struct err *err)
{
    const char *equals = strchr(word, '=');
    char *end;
    if (!equals || equals == word)
        return wrong(word, "is not KEY=VALUE", err);
    if (equals - word > METRIC_NAME_MAX)
        return wrong(word, "has a name above 256 bytes", err);
    errno = 0;
    p->value = strtod(equals + 1, &end);
    if (end == equals + 1 || *end)
        return wrong(word,
                     "has no number behind '='; words on a trial are tags (peftlab tag)",
                     err);
    if (errno == ERANGE && isinf(p->value))
        return wrong(word, "is beyond the range of a number", err);
    p->key = *key = xstrndup(word, (size_t)(equals - word));
    return 0;
}

/* The run of the trial whose program calls this. */
static int find_run(int64_t *run, struct err *err)
{
    const char *text = getenv("PEFTLAB_RUN");
    char *end = NULL;
    errno = 0;
    *run = text ? strtoll(text, &end, 10) : 0;
    if (*run > 0 && !*end && !errno)
        return 0;
    return err_set(err, ERR_USAGE,
                   text ? "log: PEFTLAB_RUN is not the number of a run"
                        : "log: this is called in no trial; a sweep with `command` sets "
                          "PEFTLAB_RUN and PEFTLAB_STORE for what it starts");
}

/* At its step and as the newest value. */
static int write_all(const json_t *values, struct metric_point *points, size_t count,
                     struct err *err)
{
    const int64_t step = json_get_int(values, "step", -1);
    struct store *s = NULL;
    int64_t run;
    int rc = find_run(&run, err);
    if (!rc)
        rc = view_open_existing(values, &s, err);
    for (size_t i = 0; i < count; i++) {
        points[i].step = step;
        points[count + i] = (struct metric_point){points[i].key, -1, points[i].value};
    }
    if (!rc)
        rc = store_log_metrics(s, run, points, step < 0 ? count : 2 * count, err);
    store_close(s);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    const char *words[MOST];
    struct metric_point points[2 * MOST];
    char *keys[MOST] = {NULL};
    size_t count = 0;
    bool done = false;
    int rc =
        command_parse(&cmd_log, argc, argv, &values, words, MOST, &count, &done, err);
    if (rc || done)
        return rc;
    if (!count)
        rc = err_set(err, ERR_USAGE,
                     "log: 1 to %d KEY=VALUE are wanted (usage: peftlab %s)", MOST,
                     cmd_log.usage);
    for (size_t i = 0; i < count && !rc; i++)
        rc = take_word(words[i], &points[i], &keys[i], err);
    if (!rc)
        rc = write_all(values, points, count, err);
    for (size_t i = 0; i < count; i++)
        free(keys[i]);
    json_decref(values);
    return rc;
}

const struct command cmd_log = {
    .name = "log",
    .usage = "log KEY=VALUE [KEY=VALUE ...] [--step N]",
    .help = "Record numbers of the trial that this is called in, from a shell.",
    .group = "Store",
    .options = &table,
    .run = run,
};
