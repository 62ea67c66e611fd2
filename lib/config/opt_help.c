/* lib/config/opt_help.c - help and documentation made from an option table. */
#include "lib/config/opt.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

#define WIDTH  90
#define INDENT 32

static const char *const type_metavars[] = {
    [OPT_BOOL] = "",       [OPT_INT] = "N",       [OPT_FLOAT] = "X",
    [OPT_STRING] = "TEXT", [OPT_CHOICE] = "WORD", [OPT_PATH] = "PATH",
    [OPT_NAMES] = "NAMES", [OPT_INTS] = "N[,N]",  [OPT_MAP] = "{NAME: N}",
    [OPT_ANY] = "VALUE",
};

const char *opt_metavar(const struct opt_def *def)
{
    return def->metavar ? def->metavar : type_metavars[def->type];
}

void opt_put_flag(struct buf *b, const struct opt_def *def)
{
    buf_str_add(b, "--");
    for (const char *p = def->key; *p; p++)
        buf_char(b, *p == '_' ? '-' : *p);
}

static void put_name(struct buf *b, const struct opt_def *def, bool as_flag)
{
    const char *metavar = opt_metavar(def);
    if (!as_flag) {
        buf_printf(b, "%s%s%s", def->key, *metavar ? ": " : "", metavar);
        return;
    }
    opt_put_flag(b, def);
    if (*metavar)
        buf_printf(b, " %s", metavar);
}

/* "none|all" as "none, all", aliases behind '=' left out. */
static void put_choices(struct buf *b, const char *choices)
{
    for (const char *p = choices; *p;) {
        size_t len = strcspn(p, "|"), name = strcspn(p, "|=");
        if (p != choices)
            buf_str_add(b, ", ");
        buf_add(b, p, name);
        p += len + (p[len] == '|');
    }
}

static void put_range(struct buf *b, const struct opt_def *def)
{
    if (def->min == def->max)
        return;
    if (def->max > 9e15)
        buf_printf(b, ">= %.15g", def->min);
    else if (def->min < -9e15)
        buf_printf(b, "<= %.15g", def->max);
    else
        buf_printf(b, "%.15g..%.15g", def->min, def->max);
}

static void put_limits(struct buf *b, const struct opt_def *def)
{
    if (def->type == OPT_CHOICE && def->choices)
        put_choices(b, def->choices);
    else
        put_range(b, def);
}

/* In words; "" where it is not. */
static const char *required(const struct opt_def *def)
{
    return def->flags & OPT_REQUIRED   ? "required"
           : def->flags & OPT_TO_TRAIN ? "required to train"
                                       : "";
}

/* help text [choices or range; default; required] */
char *opt_describe(const struct opt_def *def)
{
    struct buf b = BUF_INIT, facts = BUF_INIT;
    buf_str_add(&b, def->help ? def->help : "");
    put_limits(&facts, def);
    if (def->preset)
        buf_printf(&facts, "%sdefault %s", facts.len ? "; " : "", def->preset);
    if (def->flags & (OPT_REQUIRED | OPT_TO_TRAIN))
        buf_printf(&facts, "%s%s", facts.len ? "; " : "", required(def));
    if (def->flags & OPT_REPEATED)
        buf_printf(&facts, "%smay be repeated", facts.len ? "; " : "");
    if (facts.len)
        buf_printf(&b, " [%s]", buf_str(&facts));
    buf_release(&facts);
    return buf_detach(&b, NULL);
}

/* Words of `text` from column INDENT on, broken before WIDTH. */
static void print_wrapped(const char *text, FILE *f)
{
    size_t column = INDENT;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, " ");
        char *word = xstrndup(p, n);
        size_t width = str_width(word);
        if (column > INDENT && column + 1 + width > WIDTH) {
            fprintf(f, "\n%*s", INDENT, "");
            column = INDENT;
        } else if (column > INDENT) {
            fputc(' ', f);
            column++;
        }
        fputs(word, f);
        column += width;
        free(word);
        p += n + strspn(p + n, " ");
    }
    fputc('\n', f);
}

