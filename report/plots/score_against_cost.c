/* report/plots/score_against_cost.c - score against peak memory and against latency: the
 * best configuration of each group with intervals, all others faint. */
#include "lib/mem.h"
#include "lib/str.h"
#include "report/evidence/front.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_PX = 920, HEIGHT_PX = 500 };
static const double left = 0.09, right = 0.97, top = 0.95, bottom = 0.13;

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
                         const struct front_point *p, size_t n,
                         const struct front_axis *v)
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
        if (isfinite(cell_cost(r, &all[i], v).mean))
            figure_line(f, "%s %s", gp(cell_cost(r, &all[i], v).mean * v->scale),
                        gp(cell_spread(&all[i], r->settings.metric).mean));
    figure_line(f, "EOD");
    matrix_variants_free(all, others);
}

enum { NAME_COLUMNS = 24 };

static size_t name_columns(const struct report *r, const struct front_point *p)
{
    size_t n = str_width(r->data.groups.items[p->cell->group].label);
    return n < NAME_COLUMNS ? n : NAME_COLUMNS;
}

static void write_labels(const struct report *r, struct figure *f,
                         const struct front_point *p, size_t n, const struct axis *x,
                         const struct axis *y, double scale)
{
    double w = (right - left) * WIDTH_PX, h = (top - bottom) * HEIGHT_PX;
    struct place *at = xcalloc(n + 1, sizeof *at);
    for (size_t i = 0; i < n; i++)
        at[i] = (struct place){.x = axis_share(x, p[i].cost.mean * scale) * w,
                               .y = (1 - axis_share(y, p[i].score.mean)) * h,
                               .columns = name_columns(r, &p[i])};
    places_choose(at, n, w, h);
    for (size_t i = 0; i < n; i++)
        if (!at[i].hidden)
            figure_line(f, "set label %zu '%s' at graph %s,%s left tc rgb '" INK "'",
                        i + 1,
                        figure_name(f, r->data.groups.items[p[i].cell->group].label,
                                    NAME_COLUMNS),
                        gp((at[i].x + at[i].dx) / w), gp(1 - (at[i].y + at[i].dy) / h));
    free(at);
}

static void write_table(const struct report *r, struct figure *f,
                        const struct front_point *p, size_t n, const struct front_axis *v)
{
    double delta = r->settings.rules.delta;
    html_table_open(&f->table, NULL, NULL,
                    word_f("Configuration|>%s|>95 %% interval|>%s|>95 %% interval|>Seeds|"
                           "On the front|>P(on the front)|Knee",
                           metric_of(r), v->name));
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
        html_cell(&f->table, "%s", p[i].knee ? "within one s.e. of the best" : "");
    }
    html_table_close(&f->table);
}

enum membership { SOLID, HOLLOW, FAINT };

static enum membership membership_of(const struct front_point *p)
{
    if (isnan(p->probability))
        return p->on_front ? SOLID : HOLLOW;
    return p->probability >= .5 ? SOLID : p->probability >= .1 ? HOLLOW : FAINT;
}

/* What is on the axis, where it is not always the same number. */
static const char *axis_name(const struct report *r, const struct front_axis *v)
{
    bool planned = str_eq(r->settings.memory_key, "mem/planned_bytes"), p99 = true;
    for (size_t i = 0; i < r->data.count; i++) {
        if (trial_is_good(&r->data.trials[i], &r->settings))
            p99 &= isfinite(trial_metric(&r->data.trials[i], "latency/p99_high_ms"));
    }
    return str_eq(v->id, "memory")
               ? planned ? "peak memory, planned and allocated" : "peak memory"
           : str_eq(v->id, "latency")
               ? word_f("latency of one request, %s", p99 ? "p99" : "p50")
               : "training run";
}

