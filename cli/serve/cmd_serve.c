/* cli/serve/cmd_serve.c - `peftlab serve`: many adapters on one base, over HTTP. */
#include "cli/api_key.h"
#include "cli/command.h"
#include "cli/serve/served_tasks.h"
#include "cli/serve/serving.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/nn/adapter_files/trial_of.h"
#include "runner/run_folder.h"
#include "runner/serve/write/writer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TASK_WRITE    "causal-lm"
#define TASK_CLASSIFY "seq-cls"

/* clang-format off */
static const struct opt_def rows[] = {
    {.key = "adapters", .type = OPT_NAMES, .group = "adapters", .metavar = "DIR",
     .help = "folders that hold adapter folders (or runs of trials), each served by its name"},
    {.key = "tasks", .type = OPT_PATH, .group = "adapters", .metavar = "FILE",
     .help = "file of tasks (docs/sla.md): for each the adapter of its best trial in the store; without MODEL the base on which they stand best"},
    {.key = "store", .type = OPT_PATH, .group = "adapters", .metavar = "FILE",
     .help = "the store of --tasks (default: PEFTLAB_STORE, then ./peftlab.db)"},
    {.key = "sweep", .type = OPT_STRING, .flags = OPT_REPEATED, .group = "adapters", .metavar = "NAME",
     .help = "the sweep of --tasks (default: the newest)"},
    {.key = "pin", .type = OPT_NAMES, .group = "adapters", .metavar = "NAMES",
     .help = "adapters that stay in memory"},
    {.key = "resident_mb", .type = OPT_INT, .preset = "0", .max = 1 << 30, .group = "adapters",
     .metavar = "N", .help = "MiB that adapters may take in memory; 0: all that were asked for stay"},
    {.key = "address", .type = OPT_STRING, .preset = "127.0.0.1", .group = "network",
     .metavar = "IP", .help = "address to listen on; on any but this machine's own a key is needed"},
    {.key = "port", .type = OPT_INT, .preset = "8000", .max = 65535, .group = "network",
     .metavar = "N", .help = "port; 0: one that is free, which is printed"},
    API_KEY_OPTION("requests"),
    {.key = "batch_rows", .type = OPT_INT, .preset = "32", .min = 1, .max = 1024, .group = "batches",
     .metavar = "N", .help = "texts of a batch at most"},
    {.key = "batch_tokens", .type = OPT_INT, .preset = "2048", .min = 16, .max = 1 << 20,
     .group = "batches", .metavar = "N", .help = "tokens of a batch at most"},
    {.key = "wait_ms", .type = OPT_FLOAT, .preset = "0", .max = 1000, .group = "batches",
     .metavar = "MS", .help = "how long the first text waits for company"},
    {.key = "limit_ms", .type = OPT_FLOAT, .preset = "0", .max = 3600000, .group = "batches",
     .metavar = "MS", .help = "refuse (429) what would wait for longer than that; 0: never"},
    {.key = "limits", .type = OPT_NAMES, .group = "batches", .metavar = "NAME=MS",
     .help = "how long requests to an adapter can wait for their answer (of a text: its first token), where they do not say it (X-Deadline-Ms)"},
    {.key = "share", .type = OPT_FLOAT, .preset = "0", .max = 1, .group = "batches", .metavar = "PART",
     .help = "part of a batch (of --sequences) that one adapter gets while others wait, such as 0.5; 0: as it comes"},
    {.key = "queue", .type = OPT_INT, .preset = "4096", .min = 1, .max = 1 << 20, .group = "batches",
     .metavar = "N", .help = "texts that may wait; more are refused"},
    {.key = "task", .type = OPT_CHOICE, .preset = "auto", .choices = "auto|" TASK_WRITE "|" TASK_CLASSIFY, .group = "base",
     .metavar = "TASK", .help = "what the base does: write (causal-lm) or classify; auto: what its adapters were trained for, else what it is"},
    {.key = "sequences", .type = OPT_INT, .preset = "8", .min = 1, .max = 1024, .group = "language models",
     .metavar = "N", .help = "texts that are written at the same time; each has memory for its keys and values"},
    {.key = "context", .type = OPT_INT, .preset = "2048", .min = 16, .max = 1 << 24, .group = "language models",
     .metavar = "N", .help = "tokens of a prompt and its answer together, at most the model's positions"},
    {.key = "step_tokens", .type = OPT_INT, .preset = "256", .min = 1, .max = 1 << 16, .group = "language models",
     .metavar = "N", .help = "tokens of prompts and texts that are read in one step; more: prompts are read faster, those who listen wait longer"},
    {.key = "template", .type = OPT_PATH, .group = "language models", .metavar = "FILE",
     .help = "a chat template (Jinja) instead of the model's own"},
    {.key = "dtype", .type = OPT_STRING, .group = "base", .metavar = "TYPE",
     .help = "numbers that matrices are multiplied in (float32, bfloat16); this and the next ones: where not said, adapters whose run says another are refused"},
    {.key = "base_dtype", .type = OPT_STRING, .group = "base", .metavar = "TYPE",
     .help = "numbers of the base (auto, bfloat16, float16)"},
    {.key = "quantization", .type = OPT_STRING, .group = "base", .metavar = "KIND",
     .help = "of the base's linear layers (none, nf4, fp4)"},
    {.key = "double_quant", .type = OPT_BOOL, .group = "base",
     .help = "its block maxima are quantised too"},
    {.key = "quant_block_size", .type = OPT_INT, .min = 32, .max = 4096, .group = "base", .metavar = "N",
     .help = "weights per block maximum"},
};
/* clang-format on */
static const struct opt_table options = {"serve", rows, ARRAY_LEN(rows)};

