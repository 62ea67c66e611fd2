/* report/section_pareto.c - score against what it costs; the figures say it. */
#include "lib/json.h"
#include "report/pareto.h"
#include "report/words.h"
#include <math.h>
#include <stdlib.h>

static json_t *front_json(const struct report *r, const char *metric)
{
    size_t n;
    struct front_point *p = pareto_front(r, metric, &n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_pack("{s:s, s:o, s:o, s:b}", "group",
                              r->data.groups.items[p[i].cell->group].label, "score",
                              spread_json(&p[i].score), "cost", spread_json(&p[i].cost),
                              "on_front", p[i].on_front);
        put_number(o, "probability_on_front", p[i].probability);
        json_array_append_new(list, o);
    }
    free(p);
    return list;
}

static json_t *pareto_numbers(struct report *r)
{
    json_t *o = json_pack("{s:o, s:o, s:b}", "mem/planned_bytes",
                          front_json(r, "mem/planned_bytes"), "latency/p50_ms",
                          front_json(r, "latency/p50_ms"), "empty", 1);
    return o;
}

static void pareto_write(const struct report *r, const json_t *numbers, struct html *h)
{
    (void)numbers;
    html_el(
        h, "p", "note",
        "At %s. Filled marks are on the front by their means, hollow ones are beaten in "
        "both; bars are 95 %% t intervals over seeds. How sure membership is stands in "
        "the tables (share of %d bootstrap draws of seeds, fixed random key).",
        r->data.columns.items[r->matrix.main_column].label, PARETO_DRAWS);
}

const struct section section_pareto = {"pareto", "Score against memory and latency",
                                       pareto_numbers, pareto_write};
