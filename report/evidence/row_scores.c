/* report/evidence/row_scores.c - see row_scores.h. F1 = 2 TP / (2 TP + FP + FN) = hit /
 * seen: a row with label y and prediction p adds 2 to hit[y] where they are equal, and 1
 * to seen[y] and seen[p]. */
#include "report/evidence/row_scores.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef bool score_fn(const struct row_results *r, double *out);

/* ---- sums over sums: score = sum of part / sum of whole ---- */

/* out holds each row's part; `whole` NULL: 1 each. */
static bool share_of(const struct row_results *r, const double *whole, double *out)
{
    double part = 0, all = 0;
    for (size_t i = 0; i < r->count; i++) {
        part += out[i];
        all += whole ? whole[i] : 1;
    }
    const double score = part / all, mean = all / (double)r->count;
    for (size_t i = 0; i < r->count && whole; i++)
        out[i] = score + (out[i] - score * whole[i]) / mean;
    return all > 0;
}

static bool bits_equal(const struct row_results *r, size_t row)
{
    const size_t n = row_column_bytes(r->kind, r->width, COLUMN_said);
    const char *said = r->columns[COLUMN_said], *truth = r->columns[COLUMN_truth];
    return !memcmp(said + row * n, truth + row * n, n);
}

static bool accuracy(const struct row_results *r, double *out)
{
    const uint16_t *said = r->columns[COLUMN_predicted],
                   *label = r->columns[COLUMN_label];
    if (r->kind != ROW_class && r->kind != ROW_set)
        return false;
    for (size_t i = 0; i < r->count; i++)
        out[i] = r->kind == ROW_set ? bits_equal(r, i) : said[i] == label[i];
    return share_of(r, NULL, out);
}

static bool mean_loss(const struct row_results *r, double *out)
{
    const float *loss = r->columns[COLUMN_loss];
    for (size_t i = 0; i < r->count; i++)
        out[i] = (double)loss[i];
    return share_of(r, NULL, out);
}

static bool mse(const struct row_results *r, double *out)
{
    return r->kind == ROW_numbers && mean_loss(r, out);
}

/* Those of generated answers; rows that nobody asked weigh nothing. */
static bool of_answers(const struct row_results *r, enum row_column column, double *out)
{
    const float *value = r->columns[column];
    double *asked = xcalloc(r->count + 1, sizeof *asked);
    for (size_t i = 0; value && i < r->count; i++) {
        asked[i] = value[i] >= 0;
        out[i] = asked[i] > 0 ? (double)value[i] : 0;
    }
    const bool known = value && share_of(r, asked, out);
    free(asked);
    return known;
}

static bool exact_match(const struct row_results *r, double *out)
{
    return of_answers(r, COLUMN_exact, out);
}

static bool rouge_l(const struct row_results *r, double *out)
{
    return of_answers(r, COLUMN_rouge_l, out);
}

/* ---- tokens ---- */

static bool of_tokens(const struct row_results *r, bool right, double *out)
{
    const uint32_t *tokens = r->columns[COLUMN_tokens], *hits = r->columns[COLUMN_right];
    const float *loss = r->columns[COLUMN_loss];
    double *whole = xcalloc(r->count + 1, sizeof *whole);
    for (size_t i = 0; tokens && i < r->count; i++) {
        whole[i] = tokens[i];
        out[i] = right ? hits[i] : (double)loss[i];
    }
    const bool known = tokens && share_of(r, whole, out);
    free(whole);
    return known;
}

static bool accuracy_of_any(const struct row_results *r, double *out)
{
    return r->columns[COLUMN_tokens] ? of_tokens(r, true, out) : accuracy(r, out);
}

static bool loss_of_any(const struct row_results *r, double *out)
{
    return r->columns[COLUMN_tokens] ? of_tokens(r, false, out) : mean_loss(r, out);
}

/* e^loss: each row's influence is the loss's times the score. */
static bool perplexity(const struct row_results *r, double *out)
{
    double loss = 0;
    if (!of_tokens(r, false, out))
        return false;
    for (size_t i = 0; i < r->count; i++)
        loss += out[i] / (double)r->count;
    for (size_t i = 0; i < r->count; i++)
        out[i] = exp(loss) * (1 + out[i] - loss);
    return true;
}

/* ---- F1 ---- */

/* Calls see(ctx, class, is_hit) for each of what a row adds to `seen`; a hit is both. */
struct f1 {
    double *hit, *seen; /* by class */
    size_t classes;
    bool pooled; /* micro: all are one class */
};

static void f1_add(const struct f1 *f, size_t class, double hit, double seen)
{
    const size_t c = f->pooled ? 0 : class;
    f->hit[c] += hit;
    f->seen[c] += seen;
}

/* d score / d weight of a row that adds so much to a class; `share`: of the class in the
 * score. */
static double f1_slope(const struct f1 *f, size_t class, double hit, double seen)
{
    const size_t c = f->pooled ? 0 : class;
    return f->seen[c] > 0 ? (hit - f->hit[c] / f->seen[c] * seen) / f->seen[c] : 0;
}

