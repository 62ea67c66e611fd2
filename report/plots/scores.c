/* report/plots/scores.c - the matrix as a picture: score of every group and column, with
 * its interval and the single seeds. */
#include "lib/mem.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include "report/plots/plot.h"
#include <math.h>
#include <stdlib.h>

enum { MAX_ROWS = 24 };

/* The best of the main column; more than a page holds are left out. */
static size_t rows_shown(const struct matrix *m)
{
    return m->groups < MAX_ROWS ? m->groups : MAX_ROWS;
}

/* Rows from top to bottom in the order of the main column; columns side by side in it. */
static double row_of(const struct matrix *m, size_t row, size_t column)
{
    double spread = m->columns > 1 ? 0.5 : 0;
    double step = m->columns > 1 ? spread / (double)(m->columns - 1) : 0;
    return (double)row + spread / 2 - step * (double)(m->columns - 1 - column);
}

static void write_series(const struct report *r, struct figure *f, const struct axis *x,
                         const size_t *order, size_t column)
{
    const struct matrix *m = &r->matrix;
    double delta = r->settings.rules.delta;
    figure_line(f, "$m%zu << EOD", column);
    for (size_t i = 0; i < rows_shown(m); i++) {
        const struct report_cell *c = matrix_cell(m, column, order[i]);
        const struct verdict_config *v = c->verdict;
        bool bars = isfinite(v->ci.low);
        double row = row_of(m, i, column);
        if (!c->count)
            continue;
        figure_line(f, "%s %s %s %s", gp(v->mean), gp(row),
                    gp(bars ? v->ci.low : v->mean), gp(bars ? v->ci.high : v->mean));
        figure_mark(f, configuration_of(r, c), figure_x(f, x, v->mean),
                    figure_row(f, row), 9, 8, "%s, %s: %s%s, %s", cell_name(r, c),
                    r->data.columns.items[column].label, word_score(v->mean, delta),
                    bars ? word_f(" (95 %% %s)", word_range(v->ci, delta)) : "",
                    word_plural(v->n_ok, "seed"));
    }
    figure_line(f, "EOD\n$s%zu << EOD", column);
    for (size_t i = 0; i < rows_shown(m); i++) {
        const struct report_cell *c = matrix_cell(m, column, order[i]);
        for (size_t k = 0; k < c->count; k++)
            figure_line(f, "%s %s", gp(c->verdict->scores[k]),
                        gp(row_of(m, i, column) + 0.07));
    }
    figure_line(f, "EOD");
}

/* Intervals of two seeds can be huge: the axis follows the seeds, and an interval only as
 * far as half their range beyond them; what reaches further is cut at the edge. */
static void include_scores(const struct matrix *m, const size_t *order, struct axis *x)
{
    axis_init(x);
    for (size_t c = 0; c < m->columns; c++)
        for (size_t i = 0; i < rows_shown(m); i++) {
            const struct report_cell *cell = matrix_cell(m, c, order[i]);
            for (size_t k = 0; k < cell->count; k++)
                axis_include(x, cell->verdict->scores[k]);
        }
    double low = x->low - (x->high - x->low) / 2, high = x->high + (x->high - x->low) / 2;
    for (size_t c = 0; c < m->columns; c++)
        for (size_t i = 0; i < rows_shown(m); i++) {
            const struct report_cell *cell = matrix_cell(m, c, order[i]);
            axis_include(x, fmax(cell->verdict->ci.low, low));
            axis_include(x, fmin(cell->verdict->ci.high, high));
        }
}

static void write_keys(const struct report *r, struct figure *f)
{
    const struct matrix *m = &r->matrix;
    for (size_t c = 0; c < m->columns; c++)
        figure_key_series(f, c, true, false,
                          word_f("mean at %s", r->data.columns.items[c].label));
    figure_key(f, KEY_INTERVAL, MUTED, "95 %% interval");
    figure_key(f, KEY_RING, MUTED, "single seeds (small rings)");
    if (m->groups > MAX_ROWS)
        figure_note(f, "The best %d; and %zu more: see the table of the matrix.",
                    MAX_ROWS, m->groups - MAX_ROWS);
}

