/* report/sections/tradeoff.c - what rank, alpha and the choice of targets buy. */
#include "lib/json.h"
#include "lib/mem.h"
#include "report/evidence/rank_alpha.h"
#include "report/page/words.h"
#include <math.h>
#include <stdlib.h>

static json_t *cell_json(const struct grid *g, size_t i)
{
    const struct grid_cell *c = &g->cells[i];
    const struct verdict_config *v = &g->verdict->configs[i];
    json_t *o =
        json_pack("{s:f, s:f, s:f, s:s, s:I, s:I}", "rank", c->rank, "alpha", c->alpha,
                  "scale", c->scale, "target_modules", g->targets[c->target], "n",
                  (json_int_t)c->cell.count, "failed", (json_int_t)c->failed);
    put_number(o, "mean", v->mean);
    put_number(o, "sd", v->sd);
    put_number(o, "low95", v->ci.low);
    put_number(o, "high95", v->ci.high);
    return o;
}

/* Best cells of the lowest and highest rank, compared. */
static void rank_takeaway(const struct report *r, const struct grid *g, json_t *o)
{
    double delta = r->settings.rules.delta;
    size_t low = grid_best(r, g, g->ranks[0], SIZE_MAX),
           high = grid_best(r, g, g->ranks[g->rank_count - 1], SIZE_MAX);
    if (g->rank_count < 2 || low == SIZE_MAX || high == SIZE_MAX)
        return;
    struct verdict_pair p = verdict_compare(
        &g->verdict->configs[high], &g->verdict->configs[low], &r->settings.rules);
    bool more = p.p < VERDICT_ALPHA && p.diff >= delta, less = p.ci90.high < delta;
    add_takeaway(o,
                 "From rank %g to %g, each at its best alpha and targets, the gain in %s "
                 "is %s (95 %% %s): %s.",
                 g->ranks[0], g->ranks[g->rank_count - 1], metric_of(r),
                 word_change(p.diff, delta),
                 isnan(p.ci95.low) ? "unknown" : word_change_range(p.ci95, delta),
                 more   ? "rank pays"
                 : less ? word_f("more rank buys less than %g", delta)
                        : "cannot tell whether more rank pays");
    json_object_set_new(o, "rank_effect", json_real(p.diff));
}

/* ---- the ladder of targets ---- */

static json_t *rung_json(const struct report *r, const struct grid *g, size_t target)
{
    size_t at = grid_best(r, g, NAN, target), first = grid_best(r, g, NAN, 0);
    json_t *o = json_pack("{s:s}", "target_modules", g->targets[target]);
    if (at == SIZE_MAX)
        return o;
    const struct grid_cell *c = &g->cells[at];
    struct spread score = cell_spread(&c->cell, metric_of(r));
    static const char *const keys[] = {"params/trainable", "mem/planned_bytes",
                                       "time/train_s", "size/adapter_bytes"};
    json_object_set_new(o, "rank", json_real(c->rank));
    json_object_set_new(o, "alpha", json_real(c->alpha));
    json_object_set_new(o, "score", spread_json(&score));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        put_number(o, keys[i], cell_spread(&c->cell, keys[i]).mean);
    if (first != SIZE_MAX && at != first) {
        struct verdict_pair p = verdict_compare(
            &g->verdict->configs[at], &g->verdict->configs[first], &r->settings.rules);
        put_number(o, "change", p.diff);
        put_number(o, "change_low95", p.ci95.low);
        put_number(o, "change_high95", p.ci95.high);
    }
    return o;
}

