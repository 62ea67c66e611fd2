/* report/plots/curves.c - training loss and evaluation score by update: mean over seeds
 * with a t band, for the best configuration of each group.
 *
 * Long series are smoothed by means over equal windows of updates, so that a curve has at
 * most 30 points; the sentence below the figure names the window. */
#include "lib/json.h"
#include "lib/mem.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include "report/plots/plot.h"
#include <math.h>
#include <stdlib.h>

enum { HEIGHT_PX = 420, HEIGHT_NARROW_PX = 340, POINTS = 30, MAX_SEEDS = 256 };

/* Window means of one configuration: per window and seed. */
struct curve {
    const struct report_cell *cell;
    double sum[POINTS][MAX_SEEDS];
    size_t hits[POINTS][MAX_SEEDS];
};

static struct spread window_spread(const struct curve *c, size_t window)
{
    double v[MAX_SEEDS];
    struct spread s = {.mean = NAN, .ci = {NAN, NAN}};
    for (size_t k = 0; k < c->cell->count && k < MAX_SEEDS; k++)
        if (c->hits[window][k])
            v[s.n++] = c->sum[window][k] / (double)c->hits[window][k];
    if (s.n) {
        s.mean = stat_mean(v, s.n);
        if (s.n >= 3) /* the interval of two seeds would hide all curves */
            s.ci = stat_t_interval(v, s.n, 0.95);
    }
    return s;
}

static int64_t last_step(const json_t *rows)
{
    int64_t last = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        int64_t step = json_integer_value(json_array_get(json_array_get(rows, i), 1));
        last = step > last ? step : last;
    }
    return last;
}

static void add_point(struct curve *curves, size_t n, const json_t *row, int64_t width)
{
    int64_t id = json_integer_value(json_array_get(row, 0)),
            step = json_integer_value(json_array_get(row, 1));
    double v = json_number_value(json_array_get(row, 2));
    size_t window = (size_t)((step > 0 ? step - 1 : 0) / width);
    if (!json_is_number(json_array_get(row, 2)) || window >= POINTS)
        return;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < curves[i].cell->count && k < MAX_SEEDS; k++)
            if (curves[i].cell->trials[k]->id == id) {
                curves[i].sum[window][k] += v;
                curves[i].hits[window][k]++;
            }
}

static json_t *trial_ids(const struct curve *curves, size_t n)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < curves[i].cell->count; k++)
            json_array_append_new(ids, json_integer(curves[i].cell->trials[k]->id));
    return ids;
}

/* The best configurations of the main column, best first. Caller frees. */
static struct curve *choose_curves(const struct report *r, size_t *count)
{
    const struct matrix *m = &r->matrix;
    const struct verdict *v = m->verdicts[m->main_column];
    struct curve *c = xcalloc(v->ranked + 1, sizeof *c);
    *count = v->ranked < 8 ? v->ranked : 8;
    for (size_t i = 0; i < *count; i++)
        c[i].cell = matrix_cell(m, m->main_column, v->ranking[i]);
    return c;
}

/* ---- the picture ---- */

static double step_of(size_t window, int64_t width)
{
    return (double)(int64_t)window * (double)width + (double)(width + 1) / 2;
}

static void include_values(const struct curve *c, size_t n, struct axis *y)
{
    for (size_t i = 0; i < n; i++)
        for (size_t w = 0; w < POINTS; w++) {
            struct spread s = window_spread(&c[i], w);
            axis_include(y, s.mean);
            /* a wild band of few seeds shall not flatten the curves */
            if (isfinite(s.ci.low) && s.ci.high - s.ci.low < 2 * fabs(s.mean)) {
                axis_include(y, s.ci.low);
                axis_include(y, s.ci.high);
            }
        }
}

static void write_curve(const struct report *r, struct figure *f, const struct curve *c,
                        size_t i, int64_t width, const struct axis *x,
                        const struct axis *y)
{
    double end = NAN;
    figure_line(f, "$c%zu << EOD", i);
    figure_trace_begin(f, configuration_of(r, c->cell));
    for (size_t w = 0; w < POINTS; w++) {
        struct spread s = window_spread(c, w);
        bool band = isfinite(s.ci.low);
        if (!s.n)
            continue;
        figure_line(f, "%s %s %s %s", gp(step_of(w, width)), gp(s.mean),
                    gp(band ? s.ci.low : s.mean), gp(band ? s.ci.high : s.mean));
        figure_trace(f, figure_x(f, x, step_of(w, width)), figure_y(f, y, s.mean));
        end = s.mean;
    }
    figure_line(f, "EOD");
    figure_trace_end(f, "%s: %.3g at the end", cell_name(r, c->cell), end);
    figure_key_series(f, i, false, true, r->data.groups.items[c->cell->group].label);
}

