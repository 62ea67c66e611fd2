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

static const char *metavar_of(const struct opt_def *def)
{
    return def->metavar ? def->metavar : type_metavars[def->type];
}

static void put_name(struct buf *b, const struct opt_def *def, bool as_flag)
{
    const char *metavar = metavar_of(def);
    if (!as_flag) {
        buf_printf(b, "%s%s%s", def->key, *metavar ? ": " : "", metavar);
        return;
    }
    buf_str_add(b, "--");
    for (const char *p = def->key; *p; p++)
        buf_char(b, *p == '_' ? '-' : *p);
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

/* help text [choices or range; default; required] */
static char *describe(const struct opt_def *def)
{
    struct buf b = BUF_INIT, facts = BUF_INIT;
    buf_str_add(&b, def->help ? def->help : "");
    put_limits(&facts, def);
    if (def->preset)
        buf_printf(&facts, "%sdefault %s", facts.len ? "; " : "", def->preset);
    if (def->flags & OPT_REQUIRED)
        buf_printf(&facts, "%srequired", facts.len ? "; " : "");
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
    char *text = describe(def);
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
    for (size_t i = 0; i < t->count; i++) {
        if (group_seen(t, i))
            continue;
        fprintf(f, "\n%s:\n", group_of(&t->rows[i]));
        for (size_t j = i; j < t->count; j++)
            if (!strcmp(group_of(&t->rows[j]), group_of(&t->rows[i])))
                print_row(&t->rows[j], as_flags, f);
    }
}

static void put_cell(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '|')
            buf_char(out, '\\');
        buf_char(out, *p);
    }
}

void opt_print_markdown(const struct opt_table *t, struct buf *out)
{
    buf_str_add(out, "| key | value | default | range | meaning |\n"
                     "|---|---|---|---|---|\n");
    for (size_t i = 0; i < t->count; i++) {
        const struct opt_def *def = &t->rows[i];
        const char *metavar = metavar_of(def);
        buf_printf(out, "| `%s` | ", def->key);
        put_cell(out, *metavar ? metavar : "true, false");
        buf_str_add(out, " | ");
        put_cell(out, def->preset                 ? def->preset
                      : def->flags & OPT_REQUIRED ? "required"
                                                  : "none");
        buf_str_add(out, " | ");
        put_limits(out, def);
        buf_str_add(out, " | ");
        put_cell(out, def->help ? def->help : "");
        buf_str_add(out, " |\n");
    }
}
