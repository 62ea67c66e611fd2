/* report/sections/decision/decision_box.c - the box at the top: figures of the leader and of the
 * leanest that may be as good, service levels, what would flip it, status. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/evidence/strength.h"
#include "report/page/words.h"
#include "report/sections/decision/decision.h"
#include <math.h>
#include <string.h>

/* ---- what would flip it ---- */

static const struct sla_check *find_check(const struct sla_verdict *v, const char *key)
{
    for (size_t i = 0; i < v->count; i++)
        if (str_eq(v->checks[i].key, key))
            return &v->checks[i];
    return NULL;
}

json_t *decision_flips(const struct report *r)
{
    json_t *list = json_array();
    const struct sla_verdict *v = r->sla ? sla_leader(r) : NULL;
    if (!v)
        return list;
    if (v->first && isfinite(v->first->break_per_s))
        json_array_append_new(
            list, json_string(word_f("Traffic: above %.3g requests per s %s breaks "
                                     "(planned peak %.3g).",
                                     v->first->break_per_s, v->first->title,
                                     r->sla->peak_per_s)));
    const struct sla_check *budget = find_check(v, "budget_usd_per_month");
    double price = replica_usd_per_hour(r, v->cell);
    if (budget && budget->measured > 0 && isfinite(price))
        json_array_append_new(
            list,
            json_string(word_f("Price: above about %s per replica and hour (now %s) "
                               "the monthly budget of %s breaks.",
                               word_usd(price * budget->limit / budget->measured),
                               word_usd(price), word_usd(budget->limit))));
    return list;
}

static void write_flips(const json_t *flips, struct html *h)
{
    const json_t *line;
    size_t i;
    if (!json_array_size(flips))
        return;
    html_el(h, "p", "facts-of", "What would flip it");
    html_open(h, "ul", "flips");
    json_array_foreach((json_t *)flips, i, line)
    {
        html_el(h, "li", NULL, "%s", json_string_value(line));
    }
    html_close(h, "ul");
}

/* The cheapest GPU that holds it, as predicted. */
static void predicted_fact(const struct report *r, const struct report_cell *c,
                           struct html *h)
{
    struct gpu_cost best = {.gpu = NULL}, g;
    for (size_t i = 0; i < r->catalog.gpu_count; i++) {
        predict_gpu(r, c, &r->catalog.gpus[i], &g);
        if (isfinite(g.run_usd.base) && g.fit != FIT_NO &&
            (!best.gpu || g.run_usd.base < best.run_usd.base))
            best = g;
    }
    if (!best.gpu)
        return;
    html_open(h, "div", NULL);
    html_el(h, "dt", NULL, "Run on %s", best.gpu->name);
    html_open(h, "dd", "predicted");
    html_textf(h, "≈ %s", word_usd(best.run_usd.base));
    html_el(h, "small", NULL, "predicted, %s",
            word_usd_range(best.run_usd.low, best.run_usd.high));
    html_close(h, "dd");
    html_close(h, "div");
}

static void fact(struct html *h, const char *name, const char *value, const char *more)
{
    html_open(h, "div", NULL);
    html_el(h, "dt", NULL, "%s", name);
    html_open(h, "dd", NULL);
    html_text(h, value);
    if (*more)
        html_el(h, "small", NULL, "%s", more);
    html_close(h, "dd");
    html_close(h, "div");
}

/* Of a language model: what its loss means, and what a token takes where that was
 * measured; else its latency is that of reading a row. */
static void language_facts(const struct report *r, const struct report_cell *c,
                           struct html *h)
{
    static const char *const more[][3] = {
        {"/perplexity", "Perplexity", "e to the loss"},
        {"/accuracy", "Next token right", "given the reference up to it"},
        {"/exact_match", "Answers word for word", ""},
        {"/rouge_l", "ROUGE-L of answers", ""}};
    const char *metric = metric_of(r), *slash = strchr(metric, '/');
    for (size_t i = 0; i < ARRAY_LEN(more) && slash; i++) {
        const struct spread s =
            cell_spread(c, word_f("%.*s%s", (int)(slash - metric), metric, more[i][0]));
        if (!isnan(s.mean) && !str_has_suffix(metric, more[i][0]))
            fact(h, more[i][1], word_f("%.4g", s.mean), more[i][2]);
    }
    const struct spread forgot = cell_spread(c, "general/forgetting");
    if (!isnan(forgot.mean))
        fact(h, "Forgetting", word_f("%+.3f nats a token", forgot.mean),
             word_f("general text, from %.3f",
                    cell_spread(c, "general/loss_before").mean));
    const double first = cell_spread(c, "latency/ttft_p50_ms").mean,
                 each = cell_spread(c, "latency/tpot_p50_ms").mean,
                 speed = cell_spread(c, "throughput/tokens_per_s").mean;
    if (!isnan(first))
        fact(h, "First token p50", word_f("%s ms", word_ms(first)),
             isnan(each) ? "" : word_f("then %s ms a token", word_ms(each)));
    if (!isnan(speed))
        fact(h, "Training speed", word_f("%.0f tokens/s", speed),
             isnan(cell_spread(c, "train/reused_tokens").mean)
                 ? ""
                 : "frozen layers once per row, not in each epoch");
}

