/* cli/command.h - the commands of the program: one row in commands.def and one file
 * cmd_NAME.c each, in a folder by subject (trial, sweep, store, decide, docs).
 *
 * A command gets its arguments without the program's and its own name, prints results on
 * stdout and talk on stderr, fills `err` and returns its code on failure (main prints it
 * and exits with err_exit_status), or returns 0, or a positive exit status of its own (1:
 * ran, but some trial failed). */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "lib/config/opt.h"
#include "lib/err.h"

struct command {
    const char *name, *usage, *help, *group;
    const struct opt_table *options; /* for help and documentation; NULL: its verbs have
                                        them */
    int (*run)(int argc, char **argv, struct err *err);
    /* Its sub-commands, each with options of its own; NULL past the last. NULL: it has
     * none. */
    const struct command *(*verb)(size_t i);
};

/* Rows that most option tables have. */
/* clang-format off */
#define STORE_OPTION \
    {.key = "store", .type = OPT_PATH, .group = "store", .metavar = "FILE", \
     .help = "the store (default: PEFTLAB_STORE, then ./peftlab.db)"}
#define JSON_OPTION \
    {.key = "json", .type = OPT_BOOL, .preset = "false", .group = "output", \
     .help = "print JSON"}
/* clang-format on */

#define COMMAND(name) extern const struct command cmd_##name;
#include "cli/commands.def"
#undef COMMAND
const struct command *command_at(size_t i);
extern const size_t command_count;

/* Parses flags by the command's table; prints help and returns 1 in *done when asked for
 * it. */
int command_parse(const struct command *c, int argc, char **argv, json_t **values,
                  const char **positional, size_t max, size_t *count, bool *done,
                  struct err *err);
const struct command *command_find(const char *name);
/* The results of --json, indented; takes over the value. */
void command_print_json(json_t *value);

/* A sub-command: how it reads its words, and what it does. */
#define VERB_WORDS_MAX 256
struct command_verb {
    struct command command;
    size_t max_words; /* VERB_WORDS_MAX at most */
    int (*run)(const json_t *values, const char *const *words, size_t count,
               struct err *err);
};
/* Runs the verb that argv[0] names, or prints all of them when asked for help. */
int command_run_verb(const char *name, const struct command_verb *const *verbs,
                     size_t count, int argc, char **argv, struct err *err);

#endif
