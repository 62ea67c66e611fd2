/* report/sections/beforehand.c - claims made beforehand, the measurement beside them, and
 * whether they agree. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/page/words.h"
#include "report/report.h"
#include <math.h>
#include <string.h>

static const char *side_name(const struct report *r, size_t group, size_t variant)
{
    const char *label = r->data.variants.items[variant].label;
    const char *name = r->data.groups.items[group].label;
    return *label ? word_f("%s (%s)", name, label) : name;
}

/* On the page the variant that stands for its group, which the matrix names, is left out. */
static const char *short_name(const struct report *r, size_t column, size_t group,
                              size_t variant)
{
    return matrix_cell(&r->matrix, column, group)->variant == variant
               ? r->data.groups.items[group].label
               : side_name(r, group, variant);
}

/* A difference in the metric's own unit. */
static const char *change_text(const struct report *r, const struct claim *c, double v)
{
    const char *sign = v < 0 ? "−" : "+";
    double size = fabs(v);
    if (!isfinite(v))
        return "–";
    if (c->quality)
        return word_change(v, r->settings.rules.delta);
    if (str_has_suffix(c->prior->metric, "_bytes"))
        return word_f("%s%s", sign, word_bytes(size));
    if (str_has_suffix(c->prior->metric, "_ms"))
        return word_f("%s%s ms", sign, word_ms(size));
    if (str_has_suffix(c->prior->metric, "_s"))
        return word_f("%s%s", sign, word_seconds(size));
    return word_f("%s%.3g", sign, size);
}

static const char *measured_text(const struct report *r, const struct claim *c)
{
    return word_f("%s (95 %% %s)", change_text(r, c, c->pair.diff),
                  isnan(c->pair.ci95.low)
                      ? "unknown, too few seeds"
                      : word_f("%s to %s", change_text(r, c, c->pair.ci95.low),
                               change_text(r, c, c->pair.ci95.high)));
}

static const char *direction_text(const struct claim *c)
{
    static const char *const words[] = {"higher", "lower", "the same", ""};
    return words[c->prior->direction];
}

static const char *scope_text(const struct prior *p)
{
    const struct prior_scope *s = &p->scope;
    const char *rows =
        s->rows_min > 0 && isfinite(s->rows_max)
            ? word_f("%s to %s rows", word_count(s->rows_min), word_count(s->rows_max))
        : s->rows_min > 0       ? word_f("%s rows or more", word_count(s->rows_min))
        : isfinite(s->rows_max) ? word_f("up to %s rows", word_count(s->rows_max))
                                : "";
    return word_f("%s%s%s%s%s", s->task ? s->task : "any task", *rows ? ", " : "", rows,
                  s->base ? ", seen on " : "", s->base ? s->base : "");
}

/* ---- numbers ---- */

static json_t *claim_json(const struct report *r, const struct claim *c)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", c->prior->id,
                          "column", r->data.columns.items[c->column].label, "better",
                          side_name(r, c->better_group, c->better_variant), "worse",
                          side_name(r, c->worse_group, c->worse_variant), "metric",
                          c->quality ? r->settings.metric : c->prior->metric, "test",
                          c->pair.test, "word", prior_word_text(c->word), "strength",
                          c->prior->strength);
    json_object_set_new(o, "other_settings_differ", json_boolean(c->unlike));
    put_number(o, "difference", c->pair.diff);
    put_number(o, "low95", c->pair.ci95.low);
    put_number(o, "high95", c->pair.ci95.high);
    if (c->seeds_needed)
        json_object_set_new(o, "seeds_needed", json_integer((json_int_t)c->seeds_needed));
    return o;
}

/* Of the disagreements the one with the strongest source, then the clearest. */
static const struct claim *most_surprising(const struct claims *all)
{
    const struct claim *best = NULL;
    double best_t = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct claim *c = &all->items[i];
        double t = fabs(c->pair.diff) / (c->pair.ci95.high - c->pair.ci95.low + 1e-300);
        if (c->word != PRIOR_DISAGREES)
            continue;
        int order = best ? strcmp(c->prior->strength, best->prior->strength) : -1;
        if (order < 0 || (order == 0 && t > best_t)) {
            best = c;
            best_t = t;
        }
    }
    return best;
}

