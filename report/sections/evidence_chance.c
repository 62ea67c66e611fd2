/* report/sections/evidence_chance.c - see evidence_chance.h. */
#include "report/sections/evidence_chance.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "report/evidence/chance.h"
#include "report/page/words.h"
#include <math.h>

enum { MAX_CONFIGS = 40 };

static const struct verdict *main_verdict(const struct report *r)
{
    return r->matrix.verdicts[r->matrix.main_column];
}

static const struct chance *main_chance(const struct report *r)
{
    return &r->matrix.chances[r->matrix.main_column];
}

/* ---- numbers ---- */

static json_t *config_json(const struct report *r, size_t group)
{
    const struct verdict_config *c = &main_verdict(r)->configs[group];
    const struct config_rows *rows = chance_of(main_chance(r), c);
    if (!rows->by_row)
        return NULL;
    const struct stat_crossed *x = &rows->crossed;
    const struct stat_interval seeds =
        stat_t_interval(c->scores, c->n_ok, 1 - VERDICT_ALPHA);
    json_t *o =
        json_pack("{s:s, s:I, s:I}", "group", r->data.groups.items[group].label, "seeds",
                  (json_int_t)rows->seeds, "rows", (json_int_t)rows->rows);
    const struct {
        const char *key;
        double value;
    } items[] = {{"mean", c->mean},
                 {"seeds_low95", seeds.low},
                 {"seeds_high95", seeds.high},
                 {"low95", x->ci.low},
                 {"high95", x->ci.high},
                 {"se_seeds", sqrt(x->seed / (double)x->seeds)},
                 {"se_rows", sqrt(x->row / (double)x->rows)},
                 {"se", x->se}};
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        put_number(o, items[i].key, items[i].value);
    return o;
}

/* By a tenth, or it is no advice. */
static const char *what_helps(const struct chance_parts *p)
{
    return p->se_twice_rows < 0.9 * p->se_twice_seeds   ? "rows"
           : p->se_twice_seeds < 0.9 * p->se_twice_rows ? "seeds"
                                                        : "both";
}

/* The comparison that decides: the best with the next. */
static json_t *lead_json(const struct report *r, json_t *numbers)
{
    const struct verdict *v = main_verdict(r);
    const struct verdict_pair *p =
        v->ranked > 1 ? verdict_find(v, v->ranking[0], v->ranking[1]) : NULL;
    const struct chance_parts c =
        p ? chance_parts_of(main_chance(r), v, p) : (struct chance_parts){.se = NAN};
    const double all = c.seeds + c.rows;
    if (!p || !(all > 0))
        return NULL;
    const char *a = r->data.groups.items[p->a].label,
               *b = r->data.groups.items[p->b].label, *helps = what_helps(&c);
    json_t *o = json_pack("{s:s, s:s, s:s}", "a", a, "b", b, "helps", helps);
    put_number(o, "diff", p->diff);
    put_number(o, "se", c.se);
    put_number(o, "share_of_seeds", c.seeds / all);
    put_number(o, "se_twice_seeds", c.se_twice_seeds);
    put_number(o, "se_twice_rows", c.se_twice_rows);
    add_takeaway(
        numbers,
        "What %s has over %s (%s, standard error %.2g) is in doubt by the choice "
        "of seeds (%.0f %% of the variance) and of test rows (%.0f %%). Twice the "
        "seeds would take the error to %.2g, twice the rows to %.2g: %s.",
        a, b, word_change(p->diff, r->settings.rules.delta), c.se, 100 * c.seeds / all,
        100 * c.rows / all, c.se_twice_seeds, c.se_twice_rows,
        helps[0] == 'r'   ? "more rows help more"
        : helps[0] == 's' ? "more seeds help more"
                          : "both help alike");
    return o;
}

static void missing_takeaway(const struct report *r, json_t *numbers)
{
    const struct kept_rows *k = &r->kept;
    if (!k->without)
        return;
    add_takeaway(
        numbers,
        "Of %zu of %zu trials the store does not hold what each test row got%s%s. Their "
        "ranges and words hold for other seeds on these rows, not for other rows like "
        "them. %s",
        k->without, k->with + k->without,
        k->problem ? word_f(" (%.300s)", k->problem) : "",
        k->unfit ? word_f(" in a form that %s can be made of", metric_of(r)) : "",
        k->unfit == k->without
            ? "Accuracy, F1, losses and mean squared errors have one."
            : "Trials of peftlab keep it since this version; 'peftlab sweep run FILE "
              "--name NEW' trains again.");
}

json_t *chance_json(const struct report *r, json_t *numbers)
{
    const struct verdict *v = main_verdict(r);
    json_t *configs = json_array(), *lead = lead_json(r, numbers),
           *o = json_pack("{s:I, s:I, s:o}", "with", (json_int_t)r->kept.with, "without",
                          (json_int_t)r->kept.without, "configs", configs);
    for (size_t i = 0; i < v->ranked && i < MAX_CONFIGS; i++) {
        json_t *c = config_json(r, v->ranking[i]);
        if (c)
            json_array_append_new(configs, c);
    }
    if (lead)
        json_object_set_new(o, "lead", lead);
    missing_takeaway(r, numbers);
    return o;
}

/* ---- page ---- */

static const char *range_of(const json_t *c, const char *low, const char *high,
                            double delta)
{
    return word_range(
        (struct stat_interval){json_get_num(c, low, NAN), json_get_num(c, high, NAN)},
        delta);
}

static const char *error_of(const json_t *c, const char *key)
{
    const double se = json_get_num(c, key, NAN);
    return isnan(se) ? "–" : word_f("%.2g", se);
}

void chance_write(const struct report *r, const json_t *chance, struct html *h)
{
    const double delta = r->settings.rules.delta;
    const json_t *configs = json_object_get(chance, "configs"), *c;
    size_t i;
    if (!json_array_size(configs))
        return;
    html_table_open(h, NULL,
                    "Two sources of chance: 95 % for other seeds on these rows, and for "
                    "other seeds and other rows; standard error by each",
                    word_f("%s|>%s|>Other seeds|>Other seeds and rows|>By seeds|>By "
                           "rows|>Both",
                           r->data.by_method ? "Method" : "Group", metric_of(r)));
    json_array_foreach(configs, i, c)
    {
        html_row(h);
        html_head_cell(h, "%s", json_get_str(c, "group", ""));
        html_number(h, "%s", word_score(json_get_num(c, "mean", NAN), delta));
        html_number(h, "%s", range_of(c, "seeds_low95", "seeds_high95", delta));
        html_number(h, "%s", range_of(c, "low95", "high95", delta));
        html_number(h, "%s", error_of(c, "se_seeds"));
        html_number(h, "%s", error_of(c, "se_rows"));
        html_number(h, "%s", error_of(c, "se"));
    }
    html_table_close(h);
}
