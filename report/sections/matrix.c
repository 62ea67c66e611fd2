/* report/sections/matrix.c - the selection matrix: groups by training rows. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/evidence/experiments.h"
#include "report/page/words.h"
#include "report/sections/decision/decision.h"
#include <math.h>
#include <stdlib.h>

/* ---- words of a cell ---- */

/* Training memory against the limit of the service levels, else against the machine it
 * ran on: tight above 80 %. */
static enum memory_fit memory_fit_of(const struct report *r, const struct report_cell *c)
{
    double planned = cell_spread(c, r->settings.memory_key).mean,
           limit = sla_number(r->sla, "memory_limit_mib") * 1048576;
    if (isnan(limit) && c->count)
        limit = json_get_num(c->trials[0]->environment, "memory_bytes", NAN);
    if (isnan(planned) || isnan(limit))
        return FIT_UNKNOWN;
    return planned > limit ? FIT_NO : planned > 0.8 * limit ? FIT_TIGHT : FIT_YES;
}

/* The worst word of the latency limits; NULL: none was asked for here. */
static const char *latency_word(const struct report *r, const struct report_cell *c)
{
    int worst = -1;
    if (!r->services || c->column != r->matrix.main_column)
        return NULL;
    const struct sla_verdict *v = &r->services[c->group];
    for (size_t i = 0; i < v->count; i++)
        if (str_has_prefix(v->checks[i].key, "latency_") &&
            (int)v->checks[i].word > worst)
            worst = (int)v->checks[i].word;
    return worst < 0 ? NULL : sla_words[worst];
}

/* "1 agrees, 2 open"; "" where no claim on the metric names it. */
static const char *prior_mark(const struct report *r, const struct report_cell *c)
{
    size_t n[4], shown = 0;
    struct buf out = BUF_INIT;
    claims_count(&r->claims, c->column, c->group, n);
    for (int w = PRIOR_AGREES; w <= PRIOR_SILENT; w++)
        if (n[w])
            buf_printf(&out, "%s%zu %s", shown++ ? ", " : "", n[w],
                       prior_word_text((enum prior_word)w));
    const char *text = word_f("%s", buf_str(&out));
    buf_release(&out);
    return text;
}

/* ---- numbers ---- */

static void put_spread(json_t *o, const struct report_cell *c, const char *key)
{
    struct spread s = cell_spread(c, key);
    if (s.n)
        json_object_set_new(o, key, spread_json(&s));
}

static json_t *cell_json(const struct report *r, const struct report_cell *c)
{
    static const char *const measured[] = {"mem/planned_bytes",
                                           "mem/peak_device_bytes",
                                           "mem/peak_rss_bytes",
                                           "latency/p50_ms",
                                           "latency/p95_ms",
                                           "time/train_s",
                                           "time/total_s",
                                           "params/trainable",
                                           "size/adapter_bytes",
                                           "throughput/samples_per_s",
                                           "throughput/tokens_per_s",
                                           "general/forgetting",
                                           "latency/ttft_p50_ms",
                                           "latency/tpot_p50_ms"};
    double workers;
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I}", "group",
                          r->data.groups.items[c->group].label, "column",
                          r->data.columns.items[c->column].label, "verdict",
                          cell_word_text(c->word), "n", (json_int_t)c->count, "failed",
                          (json_int_t)c->verdict->n_failed);
    if (c->word == CELL_NOT_RUN) {
        put_number(o, "usd_to_run",
                   NEXT_CELL_SEEDS * next_run_price(r, c->column, c->group));
        return o;
    }
    json_object_set_new(o, "memory_fit",
                        json_string(memory_fit_words[memory_fit_of(r, c)]));
    if (latency_word(r, c))
        json_object_set_new(o, "latency", json_string(latency_word(r, c)));
    if (*prior_mark(r, c))
        json_object_set_new(o, "priors", json_string(prior_mark(r, c)));
    json_object_set(o, "variant", r->data.variants.items[c->variant].facts);
    struct spread score = cell_spread(c, metric_of(r));
    json_object_set_new(o, "score", spread_json(&score));
    for (size_t i = 0; i < ARRAY_LEN(measured); i++)
        put_spread(o, c, measured[i]);
    put_number(o, "usd_per_run", cell_run_usd(r, c));
    put_number(o, "usd_per_1000_requests", cell_per_1000_usd(r, c, &workers));
    return o;
}

