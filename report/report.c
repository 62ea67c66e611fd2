/* report/report.c - see report.h: building, and the frame of the page. */
#include "report/report.h"
#include "lib/embed.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/evidence/front.h"
#include "report/evidence/row_scores.h"
#include "report/evidence/strength.h"
#include "report/page/configurations.h"
#include "report/page/glossary.h"
#include "report/page/script.h"
#include "report/page/verify.h"
#include "report/page/words.h"
#include "report/plots/plot.h"
#include "report/sections/compare/changes.h"
#include "report/sections/trivial.h"
#include "report/service/task_plans.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

EMBED(report_css, "report/page/report.css");

static const struct section *const sections[] = {
#define SECTION(name) &section_##name,
#include "report/sections/sections.def"
#undef SECTION
};

const struct section *report_section(size_t i)
{
    return i < ARRAY_LEN(sections) ? sections[i] : NULL;
}

/* ---- building ---- */

int report_judge(struct store *s, const struct report_options *o, struct report **out,
                 struct err *err)
{
    struct report *r = xcalloc(1, sizeof *r);
    r->options = *o;
    r->store = s;
    r->sections = json_object();
    int rc = catalog_load(o->gpus_path, o->prices_path, &r->catalog, err);
    if (!rc && o->sla_path)
        rc = sla_load(o->sla_path, &r->sla, err);
    if (!rc)
        rc = report_data_load(s, &o->scope, &r->data, err);
    if (!rc)
        rc = settings_choose(&r->data, o, &r->settings, err);
    if (!rc)
        kept_rows_load(s, &r->data, r->settings.metric, row_scores, &r->kept);
    if (!rc)
        matrix_build(&r->matrix, &r->data, &r->settings, &r->kept);
    if (!rc)
        r->latency_key = front_latency_key(r);
    if (rc)
        report_free(r);
    else
        *out = r;
    return rc;
}

/* As `peftlab report` has them where nothing is said. */
static struct report_options usual_options(const json_t *sweeps)
{
    return (struct report_options){.scope.sweeps = sweeps,
                                   .delta = NAN,
                                   .collapse = NAN,
                                   .requests_per_day = NAN,
                                   .core_usd_per_hour = REPORT_CORE_USD_PER_HOUR};
}

struct report *report_judge_sweep(struct store *s, int64_t sweep)
{
    char name[24];
    struct report *r = NULL;
    snprintf(name, sizeof name, "%lld", (long long)sweep);
    json_t *sweeps = json_pack("[s]", name);
    const struct report_options o = usual_options(sweeps);
    if (report_judge(s, &o, &r, NULL) == 0)
        r->options.scope.sweeps = NULL; /* ends here */
    json_decref(sweeps);
    return r;
}

/* report_judge, and what its SLA file asks: every configuration, or the file's tasks one by
 * one where they have trials of their own. */
static int judge_service(struct store *s, const struct report_options *o,
                         struct report **out, struct err *err)
{
    int rc = report_judge(s, o, out, err);
    struct report *r = rc ? NULL : *out;
    if (r && sla_by_task(r->sla)) {
        r->task_plans = xcalloc(1, sizeof *r->task_plans);
        rc = task_plans_make(r, r->task_plans, err);
    } else if (r && r->sla)
        r->services = sla_judge(r);
    if (r && rc) {
        report_free(r);
        *out = NULL;
    }
    return rc;
}

int report_judge_tasks(struct store *s, const char *sla_path, const json_t *sweeps,
                       double core_usd_per_hour, struct report **out, struct err *err)
{
    struct report_options o = usual_options(sweeps);
    o.core_usd_per_hour = core_usd_per_hour;
    o.sla_path = sla_path;
    const int rc = judge_service(s, &o, out, err);
    if (rc || (*out)->task_plans)
        return rc;
    report_free(*out);
    *out = NULL;
    return err_set(err, ERR_CONFIG,
                   "'%s' has no tasks with 'data', which says which trials are a task's "
                   "(docs/sla.md)",
                   sla_path);
}

int report_build(struct store *s, const struct report_options *o, struct report **out,
                 struct err *err)
{
    struct report *r;
    int rc = judge_service(s, o, &r, err);
    if (rc)
        return rc;
    configurations_find(r);
    rc = claims_judge(&r->data, &r->settings, &r->matrix, &r->claims, err);
    if (!rc)
        rc = changes_load(r, err);
    for (size_t i = 0; !rc && i < ARRAY_LEN(sections); i++)
        json_object_set_new(r->sections, sections[i]->id, sections[i]->numbers(r));
    if (!rc)
        rc = figures_draw(r, err);
    if (rc)
        report_free(r);
    else
        *out = r;
    return rc;
}

