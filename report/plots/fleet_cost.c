/* report/plots/fleet_cost.c - USD per 1,000 requests against the load, for replicas
 * merged per task, one shared base, and the cheapest cut between the two. */
#include "lib/mem.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include "report/plots/plot.h"
#include "report/service/fleet.h"
#include <math.h>
#include <stdlib.h>

enum { HEIGHT_PX = 400, HEIGHT_NARROW_PX = 340, POINTS = 49, PLANS = 3 };

/* The hybrid often runs along one of the others: thin and dashed on top of it. */
static const char *const widths[PLANS] = {"2.4", "4", "1.8"};
static const int dashes[PLANS] = {1, 1, 2};
static const char *const names[PLANS] = {"merged per task", "one shared base", "hybrid"};

struct point {
    double per_s, usd[PLANS], replicas[PLANS];
};

/* From a tenth to ten times the planned mean load. */
static void price(const struct fleet *f, struct point *out)
{
    double *peaks = xcalloc(f->count, sizeof *peaks);
    for (int i = 0; i < POINTS; i++) {
        double times = pow(10, -1 + 2.0 * i / (POINTS - 1));
        struct adapter_plan p;
        for (size_t k = 0; k < f->count; k++)
            peaks[k] = f->peaks[k] * times;
        fleet_plan(f, peaks, f->phi.one.mean, &p);
        out[i] = (struct point){.per_s = f->mean_per_s * times,
                                .replicas = {(double)p.merged_gpus, (double)p.shared_gpus,
                                             (double)p.hybrid_gpus[p.best_cut]}};
        adapter_plan_release(&p);
        for (int k = 0; k < PLANS; k++)
            out[i].usd[k] =
                fleet_usd_per_1k(out[i].replicas[k], f->usd_per_hour, out[i].per_s);
    }
    free(peaks);
}

static void write_script(struct figure *f, const struct fleet *fleet,
                         const struct point *p)
{
    struct axis x, y;
    axis_init(&x);
    axis_init(&y);
    for (int i = 0; i < POINTS; i++) {
        axis_include(&x, p[i].per_s);
        for (int k = 0; k < PLANS; k++)
            axis_include(&y, p[i].usd[k]);
    }
    axis_close(&x, 0, true);
    axis_close(&y, .05, true);
    figure_begin(f, f->narrow ? HEIGHT_NARROW_PX : HEIGHT_PX, f->narrow ? 62 : 90, 20, 14,
                 66);
    axis_script(&x, 'x', "mean load, requests per s (log scale)", f);
    axis_script(&y, 'y',
                y.log ? "USD per 1,000 requests (log scale)" : "USD per 1,000 requests",
                f);
    double at = axis_share(&x, fleet->mean_per_s);
    figure_line(
        f, "set arrow 1 from graph %s,0 to graph %s,1 nohead lw 1 dt 3 lc rgb '" INK "'",
        gp(at), gp(at));
    for (int k = 0; k < PLANS; k++) {
        figure_line(f, "$p%d << EOD", k);
        figure_trace_begin(f, CONFIGURATION_NONE);
        for (int i = 0; i < POINTS; i++) {
            figure_line(f, "%s %s", gp(p[i].per_s), gp(p[i].usd[k]));
            figure_trace(f, figure_x(f, &x, p[i].per_s), figure_y(f, &y, p[i].usd[k]));
        }
        figure_line(f, "EOD");
        figure_trace_end(f, "%s", names[k]);
        figure_key(f, dashes[k] == 1 ? KEY_LINE : KEY_DASHED, series_colour((size_t)k),
                   "%s", names[k]);
    }
    figure_key(f, KEY_DOTTED, INK, "planned load, %.3g per s", fleet->mean_per_s);
    buf_str_add(&f->script, "plot ");
    for (int k = 0; k < PLANS; k++)
        buf_printf(&f->script, "%s$p%d using 1:2 with lines lw %s dt %d lc rgb '%s'",
                   k ? ", " : "", k, widths[k], dashes[k], series_colour((size_t)k));
    buf_char(&f->script, '\n');
}

static void write_table(struct figure *f, const struct point *p)
{
    html_table_open(
        &f->table, NULL, NULL,
        ">Mean load, requests per s|>Merged, replicas|>USD per 1,000|>Shared, "
        "replicas|>USD per 1,000|>Hybrid, replicas|>USD per 1,000");
    for (int i = 0; i < POINTS; i += 4) {
        html_row(&f->table);
        html_number(&f->table, "%.3g", p[i].per_s);
        for (int k = 0; k < PLANS; k++) {
            html_number(&f->table, "%.0f", p[i].replicas[k]);
            html_number(&f->table, "%s", word_usd(p[i].usd[k]));
        }
    }
    html_table_close(&f->table);
}

/* The highest load in the picture up to which sharing takes fewer replicas. */
static double shared_until(const struct point *p)
{
    double until = NAN;
    for (int i = 0; i < POINTS; i++)
        if (p[i].replicas[1] < p[i].replicas[0])
            until = p[i].per_s;
    return until;
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    struct fleet fleet;
    struct point points[POINTS];
    (void)err;
    if (!fleet_of(r, &fleet))
        return 1;
    price(&fleet, points);
    write_script(f, &fleet, points);
    write_table(f, points);
    double until = shared_until(points);
    if (isnan(until))
        figure_takeaway(f,
                        "From %.3g to %.3g requests per s one shared base never takes "
                        "fewer replicas than merged ones (φ = %.2f, %s).",
                        points[0].per_s, points[POINTS - 1].per_s, fleet.phi.one.mean,
                        word_plural(fleet.phi.one.n, "seed"));
    else
        figure_takeaway(
            f,
            "One shared base takes fewer replicas than merged ones up to %.3g "
            "requests per s%s, against a planned load of %.3g (φ = %.2f, %s).",
            until, until == points[POINTS - 1].per_s ? " and beyond the picture" : "",
            fleet.mean_per_s, fleet.phi.one.mean, word_plural(fleet.phi.one.n, "seed"));
    figure_alt(f,
               "Curves of the cost of 1,000 requests against the mean load of %zu tasks, "
               "from %.3g to %.3g requests per second: merged replicas per task, one "
               "shared base with unmerged adapters, and the heaviest tasks merged.",
               fleet.count, points[0].per_s, points[POINTS - 1].per_s);
    fleet_release(&fleet);
    return 0;
}

const struct plot plot_fleet = {"fleet", "cost", "Merged replicas or one shared base",
                                draw};
