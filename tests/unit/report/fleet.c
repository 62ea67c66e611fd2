/* Fleets: the plans of tests/golden/stats/cost.json (the worked example of the cost model
 * among them), margins, the sentence, and what the page says of several tasks. */
#include "tests/unit/report/fixture.h"

#include "lib/fs.h"
#include "report/plots/plot.h"
#include "report/service/fleet.h"

static json_t *golden(void)
{
    const char *dir = getenv("PEFTLAB_GOLDEN");
    char *path = fs_join(dir ? dir : "tests/golden/stats", "cost.json");
    struct err e = ERR_INIT;
    json_t *cases = json_read_file(path, &e);
    free(path);
    if (!cases && dir) /* a folder of other cases */
        skip();
    if (!cases)
        fail_msg("%s", e.msg);
    return cases;
}

static void assert_close(const json_t *row, const char *key, double got)
{
    double wanted = json_get_num(json_object_get(row, "expected"), key, NAN);
    const json_t *t = json_object_get(row, "tolerance");
    if (!(fabs(got - wanted) <=
          json_get_num(t, "abs", 0) + json_get_num(t, "rel", 0) * fabs(wanted)))
        fail_msg("%s: %.15g, not %.15g", key, got, wanted);
}

static void check_plan(const json_t *row)
{
    const json_t *in = json_object_get(row, "input"),
                 *wanted = json_object_get(row, "expected");
    const json_t *list = json_object_get(in, "lambda"), *cuts;
    struct fleet f = {.count = json_array_size(list),
                      .capacity = json_get_num(in, "capacity", NAN),
                      .usd_per_hour = json_get_num(in, "usd_per_gpu_hour", NAN),
                      .least = (size_t)json_get_int(in, "n_min", -1)};
    struct adapter_plan p;
    double *peaks = xcalloc(f.count + 1, sizeof *peaks);
    for (size_t i = 0; i < f.count; i++)
        peaks[i] = json_number_value(json_array_get(list, i));
    fleet_plan(&f, peaks, json_get_num(in, "phi", NAN), &p);
    assert_close(row, "merged_gpus", (double)p.merged_gpus);
    assert_close(row, "shared_gpus", (double)p.shared_gpus);
    assert_close(row, "merged_usd_per_1k", p.merged_usd_per_1k);
    assert_close(row, "shared_usd_per_1k", p.shared_usd_per_1k);
    assert_close(row, "merged_mean_fill", p.merged_fill);
    assert_close(row, "best_cut", (double)p.best_cut);
    assert_int_equal(p.shared_wins_unrounded,
                     json_get_bool(wanted, "shared_wins_unrounded", -1));
    cuts = json_object_get(wanted, "hybrid_gpus_by_cut");
    assert_int_equal(json_array_size(cuts), f.count + 1);
    for (size_t i = 0; i <= f.count; i++)
        assert_int_equal(p.hybrid_gpus[i], json_integer_value(json_array_get(cuts, i)));
    adapter_plan_release(&p);
    free(peaks);
}

static void golden_plans(void **state)
{
    json_t *cases = golden(), *row;
    size_t i, plans = 0;
    (void)state;
    json_array_foreach(cases, i, row)
    {
        const char *fn = json_get_str(json_object_get(row, "input"), "fn", "");
        if (!strcmp(fn, "adapters_fleet") && ++plans)
            check_plan(row);
    }
    assert_true(plans > 0);
    json_decref(cases);
}

/* More phi never takes more replicas; the best cut is never worse than both ends. */
static void plans_are_monotone(void **state)
{
    struct philox_key key = rng_key(3, "fleet");
    (void)state;
    for (uint64_t round = 0; round < 300; round++) {
        double lambda[12];
        size_t last = SIZE_MAX;
        size_t n = 1 + (size_t)(12 * rng_uniform(&key, round, 0));
        for (size_t i = 0; i < n; i++)
            lambda[i] = pow(10, -1 + 3 * rng_uniform(&key, round, i + 1));
        for (double phi = .2; phi <= 1; phi += .2) {
            struct fleet f = {.count = n, .capacity = 7, .usd_per_hour = 1, .least = 1};
            struct adapter_plan p;
            fleet_plan(&f, lambda, phi, &p);
            size_t best = p.hybrid_gpus[p.best_cut];
            assert_true(p.shared_gpus <= last);
            assert_true(best <= p.shared_gpus && best <= p.merged_gpus);
            last = p.shared_gpus;
            adapter_plan_release(&p);
        }
    }
}

/* ---- over a store ---- */

