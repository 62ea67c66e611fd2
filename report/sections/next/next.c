/* report/sections/next/next.c - what follows from taking the leader, and what to run next. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/evidence/experiments.h"
#include "report/evidence/strength.h"
#include "report/page/words.h"
#include "report/sections/next/more_data.h"
#include "report/sections/next/next_step.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LISTED = 12 };

static const char *what_text(const struct report *r, const struct next *x)
{
    const char *where = r->data.columns.items[x->column].label,
               *group = r->data.groups.items[x->group].label;
    if (x->kind == NEXT_CELL)
        return word_f("run %s at %s, %s", group, where, word_plural(x->seeds, "seed"));
    return word_f("%s more of %s and of %s at %s", word_plural(x->seeds, "seed"), group,
                  r->data.groups.items[x->rival].label, where);
}

/* Two digits finer than delta, as values are often small. */
static const char *value_text_of(const struct report *r, double v)
{
    return word_score(v, r->settings.rules.delta / 100);
}

/* ---- consequences ---- */

static void add(json_t *list, const char *text)
{
    json_array_append_new(list, json_string(text));
}

static void cost_consequence(const struct report *r, const struct report_cell *c,
                             const char *key, const char *noun,
                             const char *(*text)(double), json_t *good, json_t *bad)
{
    const struct report_cell *least = NULL, *most = NULL;
    double mine = cell_spread(c, key).mean, low = INFINITY, high = -INFINITY;
    for (size_t g = 0; g < r->matrix.groups; g++) {
        const struct report_cell *o = matrix_cell(&r->matrix, c->column, g);
        double v = cell_spread(o, key).mean;
        if (!o->count || isnan(v))
            continue;
        if (v < low) {
            low = v;
            least = o;
        }
        if (v > high) {
            high = v;
            most = o;
        }
    }
    if (isnan(mine) || !least || least == most)
        return;
    if (most != c)
        add(good, word_f("%s instead of %s (%s) of %s: %.2f times less.", text(mine),
                         text(high), r->data.groups.items[most->group].label, noun,
                         high / mine));
    if (least != c)
        add(bad,
            word_f("%s instead of %s (%s) of %s: %.2f times more.", text(mine), text(low),
                   r->data.groups.items[least->group].label, noun, mine / low));
}

static const char *ms_text(double v)
{
    return word_f("%s ms", word_ms(v));
}

static json_t *consequences(const struct report *r)
{
    const struct report_cell *c = report_leader(r);
    json_t *good = json_array(), *bad = json_array(), *reversal = json_array();
    if (c) {
        const struct verdict *v = r->matrix.verdicts[c->column];
        double delta = r->settings.rules.delta, runs, usd = cell_run_usd(r, c);
        if (v->ranked > 1) {
            const struct verdict_pair *p =
                verdict_find(v, v->ranking[0], v->ranking[v->ranked - 1]);
            add(good, word_f("%s better than the %s, %s (%s).",
                             word_score(p->diff, delta), worst_word(r),
                             r->data.groups.items[p->b].label, pair_evidence(r, p)));
        }
        cost_consequence(r, c, r->settings.memory_key, "memory", word_bytes, good, bad);
        cost_consequence(r, c, "latency/p50_ms", "latency per request", ms_text, good,
                         bad);
        cost_consequence(r, c, "time/total_s", "time per run", word_seconds, good, bad);
        if (v->ranked > 1 && isfinite(usd)) {
            const struct report_cell *second =
                matrix_cell(&r->matrix, c->column, v->ranking[1]);
            add(reversal,
                word_f(
                    "Going over to %s later costs a run of it per task, %s, beside its "
                    "tests; a refresh of %s costs %s a year.",
                    cell_name(r, second), word_usd(cell_run_usd(r, second)),
                    r->data.groups.items[c->group].label,
                    word_usd(refresh_usd(r, c, &runs))));
        }
    }
    return json_pack("{s:o, s:o, s:o}", "good", good, "bad", bad, "reversal", reversal);
}

/* ---- experiments ---- */

static json_t *commands_of(const struct report *r, const struct next *x)
{
    json_t *list = json_array();
    const size_t groups[] = {x->group, x->rival};
    for (size_t i = 0; x->kind == NEXT_SEEDS && i < ARRAY_LEN(groups); i++) {
        char *command = seeds_command(r, x->column, groups[i], x->seeds);
        if (command)
            json_array_append_new(list, json_string(command));
        free(command);
    }
    return list;
}

static json_t *experiment_json(const struct report *r, const struct next *x)
{
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:f, s:b}", "what", what_text(r, x), "column",
                  r->data.columns.items[x->column].label, "trials", (json_int_t)x->trials,
                  "value", x->value, "assumed_spread", x->assumed_spread);
    json_object_set_new(o, "commands", commands_of(r, x));
    put_number(o, "usd", x->usd);
    put_number(o, isfinite(x->usd) ? "value_per_usd" : "value_per_trial", x->rate);
    return o;
}

