/* report/evidence/verdict.c - see verdict.h. Scores are turned so that higher is
 * better. */
#include "report/evidence/verdict.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double turned(const struct verdict_rules *r, double x)
{
    return r->minimize ? -x : x;
}

static bool row_is_good(const struct verdict_row *row, const struct verdict_rules *r)
{
    return row->complete && isfinite(row->score) &&
           !(turned(r, row->score) <= turned(r, r->collapse));
}

/* ---- variants of one configuration ---- */

struct variant {
    size_t id, rows, good;
    double order, select_sum, score_sum;
    size_t selects;
    double select, score; /* means in the goal's direction */
};

/* In the order of `order`, then of appearance. Returns how many. */
static size_t collect_variants(const struct verdict_row *rows, size_t count,
                               size_t config, const struct verdict_rules *r,
                               struct variant **out)
{
    struct variant *list = NULL;
    size_t n = 0, cap = 0;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].config != config)
            continue;
        size_t k = 0;
        while (k < n && list[k].id != rows[i].variant)
            k++;
        if (k == n) {
            list = xgrow(list, &cap, n + 1, sizeof *list);
            for (k = n++; k > 0 && list[k - 1].order > rows[i].order; k--)
                list[k] = list[k - 1];
            list[k] = (struct variant){.id = rows[i].variant, .order = rows[i].order};
        }
        list[k].rows++;
        if (!row_is_good(&rows[i], r))
            continue;
        list[k].good++;
        list[k].score_sum += turned(r, rows[i].score);
        if (isfinite(rows[i].select)) {
            list[k].select_sum += turned(r, rows[i].select);
            list[k].selects++;
        }
    }
    for (size_t k = 0; k < n; k++) {
        struct variant *v = &list[k];
        v->select = v->selects ? v->select_sum / (double)v->selects : -INFINITY;
        v->score = v->good ? v->score_sum / (double)v->good : NAN;
    }
    *out = list;
    return n;
}

/* Best by select among those with good trials; NULL: none. */
static const struct variant *choose(const struct variant *list, size_t n)
{
    const struct variant *best = NULL;
    for (size_t k = 0; k < n; k++)
        if (list[k].good && (!best || list[k].select > best->select))
            best = &list[k];
    return best;
}

static void add_good(struct verdict_config *c, const struct verdict_row *row)
{
    size_t at = c->n_ok++;
    c->items = at == 0 && row->items >= 1 ? (size_t)row->items : 0;
    for (; at > 0 && c->seeds[at - 1] > row->seed; at--) {
        c->seeds[at] = c->seeds[at - 1];
        c->scores[at] = c->scores[at - 1];
        c->blocks[at] = c->blocks[at - 1];
    }
    c->seeds[at] = row->seed;
    c->scores[at] = row->score;
    c->blocks[at] = row->block;
}

static void fill_config(struct verdict_config *c, size_t config,
                        const struct verdict_row *rows, size_t count,
                        const struct verdict_rules *r)
{
    struct variant *list;
    c->index = config;
    c->variants_tried = collect_variants(rows, count, config, r, &list);
    c->known = c->variants_tried > 0;
    const struct variant *best = choose(list, c->variants_tried);
    c->variant = best ? best->id : c->known ? list[0].id : 0;
    c->seeds = xcalloc(count + 1, sizeof *c->seeds);
    c->scores = xcalloc(count + 1, sizeof *c->scores);
    c->blocks = xcalloc(count + 1, sizeof *c->blocks);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].config != config || (best && rows[i].variant != best->id))
            continue;
        c->n++;
        if (row_is_good(&rows[i], r))
            add_good(c, &rows[i]);
    }
    c->n_failed = c->n - c->n_ok;
    c->failure = stat_wilson(c->n_failed, c->n, 1 - VERDICT_ALPHA);
    c->mean = c->n_ok ? stat_mean(c->scores, c->n_ok) : NAN;
    c->sd = stat_sd(c->scores, c->n_ok);
    c->ci = stat_t_interval(c->scores, c->n_ok, 1 - VERDICT_ALPHA);
    if (c->n_ok >= 2 && c->sd == 0)
        c->ci = (struct stat_interval){c->mean, c->mean};
    if (c->items)
        c->ci = stat_wilson(verdict_hits(c), c->items, 1 - VERDICT_ALPHA);
    free(list);
}

