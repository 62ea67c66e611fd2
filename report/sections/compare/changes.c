/* report/sections/compare/changes.c - see changes.h. */
#include "report/sections/compare/changes.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/page/words.h"
#include "report/sections/decision/decision.h"
#include <math.h>
#include <stdlib.h>

int changes_load(struct report *r, struct err *err)
{
    if (!r->options.against)
        return 0;
    struct report_options o = r->options;
    o.against = NULL;
    o.scope.sweeps = json_object_get(r->data.scope, "sweeps");
    o.scope.experiments = json_object_get(r->data.scope, "experiments");
    o.metric = r->settings.metric;
    o.select_metric = r->settings.select_metric;
    o.goal = r->settings.rules.minimize ? "minimize" : "maximize";
    o.delta = r->settings.rules.delta;
    int rc = report_judge(r->options.against, &o, &r->before, err);
    return rc < 0 ? err_context(err, "--against") : 0;
}

/* ---- the same thing in both ---- */

/* SIZE_MAX: it is not there. */
static size_t find_label(const struct report_labels *l, const struct report_label *wanted)
{
    for (size_t i = 0; i < l->count; i++)
        if (str_eq(l->items[i].id, wanted->id))
            return i;
    for (size_t i = 0; i < l->count; i++)
        if (str_eq(l->items[i].label, wanted->label))
            return i;
    return SIZE_MAX;
}

static size_t column_then(const struct report *r)
{
    return find_label(&r->before->data.columns,
                      &r->data.columns.items[r->matrix.main_column]);
}

static const struct report_cell *best_cell(const struct report *r, size_t column)
{
    const struct verdict *v =
        column < r->matrix.columns ? r->matrix.verdicts[column] : NULL;
    return v && v->ranked ? matrix_cell(&r->matrix, column, v->ranking[0]) : NULL;
}

/* A configuration's good trials in a column: its mean and how many. */
static struct spread score_of(const struct report *r, size_t column, const char *key)
{
    double *values = xcalloc(r->data.count + 1, sizeof *values);
    size_t n = 0;
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        if (t->column == column && str_eq(t->key, key) && !t->repeated &&
            trial_is_good(t, &r->settings))
            values[n++] = trial_metric(t, metric_of(r));
    }
    struct spread s = spread_of(values, n);
    free(values);
    return s;
}

static bool has_trial(const struct report *r, const struct report_trial *wanted,
                      bool seed)
{
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        if (str_eq(t->key, wanted->key) && (!seed || t->seed == wanted->seed) &&
            !trial_is_open(t))
            return true;
    }
    return false;
}

/* "lora (rank 8)" of a trial. */
static const char *trial_name(const struct report *r, const struct report_trial *t)
{
    const char *group = r->data.groups.items[t->group].label,
               *variant = r->data.variants.items[t->variant].label;
    return *variant ? word_f("%s (%s)", group, variant) : group;
}

/* ---- numbers ---- */

static json_t *decision_json(const struct report *r, size_t column)
{
    const struct report_cell *c = best_cell(r, column);
    if (!c)
        return json_pack("{s:s}", "decision", "none");
    const struct verdict *v = r->matrix.verdicts[column];
    struct spread s = cell_spread(c, metric_of(r));
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:o, s:I}", "decision",
                          v->ranked < 2        ? "none"
                          : v->tied_count == 1 ? "winner"
                                               : "tied",
                          "configuration", cell_name(r, c), "group",
                          r->data.groups.items[c->group].label, "confidence",
                          decision_confidence(r, column), "score", spread_json(&s),
                          "tied", (json_int_t)v->tied_count);
    if (v->ranked > 1)
        put_number(o, "expected_regret", v->regrets[c->group].expected);
    json_object_set_new(o, "date", json_string(word_date(r->data.last_ms)));
    return o;
}

/* Trials that ended since, and the configurations among them that were not there. */
static size_t new_trials(const struct report *r, json_t *configurations)
{
    json_t *seen = json_object();
    size_t n = 0;
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        if (trial_is_open(t) || has_trial(r->before, t, true))
            continue;
        n++;
        if (!json_object_get(seen, t->key) && !has_trial(r->before, t, false))
            json_array_append_new(configurations, json_string(trial_name(r, t)));
        json_object_set_new(seen, t->key, json_true());
    }
    json_decref(seen);
    return n;
}

