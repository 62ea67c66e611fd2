/* What decisions are made with, against the reference numbers of tests/golden/stats:
 * fronts, knees, planning, queues, cost. */
#include "tests/unit/support/golden_rows.h"

#include "lib/stats/fronts.h"
#include "lib/stats/knee.h"
#include "lib/str.h"
#include "report/evidence/row_scores.h"
#include "report/service/capacity.h"
#include "report/service/erlang.h"
#include "report/service/sla.h"

/* ---- a score from its rows ---- */

static void try_row_scores(const json_t *in, json_t *out)
{
    const char *text = json_get_str(in, "rows", "");
    unsigned char *bytes = keep(xmalloc(strlen(text) + 1));
    const int64_t n = str_base64_decode(text, strlen(text), bytes);
    struct row_results rows;
    assert_int_equal(row_results_read(bytes, (size_t)n, &rows, NULL), 0);
    double *scores = keep(xcalloc(rows.count + 1, sizeof *scores));
    assert_false(row_scores(&rows, "spearman", scores));
    assert_true(row_scores(&rows, json_get_str(in, "metric", ""), scores));
    put_list(out, "scores", scores, rows.count);
    row_results_release(&rows);
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

/* ---- enough ---- */

static void try_one_se(const json_t *in, json_t *out)
{
    struct one_se r = stat_one_se(list(in, "cost"), list(in, "score"), list(in, "se"),
                                  length(in, "cost"), minimized(in));
    put_index(out, "best", r.best, NO_KNEE);
    put(out, "threshold", r.threshold);
    put_index(out, "chosen", r.chosen, NO_KNEE);
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
    double hours = (num(in, "setup_s") + num(in, "train_s") + num(in, "eval_s")) / 3600;
    double run = num(in, "gpus") * num(in, "usd_per_gpu_hour") * hours;
    put(out, "refresh_usd_per_year",
        refresh_usd_per_year(run + num(in, "storage_usd"), num(in, "retrains_per_year"),
                             num(in, "tasks")));
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

static void try_margin(const json_t *in, json_t *out)
{
    struct sla_check c = {
        .limit = num(in, "limit"), .lower = NAN, .upper = num(in, "upper_bound")};
    sla_decide(&c);
    put(out, "margin", c.margin);
    json_object_set_new(out, "passes", json_boolean(c.word == SLA_MEETS));
}

const struct handler handlers[] = {
    {"pareto_front", try_front},
    {"hypervolume", try_hypervolume},
    {"hypervolume_reference", try_reference},
    {"one_se_rule", try_one_se},
    {"best_of_n", try_best_of_n},
    {"row_scores", try_row_scores},
    {"mmc", try_mmc},
    {"min_sample_for_upper_bound", try_least_sample},
    {"quantile_bounds", try_quantile_bounds},
    {"availability", try_availability},
    {"adapters_fleet", try_fleet},
    {"replicas", try_replicas},
    {"training_run", try_training_run},
    {"spot", try_spot},
    {"sla_margin", try_margin},
    {NULL, NULL},
};

static void what_has_no_answer(void **state)
{
    (void)state;
    assert_true(isnan(stat_erlang_c(0, 1)));
    assert_true(stat_erlang_c(2, 2) == 1);
    struct mmc full = mmc_solve(2, 3, 1);
    assert_true(isinf(full.mean_wait));
    assert_int_equal(fleet_replicas(0.3, 0.1, 1), 3); /* 2.9999999999999996 */
    assert_int_equal(fleet_replicas(0.30001, 0.1, 1), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"pareto", golden, NULL, NULL, (void *)"pareto.json"},
        {"row_scores", golden, NULL, NULL, (void *)"row_scores.json"},
        {"knee", golden, NULL, NULL, (void *)"knee.json"},
        {"best_of_n", golden, NULL, NULL, (void *)"best_of_n.json"},
        {"queueing", golden, NULL, NULL, (void *)"queueing.json"},
        {"order_statistics", golden, NULL, NULL, (void *)"order_statistics.json"},
        {"cost", golden, NULL, NULL, (void *)"cost.json"},
        cmocka_unit_test(what_has_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
