/* report/plots/ranks.c - how stable the order is: the ranks that the comparisons leave open
 * for each. What is shown to be better than a configuration stands before it, what it is
 * shown to be better than behind it; the rest may stand on either side. With Holm over all
 * pairs the ranges hold together, and they cannot say more than the verdict.
 *
 * Draws of seeds again (bootstrap) are added from eight seeds on; of three they know those
 * three alone and call first in 100 % of draws what no test can tell (coverage .75). */
#include "lib/mem.h"
#include "lib/stats/bootstrap.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include "report/plots/plot.h"
#include <math.h>
#include <stdlib.h>

enum { ROW_PX = 30, MAX_ROWS = 16, DRAWS = 2000, FEWEST_TO_DRAW = 8 };

struct strip {
    const struct verdict *v;
    size_t *low, *high;           /* ranks left open, in the order of ranking */
    struct rank_stability *draws; /* NULL: too few seeds to draw from */
    size_t shown;
};

static void find_ranges(struct strip *s)
{
    const struct verdict *v = s->v;
    s->low = xcalloc(v->ranked + 1, sizeof *s->low);
    s->high = xcalloc(v->ranked + 1, sizeof *s->high);
    for (size_t i = 0; i < v->ranked; i++) {
        s->low[i] = 1;
        s->high[i] = v->ranked;
    }
    for (size_t i = 0; i < v->pair_count; i++) {
        const struct verdict_pair *p = &v->pairs[i];
        if (p->word != VERDICT_BETTER)
            continue;
        s->high[v->rank_of[p->a]]--;
        s->low[v->rank_of[p->b]]++;
    }
}

static void write_script(const struct report *r, struct figure *f, const struct strip *s)
{
    const struct verdict *v = s->v;
    const char *names[MAX_ROWS];
    struct axis x = {.low = .5, .high = (double)v->ranked + .5};
    for (size_t i = 0; i < s->shown; i++)
        names[i] = r->data.groups.items[v->ranking[i]].label;
    figure_begin_rows(f, names, s->shown, ROW_PX);
    axis_script(&x, 'x', "rank, 1 is best", f);
    if (v->ranked <= 20)
        figure_line(f, "set xtics 1");
    figure_line(f, "$r << EOD");
    for (size_t i = 0; i < s->shown; i++) {
        figure_line(f, "%zu %zu %zu %zu", i + 1, i, s->low[i], s->high[i]);
        double low = figure_x(f, &x, (double)s->low[i]),
               high = figure_x(f, &x, (double)s->high[i]);
        figure_mark(f,
                    configuration_of(
                        r, matrix_cell(&r->matrix, r->matrix.main_column, v->ranking[i])),
                    (low + high) / 2, figure_row(f, (double)i), (high - low) / 2 + 6,
                    ROW_PX / 3.0, "%s: rank %zu by its mean, %zu to %zu left open",
                    names[i], i + 1, s->low[i], s->high[i]);
    }
    figure_line(f,
                "EOD\nplot $r using 1:2:3:4 with xerrorbars pt -1 lw 5 lc rgb '" GRID
                "', $r using 1:2 with points pt 7 ps 0.9 lc rgb '%s'",
                series_colour(0));
    figure_key(f, KEY_DOT, series_colour(0), "rank by the mean");
    figure_key(f, KEY_BAR, GRID, "ranks that the comparisons leave open");
    if (s->shown < v->ranked)
        figure_note(f, "The best %zu; and %zu more: see the table.", s->shown,
                    v->ranked - s->shown);
}