static void print_row(const struct opt_def *def, bool as_flags, FILE *f)
{
    struct buf name = BUF_INIT;
    put_name(&name, def, as_flags);
    char *text = opt_describe(def);
    if (name.len + 4 > INDENT)
        fprintf(f, "  %s\n%*s", buf_str(&name), INDENT, "");
    else
        fprintf(f, "  %-*s", INDENT - 2, buf_str(&name));
    print_wrapped(text, f);
    free(text);
    buf_release(&name);
}

static const char *group_of(const struct opt_def *def)
{
    return def->group ? def->group : "options";
}

/* True when an earlier row has the same group: it was printed there. */
static bool group_seen(const struct opt_table *t, size_t row)
{
    for (size_t i = 0; i < row; i++)
        if (!strcmp(group_of(&t->rows[i]), group_of(&t->rows[row])))
            return true;
    return false;
}

void opt_print_help(const struct opt_table *t, bool as_flags, FILE *f)
{
    const char *group;
    for (size_t row = 0; opt_next_group(t, &row, &group);) {
        fprintf(f, "\n%s:\n", group);
        for (size_t i = 0; i < t->count; i++)
            if (!strcmp(group_of(&t->rows[i]), group))
                print_row(&t->rows[i], as_flags, f);
    }
}

/* Text in a cell of a Markdown table. */
static void put_cell(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '|')
            buf_char(out, '\\');
        buf_char(out, *p);
    }
}

static void put_value_cell(struct buf *out, const struct opt_def *def)
{
    const char *metavar = opt_metavar(def);
    struct buf limits = BUF_INIT;
    put_limits(&limits, def);
    if (def->type == OPT_CHOICE)
        put_cell(out, buf_str(&limits));
    else {
        put_cell(out, *metavar ? metavar : "true, false");
        buf_printf(out, "%s%s", limits.len ? ", " : "", buf_str(&limits));
    }
    buf_release(&limits);
}

static void put_name_cell(struct buf *out, const struct opt_def *def, bool as_flag)
{
    struct buf flag = BUF_INIT;
    opt_put_flag(&flag, def);
    buf_printf(out, "`%s`", as_flag ? buf_str(&flag) : def->key);
    buf_release(&flag);
    for (const char *a = def->aliases; a && *a;) {
        size_t n = strcspn(a, "|");
        buf_printf(out, ", `%s%.*s`", !as_flag ? "" : n == 1 ? "-" : "--", (int)n, a);
        a += n + (a[n] == '|');
    }
}

void opt_print_markdown(const struct opt_table *t, const struct opt_markdown *how,
                        struct buf *out)
{
    buf_printf(out, "| %s | value | default |%s%s%s meaning |\n|---|---|---|%s---|\n",
               how->as_flags ? "flag" : "key", how->extra ? " " : "",
               how->extra ? how->extra : "", how->extra ? " |" : "",
               how->extra ? "---|" : "");
    for (size_t i = 0; i < t->count; i++) {
        const struct opt_def *def = &t->rows[i];
        if (how->group && strcmp(how->group, group_of(def)) != 0)
            continue;
        buf_str_add(out, "| ");
        put_name_cell(out, def, how->as_flags);
        buf_str_add(out, " | ");
        put_value_cell(out, def);
        buf_str_add(out, " | ");
        put_cell(out, def->preset ? def->preset : required(def));
        if (how->extra) {
            buf_str_add(out, " | ");
            how->put_extra(out, def);
        }
        buf_str_add(out, " | ");
        put_cell(out, def->help ? def->help : "");
        buf_str_add(out, " |\n");
    }
}

bool opt_next_group(const struct opt_table *t, size_t *row, const char **group)
{
    while (*row < t->count && group_seen(t, *row))
        ++*row;
    if (*row >= t->count)
        return false;
    *group = group_of(&t->rows[(*row)++]);
    return true;
}