/* ---- equal effort ---- */

static int by_select(const void *x, const void *y)
{
    const struct variant *a = x, *b = y;
    if (a->select != b->select)
        return a->select > b->select ? -1 : 1;
    return (a->score < b->score) - (a->score > b->score);
}

/* Mean score over all subsets of k variants, each at its best by select: the i-th best
 * stands for C(m - 1 - i, k - 1) of the C(m, k) subsets. */
static double expected_score(const struct verdict_row *rows, size_t count, size_t config,
                             size_t k, const struct verdict_rules *r)
{
    struct variant *list;
    size_t all = collect_variants(rows, count, config, r, &list), m = 0;
    for (size_t i = 0; i < all; i++)
        if (list[i].good)
            list[m++] = list[i];
    qsort(list, m, sizeof *list, by_select);
    if (k > m)
        k = m;
    double mean = 0, share_left = 1;
    for (size_t i = 0; i < m && share_left > 0; i++) {
        /* P(the best of the subset is i | none before it is in) */
        double hit = m - i <= k ? 1 : (double)k / (double)(m - i);
        mean += share_left * hit * list[i].score;
        share_left *= 1 - hit;
    }
    free(list);
    return mean;
}

static void check_effort(struct verdict_pair *p, const struct verdict *v,
                         const struct verdict_row *rows, size_t count)
{
    size_t ka = v->configs[p->a].variants_tried, kb = v->configs[p->b].variants_tried;
    size_t few = ka < kb ? ka : kb, many = ka < kb ? kb : ka;
    if (p->word != VERDICT_BETTER || many < 2 * few)
        return;
    p->equal_effort_diff = expected_score(rows, count, p->a, few, &v->rules) -
                           expected_score(rows, count, p->b, few, &v->rules);
    if (p->equal_effort_diff < v->rules.delta)
        p->word = VERDICT_UNDECIDED;
}

/* ---- the table ---- */

/* Least squares of score = configuration + environment by turns (Gauss-Seidel from
 * environments of 0, which one that shares no configuration keeps). */
static void find_levels(struct verdict *v)
{
    enum { TURNS = 200 };
    size_t blocks = 1;
    for (size_t i = 0; i < v->config_count; i++) {
        struct verdict_config *c = &v->configs[i];
        c->level = c->mean;
        for (size_t k = 0; k < c->n_ok; k++)
            blocks = c->blocks[k] >= blocks ? c->blocks[k] + 1 : blocks;
    }
    double *effect = xcalloc(2 * blocks + 1, sizeof *effect), *sum = effect + blocks;
    size_t *n = xcalloc(blocks + 1, sizeof *n);
    for (int turn = 0; blocks > 1 && turn < TURNS; turn++) {
        memset(sum, 0, blocks * sizeof *sum);
        memset(n, 0, blocks * sizeof *n);
        for (size_t i = 0; i < v->config_count; i++) {
            struct verdict_config *c = &v->configs[i];
            double level = 0;
            for (size_t k = 0; k < c->n_ok; k++)
                level += (c->scores[k] - effect[c->blocks[k]]) / (double)c->n_ok;
            c->level = c->n_ok ? level : NAN;
            for (size_t k = 0; k < c->n_ok; k++) {
                sum[c->blocks[k]] += c->scores[k] - level;
                n[c->blocks[k]]++;
            }
        }
        for (size_t b = 0; b < blocks; b++)
            effect[b] = n[b] ? sum[b] / (double)n[b] : 0;
    }
    free(effect);
    free(n);
}

static void rank_configs(struct verdict *v)
{
    v->ranking = xcalloc(v->config_count + 1, sizeof *v->ranking);
    for (size_t i = 0; i < v->config_count; i++) {
        if (!v->configs[i].n_ok)
            continue;
        double level = turned(&v->rules, v->configs[i].level);
        size_t k = v->ranked++;
        for (; k > 0 && turned(&v->rules, v->configs[v->ranking[k - 1]].level) < level;
             k--)
            v->ranking[k] = v->ranking[k - 1];
        v->ranking[k] = i;
    }
    v->rank_of = xcalloc(v->config_count + 1, sizeof *v->rank_of);
    for (size_t i = 0; i < v->config_count; i++)
        v->rank_of[i] = v->ranked;
    for (size_t k = 0; k < v->ranked; k++)
        v->rank_of[v->ranking[k]] = k;
}

