/* report/sections/costs.c - training and serving cost: measured here, predicted for
 * rented GPUs. The tables are in cost_tables.c. */
#include "lib/json.h"
#include "report/page/words.h"
#include "report/sections/cost_tables.h"
#include "report/service/fleet.h"
#include <math.h>

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
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:s}", "gpu",
                     g->gpu->name, "fits", memory_fit_words[g->fit], "bound_by",
                     g->memory_bound ? "memory" : "arithmetic", "price_rows",
                     (json_int_t)g->price.rows, "newest_price_age_days",
                     (json_int_t)g->age_days, "train_s", range_json(&g->train_s),
                     "usd_per_run", range_json(&g->run_usd), "spot_usd_per_run",
                     range_json(&g->spot_usd), "request_ms", range_json(&g->request_ms),
                     "usd_per_1000_requests", range_json(&g->per_1000_usd), "kind",
                     "predicted");
}

static size_t stale_prices(const struct report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->catalog.price_count; i++)
        n += price_age_days(&r->catalog.prices[i], r->data.last_ms) > PRICE_STALE_DAYS;
    return n;
}

static json_t *serving_json(const struct report *r, const struct report_cell *c)
{
    json_t *list = json_array();
    for (int merged = 0; merged <= 1; merged++) {
        struct serving s;
        if (!serving_measure(r, c, merged, &s))
            continue;
        json_t *o =
            json_pack("{s:s, s:I, s:s}", "adapter", merged ? "merged" : "as trained",
                      "requests", (json_int_t)s.requests, "service_times",
                      s.service.recorded ? "recorded" : "fitted to percentiles");
        put_number(o, "p50_ms", s.p50_ms);
        put_number(o, "p95_ms", s.p95_ms);
        put_number(o, "p99_ms", s.p99_ms);
        put_number(o, "requests_per_s", s.per_s);
        json_array_append_new(list, o);
        serving_release(&s);
    }
    return list;
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
        struct run_cost k = cell_run_cost(r, c);
        json_t *o = json_pack("{s:s, s:s}", "group", r->data.groups.items[g].label,
                              "kind", "measured time, assumed price");
        put_number(o, "setup_s", k.setup_s);
        put_number(o, "train_s", k.train_s);
        put_number(o, "eval_s", k.eval_s);
        put_number(o, "energy_j", k.energy_j);
        put_number(o, "usd_per_run", k.usd);
        put_number(o, "usd_per_1000_requests", thousand);
        put_number(o, "usd_per_1000_while_busy", cell_busy_usd(r, c));
        put_number(o, "workers", workers);
        json_object_set_new(o, "serving", serving_json(r, c));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *decision_json(const struct report *r)
{
    struct decision_cost d = decision_cost(r);
    json_t *o = json_object();
    for (int p = 0; p < DECISION_PARTS; p++) {
        json_t *part = json_pack("{s:I, s:f}", "trials", (json_int_t)d.trials[p],
                                 "seconds", d.seconds[p]);
        put_number(part, "usd", d.usd[p]);
        json_object_set_new(o, decision_part_names[p], part);
    }
    return o;
}

/* ---- sentences ---- */

/* "$1.45 at $0.048 per core and hour", by what the trials ran on. */
static const char *paid_text(const struct report *r, double usd)
{
    size_t gpu = 0, unpriced = 0;
    const char *name = "";
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        gpu += trial_has_gpu(t);
        if (isnan(trial_usd(r, t))) {
            unpriced++;
            name = json_get_str(t->environment, "gpu", "a GPU");
        }
    }
    if (unpriced)
        return word_f(
            "whose cost is not known, as %s ran on %s without a price (--prices)",
            word_plural(unpriced, "trial"), name);
    if (gpu == r->data.count)
        return word_f("%s at the prices of their GPUs", word_usd(usd));
    return word_f("%s at %s per core and hour%s", word_usd(usd),
                  word_usd(r->options.core_usd_per_hour),
                  gpu ? " and the prices of GPUs" : "");
}

static void decision_takeaway(const struct report *r, json_t *o)
{
    double seconds, total = decision_usd(r, &seconds), workers;
    const struct report_cell *c = report_leader(r);
    const char *each = "";
    if (c && isfinite(cell_per_1000_usd(r, c, &workers))) {
        struct spread p50 = cell_spread(c, "latency/p50_ms");
        double usd = cell_per_1000_usd(r, c, &workers);
        each = word_f(
            "; serving %s costs %s per 1,000 requests%s (p50 %s ms, 95 %% %s)",
            r->data.groups.items[c->group].label, word_usd(usd),
            isnan(workers) ? " while busy"
                           : word_f(" on %g replicas, idle time included (%s while busy)",
                                    workers, word_usd(cell_busy_usd(r, c))),
            word_ms(p50.mean),
            isnan(p50.ci.low)
                ? "unknown"
                : word_f("%s to %s", word_ms(fmax(p50.ci.low, 0)), word_ms(p50.ci.high)));
    }
    add_takeaway(o, "The whole decision took %s of trials, %s, failed ones included%s.",
                 word_seconds(seconds), paid_text(r, total), each);
}

