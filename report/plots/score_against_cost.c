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

enum { HEIGHT_PX = 500, HEIGHT_NARROW_PX = 440, NAME_COLUMNS = 24, OTHERS_MOST = 150 };

/* One picture in the making. */
struct scatter {
    const struct report *r;
    struct figure *f;
    const struct front_axis *cost;
    double scale; /* of the cost, to what stands on the axis */
    const char *unit;
    const struct front_point *points;
    size_t count;
    struct axis x, y;
    struct box *taken; /* by marks, for the labels */
    size_t taken_count, others_drawn, others, hidden;
};

enum membership { SOLID, HOLLOW, FAINT, MEMBERSHIPS };

static enum membership membership_of(const struct front_point *p)
{
    if (isnan(p->probability))
        return p->on_front ? SOLID : FAINT;
    return p->probability >= .5 ? SOLID : p->probability >= .1 ? HOLLOW : FAINT;
}

static const char *const colours[MEMBERSHIPS] = {"#0072B2", "#0072B2", SERIES_6};

static void take(struct scatter *s, double left, double right, double top, double bottom)
{
    s->taken[s->taken_count++] = (struct box){left, right, top, bottom};
}

/* Steps from point to point of the front, in the order of cost. */
static void write_front(struct scatter *s)
{
    size_t on = 0;
    const struct front_point **front = xcalloc(s->count + 1, sizeof *front);
    for (size_t i = 0; i < s->count; i++) {
        if (!s->points[i].on_front)
            continue;
        size_t k = on++;
        for (; k > 0 && front[k - 1]->cost.mean > s->points[i].cost.mean; k--)
            front[k] = front[k - 1];
        front[k] = &s->points[i];
    }
    figure_line(s->f, "$front << EOD");
    for (size_t i = 0; i < on; i++) {
        const char *cost = gp(front[i]->cost.mean * s->scale);
        if (i)
            figure_line(s->f, "%s %s", cost, gp(front[i - 1]->score.mean));
        figure_line(s->f, "%s %s", cost, gp(front[i]->score.mean));
    }
    figure_line(s->f, "EOD");
    free(front);
}

static const char *group_of(const struct scatter *s, const struct front_point *p)
{
    return s->r->data.groups.items[p->cell->group].label;
}

static void write_point(struct scatter *s, size_t i)
{
    const struct front_point *p = &s->points[i];
    const struct spread *x = &p->cost, *y = &p->score;
    double scale = s->scale, delta = s->r->settings.rules.delta;
    bool bars = isfinite(y->ci.low), wide = isfinite(x->ci.low);
    double low = (wide ? x->ci.low : x->mean) * scale,
           high = (wide ? x->ci.high : x->mean) * scale,
           bottom = bars ? y->ci.low : y->mean, top = bars ? y->ci.high : y->mean;
    figure_line(s->f, "$p%zu << EOD\n%s %s %s %s %s %s\nEOD", i, gp(x->mean * scale),
                gp(y->mean), gp(low), gp(high), gp(bottom), gp(top));
    double px = figure_x(s->f, &s->x, x->mean * scale),
           py = figure_y(s->f, &s->y, y->mean);
    take(s, px - 7, px + 7, py - 7, py + 7);
    take(s, figure_x(s->f, &s->x, low), figure_x(s->f, &s->x, high), py - 1, py + 1);
    take(s, px - 1, px + 1, figure_y(s->f, &s->y, top), figure_y(s->f, &s->y, bottom));
    figure_mark(s->f, configuration_of(s->r, p->cell), px, py, 7, 7,
                "%s: %s %s%s, %s %s%s", cell_name(s->r, p->cell), metric_of(s->r),
                word_score(y->mean, delta),
                bars ? word_f(" (95 %% %s)", word_range(y->ci, delta)) : "",
                s->cost->name, s->cost->text(x->mean),
                isnan(p->probability)
                    ? p->on_front ? "; on the front" : ""
                    : word_f("; on the front with probability %.2f", p->probability));
}

