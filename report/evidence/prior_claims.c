/* report/evidence/prior_claims.c - see prior_claims.h. */
#include "report/evidence/prior_claims.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>

enum { PRIOR_WORDS = 4 };

/* Best configuration of a side by the selection metric; NULL: none was run. */
static const struct report_cell *
side_of(const struct report_cell *cells, size_t count, const struct report_settings *s,
        const struct prior *p,
        bool (*is_side)(const struct prior *, const char *, const json_t *))
{
    const struct report_cell *best = NULL;
    double best_mean = -INFINITY, sign = s->rules.minimize ? -1 : 1;
    for (size_t i = 0; i < count; i++) {
        const struct report_trial *t = cells[i].trials[0];
        char *method = trial_method(t);
        bool ours = is_side(p, method, t->params);
        free(method);
        double mean = sign * cell_spread(&cells[i], s->select_metric).mean;
        if (ours && (!best || mean > best_mean)) {
            best = &cells[i];
            best_mean = mean;
        }
    }
    return best;
}

/* The metric of a cell as a configuration that verdict_compare reads. */
static struct verdict_config config_of(const struct report_cell *c, const char *metric)
{
    struct verdict_config k = {.known = true};
    k.seeds = xcalloc(c->count + 1, sizeof *k.seeds);
    k.scores = xcalloc(c->count + 1, sizeof *k.scores);
    for (size_t i = 0; i < c->count; i++) {
        double v = trial_metric(c->trials[i], metric), items;
        if (!isfinite(v))
            continue;
        items = trial_items(c->trials[i], metric);
        k.items = k.n_ok == 0 && items >= 1 ? (size_t)items : 0;
        k.seeds[k.n_ok] = c->trials[i]->seed;
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
                  const struct prior *p, size_t column, const struct report_cell *better,
                  const struct report_cell *worse, struct claims *out)
{
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
                          .quality = quality};
        const char *task = json_string_value(trial_value(better->trials[0], "task"));
        c.word = prior_in_scope(p, task, column_rows(d, column))
                     ? prior_judge(p, c.pair.ci95.low, c.pair.ci95.high, rules.delta)
                     : PRIOR_OUTSIDE;
        if (c.word == PRIOR_SILENT && isfinite(c.pair.sd))
            c.seeds_needed = verdict_seeds_needed(&c.pair, rules.delta, 1);
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
            const struct report_cell *a = side_of(cells[c], counts[c], s, p,
                                                  prior_is_better),
                                     *b = side_of(cells[c], counts[c], s, p,
                                                  prior_is_worse);
            if (a && b && a != b)
                judge(d, s, p, c, a, b, out);
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
