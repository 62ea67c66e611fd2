/* Distributions, intervals, tests and analysis of variance against the reference numbers
 * of tests/golden/stats (its README says how they were computed). */
#include "tests/unit/support/golden_rows.h"

#include "lib/stats/anova.h"
#include "lib/stats/crossed.h"
#include "lib/stats/pooled.h"
#include "lib/stats/range.h"
#include "lib/stats/regret.h"

/* ---- distributions ---- */

static double normal_sf(double x)
{
    return stat_normal_cdf(-x);
}

static double t_sf(double x, double df)
{
    return stat_t_cdf(-x, df);
}

/* By the number of arguments, which `keys` names in order. */
static const struct {
    const char *fn, *keys[3];
    double (*one)(double);
    double (*two)(double, double);
    double (*three)(double, double, double);
} continuous_fns[] = {
    {"norm_cdf", {"x"}, .one = stat_normal_cdf},
    {"norm_sf", {"x"}, .one = normal_sf},
    {"norm_ppf", {"p"}, .one = stat_normal_quantile},
    {"t_cdf", {"x", "df"}, .two = stat_t_cdf},
    {"t_sf", {"x", "df"}, .two = t_sf},
    {"t_ppf", {"p", "df"}, .two = stat_t_quantile},
    {"chi2_sf", {"x", "df"}, .two = stat_chi2_sf},
    {"f_sf", {"x", "df1", "df2"}, .three = stat_f_sf},
    {"beta_cdf", {"a", "b", "x"}, .three = stat_betainc},
};

static double continuous(const json_t *in, const char *fn)
{
    size_t i = 0;
    while (!str_eq(continuous_fns[i].fn, fn))
        i++;
    double v[3] = {0};
    for (size_t k = 0; k < 3 && continuous_fns[i].keys[k]; k++)
        v[k] = num(in, continuous_fns[i].keys[k]);
    return continuous_fns[i].one   ? continuous_fns[i].one(v[0])
           : continuous_fns[i].two ? continuous_fns[i].two(v[0], v[1])
                                   : continuous_fns[i].three(v[0], v[1], v[2]);
}

static void try_continuous(const json_t *in, json_t *out)
{
    put(out, "value", continuous(in, json_get_str(in, "fn", "")));
}

static void try_binomial(const json_t *in, json_t *out)
{
    const char *fn = json_get_str(in, "fn", "");
    size_t n = count(in, "n");
    double p = num(in, "p");
    if (str_eq(fn, "binom_cdf"))
        put(out, "value", stat_binom_cdf(count(in, "k"), n, p));
    else
        put(out, "value", stat_binom_sf(count(in, "k"), n, p));
}

static void try_range(const json_t *in, json_t *out)
{
    struct stat_range r;
    const json_t *df = json_object_get(in, "df");
    stat_range_init(&r, count(in, "k"));
    if (str_eq(json_get_str(in, "fn", ""), "range_sf"))
        put(out, "value", stat_range_sf(&r, num(in, "q"), value_of(df)));
    else
        put(out, "value", stat_range_quantile(&r, num(in, "tail"), value_of(df)));
}

/* ---- intervals ---- */

static void try_t_interval(const json_t *in, json_t *out)
{
    size_t n = length(in, "x");
    double *x = list(in, "x"), sd = stat_sd(x, n);
    put(out, "mean", stat_mean(x, n));
    put(out, "sd", sd);
    put(out, "se", sd / sqrt((double)n));
    put_interval(out, "low", "high", stat_t_interval(x, n, num(in, "level")));
}

static void try_wilson(const json_t *in, json_t *out)
{
    struct stat_interval i =
        stat_wilson(count(in, "k"), count(in, "n"), num(in, "level"));
    put(out, "center", 0.5 * (i.low + i.high));
    put_interval(out, "low", "high", i);
}

/* ---- two configurations ---- */

static void try_mcnemar(const json_t *in, json_t *out)
{
    put(out, "p", stat_mcnemar_p(count(in, "b"), count(in, "c")));
}

