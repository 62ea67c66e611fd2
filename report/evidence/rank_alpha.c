/* report/evidence/rank_alpha.c - see rank_alpha.h. */
#include "report/evidence/rank_alpha.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "report/page/words.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double number(const struct report_trial *t, const char *key)
{
    const json_t *v = trial_value(t, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static bool has_grid(const struct report *r, const struct report_trial *t, size_t group)
{
    return t->group == group && t->column == r->matrix.main_column && !trial_is_open(t) &&
           isfinite(number(t, "rank")) && isfinite(number(t, "alpha"));
}

static size_t find_target(struct grid *g, const struct report_trial *t)
{
    const json_t *v = trial_value(t, "target_modules");
    char *text = v ? value_text(v) : xstrdup("default targets");
    size_t i = 0;
    while (i < g->target_count && !str_eq(g->targets[i], text))
        i++;
    if (i == g->target_count) {
        g->targets = xrealloc(g->targets, (i + 1) * sizeof *g->targets);
        g->targets[g->target_count++] = text;
    } else {
        free(text);
    }
    return i;
}

static void insert(double **list, size_t *count, double v)
{
    size_t at = 0;
    while (at < *count && (*list)[at] < v)
        at++;
    if (at < *count && (*list)[at] == v)
        return;
    *list = xrealloc(*list, (*count + 1) * sizeof **list);
    memmove(*list + at + 1, *list + at, (*count - at) * sizeof **list);
    (*list)[at] = v;
    ++*count;
}

static struct grid_cell *find_cell(struct grid *g, const struct report_trial *t,
                                   size_t target)
{
    double rank = number(t, "rank"), alpha = number(t, "alpha");
    for (size_t i = 0; i < g->count; i++)
        if (g->cells[i].rank == rank && g->cells[i].alpha == alpha &&
            g->cells[i].target == target)
            return &g->cells[i];
    bool rs = json_is_true(trial_value(t, "use_rslora"));
    g->cells = xgrow(g->cells, &g->cap, g->count + 1, sizeof *g->cells);
    g->cells[g->count] = (struct grid_cell){.rank = rank,
                                            .alpha = alpha,
                                            .scale = alpha / (rs ? sqrt(rank) : rank),
                                            .target = target};
    insert(&g->ranks, &g->rank_count, rank);
    insert(&g->alphas, &g->alpha_count, alpha);
    return &g->cells[g->count++];
}

/* Takes the variant's trials where it is better by select than what is there. */
static void offer(const struct report *r, struct grid_cell *c, struct report_cell *with)
{
    if (c->cell.count &&
        !(cell_select(with, &r->settings) > cell_select(&c->cell, &r->settings)))
        return;
    struct report_cell old = c->cell;
    c->cell = *with;
    *with = old;
}

static void fill(const struct report *r, struct grid *g)
{
    size_t n;
    struct report_cell *all =
        matrix_variants(&r->data, &r->settings, r->matrix.main_column, &n);
    for (size_t i = 0; i < r->data.count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        if (has_grid(r, t, g->group) && !trial_is_good(t, &r->settings))
            find_cell(g, t, find_target(g, t))->failed++;
    }
    for (size_t i = 0; i < n; i++) {
        const struct report_trial *t = all[i].trials[0];
        if (has_grid(r, t, g->group))
            offer(r, find_cell(g, t, find_target(g, t)), &all[i]);
    }
    matrix_variants_free(all, n);
}

/* Targets by trainable parameters, so that the ladder climbs. */
static void sort_targets(struct grid *g)
{
    double *size = xcalloc(g->target_count + 1, sizeof *size);
    size_t *rank = xcalloc(g->target_count + 1, sizeof *rank);
    char **sorted = xcalloc(g->target_count + 1, sizeof *sorted);
    for (size_t t = 0; t < g->target_count; t++)
        size[t] = INFINITY;
    for (size_t i = 0; i < g->count; i++) {
        double v = cell_spread(&g->cells[i].cell, "params/trainable").mean;
        if (v < size[g->cells[i].target])
            size[g->cells[i].target] = v;
    }
    for (size_t t = 0; t < g->target_count; t++) {
        for (size_t u = 0; u < g->target_count; u++)
            rank[t] += size[u] < size[t] || (size[u] == size[t] && u < t);
        sorted[rank[t]] = g->targets[t];
    }
    for (size_t i = 0; i < g->count; i++)
        g->cells[i].target = rank[g->cells[i].target];
    free(g->targets);
    g->targets = sorted;
    free(size);
    free(rank);
}

static void judge(const struct report *r, struct grid *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->count; i++)
        n += g->cells[i].cell.count;
    struct verdict_row *rows = xcalloc(n + 1, sizeof *rows);
    n = 0;
    for (size_t i = 0; i < g->count; i++)
        for (size_t k = 0; k < g->cells[i].cell.count; k++) {
            const struct report_trial *t = g->cells[i].cell.trials[k];
            rows[n++] = (struct verdict_row){.config = i,
                                             .seed = t->seed,
                                             .complete = true,
                                             .select = trial_select(t, &r->settings),
                                             .score = trial_metric(t, r->settings.metric),
                                             .items = trial_items(t, r->settings.metric),
                                             .block = t->machine};
        }
    g->verdict = verdict_new(rows, n, g->count, &r->settings.rules);
    free(rows);
}

static size_t count_cells(const struct report *r, size_t group)
{
    struct grid g = {.group = group};
    for (size_t i = 0; i < r->data.count; i++)
        if (has_grid(r, &r->data.trials[i], group))
            find_cell(&g, &r->data.trials[i], find_target(&g, &r->data.trials[i]));
    size_t n = g.count;
    for (size_t i = 0; i < g.target_count; i++)
        free(g.targets[i]);
    free(g.targets);
    free(g.cells);
    free(g.ranks);
    free(g.alphas);
    return n;
}

struct grid *grid_new(const struct report *r)
{
    size_t best = 0, most = 0;
    for (size_t i = 0; i < r->matrix.groups; i++) {
        size_t n = count_cells(r, i);
        if (n > most) {
            most = n;
            best = i;
        }
    }
    if (most < 2)
        return NULL;
    struct grid *g = xcalloc(1, sizeof *g);
    g->group = best;
    fill(r, g);
    sort_targets(g);
    judge(r, g);
    return g;
}

void grid_free(struct grid *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->count; i++)
        free(g->cells[i].cell.trials);
    for (size_t i = 0; i < g->target_count; i++)
        free(g->targets[i]);
    free(g->targets);
    free(g->cells);
    free(g->ranks);
    free(g->alphas);
    verdict_free(g->verdict);
    free(g);
}

size_t grid_best(const struct report *r, const struct grid *g, double rank, size_t target)
{
    double best = -INFINITY;
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < g->count; i++) {
        const struct grid_cell *c = &g->cells[i];
        if ((isfinite(rank) && c->rank != rank) ||
            (target != SIZE_MAX && c->target != target) || !c->cell.count)
            continue;
        double v = cell_select(&c->cell, &r->settings);
        if (at == SIZE_MAX || v > best) {
            best = v;
            at = i;
        }
    }
    return at;
}

const char *grid_cell_name(const struct grid *g, size_t cell)
{
    const struct grid_cell *c = &g->cells[cell];
    return word_f("rank %g, alpha %g%s%s", c->rank, c->alpha,
                  g->target_count > 1 ? ", " : "",
                  g->target_count > 1 ? g->targets[c->target] : "");
}
