/* sweep/pruners/ranking.c - see ranking.h. */
#include "sweep/pruners/ranking.h"
#include <math.h>
#include <stdlib.h>

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    bool xn = isnan(x->value), yn = isnan(y->value);
    if (xn != yn)
        return xn ? 1 : -1;
    if (!xn && x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

size_t rank_at_rung(const struct curve *curves, size_t count, int64_t resource,
                    bool maximize, struct ranked *out)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct curve *c = &curves[i];
        if (!curve_finished(c, resource))
            continue;
        double value = c->reached >= resource || c->state == CURVE_COMPLETE
                           ? curve_at(c, resource)
                           : NAN;
        out[n++] = (struct ranked){i, c->number, maximize ? -value : value};
    }
    qsort(out, n, sizeof *out, by_rank);
    return n;
}

const struct ranked *first_to_promote(const struct curve *curves,
                                      const struct ranked *best, size_t slots,
                                      int64_t resource)
{
    for (size_t i = 0; i < slots; i++) {
        const struct curve *c = &curves[best[i].index];
        if (c->state == CURVE_WAITING && c->target <= resource && !isnan(best[i].value))
            return &best[i];
    }
    return NULL;
}
