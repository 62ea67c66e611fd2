/* cli/command.c - the table of commands and what all of them share. */
#include "cli/command.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <stdio.h>
#include <string.h>

#define VERB_NAMES_MAX 32

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

void command_print_json(json_t *value)
{
    struct buf text = BUF_INIT;
    json_write(&text, value, 1);
    puts(buf_str(&text)); /* control characters are escaped in it */
    buf_release(&text);
    json_decref(value);
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
        text_print(stdout, "usage: peftlab %s\n\n%s\n", c->usage, c->help);
        opt_print_help(c->options, true, stdout);
    }
    return 0;
}

static int run_one_verb(const struct command_verb *v, int argc, char **argv,
                        struct err *err)
{
    const char *words[VERB_WORDS_MAX];
    size_t count = 0;
    bool done = false;
    json_t *values = NULL;
    int rc = command_parse(&v->command, argc, argv, &values, words, v->max_words, &count,
                           &done, err);
    if (rc == 0 && !done)
        rc = v->run(values, words, count, err);
    json_decref(values);
    return rc;
}

static int no_such_verb(const char *name, const struct command_verb *const *verbs,
                        size_t count, const char *given, struct err *err)
{
    const char *names[VERB_NAMES_MAX];
    struct buf list = BUF_INIT;
    for (size_t i = 0; i < count && i < VERB_NAMES_MAX; i++) {
        names[i] = verbs[i]->command.name;
        buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = given ? str_nearest(given, names, count) : NULL;
    err_set(err, ERR_USAGE, "%s needs one of %s%s%s%s; see 'peftlab %s --help'", name,
            buf_str(&list), near ? " (did you mean '" : "", near ? near : "",
            near ? "'?)" : "", name);
    buf_release(&list);
    return -(int)ERR_USAGE;
}

int command_run_verb(const char *name, const struct command_verb *const *verbs,
                     size_t count, int argc, char **argv, struct err *err)
{
    const bool help = argc > 0 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"));
    for (size_t i = 0; i < count; i++) {
        const struct command *c = &verbs[i]->command;
        if (argc > 0 && !strcmp(argv[0], c->name))
            return run_one_verb(verbs[i], argc - 1, argv + 1, err);
        if (help)
            text_print(stdout, "peftlab %s\n    %s\n", c->usage, c->help);
    }
    return help ? 0 : no_such_verb(name, verbs, count, argc > 0 ? argv[0] : NULL, err);
}
