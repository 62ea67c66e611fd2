/* report/plots/gpu_cost.c - what a training run of the leading configuration costs: this
 * machine measured, GPUs predicted as low-base-high bars. */
#include "lib/mem.h"
#include "report/cost/cost.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include "report/plots/plot.h"
#include <math.h>
#include <stdlib.h>

enum { ROW_PX = 28 };

static size_t predict_all(const struct report *r, const struct report_cell *c,
                          struct gpu_cost *out)
{
    size_t n = 0;
    for (size_t i = 0; i < r->catalog.gpu_count; i++) {
        predict_gpu(r, c, &r->catalog.gpus[i], &out[n]);
        if (out[n].fit != FIT_NO && isfinite(out[n].run_usd.base))
            n++;
    }
    for (size_t i = 1; i < n; i++) /* cheapest first */
        for (size_t k = i; k > 0 && out[k - 1].run_usd.base > out[k].run_usd.base; k--) {
            struct gpu_cost t = out[k];
            out[k] = out[k - 1];
            out[k - 1] = t;
        }
    return n;
}

static void write_script(struct figure *f, const struct gpu_cost *g, size_t n,
                         double here)
{
    struct axis x;
    axis_init(&x);
    axis_include(&x, here);
    for (size_t i = 0; i < n; i++) {
        axis_include(&x, g[i].run_usd.low);
        axis_include(&x, g[i].run_usd.high);
    }
    axis_close(&x, 0.05, true);
    const char **names = xcalloc(n + 1, sizeof *names);
    names[0] = "this machine";
    for (size_t i = 0; i < n; i++)
        names[i + 1] = g[i].gpu->name;
    figure_begin_rows(f, names, n + 1, ROW_PX);
    free(names);
    axis_script(&x, 'x', x.log ? "USD per run (log scale)" : "USD per run", f);
    figure_mark(f, CONFIGURATION_NONE, figure_x(f, &x, here), figure_row(f, 0), 8, 8,
                "this machine: %s, measured time", word_usd(here));
    for (size_t i = 0; i < n; i++) {
        double from = figure_x(f, &x, g[i].run_usd.low),
               to = figure_x(f, &x, g[i].run_usd.high);
        figure_mark(f, CONFIGURATION_NONE, (from + to) / 2, figure_row(f, (double)i + 1),
                    (to - from) / 2 + 4, ROW_PX / 3.0, "%s: %s, from %s; predicted",
                    g[i].gpu->name, word_usd(g[i].run_usd.base),
                    word_usd_range(g[i].run_usd.low, g[i].run_usd.high));
    }
    figure_key(f, KEY_DOT, "#0072B2", "measured here");
    figure_key(f, KEY_RING, SERIES_6, "predicted");
    figure_key(f, KEY_DASHED, SERIES_6, "lowest to highest of the prediction");
    figure_line(f, "$here << EOD\n%s 0\nEOD\n$gpus << EOD", gp(here));
    for (size_t i = 0; i < n; i++)
        figure_line(f, "%s %zu %s %s", gp(g[i].run_usd.base), i + 1, gp(g[i].run_usd.low),
                    gp(g[i].run_usd.high));
    figure_line(
        f, "EOD\nplot $gpus using 1:2:3:4 with xerrorbars pt -1 lw 1.4 dt 2 lc rgb "
           "'" SERIES_6 "', $gpus using 1:2 with points pt 6 ps 0.9 lw 1.6 lc rgb "
           "'" SERIES_6 "', $here using 1:2 with points pt 7 ps 1.1 lc rgb '#0072B2'");
}

static void write_table(struct figure *f, const struct gpu_cost *g, size_t n, double here)
{
    html_table_open(&f->table, NULL, NULL,
                    "Where|>Low, USD per run|>Base|>High|>Prices|Kind");
    html_row(&f->table);
    html_head_cell(&f->table, "this machine");
    html_number(&f->table, "–");
    html_number(&f->table, "%s", word_usd(here));
    html_number(&f->table, "–");
    html_number(&f->table, "–");
    html_cell(&f->table, "measured");
    for (size_t i = 0; i < n; i++) {
        html_row(&f->table);
        html_head_cell(&f->table, "%s", g[i].gpu->name);
        html_number(&f->table, "%s", word_usd(g[i].run_usd.low));
        html_number(&f->table, "%s", word_usd(g[i].run_usd.base));
        html_number(&f->table, "%s", word_usd(g[i].run_usd.high));
        html_number(&f->table, "%zu", g[i].price.rows);
        html_cell(&f->table, "predicted");
    }
    html_table_close(&f->table);
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    const struct matrix *m = &r->matrix;
    const struct verdict *v = m->verdicts[m->main_column];
    (void)err;
    if (!v->ranked)
        return 1;
    const struct report_cell *c = matrix_cell(m, m->main_column, v->ranking[0]);
    struct gpu_cost *g = xcalloc(r->catalog.gpu_count + 1, sizeof *g);
    size_t n = predict_all(r, c, g);
    double here = cell_run_usd(r, c);
    if (n == 0 || !isfinite(here)) {
        free(g);
        return 1;
    }
    write_script(f, g, n, here);
    write_table(f, g, n, here);
    figure_takeaway(
        f,
        "%s costs %s per run on this machine (measured time, assumed price); the "
        "cheapest "
        "GPU, %s, is predicted at %s (%s): %s.",
        cell_name(r, c), word_usd(here), g[0].gpu->name, word_usd(g[0].run_usd.base),
        word_usd_range(g[0].run_usd.low, g[0].run_usd.high),
        here < g[0].run_usd.low    ? "this machine is cheaper over the whole range"
        : here > g[0].run_usd.high ? "the GPU is cheaper over the whole range"
                                   : "cannot tell which is cheaper");
    figure_alt(f,
               "Range bars of the predicted cost of one training run on %zu GPUs, low "
               "to high with the base as a hollow mark, and the measured cost on this "
               "machine as a filled mark.",
               n);
    free(g);
    return 0;
}

const struct plot plot_gpu_cost = {"gpu_cost", "cost", "Cost of a training run", draw};
