/* runner/optim/schedule.c - see schedule.h. */
#include "runner/optim/schedule.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>

static double ramp(double t, double warmup)
{
    return t / fmax(1, warmup);
}

static double linear(double t, double warmup, double total)
{
    return t < warmup ? ramp(t, warmup) : fmax(0, (total - t) / fmax(1, total - warmup));
}

static double constant(double t, double warmup, double total)
{
    (void)t, (void)warmup, (void)total;
    return 1;
}

static double constant_with_warmup(double t, double warmup, double total)
{
    (void)total;
    return t < warmup ? ramp(t, warmup) : 1;
}

static double cosine(double t, double warmup, double total)
{
    const double progress = (t - warmup) / fmax(1, total - warmup);
    return t < warmup ? ramp(t, warmup) : fmax(0, 0.5 * (1 + cos(M_PI * progress)));
}

static const struct {
    const char *name;
    double (*factor)(double, double, double);
} rows[] = {
    {"linear", linear},
    {"constant", constant},
    {"constant_with_warmup", constant_with_warmup},
    {"cosine", cosine},
};

struct schedule schedule_make(const char *name, double warmup, int64_t total)
{
    struct schedule s = {linear, warmup < 1 ? ceil(warmup * (double)total) : warmup,
                         (double)total};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].name, name))
            s.factor = rows[i].factor;
    return s;
}

double schedule_factor(const struct schedule *s, int64_t t)
{
    return s->factor((double)t, s->warmup, s->total);
}