/* --- adapters --- */

/* The i-th of one name or a list of them; NULL: there are no more. */
static const char *name_at(const json_t *values, const char *key, size_t i)
{
    const json_t *v = json_object_get(values, key);
    return json_string_value(json_is_array(v) ? json_array_get(v, i) : i ? NULL : v);
}

static bool is_pinned(const json_t *values, const char *name)
{
    for (size_t i = 0; name_at(values, "pin", i); i++)
        if (str_eq(name_at(values, "pin", i), name))
            return true;
    return false;
}

struct adding {
    struct serving *serving;
    const json_t *values;
};

static int add_adapter(void *ctx, const char *name, const char *dir, struct err *err)
{
    const struct adding *a = ctx;
    return shelf_add(&a->serving->shelf, name, dir, is_pinned(a->values, name), err);
}

/* NAME=DIR */
static int add_word(struct adding *a, const char *word, struct err *err)
{
    const char *is = strchr(word, '=');
    if (!is || is == word)
        return err_set(err, ERR_USAGE, "'%s': an adapter is given as NAME=FOLDER", word);
    char *name = xstrndup(word, (size_t)(is - word)), *dir = run_folder_adapter(is + 1);
    const int rc =
        dir ? add_adapter(a, name, dir, err)
            : err_set(err, ERR_NOINPUT, "adapter '%s': none in '%s'", name, is + 1);
    free(name);
    free(dir);
    return rc;
}

/* NAME=MS */
static int set_limit(struct serving *s, const char *word, struct err *err)
{
    const char *is = strrchr(word, '=');
    double ms;
    if (!is || !str_number(is + 1, &ms) || !(ms > 0))
        return err_set(err, ERR_USAGE, "--limits: '%s' is not NAME=MILLISECONDS", word);
    char *name = xstrndup(word, (size_t)(is - word));
    const bool known = shelf_limit(&s->shelf, name, ms / 1e3);
    free(name);
    return known ? 0
                 : err_set(err, ERR_USAGE, "--limits: there is no adapter of '%s'", word);
}

static int add_adapters(struct serving *s, const json_t *values,
                        const struct served_tasks *tasks, const char *const *words,
                        size_t count, struct err *err)
{
    struct adding a = {s, values};
    int rc = 0;
    for (size_t i = 0; i < tasks->count && !rc; i++)
        rc = add_adapter(&a, tasks->tasks[i].name, tasks->tasks[i].adapter, err);
    for (size_t i = 0; name_at(values, "adapters", i) && !rc; i++)
        rc = run_folder_adapters(name_at(values, "adapters", i), add_adapter, &a, err);
    for (size_t k = 0; k < count && !rc; k++)
        rc = add_word(&a, words[k], err);
    for (size_t i = 0; name_at(values, "pin", i) && !rc; i++)
        if (!shelf_want(&s->shelf, name_at(values, "pin", i), 0))
            rc = err_set(err, ERR_USAGE, "--pin: there is no adapter '%s'",
                         name_at(values, "pin", i));
    for (size_t i = 0; name_at(values, "limits", i) && !rc; i++)
        rc = set_limit(s, name_at(values, "limits", i), err);
    return rc;
}

/* --- start and end --- */

/* Is the base to classify, whatever it could write? As it is said, or as the first adapter
 * was trained. */
