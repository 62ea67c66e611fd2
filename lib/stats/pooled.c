/* lib/stats/pooled.c - see pooled.h. */
#include "lib/stats/pooled.h"
#include "lib/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The cells that say something, blocks numbered from 0. */
struct table {
    struct stat_cell *cells;
    size_t count, configs, blocks;
    size_t *in_config, *in_block; /* cells each has */
    double *inverse;              /* configs x configs, two-way only: see fit */
    double *block_row;            /* blocks x configs: inverse times incidence, mean */
    double *residual;             /* by cell */
};

static int by_block(const void *a, const void *b)
{
    const struct stat_cell *x = a, *y = b;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return (x->config > y->config) - (x->config < y->config);
}

static void count_cells(struct table *t)
{
    memset(t->in_config, 0, (t->configs + 1) * sizeof *t->in_config);
    memset(t->in_block, 0, (t->blocks + 1) * sizeof *t->in_block);
    for (size_t i = 0; i < t->count; i++) {
        t->in_config[t->cells[i].config]++;
        t->in_block[t->cells[i].block]++;
    }
}

/* Leaves out cells that are alone, until none is. */
static void drop_alone(struct table *t, bool paired)
{
    for (size_t before = t->count + 1; before != t->count;) {
        size_t n = 0;
        before = t->count;
        count_cells(t);
        for (size_t i = 0; i < t->count; i++) {
            const struct stat_cell *c = &t->cells[i];
            if (t->in_config[c->config] > 1 && (!paired || t->in_block[c->block] > 1))
                t->cells[n++] = *c;
        }
        t->count = n;
    }
    count_cells(t);
}

static void table_init(struct table *t, const struct stat_cell *cells, size_t count,
                       size_t configs, bool paired)
{
    *t = (struct table){.configs = configs, .count = count};
    t->cells = xcalloc(count + 1, sizeof *t->cells);
    if (count)
        memcpy(t->cells, cells, count * sizeof *cells);
    qsort(t->cells, count, sizeof *t->cells, by_block);
    for (size_t i = 0, last = 0; i < count; i++) {
        bool fresh = i > 0 && t->cells[i].block != last;
        last = t->cells[i].block;
        t->blocks += fresh;
        t->cells[i].block = t->blocks;
    }
    t->blocks += count > 0;
    t->in_config = xcalloc(configs + 1, sizeof *t->in_config);
    t->in_block = xcalloc(t->blocks + 1, sizeof *t->in_block);
    drop_alone(t, paired);
    t->residual = xcalloc(t->count + 1, sizeof *t->residual);
}

static void table_release(struct table *t)
{
    free(t->cells);
    free(t->in_config);
    free(t->in_block);
    free(t->inverse);
    free(t->block_row);
    free(t->residual);
}

/* ---- two-way: blocks are eliminated ---- */

/* In place, symmetric and positive definite: Gauss-Jordan needs no pivoting. */
static void invert(double *a, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        double pivot = 1 / a[k * n + k];
        a[k * n + k] = 1;
        for (size_t j = 0; j < n; j++)
            a[k * n + j] *= pivot;
        for (size_t i = 0; i < n; i++) {
            double f = a[i * n + k];
            if (i == k || f == 0)
                continue;
            a[i * n + k] = 0;
            for (size_t j = 0; j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
        }
    }
}

/* part[i]: which part of the table configuration i is linked to through shared blocks.
 * Returns how many parts have cells. */
static size_t find_parts(const struct table *t, size_t *part)
{
    size_t parts = 0;
    for (size_t i = 0; i < t->configs; i++)
        part[i] = i;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 1; i < t->count; i++) {
            size_t *a = &part[t->cells[i - 1].config], *b = &part[t->cells[i].config];
            if (t->cells[i].block != t->cells[i - 1].block || *a == *b)
                continue;
            *(*a > *b ? a : b) = *a > *b ? *b : *a;
            changed = true;
        }
    }
    for (size_t i = 0; i < t->configs; i++)
        parts += part[i] == i && t->in_config[i] > 0;
    return parts;
}

/* The normal equations of configurations, blocks eliminated: L = diag(n_i) - sum over
 * blocks of 1 1' / n_block, singular along each part's ones, which are added; no cell
 * feels that, as what it asks of the inverse is orthogonal to them. */
static size_t set_up(struct table *t)
{
    size_t k = t->configs, *part = xcalloc(k + 1, sizeof *part);
    size_t parts = find_parts(t, part);
    t->inverse = xcalloc(k * k + 1, sizeof *t->inverse);
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < k; j++)
            t->inverse[i * k + j] = part[i] == part[j] ? 1 : 0;
    for (size_t i = 0; i < k; i++)
        t->inverse[i * k + i] += (double)t->in_config[i];
    for (size_t a = 0, b; a < t->count; a = b) {
        for (b = a; b < t->count && t->cells[b].block == t->cells[a].block; b++)
            ;
        for (size_t i = a; i < b; i++)
            for (size_t j = a; j < b; j++)
                t->inverse[t->cells[i].config * k + t->cells[j].config] -=
                    1 / (double)(b - a);
    }
    invert(t->inverse, k);
    free(part);
    return parts;
}

