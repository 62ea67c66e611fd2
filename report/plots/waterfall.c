/* report/plots/waterfall.c - where the cost of a training run comes from: set-up,
 * training and evaluation of the best configuration, each bar on top of the one
 * before. */
#include "lib/mem.h"
#include "report/cost/cost.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include "report/plots/plot.h"
#include <math.h>

enum { HEIGHT_PX = 340, BARS = 4 };

struct bar {
    const char *name;
    double low, high, seconds; /* USD */
};

/* Runs of small models cost so little that a thousand are shown. */
static void write_script(struct figure *f, const struct bar *bars)
{
    const struct axis x = {.low = -.6, .high = BARS - 1 + .4};
    struct axis y;
    double scale = bars[BARS - 1].high < .01 ? 1000 : 1;
    axis_init(&y);
    axis_include(&y, 0);
    axis_include(&y, bars[BARS - 1].high * 1.2 * scale);
    axis_close(&y, 0, false);
    figure_begin(f, HEIGHT_PX, f->narrow ? 62 : 90, 16, 14, 44);
    axis_script(&y, 'y', scale > 1 ? "USD per 1,000 runs" : "USD per run", f);
    figure_line(f, "set xrange [%s:%s]\nset xtics scale 0 (%s) textcolor rgb '" INK "'",
                gp(x.low), gp(x.high),
                "'set-up' 0, 'training' 1, 'evaluation' 2, 'run' 3");
    for (int i = 0; i < BARS; i++) {
        figure_line(f, "$b%d << EOD\n%d %s %d.3 %d.7 %s %s\nEOD", i, i, gp(bars[i].high),
                    i, i, gp(bars[i].low * scale), gp(bars[i].high * scale));
        /* on two lines, which four bars have room for on any screen */
        figure_line(
            f, "set label %d \"%s\\n%s\" at %d,%s center offset 0,1.6 tc rgb '" INK "'",
            i + 1, figure_label(f, word_usd(bars[i].high - bars[i].low)),
            figure_label(f, word_seconds(bars[i].seconds)), i, gp(bars[i].high * scale));
        double top = figure_y(f, &y, bars[i].high * scale),
               low = figure_y(f, &y, bars[i].low * scale);
        figure_mark(f, CONFIGURATION_NONE, figure_x(f, &x, i), (top + low) / 2,
                    .32 * (f->width - f->left - f->right) / BARS, (low - top) / 2,
                    "%s: %s, %s", bars[i].name, word_usd(bars[i].high - bars[i].low),
                    word_seconds(bars[i].seconds));
    }
    figure_key(f, KEY_BAR, series_colour(0),
               "each part on top of those before; the run is "
               "their sum");
    buf_str_add(&f->script, "plot ");
    for (int i = 0; i < BARS; i++)
        buf_printf(&f->script,
                   "%s$b%d using ($1):2:($1-0.32):($1+0.32):5:6 with boxxyerror fs solid "
                   "%s noborder lc rgb '%s'",
                   i ? ", " : "", i, i == BARS - 1 ? "1" : "0.75", series_colour(0));
    buf_char(&f->script, '\n');
}

static void write_table(struct figure *f, const struct bar *bars)
{
    html_table_open(&f->table, NULL, NULL, "Part|>Time|>USD|>Share of the run");
    for (int i = 0; i < BARS; i++) {
        html_row(&f->table);
        html_head_cell(&f->table, "%s", bars[i].name);
        html_number(&f->table, "%s", word_seconds(bars[i].seconds));
        html_number(&f->table, "%s", word_usd(bars[i].high - bars[i].low));
        html_number(&f->table, "%.0f %%", 100 * bars[i].seconds / bars[BARS - 1].seconds);
    }
    html_table_close(&f->table);
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    const struct report_cell *c = report_leader(r);
    (void)err;
    if (!c)
        return 1;
    struct run_cost k = cell_run_cost(r, c);
    double rate = k.usd / k.total_s, at = 0;
    struct bar bars[BARS] = {{"set-up", 0, 0, k.setup_s},
                             {"training", 0, 0, k.train_s},
                             {"evaluation", 0, 0, isnan(k.eval_s) ? 0 : k.eval_s},
                             {"run", 0, 0, k.total_s}};
    if (!(k.usd > 0) || !(k.train_s > 0))
        return 1;
    for (int i = 0; i < BARS; i++) {
        bars[i].low = i == BARS - 1 ? 0 : at;
        at += bars[i].seconds * rate;
        bars[i].high = i == BARS - 1 ? k.usd : at;
    }
    struct spread train = cell_spread(c, "time/train_s");
    write_script(f, bars);
    write_table(f, bars);
    figure_takeaway(f,
                    "Training takes %.0f %% of the %s that a run of %s costs (%s of %s; "
                    "95 %% %s): the rest is set-up and evaluation.",
                    100 * k.train_s / k.total_s, word_usd(k.usd),
                    r->data.groups.items[c->group].label, word_seconds(k.train_s),
                    word_seconds(k.total_s),
                    isnan(train.ci.low) ? "unknown, one seed"
                                        : word_f("%s to %s", word_seconds(train.ci.low),
                                                 word_seconds(train.ci.high)));
    figure_alt(f,
               "Waterfall of the cost of a training run of %s: bars for set-up, training "
               "and evaluation, each starting where the one before ends, and the whole "
               "run beside them.",
               r->data.groups.items[c->group].label);
    return 0;
}

const struct plot plot_waterfall = {"waterfall", "cost", "What a training run is made of",
                                    draw};
