/* report/sections/pareto.c - score against what it costs; the figures say it. */
#include "lib/json.h"
#include "report/evidence/front.h"
#include "report/page/words.h"
#include <math.h>
#include <stdlib.h>

static json_t *front_json(const struct report *r, const struct front_axis *axis)
{
    size_t n;
    struct front_point *p = pareto_front(r, axis, &n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_pack("{s:s, s:o, s:o, s:b, s:b}", "group",
                              r->data.groups.items[p[i].cell->group].label, "score",
                              spread_json(&p[i].score), "cost", spread_json(&p[i].cost),
                              "on_front", p[i].on_front, "knee", p[i].knee);
        put_number(o, "probability_on_front", p[i].probability);
        json_array_append_new(list, o);
    }
    free(p);
    return list;
}

static json_t *numbers(struct report *r)
{
    json_t *o = json_object();
    for (size_t i = 0; i < front_axis_count; i++)
        json_object_set_new(o, front_axes[i].id, front_json(r, &front_axes[i]));
    json_object_set_new(o, "empty", json_true()); /* shown when there are figures */
    return o;
}

static void write(const struct report *r, const json_t *numbers, struct html *h)
{
    (void)numbers;
    html_fold_open(h, "How to read the figures");
    html_el(
        h, "p", "note",
        "At %s. Filled marks are on the front with probability .5 or more, hollow ones "
        "with .1 to .5, small grey ones with less (share of %d bootstrap draws of seeds, "
        "score and cost together, fixed random key; of single runs by their means). "
        "Differences below %g of the score or %.0f %% of the cost take nobody off the "
        "front. Bars are 95 %% intervals; shaded is what the service levels allow.",
        r->data.columns.items[r->matrix.main_column].label, PARETO_DRAWS,
        r->settings.rules.delta, 100 * PARETO_SLACK);
    html_fold_close(h);
}

const struct section section_pareto = {
    "pareto", "Score against memory, price and latency", numbers, write};