static void write_facts(const struct report *r, size_t group, struct html *h)
{
    const struct report_cell *c = matrix_cell(&r->matrix, r->matrix.main_column, group);
    const struct verdict_config *v = c->verdict;
    double delta = r->settings.rules.delta, workers,
           thousand = cell_per_1000_usd(r, c, &workers), usd = cell_run_usd(r, c);
    struct spread memory = cell_spread(c, r->settings.memory_key),
                  rss = cell_spread(c, "mem/peak_rss_bytes"),
                  p50 = cell_spread(c, "latency/p50_ms"),
                  p95 = cell_spread(c, "latency/p95_ms");
    const bool lm = trial_is_lm(c->trials[0]);
    html_raw(h, "<dl class=\"facts\">\n");
    fact(h, metric_of(r), word_score(v->mean, delta),
         isnan(v->ci.low)
             ? word_plural(v->n_ok, "seed")
             : word_f("%s, %s", word_range(v->ci, delta), word_plural(v->n_ok, "seed")));
    if (lm)
        language_facts(r, c, h);
    if (!isnan(memory.mean))
        fact(h, "Peak memory", word_bytes(memory.mean),
             str_eq(r->settings.memory_key, "mem/planned_bytes")
                 ? word_f("planned; process %s", word_bytes(rss.mean))
                 : "measured");
    if (!isnan(p50.mean))
        fact(h, lm ? "Reading a row, p50" : "Latency p50",
             word_f("%s ms", word_ms(p50.mean)),
             word_f("p95 %s ms%s", word_ms(p95.mean),
                    cell_busy(c) ? "; timed while other work ran" : ""));
    if (!isnan(usd))
        fact(h, "Training run", word_usd(usd),
             word_seconds(cell_spread(c, "time/total_s").mean));
    if (!isnan(thousand))
        fact(h, "1,000 requests", word_usd(thousand),
             isnan(workers) ? "while busy" : word_f("on %g replicas", workers));
    predicted_fact(r, c, h);
    html_close(h, "dl");
}

/* Of the first only what to take is large; what may be said of the others stands below. */
static void write_takeaway(const struct report *r, const char *line, bool first,
                           struct html *h)
{
    const bool decides = first && r->matrix.verdicts[r->matrix.main_column]->ranked;
    const char *take = decides ? decision_take_text(r) : "";
    size_t n = *take && str_has_prefix(line, take) ? strlen(take) : 0;
    if (first)
        html_el(h, "p", "lead", "%.*s", n ? (int)n : (int)strlen(line), line);
    n += line[n] == ' ';
    if (!first || (n && line[n]))
        html_el(h, "p", NULL, "%s", line + n);
}

/* The one next step. */
static void write_next(const json_t *next, struct html *h)
{
    html_raw(h, "<p class=\"next\" id=\"next-step\"><strong>Next</strong> ");
    html_el(h, "code", NULL, "%s", json_get_str(next, "command", ""));
    html_textf(h, " %s", json_get_str(next, "why", ""));
    html_close(h, "p");
}

void decision_write(const struct report *r, const json_t *numbers_, struct html *h)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    const json_t *line;
    size_t i;
    const char *owner = r->sla ? sla_text(r->sla, "owner") : NULL;
    owner = owner ? owner : "";
    html_open(h, "div", "decision");
    html_raw(h, "<p class=\"pill\" id=\"confidence\">");
    html_text(h, json_get_str(numbers_, "confidence", ""));
    html_close(h, "p");
    if (json_is_true(json_object_get(numbers_, "shared_rate")))
        html_el(h, "p", "pill", "shared rate");
    if (json_object_get(numbers_, "service_levels"))
        html_el(h, "p", "pill", "service levels: %s",
                json_get_str(numbers_, "service_levels", ""));
    /* Of many tasks how they are served goes first. */
    const char *choice =
        json_get_str(json_object_get(r->sections, "tasks"), "choice", NULL);
    if (choice)
        html_el(h, "p", "lead", "%s", choice);
    json_array_foreach(json_object_get(numbers_, "takeaways"), i, line)
    {
        write_takeaway(r, json_string_value(line), i == 0 && !choice, h);
    }
    write_next(json_object_get(numbers_, "next"), h);
    if (v->ranked) {
        html_raw(h, "<p class=\"facts-of\" id=\"needs\">");
        html_text(h, cell_name(r, matrix_cell(&r->matrix, r->matrix.main_column,
                                              v->ranking[0])));
        html_close(h, "p");
        write_facts(r, v->ranking[0], h);
        if (decision_leanest(r) != v->ranking[0]) {
            html_el(h, "p", "facts-of", "%s, the leanest%s",
                    cell_name(r, matrix_cell(&r->matrix, r->matrix.main_column,
                                             decision_leanest(r))),
                    decision_lean_word(r));
            write_facts(r, decision_leanest(r), h);
        }
    }
    write_flips(json_object_get(numbers_, "flips"), h);
    html_el(h, "p", "note", "Status: %s%s%s. Evidence up to %s. Store rows %.16s…",
            json_get_str(numbers_, "status", "draft"), *owner ? ", owner " : "", owner,
            word_date(r->data.last_ms), r->data.rows_sha256);
    html_close(h, "div");
}
