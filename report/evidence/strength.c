/* report/evidence/strength.c - see strength.h. */
#include "report/evidence/strength.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>

static void count_states(const struct report *r, struct evidence *e)
{
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        e->pruned += t->state == TRIAL_pruned;
        e->spared += t->state == TRIAL_spared;
        e->open +=
            trial_is_open(t) && t->state != TRIAL_pruned && t->state != TRIAL_spared;
        e->failed += trial_is_failed(t);
        e->complete += t->state == TRIAL_complete;
    }
}

static void count_seeds(const struct report *r, struct evidence *e)
{
    e->seeds_fewest = SIZE_MAX;
    for (size_t i = 0; i < r->matrix.columns * r->matrix.groups; i++) {
        size_t n = r->matrix.cells[i].count;
        if (n == 0)
            continue;
        e->seeds_fewest = n < e->seeds_fewest ? n : e->seeds_fewest;
        e->seeds_most = n > e->seeds_most ? n : e->seeds_most;
    }
    if (e->seeds_most == 0)
        e->seeds_fewest = 0;
}

static void count_effort(const struct report *r, struct evidence *e)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    e->variants_fewest = SIZE_MAX;
    for (size_t g = 0; g < v->config_count; g++) {
        size_t n = v->configs[g].variants_tried;
        if (n == 0)
            continue;
        e->variants_fewest = n < e->variants_fewest ? n : e->variants_fewest;
        e->variants_most = n > e->variants_most ? n : e->variants_most;
    }
    if (e->variants_most == 0)
        e->variants_fewest = 0;
}

/* Median half-width of the 95 % intervals of differences to the best: what this design
 * can see at all. NaN: no intervals. */
static double visible_by_seeds(const struct report *r)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    double *half = xcalloc(v->pair_count + 1, sizeof *half), median;
    size_t n = 0;
    for (size_t i = 0; i < v->pair_count; i++) {
        const struct verdict_pair *p = &v->pairs[i];
        if (p->a == v->ranking[0] && isfinite(p->ci95.low) && !verdict_is_single(p))
            half[n++] = (p->ci95.high - p->ci95.low) / 2;
    }
    median = stat_median(half, n);
    free(half);
    return median;
}

static double evaluation_rows(const struct report *r)
{
    for (size_t i = 0; i < r->data.count; i++) {
        double rows = trial_split_rows(&r->data.trials[i], metric_of(r));
        if (isfinite(rows))
            return rows;
    }
    return NAN;
}

/* Difference of two unpaired shares that N rows show with 80 % power at .05. */
static double visible_by_rows(const struct report *r, double rows)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    double p = v->ranked ? v->configs[v->ranking[0]].mean : NAN;
    if (!(p > 0 && p < 1) || r->settings.rules.minimize)
        return NAN;
    return (1.959964 + 0.841621) * sqrt(2 * p * (1 - p) / rows);
}

/* The same where it is known what each row got: median over the pairs of the best. */
static double visible_by_paired_rows(const struct report *r)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    const struct chance *c = &r->matrix.chances[r->matrix.main_column];
    double *seen = xcalloc(v->ranked + 1, sizeof *seen), median;
    size_t n = 0;
    for (size_t i = 1; i < v->ranked; i++) {
        const double variance = chance_row_variance(c, &v->configs[v->ranking[0]],
                                                    &v->configs[v->ranking[i]]);
        if (variance >= 0)
            seen[n++] = (1.959964 + 0.841621) * sqrt(variance);
    }
    median = stat_median(seen, n);
    free(seen);
    return median;
}

struct evidence evidence_of(const struct report *r)
{
    struct evidence e = {.rows = evaluation_rows(r)};
    e.visible_by_rows = visible_by_paired_rows(r);
    e.rows_paired = isfinite(e.visible_by_rows);
    if (!e.rows_paired)
        e.visible_by_rows = visible_by_rows(r, e.rows);
    e.visible_by_seeds = visible_by_seeds(r);
    count_states(r, &e);
    count_seeds(r, &e);
    count_effort(r, &e);
    return e;
}

/* ---- hashes of the data ---- */

const char *trial_hash(const struct report_trial *t, const char *input)
{
    return json_get_str(json_object_get(t->environment, "sha256"), input, "");
}

size_t evidence_leaks(const struct report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        const char *train = trial_hash(t, "train_data");
        n += *train && (str_eq(train, trial_hash(t, "eval_data")) ||
                        str_eq(train, trial_hash(t, "test_data")));
    }
    return n;
}

size_t evidence_test_files(const struct report *r)
{
    const char *input = str_has_prefix(metric_of(r), "test/") ? "test_data" : "eval_data";
    json_t *seen = json_object();
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        const char *hash = trial_hash(t, input);
        if (*hash && t->column == r->matrix.main_column)
            json_object_set_new(seen, hash, json_null());
    }
    size_t n = json_object_size(seen);
    json_decref(seen);
    return n;
}

/* ---- environment blocks ---- */

void evidence_blocks(const struct report *r, size_t column, size_t *trials)
{
    for (size_t i = 0; i < r->data.machines.count; i++)
        trials[i] = 0;
    for (size_t i = 0; i < r->data.count; i++)
        if (!trial_is_open(&r->data.trials[i]) &&
            (column == SIZE_MAX || r->data.trials[i].column == column))
            trials[r->data.trials[i].machine]++;
}

size_t evidence_block_count(const struct report *r, size_t column)
{
    size_t *trials = xcalloc(r->data.machines.count + 1, sizeof *trials), n = 0;
    evidence_blocks(r, column, trials);
    for (size_t i = 0; i < r->data.machines.count; i++)
        n += trials[i] > 0;
    free(trials);
    return n;
}

size_t evidence_unrecorded(const struct report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->data.count; i++)
        n += r->data.trials[i].column == r->matrix.main_column &&
             !trial_is_open(&r->data.trials[i]) &&
             json_object_size(r->data.trials[i].environment) == 0;
    return n;
}

bool cells_share_block(const struct report_cell *a, const struct report_cell *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < b->count; k++)
            if (a->trials[i]->machine == b->trials[k]->machine)
                return true;
    return false;
}

size_t evidence_rates(const struct report *r, size_t column, size_t group)
{
    json_t *rates = json_object();
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        if (t->column != column || t->group != group || trial_is_open(t))
            continue;
        char *text = value_text(trial_value(t, "learning_rate"));
        json_object_set_new(rates, text, json_true());
        free(text);
    }
    size_t n = json_object_size(rates);
    json_decref(rates);
    return n;
}

/* ---- load ---- */

double trial_others(const struct report_trial *t, bool latency)
{
    const json_t *load = json_object_get(t->environment, "load");
    double run = json_get_num(load, "run", NAN);
    return latency ? json_get_num(load, "latency", run) : run;
}

size_t cell_busy(const struct report_cell *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++)
        n += trial_others(c->trials[i], true) >= BUSY_CORES;
    return n;
}
