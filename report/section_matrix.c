/* report/section_matrix.c - the selection matrix: groups by training rows. */
#include "lib/json.h"
#include "lib/mem.h"
#include "report/cost.h"
#include "report/words.h"
#include <math.h>
#include <stdlib.h>

/* ---- numbers ---- */

static void put_spread(json_t *o, const struct report_cell *c, const char *key)
{
    struct spread s = cell_spread(c, key);
    if (s.n)
        json_object_set_new(o, key, spread_json(&s));
}

static json_t *cell_json(const struct report *r, const struct report_cell *c)
{
    static const char *const measured[] = {
        "mem/planned_bytes", "mem/peak_rss_bytes", "latency/p50_ms",
        "latency/p95_ms",    "time/train_s",       "time/total_s",
        "params/trainable",  "size/adapter_bytes", "throughput/samples_per_s"};
    double workers;
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I}", "group",
                          r->data.groups.items[c->group].label, "column",
                          r->data.columns.items[c->column].label, "verdict",
                          cell_word_text(c->word), "n", (json_int_t)c->count, "failed",
                          (json_int_t)c->verdict->n_failed);
    if (c->word == CELL_NOT_RUN)
        return o;
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

static void write_latency(const struct report_cell *c, struct html *h)
{
    struct spread p50 = cell_spread(c, "latency/p50_ms"),
                  p95 = cell_spread(c, "latency/p95_ms"),
                  p99 = cell_spread(c, "latency/p99_ms"),
                  bound = cell_spread(c, "latency/p99_high_ms");
    if (!p50.n)
        return;
    measure(h, "p50 / p95", word_f("%s / %s ms", word_ms(p50.mean), word_ms(p95.mean)));
    if (p99.n && bound.n == c->count) /* else the sample cannot carry it */
        measure(h, "p99", word_f("%s ms", word_ms(p99.mean)));
}

static void write_cell(const struct report *r, const struct report_cell *c,
                       struct html *h)
{
    const struct verdict_config *v = c->verdict;
    const char *variant = r->data.variants.items[c->variant].label;
    double delta = r->settings.rules.delta, usd = cell_run_usd(r, c);
    struct spread planned = cell_spread(c, "mem/planned_bytes"),
                  rss = cell_spread(c, "mem/peak_rss_bytes");
    buf_printf(&h->out, "<td class=\"cell w-%c\">", cell_word_text(c->word)[0]);
    html_el(h, "span", "word", "%s", cell_word_text(c->word));
    if (c->count) {
        html_el(h, "span", "score", "%s", word_score(v->mean, delta));
        html_el(h, "span", "range", "%s",
                isnan(v->ci.low)
                    ? word_f("n %zu, no interval", v->n_ok)
                    : word_f("%s, n %zu", word_range(v->ci, delta), v->n_ok));
    }
    if (v->known && v->n_failed)
        html_el(h, "span", "range", "%zu of %zu failed", v->n_failed, v->n);
    if (*variant && c->word != CELL_NOT_RUN)
        html_el(h, "span", "variant", "%s", variant);
    if (planned.n || rss.n)
        measure(h, "memory",
                word_f("%s planned, %s process", word_bytes(planned.mean),
                       word_bytes(rss.mean)));
    write_latency(c, h);
    if (!isnan(usd))
        measure(h, "training",
                word_f("%s, %s", word_seconds(cell_spread(c, "time/total_s").mean),
                       word_usd(usd)));
    html_raw(h, "</td>");
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
    html_table_open(
        h, "matrix",
        word_f("%s: mean over seeds, 95 %% t interval, and the word against the "
               "best of the column",
               metric_of(r)),
        buf_str(&head));
    for (size_t i = 0; i < r->matrix.groups; i++) {
        html_row(h);
        html_head_cell(h, "%s", r->data.groups.items[order[i]].label);
        for (size_t c = 0; c < r->matrix.columns; c++)
            write_cell(r, matrix_cell(&r->matrix, c, order[i]), h);
    }
    html_table_close(h);
    html_el(
        h, "p", "note",
        "best: better than all others by the adjusted test and by %g or more. tied: "
        "equivalent to the best within ±%g. worse: the best is better. undecided: "
        "neither can be shown. Each %s stands for itself at the configuration with the "
        "best mean %s.",
        r->settings.rules.delta, r->settings.rules.delta,
        r->data.by_method ? "method" : "group", r->settings.select_metric);
    buf_release(&head);
    free(order);
}

const struct section section_matrix = {"matrix", "Selection matrix", numbers, write};