/* The best of all that were tried beside those that stand for a group. */
static void write_others(struct scatter *s)
{
    const struct report *r = s->r;
    figure_line(s->f, "$others << EOD");
    for (size_t i = 0; i < r->configuration_count; i++) {
        const struct report_cell *c = &r->configurations[i];
        struct spread cost = cell_cost(r, c, s->cost),
                      score = cell_spread(c, r->settings.metric);
        double x = cost.mean * s->scale;
        bool drawn = false;
        for (size_t k = 0; k < s->count && !drawn; k++)
            drawn = s->points[k].cell->group == c->group &&
                    s->points[k].cell->variant == c->variant;
        if (drawn || !isfinite(x) || x < s->x.low || x > s->x.high ||
            score.mean < s->y.low || score.mean > s->y.high || s->others++ >= OTHERS_MOST)
            continue;
        double px = figure_x(s->f, &s->x, x), py = figure_y(s->f, &s->y, score.mean);
        figure_line(s->f, "%s %s", gp(x), gp(score.mean));
        take(s, px - 3, px + 3, py - 3, py + 3);
        s->others_drawn++;
        if (!s->f->narrow)
            figure_mark(s->f, i, px, py, 5, 5, "%s: %s %s, %s", cell_name(r, c),
                        metric_of(r), word_score(score.mean, r->settings.rules.delta),
                        s->cost->text(cost.mean));
    }
    figure_line(s->f, "EOD");
}

static size_t name_columns(const struct scatter *s, const struct front_point *p)
{
    size_t n = str_width(group_of(s, p)), most = NAME_COLUMNS - (s->f->narrow ? 8 : 0);
    return n < most ? n : most;
}

static void write_label(const struct scatter *s, const struct place *p, size_t number,
                        const char *name)
{
    struct figure *f = s->f;
    double x = p->x + p->dx, y = p->y + p->dy,
           text = (double)p->columns * figure_column(f);
    figure_line(f, "set label %zu '%s' at screen %s,%s left tc rgb '" INK "'", number,
                figure_name(f, name, p->columns), gp(x / f->width),
                gp(1 - y / f->height));
    if (p->far)
        figure_line(
            f,
            "set arrow %zu from screen %s,%s to screen %s,%s nohead lw 0.7 lc rgb "
            "'" MUTED "'",
            number, gp(p->x / f->width), gp(1 - p->y / f->height),
            gp((p->dx + text < 10 ? x + text + 3 : x - 3) / f->width),
            gp(1 - y / f->height));
}