/* A group whose word is another now, or whose best variant is. */
static void add_word(const struct report *r, size_t group, size_t then_column,
                     json_t *list)
{
    const struct report *b = r->before;
    size_t then = find_label(&b->data.groups, &r->data.groups.items[group]);
    const struct report_cell *now = matrix_cell(&r->matrix, r->matrix.main_column, group),
                             *was = then < b->matrix.groups &&
                                            then_column < b->matrix.columns
                                        ? matrix_cell(&b->matrix, then_column, then)
                                        : NULL;
    const char *word = was ? cell_word_text(was->word) : cell_word_text(CELL_NOT_RUN);
    if (str_eq(word, cell_word_text(now->word)))
        return;
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:I, s:I}", "group", r->data.groups.items[group].label, "then",
        word, "now", cell_word_text(now->word), "seeds_then",
        (json_int_t)(was ? was->count : 0), "seeds_now", (json_int_t)now->count);
    put_number(o, "score_then", was ? was->verdict->mean : NAN);
    put_number(o, "score_now", now->verdict->mean);
    json_array_append_new(list, o);
}

/* ---- why ---- */

/* "a (rank 8) went from 0.61 (3 seeds) to 0.64 (6 seeds)"; "" where it did not move. */
static const char *moved_text(const struct report *r, size_t column,
                              const struct report_cell *c, const struct report *named)
{
    const double delta = r->settings.rules.delta;
    const char *key = c->trials[0]->key;
    struct spread then = score_of(r->before, column, key),
                  now = score_of(r, r->matrix.main_column, key);
    const char *name = cell_name(named, c);
    if (!then.n)
        return word_f("%s is new (%s over %s)", name, word_score(now.mean, delta),
                      word_plural(now.n, "seed"));
    if (!now.n)
        return word_f("%s has no result now (%s then)", name,
                      word_score(then.mean, delta));
    if (then.n == now.n && then.mean == now.mean)
        return word_f("%s is as it was (%s)", name, word_score(now.mean, delta));
    return word_f("%s went from %s (%s) to %s (%s)", name, word_score(then.mean, delta),
                  word_plural(then.n, "seed"), word_score(now.mean, delta),
                  word_plural(now.n, "seed"));
}

static const char *words_text(const json_t *words)
{
    enum { SHOWN = 4 };
    const char *text = "";
    const json_t *w;
    size_t i;
    json_array_foreach((json_t *)words, i, w)
    {
        if (i < SHOWN)
            text = word_f("%s; %.80s is %s (%s then)", text, json_get_str(w, "group", ""),
                          json_get_str(w, "now", ""), json_get_str(w, "then", ""));
    }
    return i > SHOWN ? word_f("%s; %zu more", text, i - SHOWN) : text;
}

static void decision_takeaway(const struct report *r, size_t column, json_t *o)
{
    const struct report_cell *was = best_cell(r->before, column),
                             *is = best_cell(r, r->matrix.main_column);
    const char *when = word_date(r->before->data.last_ms),
               *words = words_text(json_object_get(o, "words"));
    const json_t *then = json_object_get(o, "then"), *now = json_object_get(o, "now");
    if (!is)
        add_takeaway(o, "There is no decision now.");
    else if (!was)
        add_takeaway(o, "There was no decision about %s on %s; now: %s.",
                     r->data.columns.items[r->matrix.main_column].label, when,
                     cell_name(r, is));
    else if (!str_eq(was->trials[0]->key, is->trials[0]->key))
        add_takeaway(o, "The choice changed since %s: %s then, %s now. Why: %s; %s%s.",
                     when, cell_name(r->before, was), cell_name(r, is),
                     moved_text(r, column, is, r), moved_text(r, column, was, r->before),
                     words);
    else
        add_takeaway(o, "The choice of %s stands: %s (%s then, %s now)%s.", when,
                     moved_text(r, column, is, r), json_get_str(then, "confidence", ""),
                     json_get_str(now, "confidence", ""), words);
}

