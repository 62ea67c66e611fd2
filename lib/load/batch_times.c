/* lib/load/batch_times.c - see batch_times.h. */
#include "lib/load/batch_times.h"
#include "lib/mem.h"
#include "lib/stats/nonneg.h"
#include <stdlib.h>

enum { FIXED, TOKENS, ROWS, ADAPTERS, COLD, COLUMNS };

static void put_columns(const struct batch_seen *b, double *x)
{
    x[FIXED] = 1;
    x[TOKENS] = b->tokens;
    x[ROWS] = b->rows;
    x[ADAPTERS] = b->adapters;
    x[COLD] = b->cold;
}

void batch_times_fit(const struct batch_seen *seen, size_t count, struct batch_times *out)
{
    double c[COLUMNS], *x = xcalloc(count + 1, sizeof c),
                       *y = xcalloc(count + 1, sizeof *y);
    for (size_t i = 0; i < count; i++) {
        put_columns(&seen[i], x + i * COLUMNS);
        y[i] = seen[i].seconds;
    }
    const double left = stat_nonneg_fit(x, y, count, COLUMNS, c);
    *out = (struct batch_times){.fixed_s = c[FIXED],
                                .token_s = c[TOKENS],
                                .row_s = c[ROWS],
                                .adapter_s = c[ADAPTERS],
                                .cold_s = c[COLD],
                                .residual_s = left,
                                .batches = count};
    free(x);
    free(y);
}

double batch_times_of(const struct batch_times *t, const struct batch_seen *b)
{
    return t->fixed_s + t->token_s * b->tokens + t->row_s * b->rows +
           t->adapter_s * b->adapters + t->cold_s * b->cold;
}
