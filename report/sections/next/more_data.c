/* report/sections/next/more_data.c - see more_data.h. */
#include "report/sections/next/more_data.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/page/words.h"
#include <math.h>

/* Training rows of a column; NaN: not recorded. */
static double rows_of(const struct report *r, size_t column)
{
    double rows = r->data.columns.items[column].order;
    for (size_t i = 0; i < r->data.count && !isfinite(rows); i++)
        if (r->data.trials[i].column == column)
            rows = trial_metric(&r->data.trials[i], "data/train_rows");
    return rows;
}

/* Whether two columns differ in their number of rows alone. */
static bool differ_in_rows(const struct report *r, size_t a, size_t b)
{
    json_t *x = json_copy(r->data.columns.items[a].facts),
           *y = json_copy(r->data.columns.items[b].facts);
    json_object_del(x, "max_train_samples");
    json_object_del(y, "max_train_samples");
    bool same = json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

/* The column of most rows, fewer than the main one's, where the group has results. */
static size_t smaller_column(const struct report *r, size_t group)
{
    const size_t main = r->matrix.main_column;
    size_t best = SIZE_MAX;
    for (size_t c = 0; c < r->matrix.columns; c++)
        if (c != main && matrix_cell(&r->matrix, c, group)->count &&
            differ_in_rows(r, c, main) && rows_of(r, c) < rows_of(r, main) &&
            (best == SIZE_MAX || rows_of(r, c) > rows_of(r, best)))
            best = c;
    return best;
}

json_t *more_data_json(const struct report *r)
{
    const struct report_cell *c = report_leader(r);
    const size_t main = r->matrix.main_column,
                 fewer = c ? smaller_column(r, c->group) : SIZE_MAX;
    const double delta = r->settings.rules.delta;
    if (fewer == SIZE_MAX) {
        double rows = rows_of(r, main);
        return json_pack(
            "{s:s}", "text",
            word_f("One number of training rows was tried%s: what more rows would give "
                   "is not known; a sweep over max_train_samples would show it.",
                   isfinite(rows) ? word_f(" (%.0f)", rows) : ""));
    }
    const struct report_cell *small = matrix_cell(&r->matrix, fewer, c->group);
    const struct verdict_pair p =
        verdict_compare(c->verdict, small->verdict, &r->settings.rules);
    const double from = rows_of(r, fewer), to = rows_of(r, main),
                 doublings = log2(to / from);
    /* verdict_compare keeps the order it is given. */
    struct stat_interval ci = {p.ci95.low / doublings, p.ci95.high / doublings};
    json_t *o = json_pack(
        "{s:f, s:f, s:s}", "rows_from", from, "rows_to", to, "text",
        word_f("From %.0f to %.0f training rows %s gained %s of %s, %s per doubling%s; "
               "whether that goes on was not measured.",
               from, to, r->data.groups.items[c->group].label, word_change(p.diff, delta),
               metric_of(r), word_change(p.diff / doublings, delta),
               isnan(ci.low) ? "" : word_f(" (95 %% %s)", word_change_range(ci, delta))));
    put_number(o, "gain", p.diff);
    put_number(o, "per_doubling", p.diff / doublings);
    put_number(o, "low95", ci.low);
    put_number(o, "high95", ci.high);
    return o;
}
