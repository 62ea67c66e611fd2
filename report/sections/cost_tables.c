/* report/sections/cost_tables.c - see cost_tables.h. */
#include "report/sections/cost_tables.h"
#include "lib/mem.h"
#include "report/page/words.h"
#include <math.h>
#include <stdlib.h>

/* Cells of the main column with results, best first; NULL ends the list. Caller frees. */
static const struct report_cell **ordered(const struct report *r)
{
    const struct matrix *m = &r->matrix;
    size_t *order = xcalloc(m->groups + 1, sizeof *order), n = 0;
    const struct report_cell **out = xcalloc(m->groups + 1, sizeof *out);
    matrix_order(m, m->main_column, order);
    for (size_t i = 0; i < m->groups; i++) {
        const struct report_cell *c = matrix_cell(m, m->main_column, order[i]);
        if (c->count)
            out[n++] = c;
    }
    free(order);
    return out;
}

/* ---- training ---- */

static double co2_g(const struct report *r, double joules)
{
    double grid = r->sla ? sla_number(r->sla, "grid_g_per_kwh") : 475;
    double pue = r->sla ? sla_number(r->sla, "pue") : 1;
    return joules / 3.6e6 * pue * grid;
}

static void write_energy(const struct report *r, const struct report_cell **cells,
                         struct html *h)
{
    bool any = false;
    for (size_t i = 0; cells[i]; i++)
        any |= isfinite(cell_run_cost(r, cells[i]).energy_j);
    if (!any) {
        html_el(h, "p", "note",
                "Energy and CO₂ were not measured: the processor's energy counters could "
                "not be read.");
        return;
    }
    html_table_open(h, NULL, "Energy of training, measured by the energy counters",
                    "Configuration|>Energy, Wh|>CO₂, g");
    for (size_t i = 0; cells[i]; i++) {
        double joules = cell_run_cost(r, cells[i]).energy_j;
        html_row(h);
        html_head_cell(h, "%s", cell_name(r, cells[i]));
        html_number(h, "%s", isnan(joules) ? "–" : word_f("%.3g", joules / 3600));
        html_number(h, "%s", isnan(joules) ? "–" : word_f("%.3g", co2_g(r, joules)));
    }
    html_table_close(h);
    html_el(h, "p", "note", "CO₂ = energy × %g (building) × %g g/kWh (grid).",
            r->sla ? sla_number(r->sla, "pue") : 1.0,
            r->sla ? sla_number(r->sla, "grid_g_per_kwh") : 475.0);
}

/* Dollars of a million tokens trained, set-up and evaluation not counted. */
static double usd_per_mtoken(const struct run_cost *k, const struct report_cell *c)
{
    const double tokens = cell_spread(c, "throughput/tokens_per_s").mean * k->train_s;
    return k->usd * (k->train_s / k->total_s) / tokens * 1e6;
}

void write_training_cost(const struct report *r, struct html *h)
{
    const struct report_cell **cells = ordered(r);
    const bool lm = cells[0] && trial_is_lm(cells[0]->trials[0]);
    bool reused = false;
    html_table_open(h, NULL,
                    word_f("Training on this machine at %s: time measured, price assumed",
                           r->data.columns.items[r->matrix.main_column].label),
                    word_f("Configuration|>Set-up|>Training|>Evaluation|>Run|>Threads|"
                           ">USD per run%s",
                           lm ? "|>Tokens/s|>USD per million tokens trained" : ""));
    for (size_t i = 0; cells[i]; i++) {
        struct run_cost k = cell_run_cost(r, cells[i]);
        reused |= !isnan(cell_spread(cells[i], "train/reused_tokens").mean);
        html_row(h);
        html_head_cell(h, "%s", cell_name(r, cells[i]));
        html_number(h, "%s", word_seconds(k.setup_s));
        html_number(h, "%s", word_seconds(k.train_s));
        html_number(h, "%s", word_seconds(k.eval_s));
        html_number(h, "%s", word_seconds(k.total_s));
        html_number(h, "%.0f", trial_threads(cells[i]->trials[0]));
        html_number(h, "%s", word_usd(k.usd));
        if (lm) {
            html_number(h, "%.0f", cell_spread(cells[i], "throughput/tokens_per_s").mean);
            html_number(h, "%s", word_usd(usd_per_mtoken(&k, cells[i])));
        }
    }
    html_table_close(h);
    html_el(h, "p", "note",
            "Set-up: loading, measuring latency, writing files. %s per core and hour is "
            "assumed (--core-price); runs on a GPU pay its median price.",
            word_usd(r->options.core_usd_per_hour));
    if (reused)
        html_el(
            h, "p", "note",
            "Where layers below what trains give a row the same numbers in each epoch, "
            "they ran once per row (cache_features), and once for all runs that shared a "
            "cache folder: more epochs cost less than in proportion, a run by itself may "
            "take longer.");
    write_energy(r, cells, h);
    free(cells);
}

