/* lib/text_table.c - see text_table.h. */
#include "lib/text_table.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP 2 /* columns between cells */

struct text_table {
    size_t columns, rows, cap; /* row 0 holds the headings */
    char *align;
    char **cells; /* rows x columns */
};

static bool is_terminal(FILE *f)
{
    int fd = fileno(f);
    return fd >= 0 && isatty(fd);
}

bool text_redraws(FILE *f)
{
    const char *term = getenv("TERM");
    return is_terminal(f) && !(term && str_eq(term, "dumb"));
}

static bool has_colour(FILE *f)
{
    const char *no = getenv("NO_COLOR");
    return text_redraws(f) && !(no && *no);
}

/* The locale as POSIX finds it. Where nothing is set the terminal is taken for one of today. */
bool text_has_unicode(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *locale = NULL;
    for (size_t i = 0; i < ARRAY_LEN(names) && !(locale && *locale); i++)
        locale = getenv(names[i]);
    return !locale || !*locale || strcasestr(locale, "utf-8") ||
           strcasestr(locale, "utf8");
}

size_t text_columns(FILE *f)
{
    struct winsize w;
    if (!is_terminal(f))
        return 0;
    if (ioctl(fileno(f), TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
        return 80;
    return w.ws_col;
}

void text_print(FILE *f, const char *fmt, ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    const int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    for (char *line = n < 0 ? NULL : text, *end; line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        str_clean_here(line);
        fputs(line, f);
        fputs(end ? "\n" : "", f);
    }
    if (n >= 0)
        free(text);
}

void text_highlight(FILE *f, const char *text, const char *begin, const char *end)
{
    const bool colour = has_colour(f);
    fputs(colour ? "\033[32m" : begin, f);
    text_print(f, "%s", text);
    fputs(colour ? "\033[0m" : end, f);
}

struct text_table *text_table_new(const char *const *headings, const char *align,
                                  size_t columns)
{
    struct text_table *t = xcalloc(1, sizeof *t);
    t->columns = columns;
    t->align = xstrdup(align ? align : "");
    text_table_row(t, headings);
    return t;
}

void text_table_row(struct text_table *t, const char *const *cells)
{
    size_t used = t->rows * t->columns;
    t->cells = xgrow(t->cells, &t->cap, used + t->columns, sizeof *t->cells);
    for (size_t i = 0; i < t->columns; i++) {
        const char *cell = cells[i] ? cells[i] : "";
        t->cells[used + i] = str_clean(cell, strlen(cell));
    }
    t->rows++;
}

void text_table_free(struct text_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->rows * t->columns; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t->align);
    free(t);
}

static const char *cell_at(const struct text_table *t, size_t row, size_t column)
{
    return t->cells[row * t->columns + column];
}

/* Stands for what was cut off; a terminal that is not UTF-8 has no ellipsis. */
static const char *cut_mark(void)
{
    return text_has_unicode() ? "\u2026" : "~";
}

/* Bytes of `s` that fill at most `width` columns; *used gets the columns. */
static size_t bytes_within(const char *s, size_t width, size_t *used)
{
    size_t n = 0;
    *used = 0;
    while (s[n]) {
        size_t step = 1;
        while ((s[n + step] & 0xc0) == 0x80)
            step++;
        char *letter = xstrndup(s + n, step);
        size_t w = str_width(letter);
        free(letter);
        if (*used + w > width)
            break;
        *used += w;
        n += step;
    }
    return n;
}

static void spaces(struct buf *line, size_t n)
{
    while (n-- > 0)
        buf_char(line, ' ');
}

/* widths: of columns; 0: it is left out. */
static void put_row(const struct text_table *t, const size_t *widths, size_t row,
                    struct buf *line)
{
    bool first = true;
    for (size_t c = 0; c < t->columns; c++) {
        const char *cell = cell_at(t, row, c);
        if (!widths[c])
            continue;
        size_t pad = widths[c] - str_width(cell);
        bool right = strlen(t->align) > c && t->align[c] == 'r';
        if (!first)
            spaces(line, GAP);
        first = false;
        spaces(line, right ? pad : 0);
        buf_str_add(line, cell);
        spaces(line, right ? 0 : pad);
    }
}

/* Cuts the line to the terminal, the last column showing that something is missing. */
static void print_line(const struct buf *line, size_t limit, FILE *f)
{
    size_t used, n = line->len;
    const char *text = buf_str(line);
    while (n > 0 && text[n - 1] == ' ')
        n--;
    char *whole = xstrndup(text, n);
    bool cut = limit > 0 && str_width(whole) > limit;
    if (cut)
        n = bytes_within(whole, limit - 1, &used);
    fwrite(whole, 1, n, f);
    fputs(cut ? cut_mark() : "", f);
    free(whole);
}

static size_t *measure(const struct text_table *t)
{
    size_t *widths = xcalloc(t->columns + 1, sizeof *widths);
    for (size_t r = 0; r < t->rows; r++)
        for (size_t c = 0; c < t->columns; c++) {
            size_t w = str_width(cell_at(t, r, c));
            widths[c] = w > widths[c] ? w : widths[c];
        }
    return widths;
}

static void print_rows(const struct text_table *t, const size_t *widths, size_t limit,
                       FILE *f)
{
    const bool colour = has_colour(f);
    struct buf line = BUF_INIT;
    for (size_t r = 0; r < t->rows; r++) {
        buf_clear(&line);
        put_row(t, widths, r, &line);
        fputs(colour && r == 0 ? "\033[1m" : "", f);
        print_line(&line, limit, f);
        fputs(colour && r == 0 ? "\033[0m\n" : "\n", f);
    }
    buf_release(&line);
}

void text_table_print(struct text_table *t, FILE *f)
{
    size_t *widths = measure(t);
    print_rows(t, widths, text_columns(f), f);
    free(widths);
}

/* ---- as wide as the terminal ---- */

/* To `most` columns; of a path, whose end tells more, the head goes. */
static void cut_cell(char **cell, size_t most)
{
    size_t used, n = strlen(*cell);
    const size_t mark = str_width(cut_mark());
    if (str_width(*cell) <= most)
        return;
    char *cut;
    if (strchr(*cell, '/') && !strchr(*cell, ' ')) {
        const char *tail = *cell;
        while (str_width(tail) > most - mark)
            do
                tail++;
            while ((*tail & 0xc0) == 0x80);
        cut = xasprintf("%s%s", cut_mark(), tail);
    } else {
        n = bytes_within(*cell, most - mark, &used);
        cut = xasprintf("%.*s%s", (int)n, *cell, cut_mark());
    }
    free(*cell);
    *cell = cut;
}

static size_t sum_of(const size_t *widths, size_t columns)
{
    size_t sum = 0;
    for (size_t c = 0; c < columns; c++)
        sum += widths[c] ? widths[c] + (sum ? GAP : 0) : 0;
    return sum;
}

static void cut_cells(struct text_table *t, size_t most)
{
    for (size_t i = t->columns; i < t->rows * t->columns; i++)
        cut_cell(&t->cells[i], most);
}

/* Drops what does not fit, from the first column on; what comes later may fit again. */
static void choose(struct text_table *t, size_t *widths, size_t limit,
                   struct buf *left_out)
{
    size_t sum = 0;
    for (size_t c = 0; c < t->columns; c++) {
        const size_t with = sum + widths[c] + (sum ? GAP : 0);
        if (with <= limit || c == 0) {
            sum = with;
            continue;
        }
        widths[c] = 0;
        buf_printf(left_out, "%s%s", left_out->len ? ", " : "", cell_at(t, 0, c));
    }
}

void text_table_print_fitting(struct text_table *t, FILE *f)
{
    text_table_print_within(t, text_columns(f), f);
}

void text_table_print_within(struct text_table *t, size_t limit, FILE *f)
{
    size_t *widths = measure(t);
    struct buf left_out = BUF_INIT;
    if (limit && sum_of(widths, t->columns) > limit) {
        cut_cells(t, limit / 3);
        free(widths);
        widths = measure(t);
        choose(t, widths, limit, &left_out);
    }
    print_rows(t, widths, limit, f);
    if (left_out.len) {
        struct buf line = BUF_INIT;
        buf_printf(&line, "not shown at this width: %s", buf_str(&left_out));
        print_line(&line, limit, f);
        fputs("\n", f);
        buf_release(&line);
    }
    buf_release(&left_out);
    free(widths);
}

/* Cells hold no tab and no line break: text_table_row has cleaned them. */
void text_table_print_tsv(struct text_table *t, FILE *f)
{
    for (size_t r = 0; r < t->rows; r++)
        for (size_t c = 0; c < t->columns; c++)
            fprintf(f, "%s%c", cell_at(t, r, c), c + 1 < t->columns ? '\t' : '\n');
}

/* ---- Progress ---- */

#define BAR       24 /* columns, fewer where the text behind it needs them */
#define BAR_LEAST 8

struct progress {
    FILE *f;
    char *label, *extra;
    bool shown; /* on a terminal */
    double done, total, seconds_left;
};

struct progress *progress_new(FILE *f, const char *label)
{
    struct progress *p = xcalloc(1, sizeof *p);
    p->f = f;
    p->label = str_clean(label, strlen(label));
    p->extra = xstrdup("");
    p->shown = text_redraws(f);
    p->seconds_left = -1;
    return p;
}

/* What stands behind the bar. */
static void put_numbers(const struct progress *p, struct buf *out)
{
    char left[32];
    buf_printf(out, "] %.0f/%.0f", p->done, p->total);
    if (p->seconds_left >= 0)
        buf_printf(out, ", %s left", str_duration(left, sizeof left, p->seconds_left));
    if (*p->extra)
        buf_printf(out, ", %s", p->extra);
}

static void draw(const struct progress *p)
{
    struct buf line = BUF_INIT, numbers = BUF_INIT;
    const size_t limit = text_columns(p->f) - 1;
    double share = p->total > 0 ? p->done / p->total : 0;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    put_numbers(p, &numbers);
    buf_printf(&line, "%s [", p->label);
    const size_t text = str_width(buf_str(&line)) + str_width(buf_str(&numbers));
    const size_t room = limit > text ? limit - text : 0;
    const int bar = (int)(room > BAR ? BAR : room < BAR_LEAST ? BAR_LEAST : room);
    for (int i = 0; i < bar; i++)
        buf_char(&line, i < (int)(share * bar + 0.5) ? '#' : '-');
    buf_str_add(&line, buf_str(&numbers));
    fputs("\r\033[K", p->f);
    print_line(&line, limit, p->f);
    fflush(p->f);
    buf_release(&line);
    buf_release(&numbers);
}

void progress_set(struct progress *p, double done, double total, double seconds_left,
                  const char *extra)
{
    if (!p->shown)
        return;
    free(p->extra);
    p->extra = str_clean(extra ? extra : "", extra ? strlen(extra) : 0);
    p->done = done;
    p->total = total;
    p->seconds_left = seconds_left;
    draw(p);
}

void progress_note(struct progress *p, const char *line)
{
    char *clean = str_clean(line, strlen(line));
    fprintf(p->f, "%s%s\n", p->shown ? "\r\033[K" : "", clean);
    free(clean);
    if (p->shown && p->total > 0)
        draw(p);
    fflush(p->f);
}

void progress_end(struct progress *p)
{
    if (!p)
        return;
    if (p->shown) {
        fputs("\r\033[K", p->f);
        fflush(p->f);
    }
    free(p->label);
    free(p->extra);
    free(p);
}
