/* tracker/live/table_groups.c - the seeds of one configuration as one row: means of their
 * metrics with an interval that says how far it holds.
 *
 * While something still waits or runs the table is looked at again and again, so the
 * interval is one that holds at any look (stat_mean_looked over all groups, the spread
 * pooled over them, or a group's own where that is larger). With too few repeated seeds
 * there is none; what is shown then is the t interval of the group's own values, marked
 * as good for this look only. Once nothing is open it is the t interval, and final. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include "tracker/live/table_parts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEVEL 0.95
enum { QUANTILES = 64 };

struct group {
    const char *key;
    size_t first, n; /* in `members` */
    bool asked;      /* for one of its rows */
};

struct groups {
    const struct table *table;
    struct group *items;
    size_t count, cap;
    size_t *members; /* rows, group by group */
    double *scores;  /* room for one group's values */
    bool open;       /* something still waits or runs */
    double t[QUANTILES];
};

static void find_groups(struct groups *g, const size_t *order, size_t count)
{
    struct strmap *known = strmap_new();
    const size_t rows = g->table->count;
    size_t *of = xcalloc(rows + 1, sizeof *of), at = 0;
    for (size_t i = 0; i < rows; i++) {
        const char *key = g->table->rows[i].key;
        int64_t found = (int64_t)g->count;
        if (!strmap_get(known, key, strlen(key), &found)) {
            strmap_put(known, key, strlen(key), found);
            g->items = xgrow(g->items, &g->cap, g->count + 1, sizeof *g->items);
            g->items[g->count++] = (struct group){.key = key};
        }
        of[i] = (size_t)found;
        g->items[found].n++;
    }
    for (size_t k = 0; k < g->count; at += g->items[k++].n)
        g->items[k].first = at;
    size_t *filled = xcalloc(g->count + 1, sizeof *filled);
    for (size_t i = 0; i < rows; i++)
        g->members[g->items[of[i]].first + filled[of[i]]++] = i;
    for (size_t i = 0; i < count; i++)
        g->items[of[order[i]]].asked = true;
    free(filled);
    free(of);
    strmap_free(known);
}

/* The group's finite values of a metric that count: of complete trials. */
static size_t scores_of(const struct groups *g, const struct group *group,
                        const struct table_column *c)
{
    size_t n = 0;
    for (size_t i = 0; i < group->n; i++) {
        const size_t row = g->members[group->first + i];
        if (g->table->rows[row].state == TRIAL_complete && c->has[row] &&
            isfinite(c->numbers[row]))
            g->scores[n++] = c->numbers[row];
    }
    return n;
}

/* Half of the t interval over s / sqrt(n). */
static double t_factor(struct groups *g, size_t n)
{
    if (n >= QUANTILES)
        return stat_t_quantile((1 + LEVEL) / 2, (double)(n - 1));
    if (g->t[n] == 0)
        g->t[n] = stat_t_quantile((1 + LEVEL) / 2, (double)(n - 1));
    return g->t[n];
}

/* What all groups vary by together, of one metric. */
struct pooled {
    double variance, df,
        factor; /* factor: half of the interval for any look over se; NaN */
};

static struct pooled pool(const struct groups *g, const struct table_column *c)
{
    struct pooled p = {.factor = NAN};
    size_t with = 0;
    double squares = 0;
    for (size_t k = 0; k < g->count; k++) {
        const size_t n = scores_of(g, &g->items[k], c);
        with += n > 0;
        if (n < 2)
            continue;
        const double sd = stat_sd(g->scores, n);
        squares += sd * sd * (double)(n - 1);
        p.df += (double)(n - 1);
    }
    p.variance = p.df > 0 ? squares / p.df : 0;
    if (p.df > 0 && g->open)
        p.factor = stat_mean_looked(0, 1, p.df, with, LEVEL).high;
    return p;
}

static void put_number(struct buf *out, const char *name, double x)
{
    buf_printf(out, "\"%s\": ", name);
    if (isfinite(x))
        json_put_double(out, table_rounded(x));
    else
        buf_str_add(out, "null");
}

static void put_metric(struct groups *g, size_t n, const struct pooled *p,
                       struct buf *out)
{
    const double mean = stat_mean(g->scores, n);
    double half = NAN;
    const char *holds = NULL;
    if (n > 1) {
        const double sd = stat_sd(g->scores, n);
        half = t_factor(g, n) * sd / sqrt((double)n);
        holds = g->open ? "\"this look\"" : "\"final\"";
        if (isfinite(p->factor)) {
            half = p->factor * sqrt(fmax(p->variance, sd * sd) / (double)n);
            holds = "\"any look\"";
        }
    }
    buf_char(out, '{');
    put_number(out, "mean", mean);
    buf_str_add(out, ", ");
    put_number(out, "low", mean - half);
    buf_str_add(out, ", ");
    put_number(out, "high", mean + half);
    buf_printf(out, ", \"n\": %zu, \"holds\": %s}", n, holds ? holds : "null");
}

static void put_group(struct groups *g, const struct group *group,
                      const struct pooled *pools, struct buf *out)
{
    const struct table *t = g->table;
    bool any = false;
    buf_str_add(out, "{\"key\": ");
    json_put_string(out, group->key, strlen(group->key));
    buf_printf(out, ", \"n\": %zu, \"ids\": [", group->n);
    for (size_t i = 0; i < group->n; i++)
        buf_printf(out, "%s%lld", i ? ", " : "",
                   (long long)t->rows[g->members[group->first + i]].id);
    buf_str_add(out, "], \"metrics\": {");
    for (size_t c = 0; c < t->column_count; c++) {
        const size_t n = t->columns[c].has ? scores_of(g, group, &t->columns[c]) : 0;
        if (!n)
            continue;
        buf_str_add(out, any ? ", " : "");
        json_put_string(out, t->columns[c].name, strlen(t->columns[c].name));
        buf_str_add(out, ": ");
        put_metric(g, n, &pools[c], out);
        any = true;
    }
    buf_str_add(out, "}}");
}

void table_groups(const struct table *t, const size_t *order, size_t count,
                  struct buf *out)
{
    struct groups g = {.table = t,
                       .members = xcalloc(t->count + 1, sizeof *g.members),
                       .scores = xcalloc(t->count + 1, sizeof *g.scores)};
    struct pooled *pools = xcalloc(t->column_count + 1, sizeof *pools);
    bool any = false;
    for (size_t i = 0; i < t->count && !g.open; i++)
        g.open = !trial_state_is_final(t->rows[i].state);
    find_groups(&g, order, count);
    for (size_t c = 0; c < t->column_count && g.count < t->count; c++)
        if (t->columns[c].has)
            pools[c] = pool(&g, &t->columns[c]);
    buf_char(out, '[');
    for (size_t k = 0; k < g.count; k++) {
        if (g.items[k].n == 1 || !g.items[k].asked)
            continue;
        buf_str_add(out, any ? ", " : "");
        put_group(&g, &g.items[k], pools, out);
        any = true;
    }
    buf_char(out, ']');
    free(pools);
    free(g.items);
    free(g.members);
    free(g.scores);
}
