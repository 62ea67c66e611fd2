/* sweep/status/status_best.c - what is best so far, with an interval that may be looked at
 * again and again (lib/stats/basic.h): over seeds by what all configurations vary by
 * together, or its own spread where that is larger (stat_mean_looked); of a sweep without
 * seeds over the rows that the run was judged on (stat_share_looked), for any of its
 * configurations. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include "sweep/status/status_parts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BEST_ROWS_MAX 20000 /* with more trials the best is `report`'s business */

/* Configurations that have complete trials, in the order of the rows. */
struct best {
    size_t row, n; /* its first, how many */
    double mean, squares;
};

struct bests {
    struct best *items;
    size_t count, cap, best;
    double squares, df; /* of all together */
    bool shares;        /* the metric is a share of rows */
    double planned;     /* configurations that the sweep has */
};

/* The rows of one configuration stand together. */
static struct best read_one(const json_t *rows, size_t begin)
{
    const json_t *key = json_array_get(json_array_get(rows, begin), 0);
    struct best b = {.row = begin};
    for (size_t i = begin; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (!json_equal(json_array_get(row, 0), key))
            break;
        const double x = json_number_value(json_array_get(row, 2)), off = x - b.mean;
        b.mean += off / (double)++b.n;
        b.squares += off * (x - b.mean);
    }
    return b;
}

static void read_all(const json_t *rows, bool maximize, struct bests *all)
{
    for (size_t i = 0; i < json_array_size(rows); i += all->items[all->count++].n) {
        all->items = xgrow(all->items, &all->cap, all->count + 1, sizeof *all->items);
        const struct best b = all->items[all->count] = read_one(rows, i);
        const double highest = all->items[all->best].mean;
        if (maximize ? b.mean > highest : b.mean < highest)
            all->best = all->count;
        all->squares += b.squares;
        all->df += (double)(b.n - 1);
    }
}

/* Over seeds; of single runs (*items set) over the rows that the best was judged on. */
static struct stat_interval interval_of(const struct bests *all, const json_t *rows,
                                        size_t *items)
{
    const struct best *b = &all->items[all->best];
    const double judged =
        json_number_value(json_array_get(json_array_get(rows, b->row), 3));
    *items = all->df == 0 && all->shares && judged >= 1 ? (size_t)judged : 0;
    if (*items)
        return stat_share_looked((size_t)llround(b->mean * judged), *items,
                                 1 - 0.05 / all->planned);
    const double own = b->n > 1 ? b->squares / (double)(b->n - 1) : 0,
                 pooled = all->df > 0 ? all->squares / all->df : 0,
                 se = sqrt(fmax(pooled, own) / (double)b->n);
    return stat_mean_looked(b->mean, se, all->df, all->count, 0.95);
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *best_json(const json_t *rows, const struct bests *all,
                         const struct sweep_labels *labels)
{
    const struct best *b = &all->items[all->best];
    const char *text = json_string_value(json_array_get(json_array_get(rows, b->row), 1));
    json_t *params = text ? json_parse(text, strlen(text), "params", NULL) : NULL;
    struct sweep_labels without_seed = *labels;
    struct buf label = BUF_INIT;
    without_seed.seeds = false;
    sweep_label(&without_seed, params, 0, &label);
    size_t items;
    const struct stat_interval ci = interval_of(all, rows, &items);
    json_t *result = json_pack("{s:s, s:I, s:f, s:o, s:o, s:b, s:I}", "label",
                               buf_str(&label), "n", (json_int_t)b->n, "mean", b->mean,
                               "low", number(ci.low), "high", number(ci.high), "any_look",
                               isfinite(ci.low), "rows", (json_int_t)items);
    buf_release(&label);
    json_decref(params);
    return result;
}

static double one_number(struct store *store, int64_t sweep, const char *sql)
{
    json_t *rows = status_rows(store, sql, sweep, NULL, NULL);
    const double x = json_number_value(json_array_get(json_array_get(rows, 0), 0));
    json_decref(rows);
    return x;
}

static bool too_many(struct store *store, int64_t sweep)
{
    return one_number(store, sweep, "SELECT complete FROM sweep_view WHERE id = ?1") >
           BEST_ROWS_MAX;
}

json_t *status_best(struct store *store, int64_t sweep, const json_t *metric,
                    const struct sweep_labels *labels, struct err *err)
{
    const char *name = json_get_str(metric, "name", NULL);
    struct bests all = {.shares = name && str_has_suffix(name, "/accuracy")};
    json_t *rows =
        name && !too_many(store, sweep)
            ? status_rows(store,
                          "SELECT t.key, t.params, s.value, (SELECT value FROM "
                          "summary_view r WHERE r.trial = t.id AND r.key = 'data/' || "
                          "replace(?2, '/accuracy', '_rows')) FROM trial_view t JOIN "
                          "summary_view s ON s.trial = t.id AND s.key = ?2 WHERE t.sweep "
                          "= ?1 AND t.state = 'complete' AND s.kind IN ('finite', '-0') "
                          "ORDER BY t.key",
                          sweep, name, err)
            : NULL;
    read_all(rows, str_eq(json_get_str(metric, "goal", NULL), "maximize"), &all);
    all.planned = one_number(
        store, sweep, "SELECT count(DISTINCT key) FROM trial_view WHERE sweep = ?1");
    json_t *result = all.count ? best_json(rows, &all, labels) : json_null();
    free(all.items);
    json_decref(rows);
    return result;
}
