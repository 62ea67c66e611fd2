/* report/plots/ranks.c - how stable the order is: ranks when seeds are drawn again. */
#include "lib/mem.h"
#include "lib/stats/bootstrap.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include "report/plots/plot.h"
#include <math.h>
#include <stdlib.h>

enum { WIDTH_PX = 920, ROW_PX = 30, MAX_ROWS = 16, DRAWS = 2000 };

struct strip {
    const struct verdict *v;
    struct rank_stability *ranks; /* in the order of ranking */
    size_t shown;
};

static void write_script(const struct report *r, struct figure *f, const struct strip *s)
{
    struct axis x = {.low = .5, .high = (double)s->v->ranked + .5};
    int height = 80 + (int)s->shown * ROW_PX;
    figure_begin(f, WIDTH_PX, height, .25, .96, 1 - 14.0 / height, 62.0 / height);
    axis_script(&x, 'x', "rank, 1 is best", f);
    if (s->v->ranked <= 20)
        figure_line(f, "set xtics 1");
    buf_str_add(&f->script, "set ytics scale 0 (");
    for (size_t i = 0; i < s->shown; i++)
        buf_printf(&f->script, "%s'%s' %zu", i ? ", " : "",
                   figure_name(f, r->data.groups.items[s->v->ranking[i]].label, 28), i);
    figure_line(f, ") textcolor rgb '" INK "'\nset yrange [%zu.5:-0.5]\n$r << EOD",
                s->shown - 1);
    for (size_t i = 0; i < s->shown; i++)
        figure_line(f, "%s %zu %s %s", gp(s->ranks[i].median), i, gp(s->ranks[i].ci.low),
                    gp(s->ranks[i].ci.high));
    figure_line(f,
                "EOD\nplot $r using 1:2:3:4 with xerrorbars pt -1 lw 5 lc rgb '" GRID
                "', $r using 1:2 with points pt 7 ps 0.9 lc rgb '%s'",
                series_colour(0));
}

static void write_table(const struct report *r, struct figure *f, const struct strip *s)
{
    html_table_open(
        &f->table, NULL, NULL,
        "Configuration|>P(rank 1)|>P(top 3)|>Median rank|>90 % of draws|>Seeds");
    for (size_t i = 0; i < s->v->ranked; i++) {
        const struct rank_stability *k = &s->ranks[i];
        html_row(&f->table);
        html_head_cell(&f->table, "%s", r->data.groups.items[s->v->ranking[i]].label);
        html_number(&f->table, "%.2f", k->first);
        html_number(&f->table, "%.2f", k->top3);
        html_number(&f->table, "%g", k->median);
        html_number(&f->table, "%g to %g", k->ci.low, k->ci.high);
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

/* Draws of three seeds know those three alone and are too sure (coverage .75, reference
 * 2.2), so that the tests have the last word. */
static const char *order_word(const struct verdict *v,
                              const struct rank_stability *leader)
{
    if (leader->first < .95)
        return "cannot tell who is first";
    return v->tied_count == 1
               ? "the first place is stable"
               : word_f("draws know only the seeds that ran; by the tests cannot tell "
                        "it from %s",
                        word_plural(v->tied_count - 1, "other"));
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    struct strip s = {.v = r->matrix.verdicts[r->matrix.main_column]};
    const struct verdict *v = s.v;
    (void)err;
    for (size_t i = 0; i < v->ranked; i++)
        if (v->configs[v->ranking[i]].n_ok < 2)
            return 1; /* a single run cannot vary */
    if (v->ranked < 3)
        return 1;
    struct stat_sample *runs = xcalloc(v->ranked, sizeof *runs);
    s.ranks = xcalloc(v->ranked, sizeof *s.ranks);
    s.shown = v->ranked < MAX_ROWS ? v->ranked : MAX_ROWS;
    for (size_t i = 0; i < v->ranked; i++)
        runs[i] = (struct stat_sample){v->configs[v->ranking[i]].scores,
                                       v->configs[v->ranking[i]].n_ok};
    stat_rank_stability(runs, v->ranked, v->rules.minimize, same_seeds(v), DRAWS,
                        BOOTSTRAP_SEED, s.ranks);
    write_script(r, f, &s);
    write_table(r, f, &s);
    figure_takeaway(f,
                    "%s is first in %.0f %% of draws and among the best three in %.0f %% "
                    "(rank %g to %g in 90 %%); next comes %s, first in %.0f %%: %s.",
                    r->data.groups.items[v->ranking[0]].label, 100 * s.ranks[0].first,
                    100 * s.ranks[0].top3, s.ranks[0].ci.low, s.ranks[0].ci.high,
                    r->data.groups.items[v->ranking[1]].label, 100 * s.ranks[1].first,
                    order_word(v, &s.ranks[0]));
    figure_alt(
        f,
        "Strip of ranks: a row per %s at %s, a dot at the median rank and a bar over "
        "90 %% of %d bootstrap draws of seeds.",
        r->data.by_method ? "method" : "group",
        r->data.columns.items[r->matrix.main_column].label, DRAWS);
    free(runs);
    free(s.ranks);
    return 0;
}

const struct plot plot_ranks = {"ranks", "matrix", "Stability of the order", draw};
