/* report/sections/appendix_sources.c - formulas, prices and GPU data of the appendix,
 * with their sources by number. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/page/words.h"
#include "report/sections/appendix.h"
#include <math.h>

void write_formulas(const struct report *r, struct html *h)
{
    static const char *const lines[] = {
        "Mean over seeds ± t(.975, n − 1) · s / √n. Failed seeds are a rate with a "
        "Wilson "
        "interval, never part of a mean.",
        "Pairs: paired t over shared good seeds (at least 3), else Welch (at least 2 "
        "each), "
        "else, where both are single runs on counted items, the two-proportion test "
        "(pooled "
        "for p, unpooled for intervals), else not compared. p adjusted by Holm over all "
        "pairs of a column; of single runs over the comparisons with the best, and there "
        "is no winner.",
        "better: adjusted p < .05 and difference ≥ δ. equivalent: 90 % interval inside "
        "(−δ, "
        "δ). Else undecided. Where one was tried in at least twice as many variants, "
        "better "
        "must hold at equal effort.",
        "Seeds needed: the smallest n with t(1 − .025 / pairs, n − 1) + z(.8) ≤ √n · d / "
        "s, "
        "s the s.d. of paired differences; for equivalence t(.95, n − 1) and d = δ − "
        "|difference|.",
        "Visible by evaluation rows: (z(.975) + z(.8)) · √(2 p (1 − p) / N), unpaired; "
        "where it is known what each row got, (z(.975) + z(.8)) · √(rows' part), median "
        "over the comparisons with the best.",
        "Seeds and rows, where it is known what each row got: score = m + seed + row + "
        "rest, three variances by mean squares; range: m ± √(t(S − 1)² seed / S + "
        "t(R − 1)² (row / R + rest / (S R))). Rows' part of a difference: (variance over "
        "rows of the difference of their means − what that varies by from run to run) / "
        "R, added to what seeds make. Single runs: McNemar's exact test, or t over rows.",
        "Front: one beats another when it is no worse by more than δ and 5 % of the "
        "cost, "
        "and better in one by more. Membership: share of 2,000 bootstrap draws of seeds "
        "(Philox, seed 0, \"pareto bootstrap\"). Knee: the cheapest within one standard "
        "error of the best.",
        "Stability of the order: what is better than a configuration stands before it, "
        "what it is better than behind it, the rest on either side. From 8 seeds on, of "
        "a "
        "winner, also 2,000 draws of seeds, the same for all where all ran the same "
        "(Philox, seed 20261124).",
        "What moves the score: ω² = (SS − df · MSE) / (SS total + MSE) of the full grid "
        "with "
        "percentile intervals of 1,000 draws of replicates (Philox, seed 0); else "
        "PED-ANOVA "
        "of the best tenth. What tuning buys: Σ v(i) C(i − 1, n − 1) / C(N, n).",
        "Claims: agrees where the 95 % interval of the difference leaves out 0 on the "
        "claim's "
        "side, disagrees on the other; unadjusted, as they were made before the data.",
        "Expected gain of an experiment: s φ(d / s) − d Φ(−d / s), d the difference, s = "
        "e "
        "√(n / (n + m)) for n more seeds beside m and the standard error e of d; of "
        "single runs, and of a group that was not run (d to the mean of the others), e "
        "is "
        "the s.d. of the groups' means.",
        "Run cost here: seconds · threads · price per core and hour / 3600. GPU: price · "
        "(set-up + FLOPs / (peak · share)) / 3600.",
        "Request on a GPU: max(weight bytes at 16 bit / (bandwidth · share), FLOPs / "
        "(peak · "
        "share)) + launches. Forward FLOPs per row: the leanest of training FLOPs per "
        "row "
        "over 1 (head), 2 (inside the model) or 3 (full).",
    };
    html_fold_open(h, "Formulas");
    html_open(h, "ul", NULL);
    html_el(h, "li", NULL, "δ = %g%s, goal %s%s.", r->settings.rules.delta,
            r->settings.delta_chosen ? " (default)" : "",
            r->settings.rules.minimize ? "minimize" : "maximize",
            isnan(r->settings.rules.collapse)
                ? ""
                : word_f(", collapsed at %g", r->settings.rules.collapse));
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        html_el(h, "li", NULL, "%s", lines[i]);
    html_close(h, "ul");
    html_fold_close(h);
}

/* The number of a source in the list, added when it is new. */
static size_t cite(json_t *sources, const char *source)
{
    const json_t *s;
    size_t i;
    json_array_foreach(sources, i, s)
    {
        if (str_eq(json_string_value(s), source))
            return i + 1;
    }
    json_array_append_new(sources, json_string(source));
    return json_array_size(sources);
}

