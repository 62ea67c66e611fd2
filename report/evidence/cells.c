/* report/evidence/cells.c - see cells.h. */
#include "report/evidence/cells.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tracker/view/objective.h"
#include <math.h>
#include <stdlib.h>

const char *cell_word_text(enum cell_word w)
{
    static const char *const words[] = {"best",      "tied",   "worse",
                                        "undecided", "failed", "not run"};
    return words[w];
}

double trial_select(const struct report_trial *t, const struct report_settings *s)
{
    double v = trial_metric(t, s->select_metric);
    return s->select_minimize == s->rules.minimize ? v : -v;
}

double cell_select(const struct report_cell *c, const struct report_settings *s)
{
    double mean = cell_spread(c, s->select_metric).mean;
    return s->select_minimize ? -mean : mean;
}

bool trial_is_good(const struct report_trial *t, const struct report_settings *s)
{
    double v = trial_metric(t, s->metric), sign = s->rules.minimize ? -1 : 1;
    return t->state == TRIAL_complete && isfinite(v) &&
           !(sign * v <= sign * s->rules.collapse);
}

static struct verdict *judge_column(const struct report_data *d,
                                    const struct report_settings *s,
                                    struct chance *chance)
{
    const size_t column = chance->column;
    struct verdict_rules rules = s->rules;
    struct verdict_row *rows = xcalloc(d->count + 1, sizeof *rows);
    size_t n = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct report_trial *t = &d->trials[i];
        if (t->column != column || trial_is_open(t))
            continue;
        rows[n++] = (struct verdict_row){.config = t->group,
                                         .variant = t->variant,
                                         .order = d->variants.items[t->variant].order,
                                         .seed = t->seed,
                                         .complete = t->state == TRIAL_complete,
                                         .select = trial_select(t, s),
                                         .score = trial_metric(t, s->metric),
                                         .items = trial_items(t, s->metric),
                                         .block = t->machine};
    }
    rules.rows = chance;
    rules.row_variance = chance_row_variance;
    rules.row_differences = chance_differences;
    struct verdict *v = verdict_new(rows, n, d->groups.count, &rules);
    free(rows);
    return v;
}

static void remove_at(struct report_cell *c, size_t at)
{
    c->count--;
    for (size_t k = at; k < c->count; k++)
        c->trials[k] = c->trials[k + 1];
}

/* Good trials of a configuration by seed. Of repeats the last counts, as in verdict.c:
 * where that one failed, the seed failed. */
static void collect(struct report_cell *c, const struct report_data *d,
                    const struct report_settings *s)
{
    c->trials = xcalloc(d->count + 1, sizeof *c->trials);
    for (size_t i = 0; i < d->count; i++) {
        const struct report_trial *t = &d->trials[i];
        if (t->column != c->column || t->group != c->group || t->variant != c->variant ||
            trial_is_open(t))
            continue;
        size_t at = 0;
        while (at < c->count && c->trials[at]->seed < t->seed)
            at++;
        bool there = at < c->count && c->trials[at]->seed == t->seed;
        if (!trial_is_good(t, s)) {
            if (there)
                remove_at(c, at);
            continue;
        }
        if (!there)
            for (size_t k = c->count++; k > at; k--)
                c->trials[k] = c->trials[k - 1];
        c->trials[at] = t;
    }
}

static enum cell_word word_of(const struct verdict *v, size_t group)
{
    const struct verdict_config *c = &v->configs[group];
    if (!c->known)
        return CELL_NOT_RUN;
    if (!c->n_ok)
        return CELL_FAILED;
    size_t best = v->ranking[0];
    if (group != best) {
        const struct verdict_pair *p = verdict_find(v, best, group);
        return p->word == VERDICT_BETTER       ? CELL_WORSE
               : p->word == VERDICT_EQUIVALENT ? CELL_TIED
                                               : CELL_UNDECIDED;
    }
    if (v->tied_count == 1)
        return v->ranked > 1 ? CELL_BEST : CELL_UNDECIDED;
    for (size_t i = 1; i < v->tied_count; i++)
        if (verdict_find(v, best, v->tied[i])->word == VERDICT_UNDECIDED)
            return CELL_UNDECIDED;
    return CELL_TIED;
}

/* A t interval may leave the scale: no share is above 1. */
static struct stat_interval interval_within(struct stat_interval i,
                                            struct stat_interval scale)
{
    if (isfinite(i.low) && isfinite(i.high)) {
        i.low = fmax(i.low, scale.low);
        i.high = fmin(i.high, scale.high);
    }
    return i;
}

/* Of other seeds and other rows, where rows are known; of a single run of rows alone,
 * where its share of items has not said it already. */
