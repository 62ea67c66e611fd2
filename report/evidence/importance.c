/* report/evidence/importance.c - see importance.h. */
#include "report/evidence/importance.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/anova.h"
#include "lib/stats/importance.h"
#include "lib/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct table {
    const struct report_trial **trials;
    size_t count;
    char *keys[ANOVA_MAX_FACTORS];
    size_t factors;
    json_t *levels[ANOVA_MAX_FACTORS]; /* {text: index} */
};

static size_t busiest_group(const struct report *r)
{
    size_t *n = xcalloc(r->matrix.groups + 1, sizeof *n), best = 0;
    for (size_t i = 0; i < r->data.count; i++)
        if (r->data.trials[i].column == r->matrix.main_column &&
            trial_is_good(&r->data.trials[i], &r->settings))
            n[r->data.trials[i].group]++;
    for (size_t g = 1; g < r->matrix.groups; g++)
        if (n[g] > n[best])
            best = g;
    free(n);
    return best;
}

/* Parameters of a variant that take two values or more among the trials. */
static void find_factors(const struct report *r, struct table *t)
{
    const json_t *facts;
    const char *key;
    json_t *v, *seen = json_object();
    for (size_t i = 0; i < t->count; i++) {
        facts = r->data.variants.items[t->trials[i]->variant].facts;
        json_object_foreach((json_t *)facts, key, v)
        {
            json_t *levels = json_object_get(seen, key);
            if (!levels)
                json_object_set_new(seen, key, levels = json_object());
            char *text = value_text(v);
            if (!json_object_get(levels, text))
                json_object_set_new(levels, text,
                                    json_integer((json_int_t)json_object_size(levels)));
            free(text);
        }
    }
    json_object_foreach(seen, key, v)
    {
        if (json_object_size(v) < 2 || t->factors == ANOVA_MAX_FACTORS)
            continue;
        t->keys[t->factors] = xstrdup(key);
        t->levels[t->factors++] = json_incref(v);
    }
    json_decref(seen);
}

static void table_init(const struct report *r, size_t group, struct table *t)
{
    *t = (struct table){.trials = xcalloc(r->data.count + 1, sizeof *t->trials)};
    for (size_t i = 0; i < r->data.count; i++)
        if (r->data.trials[i].column == r->matrix.main_column &&
            r->data.trials[i].group == group &&
            trial_is_good(&r->data.trials[i], &r->settings))
            t->trials[t->count++] = &r->data.trials[i];
    find_factors(r, t);
}

static void table_release(struct table *t)
{
    for (size_t k = 0; k < t->factors; k++) {
        free(t->keys[k]);
        json_decref(t->levels[k]);
    }
    free(t->trials);
}

static int by_value(const void *a, const void *b)
{
    const struct importance_bar *x = a, *y = b;
    return (x->value < y->value) - (x->value > y->value);
}

static void term_name(const struct table *t, unsigned factors, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t k = 0; k < t->factors; k++)
        if (factors & 1u << k && len < size)
            len += (size_t)snprintf(out + len, size - len, "%s%s", len ? " × " : "",
                                    t->keys[k]);
}

