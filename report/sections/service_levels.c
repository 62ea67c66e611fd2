/* report/sections/service_levels.c - what the service asks for against what was measured:
 * a word per constraint for the best configuration, and the words of all others. */
#include "report/sections/service_levels.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/page/words.h"
#include "report/service/erlang.h"
#include <math.h>
#include <stdlib.h>

static const char *const word_classes[] = {"cell w-b", "cell w-u", "cell w-n",
                                           "cell w-f"};

static const char *check_text(const struct report *r, const struct sla_check *c, double v)
{
    if (isnan(v))
        return "–";
    if (isinf(v))
        return v > 0 ? "without end" : "–";
    if (str_eq(c->key, "base_untouched"))
        return v > 0 ? "changed" : "untouched";
    if (str_eq(c->key, "quality_floor"))
        return word_score(v, r->settings.rules.delta);
    if (str_eq(c->key, "availability"))
        return word_f("%.5g", v);
    if (str_eq(c->unit, "USD"))
        return word_usd(v);
    if (str_eq(c->unit, "ms"))
        return word_f("%s ms", word_ms(v));
    return word_f(v >= 100 ? "%.0f %s" : "%.3g %s", v, c->unit);
}

static double worse_bound(const struct sla_check *c)
{
    return c->more_is_better ? c->lower : c->upper;
}

static const char *margin_text(const struct sla_check *c)
{
    if (isnan(c->margin) || isinf(c->margin) || c->limit == 0)
        return "–";
    return word_f("%s%.0f %%", c->margin < 0 ? "−" : "", 100 * fabs(c->margin));
}

/* ---- sentences ---- */

/* "response time at peak, p99: 12.1 ms, bound 14.0 ms, limit 20.0 ms" */
static const char *evidence(const struct report *r, const struct sla_check *c)
{
    return word_f("%s: measured %s, bound %s, limit %s", c->title,
                  check_text(r, c, c->measured), check_text(r, c, worse_bound(c)),
                  check_text(r, c, c->limit));
}

static const struct sla_check *tightest(const struct sla_verdict *v)
{
    const struct sla_check *t = NULL;
    for (size_t i = 0; i < v->count; i++)
        if (!isnan(v->checks[i].margin) && v->checks[i].limit != 0 &&
            (!t || v->checks[i].margin < t->margin))
            t = &v->checks[i];
    return t;
}

static const struct sla_check *first_with(const struct sla_verdict *v, enum sla_word w)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->checks[i].word == w)
            return &v->checks[i];
    return NULL;
}

static size_t count_word(const struct sla_verdict *v, enum sla_word w)
{
    size_t n = 0;
    for (size_t i = 0; i < v->count; i++)
        n += v->checks[i].word == w;
    return n;
}

static void verdict_takeaway(const struct report *r, const struct sla_verdict *v,
                             json_t *o)
{
    const struct sla_check *t = tightest(v);
    const char *name = cell_name(r, v->cell);
    size_t n = v->count;
    if (v->overall == SLA_MEETS)
        add_takeaway(o, "%s meets all %s with its 95 %% bounds; the tightest is %s%s.",
                     name, word_plural(n, "constraint"),
                     t ? evidence(r, t) : v->checks[0].title,
                     t ? word_f(" (margin %s)", margin_text(t)) : "");
    else if (v->overall == SLA_BREAKS)
        add_takeaway(o, "%s breaks %zu of %s; first %s.", name, count_word(v, SLA_BREAKS),
                     word_plural(n, "constraint"),
                     evidence(r, first_with(v, SLA_BREAKS)));
    else
        add_takeaway(o,
                     "Cannot tell whether %s keeps all %s: %zu at risk, %zu unknown, %zu "
                     "met; %s.",
                     name, word_plural(n, "constraint"), count_word(v, SLA_AT_RISK),
                     count_word(v, SLA_UNKNOWN), count_word(v, SLA_MEETS),
                     evidence(r, first_with(v, v->overall)));
}

