/* report/plots/axis.c - see axis.h. */
#include "report/plots/axis.h"
#include "lib/mem.h"
#include "lib/str.h"
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

double figure_x(const struct figure *f, const struct axis *a, double v)
{
    return f->left + axis_share(a, v) * (f->width - f->left - f->right);
}

double figure_y(const struct figure *f, const struct axis *a, double v)
{
    return f->height - f->bottom - axis_share(a, v) * (f->height - f->top - f->bottom);
}

/* ---- tics ---- */

enum { MOST_TICS = 24 };

/* The digits of every stride-th decade within the axis; 0: more than `most`. */
static size_t log_steps(const struct axis *a, const char *digits, int stride, size_t most,
                        double *out)
{
    size_t n = 0;
    double first = stride * floor(log10(a->low) / stride);
    for (double power = first; power <= ceil(log10(a->high)); power += stride)
        for (const char *d = digits; *d; d++) {
            double v = (*d - '0') * pow(10, power);
            if (v < a->low || v > a->high)
                continue;
            if (n == most)
                return 0;
            out[n++] = v;
        }
    return n;
}

/* Whole multiples of 1, 2 or 5 times a power of ten, at most so many. */
static size_t even_steps(const struct axis *a, size_t most, double *out)
{
    static const double nice[] = {1, 2, 5, 10};
    double rough = (a->high - a->low) / (double)most,
           power = pow(10, floor(log10(rough))), step = 10 * power;
    for (size_t i = ARRAY_LEN(nice); i-- > 0;)
        if (nice[i] * power >= rough)
            step = nice[i] * power;
    size_t n = 0;
    for (double k = ceil(a->low / step - 1e-9); k * step <= a->high * (1 + 1e-12); k++)
        if (n < most + 1)
            out[n++] = k * step;
    return n;
}

/* As many as have room: a number takes about nine columns side by side, two lines one
 * above the other. */
static void write_tics(const struct axis *a, char letter, struct figure *f)
{
    static const struct {
        const char *digits;
        int stride;
    } logs[] = {{"125", 1}, {"13", 1}, {"1", 1}, {"1", 2}, {"1", 3}, {"1", 6}};
    const double room = letter == 'x'
                            ? (f->width - f->left - f->right) / (9 * figure_column(f))
                            : (f->height - f->top - f->bottom) / 40;
    const size_t most = room < 2               ? 2
                        : room > MOST_TICS - 2 ? MOST_TICS - 2
                                               : (size_t)room;
    double at[MOST_TICS];
    size_t n = 0;
    for (size_t i = 0; a->log && !n && i < ARRAY_LEN(logs); i++)
        n = log_steps(a, logs[i].digits, logs[i].stride, most, at);
    if (!n)
        n = even_steps(a, most, at);
    buf_printf(&f->script, "set %ctics (", letter);
    for (size_t i = 0; i < n; i++)
        buf_printf(&f->script, "%s%s", i ? "," : "",
                   gp(fabs(at[i]) < 1e-12 * (a->high - a->low) ? 0 : at[i]));
    buf_str_add(&f->script, ")\n");
}

void axis_script(const struct axis *a, char letter, const char *label, struct figure *f)
{
    if (a->log)
        figure_line(f, "set logscale %c", letter);
    figure_line(f, "set %crange [%s:%s]", letter, gp(a->low), gp(a->high));
    write_tics(a, letter, f);
    if (letter == 'x') /* the offset keeps what hangs below the line inside the picture */
        figure_line(f, "set xlabel '%s' textcolor rgb '" INK "' offset 0,0.4", label);
    else /* where gnuplot puts it depends on what it believes tics to need */
        figure_line(
            f,
            "set label 9001 '%s' at screen %s, graph 0.5 rotate center textcolor rgb "
            "'" INK "'",
            label, gp((f->narrow ? 9.0 : 11.0) / f->width));
    figure_line(f, "set format %c '%%g'", letter);
}

/* ---- labels ---- */

#define LINE 17.0 /* pixels */

static struct box text_box(const struct place *p, double dx, double dy, double column)
{
    return (struct box){p->x + dx, p->x + dx + (double)p->columns * column,
                        p->y + dy - LINE / 2, p->y + dy + LINE / 2};
}

static bool overlap(struct box a, struct box b)
{
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

static bool is_free(struct box b, struct box page, const struct box *taken, size_t count)
{
    if (b.left < page.left || b.right > page.right || b.top < page.top ||
        b.bottom > page.bottom)
        return false;
    for (size_t i = 0; i < count; i++)
        if (overlap(b, taken[i]))
            return false;
    return true;
}

/* The first place that is free; taken then. */
static bool try_places(struct place *p, const double (*at)[2], size_t count,
                       struct box page, struct box *taken, size_t *taken_count,
                       double column)
{
    for (size_t k = 0; k < count; k++) {
        struct box b = text_box(p, at[k][0], at[k][1], column);
        if (!is_free(b, page, taken, *taken_count))
            continue;
        p->dx = at[k][0];
        p->dy = at[k][1];
        p->hidden = false;
        taken[(*taken_count)++] = b;
        return true;
    }
    return false;
}

/* Further away, in rings around the point, nearest first: these need a line to it. */
static bool try_rings(struct place *p, double text, struct box page, struct box *taken,
                      size_t *taken_count, double column)
{
    enum { RINGS = 8, ANGLES = 16 };
    double at[RINGS * ANGLES][2];
    for (int i = 0; i < RINGS * ANGLES; i++) {
        double radius = 30 + 22 * (i / ANGLES), angle = 2 * M_PI * (i % ANGLES) / ANGLES;
        at[i][0] = radius * cos(angle) - (cos(angle) < -.1 ? text : 0);
        at[i][1] = radius * sin(angle);
    }
    p->far = try_places(p, at, ARRAY_LEN(at), page, taken, taken_count, column);
    return p->far;
}

size_t places_choose(struct place *p, size_t count, struct box page, struct box *taken,
                     size_t taken_count, double column)
{
    size_t hidden = 0;
    for (size_t i = 0; i < count; i++) {
        double text = (double)p[i].columns * column, gap = 9;
        const double at[][2] = {{gap, -LINE * .7},          {gap, LINE * .7},
                                {-gap - text, -LINE * .7},  {-gap - text, LINE * .7},
                                {-text / 2, -LINE * 1.2},   {-text / 2, LINE * 1.2},
                                {gap, -LINE * 1.5},         {gap, LINE * 1.5},
                                {-gap - text, -LINE * 1.5}, {-gap - text, LINE * 1.5},
                                {-text * .8, -LINE * 1.2},  {-text * .2, -LINE * 1.2},
                                {-text * .8, LINE * 1.2},   {-text * .2, LINE * 1.2}};
        p[i].hidden = true;
        if (!try_places(&p[i], at, ARRAY_LEN(at), page, taken, &taken_count, column) &&
            p[i].matters)
            try_rings(&p[i], text, page, taken, &taken_count, column);
        hidden += p[i].hidden;
    }
    return hidden;
}
