/* report/evidence/prior_claims.c - see prior_claims.h. */
#include "report/evidence/prior_claims.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>

enum { PRIOR_WORDS = 4 };

/* How alike two configurations are in what is not the claim's subject. */
enum likeness { LIKE_NOTHING, LIKE_BUT_RATE, LIKE };

/* What makes a method, or says the same by another name. */
static bool is_subject(const struct prior *p, const char *key)
{
    return str_in_list(key, "method|quantization|config|seed|max_train_samples", '|') ||
           json_object_get(p->better_with, key) || json_object_get(p->worse_with, key);
}

static void compare_key(const struct prior *p, const struct report_trial *a,
                        const struct report_trial *b, const char *key,
                        enum likeness *like)
{
    const json_t *x = trial_value(a, key), *y = trial_value(b, key);
    if (is_subject(p, key) || !x || !y || json_equal((json_t *)x, (json_t *)y))
        return; /* a rank says nothing beside a method that has none */
    enum likeness left = str_eq(key, "learning_rate") ? LIKE_BUT_RATE : LIKE_NOTHING;
    *like = left < *like ? left : *like;
}

static enum likeness likeness_of(const struct prior *p, const struct report_trial *a,
                                 const struct report_trial *b)
{
    enum likeness like = LIKE;
    const char *key;
    json_t *v;
    json_object_foreach(a->params, key, v) compare_key(p, a, b, key, &like);
    json_object_foreach(b->params, key, v) compare_key(p, a, b, key, &like);
    return like;
}

/* The cells of one side. Returns how many. */
static size_t side_of(const struct report_cell *cells, size_t count,
                      const struct prior *p,
                      bool (*is_side)(const struct prior *, const char *, const json_t *),
                      const struct report_cell **out)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct report_trial *t = cells[i].trials[0];
        char *method = trial_method(t);
        if (is_side(p, method, t->params))
            out[n++] = &cells[i];
        free(method);
    }
    return n;
}

struct match {
    const struct report_cell *better, *worse; /* NULL: a side was not run */
    enum likeness like;
};

/* The most alike pair of the two sides; of several the best by the selection metric. */
static struct match match_sides(const struct report_cell *cells, size_t count,
                                const struct report_settings *s, const struct prior *p)
{
    const struct report_cell **a = xcalloc(2 * count + 1, sizeof *a), **b = a + count;
    size_t na = side_of(cells, count, p, prior_is_better, a),
           nb = side_of(cells, count, p, prior_is_worse, b);
    struct match best = {0};
    double best_sum = -INFINITY;
    for (size_t i = 0; i < na; i++)
        for (size_t k = 0; k < nb; k++) {
            if (a[i] == b[k])
                continue;
            enum likeness like = likeness_of(p, a[i]->trials[0], b[k]->trials[0]);
            if (best.better && like < best.like)
                continue;
            double sum = cell_select(a[i], s) + cell_select(b[k], s);
            if (best.better && like == best.like && !(sum > best_sum))
                continue;
            best = (struct match){a[i], b[k], like};
            best_sum = sum;
        }
    free(a);
    return best;
}

/* The metric of a cell as a configuration that verdict_compare reads. */
static struct verdict_config config_of(const struct report_cell *c, const char *metric)
{
    struct verdict_config k = {.known = true};
    k.seeds = xcalloc(c->count + 1, sizeof *k.seeds);
    k.scores = xcalloc(c->count + 1, sizeof *k.scores);
    k.blocks = xcalloc(c->count + 1, sizeof *k.blocks);
    for (size_t i = 0; i < c->count; i++) {
        double v = trial_metric(c->trials[i], metric), items;
        if (!isfinite(v))
            continue;
        items = trial_items(c->trials[i], metric);
        k.items = k.n_ok == 0 && items >= 1 ? (size_t)items : 0;
        k.seeds[k.n_ok] = c->trials[i]->seed;
        k.blocks[k.n_ok] = c->trials[i]->machine;
        k.scores[k.n_ok++] = v;
    }
    k.n = k.n_ok;
    k.mean = k.n_ok ? stat_mean(k.scores, k.n_ok) : NAN;
    k.sd = stat_sd(k.scores, k.n_ok);
    return k;
}