/* Shades what the service levels allow: above the floor, left of the limit. */
static void write_region(const struct report *r, struct figure *f,
                         const struct front_axis *v, const struct axis *x,
                         const struct axis *y)
{
    double floor = sla_number(r->sla, "quality_floor"), limit = NAN;
    if (str_eq(v->id, "memory"))
        limit = sla_number(r->sla, "memory_limit_mib");
    else if (str_eq(v->id, "usd"))
        limit = sla_number(r->sla, "budget_usd_per_run");
    if (isnan(floor) && isnan(limit))
        return;
    bool down = r->settings.rules.minimize;
    double right_edge = isnan(limit) ? x->high : fmin(limit, x->high),
           low = isnan(floor) || down ? y->low : fmax(floor, y->low),
           high = isnan(floor) || !down ? y->high : fmin(floor, y->high);
    if (right_edge > x->low && low < high)
        figure_line(f,
                    "set object 1 rectangle from %s,%s to %s,%s behind fillcolor rgb "
                    "'#009E73' fillstyle transparent solid 0.10 noborder",
                    gp(x->low), gp(low), gp(right_edge), gp(high));
}

static void write_script(const struct report *r, struct figure *f,
                         const struct front_point *p, size_t n,
                         const struct front_axis *v)
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
                word_f("%s, %s%s", axis_name(r, v), v->unit, x.log ? " (log scale)" : ""),
                f);
    axis_script(&y, 'y', figure_label(f, metric_of(r)), f);
    write_points(r, f, p, n, v);
    write_front(f, p, n, v->scale);
    write_region(r, f, v, &x, &y);
    write_labels(r, f, p, n, &x, &y, v->scale);
    buf_str_add(&f->script,
                "plot $others using 1:2 with points pt 7 ps 0.45 lc rgb '" GRID
                "', $front using 1:2 with lines lw 1.2 dt 2 lc rgb '" MUTED "'");
    for (size_t i = 0; i < n; i++) {
        enum membership how = membership_of(&p[i]);
        const char *colour = how == FAINT ? MUTED : series_colour(i);
        buf_printf(&f->script,
                   ", $p%zu using 1:2:3:4:5:6 with xyerrorbars pt -1 lw %s lc rgb '%s', "
                   "$p%zu using 1:2 with points pt %d ps %s lw 1.6 lc rgb '%s'",
                   i, how == FAINT ? "0.6" : "1.1", colour, i,
                   series_shape(i) - (how == SOLID ? 0 : 1), how == FAINT ? "0.6" : "1.0",
                   colour);
    }
    buf_char(&f->script, '\n');
}

static int draw(struct report *r, struct figure *f, const char *id)
{
    size_t n;
    const struct front_axis *axis = front_axis_find(id);
    struct front_point *p = pareto_front(r, axis, &n);
    if (n < 2) {
        free(p);
        return 1;
    }
    write_script(r, f, p, n, axis);
    write_table(r, f, p, n, axis);
    char *text = pareto_takeaway(r, p, n, axis);
    figure_takeaway(f, "%s", text);
    figure_alt(
        f,
        "Scatter plot of %s (up) against %s (right) for %zu configurations with 95 "
        "%% intervals, on %s; a dashed staircase joins those that none beats in "
        "both. Filled marks are on it with probability .5 or more, hollow ones with "
        ".1 to .5, small grey ones with less; small dots are the other "
        "configurations tried.",
        metric_of(r), axis->name, n, r->data.columns.items[r->matrix.main_column].label);
    free(text);
    free(p);
    return 0;
}

static int draw_memory(struct report *r, struct figure *f, struct err *err)
{
    (void)err;
    return draw(r, f, "memory");
}

static int draw_usd(struct report *r, struct figure *f, struct err *err)
{
    (void)err;
    return draw(r, f, "usd");
}

static int draw_latency(struct report *r, struct figure *f, struct err *err)
{
    (void)err;
    return draw(r, f, "latency");
}

const struct plot plot_pareto_memory = {"pareto_memory", "pareto", "Score against memory",
                                        draw_memory};
const struct plot plot_pareto_usd = {"pareto_usd", "pareto",
                                     "Score against the price of a run", draw_usd};
const struct plot plot_pareto_latency = {"pareto_latency", "pareto",
                                         "Score against latency", draw_latency};