void write_decision_cost(const struct report *r, const struct report_cell *c,
                         struct html *h)
{
    struct decision_cost d = decision_cost(r);
    double runs, yearly = refresh_usd(r, c, &runs);
    html_table_open(h, NULL, "What the decision cost, and what keeping it costs",
                    "Part|>Trials|>Time|>USD");
    for (int p = 0; p < DECISION_PARTS; p++) {
        if (!d.trials[p])
            continue;
        html_row(h);
        html_head_cell(h, "trials, %s", decision_part_names[p]);
        html_number(h, "%zu", d.trials[p]);
        html_number(h, "%s", word_seconds(d.seconds[p]));
        html_number(h, "%s", word_usd(d.usd[p]));
    }
    html_row(h);
    html_head_cell(h, "refresh of %s per year, %g runs",
                   r->data.groups.items[c->group].label, runs);
    html_number(h, "%g", runs);
    html_number(h, "%s", word_seconds(runs * cell_run_cost(r, c).total_s));
    html_number(h, "%s", word_usd(yearly));
    html_table_close(h);
    if (!r->sla)
        html_el(h, "p", "note",
                "Twelve refreshes a year are assumed (--sla: retrains_per_year).");
}

/* ---- serving ---- */

static const char *p99_text(const struct serving *s, const struct report_cell *c)
{
    double high =
        cell_spread(c, s->merged ? "latency/merged_p99_high_ms" : "latency/p99_high_ms")
            .mean;
    if (!queue_can_claim(s->requests, .99))
        return word_f("not measurable from %zu", s->requests);
    return isnan(high) ? word_ms(s->p99_ms)
                       : word_f("%s (below %s)", word_ms(s->p99_ms), word_ms(high));
}

static void serving_row(const struct report *r, const struct report_cell *c, bool merged,
                        bool daily, struct html *h)
{
    struct serving s;
    if (!serving_measure(r, c, merged, &s))
        return;
    double workers;
    double usd =
        cost_per_1000(r, s.p50_ms / 1000, trial_usd_per_hour(r, c->trials[0]), &workers);
    html_row(h);
    html_head_cell(h, "%s", cell_name(r, c));
    html_cell(h, "%s", merged ? "merged" : "as trained");
    html_number(h, "%s", word_ms(s.p50_ms));
    html_number(h, "%s", isnan(s.p95_ms) ? "–" : word_ms(s.p95_ms));
    html_number(h, "%s", p99_text(&s, c));
    html_number(h, "%.3g", s.per_s);
    html_number(h, "%s", word_usd(usd));
    if (daily)
        html_number(h, "%.0f", workers);
    serving_release(&s);
}

