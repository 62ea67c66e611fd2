/* report/plots/importance_bars.c - bars of how much each parameter moves the score. */
#include "lib/mem.h"
#include "report/evidence/importance.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include "report/plots/plot.h"
#include <math.h>
#include <stdlib.h>

enum { ROW_PX = 36 };

static void write_script(struct figure *f, const struct importance *m)
{
    struct axis x;
    axis_init(&x);
    axis_include(&x, 0);
    for (size_t i = 0; i < m->count; i++) {
        axis_include(&x, m->bars[i].value);
        axis_include(&x, m->bars[i].ci.low);
        axis_include(&x, m->bars[i].ci.high);
    }
    axis_close(&x, .05, false);
    const char **names = xcalloc(m->count + 1, sizeof *names);
    for (size_t i = 0; i < m->count; i++)
        names[i] = m->bars[i].name;
    figure_begin_rows(f, names, m->count, ROW_PX);
    free(names);
    axis_script(&x, 'x',
                m->anova ? "share of the spread explained, ω²"
                         : "share of importance, PED-ANOVA",
                f);
    for (size_t i = 0; i < m->count; i++) {
        const struct importance_bar *b = &m->bars[i];
        double from = figure_x(f, &x, fmin(0, b->value)),
               to = figure_x(f, &x, fmax(0, b->value));
        figure_mark(
            f, CONFIGURATION_NONE, (from + to) / 2, figure_row(f, (double)i),
            (to - from) / 2, .28 * ROW_PX, "%s: %s%s", b->name, word_score(b->value, .1),
            isfinite(b->ci.low) ? word_f(" (95 %% %s)", word_range(b->ci, .1)) : "");
    }
    figure_key(f, KEY_BAR, series_colour(0), "%s", m->anova ? "ω²" : "share");
    if (m->anova)
        figure_key(f, KEY_INTERVAL, INK, "95 %% interval");
    figure_line(f, "$bars << EOD");
    for (size_t i = 0; i < m->count; i++)
        figure_line(f, "0 %zu %s %s %g %g", i, gp(fmin(0, m->bars[i].value)),
                    gp(fmax(0, m->bars[i].value)), (double)i - .28, (double)i + .28);
    figure_line(f, "EOD\n$ci << EOD");
    for (size_t i = 0; i < m->count; i++)
        if (isfinite(m->bars[i].ci.low))
            figure_line(f, "%s %zu %s %s", gp(m->bars[i].value), i, gp(m->bars[i].ci.low),
                        gp(m->bars[i].ci.high));
    figure_line(f,
                "EOD\nplot $bars using 1:2:3:4:5:6 with boxxyerror fs solid 0.6 noborder "
                "lc rgb '%s'%s",
                series_colour(0),
                m->anova ? ", $ci using 1:2:3:4 with xerrorbars pt -1 lw 1.3 lc rgb '" INK
                           "'"
                         : "");
}

static void write_table(struct figure *f, const struct importance *m)
{
    html_table_open(&f->table, NULL, NULL,
                    m->anova ? "Term|>ω²|>95 % interval"
                             : "Parameter|>Share|>95 % interval");
    for (size_t i = 0; i < m->count; i++) {
        const struct importance_bar *b = &m->bars[i];
        html_row(&f->table);
        html_head_cell(&f->table, "%s", b->name);
        html_number(&f->table, "%s", word_score(b->value, .1));
        html_number(&f->table, "%s", word_range(b->ci, .1));
    }
    html_table_close(&f->table);
}

/* The two largest: told apart only where their intervals do not meet. */
static void write_takeaway(const struct report *r, struct figure *f,
                           const struct importance *m)
{
    const struct importance_bar *a = &m->bars[0], *b = m->count > 1 ? &m->bars[1] : NULL;
    const char *where = word_f("of %s at %s", r->data.groups.items[m->group].label,
                               r->data.columns.items[r->matrix.main_column].label);
    if (!m->anova)
        figure_takeaway(
            f,
            "%s carries most of the importance (%.2f of 1, next %s %.2f) among "
            "%zu trials %s; shares come without intervals, so close ones cannot "
            "be told apart.",
            a->name, a->value, b->name, b->value, m->trials, where);
    else if (!(a->ci.low > 0))
        figure_takeaway(f,
                        "Cannot tell whether any parameter matters: %s explains most of "
                        "the spread (ω² %.2f, 95 %% %s) among %zu trials %s.",
                        a->name, a->value, word_range(a->ci, .1), m->trials, where);
    else
        figure_takeaway(
            f,
            "%s explains %.0f %% of the spread (95 %% %.0f to %.0f %%) among %zu trials "
            "%s%s.",
            a->name, 100 * a->value, 100 * a->ci.low, 100 * a->ci.high, m->trials, where,
            !b ? ""
               : word_f(", %s than %s (%.0f %%)",
                        a->ci.low > b->ci.high ? "more" : "not shown to be more", b->name,
                        100 * b->value));
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    struct importance m;
    (void)err;
    if (!importance_of(r, &m))
        return 1;
    write_script(f, &m);
    write_table(f, &m);
    write_takeaway(r, f, &m);
    figure_alt(
        f,
        "Bar chart: %zu %s of %s, by how much of the spread of %s each explains%s. "
        "Relative to the ranges that were searched.",
        m.count, m.anova ? "parameters and their interactions" : "parameters",
        r->data.groups.items[m.group].label, metric_of(r),
        m.anova ? ", with 95 % bootstrap intervals" : "");
    return 0;
}

const struct plot plot_importance = {
    "importance", "tradeoff", "What moves the score, within the ranges searched", draw};