static bool is_to_classify(struct serving *s, const json_t *values, const char *model)
{
    const char *task = json_get_str(values, "task", "auto");
    json_t *given = NULL;
    const struct task *of_adapter = NULL;
    if (!str_eq(task, "auto"))
        return str_eq(task, TASK_CLASSIFY);
    if (s->shelf.count && !adapter_trial(s->shelf.entries[0]->dir, model, &given, NULL))
        of_adapter = task_find(json_get_str(given, "task", ""), NULL);
    json_decref(given);
    return of_adapter && str_eq(of_adapter->name, TASK_CLASSIFY);
}

static int open_base(struct serving *s, const json_t *values, const char *model,
                     struct err *err)
{
    const int32_t texts = (int32_t)json_get_int(values, "batch_rows", 0),
                  tokens = (int32_t)json_get_int(values, "batch_tokens", 0),
                  sequences = (int32_t)json_get_int(values, "sequences", 0),
                  step = (int32_t)json_get_int(values, "step_tokens", 0);
    json_t *settings = json_object();
    for (size_t i = 0; serve_settings[i]; i++) {
        json_t *v = json_object_get(values, serve_settings[i]);
        if (v && !json_is_null(v))
            json_object_set(settings, serve_settings[i], v);
    }
    struct serve_options o = {
        .most = extent_of(tokens, texts, texts),
        .settings = settings,
        .decode = {.sequences = sequences,
                   .capacity = (int32_t)json_get_int(values, "context", 0),
                   .tokens = step > sequences ? step : sequences}};
    if (is_to_classify(s, values, model))
        o.decode = (struct decode_size){0};
    int rc = serve_base_open(&s->base, model, &o, err);
    json_decref(settings);
    if (!rc && !s->base.writes && str_eq(json_get_str(values, "task", ""), TASK_WRITE))
        rc = err_set(err, ERR_CONFIG, "--task: '%s' is no language model", model);
    if (!rc && s->base.writes && !s->base.session.tokenizer)
        rc = err_set(err, ERR_NOINPUT, "model folder '%s': no tokenizer.json",
                     s->base.session.hf->dir);
    return rc;
}

/* What is said for the other kind of base would change nothing. */
static int check_kind(const struct serving *s, const json_t *values, struct err *err)
{
    static const struct {
        const char *key, *flag;
        bool writes;
    } only[] = {{"wait_ms", "--wait-ms", false}, {"template", "--template", true}};
    for (size_t i = 0; i < ARRAY_LEN(only); i++) {
        const json_t *v = json_object_get(values, only[i].key);
        const bool said =
            json_is_number(v) ? json_number_value(v) > 0 : v && !json_is_null(v);
        if (said && only[i].writes != s->base.writes)
            return err_set(err, ERR_USAGE, "%s is for %s, '%s' is %s", only[i].flag,
                           only[i].writes ? "language models" : "classifiers", s->name,
                           s->base.writes ? "a language model" : "a classifier");
    }
    return 0;
}

static int listen_on(struct serving *s, const json_t *values, const char *key,
                     struct err *err)
{
    const struct server_options o = {.address = json_get_str(values, "address", ""),
                                     .port = (int)json_get_int(values, "port", 0),
                                     .key = key && *key ? key : NULL,
                                     .max_body = (size_t)4 << 20,
                                     .max_connections = 4096};
    size_t count;
    s->routes = serve_routes_of(s->base.writes, &count);
    return server_start(&s->server, &o, s->routes, count, s, err);
}

static void serve_until_signal(struct serving *s, const json_t *values)
{
    struct shelf_counts adapters;
    const char *address = json_get_str(values, "address", "");
    const bool colons = strchr(address, ':') != NULL; /* IPv6 */
    proc_catch_signals();
    shelf_count(&s->shelf, &adapters);
    text_print(stdout, "serving %s with %zu adapters on http://%s%s%s:%d\n", s->name,
               adapters.known, colons ? "[" : "", address, colons ? "]" : "",
               server_port(s->server));
    fflush(stdout);
    while (!proc_signals(NULL))
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    proc_release_signals();
    text_print(stderr,
               "stopping: what was asked is answered first; once more ends at once\n");
    server_drain(s->server);
}

static int start_engine(struct serving *s, const json_t *values, struct err *err)
{
    s->vector_tokens = pooling_most_tokens(s->base.session.hf->dir);
    const struct engine_options o = {
        .wait_s = json_get_num(values, "wait_ms", 0) / 1e3,
        .queue = {.most_wait_s = json_get_num(values, "limit_ms", 0) / 1e3,
                  .most_rows = (size_t)json_get_int(values, "queue", 0),
                  .share = json_get_num(values, "share", 0)}};
    return engine_start(&s->engine, &s->shelf, &o, err);
}