static json_t *numbers(struct report *r)
{
    json_t *o = json_object(), *list = json_array();
    size_t n[4] = {0};
    for (size_t i = 0; i < r->claims.count; i++) {
        n[r->claims.items[i].word]++;
        json_array_append_new(list, claim_json(r, &r->claims.items[i]));
    }
    json_object_set_new(o, "claims", list);
    json_object_set_new(o, "unmeasured", json_integer((json_int_t)r->claims.unmeasured));
    if (r->claims.count == 0) {
        add_takeaway(o,
                     "None of %zu claims could be held against these trials: no column "
                     "has both sides of one.",
                     r->claims.unmeasured);
        return o;
    }
    const struct claim *c = most_surprising(&r->claims);
    size_t within = n[PRIOR_AGREES] + n[PRIOR_DISAGREES] + n[PRIOR_SILENT];
    add_takeaway(o,
                 "Of %s within their scope %zu agree with what was measured, %zu "
                 "disagree and %zu stay open%s%s.",
                 word_plural(within, "comparison"), n[PRIOR_AGREES], n[PRIOR_DISAGREES],
                 n[PRIOR_SILENT],
                 c ? word_f("; the most surprising, at %s: %s",
                            r->data.columns.items[c->column].label, c->prior->claim)
                   : "",
                 c ? word_f(" (source grade %s), measured %s", c->prior->strength,
                            measured_text(r, c))
                 : n[PRIOR_OUTSIDE]
                     ? word_f("; %zu more are out of scope", n[PRIOR_OUTSIDE])
                     : "");
    return o;
}

/* ---- page ---- */

/* One measurement of a claim. */
static void write_measured(const struct report *r, const struct claim *c, struct html *h)
{
    html_open(h, "span", "range");
    html_textf(h, "at %s, %s of %s against %s: %s, expected %s",
               r->data.columns.items[c->column].label,
               c->quality ? metric_of(r) : c->prior->metric,
               short_name(r, c->column, c->better_group, c->better_variant),
               short_name(r, c->column, c->worse_group, c->worse_variant),
               measured_text(r, c), direction_text(c));
    if (c->other_rate)
        html_textf(h, "; at the learning rate of each");
    if (c->unlike)
        html_textf(h, "; other settings differ too");
    if (c->word == PRIOR_SILENT && c->seeds_needed)
        html_textf(h, "; about %s seeds would settle it",
                   c->seeds_needed > 200 ? "more than 200"
                                         : word_f("%zu", c->seeds_needed));
    html_close(h, "span");
}

static void write_prior(const struct prior *p, struct html *h)
{
    html_raw(h, "<th scope=\"row\">");
    html_text(h, p->claim);
    html_el(h, "small", NULL, "%s; grade %s%s", p->source, p->strength,
            str_eq(p->mark, "M") ? ", from memory, to be checked" : "");
    if (p->number)
        html_el(h, "small", NULL, "stated: %s", p->number);
    html_raw(h, "</th>");
    html_cell(h, "%s", scope_text(p));
}

/* The i-th claim with all its measurements that have the same word; those have no row of
 * their own. */
static void write_claim(const struct report *r, size_t at, struct html *h)
{
    static const char classes[] = "bwun"; /* best, worse, undecided, not run */
    const struct claim *first = &r->claims.items[at], *c;
    for (size_t i = 0; i < at; i++)
        if (r->claims.items[i].prior == first->prior &&
            r->claims.items[i].word == first->word)
            return;
    html_row(h);
    write_prior(first->prior, h);
    html_raw(h, "<td class=\"cell\">");
    for (size_t i = at; i < r->claims.count; i++) {
        c = &r->claims.items[i];
        if (c->prior == first->prior && c->word == first->word)
            write_measured(r, c, h);
    }
    html_raw(h, "</td>");
    buf_printf(&h->out, "<td class=\"cell w-%c\">", classes[first->word]);
    html_el(h, "span", "word", "%s", prior_word_text(first->word));
    html_raw(h, "</td>");
}

static size_t count_word(const struct report *r, enum prior_word word)
{
    size_t n = 0;
    for (size_t i = 0; i < r->claims.count; i++)
        n += r->claims.items[i].word == word;
    return n;
}

static void write_claims(const struct report *r, enum prior_word word,
                         const char *caption, struct html *h)
{
    if (!count_word(r, word))
        return;
    html_table_open(h, "claims", caption, "Claim|Holds for|Measured|Agreement");
    for (size_t i = 0; i < r->claims.count; i++)
        if (r->claims.items[i].word == word)
            write_claim(r, i, h);
    html_table_close(h);
}

/* What disagrees decides first; the rest is folded. */

static void write(const struct report *r, const json_t *n, struct html *h)
{
    (void)n;
    write_claims(r, PRIOR_DISAGREES, "Claims that disagree", h);
    if (count_word(r, PRIOR_AGREES) + count_word(r, PRIOR_SILENT)) {
        html_fold_open(h, "%zu that agree, %zu that stay open",
                       count_word(r, PRIOR_AGREES), count_word(r, PRIOR_SILENT));
        write_claims(r, PRIOR_SILENT, "Claims that stay open", h);
        write_claims(r, PRIOR_AGREES, "Claims that agree", h);
        html_fold_close(h);
    }
    if (count_word(r, PRIOR_OUTSIDE))
        html_el(h, "p", "note",
                "%zu more were measured outside the claim's scope or at other settings; "
                "'peftlab report --json' has them (sections.priors).",
                count_word(r, PRIOR_OUTSIDE));
}

const struct section section_priors = {"priors", "Known beforehand and measured", numbers,
                                       write};
