/* Statistics against reference numbers: every row of tests/golden/stats, whose README
 * says what each is and how it was computed. A row goes by its `fn` to a handler that
 * answers with an object; each expected key must be in it. A function without a handler
 * fails. PEFTLAB_GOLDEN names another folder of such files; there a file that is not
 * there is skipped. */
#include "lib/fleet.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/queueing.h"
#include "lib/stats.h"
#include "lib/stats_anova.h"
#include "lib/stats_importance.h"
#include "lib/stats_knee.h"
#include "lib/stats_multiple.h"
#include "lib/stats_pareto.h"
#include "lib/stats_plan.h"
#include "lib/str.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- reading a row ---- */

/* Numbers of one row, freed after it. */
static double *kept[64];
static size_t kept_count;

static void *keep(void *p)
{
    assert_true(kept_count < ARRAY_LEN(kept));
    kept[kept_count++] = p;
    return p;
}

/* A number, a word for one, or null (missing: NaN). */
static double value_of(const json_t *v)
{
    const char *word = json_string_value(v);
    if (word)
        return *word == 'N' ? NAN : *word == '-' ? -INFINITY : INFINITY;
    if (json_is_boolean(v))
        return json_is_true(v);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static double num(const json_t *in, const char *key)
{
    const json_t *v = json_object_get(in, key);
    if (!json_is_number(v))
        fail_msg("the row has no number '%s'", key);
    return json_number_value(v);
}

static size_t count(const json_t *in, const char *key)
{
    return (size_t)num(in, key);
}

static size_t length(const json_t *in, const char *key)
{
    return json_array_size(json_object_get(in, key));
}

/* A list, or a list of rows one after the other. */
static double *list(const json_t *in, const char *key)
{
    const json_t *rows = json_object_get(in, key), *row;
    size_t n = 0, i;
    assert_true(json_is_array(rows));
    json_array_foreach(rows, i, row) n += json_is_array(row) ? json_array_size(row) : 1;
    double *out = keep(xcalloc(n + 1, sizeof *out)), *at = out;
    json_array_foreach(rows, i, row)
    {
        for (size_t k = 0; k < json_array_size(row); k++)
            *at++ = value_of(json_array_get(row, k));
        if (!json_is_array(row))
            *at++ = value_of(row);
    }
    return out;
}

static size_t *whole_list(const json_t *in, const char *key)
{
    size_t n = length(in, key), *out = keep(xcalloc(n + 1, sizeof *out));
    double *x = list(in, key);
    for (size_t i = 0; i < n; i++)
        out[i] = (size_t)x[i];
    return out;
}

static bool minimized(const json_t *in)
{
    return str_eq(json_get_str(in, "goal", ""), "minimize");
}

/* ---- answering ---- */

static void put(json_t *out, const char *key, double v)
{
    json_object_set_new(out, key, isnan(v) ? json_null() : json_number_or_word(v));
}

static void put_list(json_t *out, const char *key, const double *v, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, isnan(v[i]) ? json_null() : json_number_or_word(v[i]));
    json_object_set_new(out, key, a);
}

static void put_interval(json_t *out, const char *low, const char *high,
                         struct stat_interval i)
{
    put(out, low, i.low);
    put(out, high, i.high);
}

/* An index; none is null. */
static void put_index(json_t *out, const char *key, size_t i, size_t none)
{
    put(out, key, i == none ? NAN : (double)i);
}

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
    {"norm_cdf", {"x"},               .one = stat_normal_cdf     },
    {"norm_sf",  {"x"},               .one = normal_sf           },
    {"norm_ppf", {"p"},               .one = stat_normal_quantile},
    {"t_cdf",    {"x", "df"},         .two = stat_t_cdf          },
    {"t_sf",     {"x", "df"},         .two = t_sf                },
    {"t_ppf",    {"p", "df"},         .two = stat_t_quantile     },
    {"chi2_cdf", {"x", "df"},         .two = stat_chi2_cdf       },
    {"chi2_sf",  {"x", "df"},         .two = stat_chi2_sf        },
    {"chi2_ppf", {"p", "df"},         .two = stat_chi2_quantile  },
    {"f_cdf",    {"x", "df1", "df2"}, .three = stat_f_cdf        },
    {"f_sf",     {"x", "df1", "df2"}, .three = stat_f_sf         },
    {"f_ppf",    {"p", "df1", "df2"}, .three = stat_f_quantile   },
    {"beta_cdf", {"a", "b", "x"},     .three = stat_betainc      },
    {"beta_sf",  {"x", "a", "b"},     .three = stat_beta_sf      },
    {"beta_ppf", {"p", "a", "b"},     .three = stat_beta_quantile},
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

