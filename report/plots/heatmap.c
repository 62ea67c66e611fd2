/* report/plots/heatmap.c - rank x alpha, a panel per set of target modules.
 *
 * Tiles are boxxyerror with colours computed here (cividis), since `with image` shifts
 * cells behind a missing one. Labels on tiles have fixed colours, dark or light by the
 * tile's luminance, and do not follow dark mode. */
#include "lib/mem.h"
#include "report/evidence/rank_alpha.h"
#include "report/page/words.h"
#include "report/plots/plot.h"
#include <math.h>
#include <stdlib.h>

enum { TILE_W = 118, TILE_H = 74, MAX_PANELS = 6 };
static const double gap = 0.35; /* between panels, in tiles */

/* Cividis at 0, 1/8, ... 1 (Nunez et al. 2018), linear between. */
static void cividis(double share, int rgb[3])
{
    static const int stops[][3] = {{0, 34, 78},     {27, 57, 109},   {63, 80, 109},
                                   {92, 103, 112},  {122, 125, 120}, {154, 149, 118},
                                   {188, 174, 108}, {222, 200, 90},  {254, 232, 56}};
    double at = fmin(fmax(share, 0), 1) * 8;
    int i = at >= 8 ? 7 : (int)at;
    for (int c = 0; c < 3; c++)
        rgb[c] = (int)lround(stops[i][c] + (at - i) * (stops[i + 1][c] - stops[i][c]));
}

static size_t index_of(const double *list, size_t n, double v)
{
    size_t i = 0;
    while (i + 1 < n && list[i] != v)
        i++;
    return i;
}

static double x_of(const struct grid *g, const struct grid_cell *c)
{
    return (double)c->target * ((double)g->alpha_count + gap) +
           (double)index_of(g->alphas, g->alpha_count, c->alpha);
}

static double y_of(const struct grid *g, const struct grid_cell *c)
{
    return (double)index_of(g->ranks, g->rank_count, c->rank);
}

static bool in_tied_set(const struct grid *g, size_t cell)
{
    for (size_t i = 0; i < g->verdict->tied_count; i++)
        if (g->verdict->tied[i] == cell)
            return true;
    return false;
}

static void score_span(const struct grid *g, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < g->count; i++)
        if (g->cells[i].cell.count) {
            *low = fmin(*low, g->verdict->configs[i].mean);
            *high = fmax(*high, g->verdict->configs[i].mean);
        }
}

static void write_tile_text(const struct report *r, struct figure *f,
                            const struct grid *g, size_t i, const char *colour)
{
    const struct grid_cell *c = &g->cells[i];
    const struct verdict_config *v = &g->verdict->configs[i];
    double delta = r->settings.rules.delta, x = x_of(g, c), y = y_of(g, c);
    const char *at = word_f("at %s,%s center front tc rgb '%s'", gp(x), gp(y), colour);
    if (!c->cell.count) {
        figure_line(f, "set label 'all %zu failed' %s", c->failed, at);
        return;
    }
    figure_line(f, "set label '%s' %s offset 0,0.62 font ',15'",
                figure_label(f, word_score(v->mean, delta)), at);
    figure_line(
        f, "set label '%s' %s offset 0,-0.25 font ',11'",
        figure_label(f, word_f("s.d. %s, n %zu", word_score(v->sd, delta), v->n_ok)), at);
    figure_line(f, "set label '%s' %s offset 0,-1.0 font ',11'",
                figure_label(f, word_f("scale %.3g", c->scale)), at);
}

/* Colour of a tile by its mean, grey where all seeds failed. */
static void tile_colour(const struct report *r, const struct grid *g, size_t i,
                        int rgb[3])
{
    double low, high, mean = g->verdict->configs[i].mean;
    score_span(g, &low, &high);
    double share = high > low ? (mean - low) / (high - low) : 0.5;
    rgb[0] = rgb[1] = rgb[2] = 225;
    if (g->cells[i].cell.count)
        cividis(r->settings.rules.minimize ? 1 - share : share, rgb);
}

static void write_tiles(const struct report *r, struct figure *f, const struct grid *g)
{
    int rgb[3];
    figure_line(f, "$none << EOD"); /* what was not run stays an empty frame */
    for (size_t t = 0; t < g->target_count; t++)
        for (size_t a = 0; a < g->alpha_count; a++)
            for (size_t k = 0; k < g->rank_count; k++)
                figure_line(f, "%s %zu",
                            gp((double)t * ((double)g->alpha_count + gap) + (double)a),
                            k);
    figure_line(f, "EOD\n$tiles << EOD");
    for (size_t i = 0; i < g->count; i++) {
        tile_colour(r, g, i, rgb);
        figure_line(f, "%s %s %d", gp(x_of(g, &g->cells[i])), gp(y_of(g, &g->cells[i])),
                    rgb[0] << 16 | rgb[1] << 8 | rgb[2]);
    }
    figure_line(f, "EOD\n$tied << EOD");
    for (size_t i = 0; i < g->count; i++)
        if (in_tied_set(g, i))
            figure_line(f, "%s %s", gp(x_of(g, &g->cells[i])), gp(y_of(g, &g->cells[i])));
    figure_line(f, "EOD");
    for (size_t i = 0; i < g->count; i++) {
        tile_colour(r, g, i, rgb);
        double light = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
        write_tile_text(r, f, g, i, light > 118 ? "#10161c" : "#ffffff");
    }
}