static void write_script(const struct report *r, struct figure *f, const struct curve *c,
                         size_t n, int64_t width, int64_t last, const char *name)
{
    struct axis x = {.low = 0, .high = (double)last}, y;
    axis_init(&y);
    include_values(c, n, &y);
    axis_close(&y, 0.04, false);
    figure_begin(f, f->narrow ? HEIGHT_NARROW_PX : HEIGHT_PX, f->narrow ? 58 : 76, 20, 14,
                 66);
    axis_script(&x, 'x', "update", f);
    axis_script(&y, 'y', name, f);
    for (size_t i = 0; i < n; i++)
        write_curve(r, f, &c[i], i, width, &x, &y);
    figure_key(f, KEY_BAND, series_colour(0), "95 %% interval over seeds");
    for (size_t i = n; i-- > 0;) /* the best on top */
        buf_printf(&f->script,
                   "%s$c%zu using 1:3:4 with filledcurves fs transparent solid 0.14 "
                   "noborder lc rgb '%s', $c%zu using 1:2 with lines lw 2 dt %d lc rgb "
                   "'%s'",
                   i + 1 == n ? "plot " : ", ", i, series_colour(i), i, series_dash(i),
                   series_colour(i));
    buf_char(&f->script, '\n');
}

static void write_table(const struct report *r, struct figure *f, const struct curve *c,
                        size_t n, int64_t width)
{
    html_table_open(&f->table, NULL, NULL,
                    "Configuration|>Update|>Mean|>95 % interval|>Seeds");
    for (size_t i = 0; i < n; i++)
        for (size_t w = 0; w < POINTS; w += POINTS / 5) {
            struct spread s = window_spread(&c[i], w);
            if (!s.n)
                continue;
            html_row(&f->table);
            html_head_cell(&f->table, "%s", cell_name(r, c[i].cell));
            html_number(&f->table, "%.0f", step_of(w, width));
            html_number(&f->table, "%.4g", s.mean);
            html_number(&f->table, "%s",
                        isnan(s.ci.low) ? "–"
                                        : word_f("%.4g to %.4g", s.ci.low, s.ci.high));
            html_number(&f->table, "%zu", s.n);
        }
    html_table_close(&f->table);
}

/* Fall over the last quarter of training of the best, against its spread. */
static void write_takeaway(const struct report *r, struct figure *f,
                           const struct curve *c, int64_t width, int64_t last)
{
    size_t end = (size_t)((last - 1) / width), from = end * 3 / 4;
    struct spread a = window_spread(c, from), b = window_spread(c, end);
    const char *name = r->data.groups.items[c->cell->group].label;
    const char *window = width > 1 ? word_f("; means over %lld updates", (long long)width)
                                   : "; not smoothed";
    if (end == from || !isfinite(a.mean) || !isfinite(b.mean)) {
        figure_takeaway(f,
                        "%s ends at %.3g after %lld updates; cannot tell whether it "
                        "still moves, as there are too few points.",
                        name, b.mean, (long long)last);
        return;
    }
    bool apart = isfinite(a.ci.low) && isfinite(b.ci.low) &&
                 (b.ci.high < a.ci.low || b.ci.low > a.ci.high);
    figure_takeaway(
        f,
        "Over the last quarter of its %lld updates %s goes from %.3g (95 %% %s) to "
        "%.3g (95 %% %s): %s%s.",
        (long long)last, name, a.mean,
        isnan(a.ci.low) ? "unknown" : word_f("%.3g to %.3g", a.ci.low, a.ci.high), b.mean,
        isnan(b.ci.low) ? "unknown" : word_f("%.3g to %.3g", b.ci.low, b.ci.high),
        apart ? "it still moves, more updates may pay"
              : "cannot tell whether it still moves",
        window);
}

static int draw(struct report *r, struct figure *f, const char *key, const char *name,
                struct err *err)
{
    size_t n;
    struct curve *c = choose_curves(r, &n);
    json_t *ids = trial_ids(c, n), *rows = report_series(r->store, ids, key, err);
    int rc = rows ? 1 : err_code(err);
    int64_t last = rows ? last_step(rows) : 0;
    if (last >= 3 && n && json_array_size(rows) >= 3 * c->cell->count) {
        int64_t width = (last + POINTS - 1) / POINTS;
        for (size_t i = 0; i < json_array_size(rows); i++)
            add_point(c, n, json_array_get(rows, i), width);
        write_script(r, f, c, n, width, last, figure_label(f, name));
        write_table(r, f, c, n, width);
        write_takeaway(r, f, c, width, last);
        figure_alt(f,
                   "Lines of %s by update at %s, one per configuration, the mean over "
                   "seeds with a band of its 95 %% t interval.",
                   name, r->data.columns.items[r->matrix.main_column].label);
        rc = 0;
    }
    json_decref(ids);
    json_decref(rows);
    free(c);
    return rc;
}

static int draw_loss(struct report *r, struct figure *f, struct err *err)
{
    return draw(r, f, "train/loss", "training loss", err);
}

static int draw_eval(struct report *r, struct figure *f, struct err *err)
{
    return draw(r, f, r->settings.select_metric, r->settings.select_metric, err);
}

const struct plot plot_loss_curve = {"loss_curve", "tradeoff", "Training loss",
                                     draw_loss};
const struct plot plot_eval_curve = {"eval_curve", "tradeoff", "Score while training",
                                     draw_eval};