static struct stat_test of_differences(const json_t *in, double delta)
{
    size_t n = length(in, "diff");
    return stat_paired_t(list(in, "diff"), keep(xcalloc(n + 1, sizeof(double))), n,
                         delta);
}

static struct stat_interval interval_90(const struct stat_test *r)
{
    double half = -stat_t_quantile(0.05, r->df) * r->se;
    return (struct stat_interval){r->diff - half, r->diff + half};
}

static void try_paired_t(const json_t *in, json_t *out)
{
    size_t n = length(in, "a");
    struct stat_test r = stat_paired_t(list(in, "a"), list(in, "b"), n, 0);
    put(out, "mean_diff", r.diff);
    put(out, "sd_diff", r.se * sqrt((double)n));
    put(out, "df", r.df);
    put(out, "t", r.t);
    put(out, "p", r.p);
    put_interval(out, "low95", "high95", r.ci);
    put_interval(out, "low90", "high90", interval_90(&r));
}

static void try_tost(const json_t *in, json_t *out)
{
    double delta = num(in, "delta");
    struct stat_test r = of_differences(in, delta);
    struct stat_interval i = interval_90(&r);
    double lower = stat_t_cdf(-(r.diff + delta) / r.se, r.df),
           upper = stat_t_cdf((r.diff - delta) / r.se, r.df);
    put(out, "p_lower", lower);
    put(out, "p_upper", upper);
    put(out, "p", r.p_tost);
    put_interval(out, "low90", "high90", i);
    json_object_set_new(out, "equivalent", json_boolean(r.p_tost < num(in, "alpha")));
}

static void try_welch(const json_t *in, json_t *out)
{
    struct stat_test r =
        stat_welch_t(list(in, "a"), length(in, "a"), list(in, "b"), length(in, "b"), 0);
    put(out, "diff", r.diff);
    put(out, "t", r.t);
    put(out, "df", r.df);
    put(out, "p", r.p);
    put_interval(out, "low95", "high95", r.ci);
}

/* ---- several configurations ---- */

static void try_holm(const json_t *in, json_t *out)
{
    size_t n = length(in, "p");
    double *p = list(in, "p");
    stat_holm(p, p, n);
    put_list(out, "adjusted", p, n);
}

static json_t *term_json(const struct anova_term *t)
{
    char name[16] = "";
    size_t n = 0;
    for (size_t k = 0; k < 6; k++)
        if (t->factors >> k & 1) {
            if (n)
                name[n++] = ':';
            name[n++] = "ABDEGH"[k];
        }
    json_t *out = json_pack("{s:s}", "term", name);
    put(out, "ss", t->ss);
    put(out, "df", t->df);
    put(out, "ms", t->ms);
    put(out, "f", t->f);
    put(out, "p", t->p);
    put(out, "omega2", t->omega2);
    return out;
}

static void try_anova(const json_t *in, json_t *out)
{
    size_t factors = length(in, "levels"), rows = length(in, "rows");
    double *table = list(in, "rows"), *y = keep(xcalloc(rows, sizeof *y));
    size_t *levels = keep(xcalloc(rows * factors, sizeof *levels));
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < factors; k++)
            levels[r * factors + k] = (size_t)table[r * (factors + 1) + k];
        y[r] = table[r * (factors + 1) + factors];
    }
    struct anova a;
    struct err err = ERR_INIT;
    if (stat_anova(levels, y, rows, factors, &a, &err) != 0)
        fail_msg("%s", err.msg);
    json_t *terms = json_array();
    for (size_t t = 0; t < a.count; t++)
        json_array_append_new(terms, term_json(&a.terms[t]));
    json_object_set_new(out, "terms", terms);
    put(out, "ss_error", a.ss_error);
    put(out, "df_error", a.df_error);
    put(out, "mse", a.mse);
    put(out, "ss_total", a.ss_total);
    anova_release(&a);
}