/* Names of what is on the front first: they matter most where there is little room. */
static void write_labels(struct scatter *s)
{
    struct figure *f = s->f;
    struct place *at = xcalloc(s->count + 1, sizeof *at);
    size_t *which = xcalloc(s->count + 1, sizeof *which), n = 0;
    for (int how = SOLID; how < MEMBERSHIPS; how++)
        for (size_t i = 0; i < s->count; i++)
            if ((int)membership_of(&s->points[i]) == how)
                which[n++] = i;
    for (size_t k = 0; k < n; k++) {
        const struct front_point *p = &s->points[which[k]];
        at[k] = (struct place){.x = figure_x(f, &s->x, p->cost.mean * s->scale),
                               .y = figure_y(f, &s->y, p->score.mean),
                               .columns = name_columns(s, p),
                               .matters = membership_of(p) != FAINT};
    }
    struct box page = {f->left + 4, f->width - 2, 2, f->height - f->bottom - 2};
    s->hidden = places_choose(at, n, page, s->taken, s->taken_count, figure_column(f));
    for (size_t k = 0; k < n; k++)
        if (!at[k].hidden)
            write_label(s, &at[k], k + 1, group_of(s, &s->points[which[k]]));
    free(which);
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

/* What is on the axis, where it is not always the same number. */
static const char *axis_name(const struct report *r, const struct front_axis *v)
{
    return str_eq(v->id, "memory") ? str_eq(r->settings.memory_key, "mem/planned_bytes")
                                         ? "peak memory, planned and allocated"
                                         : "peak memory"
           : str_eq(v->id, "latency")
               ? word_f("latency of one request, %s",
                        str_eq(r->latency_key, "latency/p99_ms") ? "p99" : "p50")
               : "training run";
}

/* Shades what the service levels allow: above the floor, left of the limit. */
static void write_region(struct scatter *s)
{
    const struct report *r = s->r;
    const struct axis *x = &s->x, *y = &s->y;
    double floor = sla_number(r->sla, "quality_floor"), limit = NAN;
    if (str_eq(s->cost->id, "memory"))
        limit = sla_number(r->sla, "memory_limit_mib") * (1 << 20) * s->scale;
    else if (str_eq(s->cost->id, "usd"))
        limit = sla_number(r->sla, "budget_usd_per_run");
    if (isnan(floor) && isnan(limit))
        return;
    bool down = r->settings.rules.minimize;
    double right_edge = isnan(limit) ? x->high : fmin(limit, x->high),
           low = isnan(floor) || down ? y->low : fmax(floor, y->low),
           high = isnan(floor) || !down ? y->high : fmin(floor, y->high);
    if (!(right_edge > x->low && low < high))
        return;
    figure_line(s->f,
                "set object 1 rectangle from %s,%s to %s,%s behind fillcolor rgb "
                "'#009E73' fillstyle transparent solid 0.10 noborder",
                gp(x->low), gp(low), gp(right_edge), gp(high));
    figure_key(s->f, KEY_BAND, "#009E73", "allowed by the service levels");
}

static void find_axes(struct scatter *s)
{
    axis_init(&s->x);
    axis_init(&s->y);
    for (size_t i = 0; i < s->count; i++) {
        const struct front_point *p = &s->points[i];
        axis_include(&s->x, p->cost.mean * s->scale);
        axis_include(&s->x, p->cost.ci.low * s->scale);
        axis_include(&s->x, p->cost.ci.high * s->scale);
        axis_include(&s->y, p->score.mean);
        axis_include(&s->y, p->score.ci.low);
        axis_include(&s->y, p->score.ci.high);
    }
    axis_close(&s->x, 0.08, true);
    axis_close(&s->y, 0.08, false);
}

static void write_keys(const struct scatter *s)
{
    bool any[MEMBERSHIPS] = {false}, drawn_again = false, bars = false;
    for (size_t i = 0; i < s->count; i++) {
        any[membership_of(&s->points[i])] = true;
        drawn_again |= !isnan(s->points[i].probability);
        bars |= isfinite(s->points[i].score.ci.low);
    }
    const char *beside = s->r->data.by_method ? ", its best configuration" : "";
    if (any[SOLID])
        figure_key(s->f, KEY_DOT, colours[SOLID], "on the front%s%s",
                   drawn_again ? " with probability .5 or more" : "", beside);
    if (any[HOLLOW])
        figure_key(s->f, KEY_RING, colours[HOLLOW], "perhaps: .1 to .5");
    if (any[FAINT])
        figure_key(s->f, KEY_DOT, colours[FAINT], "another beats it%s",
                   drawn_again ? " (below .1)" : "");
    if (bars)
        figure_key(s->f, KEY_INTERVAL, MUTED, "95 %% interval");
    figure_key(s->f, KEY_DASHED, MUTED, "front by the means");
    if (s->others_drawn)
        figure_key(s->f, KEY_SMALL, MUTED, "other configurations tried%s",
                   s->others > s->others_drawn
                       ? word_f(" (the best %zu of %zu)", s->others_drawn, s->others)
                       : "");
    if (s->hidden)
        figure_note(s->f, "And %zu more without room for their names: see the table.",
                    s->hidden);
}

static void write_script(struct scatter *s)
{
    struct figure *f = s->f;
    find_axes(s);
    figure_begin(f, f->narrow ? HEIGHT_NARROW_PX : HEIGHT_PX, f->narrow ? 58 : 76, 20, 22,
                 66);
    axis_script(&s->x, 'x',
                word_f("%s, %s%s", axis_name(s->r, s->cost), s->unit,
                       s->x.log ? " (log scale)" : ""),
                f);
    axis_script(&s->y, 'y', figure_label(f, metric_of(s->r)), f);
    s->taken = xcalloc(4 * s->count + OTHERS_MOST + 4, sizeof *s->taken);
    write_others(s);
    for (size_t i = 0; i < s->count; i++)
        write_point(s, i);
    write_front(s);
    write_region(s);
    write_labels(s);
    write_keys(s);
    free(s->taken);
    buf_str_add(&f->script,
                "plot $others using 1:2 with points pt 7 ps 0.4 lc rgb '" MUTED
                "', $front using 1:2 with lines lw 1.2 dt 2 lc rgb '" MUTED "'");
    for (size_t i = s->count; i-- > 0;) { /* the best on top */
        enum membership how = membership_of(&s->points[i]);
        buf_printf(&f->script,
                   ", $p%zu using 1:2:3:4:5:6 with xyerrorbars pt -1 lw 0.9 lc rgb '%s', "
                   "$p%zu using 1:2 with points pt %d ps %s lw 1.6 lc rgb '%s'",
                   i, how == FAINT ? MUTED : colours[how], i, how == HOLLOW ? 6 : 7,
                   how == FAINT ? "0.8" : "1.0", colours[how]);
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
    struct scatter s = {.r = r, .f = f, .cost = axis, .points = p, .count = n};
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, p[i].cost.mean);
    s.scale = front_axis_scale(axis, most, &s.unit);
    write_script(&s);
    write_table(r, f, p, n, axis);
    char *text = pareto_takeaway(r, p, n, axis);
    figure_takeaway(f, "%s", text);
    figure_alt(
        f,
        "Scatter plot of %s (up) against %s (right) for %zu configurations with 95 "
        "%% intervals, on %s; a dashed staircase joins those that none beats in "
        "both.",
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
