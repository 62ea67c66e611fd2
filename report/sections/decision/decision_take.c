/* report/sections/decision/decision_take.c - what to take now and what that may cost: the first
 * sentence of the page, for every table that has a result. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/evidence/strength.h"
#include "report/page/words.h"
#include "report/sections/decision/decision.h"
#include <math.h>
#include <stdlib.h>

static const struct verdict *main_verdict(const struct report *r)
{
    return r->matrix.verdicts[r->matrix.main_column];
}

static const struct report_cell *cell_of(const struct report *r, size_t group)
{
    return matrix_cell(&r->matrix, r->matrix.main_column, group);
}

const char *decision_mean_text(const struct report *r, size_t group)
{
    const struct verdict_config *c = &main_verdict(r)->configs[group];
    double delta = r->settings.rules.delta;
    if (verdict_tested(c))
        return word_f("%s (95 %% %s of %zu items, one seed)", word_score(c->mean, delta),
                      word_range(c->ci, delta), verdict_tested(c));
    if (isnan(c->ci.low))
        return word_f("%s (%s, no interval)", word_score(c->mean, delta),
                      word_plural(c->n_ok, "seed"));
    return word_f("%s (95 %% %s, %s)", word_score(c->mean, delta),
                  word_range(c->ci, delta), word_plural(c->n_ok, "seed"));
}

/* ---- the cheapest that is close enough ---- */

/* What a configuration takes: memory where it is known of all that matter, else dollars of
 * a run. */
static double burden(const struct report *r, size_t group, bool by_memory)
{
    const struct report_cell *c = cell_of(r, group);
    return by_memory ? cell_spread(c, r->settings.memory_key).mean : cell_run_usd(r, c);
}

size_t decision_cheapest(const struct report *r, bool *known)
{
    const struct verdict *v = main_verdict(r);
    bool *within = xcalloc(v->config_count + 1, sizeof *within);
    size_t n = verdict_within(v, within), best = SIZE_MAX;
    *known = false;
    for (int by_memory = 1; by_memory >= 0 && !*known; by_memory--) {
        *known = n > 0;
        best = SIZE_MAX;
        for (size_t i = 0; i < v->ranked; i++) {
            size_t g = v->ranking[i];
            if (!within[g])
                continue;
            double cost = burden(r, g, by_memory);
            *known = *known && isfinite(cost);
            if (best == SIZE_MAX || cost < burden(r, best, by_memory))
                best = g;
        }
    }
    free(within);
    return best;
}

static const char *cheapest_text(const struct report *r)
{
    double delta = r->settings.rules.delta;
    bool known;
    size_t g = decision_cheapest(r, &known), best = main_verdict(r)->ranking[0];
    if (g == SIZE_MAX)
        return word_f("none stays within %g of the best with 95 %%", delta);
    if (!known)
        return word_f("which is the cheapest was not recorded");
    return g == best ? word_f("no cheaper one stays within %g with 95 %%", delta)
                     : word_f("the cheapest that stays within %g with 95 %% is %s", delta,
                              cell_name(r, cell_of(r, g)));
}

/* ---- the sentence ---- */

static const char *chance_text(double chance)
{
    return chance < .005   ? "less than 1 %"
           : chance > .995 ? "more than 99 %"
                           : word_f("%.0f %%", 100 * chance);
}

const char *decision_take_text(const struct report *r)
{
    const struct verdict *v = main_verdict(r);
    size_t best = v->ranking[0];
    double delta = r->settings.rules.delta;
    const struct stat_regret *regret = &v->regrets[best];
    const char *what = word_f("Take %s at %s: %s %s", cell_name(r, cell_of(r, best)),
                              r->data.columns.items[r->matrix.main_column].label,
                              metric_of(r), decision_mean_text(r, best));
    if (v->ranked == 1)
        return word_f("%s; nothing else has results to hold it against.", what);
    if (isnan(regret->chance))
        return word_f("%s; what that may cost cannot be told, as nothing shows how much "
                      "results vary.",
                      what);
    return word_f(
        "%s; expected regret %s, %s chance to lose more than %g%s; %s.", what,
        isnan(regret->expected) ? "unknown" : word_score(regret->expected, delta / 10),
        chance_text(regret->chance), delta,
        v->item_level ? ", as far as one run each can tell" : "", cheapest_text(r));
}

json_t *decision_take_json(const struct report *r)
{
    const struct verdict *v = main_verdict(r);
    size_t best = v->ranking[0];
    bool known;
    size_t cheapest = decision_cheapest(r, &known);
    json_t *o = json_pack("{s:s, s:s}", "configuration", cell_name(r, cell_of(r, best)),
                          "group", r->data.groups.items[best].label);
    if (v->ranked > 1) {
        put_number(o, "expected_regret", v->regrets[best].expected);
        put_number(o, "chance_beyond_delta", v->regrets[best].chance);
    }
    if (cheapest != SIZE_MAX && known && v->ranked > 1)
        json_object_set_new(o, "cheapest_within_delta",
                            json_string(cell_name(r, cell_of(r, cheapest))));
    return o;
}

/* ---- one rate for a method ---- */

size_t decision_shared_rates(const struct report *r)
{
    const struct verdict *v = main_verdict(r);
    size_t n = 0;
    for (size_t i = 0; r->data.by_method && i < v->ranked; i++)
        n += evidence_rates(r, r->matrix.main_column, v->ranking[i]) == 1;
    return v->ranked > 1 ? n : 0;
}

const char *decision_shared_rate_text(const struct report *r)
{
    size_t n = decision_shared_rates(r), of = main_verdict(r)->ranked;
    const char *which = n == of ? word_f("all %zu", n) : word_f("%zu of %zu", n, of);
    return n ? word_f(
                   " Shared rate: %s methods %s tried at one learning rate only; tuned "
                   "LoRA variants lie within 1 to 2 %% of each other (arXiv "
                   "2602.04998), so a lead may be the rate's.",
                   which, n == 1 ? "was" : "were")
             : "";
}
