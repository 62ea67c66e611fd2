/* cli/docs/markdown.c - blocks of the Markdown files. */
#include "cli/command.h"
#include "cli/docs/docs.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/metric/metric.h"
#include "runner/nn/peft/method.h"
#include "runner/options.h"
#include "runner/task/task.h"
#include "sweep/file/sweep_file.h"
#include <stdlib.h>
#include <string.h>

#define BEGIN    "<!-- made by peftlab docs: "
#define BEGUN    " -->\n"
#define END      "<!-- end -->"
#define FILE_MAX ((size_t)4 << 20)

/* --- methods and trial keys --- */

static const struct method *const all_methods[] = {
#define METHOD(id) &method_##id,
#define PRESET(name, method, options)
#include "runner/nn/peft/methods.def"
#undef METHOD
#undef PRESET
};
#define METHOD_COUNT ARRAY_LEN(all_methods)

static size_t count_readers(const struct opt_def *def)
{
    size_t n = 0;
    for (size_t i = 0; i < METHOD_COUNT; i++)
        n += trial_reads(def, all_methods[i]);
    return n;
}

/* "all", or the methods that read the key; of most of them "all but". */
static void put_readers(struct buf *out, const struct opt_def *def)
{
    const size_t readers = count_readers(def);
    const bool most = readers * 2 > METHOD_COUNT;
    size_t shown = 0;
    if (most)
        buf_str_add(out, readers == METHOD_COUNT ? "all" : "all but ");
    for (size_t i = 0; i < METHOD_COUNT; i++)
        if (trial_reads(def, all_methods[i]) != most)
            buf_printf(out, "%s%s", shown++ ? ", " : "", all_methods[i]->name);
}

static int trial_keys(const char *argument, struct buf *out, struct err *err)
{
    (void)argument, (void)err;
    const char *group;
    for (size_t row = 0; opt_next_group(&trial_options, &row, &group);) {
        const struct opt_markdown how = {
            .group = group, .extra = "read by", .put_extra = put_readers};
        buf_printf(out, "### %s\n\n", group);
        opt_print_markdown(&trial_options, &how, out);
        buf_char(out, '\n');
    }
    return 0;
}

/* Keys that this method reads and most others do not. */
static void put_own_keys(struct buf *out, const struct method *method)
{
    size_t shown = 0;
    for (size_t i = 0; i < trial_options.count; i++) {
        const struct opt_def *def = &trial_options.rows[i];
        if (trial_reads(def, method) && count_readers(def) * 2 <= METHOD_COUNT)
            buf_printf(out, "%s`%s`", shown++ ? ", " : "", def->key);
    }
}

#define FACTS_MAX 64

static void put_method(struct buf *out, const struct method_facts *f, bool keys)
{
    const struct preset *preset = preset_find(f->name);
    const struct method *m = preset ? preset->method : method_find(f->name, NULL);
    buf_printf(out, "| `%s` | ", f->name);
    if (preset)
        buf_printf(out, "`%s` with `%s`", m->name, preset->options);
    else
        buf_str_add(out, m->help);
    buf_printf(out, " | %s | %s |", f->quantisable ? "yes" : "no",
               f->mergeable ? "yes" : "no");
    if (keys && preset)
        buf_str_add(out, " | |");
    else if (keys) {
        buf_printf(out, " %g | ", m->learning_rate);
        put_own_keys(out, m);
        buf_str_add(out, " |");
    }
    buf_char(out, '\n');
}

/* With "keys": with the learning rate and the keys of each method, too. */
static int methods(const char *argument, struct buf *out, struct err *err)
{
    (void)err;
    const bool keys = !strcmp(argument, "keys");
    struct method_facts facts[FACTS_MAX];
    const size_t count = method_facts_all(facts, FACTS_MAX);
    buf_printf(out, "| method | what | quantised base | merge |%s\n|---|---|---|---|%s\n",
               keys ? " learning rate | keys of its own |" : "", keys ? "---|---|" : "");
    for (size_t i = 0; i < count; i++)
        put_method(out, &facts[i], keys);
    return 0;
}

static int metrics(const char *argument, struct buf *out, struct err *err)
{
    (void)argument, (void)err;
    buf_str_add(out, "| metric | better | of | what |\n|---|---|---|---|\n");
    for (size_t i = 0; i < metric_count; i++) {
        const struct metric_def *m = &metric_defs[i];
        size_t shown = 0;
        buf_printf(out, "| `%s` | %s | ", m->name,
                   strcmp(m->goal, "maximize") ? "lower" : "higher");
        const struct task *task;
        for (size_t t = 0; (task = task_at(t)); t++)
            for (int k = 0; k < LABEL_KINDS; k++)
                if (goal_has_metric(
                        &(struct goal){.task = task, .labels = (enum label_kind)k}, i))
                    buf_printf(out, "%s%s", shown++ ? ", " : "",
                               task->kind->shown((enum label_kind)k));
        buf_printf(out, " | %s |\n", m->help);
    }
    return 0;
}

/* --- sweep files, commands, exit codes --- */

