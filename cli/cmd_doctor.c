/* cli/cmd_doctor.c - `peftlab doctor`: what of peftlab can be used on this machine, and
 * why the rest cannot. Runs nothing and changes nothing. */
#include "cli/command.h"
#include "cli/libraries.h"
#include "cli/store/store_view.h"
#include "kernels/backend.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/cache/cache.h"
#include "tracker/store/upkeep.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct opt_def rows[] = {
    {.key = "backend", .type = OPT_STRING, .metavar = "NAME",
     .help = "fail unless this backend is usable (cpu, ref, cuda, cuda-emul)"},
    {.key = "store", .type = OPT_PATH, .metavar = "FILE",
     .help = "examine this store: is it whole, and what is in it"},
    JSON_OPTION,
};
/* clang-format on */
static const struct opt_table options = {"doctor", rows, ARRAY_LEN(rows)};

/* {name: {usable, variant, reason}} */
static json_t *backends(void)
{
    json_t *all = json_object();
    for (size_t i = 0; backend_name(i); i++) {
        struct err why = ERR_INIT;
        const struct backend *b = backend_get(backend_name(i), &why);
        json_t *one = json_pack("{s:b}", "usable", b != NULL);
        if (b)
            json_object_set_new(one, "variant", json_string(b->variant));
        else
            json_object_set_new(one, "reason", json_string(why.msg));
        json_object_set_new(all, backend_name(i), one);
    }
    return all;
}

/* The first line that a program says of itself; NULL where it cannot be run. */
static char *program_version(char *const argv[])
{
    struct buf out;
    struct err ignored = ERR_INIT;
    int status = 0;
    char *line = NULL;
    buf_init(&out, 4096);
    if (proc_run(argv, NULL, 0, &out, NULL, &status, &ignored) == 0 && status == 0)
        line = str_clean(buf_str(&out), strcspn(buf_str(&out), "\n"));
    buf_release(&out);
    return line;
}

static json_t *programs(void)
{
    char name[] = "gnuplot", ask[] = "--version", *argv[] = {name, ask, NULL};
    char *version = program_version(argv);
    json_t *all = json_pack("{s:s}", "gnuplot",
                            version ? version
                                    : "not found - it draws the figures of reports "
                                      "(apt-get install gnuplot-nox)");
    free(version);
    return all;
}

static json_t *examine(void)
{
    json_t *all = json_object();
    json_object_set_new(all, "backends", backends());
    json_object_set_new(all, "machine", proc_environment());
    json_object_set_new(all, "libraries", libraries_linked());
    json_object_set_new(all, "programs", programs());
    json_object_set_new(all, "cache", cache_facts());
    return all;
}

/* What is in the store that was named; fails where it is damaged. */
static int examine_store(const char *path, json_t *all, struct err *err)
{
    struct store *s = NULL;
    json_t *found = NULL;
    int rc = path ? store_open(path, STORE_READ_ONLY, &s, err) : 0;
    if (s)
        rc = store_examine(s, &found, err);
    if (found)
        json_object_set_new(all, "store", found);
    store_close(s);
    return rc;
}

static void print_section(const json_t *all, const char *name)
{
    const json_t *section = json_object_get(all, name);
    const char *key;
    json_t *value;
    text_print(stdout, "\n%s\n", name);
    json_object_foreach((json_t *)section, key, value) view_field(section, key);
}

/* One line each: "  cpu        usable   avx512". A reason repeats the backend's name. */
static void print_backends(const json_t *all)
{
    const char *name, *colon;
    json_t *b;
    text_print(stdout, "backends\n");
    json_object_foreach(json_object_get(all, "backends"), name, b)
    {
        const char *reason = json_get_str(b, "reason", "");
        colon = strstr(reason, "here: ");
        if (json_get_bool(b, "usable", 0))
            text_print(stdout, "  %-10s usable   %s\n", name,
                       json_get_str(b, "variant", ""));
        else
            text_print(stdout, "  %-10s no       %s\n", name, colon ? colon + 6 : reason);
    }
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    size_t count = 0;
    bool done = false;
    int rc = command_parse(&cmd_doctor, argc, argv, &values, NULL, 0, &count, &done, err);
    if (rc < 0 || done) {
        json_decref(values);
        return rc;
    }
    json_t *all = examine();
    const char *wanted = json_get_str(values, "backend", NULL);
    rc = examine_store(json_get_str(values, "store", NULL), all, err);
    if (json_get_bool(values, "json", 0)) {
        view_print_json(json_incref(all));
    } else {
        print_backends(all);
        print_section(all, "machine");
        print_section(all, "libraries");
        print_section(all, "programs");
        print_section(all, "cache");
        if (json_object_get(all, "store"))
            print_section(all, "store");
    }
    if (rc == 0 && wanted && !backend_get(wanted, err))
        rc = err_code(err);
    json_decref(all);
    json_decref(values);
    return rc;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .usage = "doctor [--backend NAME] [--store FILE] [--json]",
    .help = "Tell which backends, libraries and programs can be used here, and why not.",
    .group = "This machine",
    .options = &options,
    .run = run,
};