static void compare_pairs(struct verdict *v, const struct verdict_row *rows, size_t count)
{
    size_t n = v->ranked, k = 0;
    v->compared = n > VERDICT_ALL_PAIRS ? VERDICT_BEST_PAIRS : n;
    v->family = n * (n - (n > 0)) / 2;
    v->pairs = xcalloc(v->compared * n + 1, sizeof *v->pairs);
    for (size_t i = 0; i < v->compared; i++)
        for (size_t j = i + 1; j < n; j++, k++) {
            size_t a = v->ranking[i], b = v->ranking[j];
            v->pairs[k] = verdict_test_pair(&v->configs[a], &v->configs[b], &v->rules);
            v->item_level |= i == 0 && verdict_is_single(&v->pairs[k]);
        }
    v->pair_count = k;
    verdict_adjust(v);
    for (size_t i = 0; i < k; i++) {
        struct verdict_pair *pair = &v->pairs[i];
        if (pair->p_adjusted < VERDICT_ALPHA && pair->diff >= v->rules.delta)
            pair->word = VERDICT_BETTER;
        else if (pair->p_tost < VERDICT_ALPHA)
            pair->word = VERDICT_EQUIVALENT;
        check_effort(pair, v, rows, count);
    }
}

static void find_tied(struct verdict *v)
{
    v->tied = xcalloc(v->config_count + 1, sizeof *v->tied);
    if (v->ranked)
        v->tied[v->tied_count++] = v->ranking[0];
    for (size_t i = 0; i < v->pair_count; i++)
        if (v->pairs[i].a == v->ranking[0] && v->pairs[i].word != VERDICT_BETTER)
            v->tied[v->tied_count++] = v->pairs[i].b;
}

/* The last row of each (config, variant, seed), in the order of rows. */
static size_t without_repeats(const struct verdict_row *rows, size_t count,
                              struct verdict_row *out)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < n &&
               (out[k].config != rows[i].config || out[k].variant != rows[i].variant ||
                out[k].seed != rows[i].seed))
            k++;
        out[k] = rows[i];
        n += k == n;
    }
    return n;
}

struct verdict *verdict_new(const struct verdict_row *rows, size_t count,
                            size_t config_count, const struct verdict_rules *rules)
{
    struct verdict *v = xcalloc(1, sizeof *v);
    struct verdict_row *kept = xcalloc(count + 1, sizeof *kept);
    size_t n = without_repeats(rows, count, kept);
    v->rules = *rules;
    v->config_count = config_count;
    v->configs = xcalloc(config_count + 1, sizeof *v->configs);
    for (size_t i = 0; i < config_count; i++)
        fill_config(&v->configs[i], i, kept, n, rules);
    verdict_fill_spreads(v->configs, config_count);
    find_levels(v);
    rank_configs(v);
    compare_pairs(v, kept, n);
    find_tied(v);
    verdict_fill_regrets(v);
    free(kept);
    return v;
}

void verdict_free(struct verdict *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->config_count; i++) {
        free(v->configs[i].seeds);
        free(v->configs[i].scores);
        free(v->configs[i].blocks);
    }
    free(v->configs);
    free(v->pairs);
    free(v->ranking);
    free(v->rank_of);
    free(v->tied);
    free(v->regrets);
    free(v);
}

/* Pairs stand in the order of ranks: those of rank i begin after the i ranks before it,
 * which have n - 1, n - 2, ... pairs. */
const struct verdict_pair *verdict_find(const struct verdict *v, size_t one, size_t other)
{
    size_t i = v->rank_of[one], j = v->rank_of[other], n = v->ranked;
    if (i > j) {
        size_t swap = i;
        i = j;
        j = swap;
    }
    if (i == j || j >= n || i >= v->compared)
        return NULL;
    return &v->pairs[i * (n - 1) - i * (i - 1) / 2 + (j - i - 1)];
}