/* Merged against unmerged: the interval of their ratio decides. */
static void merging_takeaway(const struct report *r, json_t *o)
{
    const struct report_cell *c = report_leader(r);
    struct adapter_share s;
    if (!c || !adapter_share(c, &s))
        return;
    const char *name = r->data.groups.items[c->group].label;
    const struct stat_interval *i = &s.one.ci;
    const char *ratio =
        word_f("φ = %.2f, 95 %% %s, %s", s.one.mean,
               isnan(i->low) ? "unknown" : word_f("%.2f to %.2f", i->low, i->high),
               word_plural(s.one.n, "seed"));
    json_t *phi = spread_json(&s.one);
    put_number(phi, "many_adapters_low", s.many_low);
    json_object_set_new(o, "adapter_share", phi);
    if (isnan(i->low) || (i->low <= 1 && i->high >= 1))
        add_takeaway(o,
                     "Cannot tell whether merging %s makes serving faster: unmerged it "
                     "does %.0f %% of the merged requests per second (%s).",
                     name, 100 * s.one.mean, ratio);
    else
        add_takeaway(o,
                     "Unmerged %s does %.0f %% of the requests per second that it does "
                     "merged (%s): merging %s.",
                     name, 100 * s.one.mean, ratio,
                     i->high < 1 ? "pays" : "does not pay");
}

static void stale_takeaway(const struct report *r, json_t *o)
{
    if (stale_prices(r))
        add_takeaway(o,
                     "%zu of %zu price rows were more than %d days old at the last trial "
                     "(%s): renew them with --prices before a budget rests on them.",
                     stale_prices(r), r->catalog.price_count, PRICE_STALE_DAYS,
                     word_date(r->data.last_ms));
}

static json_t *numbers(struct report *r)
{
    const struct report_cell *c = report_leader(r);
    double seconds, runs, total = decision_usd(r, &seconds);
    json_t *gpus = json_array(), *o = json_object();
    bool timed = seconds > 0 || (c && isfinite(cell_run_usd(r, c)));
    for (size_t i = 0; c && i < r->catalog.gpu_count; i++) {
        struct gpu_cost g;
        predict_gpu(r, c, &r->catalog.gpus[i], &g);
        if (isfinite(g.run_usd.base) || isfinite(g.per_1000_usd.base))
            json_array_append_new(gpus, gpu_json(&g));
        timed |= json_array_size(gpus) > 0;
    }
    put_number(o, "decision_usd", total);
    json_object_set_new(o, "decision_s", json_real(seconds));
    json_object_set_new(o, "decision", decision_json(r));
    json_object_set_new(o, "core_usd_per_hour", json_real(r->options.core_usd_per_hour));
    json_object_set_new(o, "this_machine", here_json(r));
    json_object_set_new(o, "gpus", gpus);
    json_object_set_new(o, "stale_prices", json_integer((json_int_t)stale_prices(r)));
    if (c)
        put_number(o, "refresh_usd_per_year", refresh_usd(r, c, &runs));
    if (!timed) {
        json_object_set_new(o, "empty", json_true());
        return o;
    }
    decision_takeaway(r, o);
    merging_takeaway(r, o);
    fleet_numbers(r, o);
    stale_takeaway(r, o);
    return o;
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    const struct report_cell *c = report_leader(r);
    if (!c || json_is_true(json_object_get(n, "empty")))
        return;
    write_loads(r, c, h);
    write_serving_cost(r, h);
    write_fleet(r, h);
    html_fold_open(h, "Training on this machine, and what the decision cost");
    write_training_cost(r, h);
    write_decision_cost(r, c, h);
    html_fold_close(h);
    if (json_array_size(json_object_get(n, "gpus")) == 0)
        return;
    write_gpu_line(r, c, h);
    html_fold_open(h, "Every GPU, and the assumptions behind the predictions");
    write_gpu_cost(r, c, h);
    write_assumptions(h);
    html_fold_close(h);
}

const struct section section_cost = {"cost", "Cost", numbers, write};