static void write_sources(const json_t *sources, struct html *h)
{
    const json_t *s;
    size_t i;
    html_open(h, "ol", "note");
    json_array_foreach((json_t *)sources, i, s)
    {
        html_el(h, "li", NULL, "%s", json_string_value(s));
    }
    html_close(h, "ol");
}

/* "1, 3, 4": where the prices of a GPU were read. */
static const char *price_sources(const struct report *r, const char *gpu, json_t *sources)
{
    json_t *seen = json_object();
    const char *text = "";
    for (size_t i = 0; i < r->catalog.price_count; i++) {
        const struct price *p = &r->catalog.prices[i];
        if (!str_eq(p->gpu, gpu) || json_object_get(seen, p->source))
            continue;
        json_object_set_new(seen, p->source, json_true());
        text = word_f("%s%s%zu", text, *text ? ", " : "", cite(sources, p->source));
    }
    json_decref(seen);
    return text;
}

/* One row per GPU: what its predictions are made of. */
void write_prices(const struct report *r, struct html *h)
{
    json_t *sources = json_array();
    html_fold_open(h, "Prices of GPUs, %s in all",
                   word_plural(r->catalog.price_count, "row"));
    html_table_open(h, "fine", "USD per GPU and hour, as dated scenarios",
                    "GPU|>On demand|>Median|>Spot|>Rows|Newest read on|>Sources");
    for (size_t i = 0; i < r->catalog.gpu_count; i++) {
        const char *gpu = r->catalog.gpus[i].name;
        struct price_range all = catalog_range(&r->catalog, gpu),
                           spot = catalog_spot_range(&r->catalog, gpu);
        if (!all.rows && !spot.rows)
            continue;
        const struct price *newest = all.newest ? all.newest : spot.newest;
        html_row(h);
        html_head_cell(h, "%s", gpu);
        html_number(h, "%s", all.rows ? word_f("%g to %g", all.low, all.high) : "–");
        html_number(h, "%s", all.rows ? word_f("%.3g", all.base) : "–");
        html_number(h, "%s", spot.rows ? word_f("%g to %g", spot.low, spot.high) : "–");
        html_number(h, "%zu", all.rows + spot.rows);
        html_cell(h, "%s%s", newest->read_on,
                  price_age_days(newest, r->data.last_ms) > PRICE_STALE_DAYS ? ", stale"
                                                                             : "");
        html_number(h, "%s", price_sources(r, gpu, sources));
    }
    html_table_close(h);
    write_sources(sources, h);
    html_fold_close(h);
    json_decref(sources);
}

static void write_field(struct html *h, double value, const json_t *field,
                        json_t *sources)
{
    html_raw(h, "<td class=\"num\">");
    html_textf(h, "%.4g", value);
    html_el(h, "small", NULL, "%s [%zu]", json_get_str(field, "status", ""),
            cite(sources, json_get_str(field, "source", "")));
    html_raw(h, "</td>");
}

void write_gpu_data(const struct report *r, struct html *h)
{
    static const char *const rates[] = {"bandwidth_gb_s", "fp32_tflops", "fp16_tflops",
                                        "bf16_tflops", "watts"};
    json_t *sources = json_array();
    html_fold_open(h, "GPU data used");
    html_table_open(h, "fine",
                    "Memory and peak rates of GPUs, with status and source per field",
                    "GPU|>GiB|>GB/s|>FP32, TFLOP/s|>FP16|>BF16|>W");
    for (size_t i = 0; i < r->catalog.gpu_count; i++) {
        const struct gpu *g = &r->catalog.gpus[i];
        html_row(h);
        html_head_cell(h, "%s", g->name);
        write_field(h, g->memory_bytes / 1073741824,
                    json_object_get(g->row, g->memory_key), sources);
        for (size_t k = 0; k < ARRAY_LEN(rates); k++) {
            const json_t *f = json_object_get(g->row, rates[k]);
            write_field(h, json_get_num(f, "value", NAN), f, sources);
        }
    }
    html_table_close(h);
    write_sources(sources, h);
    html_fold_close(h);
    json_decref(sources);
}
