/* cli/serve/bench/cmd_bench.c - `peftlab bench`: how many requests for many adapters can be
 * answered, and how fast. */
#include "cli/command.h"
#include "cli/serve/bench/bench.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text_table.h"
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
static const struct opt_def rows[] = {
    {.key = "out", .type = OPT_PATH, .group = "output", .metavar = "DIR",
     .help = "folder for bench.json and requests.csv, a line for each request"},
    {.key = "store", .type = OPT_PATH, .group = "output", .metavar = "FILE",
     .help = "store that keeps what was measured (default: PEFTLAB_STORE, else peftlab.db)"},
    {.key = "no_store", .type = OPT_BOOL, .preset = "false", .group = "output",
     .help = "leave it out of the store"},
    JSON_OPTION,
};
/* clang-format on */
static const struct opt_table options = {"bench", rows, ARRAY_LEN(rows)};

static int open_target(struct bench *b, struct err *err)
{
    struct bench_case *cases;
    int rc = b->file.target ? bench_target_server(&b->target, &b->file, &b->texts, err)
                            : bench_target_engine(&b->target, &b->file, &b->texts, err);
    if (!rc && b->file.trace)
        rc = bench_trace_read(b, err);
    if (!rc)
        rc = bench_file_cases(&b->file, b->target.adapters, &cases, &b->state_count, err);
    if (rc)
        return rc;
    b->states = xcalloc(b->state_count, sizeof *b->states);
    for (size_t i = 0; i < b->state_count; i++)
        b->states[i].c = cases[i];
    free(cases);
    return 0;
}

static int bench(struct bench *b, const json_t *values, struct err *err)
{
    const char *out = json_get_str(values, "out", NULL);
    char *store = json_get_bool(values, "no_store", 0)
                      ? NULL
                      : store_default_path(json_get_str(values, "store", NULL));
    json_t *document = NULL;
    b->quiet = json_get_bool(values, "json", 0);
    b->file.store = json_get_str(values, "store", NULL);
    int rc = open_target(b, err);
    if (!rc)
        rc = bench_out_open(b, out, store, err);
    if (!rc)
        rc = bench_run_all(b, err);
    if (!rc) {
        bench_reckon(b);
        rc = bench_out_close(b, out, &document, err);
    }
    if (!rc && b->quiet)
        command_print_json(json_incref(document));
    else if (!rc && store)
        text_print(stdout, "\nbench %lld in %s\n", (long long)b->id, store);
    json_decref(document);
    free(store);
    return rc;
}

static void release(struct bench *b)
{
    fs_writer_abandon(b->requests);
    if (b->target.end)
        b->target.end(&b->target);
    for (size_t i = 0; i < b->state_count; i++)
        free(b->states[i].batches);
    free(b->states);
    free(b->results);
    free(b->trace);
    store_close(b->store);
    bench_texts_release(&b->texts);
    bench_file_release(&b->file);
}

static int run(int argc, char **argv, struct err *err)
{
    const char *words[VERB_WORDS_MAX];
    size_t count = 0;
    json_t *values = NULL;
    bool done;
    struct bench b = {0};
    int rc = command_parse(&cmd_bench, argc, argv, &values, words, VERB_WORDS_MAX, &count,
                           &done, err);
    if (!rc && !done && !count)
        rc = err_set(err, ERR_USAGE, "bench: no file (usage: peftlab %s)",
                     cmd_bench.usage);
    if (!rc && !done) {
        rc = bench_file_read(&b.file, words[0], words + 1, count - 1, err);
        if (!rc)
            rc = bench(&b, values, err);
        release(&b);
    }
    json_decref(values);
    return rc;
}

const struct command cmd_bench = {
    .name = "bench",
    .usage = "bench BENCH.yaml [key=value ...]",
    .help = "Measure how many requests for many adapters are answered in time.",
    .group = "Serving",
    .options = &options,
    .run = run,
};
