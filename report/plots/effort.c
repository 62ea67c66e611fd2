/* report/plots/effort.c - what tuning buys: the score that the best of n configurations
 * can be expected to have, per group. */
#include "lib/mem.h"
#include "lib/stats/knee.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include "report/plots/plot.h"
#include <math.h>
#include <stdlib.h>

enum {
    HEIGHT_PX = 400,
    HEIGHT_NARROW_PX = 340,
    MAX_CURVES = 6,
    MAX_TRIES = 200,
    FEW = 20
};

struct curve {
    size_t group, tries;
    double *best; /* expected best of 1 .. tries */
};

/* Scores of the group's configurations, each the mean over its seeds. */
static bool curve_init(const struct report *r, const struct report_cell *all,
                       size_t count, size_t group, struct curve *c)
{
    double *v = xcalloc(count + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (all[i].group == group)
            v[n++] = cell_spread(&all[i], r->settings.metric).mean;
    *c = (struct curve){.group = group, .tries = n < MAX_TRIES ? n : MAX_TRIES};
    c->best = xcalloc(n + 1, sizeof *c->best);
    for (size_t k = 1; k <= c->tries; k++)
        c->best[k - 1] = stat_best_of(v, n, k, r->settings.rules.minimize);
    free(v);
    return n > 0;
}

/* Every point of a short curve; of a long one what a line needs, and its end. */
static size_t next_shown(size_t k, size_t tries)
{
    size_t next = k < FEW ? k + 1 : k + k / 10;
    return next >= tries && k + 1 < tries ? tries - 1 : next;
}

static void write_script(const struct report *r, struct figure *f, const struct curve *c,
                         size_t n)
{
    struct axis x, y;
    axis_init(&x);
    axis_init(&y);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < c[i].tries; k++) {
            axis_include(&x, (double)k + 1);
            axis_include(&y, c[i].best[k]);
        }
    axis_close(&x, .04, x.high >= 16);
    axis_close(&y, .08, false);
    figure_begin(f, f->narrow ? HEIGHT_NARROW_PX : HEIGHT_PX, f->narrow ? 58 : 76, 20, 14,
                 66);
    axis_script(&x, 'x',
                x.log ? "configurations tried (log scale)" : "configurations tried", f);
    axis_script(&y, 'y', figure_label(f, metric_of(r)), f);
    for (size_t i = 0; i < n; i++) {
        const char *name = r->data.groups.items[c[i].group].label;
        figure_line(f, "$c%zu << EOD", i);
        figure_trace_begin(
            f, configuration_of(
                   r, matrix_cell(&r->matrix, r->matrix.main_column, c[i].group)));
        for (size_t k = 0; k < c[i].tries; k = next_shown(k, c[i].tries)) {
            figure_line(f, "%zu %s", k + 1, gp(c[i].best[k]));
            figure_trace(f, figure_x(f, &x, (double)k + 1),
                         figure_y(f, &y, c[i].best[k]));
        }
        figure_line(f, "EOD");
        figure_trace_end(f, "%s: %s expected of the best of %zu", name,
                         word_score(c[i].best[c[i].tries - 1], r->settings.rules.delta),
                         c[i].tries);
        figure_key_series(f, i, c[i].tries <= FEW, true, name);
    }
    for (size_t i = 0; i < n; i++) {
        const bool few = c[i].tries <= FEW;
        buf_printf(&f->script, "%s$c%zu using 1:2 with %s lw 1.8 dt %d lc rgb '%s'",
                   i ? ", " : "plot ", i, few ? "linespoints" : "lines", series_dash(i),
                   series_colour(i));
        if (few)
            buf_printf(&f->script, " pt %d ps 0.8", series_shape(i));
    }
    buf_char(&f->script, '\n');
}

static void write_table(const struct report *r, struct figure *f, const struct curve *c,
                        size_t n)
{
    double delta = r->settings.rules.delta;
    html_table_open(
        &f->table, NULL, NULL,
        word_f("Configuration|>Tried|>%s expected of 1|>of 2|>of 4|>of 8|>of all",
               metric_of(r)));
    for (size_t i = 0; i < n; i++) {
        html_row(&f->table);
        html_head_cell(&f->table, "%s", r->data.groups.items[c[i].group].label);
        html_number(&f->table, "%zu", c[i].tries);
        for (size_t k = 1; k <= 8; k *= 2)
            html_number(&f->table, "%s",
                        k <= c[i].tries ? word_score(c[i].best[k - 1], delta) : "–");
        html_number(&f->table, "%s", word_score(c[i].best[c[i].tries - 1], delta));
    }
    html_table_close(&f->table);
}

/* At the effort of the least tuned: does the leader still lead? */
static void write_takeaway(const struct report *r, struct figure *f,
                           const struct curve *c, size_t n)
{
    double delta = r->settings.rules.delta, sign = r->settings.rules.minimize ? -1 : 1;
    size_t least = SIZE_MAX, best = 0, second = SIZE_MAX;
    for (size_t i = 0; i < n; i++)
        least = c[i].tries < least ? c[i].tries : least;
    for (size_t i = 1; i < n; i++)
        if (sign * c[i].best[least - 1] > sign * c[best].best[least - 1])
            best = i;
    for (size_t i = 0; i < n; i++)
        if (i != best && (second == SIZE_MAX ||
                          sign * c[i].best[least - 1] > sign * c[second].best[least - 1]))
            second = i;
    double lead = second == SIZE_MAX
                      ? NAN
                      : sign * (c[best].best[least - 1] - c[second].best[least - 1]);
    if (second == SIZE_MAX)
        figure_takeaway(
            f,
            "From 1 to %zu configurations of %s the best expected %s moves from "
            "%s to %s; seeds are averaged, their spread is in the matrix.",
            c[0].tries, r->data.groups.items[c[0].group].label, metric_of(r),
            word_score(c[0].best[0], delta),
            word_score(c[0].best[c[0].tries - 1], delta));
    else
        figure_takeaway(
            f,
            "With %s tried of each, %s is expected at %s and %s at %s, a lead "
            "of %s: %s (%g matters; expectations over tries, seeds averaged).",
            word_plural(least, "configuration"),
            r->data.groups.items[c[best].group].label,
            word_score(c[best].best[least - 1], delta),
            r->data.groups.items[c[second].group].label,
            word_score(c[second].best[least - 1], delta), word_score(lead, delta),
            lead >= delta ? "it would count if seeds agree" : "cannot tell", delta);
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    const struct matrix *m = &r->matrix;
    const struct verdict *v = m->verdicts[m->main_column];
    size_t count, n = 0, most = 0;
    struct curve c[MAX_CURVES];
    (void)err;
    struct report_cell *all =
        matrix_variants(&r->data, &r->settings, m->main_column, &count);
    for (size_t i = 0; i < v->ranked && n < MAX_CURVES; i++)
        if (curve_init(r, all, count, v->ranking[i], &c[n])) {
            most = c[n].tries > most ? c[n].tries : most;
            n++;
        }
    matrix_variants_free(all, count);
    if (most >= 3) {
        write_script(r, f, c, n);
        write_table(r, f, c, n);
        write_takeaway(r, f, c, n);
        figure_alt(f,
                   "Curves of the expected best %s of n configurations drawn without "
                   "replacement from those tried, for %zu %s; n to the right.",
                   metric_of(r), n, r->data.by_method ? "methods" : "groups");
    }
    for (size_t i = 0; i < n; i++)
        free(c[i].best);
    return most >= 3 ? 0 : 1;
}

const struct plot plot_effort = {"effort", "tradeoff", "What tuning buys", draw};