static void widen(struct verdict *v, const struct chance *c)
{
    for (size_t i = 0; i < v->ranked; i++) {
        struct verdict_config *config = &v->configs[v->ranking[i]];
        const struct config_rows *rows = chance_of(c, config);
        if (rows->by_row && !config->items)
            config->ci = rows->crossed.ci;
        config->rows = config->n_ok == 1 && rows->by_row ? rows->rows : 0;
    }
}

void matrix_build(struct matrix *m, const struct report_data *d,
                  const struct report_settings *s, const struct kept_rows *kept)
{
    *m = (struct matrix){.columns = d->columns.count, .groups = d->groups.count};
    m->verdicts = xcalloc(m->columns + 1, sizeof *m->verdicts);
    m->cells = xcalloc(m->columns * m->groups + 1, sizeof *m->cells);
    m->chances = xcalloc(m->columns + 1, sizeof *m->chances);
    for (size_t c = 0; c < m->columns; c++) {
        chance_init(&m->chances[c], d, kept, c);
        struct verdict *v = m->verdicts[c] = judge_column(d, s, &m->chances[c]);
        widen(v, &m->chances[c]);
        for (size_t g = 0; g < m->groups; g++)
            v->configs[g].ci = interval_within(v->configs[g].ci, s->range);
        if (v->ranked)
            m->main_column = c;
        for (size_t g = 0; g < m->groups; g++) {
            struct report_cell *cell = &m->cells[c * m->groups + g];
            *cell = (struct report_cell){.column = c,
                                         .group = g,
                                         .variant = v->configs[g].variant,
                                         .verdict = &v->configs[g],
                                         .word = word_of(v, g)};
            collect(cell, d, s);
        }
    }
}

void matrix_release(struct matrix *m)
{
    for (size_t i = 0; i < m->columns * m->groups; i++)
        free(m->cells[i].trials);
    for (size_t c = 0; c < m->columns; c++)
        verdict_free(m->verdicts[c]);
    for (size_t c = 0; c < m->columns; c++)
        chance_release(&m->chances[c]);
    free(m->chances);
    free(m->cells);
    free(m->verdicts);
    *m = (struct matrix){0};
}

const struct report_cell *matrix_cell(const struct matrix *m, size_t column, size_t group)
{
    return &m->cells[column * m->groups + group];
}

void matrix_order(const struct matrix *m, size_t column, size_t *groups)
{
    const struct verdict *v = m->verdicts[column];
    size_t n = 0;
    for (; n < v->ranked; n++)
        groups[n] = v->ranking[n];
    for (int word = CELL_FAILED; word <= CELL_NOT_RUN; word++)
        for (size_t g = 0; g < m->groups; g++)
            if (matrix_cell(m, column, g)->word == (enum cell_word)word)
                groups[n++] = g;
}

struct spread spread_of(const double *values, size_t n)
{
    struct spread s = {.mean = NAN, .sd = NAN, .ci = {NAN, NAN}, .n = n};
    if (n == 0)
        return s;
    s.mean = stat_mean(values, n);
    s.sd = stat_sd(values, n);
    s.ci = stat_t_interval(values, n, 0.95);
    if (n >= 2 && s.sd == 0)
        s.ci = (struct stat_interval){s.mean, s.mean};
    return s;
}

struct spread trials_spread(const struct report_trial *const *trials, size_t count,
                            const char *key)
{
    double *v = xcalloc(count + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        double x = trial_metric(trials[i], key);
        if (isfinite(x))
            v[n++] = x;
    }
    struct spread s = spread_of(v, n);
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, v[i]);
        high = fmax(high, v[i]);
    }
    s.ci = interval_within(s.ci, metric_scale(key, low, high));
    free(v);
    return s;
}

struct spread cell_spread(const struct report_cell *c, const char *key)
{
    return trials_spread(c->trials, c->count, key);
}

struct report_cell *matrix_variants(const struct report_data *d,
                                    const struct report_settings *s, size_t column,
                                    size_t *count)
{
    struct report_cell *list = NULL;
    size_t n = 0, cap = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct report_trial *t = &d->trials[i];
        if (t->column != column || !trial_is_good(t, s))
            continue;
        size_t k = 0;
        while (k < n && (list[k].group != t->group || list[k].variant != t->variant))
            k++;
        if (k < n)
            continue;
        list = xgrow(list, &cap, n + 1, sizeof *list);
        list[n] = (struct report_cell){
            .column = column, .group = t->group, .variant = t->variant};
        collect(&list[n], d, s);
        if (list[n].count) /* 0: a later repeat failed */
            n++;
        else
            free(list[n].trials);
    }
    *count = n;
    return list;
}

void matrix_variants_free(struct report_cell *cells, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(cells[i].trials);
    free(cells);
}