/* What has no figure for its value, by rule. */
static json_t *unranked(const struct report *r)
{
    json_t *list = json_array();
    struct evidence e = evidence_of(r);
    double delta = r->settings.rules.delta;
    if (evidence_block_count(r, r->matrix.main_column) == 1)
        add(list, "Two seeds of the leader in a second environment, as a bridge.");
    if (e.visible_by_rows > delta && r->matrix.main_column < r->matrix.columns)
        add(list, word_f("About %.0f evaluation rows instead of %.0f, to see %g %s.",
                         ceil(e.rows * pow(e.visible_by_rows / delta, 2)), e.rows, delta,
                         e.rows_paired ? "paired by row" : "unpaired"));
    if (r->settings.same_split)
        add(list, "A test split that no configuration is chosen by.");
    return list;
}

static json_t *numbers(struct report *r)
{
    size_t n;
    struct next *x = next_experiments(r, &n);
    json_t *o = json_object(), *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, experiment_json(r, &x[i]));
    json_object_set_new(o, "consequences", consequences(r));
    json_object_set_new(o, "experiments", list);
    json_object_set_new(o, "unranked", unranked(r));
    json_object_set_new(o, "more_data", more_data_json(r));
    if (n && isfinite(x[0].usd))
        add_takeaway(
            o,
            "Worth most per dollar of %s: %s, for %s; expected to improve the "
            "choice by %s of %s%s.",
            word_plural(n, "experiment"), what_text(r, &x[0]), word_usd(x[0].usd),
            value_text_of(r, x[0].value), metric_of(r),
            x[0].assumed_spread
                ? ", with a spread assumed from that between methods"
                : word_f(" (difference now %s)",
                         pair_evidence(r, verdict_find(r->matrix.verdicts[x[0].column],
                                                       x[0].group, x[0].rival))));
    else if (n)
        add_takeaway(o,
                     "Worth most per trial of %s: %s, %s; expected to improve the choice "
                     "by %s of %s (no price is known).",
                     word_plural(n, "experiment"), what_text(r, &x[0]),
                     word_plural(x[0].trials, "trial"), value_text_of(r, x[0].value),
                     metric_of(r));
    else
        add_takeaway(o,
                     "No further seeds or cells are expected to improve the choice by a "
                     "thousandth of what matters (%s looked at).",
                     word_plural(r->matrix.verdicts[r->matrix.main_column]->pair_count,
                                 "comparison"));
    free(x);
    return o;
}

/* ---- page ---- */

static void write_list(const char *title, const json_t *list, struct html *h)
{
    const json_t *line;
    size_t i;
    if (!json_array_size(list))
        return;
    html_el(h, "h3", NULL, "%s", title);
    html_open(h, "ul", NULL);
    json_array_foreach((json_t *)list, i, line)
    {
        html_el(h, "li", NULL, "%s", json_string_value(line));
    }
    html_close(h, "ul");
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    const json_t *c = json_object_get(n, "consequences"), *x,
                 *list = json_object_get(n, "experiments");
    const struct report_cell *leader = report_leader(r);
    size_t i;
    html_raw(h, "<p id=\"more-data\">");
    html_text(h, json_get_str(json_object_get(n, "more_data"), "text", ""));
    html_close(h, "p");
    if (json_array_size(list)) {
        html_fold_open(h, "%zu next experiments, by value per dollar",
                       json_array_size(list));
        html_table_open(
            h, NULL, NULL,
            word_f(">Rank|Experiment|>Trials|>Price|>Expected gain of %s|>Gain "
                   "per dollar",
                   metric_of(r)));
    }
    json_array_foreach((json_t *)list, i, x)
    {
        double usd = json_get_num(x, "usd", NAN);
        if (i >= MAX_LISTED)
            break;
        html_row(h);
        html_number(h, "%zu", i + 1);
        html_raw(h, "<th scope=\"row\">");
        html_text(h, json_get_str(x, "what", ""));
        const json_t *command;
        size_t k;
        json_array_foreach(json_object_get(x, "commands"), k, command)
        {
            html_el(h, "small", NULL, "%s", json_string_value(command));
        }
        if (json_get_bool(x, "assumed_spread", 0))
            html_el(h, "small", NULL, "spread assumed from that between %s",
                    r->data.by_method ? "methods" : "groups");
        html_raw(h, "</th>");
        html_number(h, "%lld", (long long)json_get_int(x, "trials", 0));
        html_number(h, "%s", word_usd(usd));
        html_number(h, "%s", value_text_of(r, json_get_num(x, "value", NAN)));
        html_number(h, "%s",
                    isfinite(usd) ? word_f("%.3g", json_get_num(x, "value_per_usd", NAN))
                                  : "–");
    }
    if (json_array_size(list))
        html_table_close(h);
    if (json_array_size(list) > MAX_LISTED)
        html_el(h, "p", "note", "%zu more are worth less.",
                json_array_size(list) - MAX_LISTED);
    write_list("Without a figure for their value", json_object_get(n, "unranked"), h);
    if (json_array_size(list))
        html_fold_close(h);
    if (leader) {
        html_fold_open(h, "What follows from taking %s, good and bad",
                       cell_name(r, leader));
        write_list("Good", json_object_get(c, "good"), h);
        write_list("Bad", json_object_get(c, "bad"), h);
        write_list("Going back", json_object_get(c, "reversal"), h);
        html_fold_close(h);
    }
}

const struct section section_next = {"next", "Consequences and next experiments", numbers,
                                     write};