/* LoRA, three seeds: 10 ms unmerged, `share` x 10 ms merged; 400 requests recorded. */
static void fill(struct store *s, double share, double spread)
{
    int64_t experiment, sweep;
    json_t *file = json_object();
    MUST(store_experiment(s, "tasks", &experiment, err));
    MUST(store_sweep(s, experiment, "tasks", file, "/tmp", &sweep, err));
    json_decref(file);
    for (int seed = 0; seed < 3; seed++) {
        json_t *params =
            json_pack("{s:s, s:i}", "method", "lora", "max_train_samples", 9);
        char *trial_key = xasprintf("k%d", seed);
        struct trial_row row = {.sweep = sweep,
                                .experiment = experiment,
                                .number = seed,
                                .key = trial_key,
                                .seed = (uint64_t)seed,
                                .base_dir = "/tmp",
                                .config = params,
                                .params = params,
                                .predicted_bytes = -1,
                                .predicted_s = NAN};
        size_t added;
        struct run_claim claim;
        MUST(store_add_trials(s, &row, 1, &added, err));
        MUST(store_claim(s, sweep, 0, 60000, NULL, &claim, err));
        MUST(log_method(s, claim.run, "lora", err));
        double merged = 10 * (share + spread * (seed - 1));
        const struct metric_point p[] = {
            {"test/macro_f1", -1, .6 + .01 * seed},
            {"latency/p50_ms", -1, 10},
            {"latency/p95_ms", -1, 12},
            {"latency/p99_ms", -1, 13},
            {"latency/requests", -1, 400},
            {"latency/merged_p50_ms", -1, merged},
            {"latency/merged_p95_ms", -1, merged * 1.2},
            {"latency/merged_p99_ms", -1, merged * 1.3},
            {"latency/merged_requests", -1, 400},
            {"time/total_s", -1, 30},
            {"time/train_s", -1, 20},
            {"size/adapter_bytes", -1, 4e5},
            {"params/total", -1, 1e6},
        };
        MUST(store_log_metrics(s, claim.run, p, ARRAY_LEN(p), err));
        struct metric_point request[400];
        for (int i = 0; i < 400; i++)
            request[i] = (struct metric_point){"latency/merged_request_ms", i,
                                               merged * (.8 + .4 * i / 399)};
        MUST(store_log_metrics(s, claim.run, request, ARRAY_LEN(request), err));
        for (int i = 0; i < 400; i++) {
            request[i].key = "latency/request_ms";
            request[i].value *= 10 / merged;
        }
        MUST(store_log_metrics(s, claim.run, request, ARRAY_LEN(request), err));
        MUST(store_run_finish(s, claim.run, TRIAL_complete, 0, NULL, err));
        json_decref(params);
        free(trial_key);
    }
}

static struct report *with_tasks(struct fixture *f, const char *extra)
{
    char *text = xasprintf("tasks: [{name: a, requests_per_s: 1}, {name: b, "
                           "requests_per_s: 1}, {name: c, requests_per_s: 1}]\n"
                           "latency_p99_ms: 60\nreplica_usd_per_hour: 1\n%s",
                           extra);
    struct report *r = with_sla(f, text);
    free(text);
    return r;
}

static bool says(const struct report *r, const char *words)
{
    return section_says(r, "cost", words);
}

static void light_tasks_share_the_base(void **state)
{
    struct fixture *f = *state;
    fill(f->store, .8, .01);
    struct report *r = with_tasks(f, "");
    struct fleet fleet;
    assert_true(fleet_of(r, &fleet));
    assert_true(fabs(fleet.phi.one.mean - .8) < 1e-9);
    assert_true(fabs(fleet.phi.many_low - 1 / (1 / .8 + .1)) < 1e-9);
    assert_true(fleet.plan.merged_gpus == 3 && fleet.plan.shared_gpus == 1);
    assert_true(says(r, "Share the base: 3 tasks through one shared base take 1 "));
    assert_true(says(r, "pays below 80 % fill"));
    assert_true(says(r, "Unmerged lora does 80 % of the requests per second"));
    const struct sla_verdict *v = &r->services[0];
    assert_true(v->recorded); /* the requests were in the store */
    /* shared by default, so predicted: within the limit, yet not shown */
    assert_true(!v->merged && !v->separate && v->replicas == 1);
    assert_true(v->checks[0].upper < 60 && v->checks[0].word == SLA_AT_RISK);
    bool drawn = false;
    for (size_t i = 0; i < r->figure_count; i++)
        drawn |= !strcmp(r->figures[i].plot->name, "fleet") && r->figures[i].svg;
    assert_true(drawn);
    fleet_release(&fleet);
    report_free(r);
}

/* Merged, each task has replicas of its own, and what was measured holds for them. */
static void merged_tasks_do_not_share(void **state)
{
    struct fixture *f = *state;
    fill(f->store, .8, .01);
    struct report *r =
        with_tasks(f, "serve: merged\navailability: 0.9\nreplica_availability: 0.98\n"
                      "peak_requests_per_s: 3\nbudget_usd_per_month: 2500\n");
    const struct sla_verdict *v = &r->services[0];
    assert_true(v->merged && v->separate && v->replicas == 3);
    assert_true(v->busiest_per_s == 1);
    assert_int_equal(v->overall, SLA_MEETS);
    assert_string_equal(v->checks[1].key, "availability");
    assert_true(fabs(v->checks[1].measured - .98 * .98 * .98) < 1e-12);
    assert_true(fabs(v->usd_per_month - 3 * 730) < 1);
    report_free(r);
}

static void crossing_intervals_cannot_tell(void **state)
{
    struct fixture *f = *state;
    fill(f->store, .95, .1);
    struct report *r = with_tasks(f, "");
    assert_true(says(r, "Cannot tell whether merging lora makes serving faster"));
    report_free(r);
}

/* Where the base must stay, merging is no plan: served as trained, and said so. */
static void untouched_base_is_not_merged(void **state)
{
    struct fixture *f = *state;
    fill(f->store, .8, .01);
    struct report *r = with_tasks(f, "base_untouched: true\n");
    struct html h;
    html_init(&h);
    report_html(r, &h);
    assert_false(r->services[0].merged);
    assert_non_null(strstr(buf_str(&h.out), "ruled out: the base must stay as it is"));
    html_release(&h);
    report_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_plans),
        cmocka_unit_test(plans_are_monotone),
        cmocka_unit_test_setup_teardown(light_tasks_share_the_base, open_store,
                                        close_store),
        cmocka_unit_test_setup_teardown(merged_tasks_do_not_share, open_store,
                                        close_store),
        cmocka_unit_test_setup_teardown(crossing_intervals_cannot_tell, open_store,
                                        close_store),
        cmocka_unit_test_setup_teardown(untouched_base_is_not_merged, open_store,
                                        close_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
