/* report/evidence/settings.c - what the report judges by, where the user left it open. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/page/words.h"
#include "report/report.h"
#include "tracker/view/objective.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where no sweep says what it is judged by. */
static const char *const usual_metrics[] = {
    "test/macro_f1", "test/accuracy", "eval/macro_f1", "eval/accuracy", "test/pearson",
    "eval/pearson",  "test/loss",     "eval/loss",     "score",
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

/* What all sweeps of the report are judged by; NULL: none says. */
static int find_stated(const struct report_data *d, const struct report_options *o,
                       struct report_settings *s, struct err *err)
{
    const json_t *sweep, *first = json_array_get(d->objectives, 0);
    size_t i;
    s->stated = json_array_get(json_object_get(first, "objectives"), 0);
    json_array_foreach(d->objectives, i, sweep)
    {
        const json_t *own = json_array_get(json_object_get(sweep, "objectives"), 0);
        if (metric_is_same(json_get_str(own, "name", ""),
                           json_get_str(s->stated, "name", "")) &&
            str_eq(json_get_str(own, "goal", ""), json_get_str(s->stated, "goal", "")))
            continue;
        s->stated = NULL;
        if (o->metric)
            return 0;
        return err_set(
            err, ERR_CONFIG,
            "sweep '%.100s' is judged by %.100s, sweep '%.100s' by %.100s "
            "(%s): name one with --metric, and --goal",
            json_get_str(first, "sweep", ""),
            json_get_str(json_array_get(json_object_get(first, "objectives"), 0), "name",
                         ""),
            json_get_str(sweep, "sweep", ""), json_get_str(own, "name", ""),
            json_get_str(own, "goal", ""));
    }
    return 0;
}

/* The key of the same metric on a split ("test/"), as trials have it; NULL: none has. */
static const char *on_split(const struct report_data *d, const char *split,
                            const char *metric)
{
    const char *key;
    json_t *v;
    for (size_t i = 0; i < d->count; i++)
        json_object_foreach(d->trials[i].metrics, key,
                            v) if (str_has_prefix(key, split) &&
                                   metric_is_same(key, metric)) return key;
    return NULL;
}

/* The sweep's own, on the test split where trials have it: what was chosen by rows of
 * `eval` is judged by rows that no choice has seen. */
static int choose_metric(const struct report_data *d, const struct report_options *o,
                         struct report_settings *s, struct err *err)
{
    const char *own = json_get_str(s->stated, "name", NULL);
    s->metric = o->metric ? o->metric : own;
    if (!o->metric && own && str_has_prefix(own, "eval/") && has_metric(d, own)) {
        const char *test = on_split(d, "test/", own);
        s->metric = test ? test : own;
    }
    for (size_t i = 0; !s->metric && i < ARRAY_LEN(usual_metrics); i++)
        if (has_metric(d, usual_metrics[i]))
            s->metric = usual_metrics[i];
    if (!s->metric || !has_metric(d, s->metric))
        return no_metric(d, s->metric ? s->metric : "test/accuracy", err);
    s->metric_overruled = o->metric && own && !metric_is_same(o->metric, own);
    return 0;
}

/* For test/X it is eval/X, where there is one. */
static int choose_select(const struct report_data *d, const struct report_options *o,
                         struct report_settings *s, struct err *err)
{
    s->select_metric = o->select_metric;
    if (s->select_metric)
        return has_metric(d, s->select_metric) ? 0 : no_metric(d, s->select_metric, err);
    const char *eval =
        str_has_prefix(s->metric, "test/") ? on_split(d, "eval/", s->metric) : NULL;
    s->select_metric = eval ? eval : s->metric;
    return 0;
}

/* As a sweep's file says, else by the name; where neither tells, --goal is asked for. */
static int choose_goal(const struct report_data *d, const struct report_options *o,
                       struct report_settings *s, struct err *err)
{
    enum direction way = metric_direction(s->metric), said;
    const json_t *sweep;
    size_t i;
    json_array_foreach(d->objectives, i, sweep)
    {
        said = objective_direction(json_object_get(sweep, "objectives"), s->metric);
        way = said ? said : way;
    }
    if (o->goal) {
        said = str_eq(o->goal, "minimize") ? DIRECTION_LOWER : DIRECTION_HIGHER;
        s->goal_overruled = s->stated && !s->metric_overruled && way != said;
        way = said;
    }
    s->rules.minimize = way == DIRECTION_LOWER;
    /* A selection metric of another kind (chosen by eval/loss, judged by accuracy) has its
     * own direction; one of unknown kind follows the metric. */
    said = metric_is_same(s->select_metric, s->metric)
               ? way
               : objective_direction(
                     json_object_get(json_array_get(d->objectives, 0), "objectives"),
                     s->select_metric);
    s->select_minimize = (said ? said : way) == DIRECTION_LOWER;
    return way ? 0
               : err_set(err, ERR_CONFIG,
                         "whether '%.100s' is better high or low is not known: say "
                         "--goal maximize or --goal minimize",
                         s->metric);
}

const char *settings_overruled(const struct report_settings *s)
{
    return !s->metric_overruled && !s->goal_overruled
               ? ""
               : word_f("the sweep's own is %s (%s), overruled by --%s",
                        json_get_str(s->stated, "name", ""),
                        json_get_str(s->stated, "goal", ""),
                        s->metric_overruled ? "metric" : "goal");
}

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
    s->range = metric_scale(s->metric, low, high);
    const double delta = stat_smallest_difference(v, n, s->rules.minimize);
    free(v);
    return delta;
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
    int rc = find_stated(d, o, out, err);
    if (!rc)
        rc = choose_metric(d, o, out, err);
    if (!rc)
        rc = choose_select(d, o, out, err);
    if (!rc)
        rc = choose_goal(d, o, out, err);
    if (rc)
        return rc;
    out->rules.delta = choose_delta(d, out);
    out->delta_chosen = isnan(o->delta);
    if (!out->delta_chosen)
        out->rules.delta = o->delta;
    out->memory_key = choose_memory(d);
    out->same_split = str_eq(out->metric, out->select_metric);
    return 0;
}
