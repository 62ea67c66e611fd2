/* cli/docs/man.c - man pages in man(7), one per command and one per kind of file. */
#include "cli/command.h"
#include "cli/docs/docs.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "runner/options.h"
#include "sweep/file/sweep_file.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define FROM "peftlab " PEFTLAB_VERSION

/* Text as roff prints it: no escapes, no hyphens for minus signs, no requests. */
static void put(struct buf *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        buf_str_add(out, "\\&");
    for (const char *p = text; *p; p++)
        switch (*p) {
        case '\\':
            buf_str_add(out, "\\e");
            break;
        case '-':
            buf_str_add(out, "\\-");
            break;
        case '`': /* `code` of Markdown */
            break;
        case '"':
            buf_str_add(out, "\\(dq");
            break;
        default:
            buf_char(out, *p);
        }
}

/* The same on lines of 80 bytes at most; roff fills them again. */
static void line(struct buf *out, const char *text)
{
    struct buf all = BUF_INIT;
    put(&all, text);
    size_t column = 0;
    for (size_t i = out->len; i > 0 && out->data[i - 1] != '\n'; i--)
        column++;
    for (const char *p = buf_str(&all); *p;) {
        const size_t n = strcspn(p, " ");
        if (column && column + 1 + n > 80) {
            while (out->len && out->data[out->len - 1] == ' ')
                out->data[--out->len] = '\0';
            buf_char(out, '\n');
            column = 0;
        } else if (column && out->data[out->len - 1] != ' ')
            buf_char(out, ' '), column++;
        if (!column && (*p == '.' || *p == '\''))
            buf_str_add(out, "\\&");
        buf_add(out, p, n);
        column += n;
        p += n + strspn(p + n, " ");
    }
    buf_char(out, '\n');
    buf_release(&all);
}

static void bold(struct buf *out, const char *text)
{
    buf_str_add(out, "\\fB");
    put(out, text);
    buf_str_add(out, "\\fR");
}

/* `help` is "Sentence." or "sentence"; in NAME it is neither. */
static void head(struct buf *out, const char *name, int section, const char *help)
{
    buf_printf(out, ".TH \"");
    for (const char *p = name; *p; p++)
        *p == '-' ? buf_str_add(out, "\\-")
                  : buf_char(out, (char)toupper((unsigned char)*p));
    buf_printf(out, "\" %d %s \"%s\" \"%s\"\n.SH NAME\n", section, PEFTLAB_RELEASED, FROM,
               section == 1 ? "User Commands" : "File Formats");
    char *what = xstrdup(help);
    const size_t n = strlen(what);
    if (n && what[n - 1] == '.')
        what[n - 1] = '\0';
    *what = (char)tolower((unsigned char)*what);
    put(out, name);
    buf_str_add(out, " \\- ");
    line(out, what);
    free(what);
}

/* Rows by group; headings where the table names its groups, and they are wanted. */
static void options(struct buf *out, const struct opt_table *t, bool as_flags,
                    bool headings)
{
    const char *group;
    for (size_t row = 0; opt_next_group(t, &row, &group);) {
        if (headings && t->rows[0].group)
            buf_printf(out, ".SS \"%s\"\n", group);
        for (size_t i = 0; i < t->count; i++) {
            const struct opt_def *def = &t->rows[i];
            const char *own = def->group ? def->group : "options";
            if (strcmp(own, group) != 0)
                continue;
            struct buf name = BUF_INIT;
            opt_put_flag(&name, def);
            buf_str_add(out, ".TP\n");
            bold(out, as_flags ? buf_str(&name) : def->key);
            if (*opt_metavar(def)) {
                buf_str_add(out, as_flags ? " " : ": ");
                put(out, opt_metavar(def));
            }
            buf_char(out, '\n');
            char *help = opt_describe(def);
            line(out, *help ? help : "No remark.");
            free(help);
            buf_release(&name);
        }
    }
}

static void exit_status(struct buf *out)
{
    const struct err_kind *kind;
    buf_str_add(out, ".SH \"EXIT STATUS\"\n");
    for (size_t i = 0; (kind = err_kind_at(i)); i++) {
        char *text =
            xasprintf("%s%s%s", kind->meaning, *kind->advice ? "; " : "", kind->advice);
        buf_printf(out, ".TP\n.B %d\n", kind->status);
        line(out, text);
        free(text);
    }
}

static void see_also(struct buf *out, const char *self)
{
    static const char *const pages[] = {"peftlab 1", "peftlab-sweep-file 5",
                                        "peftlab-trial-file 5"};
    buf_str_add(out, ".SH \"SEE ALSO\"\n");
    for (size_t i = 0, shown = 0; i < ARRAY_LEN(pages); i++) {
        const size_t n = strcspn(pages[i], " ");
        if (strlen(self) == n && !strncmp(self, pages[i], n))
            continue;
        char *name = xstrndup(pages[i], n);
        buf_str_add(out, shown++ ? ",\n" : "");
        bold(out, name);
        buf_printf(out, "(%s)", pages[i] + n + 1);
        free(name);
    }
    buf_char(out, '\n');
}

