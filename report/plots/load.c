/* report/plots/load.c - response time against the load of the service: p50, p95, p99 of
 * the best configuration, the limits, the planned peak and where the first limit
 * breaks. */
#include "lib/mem.h"
#include "report/cost/cost.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include "report/plots/plot.h"
#include <math.h>
#include <stdlib.h>

enum { HEIGHT_PX = 420, HEIGHT_NARROW_PX = 360, POINTS = 24 };

static const char *const keys[] = {"latency_p50_ms", "latency_p95_ms", "latency_p99_ms"};
static const char *const names[] = {"p50", "p95", "p99"};

struct curves {
    struct load_point at[POINTS];
    size_t count;
    double most_ms; /* shown */
};

/* Up to a third beyond the larger of peak and break load, or 97 % of capacity. */
static void simulate(const struct report *r, const struct sla_verdict *v,
                     struct curves *out)
{
    struct serving s;
    struct queue q;
    if (!serving_measure(r, v->cell, v->merged, &s))
        return;
    double end = r->sla->peak_per_s, per_replica = v->busiest_per_s / end;
    if (v->first)
        end = fmax(end, v->first->break_per_s);
    end = fmin(end * 1.33, .97 * s.per_s / per_replica);
    queue_init(&q);
    for (size_t i = 0; i < POINTS; i++) {
        double load = end * (double)(i + 1) / POINTS;
        queue_simulate(&q, &s.service, 1, load * per_replica, &out->at[i]);
        out->at[i].per_s = load;
    }
    out->count = POINTS;
    queue_release(&q);
    serving_release(&s);
}

/* Limits belong into the picture, the steep end of the curves does not. */
static double ceiling(const struct report *r, const struct curves *c)
{
    double top = c->at[0].response_ms[QUEUE_P99] * 4;
    for (int i = 0; i < QUEUE_PERCENTILES; i++) {
        double limit = sla_number(r->sla, keys[i]);
        if (!isnan(limit) && limit < 40 * c->at[0].response_ms[QUEUE_P99])
            top = fmax(top, limit * 1.25);
    }
    return fmin(top, fmax(c->at[c->count - 1].response_ms[QUEUE_P99] * 1.05, top * .3));
}

static void vertical(struct figure *f, const struct axis *x, double at, const char *dash,
                     enum key_form form, int number, const char *text)
{
    double share = axis_share(x, at);
    if (!(share >= 0 && share <= 1))
        return;
    figure_line(f,
                "set arrow %d from graph %s,0 to graph %s,1 nohead lw 1.2 dt %s lc rgb "
                "'" INK "'",
                number, gp(share), gp(share), dash);
    figure_key(f, form, INK, "%s, %.3g per s", text, at);
}

static void write_limits(const struct report *r, struct figure *f, const struct axis *y)
{
    for (int i = 0; i < QUEUE_PERCENTILES; i++) {
        double limit = sla_number(r->sla, keys[i]), share = axis_share(y, limit);
        if (!(share >= 0 && share <= 1))
            continue;
        figure_line(
            f,
            "set arrow %d from graph 0,%s to graph 1,%s nohead lw 1.2 dt 2 lc rgb "
            "'%s'",
            20 + i, gp(share), gp(share), series_colour((size_t)i));
        figure_key(f, KEY_DASHED, series_colour((size_t)i), "limit of %s, %s ms",
                   names[i], word_ms(limit));
    }
}

