/* report/plot_pareto.c - score against peak memory and against latency: the best
 * configuration of each group with intervals, all others faint. */
#include "lib/mem.h"
#include "lib/str.h"
#include "report/axis.h"
#include "report/pareto.h"
#include "report/words.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_PX = 920, HEIGHT_PX = 500 };
static const double left = 0.09, right = 0.97, top = 0.95, bottom = 0.13;

struct view {
    const char *metric, *axis, *cost_name, *unit;
    double scale; /* shown = value x scale */
    const char *(*text)(double);
};

/* Steps from point to point of the front, in the order of cost. */
static void write_front(struct figure *f, const struct front_point *p, size_t n,
                        double scale)
{
    size_t on = 0;
    const struct front_point **front = xcalloc(n + 1, sizeof *front);
    for (size_t i = 0; i < n; i++) {
        if (!p[i].on_front)
            continue;
        size_t k = on++;
        for (; k > 0 && front[k - 1]->cost.mean > p[i].cost.mean; k--)
            front[k] = front[k - 1];
        front[k] = &p[i];
    }
    figure_line(f, "$front << EOD");
    for (size_t i = 0; i < on; i++) {
        if (i)
            figure_line(f, "%s %s", gp(front[i]->cost.mean * scale),
                        gp(front[i - 1]->score.mean));
        figure_line(f, "%s %s", gp(front[i]->cost.mean * scale),
                    gp(front[i]->score.mean));
    }
    figure_line(f, "EOD");
    free(front);
}

static void write_points(const struct report *r, struct figure *f,
                         const struct front_point *p, size_t n, const struct view *v)
{
    for (size_t i = 0; i < n; i++) {
        const struct spread *x = &p[i].cost, *y = &p[i].score;
        bool bars = isfinite(y->ci.low), wide = isfinite(x->ci.low);
        figure_line(f, "$p%zu << EOD\n%s %s %s %s %s %s\nEOD", i, gp(x->mean * v->scale),
                    gp(y->mean), gp((wide ? x->ci.low : x->mean) * v->scale),
                    gp((wide ? x->ci.high : x->mean) * v->scale),
                    gp(bars ? y->ci.low : y->mean), gp(bars ? y->ci.high : y->mean));
    }
    size_t others = 0;
    struct report_cell *all =
        matrix_variants(&r->data, &r->settings, r->matrix.main_column, &others);
    figure_line(f, "$others << EOD");
    for (size_t i = 0; i < others; i++)
        if (isfinite(cell_spread(&all[i], v->metric).mean))
            figure_line(f, "%s %s", gp(cell_spread(&all[i], v->metric).mean * v->scale),
                        gp(cell_spread(&all[i], r->settings.metric).mean));
    figure_line(f, "EOD");
    matrix_variants_free(all, others);
}

static void write_labels(const struct report *r, struct figure *f,
                         const struct front_point *p, size_t n, const struct axis *x,
                         const struct axis *y, double scale)
{
    double w = (right - left) * WIDTH_PX, h = (top - bottom) * HEIGHT_PX;
    struct place *at = xcalloc(n + 1, sizeof *at);
    for (size_t i = 0; i < n; i++)
        at[i] = (struct place){
            .x = axis_share(x, p[i].cost.mean * scale) * w,
            .y = (1 - axis_share(y, p[i].score.mean)) * h,
            .columns = str_width(r->data.groups.items[p[i].cell->group].label)};
    places_choose(at, n, w, h);
    for (size_t i = 0; i < n; i++)
        if (!at[i].hidden)
            figure_line(f, "set label %zu '%s' at graph %s,%s left tc rgb '" INK "'",
                        i + 1,
                        figure_label(f, r->data.groups.items[p[i].cell->group].label),
                        gp((at[i].x + at[i].dx) / w), gp(1 - (at[i].y + at[i].dy) / h));
    free(at);
}