static void column_takeaway(const struct report *r, size_t column, json_t *o)
{
    const struct verdict *v = r->matrix.verdicts[column];
    const char *where = r->data.columns.items[column].label;
    double delta = r->settings.rules.delta;
    if (v->ranked == 0) {
        add_takeaway(o, "At %s nothing has results.", where);
        return;
    }
    const struct report_cell *best = matrix_cell(&r->matrix, column, v->ranking[0]);
    const char *name = r->data.groups.items[best->group].label,
               *score = word_score(best->verdict->mean, delta);
    if (v->ranked == 1) {
        add_takeaway(o, "At %s only %s has results (%s): cannot tell.", where, name,
                     score);
        return;
    }
    const struct verdict_pair *p = verdict_find(v, v->ranking[0], v->ranking[1]);
    const char *lead = word_f("%s, %s", word_change(p->diff, delta), pair_evidence(r, p));
    if (v->tied_count == 1)
        add_takeaway(o, "At %s %s is best: %s, ahead of %s by %s.", where, name, score,
                     r->data.groups.items[p->b].label, lead);
    else
        add_takeaway(o,
                     "At %s %s: %s leads with %s, but %zu of %zu others are not shown to "
                     "be worse (next: %s, %s).",
                     where,
                     p->word == VERDICT_EQUIVALENT ? "the top is tied" : "cannot tell",
                     name, score, v->tied_count - 1, v->ranked - 1,
                     r->data.groups.items[p->b].label, lead);
}

static json_t *numbers(struct report *r)
{
    json_t *o = json_object(), *columns = json_array(), *rows = json_array(),
           *cells = json_array();
    for (size_t c = 0; c < r->matrix.columns; c++) {
        json_array_append_new(columns, json_string(r->data.columns.items[c].label));
        column_takeaway(r, c, o);
    }
    for (size_t g = 0; g < r->matrix.groups; g++)
        json_array_append_new(rows, json_string(r->data.groups.items[g].label));
    for (size_t i = 0; i < r->matrix.columns * r->matrix.groups; i++)
        json_array_append_new(cells, cell_json(r, &r->matrix.cells[i]));
    json_object_set_new(o, "columns", columns);
    json_object_set_new(o, "rows", rows);
    json_object_set_new(o, "cells", cells);
    return o;
}

/* ---- page ---- */

static void measure(struct html *h, const char *name, const char *value)
{
    html_raw(h, "<span class=\"m\"><i>");
    html_text(h, name);
    html_raw(h, "</i> ");
    html_text(h, value);
    html_raw(h, "</span>");
}

/* What it takes, in short: the figures stand in full under Cost. Of the column that is
 * decided about. */
static void write_measures(const struct report *r, const struct report_cell *c,
                           struct html *h)
{
    struct spread memory = cell_spread(c, r->settings.memory_key),
                  p50 = cell_spread(c, "latency/p50_ms");
    double usd = cell_run_usd(r, c);
    size_t claims[4];
    claims_count(&r->claims, c->column, c->group, claims);
    if (memory.n)
        measure(h, "memory",
                word_f("%s, fits: %s", word_bytes(memory.mean),
                       memory_fit_words[memory_fit_of(r, c)]));
    if (p50.n)
        measure(h, "p50", word_f("%s ms", word_ms(p50.mean)));
    if (latency_word(r, c))
        measure(h, "latency limits", latency_word(r, c));
    if (!isnan(usd))
        measure(h, "run", word_usd(usd));
    if (claims[PRIOR_DISAGREES])
        measure(h, "claims", word_f("%zu disagree", claims[PRIOR_DISAGREES]));
}

