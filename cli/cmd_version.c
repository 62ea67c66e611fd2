/* cli/cmd_version.c - `peftlab version`: what this program was built from, and of what. It
 * looks at no device and measures nothing; what can be used here is doctor's to say. */
#include "cli/command.h"
#include "cli/libraries.h"
#include "cli/store/store_view.h"
#include "kernels/backend.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/isa.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>

/* By make, for this file alone; a source without git has neither. */
#ifndef SOURCE_COMMIT
#define SOURCE_COMMIT ""
#define SOURCE_DATE   ""
#endif

static const struct opt_def rows[] = {JSON_OPTION};
static const struct opt_table options = {"version", rows, ARRAY_LEN(rows)};

static const char *compiler(void)
{
#ifdef __clang__
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

static const char *processor(void)
{
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "unknown";
#endif
}

static json_t *text_or_null(const char *text, size_t n)
{
    return n ? json_stringn(text, n) : json_null();
}

/* Instruction sets that the kernels were compiled for, widest first. */
static json_t *kernels(void)
{
    json_t *all = json_array();
    for (int isa = 0; isa < ISA_COUNT; isa++)
        json_array_append_new(all, json_string(isa_name((enum isa)isa)));
    return all;
}

static json_t *backends(void)
{
    json_t *all = json_object();
    for (size_t i = 0; backend_name(i); i++)
        json_object_set_new(all, backend_name(i), json_boolean(backend_is_built(i)));
    return all;
}

static json_t *facts(void)
{
    const size_t n = strcspn(SOURCE_COMMIT, "-");
    return json_pack("{s:s, s:s, s:o, s:b, s:o, s:s, s:s, s:s, s:o, s:o, s:o}", "version",
                     PEFTLAB_VERSION, "released", PEFTLAB_RELEASED, "commit",
                     text_or_null(SOURCE_COMMIT, n), "changed", SOURCE_COMMIT[n] == '-',
                     "commit_date", text_or_null(SOURCE_DATE, strlen(SOURCE_DATE)),
                     "compiler", compiler(), "processor", processor(), "libc",
                     gnu_get_libc_version(), "kernels", kernels(), "backends", backends(),
                     "libraries", libraries_linked());
}

/* "avx512, avx2, generic", or the keys that are true, or "sqlite 3.40.1, ..." */
static char *in_a_line(const json_t *all)
{
    struct buf b = BUF_INIT;
    size_t k;
    json_t *v;
    const char *key;
    json_array_foreach((json_t *)all, k, v)
        buf_printf(&b, "%s%s", k ? ", " : "", json_string_value(v));
    json_object_foreach((json_t *)all, key, v)
    {
        if (json_is_string(v))
            buf_printf(&b, "%s%s %s", b.len ? ", " : "", key, json_string_value(v));
        else if (json_is_true(v))
            buf_printf(&b, "%s%s", b.len ? ", " : "", key);
    }
    return buf_detach(&b, NULL);
}

static void tell(const json_t *f)
{
    const char *commit = json_get_str(f, "commit", NULL);
    text_print(stdout, "peftlab %s (%s)\n", PEFTLAB_VERSION, PEFTLAB_RELEASED);
    if (commit)
        text_print(stdout, "commit     %s of %s%s\n", commit,
                   json_get_str(f, "commit_date", "?"),
                   json_get_bool(f, "changed", 0) ? ", with changes" : "");
    text_print(stdout, "compiler   %s, for %s\n", compiler(), processor());
    static const char *const lists[] = {"kernels", "backends", "libraries"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        char *line = in_a_line(json_object_get(f, lists[i]));
        text_print(stdout, "%-10s %s\n", lists[i], line);
        free(line);
    }
}

static int run(int argc, char **argv, struct err *err)
{
    json_t *values;
    size_t count = 0;
    bool done = false;
    int rc =
        command_parse(&cmd_version, argc, argv, &values, NULL, 0, &count, &done, err);
    if (!rc && !done) {
        json_t *f = facts();
        if (json_get_bool(values, "json", 0)) {
            view_print_json(f);
        } else {
            tell(f);
            json_decref(f);
        }
    }
    json_decref(values);
    return rc;
}

const struct command cmd_version = {
    .name = "version",
    .usage = "version [--json]",
    .help =
        "Tell what this program was built from: commit, compiler, kernels, libraries.",
    .group = "This machine",
    .options = &options,
    .run = run,
};