static json_t *numbers(struct report *r)
{
    json_t *o = json_object(), *new = json_array(), *words = json_array();
    json_object_set_new(o, "empty", json_boolean(!r->before));
    json_object_set_new(o, "new_configurations", new);
    json_object_set_new(o, "words", words);
    if (!r->before)
        return o;
    const size_t column = column_then(r), trials = new_trials(r, new);
    for (size_t g = 0; g < r->matrix.groups; g++)
        add_word(r, g, column, words);
    json_object_set_new(o, "then", decision_json(r->before, column));
    json_object_set_new(o, "now", decision_json(r, r->matrix.main_column));
    json_object_set_new(o, "new_trials", json_integer((json_int_t)trials));
    json_object_set_new(o, "then_rows_sha256", json_string(r->before->data.rows_sha256));
    const struct report_cell *was = best_cell(r->before, column),
                             *is = best_cell(r, r->matrix.main_column);
    json_object_set_new(
        o, "choice_changed",
        json_boolean(was && is && !str_eq(was->trials[0]->key, is->trials[0]->key)));
    decision_takeaway(r, column, o);
    if (str_eq(r->data.rows_sha256, r->before->data.rows_sha256))
        add_takeaway(o, "Nothing was added: both stores hold the same rows.");
    else
        add_takeaway(o, "%s ended since, of %s that %s not there.",
                     word_plural(trials, "trial"),
                     word_plural(json_array_size(new), "configuration"),
                     json_array_size(new) == 1 ? "was" : "were");
    return o;
}

/* ---- page ---- */

static void write_decision(const struct report *r, const json_t *d, const char *when,
                           struct html *h)
{
    const double delta = r->settings.rules.delta;
    const json_t *s = json_object_get(d, "score");
    struct stat_interval ci = {json_get_num(s, "low95", NAN),
                               json_get_num(s, "high95", NAN)};
    html_row(h);
    html_head_cell(h, "%s", when);
    html_cell(h, "%s", json_get_str(d, "configuration", "no decision"));
    html_number(h, "%s", word_score(json_get_num(s, "mean", NAN), delta));
    html_number(h, "%s", word_range(ci, delta));
    html_number(h, "%lld", (long long)json_get_int(s, "n", 0));
    html_cell(h, "%s", json_get_str(d, "confidence", "–"));
}

static void write_words(const struct report *r, const json_t *words, struct html *h)
{
    const double delta = r->settings.rules.delta;
    const json_t *w;
    size_t i;
    if (!json_array_size(words))
        return;
    html_table_open(h, NULL, "Whose word changed",
                    word_f("%s|Then|Now|>Score then|>Score now|>Seeds then|>Seeds now",
                           r->data.by_method ? "Method" : "Group"));
    json_array_foreach((json_t *)words, i, w)
    {
        html_row(h);
        html_head_cell(h, "%s", json_get_str(w, "group", ""));
        html_cell(h, "%s", json_get_str(w, "then", ""));
        html_cell(h, "%s", json_get_str(w, "now", ""));
        html_number(h, "%s", word_score(json_get_num(w, "score_then", NAN), delta));
        html_number(h, "%s", word_score(json_get_num(w, "score_now", NAN), delta));
        html_number(h, "%lld", (long long)json_get_int(w, "seeds_then", 0));
        html_number(h, "%lld", (long long)json_get_int(w, "seeds_now", 0));
    }
    html_table_close(h);
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    enum { SHOWN = 40 };
    const json_t *new = json_object_get(n, "new_configurations"), *name;
    size_t i;
    html_table_open(
        h, NULL, "The decision then and now",
        word_f("When|Take|>%s|>95 %% interval|>Seeds|Confidence", metric_of(r)));
    write_decision(r, json_object_get(n, "then"),
                   word_f("then, up to %s", word_date(r->before->data.last_ms)), h);
    write_decision(r, json_object_get(n, "now"),
                   word_f("now, up to %s", word_date(r->data.last_ms)), h);
    html_table_close(h);
    write_words(r, json_object_get(n, "words"), h);
    if (!json_array_size(new))
        return;
    html_fold_open(h, "%s", word_plural(json_array_size(new), "new configuration"));
    html_open(h, "ul", NULL);
    json_array_foreach((json_t *)new, i, name)
    {
        if (i < SHOWN)
            html_el(h, "li", NULL, "%s", json_string_value(name));
    }
    html_close(h, "ul");
    if (i > SHOWN)
        html_el(h, "p", "note", "%zu more.", i - SHOWN);
    html_fold_close(h);
}

const struct section section_changes = {"changes", "Since the last decision", numbers,
                                        write};