static void write_tics(struct figure *f, const struct grid *g)
{
    buf_str_add(&f->script, "set xtics scale 0 (");
    for (size_t t = 0; t < g->target_count; t++)
        for (size_t a = 0; a < g->alpha_count; a++)
            buf_printf(&f->script, "%s'%s' %s", t || a ? ", " : "", gp(g->alphas[a]),
                       gp((double)t * ((double)g->alpha_count + gap) + (double)a));
    buf_str_add(&f->script, ")\nset ytics scale 0 (");
    for (size_t k = 0; k < g->rank_count; k++)
        buf_printf(&f->script, "%s'%s' %zu", k ? ", " : "", gp(g->ranks[k]), k);
    figure_line(f, ")\nset xlabel 'alpha' tc rgb '" INK
                   "'\nset ylabel 'rank' tc rgb '" INK "'");
    for (size_t t = 0; t < g->target_count; t++)
        figure_line(f, "set label '%s' at %s,%s center tc rgb '" INK "'",
                    figure_label(f, g->targets[t]),
                    gp((double)t * ((double)g->alpha_count + gap) +
                       ((double)g->alpha_count - 1) / 2),
                    gp((double)g->rank_count - 0.5 + 16.0 / TILE_H));
}

static void write_script(const struct report *r, struct figure *f, const struct grid *g)
{
    double tiles = (double)g->target_count * ((double)g->alpha_count + gap) - gap;
    double wide = fmax(tiles * TILE_W, 200);
    int width = (int)wide + 90, height = (int)g->rank_count * TILE_H + 96;
    figure_begin(f, width, height, 62.0 / width, 1 - 28.0 / width, 1 - 34.0 / height,
                 62.0 / height);
    figure_line(f, "unset grid\nset border 0");
    figure_line(f, "set xrange [-0.5:%s]\nset yrange [-0.5:%s]", gp(tiles - 0.5),
                gp((double)g->rank_count - 0.5));
    write_tics(f, g);
    write_tiles(r, f, g);
    figure_line(f,
                "plot $none using 1:2:(0.48):(0.47) with boxxyerror fs empty border rgb "
                "'" GRID "' lc rgb '" GRID "' lw 0.8, $tiles using 1:2:(0.48):(0.47):3 "
                "with boxxyerror fs solid noborder lc rgb variable, $tied using "
                "1:2:(0.48):(0.47) with boxxyerror fs empty border rgb '#D55E00' lc rgb "
                "'#D55E00' lw 3");
}

static void write_table(const struct report *r, struct figure *f, const struct grid *g)
{
    double delta = r->settings.rules.delta;
    html_table_open(&f->table, NULL, NULL,
                    "Target modules|>Rank|>Alpha|>Scale|>Mean|>s.d.|>95 % interval|>Good "
                    "seeds|>Failed|In the tied set");
    for (size_t i = 0; i < g->count; i++) {
        const struct grid_cell *c = &g->cells[i];
        const struct verdict_config *v = &g->verdict->configs[i];
        html_row(&f->table);
        html_head_cell(&f->table, "%s", g->targets[c->target]);
        html_number(&f->table, "%g", c->rank);
        html_number(&f->table, "%g", c->alpha);
        html_number(&f->table, "%.3g", c->scale);
        html_number(&f->table, "%s", word_score(v->mean, delta));
        html_number(&f->table, "%s", word_score(v->sd, delta));
        html_number(&f->table, "%s", word_range(v->ci, delta));
        html_number(&f->table, "%zu", c->cell.count);
        html_number(&f->table, "%zu", c->failed);
        html_cell(&f->table, "%s", in_tied_set(g, i) ? "yes" : "no");
    }
    html_table_close(&f->table);
}

static void write_takeaway(const struct report *r, struct figure *f, const struct grid *g)
{
    const struct verdict *v = g->verdict;
    double delta = r->settings.rules.delta;
    size_t best = v->ranking[0], worst = v->ranking[v->ranked - 1];
    const struct verdict_pair *p = verdict_find(v, best, worst);
    figure_takeaway(
        f,
        "%s has the %s mean, %s; %zu of %zu cells cannot be told from "
        "it (outlined); "
        "the %s is %s away (%s): %s.",
        grid_cell_name(g, best), best_word(r), word_score(v->configs[best].mean, delta),
        v->tied_count - 1, v->ranked, worst_word(r), word_score(p->diff, delta),
        pair_evidence(r, p),
        p->word == VERDICT_BETTER       ? "the choice matters"
        : p->word == VERDICT_EQUIVALENT ? "the choice does not matter here"
                                        : "cannot tell whether the choice matters");
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    struct grid *g = grid_new(r);
    (void)err;
    if (!g || g->verdict->ranked < 2 || g->target_count > MAX_PANELS ||
        g->rank_count * g->alpha_count * g->target_count > 200) {
        grid_free(g);
        return 1;
    }
    write_script(r, f, g);
    write_table(r, f, g);
    write_takeaway(r, f, g);
    figure_alt(
        f,
        "Heatmap for %s at %s: ranks upwards, alphas to the right, a panel per set "
        "of target modules; each cell gives the mean %s, its standard deviation, "
        "the number of seeds and the effective scale.",
        r->data.groups.items[g->group].label,
        r->data.columns.items[r->matrix.main_column].label, metric_of(r));
    grid_free(g);
    return 0;
}

const struct plot plot_heatmap = {"heatmap", "tradeoff", "Rank and alpha", draw};
