/* report/evidence/verdict_text.c - verdicts as words and JSON, and what would settle
 * them. */
#include "lib/json.h"
#include "report/evidence/verdict.h"
#include <math.h>

const char *verdict_word_text(enum verdict_word w)
{
    static const char *const words[] = {"better", "equivalent", "undecided"};
    return words[w];
}

static void put(json_t *o, const char *key, double v)
{
    if (!isnan(v))
        json_object_set_new(o, key, json_number_or_word(v));
}

static json_t *config_json(const struct verdict_config *c,
                           const struct stat_regret *regret)
{
    json_t *o = json_object();
    json_object_set_new(o, "variants_tried", json_integer((json_int_t)c->variants_tried));
    json_object_set_new(o, "n", json_integer((json_int_t)c->n));
    json_object_set_new(o, "n_ok", json_integer((json_int_t)c->n_ok));
    json_object_set_new(o, "n_failed", json_integer((json_int_t)c->n_failed));
    put(o, "failure_low95", c->failure.low);
    put(o, "failure_high95", c->failure.high);
    json_object_set_new(o, "mean", isnan(c->mean) ? json_null() : json_real(c->mean));
    put(o, "sd", c->sd);
    put(o, "low95", c->ci.low);
    put(o, "high95", c->ci.high);
    put(o, "expected_regret", regret->expected);
    put(o, "chance_beyond_delta", regret->chance);
    if (c->items)
        json_object_set_new(o, "items", json_integer((json_int_t)c->items));
    return o;
}

static json_t *pair_json(const struct verdict_pair *p, const char *const *names)
{
    json_t *o = json_object();
    json_object_set_new(o, "a", json_string(names[p->a]));
    json_object_set_new(o, "b", json_string(names[p->b]));
    json_object_set_new(o, "test", json_string(p->test));
    put(o, "diff", p->diff);
    json_object_set_new(o, "n", json_integer((json_int_t)p->n));
    put(o, "df", p->df);
    json_object_set_new(o, "p", isnan(p->p) ? json_null() : json_real(p->p));
    put(o, "low95", p->ci95.low);
    put(o, "high95", p->ci95.high);
    put(o, "low90", p->ci90.low);
    put(o, "high90", p->ci90.high);
    put(o, "p_tost", p->p_tost);
    put(o, "p_adjusted", p->p_adjusted);
    put(o, "p_tost_holm", p->p_tost_holm);
    put(o, "low95_all", p->ci_all.low);
    put(o, "high95_all", p->ci_all.high);
    put(o, "equal_effort_diff", p->equal_effort_diff);
    if (p->apart)
        json_object_set_new(o, "other_environments", json_true());
    json_object_set_new(o, "verdict", json_string(verdict_word_text(p->word)));
    return o;
}

json_t *verdict_json(const struct verdict *v, const char *const *names)
{
    json_t *configs = json_object(), *pairs = json_array(), *tied = json_array();
    for (size_t i = 0; i < v->config_count; i++)
        if (v->configs[i].known)
            json_object_set_new(configs, names[i],
                                config_json(&v->configs[i], &v->regrets[i]));
    for (size_t i = 0; i < v->pair_count; i++)
        json_array_append_new(pairs, pair_json(&v->pairs[i], names));
    for (size_t i = 0; i < v->tied_count; i++)
        json_array_append_new(tied, json_string(names[v->tied[i]]));
    const char *decision = v->tied_count == 0  ? "none"
                           : v->tied_count > 1 ? "tied"
                           : v->item_level     ? "none"
                                               : "winner";
    json_t *o =
        json_pack("{s:o, s:o, s:o, s:o, s:s}", "configs", configs, "pairs", pairs, "best",
                  v->tied_count ? json_string(names[v->tied[0]]) : json_null(),
                  "tied_set", tied, "decision", decision);
    if (v->family > v->pair_count)
        json_object_set_new(o, "pairs_not_compared",
                            json_integer((json_int_t)(v->family - v->pair_count)));
    return o;
}

/* The smallest n whose t interval is likely to clear the line: t(1 - alpha / 2, df) +
 * z(.8) <= sqrt(n) d / sd, df growing with n from what it is now. d is the observed
 * difference where it matters, else the room left until delta for showing equivalence. */
size_t verdict_seeds_needed(const struct verdict_pair *p, double delta, double alpha)
{
    enum { MOST = 1000 };
    bool large = fabs(p->diff) >= delta;
    double room = large ? fabs(p->diff) : delta - fabs(p->diff);
    double tail = large ? alpha / 2 : VERDICT_ALPHA;
    double per_seed = p->n >= 2 && p->df > 0 ? p->df / ((double)p->n - 1) : 1;
    if (!(p->sd >= 0) || !(room > 0))
        return p->sd >= 0 ? MOST : 0;
    size_t n = 3;
    while (n < MOST && -stat_t_quantile(tail, per_seed * ((double)n - 1)) +
                               stat_normal_quantile(0.8) >
                           room / sqrt(p->sd * p->sd / (double)n + p->rows))
        n++;
    return n;
}
