/* report/section_cost.c - training and serving cost: measured here, predicted for rented
 * GPUs. */
#include "lib/json.h"
#include "lib/mem.h"
#include "report/cost.h"
#include "report/words.h"
#include <math.h>
#include <stdlib.h>

static const struct report_cell *leader(const struct report *r)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    return v->ranked ? matrix_cell(&r->matrix, r->matrix.main_column, v->ranking[0])
                     : NULL;
}

/* ---- numbers ---- */

static json_t *range_json(const struct range3 *x)
{
    json_t *o = json_object();
    put_number(o, "low", x->low);
    put_number(o, "base", x->base);
    put_number(o, "high", x->high);
    return o;
}

static json_t *gpu_json(const struct gpu_cost *g)
{
    return json_pack("{s:s, s:b, s:I, s:I, s:o, s:o, s:o, s:o, s:s}", "gpu", g->gpu->name,
                     "fits", g->fits, "price_rows", (json_int_t)g->price.rows,
                     "newest_price_age_days", (json_int_t)g->age_days, "train_s",
                     range_json(&g->train_s), "usd_per_run", range_json(&g->run_usd),
                     "request_ms", range_json(&g->request_ms), "usd_per_1000_requests",
                     range_json(&g->per_1000_usd), "kind", "predicted");
}

static size_t stale_prices(const struct report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->catalog.price_count; i++)
        n += price_age_days(&r->catalog.prices[i], r->data.last_ms) > PRICE_STALE_DAYS;
    return n;
}

static json_t *here_json(const struct report *r)
{
    const struct matrix *m = &r->matrix;
    json_t *list = json_array();
    for (size_t g = 0; g < m->groups; g++) {
        const struct report_cell *c = matrix_cell(m, m->main_column, g);
        double workers, thousand = cell_per_1000_usd(r, c, &workers);
        if (!c->count)
            continue;
        json_t *o = json_pack("{s:s, s:s}", "group", r->data.groups.items[g].label,
                              "kind", "measured time, assumed price");
        put_number(o, "usd_per_run", cell_run_usd(r, c));
        put_number(o, "usd_per_1000_requests", thousand);
        put_number(o, "workers", workers);
        json_array_append_new(list, o);
    }
    return list;
}

/* Cheapest to serve against dearest: the ratio of p50 decides it here. */
static void takeaways(const struct report *r, json_t *o)
{
    double seconds, total = decision_usd(r, &seconds), workers;
    const struct report_cell *c = leader(r);
    const char *each = "";
    if (c && isfinite(cell_per_1000_usd(r, c, &workers))) {
        struct spread p50 = cell_spread(c, "latency/p50_ms");
        each = word_f("; serving %s costs %s per 1,000 requests (p50 %s ms, 95 %% %s)",
                      r->data.groups.items[c->group].label,
                      word_usd(cell_per_1000_usd(r, c, &workers)), word_ms(p50.mean),
                      isnan(p50.ci.low) ? "unknown"
                                        : word_f("%s to %s", word_ms(p50.ci.low),
                                                 word_ms(p50.ci.high)));
    }
    add_takeaway(o,
                 "The whole decision took %s of trials, %s at %s per core and hour, "
                 "failed ones included%s.",
                 word_seconds(seconds), word_usd(total),
                 word_usd(r->options.core_usd_per_hour), each);
    if (stale_prices(r))
        add_takeaway(o,
                     "%zu of %zu price rows were more than %d days old at the last trial "
                     "(%s): renew them with --prices before a budget rests on them.",
                     stale_prices(r), r->catalog.price_count, PRICE_STALE_DAYS,
                     word_date(r->data.last_ms));
}

static json_t *numbers(struct report *r)
{
    const struct report_cell *c = leader(r);
    double seconds, total = decision_usd(r, &seconds);
    json_t *gpus = json_array(), *o = json_object();
    bool timed = seconds > 0 || (c && isfinite(cell_run_usd(r, c)));
    for (size_t i = 0; c && i < r->catalog.gpu_count; i++) {
        struct gpu_cost g;
        predict_gpu(r, c, &r->catalog.gpus[i], &g);
        if (isfinite(g.run_usd.base) || isfinite(g.per_1000_usd.base))
            json_array_append_new(gpus, gpu_json(&g));
        timed |= json_array_size(gpus) > 0;
    }
    json_object_set_new(o, "decision_usd", json_real(total));
    json_object_set_new(o, "decision_s", json_real(seconds));
    json_object_set_new(o, "core_usd_per_hour", json_real(r->options.core_usd_per_hour));
    json_object_set_new(o, "this_machine", here_json(r));
    json_object_set_new(o, "gpus", gpus);
    json_object_set_new(o, "stale_prices", json_integer((json_int_t)stale_prices(r)));
    if (timed)
        takeaways(r, o);
    else
        json_object_set_new(o, "empty", json_true());
    return o;
}

