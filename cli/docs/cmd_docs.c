/* cli/docs/cmd_docs.c - `peftlab docs`: man pages, completions, and the blocks of Markdown
 * files that are made of tables. */
#include "cli/command.h"
#include "cli/docs/docs.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/text_table.h"
#include <stdio.h>
#include <string.h>

const struct docs_variable docs_variables[] = {
#define VARIABLE(name, meaning) {name, meaning},
#include "cli/docs/environment.def"
#undef VARIABLE
    {NULL, NULL},
};

static const struct opt_table no_options = {"docs", NULL, 0};

void docs_choices(struct buf *out, const struct opt_def *def)
{
    if (def->type == OPT_BOOL)
        buf_str_add(out, "true false");
    for (const char *p = def->choices; p && *p;) {
        const size_t n = strcspn(p, "|");
        buf_printf(out, "%s%.*s", out->len ? " " : "", (int)strcspn(p, "=|"), p);
        p += n + (p[n] == '|');
    }
}

/* The file with its blocks renewed: written back, or only compared. */
static int renew(const char *path, bool write, bool *differs, struct err *err)
{
    struct buf old = BUF_INIT, new = BUF_INIT;
    int rc = fs_read(path, (size_t)4 << 20, &old, err);
    if (rc == 0)
        rc = docs_fill(path, buf_str(&old), &new, err);
    if (rc == 0 && strcmp(buf_str(&old), buf_str(&new)) != 0) {
        text_print(stdout, "%s %s\n",
                   write ? "renewed" : "differs from the tables:", path);
        *differs = true;
        if (write)
            rc = fs_write_atomic(path, buf_str(&new), new.len, err);
    }
    buf_release(&old);
    buf_release(&new);
    return rc;
}

static int renew_all(const char *const *words, size_t count, bool write, struct err *err)
{
    bool differs = false;
    int rc = count ? 0 : err_set(err, ERR_USAGE, "docs: no file");
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = renew(words[i], write, &differs, err);
    if (rc == 0 && differs && !write)
        return err_set(err, ERR_FAILED,
                       "files differ from the tables; 'make docs' renews them");
    return rc;
}

static int fill(const json_t *values, const char *const *words, size_t count,
                struct err *err)
{
    (void)values;
    return renew_all(words, count, true, err);
}

static int check(const json_t *values, const char *const *words, size_t count,
                 struct err *err)
{
    (void)values;
    return renew_all(words, count, false, err);
}

static int man(const json_t *values, const char *const *words, size_t count,
               struct err *err)
{
    (void)values;
    if (count != 1)
        return err_set(err, ERR_USAGE, "docs man: into which folder?");
    int rc = fs_mkdirs(words[0], err);
    return rc < 0 ? rc : docs_man(words[0], err);
}

static int print(void (*write)(struct buf *))
{
    struct buf out = BUF_INIT;
    write(&out);
    fputs(buf_str(&out), stdout);
    buf_release(&out);
    return 0;
}

static int bash(const json_t *values, const char *const *words, size_t count,
                struct err *err)
{
    (void)values, (void)words, (void)count, (void)err;
    return print(docs_bash);
}

static int zsh(const json_t *values, const char *const *words, size_t count,
               struct err *err)
{
    (void)values, (void)words, (void)count, (void)err;
    return print(docs_zsh);
}

/* clang-format off */
#define VERB(name_, usage_, help_, words) \
    static const struct command_verb name_##_verb = { \
        .command = {.name = #name_, .usage = usage_, .help = help_, .options = &no_options}, \
        .max_words = words, .run = name_}
VERB(man, "docs man DIR", "Writes the man pages into a folder.", 1);
VERB(bash, "docs bash", "Prints completion for bash.", 0);
VERB(zsh, "docs zsh", "Prints completion for zsh.", 0);
VERB(check, "docs check FILE...", "Fails where blocks of Markdown files differ from the tables.", VERB_WORDS_MAX);
VERB(fill, "docs fill FILE...", "Renews these blocks.", VERB_WORDS_MAX);
/* clang-format on */

static const struct command_verb *const verbs[] = {&man_verb, &bash_verb, &zsh_verb,
                                                   &check_verb, &fill_verb};

static const struct command *verb_at(size_t i)
{
    return i < ARRAY_LEN(verbs) ? &verbs[i]->command : NULL;
}

static int run(int argc, char **argv, struct err *err)
{
    return command_run_verb("docs", verbs, ARRAY_LEN(verbs), argc, argv, err);
}

const struct command cmd_docs = {
    .name = "docs",
    .usage = "docs man|bash|zsh|check|fill ...",
    .help = "Man pages, completion for shells, tables of the documentation.",
    .group = "This machine",
    .run = run,
    .verb = verb_at,
};