static bool by_anova(const struct report *r, const struct table *t,
                     struct importance *out)
{
    size_t *levels = xcalloc(t->count * t->factors + 1, sizeof *levels);
    double *y = xcalloc(t->count + 1, sizeof *y);
    for (size_t i = 0; i < t->count; i++) {
        y[i] = trial_metric(t->trials[i], r->settings.metric);
        for (size_t k = 0; k < t->factors; k++) {
            char *text = value_text(trial_value(t->trials[i], t->keys[k]));
            levels[i * t->factors + k] = (size_t)json_get_int(t->levels[k], text, 0);
            free(text);
        }
    }
    struct anova a;
    struct err e = ERR_INIT;
    bool done = stat_anova(levels, y, t->count, t->factors, &a, &e) == 0;
    if (done && a.count && isfinite(a.terms[0].omega2)) {
        struct stat_interval *ci = xcalloc(a.count + 1, sizeof *ci);
        stat_anova_intervals(levels, y, t->count, t->factors, .95, IMPORTANCE_DRAWS, 0,
                             ci, &e);
        struct importance_bar *all = xcalloc(a.count + 1, sizeof *all);
        for (size_t i = 0; i < a.count; i++) {
            term_name(t, a.terms[i].factors, all[i].name, sizeof all[i].name);
            all[i].value = a.terms[i].omega2;
            all[i].ci = ci[i];
        }
        qsort(all, a.count, sizeof *all, by_value);
        out->count = a.count < IMPORTANCE_MAX ? a.count : IMPORTANCE_MAX;
        for (size_t i = 0; i < out->count; i++)
            out->bars[i] = all[i];
        free(all);
        free(ci);
    } else if (done) {
        anova_release(&a);
        done = false;
    }
    if (done)
        anova_release(&a);
    free(levels);
    free(y);
    return done;
}

/* The space of a parameter as far as its values show it: numbers from least to most, on a
 * log scale from a factor of 10, else choices. */
static struct importance_space space_of(const struct table *t, size_t k)
{
    struct importance_space s = {
        .kind = IMPORTANCE_INT, .low = INFINITY, .high = -INFINITY};
    for (size_t i = 0; i < t->count; i++) {
        const json_t *v = trial_value(t->trials[i], t->keys[k]);
        if (!json_is_number(v))
            return (struct importance_space){.kind = IMPORTANCE_CATEGORICAL,
                                             .choices = json_object_size(t->levels[k])};
        double x = json_number_value(v);
        s.low = fmin(s.low, x);
        s.high = fmax(s.high, x);
        if (x != floor(x))
            s.kind = IMPORTANCE_FLOAT;
    }
    s.log = s.low > 0 && s.high >= 10 * s.low;
    return s;
}

static bool by_ped_anova(const struct report *r, const struct table *t,
                         struct importance *out)
{
    if (t->count < IMPORTANCE_LEAST)
        return false;
    double *y = xcalloc(t->count + 1, sizeof *y), raw[ANOVA_MAX_FACTORS];
    struct importance_value *x = xcalloc(t->count + 1, sizeof *x);
    for (size_t i = 0; i < t->count; i++)
        y[i] = trial_metric(t->trials[i], r->settings.metric);
    for (size_t k = 0; k < t->factors; k++) {
        struct importance_space space = space_of(t, k);
        for (size_t i = 0; i < t->count; i++) {
            const json_t *v = trial_value(t->trials[i], t->keys[k]);
            char *text = value_text(v);
            x[i] = (struct importance_value){
                &space, space.kind == IMPORTANCE_CATEGORICAL
                            ? (double)json_get_int(t->levels[k], text, 0)
                            : json_number_value(v)};
            free(text);
        }
        raw[k] = stat_ped_anova(x, y, t->count, r->settings.rules.minimize,
                                IMPORTANCE_QUANTILE);
    }
    stat_importance_normalize(raw, t->factors);
    for (size_t k = 0; k < t->factors; k++) {
        out->bars[k] = (struct importance_bar){.value = raw[k], .ci = {NAN, NAN}};
        snprintf(out->bars[k].name, sizeof out->bars[k].name, "%.79s", t->keys[k]);
    }
    out->count = t->factors;
    qsort(out->bars, out->count, sizeof *out->bars, by_value);
    free(x);
    free(y);
    return true;
}

bool importance_of(const struct report *r, struct importance *out)
{
    struct table t;
    *out = (struct importance){.group = busiest_group(r)};
    table_init(r, out->group, &t);
    out->trials = t.count;
    out->factors = t.factors;
    out->anova = t.factors && by_anova(r, &t, out);
    bool found = out->anova || (t.factors > 1 && by_ped_anova(r, &t, out));
    table_release(&t);
    return found;
}
