/* runner/serve/pace.c - see pace.h. */
#include "runner/serve/pace.h"

#define KEEPS .97 /* of what an earlier batch counts, per batch */

void pace_note(struct pace *p, int64_t tokens, double seconds)
{
    const double x = (double)tokens;
    *p = (struct pace){KEEPS * p->n + 1, KEEPS * p->x + x, KEEPS * p->xx + x * x,
                       KEEPS * p->y + seconds, KEEPS * p->xy + x * seconds};
}

double pace_of(const struct pace *p, double batches, int64_t tokens)
{
    if (!(p->x > 0))
        return 0;
    const double spread = p->n * p->xx - p->x * p->x;
    double a = 0, b = p->y / p->x;
    if (spread > 1e-6 * p->n * p->xx) {
        b = (p->n * p->xy - p->x * p->y) / spread;
        a = (p->y - b * p->x) / p->n;
    }
    if (b < 0) {
        a = p->y / p->n;
        b = 0;
    } else if (a < 0) {
        a = 0;
        b = p->xy / p->xx;
    }
    return a * batches + b * (double)tokens;
}