static void config_release(struct verdict_config *c)
{
    free(c->seeds);
    free(c->scores);
    free(c->blocks);
}

static double column_rows(const struct report_data *d, size_t column)
{
    if (isfinite(d->columns.items[column].order))
        return d->columns.items[column].order;
    for (size_t i = 0; i < d->count; i++)
        if (d->trials[i].column == column &&
            isfinite(trial_metric(&d->trials[i], "data/train_rows")))
            return trial_metric(&d->trials[i], "data/train_rows");
    return NAN;
}

static void judge(const struct report_data *d, const struct report_settings *s,
                  const struct prior *p, size_t column, const struct match *m,
                  struct claims *out)
{
    const struct report_cell *better = m->better, *worse = m->worse;
    bool quality = str_eq(p->metric, "quality");
    const char *metric = quality ? s->metric : p->metric;
    struct verdict_rules rules = {.minimize = quality && s->rules.minimize,
                                  .delta = quality ? s->rules.delta : 0,
                                  .collapse = NAN};
    struct verdict_config a = config_of(better, metric), b = config_of(worse, metric);
    if (a.n_ok && b.n_ok) {
        struct claim c = {.prior = p,
                          .column = column,
                          .better_group = better->group,
                          .better_variant = better->variant,
                          .worse_group = worse->group,
                          .worse_variant = worse->variant,
                          .pair = verdict_compare(&a, &b, &rules),
                          .quality = quality,
                          .other_rate = m->like == LIKE_BUT_RATE,
                          .unlike = m->like == LIKE_NOTHING};
        const char *task = json_string_value(trial_value(better->trials[0], "task"));
        c.word = prior_in_scope(p, task, column_rows(d, column)) && !c.unlike
                     ? prior_judge(p, c.pair.ci95.low, c.pair.ci95.high, rules.delta)
                     : PRIOR_OUTSIDE;
        if (c.word == PRIOR_SILENT && isfinite(c.pair.sd))
            c.seeds_needed = verdict_seeds_needed(&c.pair, rules.delta, VERDICT_ALPHA);
        out->items = xgrow(out->items, &out->cap, out->count + 1, sizeof *out->items);
        out->items[out->count++] = c;
    }
    config_release(&a);
    config_release(&b);
}

int claims_judge(const struct report_data *d, const struct report_settings *s,
                 const struct matrix *m, struct claims *out, struct err *err)
{
    *out = (struct claims){0};
    int rc = priors_load(&out->priors, err);
    if (rc)
        return rc;
    struct report_cell **cells = xcalloc(m->columns + 1, sizeof *cells);
    size_t *counts = xcalloc(m->columns + 1, sizeof *counts);
    for (size_t c = 0; c < m->columns; c++)
        cells[c] = matrix_variants(d, s, c, &counts[c]);
    for (size_t i = 0; i < out->priors.claim_count; i++) {
        const struct prior *p = &out->priors.claims[i];
        size_t before = out->count;
        if (p->direction == PRIOR_ADVICE)
            continue;
        for (size_t c = 0; c < m->columns; c++) {
            struct match pair = match_sides(cells[c], counts[c], s, p);
            if (pair.better)
                judge(d, s, p, c, &pair, out);
        }
        out->unmeasured += out->count == before;
    }
    for (size_t c = 0; c < m->columns; c++)
        matrix_variants_free(cells[c], counts[c]);
    free(cells);
    free(counts);
    return 0;
}

void claims_release(struct claims *c)
{
    priors_release(&c->priors);
    free(c->items);
    *c = (struct claims){0};
}

void claims_count(const struct claims *c, size_t column, size_t group, size_t counts[4])
{
    for (int w = 0; w < PRIOR_WORDS; w++)
        counts[w] = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct claim *k = &c->items[i];
        if (k->quality && k->column == column &&
            (k->better_group == group || k->worse_group == group))
            counts[k->word]++;
    }
}
