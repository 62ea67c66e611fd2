/* cli/store/cmd_log.c - `peftlab log`: numbers of the run that this is called in, or of one
 * that is written by hand. */
#include "cli/command.h"
#include "cli/store/store_view.h"
#include "lib/config/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/launch/metric_lines.h"
#include "tracker/worker/hand_log.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256 };

/* clang-format off */
static const struct opt_def options[] = {
    STORE_OPTION,
    {.key = "step", .type = OPT_INT, .min = 0, .max = 9007199254740992, .group = "what",
     .metavar = "N", .help = "a point of a curve; without it the value alone, as a result"},
    {.key = "experiment", .type = OPT_STRING, .group = "outside of a trial", .metavar = "NAME",
     .help = "the run is this experiment's"},
    {.key = "name", .type = OPT_STRING, .group = "outside of a trial", .metavar = "NAME",
     .help = "what the run is called; the first call begins it, later ones add to it"},
    {.key = "param", .type = OPT_STRING, .flags = OPT_REPEATED, .group = "outside of a trial",
     .metavar = "KEY=VALUE", .help = "a parameter, written once; seed=N is the seed"},
    {.key = "tag", .type = OPT_STRING, .flags = OPT_REPEATED, .group = "outside of a trial",
     .metavar = "KEY=VALUE", .help = "a tag"},
    {.key = "end", .type = OPT_CHOICE, .choices = "complete|failed|cancelled",
     .group = "outside of a trial", .help = "the run has ended so"},
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
                     "has no number behind '='; words on a trial are tags (peftlab tag, "
                     "or --tag)",
                     err);
    if (errno == ERANGE && isinf(p->value))
        return wrong(word, "is beyond the range of a number", err);
    p->key = *key = xstrndup(word, (size_t)(equals - word));
    return 0;
}

/* ---- in a trial ---- */

/* The run of the trial whose program calls this. */
static int find_run(int64_t *run, struct err *err)
{
    const char *text = getenv("PEFTLAB_RUN");
    if (text && str_whole(text, run) && *run > 0)
        return 0;
    return err_set(err, ERR_USAGE,
                   text ? "log: PEFTLAB_RUN is not the number of a run"
                        : "log: this is called in no trial; --experiment and --name say "
                          "whose numbers these are (a sweep with `command` sets "
                          "PEFTLAB_RUN and PEFTLAB_STORE for what it starts)");
}

static int log_in_trial(const json_t *values, const struct metric_point *points,
                        size_t count, struct err *err)
{
    struct store *s = NULL;
    int64_t run = 0;
    int rc = count ? find_run(&run, err)
                   : err_set(err, ERR_USAGE,
                             "log: 1 to %d KEY=VALUE are wanted (usage: peftlab %s)",
                             MOST, cmd_log.usage);
    if (!rc)
        rc = view_open_existing(values, &s, err);
    if (!rc)
        rc = store_log_metrics(s, run, points, count, err);
    store_close(s);
    return rc;
}

/* ---- by hand ---- */

/* --param and --tag: what stands behind '=' is a value or a text. */
static int take_pairs(const json_t *list, bool typed, json_t *out, struct err *err)
{
    json_t *word;
    size_t i;
    json_array_foreach((json_t *)list, i, word)
    {
        const char *text = json_string_value(word), *equals = strchr(text, '=');
        if (!equals || equals == text)
            return wrong(text, "is not KEY=VALUE", err);
        char *key = xstrndup(text, (size_t)(equals - text));
        json_t *v = typed ? conf_parse_value(equals + 1, NULL) : NULL;
        if (json_object_get(out, key))
            err_set(err, ERR_USAGE, "log: '%.100s' is there twice", key);
        json_object_set_new(
            out, key, v && !json_is_null(v) ? json_incref(v) : json_string(equals + 1));
        json_decref(v);
        free(key);
        if (err->code)
            return err_code(err);
    }
    return 0;
}

static int log_by_hand(const json_t *values, const struct metric_point *points,
                       size_t count, struct err *err)
{
    const char *end = json_get_str(values, "end", NULL);
    json_t *params = json_object(), *tags = json_object();
    struct hand_log what = {.experiment = json_get_str(values, "experiment", NULL),
                            .name = json_get_str(values, "name", NULL),
                            .params = params,
                            .tags = tags,
                            .points = points,
                            .count = count,
                            .end = TRIAL_running};
    struct store *s = NULL;
    int64_t trial;
    int rc = 0;
    if (end)
        what.end = (enum trial_state)trial_state_from_name(end);
    if (!what.experiment || !what.name || !*what.name)
        rc = err_set(err, ERR_USAGE, "log: a run by hand needs --experiment and --name");
    if (!rc)
        rc = take_pairs(json_object_get(values, "param"), true, params, err);
    if (!rc)
        rc = take_pairs(json_object_get(values, "tag"), false, tags, err);
    if (!rc)
        rc = view_open_writable(values, &s, err);
    if (!rc)
        rc = store_log_by_hand(s, &what, &trial, err);
    store_close(s);
    json_decref(params);
    json_decref(tags);
    return rc;
}

/* ---- command ---- */

static bool is_by_hand(const json_t *values)
{
    static const char *const keys[] = {"experiment", "name", "end", "param", "tag"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const json_t *v = json_object_get(values, keys[i]);
        if (json_is_string(v) || json_array_size(v) > 0)
            return true;
    }
    return false;
}

/* A value with a step is also the newest value. */
static size_t set_steps(struct metric_point *points, size_t count, int64_t step)
{
    for (size_t i = 0; i < count; i++) {
        points[i].step = step;
        points[count + i] = (struct metric_point){points[i].key, -1, points[i].value};
    }
    return step < 0 ? count : 2 * count;
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
    for (size_t i = 0; i < count && !rc; i++)
        rc = take_word(words[i], &points[i], &keys[i], err);
    if (!rc) {
        const size_t all = set_steps(points, count, json_get_int(values, "step", -1));
        rc = is_by_hand(values) ? log_by_hand(values, points, all, err)
                                : log_in_trial(values, points, all, err);
    }
    for (size_t i = 0; i < count; i++)
        free(keys[i]);
    json_decref(values);
    return rc;
}

const struct command cmd_log = {
    .name = "log",
    .usage =
        "log [KEY=VALUE ...] [--step N] [--experiment NAME --name NAME [--param K=V] "
        "[--tag K=V] [--end HOW]]",
    .help =
        "Record numbers from a shell: of the trial that this is called in, or of a run "
        "of your own.",
    .group = "Store",
    .options = &table,
    .run = run,
};