static int save(struct buf *out, const char *dir, const char *name, int section,
                struct err *err)
{
    char *file = xasprintf("%s.%d", name, section), *path = fs_join(dir, file);
    int rc = fs_write_atomic(path, buf_str(out), out->len, err);
    free(file);
    free(path);
    buf_release(out);
    return rc;
}

static void synopsis(struct buf *out, const struct command *c)
{
    buf_str_add(out, ".B peftlab\n");
    line(out, c->usage);
}

static void verbs(struct buf *out, const struct command *c)
{
    const struct command *verb;
    buf_str_add(out, ".SH COMMANDS\n");
    for (size_t i = 0; (verb = c->verb(i)); i++) {
        buf_printf(out, ".SS \"%s %s\"\n", c->name, verb->name);
        line(out, verb->help);
        if (verb->options->count)
            options(out, verb->options, true, false);
    }
}

/* True for commands that take trial keys as key=value words. */
static bool takes_keys(const struct command *c)
{
    return strstr(c->usage, "key=value") != NULL;
}

static int command_page(const struct command *c, const char *dir, struct err *err)
{
    struct buf out = BUF_INIT;
    char *name = xasprintf("peftlab-%s", c->name);
    const struct command *verb;
    head(&out, name, 1, c->help);
    buf_str_add(&out, ".SH SYNOPSIS\n");
    if (!c->verb)
        synopsis(&out, c);
    for (size_t i = 0; c->verb && (verb = c->verb(i)); i++) {
        buf_str_add(&out, i ? ".br\n" : "");
        synopsis(&out, verb);
    }
    buf_str_add(&out, ".SH DESCRIPTION\n");
    line(&out, c->help);
    if (takes_keys(c))
        buf_str_add(&out,
                    ".PP\nWords of the form key=value overrule what the file says.\n");
    if (c->verb)
        verbs(&out, c);
    if (c->options && c->options->count) {
        buf_str_add(&out, ".SH OPTIONS\n");
        options(&out, c->options, true, true);
    }
    exit_status(&out);
    see_also(&out, name);
    int rc = save(&out, dir, name, 1, err);
    free(name);
    return rc;
}

static int main_page(const char *dir, struct err *err)
{
    struct buf out = BUF_INIT;
    const char *group = "";
    head(&out, "peftlab", 1,
         "plan, train, track, compare and report parameter-efficient fine-tuning");
    buf_str_add(&out,
                ".SH SYNOPSIS\n.B peftlab\n.I command\n.RI [ arguments ]\n"
                ".SH DESCRIPTION\nEach command has a page of its own and answers to\n"
                ".BR \\-\\-help .\n.SH COMMANDS\n");
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = command_at(i);
        if (strcmp(group, c->group) != 0)
            buf_printf(&out, ".SS \"%s\"\n", group = c->group);
        buf_printf(&out, ".TP\n\\fBpeftlab\\-%s\\fR(1)\n", c->name);
        line(&out, c->help);
    }
    buf_str_add(&out, ".SH ENVIRONMENT\n");
    for (const struct docs_variable *v = docs_variables; v->name; v++) {
        buf_printf(&out, ".TP\n.B %s\n", v->name);
        line(&out, v->meaning);
    }
    exit_status(&out);
    buf_str_add(&out, ".SH FILES\n.TP\n.I peftlab.db\nThe store, one SQLite file.\n"
                      ".TP\n.I peftlab\\-runs/\nFolders of runs, beside the store.\n");
    see_also(&out, "peftlab");
    return save(&out, dir, "peftlab", 1, err);
}

static int trial_file_page(const char *dir, struct err *err)
{
    struct buf out = BUF_INIT;
    head(&out, "peftlab-trial-file", 5, "keys of a trial file");
    buf_str_add(&out, ".SH DESCRIPTION\n");
    line(&out, "A trial file is a YAML or JSON mapping of the keys below. A key that the "
               "chosen method does not read is an error.");
    options(&out, &trial_options, false, true);
    see_also(&out, "peftlab-trial-file");
    return save(&out, dir, "peftlab-trial-file", 5, err);
}

static int sweep_file_page(const char *dir, struct err *err)
{
    struct buf out = BUF_INIT;
    const struct opt_table *t;
    head(&out, "peftlab-sweep-file", 5, "keys of a sweep file");
    buf_str_add(&out, ".SH DESCRIPTION\n");
    line(&out, "A sweep file is a YAML or JSON mapping; below "
               "parameters stand the keys of a trial file.");
    for (size_t i = 0; (t = sweep_file_table(i)); i++) {
        buf_printf(&out, ".SH \"KEYS OF ");
        for (const char *p = t->name; *p; p++)
            buf_char(&out, (char)toupper((unsigned char)*p));
        buf_str_add(&out, "\"\n");
        options(&out, t, false, false);
    }
    see_also(&out, "peftlab-sweep-file");
    return save(&out, dir, "peftlab-sweep-file", 5, err);
}

int docs_man(const char *dir, struct err *err)
{
    int rc = main_page(dir, err);
    for (size_t i = 0; i < command_count && rc == 0; i++)
        rc = command_page(command_at(i), dir, err);
    if (rc == 0)
        rc = trial_file_page(dir, err);
    return rc < 0 ? rc : sweep_file_page(dir, err);
}