void report_free(struct report *r)
{
    if (!r)
        return;
    report_free(r->before);
    figures_free(r->figures, r->figure_count);
    matrix_variants_free(r->configurations, r->configuration_count);
    matrix_release(&r->matrix);
    kept_rows_release(&r->kept);
    report_data_release(&r->data);
    catalog_release(&r->catalog);
    claims_release(&r->claims);
    sla_free(r->sla);
    free(r->services);
    if (r->task_plans)
        task_plans_release(r->task_plans);
    free(r->task_plans);
    json_decref(r->sections);
    free(r);
}

/* ---- for sections ---- */

void add_takeaway(json_t *numbers, const char *fmt, ...)
{
    json_t *list = json_object_get(numbers, "takeaways");
    if (!list)
        json_object_set_new(numbers, "takeaways", list = json_array());
    struct buf text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    char *clean = str_clean(buf_str(&text), text.len);
    json_array_append_new(list, json_string(clean));
    free(clean);
    buf_release(&text);
}

void put_number(json_t *object, const char *key, double v)
{
    if (!isnan(v))
        json_object_set_new(object, key, json_number_or_word(v));
}

json_t *spread_json(const struct spread *s)
{
    json_t *o = json_object();
    put_number(o, "mean", s->mean);
    put_number(o, "sd", s->sd);
    put_number(o, "low95", s->ci.low);
    put_number(o, "high95", s->ci.high);
    json_object_set_new(o, "n", json_integer((json_int_t)s->n));
    return o;
}

const char *cell_name(const struct report *r, const struct report_cell *c)
{
    const char *group = r->data.groups.items[c->group].label;
    const char *variant = r->data.variants.items[c->variant].label;
    /* A group by a name of its own that was tried in one way needs no more words. */
    if (!r->data.by_method && c->verdict && c->verdict->variants_tried == 1)
        variant = "";
    return *variant && c->word != CELL_NOT_RUN ? word_f("%s (%s)", group, variant)
                                               : word_f("%s", group);
}

const char *pair_evidence(const struct report *r, const struct verdict_pair *p)
{
    double delta = r->settings.rules.delta, judged = p->p_adjusted;
    if (isnan(p->ci95.low))
        return "no interval, too few seeds";
    /* The interval for all pairs at once, so that it and the adjusted p say the same; the
     * winner's test (verdict.h, rule 3) may know more. */
    const bool together =
        isfinite(p->ci_all.low) && !(judged < VERDICT_ALPHA && p->ci_all.low <= 0);
    return word_f(
        "95 %% %s%s%s%s%s%s", word_change_range(together ? p->ci_all : p->ci95, delta),
        together ? " for all pairs at once" : "", isnan(judged) ? "" : ", adjusted ",
        isnan(judged) ? "" : word_p(judged),
        isnan(p->equal_effort_diff) ? "" : ", at equal tuning effort ",
        isnan(p->equal_effort_diff) ? "" : word_change(p->equal_effort_diff, delta));
}

const char *metric_of(const struct report *r)
{
    return r->settings.metric;
}

const char *best_word(const struct report *r)
{
    return r->settings.rules.minimize ? "lowest" : "highest";
}

const char *worst_word(const struct report *r)
{
    return r->settings.rules.minimize ? "highest" : "lowest";
}

/* ---- the page ---- */

static void write_head(const struct report *r, struct html *h)
{
    const char *overruled = settings_overruled(&r->settings);
    html_raw(h,
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, "
             "initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n");
    script_write_policy(h);
    verify_write_seal(h);
    html_raw(h, "<title>");
    html_textf(h, "%s: which configuration to choose", r->data.title);
    html_raw(h, "</title>\n<style>\n");
    html_raw(h, report_css);
    html_raw(h, "</style>\n</head>\n<body>\n<a class=\"skip\" "
                "href=\"#decision\">To the decision</a>\n<header>\n");
    html_el(h, "p", "kicker", "peftlab report");
    html_el(h, "h1", NULL, "Which configuration to choose: %s", r->data.title);
    html_el(
        h, "p", "sub",
        "%s, judged by %s (%s is better%s%s), chosen by %s, on runs of %s.",
        word_plural(r->data.count, "trial"), metric_of(r),
        r->settings.rules.minimize ? "lower" : "higher", *overruled ? "; " : "",
        overruled, r->settings.select_metric,
        r->data.first_ms &&
                strcmp(word_date(r->data.first_ms), word_date(r->data.last_ms)) != 0
            ? word_f("%s to %s", word_date(r->data.first_ms), word_date(r->data.last_ms))
            : word_date(r->data.last_ms));
    html_raw(h, "</header>\n<main>\n");
}

static void write_takeaways(const json_t *numbers, struct html *h)
{
    const json_t *line;
    size_t i;
    json_array_foreach(json_object_get(numbers, "takeaways"), i, line)
    {
        html_el(h, "p", "takeaway", "%s", json_string_value(line));
    }
}