void write_serving_cost(const struct report *r, struct html *h)
{
    const struct report_cell **cells = ordered(r);
    bool daily = r->options.requests_per_day > 0, any = false;
    for (size_t i = 0; cells[i]; i++)
        any |= cell_spread(cells[i], "latency/p50_ms").mean > 0;
    if (!any) {
        free(cells);
        return;
    }
    html_fold_open(h, "Serving on this machine, every configuration");
    html_table_open(h, NULL,
                    "Serving on this machine, one request at a time: time measured, "
                    "price assumed",
                    word_f("Configuration|Adapter|>p50, ms|>p95, ms|>p99, ms|>Requests "
                           "per s|>USD per 1,000 requests%s",
                           daily ? "|>Workers" : " while busy"));
    for (size_t i = 0; cells[i]; i++) {
        serving_row(r, cells[i], false, daily, h);
        serving_row(r, cells[i], true, daily, h);
    }
    html_table_close(h);
    if (trial_is_lm(cells[0]->trials[0]))
        html_el(
            h, "p", "note",
            "A request is one row read in one pass, as to score a text. Each token that "
            "is written takes a pass of its own: the box at the top has what the first "
            "and each further one took, where the trials measured it.");
    html_el(
        h, "p", "note", "%s",
        daily ? word_f("At %.0f requests a day, peak %g times the mean; as many workers "
                       "as keep the p99 wait within four service times (Erlang C), "
                       "paid all day.",
                       r->options.requests_per_day, assumptions[ASSUME_PEAK_LOAD].base)
              : "Requests one after the other while busy; --requests-per-day N or --sla "
                "FILE puts idle time in. p99 in brackets: one-sided 95 % bound, which "
                "needs 299 requests.");
    html_fold_close(h);
    free(cells);
}

/* ---- at a load ---- */

/* What the leader takes at a few loads, as --requests-per-day would say. */
void write_loads(const struct report *r, const struct report_cell *c, struct html *h)
{
    static const double loads[] = {1, 10, 100, 1000};
    const double service_s = cell_spread(c, "latency/p50_ms").mean / 1000,
                 price = trial_usd_per_hour(r, c->trials[0]);
    if (!isfinite(service_s) || !isfinite(price))
        return;
    html_raw(h, "<div id=\"load\">");
    html_table_open(h, NULL,
                    word_f("Serving %s at a load: time measured here, the rest predicted",
                           r->data.groups.items[c->group].label),
                    ">Requests per s, mean|>Workers|>USD per month|>USD per 1,000 "
                    "requests");
    for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
        struct report at = *r;
        double workers;
        at.options.requests_per_day = loads[i] * 86400;
        double usd = cost_per_1000(&at, service_s, price, &workers);
        html_row(h);
        html_number(h, "%g", loads[i]);
        html_raw(h, "<td class=\"num predicted\">");
        html_textf(h, "≈ %.0f", workers);
        html_raw(h, "</td><td class=\"num predicted\">");
        html_textf(h, "≈ %s", word_usd(workers * price * 730));
        html_raw(h, "</td><td class=\"num predicted\">");
        html_textf(h, "≈ %s", word_usd(usd));
        html_raw(h, "</td>");
    }
    html_table_close(h);
    html_el(h, "p", "note",
            "As many workers like this machine as keep the p99 wait within four service "
            "times at a peak of %g times the mean (Erlang C), paid all month.",
            assumptions[ASSUME_PEAK_LOAD].base);
    html_raw(h, "</div>\n");
}

/* ---- GPUs ---- */

static void predicted(struct html *h, const char *base, const char *low, const char *high)
{
    html_raw(h, "<td class=\"num predicted\">");
    html_textf(h, "≈ %s", base);
    html_el(h, "small", NULL, "%s to %s", low, high);
    html_raw(h, "</td>");
}

static void predicted_usd(struct html *h, const struct range3 *x)
{
    if (isfinite(x->base))
        predicted(h, word_usd(x->base), word_usd(x->low), word_usd(x->high));
    else
        html_number(h, "–");
}