/* Residuals, and rows of the inverse averaged over each block's configurations. */
static void fit(struct table *t)
{
    size_t k = t->configs;
    double *block_mean = xcalloc(t->blocks + 1, sizeof *block_mean);
    double *right = xcalloc(2 * k + 1, sizeof *right), *effect = right + k;
    t->block_row = xcalloc(t->blocks * k + 1, sizeof *t->block_row);
    for (size_t i = 0; i < t->count; i++) {
        const struct stat_cell *c = &t->cells[i];
        double share = 1 / (double)t->in_block[c->block];
        block_mean[c->block] += share * c->x;
        for (size_t j = 0; j < k; j++)
            t->block_row[c->block * k + j] += share * t->inverse[c->config * k + j];
    }
    for (size_t i = 0; i < t->count; i++)
        right[t->cells[i].config] += t->cells[i].x - block_mean[t->cells[i].block];
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < k; j++)
            effect[i] += t->inverse[i * k + j] * right[j];
    for (size_t i = 0; i < t->count; i++)
        t->residual[i] =
            t->cells[i].x - block_mean[t->cells[i].block] - effect[t->cells[i].config];
    double *block_effect = memset(block_mean, 0, (t->blocks + 1) * sizeof *block_mean);
    for (size_t i = 0; i < t->count; i++)
        block_effect[t->cells[i].block] +=
            effect[t->cells[i].config] / (double)t->in_block[t->cells[i].block];
    for (size_t i = 0; i < t->count; i++)
        t->residual[i] += block_effect[t->cells[i].block];
    free(block_mean);
    free(right);
}

/* M of two cells: 1 where they are one, less 1 / n_block where they share it, less w' G w
 * with w = (the cell's configuration) - (mean of its block's). */
static double projection(const struct table *t, const double *block_product, size_t a,
                         size_t b)
{
    const struct stat_cell *x = &t->cells[a], *y = &t->cells[b];
    size_t k = t->configs;
    double m = (a == b) - (x->block == y->block ? 1 / (double)t->in_block[x->block] : 0);
    return m - t->inverse[x->config * k + y->config] +
           t->block_row[x->block * k + y->config] +
           t->block_row[y->block * k + x->config] -
           block_product[x->block * t->blocks + y->block];
}

/* block_product[a, b]: the inverse averaged over the configurations of both blocks. */
static double *block_products(const struct table *t)
{
    double *out = xcalloc(t->blocks * t->blocks + 1, sizeof *out);
    for (size_t a = 0; a < t->blocks; a++)
        for (size_t i = 0; i < t->count; i++)
            out[a * t->blocks + t->cells[i].block] +=
                t->block_row[a * t->configs + t->cells[i].config] /
                (double)t->in_block[t->cells[i].block];
    return out;
}

/* What the equations need of M by configuration i: A_ii, the sum of A_ik over the others,
 * trace(M_ii). */
struct share {
    double ss, within, across, trace;
};

static void sum_squares_of_projection(const struct table *t, struct share *shares)
{
    double *products = block_products(t);
    for (size_t a = 0; a < t->count; a++)
        for (size_t b = 0; b < t->count; b++) {
            double m = projection(t, products, a, b);
            size_t i = t->cells[a].config;
            *(t->cells[b].config == i ? &shares[i].within : &shares[i].across) += m * m;
            shares[i].trace += a == b ? m : 0;
        }
    free(products);
}

/* ---- both ---- */

static void subtract_means(struct table *t)
{
    double *mean = xcalloc(t->configs + 1, sizeof *mean);
    for (size_t i = 0; i < t->count; i++)
        mean[t->cells[i].config] +=
            t->cells[i].x / (double)t->in_config[t->cells[i].config];
    for (size_t i = 0; i < t->count; i++)
        t->residual[i] = t->cells[i].x - mean[t->cells[i].config];
    free(mean);
}

/* The two equations of pooled.h: ss = within own + across rest, and the same of all
 * others. */
static void solve_own(struct stat_pooled *p, size_t i, const struct share *s,
                      double total, double all)
{
    double others = all - s->within - 2 * s->across;
    double det = s->within * others - s->across * s->across;
    p->own[i] = p->own_df[i] = NAN;
    if (!(det > 1e-9 * s->within * all))
        return;
    p->own[i] = (others * s->ss - s->across * (total - s->ss)) / det;
    p->own_df[i] = s->trace * s->trace / s->within;
}

void stat_pooled_init(struct stat_pooled *p, const struct stat_cell *cells, size_t count,
                      size_t configs, bool paired)
{
    struct table t;
    table_init(&t, cells, count, configs, paired);
    *p = (struct stat_pooled){.variance = NAN, .configs = configs};
    p->own = xcalloc(configs + 1, sizeof *p->own);
    p->own_df = xcalloc(configs + 1, sizeof *p->own_df);
    p->used = xcalloc(configs + 1, sizeof *p->used);
    struct share *shares = xcalloc(configs + 1, sizeof *shares);
    double total = 0, df = (double)t.count;
    for (size_t i = 0; i < configs; i++)
        df -= t.in_config[i] > 0;
    if (paired && t.count) {
        double blocks = 0;
        for (size_t b = 0; b < t.blocks; b++)
            blocks += t.in_block[b] > 0;
        df -= blocks - (double)set_up(&t);
        fit(&t);
        sum_squares_of_projection(&t, shares);
    } else {
        subtract_means(&t);
        for (size_t i = 0; i < configs; i++)
            shares[i].within = shares[i].trace =
                t.in_config[i] ? (double)t.in_config[i] - 1 : 0;
    }
    for (size_t i = 0; i < t.count; i++) {
        shares[t.cells[i].config].ss += t.residual[i] * t.residual[i];
        total += t.residual[i] * t.residual[i];
    }
    p->df = df > 0.5 ? df : 0;
    p->variance = p->df > 0 ? total / p->df : NAN;
    for (size_t i = 0; i < configs; i++) {
        solve_own(p, i, &shares[i], total, df);
        p->used[i] = p->own[i] > p->variance ? p->own[i] : p->variance;
    }
    free(shares);
    table_release(&t);
}

void stat_pooled_release(struct stat_pooled *p)
{
    free(p->own);
    free(p->own_df);
    free(p->used);
}
