/* report/plots/tornado_bars.c - bars of how far each input alone moves the cost. */
#include "report/plots/axis.h"
#include "report/cost/tornado.h"
#include "report/page/words.h"
#include "report/plots/plot.h"
#include <math.h>

enum { ROW_PX = 44 };

static void write_script(struct figure *f, const struct tornado *t)
{
    struct axis x;
    axis_init(&x);
    axis_include(&x, t->base);
    for (size_t i = 0; i < t->count; i++) {
        axis_include(&x, t->bars[i].low);
        axis_include(&x, t->bars[i].high);
    }
    axis_close(&x, .06, false);
    const char *names[TORNADO_BARS];
    for (size_t i = 0; i < t->count; i++)
        names[i] = t->bars[i].input;
    figure_begin_rows(f, names, t->count, ROW_PX);
    axis_script(&x, 'x', t->what, f);
    for (size_t i = 0; i < t->count; i++) {
        double from = figure_x(f, &x, t->bars[i].low),
               to = figure_x(f, &x, t->bars[i].high);
        figure_mark(f, CONFIGURATION_NONE, (from + to) / 2, figure_row(f, (double)i),
                    (to - from) / 2, .3 * ROW_PX, "%s (%s): %s", t->bars[i].input,
                    t->bars[i].range, word_usd_range(t->bars[i].low, t->bars[i].high));
    }
    figure_key(f, KEY_BAR, series_colour(0),
               "when this input alone goes through its range");
    figure_key(f, KEY_LINE, INK, "base, %s", word_usd(t->base));
    figure_line(f, "$bars << EOD");
    for (size_t i = 0; i < t->count; i++)
        figure_line(f, "%s %zu %s %s %g %g", gp(t->base), i, gp(t->bars[i].low),
                    gp(t->bars[i].high), (double)i - .3, (double)i + .3);
    figure_line(
        f,
        "EOD\nset arrow 1 from graph %s,0 to graph %s,1 nohead front lw 1.2 lc rgb "
        "'" INK "'\nplot $bars using 1:2:3:4:5:6 with boxxyerror fs solid %s "
        "noborder lc rgb '%s'",
        gp(axis_share(&x, t->base)), gp(axis_share(&x, t->base)),
        t->predicted ? "0.35" : "0.75", series_colour(0));
}

static void write_table(struct figure *f, const struct tornado *t)
{
    html_table_open(&f->table, NULL, NULL,
                    word_f("Input|Range|>%s, low|>Base|>High|Kind", t->what));
    for (size_t i = 0; i < t->count; i++) {
        html_row(&f->table);
        html_head_cell(&f->table, "%s", t->bars[i].input);
        html_cell(&f->table, "%s", t->bars[i].range);
        html_number(&f->table, "%s", word_usd(t->bars[i].low));
        html_number(&f->table, "%s", word_usd(t->base));
        html_number(&f->table, "%s", word_usd(t->bars[i].high));
        html_cell(&f->table, "%s", t->predicted ? "predicted" : "computed");
    }
    html_table_close(&f->table);
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    struct tornado t;
    (void)err;
    if (!cost_tornado(r, &t) || !(t.bars[0].high > t.bars[0].low))
        return 1;
    write_script(f, &t);
    write_table(f, &t);
    figure_takeaway(f,
                    "%s %s is %s at %s; what moves it most is the %s (%s): from %s to "
                    "%s, all else unchanged.",
                    t.costs, r->data.groups.items[t.of->group].label,
                    t.predicted ? "predicted" : "put", word_usd(t.base), t.bars[0].input,
                    t.bars[0].range, word_usd(t.bars[0].low), word_usd(t.bars[0].high));
    figure_alt(
        f,
        "Tornado chart: for each of %zu inputs a bar from the lowest to the highest "
        "%s when that input alone goes through its range, widest on top, around a "
        "line at the base.",
        t.count, t.what);
    return 0;
}

const struct plot plot_tornado = {"tornado", "cost", "What the cost depends on", draw};
