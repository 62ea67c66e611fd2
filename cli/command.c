/* cli/command.c - the table of commands and what all of them share. */
#include "cli/command.h"
#include <stdio.h>
#include <string.h>

static const struct command *const rows[] = {
#define COMMAND(name) &cmd_##name,
#include "cli/commands.def"
#undef COMMAND
};

const size_t command_count = sizeof rows / sizeof *rows;

const struct command *command_at(size_t i)
{
    return rows[i];
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (!strcmp(rows[i]->name, name))
            return rows[i];
    return NULL;
}

int command_parse(const struct command *c, int argc, char **argv, json_t **values,
                  const char **positional, size_t max, size_t *count, bool *done,
                  struct err *err)
{
    *values = NULL;
    bool help = false;
    int rc = opt_parse_args(c->options, argc, argv, values, positional, max, count, &help,
                            err);
    if (rc < 0)
        return rc;
    *done = help;
    if (help) {
        printf("usage: peftlab %s\n\n%s\n", c->usage, c->help);
        opt_print_help(c->options, true, stdout);
    }
    return 0;
}