static void load_takeaway(const struct report *r, const struct sla_verdict *v, json_t *o)
{
    double peak = r->sla->peak_per_s;
    if (!v->first || isnan(peak))
        return;
    const struct sla_check *c = v->first;
    bool crosses = c->break_low_per_s < peak && peak <= c->break_per_s;
    if (c->break_per_s <= 0) {
        add_takeaway(o, "No load is low enough: %s is beyond its limit without any (%s).",
                     c->title, evidence(r, c));
        return;
    }
    add_takeaway(
        o,
        "%s %s, at %.3g requests per s (at least %.3g by the 95 %% bounds) on %.0f "
        "replicas: %.2f times the planned peak of %.3g%s.",
        crosses ? "Cannot tell whether the planned peak holds: the first to break "
                  "is"
                : "The first to break as the load grows is",
        c->title, c->break_per_s, c->break_low_per_s, v->replicas, c->break_per_s / peak,
        peak,
        r->sla->peak_assumed
            ? word_f(" (assumed: %g times the mean)", assumptions[ASSUME_PEAK_LOAD].base)
            : "");
}

static void others_takeaway(const struct report *r, json_t *o)
{
    size_t words[4] = {0}, n = 0;
    for (size_t g = 0; g < r->matrix.groups; g++)
        if (r->services[g].count) {
            words[r->services[g].overall]++;
            n++;
        }
    if (n > 1)
        add_takeaway(o,
                     "Of %zu configurations %zu meet everything with their bounds, %zu "
                     "are at risk, %zu unknown, %zu break something.",
                     n, words[SLA_MEETS], words[SLA_AT_RISK], words[SLA_UNKNOWN],
                     words[SLA_BREAKS]);
}

/* ---- numbers ---- */

static json_t *check_json(const struct sla_check *c)
{
    json_t *o = json_pack("{s:s, s:s, s:s}", "constraint", c->key, "unit", c->unit,
                          "word", sla_words[c->word]);
    put_number(o, "limit", c->limit);
    put_number(o, "measured", c->measured);
    put_number(o, "lower", c->lower);
    put_number(o, "upper", c->upper);
    put_number(o, "margin", c->margin);
    put_number(o, "break_per_s", c->break_per_s);
    put_number(o, "break_low_per_s", c->break_low_per_s);
    if (*c->note)
        json_object_set_new(o, "note", json_string(c->note));
    return o;
}

static json_t *verdict_json_of(const struct report *r, const struct sla_verdict *v)
{
    json_t *checks = json_array();
    for (size_t i = 0; i < v->count; i++)
        json_array_append_new(checks, check_json(&v->checks[i]));
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:s, s:o}", "group", r->data.groups.items[v->cell->group].label,
        "overall", sla_words[v->overall], "adapter", v->merged ? "merged" : "as trained",
        "service_times", v->recorded ? "recorded" : "fitted to percentiles", "checks",
        checks);
    put_number(o, "replicas", v->replicas);
    put_number(o, "requests_per_s_of_a_replica", v->load_per_s);
    put_number(o, "usd_per_month", v->usd_per_month);
    if (v->first)
        json_object_set_new(o, "first_to_break", json_string(v->first->key));
    return o;
}

static json_t *numbers(struct report *r)
{
    json_t *o = json_object(), *all = json_array();
    const struct sla_verdict *leader = sla_leader(r);
    if (!leader || !leader->count) {
        json_decref(all);
        json_object_set_new(o, "empty", json_true());
        return o;
    }
    for (size_t g = 0; g < r->matrix.groups; g++)
        if (r->services[g].count)
            json_array_append_new(all, verdict_json_of(r, &r->services[g]));
    json_object_set(o, "asked", r->sla->values);
    json_object_set_new(o, "configurations", all);
    json_object_set_new(o, "seed", json_integer(QUEUE_SEED));
    verdict_takeaway(r, leader, o);
    load_takeaway(r, leader, o);
    others_takeaway(r, o);
    return o;
}

/* ---- page ---- */

void write_sla_word(struct html *h, enum sla_word w)
{
    html_open(h, "td", word_classes[w]);
    /* One line */
    html_el(h, "span", "word", "%s", w == SLA_AT_RISK ? "at\u00a0risk" : sla_words[w]);
    html_close(h, "td");
}

void write_sla_figure(struct html *h, bool predicted, const char *text)
{
    if (!predicted) {
        html_number(h, "%s", text);
        return;
    }
    html_raw(h, "<td class=\"num predicted\">");
    html_textf(h, "≈ %s", text);
    html_raw(h, "</td>");
}