static int start_writer(struct serving *s, const json_t *values, struct err *err)
{
    int rc = prompter_open(&s->prompter, &s->base.session,
                           json_get_str(values, "template", NULL), err);
    const struct writer_options o = {
        .most_wait_s = json_get_num(values, "limit_ms", 0) / 1e3,
        .most_waiting = (size_t)json_get_int(values, "queue", 0),
        .share = json_get_num(values, "share", 0),
        .stops = s->prompter.stops,
        .n_stops = s->prompter.n_stops};
    if (!rc)
        rc = writer_start(&s->writer, &s->shelf, &o, err);
    if (rc)
        return rc;
    char bytes[32];
    struct writer_counts c;
    writer_count(s->writer, &c);
    text_print(stdout, "room for %d texts of %d tokens at a time: %s\n",
               s->base.session.decode.sequences, writer_room(&s->base),
               str_bytes(bytes, sizeof bytes, (double)c.cache_bytes));
    return 0;
}

static int serve(struct serving *s, const json_t *values, struct err *err)
{
    struct buf key = BUF_INIT;
    int rc = api_key_read(values, &key, err);
    if (!rc)
        rc = s->base.writes ? start_writer(s, values, err) : start_engine(s, values, err);
    if (!rc && !(rc = listen_on(s, values, buf_str(&key), err)))
        serve_until_signal(s, values);
    if (s->engine)
        engine_stop(s->engine);
    if (s->writer)
        writer_stop(s->writer);
    if (s->server)
        server_stop(s->server);
    if (s->engine)
        engine_free(s->engine);
    if (s->writer)
        writer_free(s->writer);
    prompter_release(&s->prompter);
    free(s->routes);
    buf_release(&key);
    return rc;
}

/* The base is the first word; a file of tasks knows it, too. *adapters: which word comes
 * behind it. */
static int find_base(const json_t *values, const char *const *words, size_t count,
                     struct served_tasks *tasks, const char **model, size_t *adapters,
                     struct err *err)
{
    const char *file = json_get_str(values, "tasks", NULL);
    *model = count && (!file || !strchr(words[0], '=')) ? words[0] : NULL;
    *adapters = *model ? 1 : 0;
    if (file) {
        const int rc =
            served_tasks_find(file, json_get_str(values, "store", NULL),
                              json_object_get(values, "sweep"), *model, tasks, err);
        *model = tasks->model;
        return rc;
    }
    return *model ? 0
                  : err_set(err, ERR_USAGE, "serve: which base? (usage: peftlab %s)",
                            cmd_serve.usage);
}

/* The last part of its path, also where the shell put a slash behind it; the caller's. */
static char *name_of(const char *model)
{
    size_t end = strlen(model);
    while (end > 1 && model[end - 1] == '/')
        end--;
    char *path = xstrndup(model, end), *slash = strrchr(path, '/');
    char *name = xstrdup(slash && slash[1] ? slash + 1 : path);
    free(path);
    return name;
}

static int open_and_serve(const json_t *values, const char *model,
                          const struct served_tasks *tasks, const char *const *words,
                          size_t count, struct err *err)
{
    char *name = name_of(model);
    struct serving s = {.begin_ms = clock_wall_ms(), .name = name};
    pthread_mutex_init(&s.lock, NULL);
    shelf_init(&s.shelf, &s.base, (size_t)json_get_int(values, "resident_mb", 0) << 20);
    int rc = add_adapters(&s, values, tasks, words, count, err);
    if (!rc)
        rc = open_base(&s, values, model, err);
    if (!rc)
        rc = check_kind(&s, values, err);
    if (!rc)
        rc = serve(&s, values, err);
    shelf_release(&s.shelf);
    serve_base_close(&s.base);
    free(name);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    const char *words[VERB_WORDS_MAX], *model;
    size_t count = 0, first = 0;
    json_t *values = NULL;
    bool done;
    struct served_tasks tasks = {0};
    int rc = command_parse(&cmd_serve, argc, argv, &values, words, VERB_WORDS_MAX, &count,
                           &done, err);
    if (!rc && !done)
        rc = find_base(values, words, count, &tasks, &model, &first, err);
    if (!rc && !done)
        rc = open_and_serve(values, model, &tasks, words + first, count - first, err);
    served_tasks_release(&tasks);
    json_decref(values);
    return rc;
}

const struct command cmd_serve = {
    .name = "serve",
    .usage = "serve MODEL [NAME=FOLDER ...] [--adapters DIR] | serve --tasks FILE",
    .help = "Answer requests to many adapters on one base, over HTTP.",
    .group = "Serving",
    .options = &options,
    .run = run,
};