static void write_script(const struct report *r, const struct sla_verdict *v,
                         struct figure *f, const struct curves *c)
{
    struct axis x, y;
    axis_init(&x);
    axis_init(&y);
    axis_include(&x, 0);
    axis_include(&x, c->at[c->count - 1].per_s);
    axis_include(&y, 0);
    axis_include(&y, c->most_ms);
    axis_close(&x, 0, false);
    axis_close(&y, 0, false);
    figure_begin(f, f->narrow ? HEIGHT_NARROW_PX : HEIGHT_PX, f->narrow ? 58 : 76, 20, 14,
                 66);
    axis_script(&x, 'x', "load of the service, requests per s", f);
    axis_script(&y, 'y', "response time, ms", f);
    for (int i = 0; i < QUEUE_PERCENTILES; i++) {
        figure_line(f, "$p%d << EOD", i);
        figure_trace_begin(f, configuration_of(r, v->cell));
        for (size_t k = 0; k < c->count && c->at[k].response_ms[i] <= c->most_ms; k++) {
            figure_line(f, "%s %s", gp(c->at[k].per_s), gp(c->at[k].response_ms[i]));
            figure_trace(f, figure_x(f, &x, c->at[k].per_s),
                         figure_y(f, &y, c->at[k].response_ms[i]));
        }
        figure_line(f, "EOD");
        figure_trace_end(f, "%s of %s", names[i], cell_name(r, v->cell));
        figure_key_series(f, (size_t)i, false, true, names[i]);
    }
    write_limits(r, f, &y);
    vertical(f, &x, r->sla->peak_per_s, "3", KEY_DOTTED, 1, "planned peak");
    if (v->first && fabs(v->first->break_per_s / r->sla->peak_per_s - 1) > .02)
        vertical(f, &x, v->first->break_per_s, "4", KEY_DASHED, 2,
                 word_f("%s breaks", v->first->title));
    buf_str_add(&f->script, "plot ");
    for (int i = 0; i < QUEUE_PERCENTILES; i++)
        buf_printf(&f->script, "%s$p%d using 1:2 with lines lw 2 dt %d lc rgb '%s'",
                   i ? ", " : "", i, series_dash((size_t)i), series_colour((size_t)i));
    buf_char(&f->script, '\n');
}

static void write_table(struct figure *f, const struct sla_verdict *v,
                        const struct curves *c)
{
    html_table_open(&f->table, NULL, NULL,
                    ">Load, requests per s|>Utilisation of a replica|>p50, ms|>p95, ms|"
                    ">p99, ms|>p99 wait, ms");
    for (size_t i = 1; i < c->count; i += 2) {
        const struct load_point *p = &c->at[i];
        html_row(&f->table);
        html_number(&f->table, "%.3g", p->per_s);
        html_number(&f->table, "%.0f %%", 100 * p->utilisation);
        for (int k = 0; k < QUEUE_PERCENTILES; k++)
            html_number(&f->table, "%s", word_ms(p->response_ms[k]));
        html_number(&f->table, "%s", word_ms(p->wait_p99_ms));
    }
    html_table_close(&f->table);
    (void)v;
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    const struct sla_verdict *v = sla_leader(r);
    struct curves c = {.count = 0};
    (void)err;
    if (!v || isnan(v->replicas) || isnan(r->sla->peak_per_s))
        return 1;
    simulate(r, v, &c);
    if (!c.count)
        return 1;
    c.most_ms = ceiling(r, &c);
    write_script(r, v, f, &c);
    write_table(f, v, &c);
    if (v->first && v->first->break_per_s <= 0)
        figure_takeaway(
            f,
            "No load is low enough: %s is beyond its limit without any, and the "
            "planned peak is %.3g requests per s.",
            v->first->title, r->sla->peak_per_s);
    else if (v->first)
        figure_takeaway(
            f,
            "On %.0f replicas %s is the first limit to break, at %.3g requests "
            "per s (at least %.3g by the 95 %% bounds), against a planned peak "
            "of %.3g.",
            v->replicas, v->first->title, v->first->break_per_s,
            v->first->break_low_per_s, r->sla->peak_per_s);
    else
        figure_takeaway(f,
                        "At the planned peak of %.3g requests per s no limit depends on "
                        "the load; a replica does %.3g.",
                        r->sla->peak_per_s, v->load_per_s);
    figure_alt(f,
               "Curves of the 50th, 95th and 99th percentile of the response time of %s "
               "against the load from 0 to %.3g requests per second, with the limits as "
               "dashed lines, the planned peak and the load at which the first limit "
               "breaks as vertical lines.",
               r->data.groups.items[v->cell->group].label, c.at[c.count - 1].per_s);
    return 0;
}

const struct plot plot_load = {"load", "sla", "Response time against load", draw};