static void try_pooled(const json_t *in, json_t *out)
{
    size_t n = length(in, "cells"), configs = count(in, "configs");
    double *table = list(in, "cells");
    struct stat_cell *cells = keep(xcalloc(n + 1, sizeof *cells));
    for (size_t i = 0; i < n; i++)
        cells[i] = (struct stat_cell){(size_t)table[3 * i], (size_t)table[3 * i + 1],
                                      table[3 * i + 2]};
    struct stat_pooled p;
    stat_pooled_init(&p, cells, n, configs, json_is_true(json_object_get(in, "paired")));
    put(out, "variance", p.variance);
    put(out, "df", p.df);
    put_list(out, "own", p.own, configs);
    put_list(out, "own_df", p.own_df, configs);
    for (size_t i = 0; i < configs; i++)
        assert_true(p.own[i] > p.variance ? p.used[i] == p.own[i]
                                          : p.used[i] == p.variance || !(p.df > 0));
    stat_pooled_release(&p);
}

static void try_regret(const json_t *in, json_t *out)
{
    size_t n = length(in, "mean");
    double *mean = list(in, "mean"), *se = list(in, "se"), *df = list(in, "df");
    struct stat_arm *arms = keep(xcalloc(n, sizeof *arms));
    struct stat_regret *r = keep(xcalloc(n, sizeof *r));
    double *expected = keep(xcalloc(n, sizeof *expected)),
           *chance = keep(xcalloc(n, sizeof *chance));
    for (size_t i = 0; i < n; i++)
        arms[i] = (struct stat_arm){mean[i], se[i], df[i]};
    stat_regret(arms, n, num(in, "delta"), r);
    for (size_t i = 0; i < n; i++) {
        expected[i] = r[i].expected;
        chance[i] = r[i].chance;
    }
    put_list(out, "expected", expected, n);
    put_list(out, "chance", chance, n);
}

static void try_crossed(const json_t *in, json_t *out)
{
    const struct stat_crossed c = stat_crossed_of(list(in, "y"), count(in, "seeds"),
                                                  count(in, "rows"), num(in, "level"));
    const struct {
        const char *name;
        double value;
    } parts[] = {{"mean", c.mean},  {"seed", c.seed},         {"row", c.row},
                 {"rest", c.rest},  {"se_seeds", c.se_seeds}, {"se_rows", c.se_rows},
                 {"se", c.se},

                 {"low", c.ci.low}, {"high", c.ci.high}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        put(out, parts[i].name, parts[i].value);
}

const struct handler handlers[] = {
    {"crossed", try_crossed},
    {"pooled", try_pooled},
    {"norm_cdf", try_continuous},
    {"norm_sf", try_continuous},
    {"norm_ppf", try_continuous},
    {"t_cdf", try_continuous},
    {"t_sf", try_continuous},
    {"t_ppf", try_continuous},
    {"chi2_sf", try_continuous},
    {"f_sf", try_continuous},
    {"beta_cdf", try_continuous},
    {"binom_cdf", try_binomial},
    {"binom_sf", try_binomial},
    {"range_sf", try_range},
    {"range_quantile", try_range},
    {"mean_t_interval", try_t_interval},
    {"wilson", try_wilson},
    {"mcnemar_exact", try_mcnemar},
    {"paired_t", try_paired_t},
    {"tost_paired", try_tost},
    {"welch_t", try_welch},
    {"holm", try_holm},
    {"anova", try_anova},
    {"regret", try_regret},
    {NULL, NULL},
};

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"distributions", golden, NULL, NULL, (void *)"distributions.json"},
        {"range", golden, NULL, NULL, (void *)"range.json"},
        {"intervals", golden, NULL, NULL, (void *)"intervals.json"},
        {"comparisons", golden, NULL, NULL, (void *)"comparisons.json"},
        {"multiple", golden, NULL, NULL, (void *)"multiple.json"},
        {"pooled", golden, NULL, NULL, (void *)"pooled.json"},
        {"crossed", golden, NULL, NULL, (void *)"crossed.json"},
        {"anova", golden, NULL, NULL, (void *)"anova.json"},
        {"regret", golden, NULL, NULL, (void *)"regret.json"},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
