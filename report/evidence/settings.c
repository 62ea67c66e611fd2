/* report/evidence/settings.c - what the report judges by, where the user left it open. */
#include "lib/mem.h"
#include "lib/str.h"
#include "report/report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const usual_metrics[] = {
    "test/macro_f1", "test/accuracy", "eval/macro_f1", "eval/accuracy",
    "test/loss",     "eval/loss",     "score",
};

static bool has_metric(const struct report_data *d, const char *key)
{
    for (size_t i = 0; i < d->count; i++)
        if (json_object_get(d->trials[i].metrics, key))
            return true;
    return false;
}

/* "cannot report on 'x': no trial has it, did you mean 'y'?" */
static int no_metric(const struct report_data *d, const char *key, struct err *err)
{
    json_t *known = json_object(), *v;
    const char *name;
    size_t n = 0;
    for (size_t i = 0; i < d->count; i++)
        json_object_update(known, d->trials[i].metrics);
    const char **names = xcalloc(json_object_size(known) + 1, sizeof *names);
    json_object_foreach(known, name, v) names[n++] = name;
    const char *near = str_nearest(key, names, n);
    char *clean = str_clean(key, strlen(key));
    int rc = n == 0 ? err_set(err, ERR_NOINPUT,
                              "no trial of %s has any results yet; 'peftlab ls' shows "
                              "how they stand",
                              d->title)
                    : err_set(err, ERR_CONFIG, "no trial has a metric '%.100s'%s%s%s",
                              clean, near ? "; did you mean '" : "; there is '",
                              near ? near : names[0], near ? "'?" : "'");
    free(clean);
    free(names);
    json_decref(known);
    return rc;
}

static int choose_metric(const struct report_data *d, const struct report_options *o,
                         struct report_settings *s, struct err *err)
{
    s->metric = o->metric;
    for (size_t i = 0; !s->metric && i < ARRAY_LEN(usual_metrics); i++)
        if (has_metric(d, usual_metrics[i]))
            s->metric = usual_metrics[i];
    if (!s->metric || !has_metric(d, s->metric))
        return no_metric(d, s->metric ? s->metric : "test/accuracy", err);
    return 0;
}

/* For test/X it is eval/X, where there is one. */
static int choose_select(const struct report_data *d, const struct report_options *o,
                         struct report_settings *s, struct err *err)
{
    s->select_metric = o->select_metric;
    if (s->select_metric)
        return has_metric(d, s->select_metric) ? 0 : no_metric(d, s->select_metric, err);
    s->select_metric = s->metric;
    for (size_t i = 0; i < ARRAY_LEN(usual_metrics); i++)
        if (str_has_prefix(s->metric, "test/") &&
            str_has_prefix(usual_metrics[i], "eval/") &&
            str_eq(usual_metrics[i] + 5, s->metric + 5) &&
            has_metric(d, usual_metrics[i]))
            s->select_metric = usual_metrics[i];
    return 0;
}

static bool lower_is_better(const char *metric)
{
    static const char *const endings[] = {"loss", "perplexity", "_bytes", "_ms", "error"};
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if (str_has_suffix(metric, endings[i]))
            return true;
    return str_has_suffix(metric, "_s") && !str_has_suffix(metric, "_per_s");
}

/* One point of a share or of a percentage; else 1 % of the median. */
static double choose_delta(const struct report_data *d, struct report_settings *s)
{
    double *v = xcalloc(d->count + 1, sizeof *v), low = INFINITY, high = -INFINITY;
    size_t n = 0;
    for (size_t i = 0; i < d->count; i++) {
        double x = trial_metric(&d->trials[i], s->metric);
        if (!isfinite(x))
            continue;
        low = fmin(low, x);
        high = fmax(high, x);
        v[n++] = x;
    }
    s->scale = stat_median(v, n);
    free(v);
    if (!s->rules.minimize && low >= 0 && high <= 1)
        return 0.01;
    if (!s->rules.minimize && low >= 0 && high <= 100)
        return 1;
    double part = fabs(s->scale) / 100;
    return part > 0 && isfinite(part) ? pow(10, floor(log10(part))) : 0.01;
}

static const char *choose_memory(const struct report_data *d)
{
    static const char *const keys[] = {"mem/planned_bytes", "mem/peak_device_bytes",
                                       "mem/peak_rss_bytes"};
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(keys) && !has_metric(d, keys[i]))
        i++;
    return keys[i];
}

int settings_choose(const struct report_data *d, const struct report_options *o,
                    struct report_settings *out, struct err *err)
{
    *out = (struct report_settings){.rules = {.collapse = o->collapse}};
    int rc = choose_metric(d, o, out, err);
    if (!rc)
        rc = choose_select(d, o, out, err);
    if (rc)
        return rc;
    out->rules.minimize =
        o->goal ? str_eq(o->goal, "minimize") : lower_is_better(out->metric);
    out->rules.delta = choose_delta(d, out);
    out->delta_chosen = isnan(o->delta);
    if (!out->delta_chosen)
        out->rules.delta = o->delta;
    out->memory_key = choose_memory(d);
    out->same_split = str_eq(out->metric, out->select_metric);
    return 0;
}
