/* report/plots/axis.c - see axis.h. */
#include "report/plots/axis.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>

void axis_init(struct axis *a)
{
    *a = (struct axis){.low = INFINITY, .high = -INFINITY};
}

void axis_include(struct axis *a, double v)
{
    if (isfinite(v)) {
        a->low = fmin(a->low, v);
        a->high = fmax(a->high, v);
    }
}

void axis_close(struct axis *a, double share, bool may_log)
{
    if (!(a->low <= a->high)) {
        a->low = 0;
        a->high = 1;
    }
    a->log = may_log && a->low > 0 && a->high >= 8 * a->low;
    if (a->log) {
        double factor = pow(a->high / a->low, share);
        a->low /= factor;
        a->high *= factor;
        return;
    }
    double pad = (a->high - a->low) * share;
    if (!(pad > 0))
        pad = fabs(a->high) > 0 ? fabs(a->high) * 0.1 : 1;
    bool positive = a->low >= 0;
    a->low -= pad;
    a->high += pad;
    if (positive && a->low < 0)
        a->low = 0;
}

double axis_share(const struct axis *a, double v)
{
    if (a->log)
        return log(v / a->low) / log(a->high / a->low);
    return (v - a->low) / (a->high - a->low);
}

/* Log tics at 1, 2 and 5, thinned to 1 where there are many decades. */
static void log_tics(const struct axis *a, char letter, struct figure *f)
{
    static const double steps[] = {1, 2, 5};
    double decades = log10(a->high / a->low);
    size_t used = decades > 3 ? 1 : ARRAY_LEN(steps), count = 0;
    buf_printf(&f->script, "set %ctics (", letter);
    for (double power = floor(log10(a->low)); power <= ceil(log10(a->high)); power++)
        for (size_t i = 0; i < used; i++) {
            double v = steps[i] * pow(10, power);
            if (v >= a->low && v <= a->high)
                buf_printf(&f->script, "%s%s", count++ ? "," : "", gp(v));
        }
    buf_str_add(&f->script, ")\n");
}

void axis_script(const struct axis *a, char letter, const char *label, struct figure *f)
{
    if (a->log) {
        figure_line(f, "set logscale %c", letter);
        log_tics(a, letter, f);
    }
    figure_line(f, "set %crange [%s:%s]", letter, gp(a->low), gp(a->high));
    figure_line(f, "set %clabel '%s' textcolor rgb '" INK "'", letter, label);
    figure_line(f, "set format %c '%%g'", letter);
    if (letter == 'x') /* keeps what hangs below the line inside the picture */
        figure_line(f, "set xlabel offset 0,0.4");
}

/* ---- labels ---- */

#define LINE  17.0 /* pixels */
#define WIDTH 7.6  /* of a column of text */
#define DOT   8.0

struct box {
    double left, right, top, bottom;
};

static struct box text_box(const struct place *p, double dx, double dy)
{
    return (struct box){p->x + dx, p->x + dx + (double)p->columns * WIDTH,
                        p->y + dy - LINE / 2, p->y + dy + LINE / 2};
}

static bool overlap(struct box a, struct box b)
{
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

static bool is_free(const struct place *p, size_t count, size_t self, struct box b,
                    double width, double height)
{
    if (b.left < 0 || b.right > width || b.top < 0 || b.bottom > height)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct box dot = {p[i].x - DOT, p[i].x + DOT, p[i].y - DOT, p[i].y + DOT};
        if (i != self && overlap(b, dot))
            return false;
        if (i < self && !p[i].hidden && overlap(b, text_box(&p[i], p[i].dx, p[i].dy)))
            return false;
    }
    return true;
}

void places_choose(struct place *p, size_t count, double width, double height)
{
    for (size_t i = 0; i < count; i++) {
        double text = (double)p[i].columns * WIDTH, gap = 12;
        const double at[][2] = {{gap, -LINE * .8},         {gap, LINE * .8},
                                {-gap - text, -LINE * .8}, {-gap - text, LINE * .8},
                                {-text / 2, -LINE * 1.7},  {-text / 2, LINE * 1.7},
                                {gap, -LINE * 2},          {gap, LINE * 2}};
        p[i].hidden = true;
        for (size_t k = 0; k < ARRAY_LEN(at) && p[i].hidden; k++)
            if (is_free(p, count, i, text_box(&p[i], at[k][0], at[k][1]), width,
                        height)) {
                p[i].dx = at[k][0];
                p[i].dy = at[k][1];
                p[i].hidden = false;
            }
    }
}