static void write_cell(const struct report *r, const struct report_cell *c,
                       struct html *h)
{
    const struct verdict_config *v = c->verdict;
    const char *variant = r->data.variants.items[c->variant].label;
    double delta = r->settings.rules.delta;
    buf_printf(&h->out, "<td class=\"cell w-%c\">", cell_word_text(c->word)[0]);
    html_el(h, "span", "word", "%s", cell_word_text(c->word));
    if (c->count) {
        html_el(h, "span", "score", "%s", word_score(v->mean, delta));
        html_el(h, "span", "range", "%s",
                isnan(v->ci.low) ? word_f("n %zu, no interval", v->n_ok)
                : verdict_tested(v)
                    ? word_f("%s of %zu items, n 1", word_range(v->ci, delta),
                             verdict_tested(v))
                    : word_f("%s, n %zu", word_range(v->ci, delta), v->n_ok));
    }
    if (v->known && v->n_failed)
        html_el(h, "span", "range", "%zu of %zu failed", v->n_failed, v->n);
    if (*variant && c->word != CELL_NOT_RUN)
        html_el(h, "span", "variant", "%s", variant);
    if (c->word == CELL_NOT_RUN) {
        double price = NEXT_CELL_SEEDS * next_run_price(r, c->column, c->group);
        if (isfinite(price))
            html_el(h, "span", "range predicted", "≈ %s for %d seeds", word_usd(price),
                    NEXT_CELL_SEEDS);
    }
    if (c->column == r->matrix.main_column)
        write_measures(r, c, h);
    html_raw(h, "</td>");
}
enum { MAX_ROWS = 12, MAX_REST = 200, MAX_REST_BYTES = 200000 };

/* Beyond the first dozen: a line each, folded. */
static void write_rest(const struct report *r, const size_t *order, struct html *h)
{
    double delta = r->settings.rules.delta;
    html_raw(h, "<details><summary>");
    html_textf(h, "%zu more, by the mean at %s", r->matrix.groups - MAX_ROWS,
               r->data.columns.items[r->matrix.main_column].label);
    html_raw(h, "</summary>\n");
    html_table_open(
        h, "fine", NULL,
        word_f(">Rank|Configuration|Case|Word|>%s|>95 %% interval|>n", metric_of(r)));
    size_t end = h->out.len + MAX_REST_BYTES, i = MAX_ROWS;
    for (; i < r->matrix.groups && i < MAX_ROWS + MAX_REST && h->out.len < end; i++)
        for (size_t k = 0; k < r->matrix.columns; k++) {
            const struct report_cell *c = matrix_cell(&r->matrix, k, order[i]);
            html_row(h);
            html_number(h, "%zu", i + 1);
            html_head_cell(h, "%s", cell_name(r, c));
            html_cell(h, "%s", r->data.columns.items[k].label);
            html_cell(h, "%s", cell_word_text(c->word));
            html_number(h, "%s", word_score(c->verdict->mean, delta));
            html_number(h, "%s", word_range(c->verdict->ci, delta));
            html_number(h, "%zu", c->count);
        }
    html_table_close(h);
    if (i < r->matrix.groups)
        html_el(h, "p", "note", "%zu more are in the data of 'peftlab report --json'.",
                r->matrix.groups - i);
    html_raw(h, "</details>\n");
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    size_t *order = xcalloc(r->matrix.groups + 1, sizeof *order);
    struct buf head = BUF_INIT;
    (void)n;
    matrix_order(&r->matrix, r->matrix.main_column, order);
    buf_str_add(&head, r->data.by_method ? "Method" : "Group");
    for (size_t c = 0; c < r->matrix.columns; c++)
        buf_printf(&head, "|%s", r->data.columns.items[c].label);
    html_table_open(h, "matrix",
                    word_f("%s: %s, and the word against the best of the column",
                           metric_of(r),
                           r->matrix.verdicts[r->matrix.main_column]->item_level
                               ? "one run each, 95 % interval by its test items"
                           : r->kept.with ? "mean over seeds, 95 % interval for other "
                                            "seeds and test rows where these are kept"
                                          : "mean over seeds, 95 % t interval"),
                    buf_str(&head));
    for (size_t i = 0; i < r->matrix.groups && i < MAX_ROWS; i++) {
        html_row(h);
        html_head_cell(h, "%s", r->data.groups.items[order[i]].label);
        for (size_t c = 0; c < r->matrix.columns; c++)
            write_cell(r, matrix_cell(&r->matrix, c, order[i]), h);
    }
    html_table_close(h);
    if (r->matrix.groups > MAX_ROWS)
        write_rest(r, order, h);
    html_el(
        h, "p", "note",
        "best: better than all others; tied: within ±%g of the best; worse: the best is "
        "better; undecided: neither can be shown. Each %s stands for itself at the "
        "variant with the best mean %s.",
        r->settings.rules.delta, r->data.by_method ? "method" : "group",
        r->settings.select_metric);
    why_not_write(r, h);
    buf_release(&head);
    free(order);
}

const struct section section_matrix = {"matrix", "Selection matrix", numbers, write};