static void ladder_takeaway(const struct report *r, const struct grid *g, json_t *o)
{
    double delta = r->settings.rules.delta;
    size_t low = grid_best(r, g, NAN, 0),
           high = grid_best(r, g, NAN, g->target_count - 1);
    if (g->target_count < 2 || low == SIZE_MAX || high == SIZE_MAX)
        return;
    struct verdict_pair p = verdict_compare(
        &g->verdict->configs[high], &g->verdict->configs[low], &r->settings.rules);
    add_takeaway(
        o,
        "Adapting %s rather than %s: the gain in %s is %s (95 %% %s) for %.1f times the "
        "trainable parameters: %s.",
        g->targets[g->target_count - 1], g->targets[0], metric_of(r),
        word_change(p.diff, delta),
        isnan(p.ci95.low) ? "unknown" : word_change_range(p.ci95, delta),
        cell_spread(&g->cells[high].cell, "params/trainable").mean /
            cell_spread(&g->cells[low].cell, "params/trainable").mean,
        p.p < VERDICT_ALPHA && p.diff >= delta ? "more targets pay"
        : p.ci90.high < delta                  ? "it buys less than it must"
                                               : "cannot tell whether it pays");
}

static json_t *numbers(struct report *r)
{
    struct grid *g = grid_new(r);
    json_t *o = json_object();
    if (!g || !g->verdict->ranked) {
        json_object_set_new(o, "empty", json_true());
        grid_free(g);
        return o;
    }
    json_t *cells = json_array(), *ladder = json_array();
    for (size_t i = 0; i < g->count; i++)
        json_array_append_new(cells, cell_json(g, i));
    for (size_t t = 0; t < g->target_count; t++)
        json_array_append_new(ladder, rung_json(r, g, t));
    json_object_set_new(o, "group", json_string(r->data.groups.items[g->group].label));
    json_object_set_new(o, "cells", cells);
    json_object_set_new(o, "ladder", ladder);
    rank_takeaway(r, g, o);
    ladder_takeaway(r, g, o);
    grid_free(g);
    return o;
}

/* ---- page ---- */

static void write_rung(const struct report *r, const json_t *rung, struct html *h)
{
    double delta = r->settings.rules.delta;
    const json_t *s = json_object_get(rung, "score");
    struct stat_interval ci = {json_get_num(s, "low95", NAN),
                               json_get_num(s, "high95", NAN)},
                         change = {json_get_num(rung, "change_low95", NAN),
                                   json_get_num(rung, "change_high95", NAN)};
    html_row(h);
    html_head_cell(h, "%s", json_get_str(rung, "target_modules", ""));
    html_number(h, "%g / %g", json_get_num(rung, "rank", NAN),
                json_get_num(rung, "alpha", NAN));
    html_number(h, "%s", word_score(json_get_num(s, "mean", NAN), delta));
    html_number(h, "%s", word_range(ci, delta));
    html_number(h, "%lld", (long long)json_get_int(s, "n", 0));
    html_number(h, "%s",
                json_object_get(rung, "change")
                    ? word_f("%s (%s)",
                             word_change(json_get_num(rung, "change", NAN), delta),
                             word_change_range(change, delta))
                    : "–");
    html_number(h, "%s", word_count(json_get_num(rung, "params/trainable", NAN)));
    html_number(h, "%s", word_bytes(json_get_num(rung, "mem/planned_bytes", NAN)));
    html_number(h, "%s", word_seconds(json_get_num(rung, "time/train_s", NAN)));
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    const json_t *ladder = json_object_get(n, "ladder"), *rung;
    size_t i;
    if (json_array_size(ladder) == 0)
        return;
    html_fold_open(h, "%s of target modules, each at its best rank and alpha",
                   word_plural(json_array_size(ladder), "choice"));
    html_table_open(h, NULL, word_f("Target modules of %s", json_get_str(n, "group", "")),
                    "Targets|>Rank / alpha|>Score|>95 % interval|>Seeds|>Gain on the "
                    "first (95 %)|>Trainable|>Peak memory|>Training");
    json_array_foreach(ladder, i, rung)
    {
        write_rung(r, rung, h);
    }
    html_table_close(h);
    html_el(h, "p", "note",
            "Scale is alpha / rank (alpha / √rank under rsLoRA): cells of equal scale "
            "differ in rank alone. Each cell is at its best other settings by %s.",
            r->settings.select_metric);
    html_fold_close(h);
}

const struct section section_tradeoff = {"tradeoff", "Rank, alpha, targets", numbers,
                                         write};