static void write_table(const struct report *r, struct figure *f, const struct strip *s)
{
    html_table_open(&f->table, NULL, NULL,
                    word_f("Configuration|>Rank by mean|>Ranks left open%s|>Seeds",
                           s->draws ? "|>First in draws|>Top 3 in draws" : ""));
    for (size_t i = 0; i < s->v->compared; i++) { /* of those behind not all is known */
        html_row(&f->table);
        html_head_cell(&f->table, "%s", r->data.groups.items[s->v->ranking[i]].label);
        html_number(&f->table, "%zu", i + 1);
        html_number(&f->table, "%zu to %zu", s->low[i], s->high[i]);
        if (s->draws) {
            html_number(&f->table, "%.2f", s->draws[i].first);
            html_number(&f->table, "%.2f", s->draws[i].top3);
        }
        html_number(&f->table, "%zu", s->v->configs[s->v->ranking[i]].n_ok);
    }
    html_table_close(&f->table);
}

/* All on the same seeds: drawn together, as seeds move all scores alike. */
static bool same_seeds(const struct verdict *v)
{
    const struct verdict_config *a = &v->configs[v->ranking[0]];
    for (size_t i = 1; i < v->ranked; i++) {
        const struct verdict_config *b = &v->configs[v->ranking[i]];
        if (a->n_ok != b->n_ok)
            return false;
        for (size_t k = 0; k < a->n_ok; k++)
            if (a->seeds[k] != b->seeds[k])
                return false;
    }
    return true;
}

static struct rank_stability *draw_again(const struct verdict *v)
{
    struct stat_sample *runs = xcalloc(v->ranked + 1, sizeof *runs);
    struct rank_stability *draws = xcalloc(v->ranked + 1, sizeof *draws);
    for (size_t i = 0; i < v->ranked; i++)
        runs[i] = (struct stat_sample){v->configs[v->ranking[i]].scores,
                                       v->configs[v->ranking[i]].n_ok};
    stat_rank_stability(runs, v->ranked, v->rules.minimize, same_seeds(v), DRAWS,
                        BOOTSTRAP_SEED, draws);
    free(runs);
    return draws;
}

static void write_takeaway(const struct report *r, struct figure *f,
                           const struct strip *s)
{
    const struct verdict *v = s->v;
    const char *leader = r->data.groups.items[v->ranking[0]].label,
               *next = r->data.groups.items[v->ranking[1]].label;
    if (v->tied_count == 1)
        figure_takeaway(f,
                        "%s is first, and the comparisons leave it no other rank; %s "
                        "comes next, rank %zu to %zu: the first place is stable.",
                        leader, next, s->low[1], s->high[1]);
    else
        figure_takeaway(f,
                        "%s has the best mean, but the comparisons leave it rank %zu "
                        "to %zu, and %s, which comes next, %zu to %zu: %zu of %zu may "
                        "be first.",
                        leader, s->low[0], s->high[0], next, s->low[1], s->high[1],
                        v->tied_count, v->ranked);
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    struct strip s = {.v = r->matrix.verdicts[r->matrix.main_column]};
    const struct verdict *v = s.v;
    size_t fewest = SIZE_MAX;
    (void)err;
    for (size_t i = 0; i < v->ranked; i++)
        if (v->configs[v->ranking[i]].n_ok < fewest)
            fewest = v->configs[v->ranking[i]].n_ok;
    if (v->ranked < 3 || fewest < 2) /* a single run cannot vary */
        return 1;
    s.shown = v->ranked < MAX_ROWS ? v->ranked : MAX_ROWS;
    find_ranges(&s);
    /* Where the tests leave the first place open, draws are not shown as if they knew. */
    if (fewest >= FEWEST_TO_DRAW && v->tied_count == 1)
        s.draws = draw_again(v);
    write_script(r, f, &s);
    write_table(r, f, &s);
    write_takeaway(r, f, &s);
    figure_alt(f,
               "Strip of ranks: a row per %s at %s, a dot at the rank by mean and a bar "
               "over the "
               "ranks that the comparisons leave open.",
               r->data.by_method ? "method" : "group",
               r->data.columns.items[r->matrix.main_column].label);
    free(s.low);
    free(s.high);
    free(s.draws);
    return 0;
}

const struct plot plot_ranks = {"ranks", "matrix", "Stability of the order", draw};
