/* report/plots/surface.c - the highest rate that one replica keeps its limit at, against the
 * number of adapters on it: a line per popularity and room, as benches measured them, and
 * the base alone. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/page/words.h"
#include "report/plots/axis.h"
#include "report/plots/plot.h"
#include <math.h>
#include <stdlib.h>

enum { HEIGHT_PX = 400, HEIGHT_NARROW_PX = 340, SERIES_MOST = 6, POINTS_MOST = 200 };

struct point {
    double adapters, rate, low, high, phi;
    size_t series;
};

struct surface {
    struct point points[POINTS_MOST];
    size_t count;
    char names[SERIES_MOST][96];
    size_t series;
    double base; /* rate of the base alone; NaN: not measured */
};

static size_t place_series(struct surface *s, const json_t *o)
{
    char name[sizeof s->names[0]];
    const int64_t slots = json_get_int(o, "slots", 0);
    size_t i = 0;
    snprintf(name, sizeof name, "%s%s", json_get_str(o, "popularity", ""),
             slots ? word_f(", room for %lld", (long long)slots) : "");
    while (i < s->series && !str_eq(s->names[i], name))
        i++;
    if (i == s->series && i < SERIES_MOST)
        snprintf(s->names[s->series++], sizeof name, "%s", name);
    return i;
}

/* Of the newest bench that found rates with adapters; others have other limits and texts. */
static void take(const json_t *list, struct surface *s)
{
    const json_t *o;
    int64_t bench = -1;
    size_t i;
    *s = (struct surface){.base = NAN};
    json_array_foreach((json_t *)list, i, o)
    {
        const double rate = json_get_num(o, "rate", NAN);
        const char *what = json_get_str(o, "answers", "");
        if (isnan(rate) || (bench >= 0 && json_get_int(o, "bench", 0) != bench))
            continue;
        bench = json_get_int(o, "bench", 0);
        if (str_eq(what, "base"))
            s->base = rate;
        const size_t series = str_eq(what, "adapters") ? place_series(s, o) : SERIES_MOST;
        if (series < SERIES_MOST && s->count < POINTS_MOST)
            s->points[s->count++] =
                (struct point){.adapters = json_get_num(o, "adapters", NAN),
                               .rate = rate,
                               .low = json_get_num(o, "rate_low", rate),
                               .high = json_get_num(o, "rate_high", rate),
                               .phi = json_get_num(o, "phi", NAN),
                               .series = series};
    }
}

static void write_series(struct figure *f, const struct surface *s, const struct axis *x,
                         const struct axis *y)
{
    for (size_t k = 0; k < s->series; k++) {
        figure_line(f, "$p%zu << EOD", k);
        for (size_t i = 0; i < s->count; i++) {
            const struct point *p = &s->points[i];
            if (p->series != k)
                continue;
            figure_line(f, "%s %s %s %s", gp(p->adapters), gp(p->rate), gp(p->low),
                        gp(p->high));
            figure_mark(f, CONFIGURATION_NONE, figure_x(f, x, p->adapters),
                        figure_y(f, y, p->rate), 6, 6, "%s, %.0f adapters: %.0f per s",
                        s->names[k], p->adapters, p->rate);
        }
        figure_line(f, "EOD");
        figure_key_series(f, k, true, true, s->names[k]);
    }
    buf_str_add(&f->script, "plot ");
    for (size_t k = 0; k < s->series; k++)
        buf_printf(
            &f->script,
            "%s$p%zu using 1:2 with lines lw 2 dt %d lc rgb '%s', $p%zu using 1:2:3:4 "
            "with yerrorbars pt %d lw 1.2 lc rgb '%s'",
            k ? ", " : "", k, series_dash(k), series_colour(k), k, series_shape(k),
            series_colour(k));
    buf_char(&f->script, '\n');
}

static void write_script(struct figure *f, const struct surface *s)
{
    struct axis x, y;
    axis_init(&x);
    axis_init(&y);
    axis_include(&y, 0);
    axis_include(&y, s->base);
    for (size_t i = 0; i < s->count; i++) {
        axis_include(&x, s->points[i].adapters);
        axis_include(&y, s->points[i].high);
    }
    axis_close(&x, .05, true);
    axis_close(&y, .05, false);
    figure_begin(f, f->narrow ? HEIGHT_NARROW_PX : HEIGHT_PX, f->narrow ? 58 : 76, 20, 14,
                 66);
    axis_script(&x, 'x',
                x.log ? "adapters on the base (log scale)" : "adapters on the base", f);
    axis_script(&y, 'y', "highest rate, requests per s", f);
    const double at = axis_share(&y, s->base);
    if (at >= 0 && at <= 1) {
        figure_line(f,
                    "set arrow 1 from graph 0,%s to graph 1,%s nohead lw 1.2 dt 3 lc rgb "
                    "'" INK "'",
                    gp(at), gp(at));
        figure_key(f, KEY_DOTTED, INK, "the base alone, %.0f per s", s->base);
    }
    figure_key(f, KEY_INTERVAL, INK, "95 %% over seeds");
    write_series(f, s, &x, &y);
}

static void write_table(struct figure *f, const struct surface *s)
{
    html_table_open(&f->table, NULL, NULL,
                    "Asked by, and room|>Adapters|>Highest rate, per s|>φ");
    for (size_t i = 0; i < s->count; i++) {
        const struct point *p = &s->points[i];
        html_row(&f->table);
        html_head_cell(&f->table, "%s", s->names[p->series]);
        html_number(&f->table, "%.0f", p->adapters);
        html_number(&f->table, "%.0f", p->rate);
        html_number(&f->table, "%s", isnan(p->phi) ? "–" : word_f("%.2f", p->phi));
    }
    html_table_close(&f->table);
}

static int draw(struct report *r, struct figure *f, struct err *err)
{
    struct surface s;
    (void)err;
    take(json_object_get(json_object_get(r->sections, "tasks"), "surface"), &s);
    if (s.count < 2)
        return 1;
    const struct point *least = &s.points[0], *most = &s.points[0];
    for (size_t i = 1; i < s.count; i++) {
        least = s.points[i].rate < least->rate ? &s.points[i] : least;
        most = s.points[i].rate > most->rate ? &s.points[i] : most;
    }
    write_script(f, &s);
    write_table(f, &s);
    figure_takeaway(
        f,
        "One replica keeps its limit at up to %.0f requests per s with %s (%s) "
        "and at %.0f with %s (%s)%s.",
        most->rate, word_plural((size_t)most->adapters, "adapter"), s.names[most->series],
        least->rate, word_plural((size_t)least->adapters, "adapter"),
        s.names[least->series],
        isnan(s.base) ? "" : word_f(", the base alone at %.0f", s.base));
    figure_alt(f,
               "Highest rate against the number of adapters, from %.0f to %.0f requests "
               "per second, in %zu ways of asking.",
               least->rate, most->rate, s.series);
    return 0;
}

const struct plot plot_surface = {"surface", "tasks",
                                  "What one replica carries, by adapters on it", draw};