static void write_script(const struct report *r, struct figure *f, const size_t *order)
{
    const struct matrix *m = &r->matrix;
    const char *names[MAX_ROWS];
    struct axis x;
    include_scores(m, order, &x);
    axis_close(&x, 0.03, false);
    for (size_t i = 0; i < rows_shown(m); i++)
        names[i] = r->data.groups.items[order[i]].label;
    figure_begin_rows(f, names, rows_shown(m), m->columns > 1 ? 46 : 30);
    axis_script(&x, 'x', figure_label(f, metric_of(r)), f);
    write_keys(r, f);
    for (size_t c = 0; c < m->columns; c++)
        write_series(r, f, &x, order, c);
    for (size_t c = 0; c < m->columns; c++)
        buf_printf(&f->script,
                   "%s$s%zu using 1:2 with points pt 6 ps 0.35 lc rgb '%s', $m%zu using "
                   "1:2:3:4 with xerrorbars pt -1 lw 1.6 lc rgb '%s', $m%zu using 1:2 "
                   "with points pt %d ps 0.9 lc rgb '%s'",
                   c ? ", " : "plot ", c, series_colour(c), c, series_colour(c), c,
                   series_shape(c), series_colour(c));
    buf_char(&f->script, '\n');
}

static void write_table(const struct report *r, struct figure *f, const size_t *order)
{
    const struct matrix *m = &r->matrix;
    double delta = r->settings.rules.delta;
    html_table_open(&f->table, NULL, NULL,
                    "Rows|Configuration|>Mean|>95 % interval|>s.d.|>Seeds|Seed: score");
    for (size_t c = 0; c < m->columns; c++)
        for (size_t i = 0; i < rows_shown(m); i++) {
            const struct report_cell *cell = matrix_cell(m, c, order[i]);
            const struct verdict_config *v = cell->verdict;
            if (!cell->count)
                continue;
            html_row(&f->table);
            html_cell(&f->table, "%s", r->data.columns.items[c].label);
            html_head_cell(&f->table, "%s", cell_name(r, cell));
            html_number(&f->table, "%s", word_score(v->mean, delta));
            html_number(&f->table, "%s", word_range(v->ci, delta));
            html_number(&f->table, "%s", word_score(v->sd, delta / 10));
            html_number(&f->table, "%zu", v->n_ok);
            html_raw(&f->table, "<td>");
            for (size_t k = 0; k < v->n_ok; k++)
                html_textf(&f->table, "%s%lld: %s", k ? ", " : "", (long long)v->seeds[k],
                           word_score(v->scores[k], delta));
            html_raw(&f->table, "</td>");
        }
    html_table_close(&f->table);
}

/* How the winner or leader of the smallest column fares against that of the largest. */
static void write_takeaway(const struct report *r, struct figure *f)
{
    const struct matrix *m = &r->matrix;
    const struct verdict *v = m->verdicts[m->main_column];
    double delta = r->settings.rules.delta;
    const struct verdict_config *best = &v->configs[v->ranking[0]],
                                *last = &v->configs[v->ranking[v->ranked - 1]];
    const struct verdict_pair *p =
        verdict_find(v, v->ranking[0], v->ranking[v->ranked - 1]);
    figure_takeaway(
        f, "At %s the means run from %s (%s) to %s (%s), a difference of %s (%s): %s.",
        r->data.columns.items[m->main_column].label, word_score(last->mean, delta),
        r->data.groups.items[v->ranking[v->ranked - 1]].label,
        word_score(best->mean, delta), r->data.groups.items[v->ranking[0]].label,
        word_score(p->diff, delta), pair_evidence(r, p),
        p->word == VERDICT_BETTER       ? "the methods do differ"
        : p->word == VERDICT_EQUIVALENT ? "equivalent"
                                        : "cannot tell whether any differ");
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    const struct matrix *m = &r->matrix;
    (void)err;
    if (m->verdicts[m->main_column]->ranked < 2)
        return 1;
    size_t *order = xcalloc(m->groups + 1, sizeof *order);
    matrix_order(m, m->main_column, order);
    write_script(r, f, order);
    write_table(r, f, order);
    write_takeaway(r, f);
    figure_alt(
        f,
        "Dot plot: a row per %s%s, the mean %s with its 95 %% t interval over seeds, "
        "one mark per number of training rows; small rings are single seeds.",
        r->data.by_method ? "method" : "group",
        m->groups > MAX_ROWS ? word_f(" (the best %d of %zu)", MAX_ROWS, m->groups) : "",
        metric_of(r));
    free(order);
    return 0;
}

const struct plot plot_scores = {"scores", "matrix", "Scores with intervals", draw};