static void write_checks(const struct report *r, const struct sla_verdict *v,
                         struct html *h)
{
    html_table_open(h, NULL, word_f("Constraints: %s", cell_name(r, v->cell)),
                    "Constraint|Verdict|>Limit|>Measured|>95 % bound|>Margin|>Breaks at|"
                    "Note");
    for (size_t i = 0; i < v->count; i++) {
        const struct sla_check *c = &v->checks[i];
        html_row(h);
        html_head_cell(h, "%s", c->title);
        write_sla_word(h, c->word);
        html_number(h, "%s", check_text(r, c, c->limit));
        write_sla_figure(h, c->predicted, check_text(r, c, c->measured));
        write_sla_figure(h, c->predicted, check_text(r, c, worse_bound(c)));
        html_number(h, "%s", margin_text(c));
        html_number(h, "%s",
                    isnan(c->break_per_s) ? "–" : word_f("%.3g per s", c->break_per_s));
        html_cell(h, "%s", c->note);
    }
    html_table_close(h);
}

/* p99 of the wait, were the replicas behind one queue and service exponential; ms. */
static double common_queue_wait(const struct report *r, const struct sla_verdict *v)
{
    struct serving s;
    if (!serving_measure(r, v->cell, v->merged, &s))
        return NAN;
    double mu = 1000 / s.service.mean_ms;
    serving_release(&s);
    if (v->separate || v->replicas > 10000)
        return NAN;
    struct mmc q = mmc_solve((int)v->replicas, r->sla->peak_per_s, mu);
    return isfinite(q.mean_wait) ? 1000 * mmc_wait_quantile(&q, .99) : NAN;
}

static void write_method(const struct report *r, const struct sla_verdict *v,
                         struct html *h)
{
    html_el(h, "p", "note",
            "meets: the worse 95 %% bound is within the limit; at risk: the limit lies "
            "between the bounds; breaks: the better bound is beyond it; unknown: not "
            "measured, or too few requests (p99 needs 299). Overall is the worst.");
    if (isnan(v->replicas))
        return;
    double common = common_queue_wait(r, v);
    html_el(h, "p", "note",
            "Load: mean %.3g, peak %.3g requests per s%s, spread at random over %.0f "
            "replicas%s%s. Response times: event simulation of one replica, Poisson "
            "arrivals, %d requests, seed %d; service times %s, %s.",
            r->sla->mean_per_s, r->sla->peak_per_s,
            r->sla->peak_assumed ? " (assumed)" : "", v->replicas,
            v->separate              ? ", each task on its own"
            : r->sla->task_count > 1 ? " that all tasks share"
                                     : "",
            isnan(common)
                ? ""
                : word_f(" (behind one common queue the p99 wait would be %s ms "
                         "by M/M/c)",
                         common > 0 ? word_ms(common) : "0"),
            QUEUE_REQUESTS, QUEUE_SEED,
            v->recorded ? "as recorded"
                        : "fitted to the measured p50, p95 and p99 (log-normal between "
                          "them), as the requests themselves are not in the store",
            v->merged ? "adapter merged" : "as trained");
}

static void write_all(const struct report *r, struct html *h)
{
    const struct sla_verdict *leader = sla_leader(r);
    struct buf heads = BUF_INIT;
    buf_str_add(&heads, "Configuration|Overall|>Replicas|>USD per month");
    for (size_t i = 0; i < leader->count; i++)
        buf_printf(&heads, "|%s", leader->checks[i].title);
    size_t *order = xcalloc(r->matrix.groups + 1, sizeof *order);
    matrix_order(&r->matrix, r->matrix.main_column, order);
    html_table_open(h, NULL, "All configurations", buf_str(&heads));
    for (size_t i = 0; i < r->matrix.groups; i++) {
        const struct sla_verdict *v = &r->services[order[i]];
        if (!v->count)
            continue;
        html_row(h);
        html_head_cell(h, "%s", r->data.groups.items[order[i]].label);
        write_sla_word(h, v->overall);
        html_number(h, "%s", isnan(v->replicas) ? "–" : word_f("%.0f", v->replicas));
        html_number(h, "%s", word_usd(v->usd_per_month));
        for (size_t k = 0; k < v->count; k++)
            write_sla_word(h, v->checks[k].word);
    }
    html_table_close(h);
    buf_release(&heads);
    free(order);
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    const struct sla_verdict *v = sla_leader(r);
    if (json_is_true(json_object_get(n, "empty")))
        return;
    write_checks(r, v, h);
    html_fold_open(h, "All configurations, and how the load was computed");
    write_all(r, h);
    write_method(r, v, h);
    html_fold_close(h);
}

const struct section section_sla = {"sla", "Service levels", numbers, write};
