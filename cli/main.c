/* cli/main.c - finds the command and turns its outcome into a message and an exit
 * status. */
#include "cli/command.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_overview(FILE *f)
{
    text_print(f, "peftlab - plan, train, track, compare and report parameter-efficient "
                  "fine-tuning\n\n"
                  "usage: peftlab COMMAND [ARGUMENTS]\n");
    const char *group = "";
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(group, command_at(i)->group) != 0)
            text_print(f, "\n%s\n", group = command_at(i)->group);
        text_print(f, "  %-14s %s\n", command_at(i)->name, command_at(i)->help);
    }
    text_print(f, "\n`peftlab COMMAND --help` tells the rest.\n");
}

static int unknown_command(const char *name, struct err *err)
{
    const char **names = xcalloc(command_count, sizeof *names);
    for (size_t i = 0; i < command_count; i++)
        names[i] = command_at(i)->name;
    const char *near = str_nearest(name, names, command_count);
    free(names);
    return err_set(err, ERR_USAGE, "unknown command '%s'%s%s%s", name,
                   near ? " (did you mean '" : "", near ? near : "",
                   near ? "'?)" : "; see 'peftlab help'");
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    int rc;
    if (argc < 2) {
        print_overview(stderr);
        return err_exit_status(ERR_USAGE);
    }
    if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") ||
        !strcmp(argv[1], "-h")) {
        print_overview(stdout);
        rc = 0;
    } else if (!strcmp(argv[1], "--version")) {
        text_print(stdout, "peftlab %s\n", PEFTLAB_VERSION);
        rc = 0;
    } else {
        const struct command *c = command_find(argv[1]);
        rc = c ? c->run(argc - 2, argv + 2, &err) : unknown_command(argv[1], &err);
    }
    if (fflush(stdout) != 0 && rc >= 0)
        rc =
            err_set(&err, ERR_IO, "cannot write to the output: disk full or closed pipe");
    if (rc >= 0)
        return rc;
    text_print(stderr, "peftlab: %s\n",
               err.msg[0] ? err.msg : "failed without a message; this is a bug");
    return err_exit_status(err.code ? err.code : ERR_BUG);
}
