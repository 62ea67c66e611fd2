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
#include <string.h>

enum { MAX_PANELS = 6, LEFT_PX = 62, RIGHT_PX = 20 };
static const double gap = 0.35; /* between panels, in tiles */

/* Panels stand side by side, on a narrow screen one above the other. */
struct layout {
    const struct report *r;
    struct figure *f;
    const struct grid *g;
    double columns, rows;  /* of tiles, with the gaps */
    double tile_w, tile_h; /* pixels */
};

static struct layout layout_of(const struct report *r, struct figure *f,
                               const struct grid *g)
{
    double panels = (double)g->target_count, wide = (double)g->alpha_count,
           high = (double)g->rank_count;
    struct layout l = {.r = r, .f = f, .g = g, .columns = wide, .rows = high};
    if (f->narrow)
        l.rows = panels * (high + 2 * gap) - 2 * gap;
    else
        l.columns = panels * (wide + gap) - gap;
    double room = (f->narrow ? NARROW_PX : WIDE_PX) - LEFT_PX - RIGHT_PX;
    l.tile_w = fmin(118, room / l.columns);
    l.tile_h = l.tile_w >= 100 ? 74 : l.tile_w >= 44 ? 40 : 26;
    return l;
}

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

static double x_at(const struct layout *l, size_t target, size_t alpha)
{
    double panel = l->f->narrow ? 0 : (double)target * ((double)l->g->alpha_count + gap);
    return panel + (double)alpha;
}

/* Upwards; the first panel is the topmost. */
static double y_at(const struct layout *l, size_t target, size_t rank)
{
    size_t below = l->f->narrow ? l->g->target_count - 1 - target : 0;
    return (double)below * ((double)l->g->rank_count + 2 * gap) + (double)rank;
}

static double x_of(const struct layout *l, const struct grid_cell *c)
{
    return x_at(l, c->target, index_of(l->g->alphas, l->g->alpha_count, c->alpha));
}