static void write_table(const struct report *r, struct figure *f,
                        const struct front_point *p, size_t n, const struct view *v)
{
    double delta = r->settings.rules.delta;
    html_table_open(&f->table, NULL, NULL,
                    word_f("Configuration|>%s|>95 %% interval|>%s|>95 %% interval|>Seeds|"
                           "On the front|>P(on the front)",
                           metric_of(r), v->cost_name));
    for (size_t i = 0; i < n; i++) {
        html_row(&f->table);
        html_head_cell(&f->table, "%s", cell_name(r, p[i].cell));
        html_number(&f->table, "%s", word_score(p[i].score.mean, delta));
        html_number(&f->table, "%s", word_range(p[i].score.ci, delta));
        html_number(&f->table, "%s", v->text(p[i].cost.mean));
        html_number(&f->table, "%s",
                    isnan(p[i].cost.ci.low)
                        ? "–"
                        : word_f("%s to %s", v->text(p[i].cost.ci.low),
                                 v->text(p[i].cost.ci.high)));
        html_number(&f->table, "%zu", p[i].score.n);
        html_cell(&f->table, "%s", p[i].on_front ? "yes" : "no");
        html_number(&f->table, "%s",
                    isnan(p[i].probability) ? "–" : word_f("%.2f", p[i].probability));
    }
    html_table_close(&f->table);
}

static void write_script(const struct report *r, struct figure *f,
                         const struct front_point *p, size_t n, const struct view *v)
{
    struct axis x, y;
    axis_init(&x);
    axis_init(&y);
    for (size_t i = 0; i < n; i++) {
        axis_include(&x, p[i].cost.mean * v->scale);
        axis_include(&x, p[i].cost.ci.low * v->scale);
        axis_include(&x, p[i].cost.ci.high * v->scale);
        axis_include(&y, p[i].score.mean);
        axis_include(&y, p[i].score.ci.low);
        axis_include(&y, p[i].score.ci.high);
    }
    axis_close(&x, 0.12, true);
    axis_close(&y, 0.08, false);
    figure_begin(f, WIDTH_PX, HEIGHT_PX, left, right, top, bottom);
    axis_script(&x, 'x',
                word_f("%s, %s%s", v->axis, v->unit, x.log ? " (log scale)" : ""), f);
    axis_script(&y, 'y', figure_label(f, metric_of(r)), f);
    write_points(r, f, p, n, v);
    write_front(f, p, n, v->scale);
    write_labels(r, f, p, n, &x, &y, v->scale);
    buf_str_add(&f->script,
                "plot $others using 1:2 with points pt 7 ps 0.45 lc rgb '" GRID
                "', $front using 1:2 with lines lw 1.2 dt 2 lc rgb '" MUTED "'");
    for (size_t i = 0; i < n; i++)
        buf_printf(&f->script,
                   ", $p%zu using 1:2:3:4:5:6 with xyerrorbars pt -1 lw 1.1 lc rgb '%s', "
                   "$p%zu using 1:2 with points pt %d ps %s lw 1.6 lc rgb '%s'",
                   i, series_colour(i), i, series_shape(i) - (p[i].on_front ? 0 : 1),
                   "1.0", series_colour(i));
    buf_char(&f->script, '\n');
}

static int draw(struct report *r, struct figure *f, const struct view *v)
{
    size_t n;
    struct front_point *p = pareto_front(r, v->metric, &n);
    if (n < 2) {
        free(p);
        return 1;
    }
    write_script(r, f, p, n, v);
    write_table(r, f, p, n, v);
    char *text = pareto_takeaway(r, p, n, v->text, v->cost_name);
    figure_takeaway(f, "%s", text);
    figure_alt(
        f,
        "Scatter plot of %s (up) against %s (right) for %zu configurations with 95 "
        "%% intervals, on %s; a dashed staircase joins those that none beats in "
        "both. Filled marks are on it, hollow ones are not; small dots are the "
        "other configurations tried.",
        metric_of(r), v->cost_name, n,
        r->data.columns.items[r->matrix.main_column].label);
    free(text);
    free(p);
    return 0;
}

static const char *ms_text(double v)
{
    return word_f("%s ms", word_ms(v));
}

static int draw_memory(struct report *r, struct figure *f, struct err *err)
{
    (void)err;
    struct view v = {"mem/planned_bytes", "peak memory, planned and allocated",
                     "peak memory",       "MiB",
                     1.0 / (1 << 20),     word_bytes};
    int rc = draw(r, f, &v);
    if (rc == 0)
        return 0;
    v.metric = "mem/peak_rss_bytes";
    v.axis = "peak resident memory of the process";
    return draw(r, f, &v);
}

static int draw_latency(struct report *r, struct figure *f, struct err *err)
{
    (void)err;
    struct view v = {
        "latency/p50_ms", "latency of one request, p50", "latency (p50)", "ms", 1,
        ms_text};
    return draw(r, f, &v);
}

const struct plot plot_pareto_memory = {"pareto_memory", "pareto", "Score against memory",
                                        draw_memory};
const struct plot plot_pareto_latency = {"pareto_latency", "pareto",
                                         "Score against latency", draw_latency};