/* "8 of 12 GPUs hold it; the cheapest run: L4, ..." */
void write_gpu_line(const struct report *r, const struct report_cell *c, struct html *h)
{
    size_t priced = 0, fit = 0;
    struct gpu_cost g, low = {.gpu = NULL}, high = {.gpu = NULL};
    for (size_t i = 0; i < r->catalog.gpu_count; i++) {
        predict_gpu(r, c, &r->catalog.gpus[i], &g);
        if (!g.price.rows)
            continue;
        priced++;
        if (g.fit == FIT_NO || !isfinite(g.run_usd.base))
            continue;
        fit++;
        if (!low.gpu || g.run_usd.base < low.run_usd.base)
            low = g;
        if (!high.gpu || g.run_usd.base > high.run_usd.base)
            high = g;
    }
    html_raw(h, "<p class=\"predicted\" id=\"gpus\">");
    if (!low.gpu)
        html_textf(h, "No price of a run of %s is predicted for any of %zu GPUs.",
                   cell_name(r, c), priced);
    else
        html_textf(h,
                   "%zu of %zu GPUs with a price hold %s; a run costs from ≈ %s (%s, %s, "
                   "%s) to ≈ "
                   "%s (%s).",
                   fit, priced, cell_name(r, c), word_usd(low.run_usd.base),
                   low.gpu->name, word_seconds(low.train_s.base),
                   word_usd_range(low.run_usd.low, low.run_usd.high),
                   word_usd(high.run_usd.base), high.gpu->name);
    html_close(h, "p");
}

void write_gpu_cost(const struct report *r, const struct report_cell *c, struct html *h)
{
    struct calibration k = calibrate_method(r, c, NULL);
    html_el(
        h, "p", "note",
        "Roofline predictions, not measurements: low, base and high combine the price "
        "range of the dated rows in the appendix with the assumptions below. "
        "%s FLOPs of training are counted by the trainer; a request is one forward "
        "pass; spot includes the work lost to interruptions.",
        k.runs
            ? word_f("Calibration: %s of this method reached %.2f to %.2f of this "
                     "machine's peak (median %.2f).",
                     word_plural(k.runs, "run"), k.share.high, k.share.low, k.share.base)
            : "No run recorded its share of the peak, so it is assumed.");
    html_table_open(
        h, NULL, word_f("Predicted for rented GPUs: %s", cell_name(r, c)),
        "GPU|Fits|>USD per GPU and hour|>Newest price|>Run|>USD per run|>Spot, "
        "USD per run|>USD per 1,000 requests");
    for (size_t i = 0; i < r->catalog.gpu_count; i++) {
        struct gpu_cost g;
        predict_gpu(r, c, &r->catalog.gpus[i], &g);
        if (!g.price.rows)
            continue;
        html_row(h);
        html_head_cell(h, "%s%s", g.gpu->name, g.gpu->unverified ? " *" : "");
        html_cell(h, "%s", memory_fit_words[g.fit]);
        html_number(h, "%s (%s)", word_usd(g.price.base),
                    word_usd_range(g.price.low, g.price.high));
        html_number(h, "%s%s", g.price.newest->read_on,
                    g.age_days > PRICE_STALE_DAYS ? word_f(", stale: %d days", g.age_days)
                                                  : "");
        if (isfinite(g.train_s.base))
            predicted(h, word_seconds(g.train_s.base), word_seconds(g.train_s.low),
                      word_seconds(g.train_s.high));
        else
            html_number(h, "–");
        predicted_usd(h, &g.run_usd);
        predicted_usd(h, &g.spot_usd);
        predicted_usd(h, &g.per_1000_usd);
    }
    html_table_close(h);
    html_el(h, "p", "note",
            "Fits: the planned peak takes up to 85 %% of the memory (yes), up to 95 %% "
            "(tight), or more (no). * some figure of this GPU is unverified (report/data/"
            "gpus.json says which).");
}

void write_assumptions(struct html *h)
{
    html_table_open(h, NULL, "Assumptions behind the predictions",
                    "Assumption|>Cheap end|>Base|>Expensive end|Why");
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