static int sweep_keys(const char *argument, struct buf *out, struct err *err)
{
    const struct opt_table *t;
    for (size_t i = 0; (t = sweep_file_table(i)); i++)
        if (!strcmp(t->name, argument)) {
            opt_print_markdown(t, &(struct opt_markdown){0}, out);
            return 0;
        }
    return err_set(err, ERR_PARSE, "a sweep file has no section '%s'", argument);
}

static void put_command(struct buf *out, const char *title, const struct command *c)
{
    buf_printf(out, "%s\n\n%s\n\n```\npeftlab %s\n```\n\n", title, c->help, c->usage);
    if (c->options && c->options->count) {
        opt_print_markdown(c->options, &(struct opt_markdown){.as_flags = true}, out);
        buf_char(out, '\n');
    }
}

static int commands(const char *argument, struct buf *out, struct err *err)
{
    (void)argument, (void)err;
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = command_at(i), *verb;
        char *title = xasprintf("## %s", c->name);
        put_command(out, title, c);
        free(title);
        for (size_t k = 0; c->verb && (verb = c->verb(k)); k++) {
            title = xasprintf("### %s %s", c->name, verb->name);
            put_command(out, title, verb);
            free(title);
        }
    }
    return 0;
}

static int exit_codes(const char *argument, struct buf *out, struct err *err)
{
    (void)argument, (void)err;
    const struct err_kind *kind;
    buf_str_add(out, "| code | meaning | what a script should do |\n|---|---|---|\n");
    for (size_t i = 0; (kind = err_kind_at(i)); i++)
        buf_printf(out, "| %d | %s | %s%s|\n", kind->status, kind->meaning, kind->advice,
                   *kind->advice ? " " : "");
    return 0;
}

static int environment(const char *argument, struct buf *out, struct err *err)
{
    (void)argument, (void)err;
    buf_str_add(out, "| variable | meaning |\n|---|---|\n");
    for (const struct docs_variable *v = docs_variables; v->name; v++)
        buf_printf(out, "| `%s` | %s |\n", v->name, v->meaning);
    return 0;
}

/* --- essays --- */

/* A line of a comment as Markdown; what stands in `...` stays. */
static void put_prose(struct buf *out, const char *line, size_t n)
{
    bool code = false;
    for (size_t i = 0; i < n; i++) {
        code ^= line[i] == '`';
        if (!code && line[i] == '<')
            buf_str_add(out, "&lt;");
        else {
            if (!code && line[i] == '*')
                buf_char(out, '\\');
            buf_char(out, line[i]);
        }
    }
    buf_char(out, '\n');
}

/* The comment at the head of a source file, "path - what it is" first. */
static int essay(const char *argument, struct buf *out, struct err *err)
{
    struct buf text = BUF_INIT;
    int rc = fs_read(argument, FILE_MAX, &text, err);
    const char *at = buf_str(&text), *end = strstr(at, "*/");
    const char *dash = strstr(at, " - ");
    if (rc == 0 && (strncmp(at, "/* ", 3) || !end || !dash || dash > end))
        rc = err_set(err, ERR_PARSE, "'%s' has no head of the form /* path - ...",
                     argument);
    if (rc == 0) {
        buf_printf(out, "`%s`: ", argument);
        for (at = dash + 3; at < end;) {
            size_t n = strcspn(at, "\n");
            if (at + n > end)
                n = (size_t)(end - at);
            while (n && at[n - 1] == ' ')
                n--;
            put_prose(out, at, n);
            at += n + strspn(at + n, " ") + 1;
            at += strspn(at, " ");
            at += at < end && *at == '*' ? 1 : 0;
            at += at < end && *at == ' ' ? 1 : 0;
        }
    }
    buf_release(&text);
    return rc;
}

/* --- blocks --- */

static const struct {
    const char *name;
    int (*write)(const char *argument, struct buf *out, struct err *err);
} kinds[] = {
    {"trial-keys", trial_keys}, {"methods", methods},         {"metrics", metrics},
    {"sweep-keys", sweep_keys}, {"commands", commands},       {"exit-codes", exit_codes},
    {"essay", essay},           {"environment", environment},
};

int docs_block(const char *what, struct buf *out, struct err *err)
{
    const size_t n = strcspn(what, " ");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strlen(kinds[i].name) == n && !strncmp(kinds[i].name, what, n))
            return kinds[i].write(what + n + strspn(what + n, " "), out, err);
    return err_set(err, ERR_PARSE, "there is no kind of block '%s'", what);
}

int docs_fill(const char *path, const char *text, struct buf *out, struct err *err)
{
    for (const char *begin; (begin = strstr(text, BEGIN));) {
        const char *what = begin + strlen(BEGIN), *begun = strstr(what, BEGUN),
                   *end = begun ? strstr(begun, END) : NULL;
        if (!end)
            return err_set(err, ERR_PARSE, "'%s': a block without '" END "'", path);
        char *name = xstrndup(what, (size_t)(begun - what));
        buf_add(out, text, (size_t)(begun - text) + strlen(BEGUN));
        buf_char(out, '\n');
        int rc = docs_block(name, out, err);
        free(name);
        if (rc < 0)
            return err_context(err, "'%s': ", path);
        if (out->len > 1 && out->data[out->len - 2] != '\n')
            buf_char(out, '\n');
        text = end;
    }
    buf_str_add(out, text);
    return 0;
}