/* What a row adds, class by class, handed to f1_add, or summed up by f1_slope. */
static double f1_row(const struct row_results *r, const struct f1 *f, size_t i, bool add)
{
    double slope = 0;
    if (r->kind == ROW_class) {
        const size_t p = ((uint16_t *)r->columns[COLUMN_predicted])[i],
                     y = ((uint16_t *)r->columns[COLUMN_label])[i];
        const double hit = p == y ? 2 : 0;
        if (add) {
            f1_add(f, y, hit, 1);
            f1_add(f, p, 0, 1);
        }
        return f1_slope(f, y, hit, 1) + f1_slope(f, p, 0, 1);
    }
    const size_t bytes = row_column_bytes(r->kind, r->width, COLUMN_said);
    const unsigned char *said = (unsigned char *)r->columns[COLUMN_said] + i * bytes,
                        *truth = (unsigned char *)r->columns[COLUMN_truth] + i * bytes;
    for (size_t c = 0; c < r->width; c++) {
        const int p = said[c / 8] >> c % 8 & 1, y = truth[c / 8] >> c % 8 & 1;
        if (add)
            f1_add(f, c, 2 * (p & y), p + y);
        slope += f1_slope(f, c, 2 * (p & y), p + y);
    }
    return slope;
}

static bool f1_scores(const struct row_results *r, bool pooled, double *out)
{
    if (r->kind != ROW_set && (r->kind != ROW_class || pooled))
        return false;
    struct f1 f = {.hit = xcalloc(2 * (size_t)r->width + 2, sizeof *f.hit),
                   .classes = pooled ? 1 : r->width,
                   .pooled = pooled};
    double sum = 0;
    size_t n = 0;
    f.seen = f.hit + r->width + 1;
    for (size_t i = 0; i < r->count; i++)
        f1_row(r, &f, i, true);
    for (size_t c = 0; c < f.classes; c++) {
        sum += f.seen[c] > 0 ? f.hit[c] / f.seen[c] : 0;
        /* Of classes those that occur count, of labels all. */
        n += f.seen[c] > 0 || r->kind == ROW_set;
    }
    for (size_t i = 0; i < r->count && n; i++)
        out[i] = (sum + (double)r->count * f1_row(r, &f, i, false)) / (double)n;
    free(f.hit);
    return n > 0;
}

static bool macro_f1(const struct row_results *r, double *out)
{
    return f1_scores(r, false, out);
}

static bool micro_f1(const struct row_results *r, double *out)
{
    return f1_scores(r, true, out);
}

/* ---- correlation ---- */

struct moments {
    double x, y, xx, yy, xy;
};

static struct moments moments_of(const float *x, const float *y, size_t n, size_t step)
{
    struct moments m = {0};
    for (size_t i = 0; i < n; i++) {
        m.x += (double)x[i * step] / (double)n;
        m.y += (double)y[i * step] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        const double a = (double)x[i * step] - m.x, b = (double)y[i * step] - m.y;
        m.xx += a * a / (double)n;
        m.yy += b * b / (double)n;
        m.xy += a * b / (double)n;
    }
    return m;
}

/* Mean over the outputs of r + u v - r (u^2 + v^2) / 2 with standardised u, v. */
static bool pearson(const struct row_results *r, double *out)
{
    const float *x = r->columns[COLUMN_outputs], *y = r->columns[COLUMN_targets];
    if (r->kind != ROW_numbers || !r->width)
        return false;
    memset(out, 0, r->count * sizeof *out);
    for (size_t c = 0; c < r->width; c++) {
        const struct moments m = moments_of(x + c, y + c, r->count, r->width);
        const double sx = sqrt(m.xx), sy = sqrt(m.yy), rho = m.xy / (sx * sy);
        if (!(m.xx > 0 && m.yy > 0))
            return false;
        for (size_t i = 0; i < r->count; i++) {
            const double u = ((double)x[i * r->width + c] - m.x) / sx,
                         v = ((double)y[i * r->width + c] - m.y) / sy;
            out[i] += (rho + u * v - rho * (u * u + v * v) / 2) / (double)r->width;
        }
    }
    return true;
}

bool row_scores(const struct row_results *rows, const char *metric, double *out)
{
    static const struct {
        const char *name;
        score_fn *of;
    } scores[] = {{"accuracy", accuracy_of_any},
                  {"macro_f1", macro_f1},
                  {"micro_f1", micro_f1},
                  {"loss", loss_of_any},
                  {"mse", mse},
                  {"perplexity", perplexity},
                  {"pearson", pearson},
                  {"exact_match", exact_match},
                  {"rouge_l", rouge_l}};
    for (size_t i = 0; i < ARRAY_LEN(scores) && rows->count; i++)
        if (str_eq(scores[i].name, metric))
            return scores[i].of(rows, out);
    return false;
}