static double y_of(const struct layout *l, const struct grid_cell *c)
{
    return y_at(l, c->target, index_of(l->g->ranks, l->g->rank_count, c->rank));
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

/* What fits: three lines, the mean, nothing. */
static void write_tile_text(const struct layout *l, size_t i, const char *colour)
{
    struct figure *f = l->f;
    const struct grid_cell *c = &l->g->cells[i];
    const struct verdict_config *v = &l->g->verdict->configs[i];
    double delta = l->r->settings.rules.delta;
    const char *at = word_f("at %s,%s center front tc rgb '%s'", gp(x_of(l, c)),
                            gp(y_of(l, c)), colour);
    const char *mean = word_score(v->mean, delta);
    bool whole = l->tile_w >= 100;
    if (!whole && l->tile_w < 7 * (double)strlen(mean))
        return;
    if (!c->cell.count) {
        figure_line(f, "set label '%s' %s",
                    whole ? word_f("all %zu failed", c->failed) : "–", at);
        return;
    }
    if (!whole) {
        figure_line(f, "set label '%s' %s font ',12'", figure_label(f, mean), at);
        return;
    }
    figure_line(f, "set label '%s' %s offset 0,0.62 font ',15'", figure_label(f, mean),
                at);
    figure_line(
        f, "set label '%s' %s offset 0,-0.25 font ',11'",
        figure_label(f, word_f("s.d. %s, n %zu", word_score(v->sd, delta), v->n_ok)), at);
    figure_line(f, "set label '%s' %s offset 0,-1.0 font ',11'",
                figure_label(f, word_f("scale %.3g", c->scale)), at);
}

static void mark_tile(const struct layout *l, size_t i)
{
    const struct grid_cell *c = &l->g->cells[i];
    const struct verdict_config *v = &l->g->verdict->configs[i];
    double delta = l->r->settings.rules.delta;
    figure_mark(
        l->f, configuration_of(l->r, &c->cell), LEFT_PX + (x_of(l, c) + .5) * l->tile_w,
        l->f->height - l->f->bottom - (y_of(l, c) + .5) * l->tile_h, .48 * l->tile_w,
        .47 * l->tile_h, "%s: %s", grid_cell_name(l->g, i),
        c->cell.count
            ? word_f("%s, s.d. %s, %s, scale %.3g", word_score(v->mean, delta),
                     word_score(v->sd, delta), word_plural(v->n_ok, "seed"), c->scale)
            : word_f("all %zu failed", c->failed));
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

static void write_tiles(const struct layout *l)
{
    const struct grid *g = l->g;
    struct figure *f = l->f;
    int rgb[3];
    figure_line(f, "$none << EOD"); /* what was not run stays an empty frame */
    for (size_t t = 0; t < g->target_count; t++)
        for (size_t a = 0; a < g->alpha_count; a++)
            for (size_t k = 0; k < g->rank_count; k++)
                figure_line(f, "%s %s", gp(x_at(l, t, a)), gp(y_at(l, t, k)));
    figure_line(f, "EOD\n$tiles << EOD");
    for (size_t i = 0; i < g->count; i++) {
        tile_colour(l->r, g, i, rgb);
        figure_line(f, "%s %s %d", gp(x_of(l, &g->cells[i])), gp(y_of(l, &g->cells[i])),
                    rgb[0] << 16 | rgb[1] << 8 | rgb[2]);
        mark_tile(l, i);
    }
    figure_line(f, "EOD\n$tied << EOD");
    for (size_t i = 0; i < g->count; i++)
        if (in_tied_set(g, i))
            figure_line(f, "%s %s", gp(x_of(l, &g->cells[i])), gp(y_of(l, &g->cells[i])));
    figure_line(f, "EOD");
    for (size_t i = 0; i < g->count; i++) {
        tile_colour(l->r, g, i, rgb);
        double light = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
        write_tile_text(l, i, light > 118 ? "#10161c" : "#ffffff");
    }
}

static void write_tics(const struct layout *l)
{
    const struct grid *g = l->g;
    struct figure *f = l->f;
    size_t across = f->narrow ? 1 : g->target_count,
           down = f->narrow ? g->target_count : 1;
    buf_str_add(&f->script, "set xtics scale 0 (");
    for (size_t t = 0; t < across; t++)
        for (size_t a = 0; a < g->alpha_count; a++)
            buf_printf(&f->script, "%s'%s' %s", t || a ? ", " : "", gp(g->alphas[a]),
                       gp(x_at(l, t, a)));
    buf_str_add(&f->script, ")\nset ytics scale 0 (");
    for (size_t t = 0; t < down; t++)
        for (size_t k = 0; k < g->rank_count; k++)
            buf_printf(&f->script, "%s'%s' %s", t || k ? ", " : "", gp(g->ranks[k]),
                       gp(y_at(l, t, k)));
    figure_line(f, ")\nset xlabel 'alpha' tc rgb '" INK
                   "'\nset ylabel 'rank' tc rgb '" INK "'");
    for (size_t t = 0; t < g->target_count; t++)
        figure_line(
            f, "set label '%s' at %s,%s center tc rgb '" INK "'",
            figure_name(f, g->targets[t],
                        (size_t)((double)g->alpha_count * l->tile_w / figure_column(f)) +
                            4),
            gp(x_at(l, t, 0) + ((double)g->alpha_count - 1) / 2),
            gp(y_at(l, t, g->rank_count - 1) + .5 + 12 / l->tile_h));
}

static void write_keys(const struct layout *l)
{
    double low, high, delta = l->r->settings.rules.delta;
    const bool down = l->r->settings.rules.minimize;
    bool failed = false;
    int rgb[3];
    score_span(l->g, &low, &high);
    for (int i = 0; i <= 2; i++) {
        double share = i / 2.0;
        cividis(down ? 1 - share : share, rgb);
        figure_key(
            l->f, KEY_BAR,
            word_f("#%02x%02x%02x", (unsigned)rgb[0], (unsigned)rgb[1], (unsigned)rgb[2]),
            "%s", word_score(low + share * (high - low), delta));
    }
    figure_key(l->f, KEY_FRAME, "#D55E00", "cannot be told from the best");
    for (size_t i = 0; i < l->g->count; i++)
        failed |= !l->g->cells[i].cell.count;
    if (failed)
        figure_key(l->f, KEY_BAR, "#e1e1e1", "all seeds failed");
    if (l->g->count < l->g->rank_count * l->g->alpha_count * l->g->target_count)
        figure_key(l->f, KEY_FRAME, GRID, "not run");
}

static void write_script(const struct report *r, struct figure *f, const struct grid *g)
{
    struct layout l = layout_of(r, f, g);
    double width = f->narrow ? NARROW_PX : WIDE_PX;
    figure_begin(f, (int)(l.rows * l.tile_h) + 96, LEFT_PX,
                 width - LEFT_PX - l.columns * l.tile_w, 34, 62);
    figure_line(f, "unset grid\nset border 0");
    figure_line(f, "set xrange [-0.5:%s]\nset yrange [-0.5:%s]", gp(l.columns - 0.5),
                gp(l.rows - 0.5));
    write_tics(&l);
    write_tiles(&l);
    write_keys(&l);
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