static bool has_content(const struct report *r, const struct section *s)
{
    const json_t *n = json_object_get(r->sections, s->id);
    for (size_t i = 0; i < r->figure_count; i++)
        if (str_eq(r->figures[i].plot->section, s->id))
            return true;
    return !json_is_true(json_object_get(n, "empty"));
}

/* Its number on the page: sections without content have none. ARRAY_LEN(sections): that of
 * the glossary. */
static size_t number_of(const struct report *r, size_t index)
{
    size_t n = 0;
    for (size_t i = 0; i < index; i++)
        n += has_content(r, sections[i]);
    return n;
}

static void write_section(const struct report *r, size_t index, struct html *h)
{
    const struct section *s = sections[index];
    const json_t *numbers = json_object_get(r->sections, s->id);
    buf_printf(&h->out, "<section id=\"%s\" aria-labelledby=\"h-%s\">\n<h2 id=\"h-%s\">",
               s->id, s->id, s->id);
    html_textf(h, "%zu  %s", number_of(r, index), s->title);
    html_close(h, "h2");
    if (index > 0)
        write_takeaways(numbers, h);
    s->write(r, numbers, h);
    for (size_t i = 0; i < r->figure_count; i++)
        if (str_eq(r->figures[i].plot->section, s->id))
            figure_write(&r->figures[i], h);
    html_close(h, "section");
}

/* The same with its words linked to the glossary. */
static void write_linked(const struct report *r, size_t index, struct glossary *g,
                         struct html *out)
{
    struct html section;
    html_init(&section);
    write_section(r, index, &section);
    glossary_link(g, &section, out);
    html_release(&section);
}

static void write_contents(const struct report *r, struct html *h)
{
    html_raw(h, "<nav aria-label=\"Contents\"><ol start=\"1\">\n");
    for (size_t i = 1; i < ARRAY_LEN(sections); i++) {
        if (!has_content(r, sections[i]))
            continue;
        buf_printf(&h->out, "<li value=\"%zu\"><a href=\"#%s\">", number_of(r, i),
                   sections[i]->id);
        html_text(h, sections[i]->title);
        html_raw(h, "</a></li>\n");
    }
    buf_printf(&h->out, "<li value=\"%zu\"><a href=\"#glossary\">Words</a></li>\n",
               number_of(r, ARRAY_LEN(sections)));
    html_raw(h, "</ol></nav>\n");
}

/* What a reviewer asks, with the place that answers it: questions.def. Those whose place is
 * not on this page are left out. */
static void write_questions(struct html *h, const struct html *rest)
{
    static const char *const questions[][2] = {
#define QUESTION(text, anchor) {text, "id=\"" anchor "\""},
#include "report/page/questions.def"
#undef QUESTION
    };
    html_raw(h, "<nav class=\"questions\" aria-label=\"Questions\"><ul>\n");
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        const char *id = questions[i][1];
        if (!strstr(buf_str(&h->out), id) && !strstr(buf_str(&rest->out), id))
            continue;
        buf_printf(&h->out, "<li><a href=\"#%.*s\">", (int)strlen(id) - 5, id + 4);
        html_text(h, questions[i][0]);
        html_raw(h, "</a></li>\n");
    }
    html_raw(h, "</ul></nav>\n");
}

void report_html(const struct report *r, struct html *out)
{
    struct glossary words = {{false}};
    struct html rest;
    html_init(&rest);
    write_head(r, out);
    write_linked(r, 0, &words, out);
    for (size_t i = 1; i < ARRAY_LEN(sections); i++)
        if (has_content(r, sections[i]))
            write_linked(r, i, &words, &rest);
    write_contents(r, out);
    write_questions(out, &rest);
    buf_add(&out->out, buf_str(&rest.out), rest.out.len);
    html_release(&rest);
    html_raw(out, "<section id=\"glossary\" aria-labelledby=\"h-glossary\">\n<h2 "
                  "id=\"h-glossary\">");
    html_textf(out, "%zu  Words", number_of(r, ARRAY_LEN(sections)));
    html_close(out, "h2");
    glossary_write(&words, out);
    html_close(out, "section");
    html_raw(out, "</main>\n<footer>\n");
    html_el(
        out, "p", NULL,
        "peftlab %s. Ranges are 95 %% t intervals over seeds%s unless said otherwise. "
        "Predictions are in italics behind ≈; everything else was measured.",
        PEFTLAB_VERSION, r->kept.with ? ", those of scores also over test rows," : "");
    html_raw(out, "</footer>\n");
    json_t *data = report_embedded_json(r);
    verify_write_data(data, out);
    json_decref(data);
    script_write(out);
    html_raw(out, "</body>\n</html>\n");
    verify_seal(out);
}
