/* report/evidence/chance.c - see chance.h. */
#include "report/evidence/chance.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void chance_init(struct chance *c, const struct report_data *d,
                 const struct kept_rows *kept, size_t column)
{
    *c = (struct chance){.data = d,
                         .kept = kept && kept->with ? kept : NULL,
                         .column = column,
                         .count = d->groups.count};
    c->configs = xcalloc(c->count + 1, sizeof *c->configs);
}

void chance_release(struct chance *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->configs[i].by_row);
    free(c->configs);
    *c = (struct chance){0};
}

/* Of repeats the last counts, as in verdict.c. */
static const struct trial_rows *rows_of(const struct chance *c,
                                        const struct verdict_config *config, int64_t seed)
{
    const struct trial_rows *found = NULL;
    for (size_t i = 0; i < c->data->count; i++) {
        const struct report_trial *t = &c->data->trials[i];
        if (t->column == c->column && t->group == config->index &&
            t->variant == config->variant && t->seed == seed && !trial_is_open(t))
            found = &c->kept->of[i];
    }
    return found && found->scores ? found : NULL;
}

/* Seeds x rows; NULL where a run is without, or has others. */
static double *table_of(const struct chance *c, const struct verdict_config *config,
                        struct config_rows *out)
{
    double *y = NULL;
    for (size_t s = 0; c->kept && s < config->n_ok; s++) {
        const struct trial_rows *r = rows_of(c, config, config->seeds[s]);
        if (!r || r->count < 2 || (s && r->set != out->set)) {
            free(y);
            return NULL;
        }
        out->set = r->set;
        out->rows = r->count;
        y = y ? y : xcalloc(config->n_ok * r->count + 1, sizeof *y);
        memcpy(y + s * r->count, r->scores, r->count * sizeof *y);
    }
    return y;
}

static void fill(const struct chance *c, const struct verdict_config *config)
{
    struct config_rows *r = &c->configs[config->index];
    double *y = table_of(c, config, r);
    r->asked = true;
    r->own = NAN;
    r->seeds = config->n_ok;
    r->crossed = stat_crossed_of(y, y ? r->seeds : 0, r->rows, 1 - VERDICT_ALPHA);
    if (!y)
        return;
    r->by_row = xcalloc(r->rows + 1, sizeof *r->by_row);
    for (size_t s = 0; s < r->seeds; s++)
        for (size_t i = 0; i < r->rows; i++)
            r->by_row[i] += y[s * r->rows + i] / (double)r->seeds;
    free(y);
}

const struct config_rows *chance_of(const struct chance *c,
                                    const struct verdict_config *config)
{
    if (!c->configs[config->index].asked)
        fill(c, config);
    return &c->configs[config->index];
}

/* What a row's mean varies by from run to run. */
static double rest_of(const struct config_rows *r)
{
    return r->crossed.rest / (double)r->seeds;
}

/* ---- of two ---- */

static bool are_paired(const struct config_rows *a, const struct config_rows *b)
{
    return a->by_row && b->by_row && a->set == b->set && a->rows == b->rows;
}

static double *differences(const struct config_rows *a, const struct config_rows *b)
{
    double *d = xcalloc(a->rows + 1, sizeof *d);
    for (size_t i = 0; i < a->rows; i++)
        d[i] = a->by_row[i] - b->by_row[i];
    return d;
}

double *chance_differences(const void *chance, const struct verdict_config *a,
                           const struct verdict_config *b, size_t *rows)
{
    const struct config_rows *x = chance_of(chance, a), *y = chance_of(chance, b);
    if (!are_paired(x, y))
        return NULL;
    *rows = x->rows;
    return differences(x, y);
}

/* ---- of one beside the others ---- */

/* With e = rows' means - their mean over K configurations and S the variance of e over
 * rows: E S_a = own_a (1 - 2 / K) + sum of own / K^2. */
static void fill_own(struct config_rows *configs, size_t count, size_t set, size_t rows)
{
    double *middle = xcalloc(rows + 1, sizeof *middle), *e = xcalloc(rows + 1, sizeof *e),
           k = 0, sum = 0;
    for (size_t i = 0; i < count; i++)
        k += configs[i].by_row && configs[i].set == set;
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; configs[i].by_row && configs[i].set == set && r < rows; r++)
            middle[r] += configs[i].by_row[r] / k;
    for (size_t i = 0; i < count && k >= 2; i++) {
        struct config_rows *c = &configs[i];
        if (!c->by_row || c->set != set)
            continue;
        for (size_t r = 0; r < rows; r++)
            e[r] = c->by_row[r] - middle[r];
        const double sd = stat_sd(e, rows);
        c->own = sd * sd;
        sum += c->own * k / (k - 1);
    }
    for (size_t i = 0; i < count && k >= 2; i++) {
        struct config_rows *c = &configs[i];
        if (!c->by_row || c->set != set)
            continue;
        const double own =
            k > 2 ? (c->own - sum / (k * k)) / (1 - 2 / k) : 2 * c->own; /* half each */
        c->own = fmax(0, own - rest_of(c)) / (double)rows;
    }
    free(middle);
    free(e);
}

static double own_of(struct chance *c, const struct verdict_config *a)
{
    chance_of(c, a);
    for (size_t i = 0; !c->owned && i < c->count; i++)
        if (c->configs[i].by_row && isnan(c->configs[i].own))
            fill_own(c->configs, c->count, c->configs[i].set, c->configs[i].rows);
    c->owned = true;
    return c->configs[a->index].own;
}

double chance_row_variance(const void *chance, const struct verdict_config *a,
                           const struct verdict_config *b)
{
    if (!b)
        return own_of((struct chance *)chance, a);
    const struct config_rows *x = chance_of(chance, a), *y = chance_of(chance, b);
    if (!are_paired(x, y))
        return NAN;
    double *d = differences(x, y),
           v = stat_row_variance(d, x->rows, rest_of(x) + rest_of(y));
    free(d);
    return v;
}

/* ---- what would help ---- */

struct chance_parts chance_parts_of(const struct chance *c, const struct verdict *v,
                                    const struct verdict_pair *p)
{
    const struct verdict_config *a = &v->configs[p->a], *b = &v->configs[p->b];
    const struct config_rows *x = chance_of(c, a), *y = chance_of(c, b);
    struct chance_parts parts = {NAN, NAN, p->se, NAN, NAN};
    if (!are_paired(x, y) || !(p->se >= 0) || x->seeds < 2 || y->seeds < 2)
        return parts;
    const double rest = (rest_of(x) + rest_of(y)) / (double)x->rows;
    parts.rows = chance_row_variance(c, a, b);
    parts.seeds = fmax(0, p->se * p->se - parts.rows);
    parts.se_twice_seeds = sqrt(parts.seeds / 2 + parts.rows);
    parts.se_twice_rows =
        sqrt(parts.seeds - fmin(rest, parts.seeds) / 2 + parts.rows / 2);
    return parts;
}