/* ---- page ---- */

static void write_here(const struct report *r, struct html *h)
{
    const struct matrix *m = &r->matrix;
    size_t *order = xcalloc(m->groups + 1, sizeof *order);
    bool daily = r->options.requests_per_day > 0;
    matrix_order(m, m->main_column, order);
    html_table_open(h, NULL,
                    word_f("This machine at %s: time measured, price assumed",
                           r->data.columns.items[m->main_column].label),
                    word_f("Configuration|>Run|>USD per run|>Threads|>p50, ms|>USD per "
                           "1,000 requests%s",
                           daily ? "|>Workers" : ""));
    for (size_t i = 0; i < m->groups; i++) {
        const struct report_cell *c = matrix_cell(m, m->main_column, order[i]);
        double workers, thousand = cell_per_1000_usd(r, c, &workers);
        if (!c->count)
            continue;
        html_row(h);
        html_head_cell(h, "%s", cell_name(r, c));
        html_number(h, "%s", word_seconds(cell_spread(c, "time/total_s").mean));
        html_number(h, "%s", word_usd(cell_run_usd(r, c)));
        html_number(h, "%.0f", trial_threads(c->trials[0]));
        html_number(h, "%s", word_ms(cell_spread(c, "latency/p50_ms").mean));
        html_number(h, "%s", word_usd(thousand));
        if (daily)
            html_number(h, "%.0f", workers);
    }
    html_table_close(h);
    html_el(
        h, "p", "note", "%s",
        daily ? word_f("At %.0f requests a day, peak %g times the mean; as many workers "
                       "as keep the p99 wait within four service times (Erlang C), "
                       "paid all day.",
                       r->options.requests_per_day, assumptions[ASSUME_PEAK_LOAD].base)
              : "Requests one after the other while busy; idle time is not in it "
                "(--requests-per-day N puts it in).");
    free(order);
}

static void predicted(struct html *h, const char *base, const char *low, const char *high)
{
    html_raw(h, "<td class=\"num predicted\">");
    html_textf(h, "≈ %s", base);
    html_el(h, "small", NULL, "%s to %s", low, high);
    html_raw(h, "</td>");
}

static void write_gpus(const struct report *r, const struct report_cell *c,
                       struct html *h)
{
    html_table_open(h, NULL, word_f("Predicted for rented GPUs: %s", cell_name(r, c)),
                    "GPU|Fits|>USD per GPU and hour|>Newest price|>Run|>USD per run|>USD "
                    "per 1,000 requests");
    for (size_t i = 0; i < r->catalog.gpu_count; i++) {
        struct gpu_cost g;
        predict_gpu(r, c, &r->catalog.gpus[i], &g);
        if (!g.price.rows)
            continue;
        html_row(h);
        html_head_cell(h, "%s", g.gpu->name);
        html_cell(h, "%s", g.fits ? "yes" : "no");
        html_number(h, "%s (%s)", word_usd(g.price.base),
                    word_usd_range(g.price.low, g.price.high));
        html_number(h, "%s%s", g.price.newest->read_on,
                    g.age_days > PRICE_STALE_DAYS ? word_f(", stale: %d days", g.age_days)
                                                  : "");
        predicted(h, word_seconds(g.train_s.base), word_seconds(g.train_s.low),
                  word_seconds(g.train_s.high));
        predicted(h, word_usd(g.run_usd.base), word_usd(g.run_usd.low),
                  word_usd(g.run_usd.high));
        predicted(h, word_usd(g.per_1000_usd.base), word_usd(g.per_1000_usd.low),
                  word_usd(g.per_1000_usd.high));
    }
    html_table_close(h);
}

static void write_assumptions(struct html *h)
{
    html_table_open(h, NULL, "Assumptions behind the predictions",
                    "Assumption|>Cheap end|>Base|>Dear end|Why");
    for (size_t i = 0; i < ASSUME_COUNT; i++) {
        const struct assumption *a = &assumptions[i];
        html_row(h);
        html_head_cell(h, "%s%s%s", a->name, *a->unit ? ", " : "", a->unit);
        html_number(h, "%g", a->low);
        html_number(h, "%g", a->base);
        html_number(h, "%g", a->high);
        html_cell(h, "%s", a->why);
    }
    html_table_close(h);
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    const struct report_cell *c = leader(r);
    if (!c || json_is_true(json_object_get(n, "empty")))
        return;
    write_here(r, h);
    if (json_array_size(json_object_get(n, "gpus")) == 0)
        return;
    html_el(
        h, "p", "note",
        "Roofline predictions, not measurements: low, base and high combine the price "
        "range of the dated rows in the appendix (spot left out) with the assumptions "
        "below. FLOPs of training are counted by the trainer; a request is one "
        "forward pass.");
    write_gpus(r, c, h);
    write_assumptions(h);
}

const struct section section_cost = {"cost", "Cost", numbers, write};