/* The generator's 50 digits round 1 - x to 1 below this, so that its upper tail of a beta
 * distribution is 1 there, against its own cdf. */
#define GENERATOR_LOSES_X 1e-49

static void try_continuous(const json_t *in, json_t *out)
{
    const char *fn = json_get_str(in, "fn", "");
    double v = continuous(in, fn);
    if (str_eq(fn, "beta_sf") && num(in, "x") < GENERATOR_LOSES_X) {
        assert_true(fabs(v + continuous(in, "beta_cdf") - 1) < 1e-15);
        v = 1;
    }
    put(out, "value", v);
}

static void try_binomial(const json_t *in, json_t *out)
{
    const char *fn = json_get_str(in, "fn", "");
    size_t n = count(in, "n");
    double p = num(in, "p");
    if (str_eq(fn, "binom_ppf"))
        put(out, "value", (double)stat_binom_quantile(num(in, "q"), n, p));
    else if (str_eq(fn, "binom_pmf"))
        put(out, "value", stat_binom_pmf(count(in, "k"), n, p));
    else if (str_eq(fn, "binom_cdf"))
        put(out, "value", stat_binom_cdf(count(in, "k"), n, p));
    else
        put(out, "value", stat_binom_sf(count(in, "k"), n, p));
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

static void try_clopper_pearson(const json_t *in, json_t *out)
{
    put_interval(out, "low", "high",
                 stat_clopper_pearson(count(in, "k"), count(in, "n"), num(in, "level")));
}

static void try_clustered_se(const json_t *in, json_t *out)
{
    size_t n = length(in, "x"), *own = keep(xcalloc(n + 1, sizeof *own));
    double *x = list(in, "x");
    for (size_t i = 0; i < n; i++)
        own[i] = i;
    put(out, "mean", stat_mean(x, n));
    put(out, "se", stat_clustered_se(x, whole_list(in, "cluster"), n));
    put(out, "se_unclustered", stat_clustered_se(x, own, n));
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

static void try_sign_flip(const json_t *in, json_t *out)
{
    size_t n = length(in, "diff");
    put(out, "p", stat_sign_flip_p(list(in, "diff"), n));
    put(out, "p_floor", 2 / pow(2, (double)n));
}

static void try_effect_size(const json_t *in, json_t *out)
{
    size_t n = length(in, "diff");
    double *d = list(in, "diff"), dz = stat_mean(d, n) / stat_sd(d, n);
    struct stat_test r = of_differences(in, 0);
    put(out, "d_z", dz);
    put(out, "hedges_factor", r.dz / dz);
    put(out, "g_z", r.dz);
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

static void try_wilcoxon(const json_t *in, json_t *out)
{
    struct stat_signed_rank r = stat_wilcoxon(list(in, "diff"), length(in, "diff"));
    put(out, "n_used", (double)r.used);
    put(out, "w_plus", r.w_plus);
    put(out, "w_minus", r.w_minus);
    put(out, "p", r.p);
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

static void try_greater(const json_t *in, json_t *out)
{
    put(out, "p",
        stat_prob_greater(list(in, "a"), length(in, "a"), list(in, "b"),
                          length(in, "b")));
}

/* ---- several configurations ---- */

static void try_holm(const json_t *in, json_t *out)
{
    size_t n = length(in, "p");
    double *p = list(in, "p");
    stat_holm(p, p, n);
    put_list(out, "adjusted", p, n);
}

static void try_kendall(const json_t *in, json_t *out)
{
    struct kendall r = stat_kendall(list(in, "x"), list(in, "y"), length(in, "x"));
    put(out, "tau_b", r.tau_b);
    put(out, "concordant_minus_discordant", r.score);
    put(out, "p_exact", r.p_exact);
}

static void try_friedman(const json_t *in, json_t *out)
{
    size_t blocks = length(in, "blocks"),
           methods = json_array_size(json_array_get(json_object_get(in, "blocks"), 0));
    double *ranks = keep(xcalloc(methods, sizeof *ranks));
    struct friedman r = stat_friedman(list(in, "blocks"), blocks, methods, ranks);
    put(out, "statistic", r.statistic);
    put(out, "df", r.df);
    put(out, "p", r.p);
    put_list(out, "mean_ranks", ranks, methods);
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

/* ---- Pareto ---- */

static struct pareto_set points(const json_t *in)
{
    size_t dims = length(in, "goals");
    bool *up = keep(xcalloc(dims + 1, sizeof *up));
    for (size_t d = 0; d < dims; d++)
        up[d] = str_eq(json_string_value(json_array_get(json_object_get(in, "goals"), d)),
                       "maximize");
    return (struct pareto_set){list(in, "points"), length(in, "points"), dims, up};
}

static void put_ranks(json_t *out, const int *rank, size_t n)
{
    json_t *ranks = json_array(), *front = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(ranks, json_integer(rank[i]));
        if (rank[i] == 0)
            json_array_append_new(front, json_integer((json_int_t)i));
    }
    json_object_set_new(out, "rank", ranks);
    json_object_set_new(out, "front", front);
}

static void try_front(const json_t *in, json_t *out)
{
    struct pareto_set s = points(in);
    int *rank = keep(xcalloc(s.count + 1, sizeof *rank));
    bool *on = keep(xcalloc(s.count + 1, sizeof *on));
    pareto_ranks(&s, rank);
    pareto_front_mark(&s, NULL, on);
    for (size_t i = 0; i < s.count; i++)
        assert_int_equal(on[i], rank[i] == 0);
    put_ranks(out, rank, s.count);
}

static void try_hypervolume(const json_t *in, json_t *out)
{
    struct pareto_set s = points(in);
    put(out, "hypervolume", pareto_hypervolume(&s, list(in, "reference")));
}

static void try_reference(const json_t *in, json_t *out)
{
    struct pareto_set s = points(in);
    double r[PARETO_MAX_DIMS];
    pareto_reference(&s, r);
    put_list(out, "reference", r, s.dims);
}

static void try_constrained(const json_t *in, json_t *out)
{
    struct pareto_set s = points(in);
    const json_t *first = json_array_get(json_object_get(in, "constraints"), 0);
    double *violation = keep(xcalloc(s.count + 1, sizeof *violation));
    int *rank = keep(xcalloc(s.count + 1, sizeof *rank));
    pareto_constrained_ranks(&s, list(in, "constraints"), json_array_size(first),
                             violation, rank);
    put_list(out, "violation", violation, s.count);
    put_ranks(out, rank, s.count);
}

/* ---- enough ---- */

static void try_one_se(const json_t *in, json_t *out)
{
    struct one_se r = stat_one_se(list(in, "cost"), list(in, "score"), list(in, "se"),
                                  length(in, "cost"), minimized(in));
    put_index(out, "best", r.best, NO_KNEE);
    put(out, "threshold", r.threshold);
    put_index(out, "chosen", r.chosen, NO_KNEE);
}

static void try_chord(const json_t *in, json_t *out)
{
    size_t n = length(in, "x");
    double *distance = keep(xcalloc(n + 1, sizeof *distance)), *x = list(in, "x");
    size_t k = stat_chord_knee(x, list(in, "y"), n, json_get_bool(in, "log_x", 0),
                               minimized(in), distance);
    put_index(out, "knee", k, NO_KNEE);
    put(out, "x", k == NO_KNEE ? NAN : x[k]);
    put_list(out, "distance", distance, n);
}

static void try_best_of_n(const json_t *in, json_t *out)
{
    size_t n = length(in, "n"), *tries = whole_list(in, "n");
    double *best = keep(xcalloc(n + 1, sizeof *best));
    for (size_t i = 0; i < n; i++)
        best[i] = stat_best_of(list(in, "values"), length(in, "values"), tries[i],
                               minimized(in));
    put_list(out, "expected_best", best, n);
}

static void try_seeds_unpaired(const json_t *in, json_t *out)
{
    put(out, "n_per_arm",
        (double)plan_seeds_unpaired(num(in, "d"), num(in, "alpha"), num(in, "power")));
}

static void try_seeds_paired(const json_t *in, json_t *out)
{
    double d_z = plan_paired_effect(num(in, "d"), num(in, "rho"));
    put(out, "d_z", d_z);
    put(out, "n_pairs",
        (double)plan_seeds_paired(d_z, num(in, "alpha"), num(in, "power")));
}

static void try_smallest(const json_t *in, json_t *out)
{
    double alpha = num(in, "alpha"), power = num(in, "power");
    size_t n = count(in, "n_items");
    put(out, "unpaired", plan_smallest_difference(n, num(in, "p"), alpha, power));
    put(out, "paired", plan_smallest_paired(n, num(in, "discordant"), alpha, power));
}

/* ---- queues ---- */

static void try_mmc(const json_t *in, json_t *out)
{
    struct mmc q = mmc_solve((int)num(in, "servers"), num(in, "lambda"), num(in, "mu"));
    put(out, "rho", q.rho);
    put(out, "erlang_b", q.erlang_b);
    put(out, "erlang_c", q.erlang_c);
    put(out, "mean_wait", q.mean_wait);
    put(out, "wait_p50", mmc_wait_quantile(&q, .5));
    put(out, "wait_p95", mmc_wait_quantile(&q, .95));
    put(out, "wait_p99", mmc_wait_quantile(&q, .99));
    put(out, "wait_p99.9", mmc_wait_quantile(&q, .999));
    put(out, "p_wait_over_one_service", mmc_wait_exceeds(&q, 1 / q.mu));
}

static void try_max_utilisation(const json_t *in, json_t *out)
{
    put(out, "rho",
        mmc_max_utilisation((int)num(in, "servers"), num(in, "q"),
                            num(in, "wait_in_services")));
}

static void try_birth_death(const json_t *in, json_t *out)
{
    struct birth_death b =
        birth_death_solve(list(in, "rate"), length(in, "rate"), num(in, "lambda"));
    put(out, "rho", b.rho);
    put(out, "pi0", b.empty);
    put(out, "mean_in_system", b.mean_in_system);
    put(out, "mean_e2e", b.mean_e2e);
    put(out, "p_arrival_waits", b.arrival_waits);
    put(out, "p_queue_not_empty", b.queue_not_empty);
}

static void try_mg1(const json_t *in, json_t *out)
{
    struct mg1 r = mg1_solve(num(in, "rho"), num(in, "cv2"), num(in, "mean_service"));
    put(out, "mean_wait", r.mean_wait);
    put(out, "wait_p99_approx", r.wait_p99);
}

static void try_least_sample(const json_t *in, json_t *out)
{
    put(out, "n", (double)stat_quantile_sample(num(in, "q"), num(in, "confidence")));
}

static void try_quantile_bounds(const json_t *in, json_t *out)
{
    size_t lower, upper;
    stat_quantile_ranks(count(in, "n"), num(in, "q"), num(in, "confidence"), &lower,
                        &upper);
    put_index(out, "lower_index", lower, 0);
    put_index(out, "upper_index", upper, 0);
}

static void try_availability(const json_t *in, json_t *out)
{
    size_t n = count(in, "n"), k = count(in, "k");
    put(out, "availability", availability(n, k, num(in, "a")));
    put(out, "unavailability", unavailability(n, k, num(in, "a")));
}

/* ---- cost ---- */

static void try_fleet(const json_t *in, json_t *out)
{
    struct adapter_fleet f = {.load = list(in, "lambda"),
                              .tasks = length(in, "lambda"),
                              .capacity = num(in, "capacity"),
                              .phi = num(in, "phi"),
                              .usd_per_gpu_hour = num(in, "usd_per_gpu_hour"),
                              .least = count(in, "n_min")};
    struct adapter_plan p;
    adapter_plan_init(&p, &f);
    put(out, "merged_gpus", (double)p.merged_gpus);
    put(out, "shared_gpus", (double)p.shared_gpus);
    put(out, "merged_usd_per_hour", p.merged_usd_per_hour);
    put(out, "shared_usd_per_hour", p.shared_usd_per_hour);
    put(out, "merged_usd_per_1k", p.merged_usd_per_1k);
    put(out, "shared_usd_per_1k", p.shared_usd_per_1k);
    put(out, "merged_mean_fill", p.merged_fill);
    json_object_set_new(out, "shared_wins_unrounded",
                        json_boolean(p.shared_wins_unrounded));
    json_t *cuts = json_array();
    for (size_t i = 0; i <= f.tasks; i++)
        json_array_append_new(cuts, json_integer((json_int_t)p.hybrid_gpus[i]));
    json_object_set_new(out, "hybrid_gpus_by_cut", cuts);
    put(out, "best_cut", (double)p.best_cut);
    adapter_plan_release(&p);
}

static void try_replicas(const json_t *in, json_t *out)
{
    struct replica_plan p = replica_plan(num(in, "lambda_peak"), num(in, "lambda_mean"),
                                         num(in, "lambda_star"), count(in, "gpus"),
                                         num(in, "usd_per_gpu_hour"), count(in, "n_min"));
    put(out, "replicas", (double)p.replicas);
    put(out, "usd_per_1k", p.usd_per_1k);
    put(out, "utilisation_at_mean", p.utilisation_at_mean);
    put(out, "headroom_at_peak", p.headroom_at_peak);
}

static void try_training_run(const json_t *in, json_t *out)
{
    double run = training_run_usd(count(in, "gpus"), num(in, "usd_per_gpu_hour"),
                                  num(in, "setup_s"), num(in, "train_s"),
                                  num(in, "eval_s"), num(in, "storage_usd"));
    double *others = list(in, "other_trials_usd"), all = run;
    for (size_t i = 0; i < length(in, "other_trials_usd"); i++)
        all += others[i];
    put(out, "run_usd", run);
    put(out, "refresh_usd_per_year",
        refresh_usd_per_year(run, num(in, "retrains_per_year"), num(in, "tasks")));
    put(out, "decision_usd", all);
}

static void try_spot(const json_t *in, json_t *out)
{
    struct spot s = spot_solve(num(in, "hours"), num(in, "mtbi_hours"),
                               num(in, "checkpoint_hours"), num(in, "restart_hours"),
                               num(in, "usd_spot"), num(in, "usd_on_demand"));
    put(out, "interruptions", s.interruptions);
    put(out, "billed_hours", s.billed_hours);
    put(out, "spot_usd", s.spot_usd);
    put(out, "on_demand_usd", s.on_demand_usd);
    put(out, "break_even_ratio", s.break_even_ratio);
    json_object_set_new(out, "spot_pays", json_boolean(s.pays));
}

static void try_lora(const json_t *in, json_t *out)
{
    size_t n = length(in, "modules"), (*shape)[2] = keep(xcalloc(n + 1, sizeof *shape));
    double *sizes = list(in, "modules");
    for (size_t i = 0; i < 2 * n; i++)
        shape[i / 2][i % 2] = (size_t)sizes[i];
    put(out, "parameters",
        (double)lora_parameters(count(in, "rank"), (const size_t(*)[2])shape, n,
                                count(in, "layers")));
}

static void try_margin(const json_t *in, json_t *out)
{
    double margin = sla_margin(num(in, "limit"), num(in, "upper_bound"));
    put(out, "margin", margin);
    json_object_set_new(out, "passes", json_boolean(margin >= 0));
}

/* ---- importance ---- */

static bool read_space(const json_t *in, struct importance_space *s)
{
    if (!json_is_object(in))
        return false;
    const char *type = json_get_str(in, "type", "");
    *s = (struct importance_space){
        .kind = str_eq(type, "float") ? IMPORTANCE_FLOAT
                : str_eq(type, "int") ? IMPORTANCE_INT
                                      : IMPORTANCE_CATEGORICAL,
        .low = json_get_num(in, "low", 0),
        .high = json_get_num(in, "high", 0),
        .step = json_get_num(in, "step", 0),
        .log = json_get_bool(in, "log", 0),
        .choices = length(in, "choices"),
    };
    return true;
}

static double value_in(const json_t *space, const json_t *value)
{
    const json_t *choices = json_object_get(space, "choices");
    for (size_t i = 0; i < json_array_size(choices); i++)
        if (json_equal(json_array_get(choices, i), value))
            return (double)i;
    return json_number_value(value);
}

static double importance_of(const json_t *in, const char *name)
{
    const json_t *trials = json_object_get(in, "trials"), *trial;
    size_t n = 0, all = json_array_size(trials), i;
    struct importance_space *spaces = keep(xcalloc(all + 1, sizeof *spaces));
    struct importance_value *values = keep(xcalloc(all + 1, sizeof *values));
    double *objective = keep(xcalloc(all + 1, sizeof *objective));
    json_array_foreach(trials, i, trial)
    {
        double v = value_of(json_object_get(trial, "value"));
        if (!str_eq(json_get_str(trial, "state", ""), "complete") || !isfinite(v))
            continue;
        const json_t *value = json_object_get(json_object_get(trial, "params"), name);
        const json_t *space = json_object_get(json_object_get(trial, "space"), name);
        if (!space)
            space = json_object_get(json_object_get(in, "space"), name);
        if (value && read_space(space, &spaces[n]))
            values[n] = (struct importance_value){&spaces[n], value_in(space, value)};
        objective[n++] = v;
    }
    return stat_ped_anova(values, objective, n,
                          str_eq(json_get_str(in, "direction", ""), "minimize"),
                          num(in, "target_quantile"));
}

static void try_importance(const json_t *in, json_t *out)
{
    json_t *raw = json_object(), *shares = json_object(), *space;
    const char *name;
    double *v = keep(xcalloc(64, sizeof *v));
    size_t n = 0, i = 0;
    json_object_foreach(json_object_get(in, "space"), name, space)
    {
        assert_true(n < 64);
        v[n] = importance_of(in, name);
        put(raw, name, v[n++]);
    }
    stat_importance_normalize(v, n);
    json_object_foreach(json_object_get(in, "space"), name, space)
        put(shares, name, v[i++]);
    json_object_set_new(out, "raw", raw);
    json_object_set_new(out, "normalized", shares);
}

/* ---- judging ---- */

static const struct {
    const char *fn;
    void (*attempt)(const json_t *in, json_t *out);
} handlers[] = {
    {"norm_cdf",                   try_continuous     },
    {"norm_sf",                    try_continuous     },
    {"norm_ppf",                   try_continuous     },
    {"t_cdf",                      try_continuous     },
    {"t_sf",                       try_continuous     },
    {"t_ppf",                      try_continuous     },
    {"chi2_cdf",                   try_continuous     },
    {"chi2_sf",                    try_continuous     },
    {"chi2_ppf",                   try_continuous     },
    {"f_cdf",                      try_continuous     },
    {"f_sf",                       try_continuous     },
    {"f_ppf",                      try_continuous     },
    {"beta_cdf",                   try_continuous     },
    {"beta_sf",                    try_continuous     },
    {"beta_ppf",                   try_continuous     },
    {"binom_pmf",                  try_binomial       },
    {"binom_cdf",                  try_binomial       },
    {"binom_sf",                   try_binomial       },
    {"binom_ppf",                  try_binomial       },
    {"mean_t_interval",            try_t_interval     },
    {"wilson",                     try_wilson         },
    {"clopper_pearson",            try_clopper_pearson},
    {"clustered_se",               try_clustered_se   },
    {"mcnemar_exact",              try_mcnemar        },
    {"paired_t",                   try_paired_t       },
    {"sign_flip",                  try_sign_flip      },
    {"effect_size_paired",         try_effect_size    },
    {"tost_paired",                try_tost           },
    {"wilcoxon_signed_rank",       try_wilcoxon       },
    {"welch_t",                    try_welch          },
    {"prob_a_greater_b",           try_greater        },
    {"holm",                       try_holm           },
    {"kendall_tau",                try_kendall        },
    {"friedman",                   try_friedman       },
    {"anova",                      try_anova          },
    {"pareto_front",               try_front          },
    {"hypervolume",                try_hypervolume    },
    {"hypervolume_reference",      try_reference      },
    {"constrained_ranks",          try_constrained    },
    {"one_se_rule",                try_one_se         },
    {"chord_knee",                 try_chord          },
    {"best_of_n",                  try_best_of_n      },
    {"seeds_unpaired",             try_seeds_unpaired },
    {"seeds_paired",               try_seeds_paired   },
    {"smallest_difference",        try_smallest       },
    {"mmc",                        try_mmc            },
    {"max_utilisation",            try_max_utilisation},
    {"birth_death",                try_birth_death    },
    {"mg1",                        try_mg1            },
    {"min_sample_for_upper_bound", try_least_sample   },
    {"quantile_bounds",            try_quantile_bounds},
    {"availability",               try_availability   },
    {"adapters_fleet",             try_fleet          },
    {"replicas",                   try_replicas       },
    {"training_run",               try_training_run   },
    {"spot",                       try_spot           },
    {"lora_parameters",            try_lora           },
    {"sla_margin",                 try_margin         },
    {"importance",                 try_importance     },
};

/* A number within the tolerance, NaN and missing alike; all else equal. */
static bool agrees(const json_t *want, const json_t *got, const json_t *tolerance)
{
    const json_t *v;
    const char *key;
    size_t i;
    if (json_is_object(want)) {
        json_object_foreach(
            (json_t *)want, key,
            v) if (!agrees(v, json_object_get(got, key), tolerance)) return false;
        return json_is_object(got);
    }
    if (json_is_array(want)) {
        json_array_foreach(
            want, i, v) if (!agrees(v, json_array_get(got, i), tolerance)) return false;
        return json_array_size(got) == json_array_size(want);
    }
    if (!got)
        return false;
    if (json_is_number(want) && json_is_number(got)) {
        double w = json_number_value(want), g = json_number_value(got);
        double allowed = json_get_num(tolerance, "abs", 0) +
                         json_get_num(tolerance, "rel", 0) * fabs(w);
        return g == w || (!json_is_integer(want) && fabs(g - w) <= allowed);
    }
    if (str_eq(json_is_string(want) ? json_string_value(want) : "", "NaN"))
        return json_is_null(got);
    return json_equal((json_t *)want, (json_t *)got);
}

static void judge(const json_t *row, const char *otherwise)
{
    const json_t *in = json_object_get(row, "input");
    const char *fn = json_get_str(in, "fn", otherwise);
    json_t *out = json_object(), *want = json_object_get(row, "expected");
    size_t k = 0;
    while (k < ARRAY_LEN(handlers) && !str_eq(handlers[k].fn, fn))
        k++;
    if (k == ARRAY_LEN(handlers))
        fail_msg("no handler for '%s'", fn);
    if (str_eq(fn, "importance")) /* who computed it is no result */
        json_object_del(want, "optuna");
    handlers[k].attempt(in, out);
    if (!agrees(want, out, json_object_get(row, "tolerance"))) {
        struct buf b = BUF_INIT;
        json_write(&b, row, 0);
        char *got = json_dumps(out, JSON_COMPACT | JSON_REAL_PRECISION(17));
        fail_msg("got %.900s for %.1500s", got, buf_str(&b));
    }
    json_decref(out);
    while (kept_count)
        free(kept[--kept_count]);
}

static void golden(void **state)
{
    const char *file = *state, *dir = getenv("PEFTLAB_GOLDEN");
    char *path = fs_join(dir ? dir : "tests/golden/stats", file);
    struct err err = ERR_INIT;
    json_t *rows = json_read_file(path, &err), *row;
    free(path);
    if (!rows && dir && err.code == ERR_NOINPUT)
        skip();
    if (!rows)
        fail_msg("%s", err.msg);
    size_t i;
    char *name = xstrndup(file, strlen(file) - strlen(".json"));
    json_array_foreach(rows, i, row) judge(row, name);
    assert_true(json_array_size(rows) > 0);
    json_decref(rows);
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"distributions",    golden, NULL, NULL, (void *)"distributions.json"   },
        {"intervals",        golden, NULL, NULL, (void *)"intervals.json"       },
        {"comparisons",      golden, NULL, NULL, (void *)"comparisons.json"     },
        {"multiple",         golden, NULL, NULL, (void *)"multiple.json"        },
        {"anova",            golden, NULL, NULL, (void *)"anova.json"           },
        {"pareto",           golden, NULL, NULL, (void *)"pareto.json"          },
        {"knee",             golden, NULL, NULL, (void *)"knee.json"            },
        {"best_of_n",        golden, NULL, NULL, (void *)"best_of_n.json"       },
        {"planning",         golden, NULL, NULL, (void *)"planning.json"        },
        {"queueing",         golden, NULL, NULL, (void *)"queueing.json"        },
        {"order_statistics", golden, NULL, NULL, (void *)"order_statistics.json"},
        {"cost",             golden, NULL, NULL, (void *)"cost.json"            },
        {"importance",       golden, NULL, NULL, (void *)"importance.json"      },
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
