/* report/sections/trivial.c - see trivial.h. */
#include "report/sections/trivial.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* "eval/macro_f1" -> "eval/classes_predicted" */
static const char *classes_key(const char *metric)
{
    return str_has_prefix(metric, "test/") ? "test/classes_predicted"
                                           : "eval/classes_predicted";
}

const char *trivial_name(const struct report *r)
{
    const char *metric = metric_of(r);
    if (r->data.count && trial_is_lm(&r->data.trials[0]))
        return "each token as often as the training labels have it, whatever the text";
    return strstr(metric, "mse") || strstr(metric, "pearson") ||
                   strstr(metric, "spearman")
               ? "the mean of the training labels"
               : "what the training labels say most";
}

static bool one_value(const struct verdict_config *c)
{
    for (size_t i = 1; i < c->n_ok; i++)
        if (c->scores[i] != c->scores[0])
            return false;
    return c->n_ok >= 2;
}

static bool is_above(const struct report *r, const struct verdict_config *c,
                     double baseline)
{
    bool down = r->settings.rules.minimize;
    double bound = isnan(c->ci.low) ? c->mean : down ? c->ci.high : c->ci.low;
    return down ? bound < baseline : bound > baseline;
}

/* Median of what the column's trials recorded. */
static double baseline_of(const struct report *r, size_t column)
{
    char key[160];
    double *v = xcalloc(r->data.count + 1, sizeof *v), median;
    size_t n = 0;
    snprintf(key, sizeof key, "baseline/%s", metric_of(r));
    for (size_t i = 0; i < r->data.count; i++) {
        double x = trial_metric(&r->data.trials[i], key);
        if (r->data.trials[i].column == column && isfinite(x))
            v[n++] = x;
    }
    median = n ? stat_median(v, n) : NAN;
    free(v);
    return median;
}

struct trivial trivial_of(const struct report *r, size_t column)
{
    const struct verdict *v = r->matrix.verdicts[column];
    struct trivial t = {.baseline = baseline_of(r, column)};
    double first = NAN;
    bool same = v->ranked > 1;
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *x = &r->data.trials[i];
        double classes = trial_metric(x, classes_key(metric_of(r)));
        if (x->column != column || !trial_is_good(x, &r->settings))
            continue;
        t.judged += isfinite(classes);
        t.collapsed += classes == 1;
        double score = trial_metric(x, metric_of(r));
        first = isnan(first) ? score : first;
        same &= score == first;
    }
    t.all_same = same;
    for (size_t i = 0; i < v->ranked; i++) {
        const struct verdict_config *c = &v->configs[v->ranking[i]];
        t.same_seeds += one_value(c);
        t.above += is_above(r, c, t.baseline);
    }
    return t;
}

bool trivial_is_all(const struct trivial *t)
{
    return t->judged && t->collapsed == t->judged;
}

bool trivial_seeds(const struct report *r, size_t column)
{
    const struct verdict *v = r->matrix.verdicts[column];
    size_t rivals = 0;
    for (size_t i = 1; i < v->ranked; i++)
        rivals += one_value(&v->configs[v->ranking[i]]);
    return rivals && one_value(&v->configs[v->ranking[0]]);
}

bool trivial_is_above(const struct report *r, size_t group, const struct trivial *t)
{
    return is_above(r, &r->matrix.verdicts[r->matrix.main_column]->configs[group],
                    t->baseline);
}

bool trivial_undecides(const struct report *r, size_t column)
{
    struct trivial t = trivial_of(r, column);
    return r->matrix.verdicts[column]->ranked &&
           (trivial_is_all(&t) || t.all_same || trivial_seeds(r, column));
}
