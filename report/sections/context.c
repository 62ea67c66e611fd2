/* report/sections/context.c - what is decided and by what: task, data, machine, goal,
 * limits and prices, each with where it comes from. */
#include "lib/json.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/page/words.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A driver: a row of the table. */
static void driver(json_t *list, const char *name, const char *value, const char *from)
{
    if (value && *value)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "driver", name, "value",
                                              value, "from", from));
}

/* Distinct values of a key over all trials, in order of appearance: "a, b and 3 more". */
static const char *values_of(const struct report *r, const char *key)
{
    enum { MAX_SHOWN = 4 };
    json_t *seen = json_object();
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < r->data.count; i++) {
        const json_t *v = trial_value(&r->data.trials[i], key);
        if (!v)
            continue;
        char *text = value_text(v);
        const char *slash = strrchr(text, '/'),
                   *shown = slash && slash[1] ? slash + 1 : text;
        if (!json_object_get(seen, shown) && json_object_size(seen) < MAX_SHOWN)
            buf_printf(&out, "%s%s", out.len ? ", " : "", shown);
        json_object_set_new(seen, shown, json_null());
        free(text);
    }
    if (json_object_size(seen) > MAX_SHOWN)
        buf_printf(&out, " and %zu more", json_object_size(seen) - MAX_SHOWN);
    const char *text = word_f("%s", buf_str(&out));
    buf_release(&out);
    json_decref(seen);
    return text;
}

static const char *hardware_text(const struct report *r)
{
    struct buf out = BUF_INIT;
    json_t *seen = json_object();
    for (size_t i = 0; i < r->data.count; i++) {
        const char *name = r->data.trials[i].hardware;
        if (*name && !json_object_get(seen, name))
            buf_printf(&out, "%s%s", out.len ? ", " : "", name);
        json_object_set_new(seen, name, json_null());
    }
    const char *text = word_f("%.400s", buf_str(&out));
    buf_release(&out);
    json_decref(seen);
    return text;
}

static const char *columns_text(const struct report *r)
{
    struct buf out = BUF_INIT;
    for (size_t c = 0; c < r->data.columns.count && c < 6; c++)
        buf_printf(&out, "%s%s", c ? "; " : "", r->data.columns.items[c].label);
    if (r->data.columns.count > 6)
        buf_printf(&out, "; %zu more", r->data.columns.count - 6);
    const char *text = word_f("%.400s", buf_str(&out));
    buf_release(&out);
    return text;
}

/* Every limit of the SLA file that was given. */
static void add_limits(const struct report *r, json_t *list)
{
    const struct sla_verdict *v = sla_leader(r);
    for (size_t i = 0; v && i < v->count; i++) {
        const struct sla_check *c = &v->checks[i];
        driver(list, c->title,
               str_eq(c->key, "base_untouched")
                   ? "must stay as it is"
                   : word_f("%s %.6g %s", c->more_is_better ? "at least" : "at most",
                            c->limit, c->unit),
               "service levels");
    }
    if (!isnan(r->sla->mean_per_s))
        driver(list, "Load",
               word_f("%.4g requests per s in the mean, %.4g at the peak%s",
                      r->sla->mean_per_s, r->sla->peak_per_s,
                      r->sla->peak_assumed ? " (assumed)" : ""),
               "service levels");
}

/* The check with the least room left; NULL: none has a margin. */
static const struct sla_check *strictest(const struct sla_verdict *v)
{
    const struct sla_check *s = NULL;
    for (size_t i = 0; v && i < v->count; i++)
        if (isfinite(v->checks[i].margin) && v->checks[i].limit != 0 &&
            (!s || v->checks[i].margin < s->margin))
            s = &v->checks[i];
    return s;
}

static void strictest_takeaway(const struct report *r, json_t *o)
{
    const struct sla_verdict *v = r->sla ? sla_leader(r) : NULL;
    const struct sla_check *s = strictest(v);
    double delta = r->settings.rules.delta;
    if (s)
        add_takeaway(
            o,
            "The strictest driver is %s: at its 95 %% bound %s leaves %s%.0f %% of "
            "%s %.6g %s (%s).",
            s->title, cell_name(r, v->cell), s->margin < 0 ? "−" : "",
            100 * fabs(s->margin),
            s->ceiling > 0 ? "what may be missing at a limit of" : "the limit of",
            s->limit, s->unit, sla_words[s->word]);
    else
        add_takeaway(
            o,
            "No service levels were given, so the one driver is %s: of %s, "
            "differences of %g and more count%s.",
            metric_of(r),
            word_plural(r->matrix.groups, r->data.by_method ? "method" : "group"), delta,
            r->settings.delta_chosen ? " (a default)" : "");
}

/* Where the metric comes from, and what it overrules. */
static const char *judged_from(const struct report *r)
{
    const char *overruled = settings_overruled(&r->settings),
               *from = r->options.metric    ? "--metric"
                       : r->settings.stated ? "the sweep's metric"
                                            : "default";
    bool goal = r->options.goal && !(r->options.metric && !*overruled);
    return word_f("%s%s%s%s", from, goal ? ", --goal" : "", *overruled ? "; " : "",
                  overruled);
}

static json_t *numbers(struct report *r)
{
    json_t *o = json_object(), *list = json_array();
    const struct report_settings *s = &r->settings;
    driver(list, "Task", values_of(r, "task"), "trials");
    driver(list, "Base model", values_of(r, "model"), "trials");
    driver(list, "Training data", values_of(r, "train_data"), "trials");
    driver(list, "Cases", columns_text(r), "trials");
    driver(list, "Hardware", hardware_text(r), "environment of the runs");
    driver(list, "Judged by",
           word_f("%s, %s", s->metric,
                  s->rules.minimize ? "lower is better" : "higher is better"),
           judged_from(r));
    driver(list, "Configurations chosen by",
           word_f("%s, %s", s->select_metric,
                  s->select_minimize ? "lower is better" : "higher is better"),
           r->options.select_metric ? "--select-metric" : "default");
    driver(list, "Smallest difference of interest δ", word_f("%g", s->rules.delta),
           s->delta_chosen ? "default" : "--delta");
    if (!isnan(s->rules.collapse))
        driver(list, "Counts as failed",
               word_f("%s %g", s->rules.minimize ? "at or above" : "at or below",
                      s->rules.collapse),
               "--collapse");
    if (!isnan(r->options.requests_per_day))
        driver(list, "Requests per day", word_count(r->options.requests_per_day),
               "--requests-per-day");
    driver(list, "Price of this machine",
           word_f("%s per core and hour", word_usd(r->options.core_usd_per_hour)),
           r->options.core_usd_per_hour == REPORT_CORE_USD_PER_HOUR ? "assumption"
                                                                    : "--core-price");
    if (r->sla)
        add_limits(r, list);
    json_object_set_new(o, "drivers", list);
    strictest_takeaway(r, o);
    return o;
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    const json_t *d;
    size_t i;
    html_fold_open(h, "%zu drivers and where they come from",
                   json_array_size(json_object_get(n, "drivers")));
    html_table_open(h, "narrow", NULL, "Driver|Value|Comes from");
    json_array_foreach(json_object_get(n, "drivers"), i, d)
    {
        html_row(h);
        html_head_cell(h, "%s", json_get_str(d, "driver", ""));
        html_cell(h, "%s", json_get_str(d, "value", ""));
        html_cell(h, "%s", json_get_str(d, "from", ""));
    }
    html_table_close(h);
    html_fold_close(h);
    (void)r;
}

const struct section section_context = {"context", "Context and drivers", numbers, write};
