/* Cost: parts of a run and of the decision, calibration and roofline by hand, memory fit,
 * spot, energy, catalogue files and the age of prices. */
#include "tests/unit/report/fixture.h"

#include "lib/fs.h"
#include "report/cost/cost.h"

static void assert_near(double got, double wanted, const char *what)
{
    if (!(fabs(got - wanted) <= 1e-9 * fabs(wanted) + 1e-15))
        fail_msg("%s: %.12g, not %.12g", what, got, wanted);
}

/* ---- catalogue ---- */

static const char one_gpu[] =
    "[{\"gpu\": \"X\", \"devices\": [\"Fast 10\"], \"memory_gb\": {\"value\": 10, "
    "\"status\": \"vendor\", "
    "\"source\": \"s\"}, \"bandwidth_gb_s\": {\"value\": 100, \"status\": \"derived\", "
    "\"source\": \"s\"}, \"bf16_tflops\": {\"value\": %s, \"status\": \"%s\", "
    "\"source\": \"s\"}, \"fp16_tflops\": {\"value\": 20, \"status\": \"vendor\", "
    "\"source\": \"s\"}, \"watts\": {\"value\": 300, \"status\": \"unverified\", "
    "\"source\": \"s\"}}]";

static int parse_gpus(const char *text, struct catalog *c, struct err *e)
{
    *c = (struct catalog){0};
    return catalog_parse_gpus(text, strlen(text), "g.json", c, e);
}

static void gpu_files_are_checked(void **state)
{
    struct catalog c;
    struct err e = ERR_INIT;
    char *text = xasprintf(one_gpu, "0", "vendor");
    (void)state;
    assert_int_equal(parse_gpus(text, &c, &e), 0);
    assert_int_equal(c.gpu_count, 1);
    assert_near(c.gpus[0].flops_s, 20e12, "FP16 where there is no BF16");
    assert_string_equal(c.gpus[0].format, "FP16");
    assert_int_equal(c.gpus[0].unverified, 1);
    assert_non_null(catalog_gpu(&c, "X"));
    assert_null(catalog_gpu(&c, "Y"));
    catalog_release(&c);
    free(text);
    const char *const bad[][3] = {{"1", "guessed", "row 1: 'bf16_tflops'"},
                                  {"-1", "vendor", "row 1: 'bf16_tflops'"}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        text = xasprintf(one_gpu, bad[i][0], bad[i][1]);
        err_clear(&e);
        assert_int_equal(parse_gpus(text, &c, &e), -ERR_CONFIG);
        assert_non_null(strstr(e.msg, bad[i][2]));
        catalog_release(&c);
        free(text);
    }
    err_clear(&e);
    assert_int_equal(parse_gpus("{\"gpus\": 3}", &c, &e), -ERR_CONFIG);
    catalog_release(&c);
    err_clear(&e);
    assert_true(parse_gpus("[", &c, &e) < 0);
    catalog_release(&c);
}

static const char prices[] =
    "[{\"gpu\": \"X\", \"usd_per_gpu_hour\": 2, \"read_on\": \"2026-11-01\", \"source\": "
    "\"s\"}, {\"gpu\": \"X\", \"usd_per_gpu_hour\": 6, \"read_on\": \"2026-05-01\", "
    "\"source\": \"s\"}, {\"gpu\": \"X\", \"usd_per_gpu_hour\": 1, \"tier\": \"spot\", "
    "\"read_on\": \"2026-11-01\", \"source\": \"s\"}]";

/* The built-in files pass their own checks; every field of every GPU has a source. */
static void builtin_files_are_good(void **state)
{
    struct catalog c;
    (void)state;
    MUST(catalog_load(NULL, NULL, &c, err));
    assert_near(catalog_gpu(&c, "RTX 4090")->memory_bytes, 24564 * 1048576.0,
                "nvidia-smi");
    for (size_t i = 0; i < c.gpu_count; i++)
        assert_string_equal(c.gpus[i].memory_key, "memory_mib");
    assert_true(c.gpu_count >= 13 && c.price_count >= 60);
    for (size_t i = 0; i < c.price_count; i++)
        if (!catalog_gpu(&c, c.prices[i].gpu))
            fail_msg("price of a GPU that is not there: %s", c.prices[i].gpu);
    catalog_release(&c);
}

/* ---- over a store ---- */

struct bench {
    char dir[64];
    char *path, *gpus, *prices;
    struct store *store;
    int64_t experiment, sweep;
    int number;
    const char *device; /* NULL: the processor */
};

static int open_bench(void **state)
{
    struct bench *f = xcalloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/peftlab-cost-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = fs_join(f->dir, "s.db");
    f->gpus = fs_join(f->dir, "g.json");
    f->prices = fs_join(f->dir, "p.json");
    char *text = xasprintf(one_gpu, "100", "vendor");
    json_t *file = json_object();
    MUST(fs_write_atomic(f->gpus, text, strlen(text), err));
    MUST(fs_write_atomic(f->prices, prices, strlen(prices), err));
    MUST(store_open(f->path, STORE_CREATE, &f->store, err));
    MUST(store_experiment(f->store, "cost", &f->experiment, err));
    MUST(store_sweep(f->store, f->experiment, "cost", file, "/tmp", &f->sweep, err));
    json_decref(file);
    free(text);
    *state = f;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *f = *state;
    unsetenv("PEFTLAB_NOW_MS");
    store_close(f->store);
    fs_remove_tree(f->dir, NULL);
    free(f->path);
    free(f->gpus);
    free(f->prices);
    free(f);
    return 0;
}

static void at_ms(long long ms)
{
    char now[32];
    snprintf(now, sizeof now, "%lld", ms);
    setenv("PEFTLAB_NOW_MS", now, 1);
}

#define START_MS 1795000000000LL /* 2026-11-18 */

/* A trial of `seconds` on two threads; good ones trained 60 of 100 s. */
static void add(struct bench *f, const char *method, enum trial_state state, int seconds,
                double share, double joules, double planned_bytes)
{
    json_t *params = json_pack("{s:s, s:i}", "method", method, "max_train_samples", 100);
    json_t *machine =
        json_pack("{s:i, s:s, s:s}", "threads", 2, "backend", f->device ? "cuda" : "cpu",
                  "variant", f->device ? f->device : "avx2");
    char *key = xasprintf("k%d", f->number);
    struct trial_row row = {.sweep = f->sweep,
                            .experiment = f->experiment,
                            .number = f->number,
                            .key = key,
                            .seed = (uint64_t)f->number,
                            .base_dir = "/tmp",
                            .config = params,
                            .params = params,
                            .predicted_bytes = -1,
                            .predicted_s = NAN};
    size_t added;
    struct run_claim claim;
    at_ms(START_MS + f->number * 1000000LL);
    MUST(store_add_trials(f->store, &row, 1, &added, err));
    MUST(store_claim(f->store, f->sweep, 0, 3600000, NULL, &claim, err));
    MUST(store_set_environment(f->store, claim.run, machine, err));
    MUST(log_method(f->store, claim.run, method, err));
    const struct metric_point p[] = {
        {"test/macro_f1", -1, .6 + .01 * f->number},
        {"time/total_s", -1, 100},
        {"time/train_s", -1, 60},
        {"time/eval_s", -1, 30},
        {"train/flops", -1, 6e12},
        {"train/flops_per_s", -1, 4e13},
        {"train/updates", -1, 10},
        {"train/share_of_peak", -1, share},
        {"params/total", -1, 1e6},
        {"params/trainable", -1, 1e4},
        {"mem/planned_bytes", -1, planned_bytes},
        {"mem/activations_bytes", -1, 2e6},
        {"throughput/samples_per_s", -1, 5},
        {"latency/p50_ms", -1, 20},
        {"energy/train_j", -1, joules},
    };
    size_t n = isnan(joules) ? ARRAY_LEN(p) - 1 : ARRAY_LEN(p);
    if (state == TRIAL_complete)
        MUST(store_log_metrics(f->store, claim.run, p, n, err));
    at_ms(START_MS + f->number * 1000000LL + seconds * 1000LL);
    MUST(store_run_finish(f->store, claim.run, state, 0, NULL, err));
    f->number++;
    json_decref(params);
    json_decref(machine);
    free(key);
}

static struct report *build(struct bench *f)
{
    struct report_options o = {.delta = NAN,
                               .collapse = NAN,
                               .requests_per_day = NAN,
                               .core_usd_per_hour = .36, /* a hundredth of a cent per s */
                               .gpus_path = f->gpus,
                               .prices_path = f->prices};
    struct report *r = NULL;
    MUST(report_build(f->store, &o, &r, err));
    return r;
}

static void parts_add_up(void **state)
{
    struct bench *f = *state;
    add(f, "lora", TRIAL_complete, 110, .8, NAN, 1e9);
    add(f, "lora", TRIAL_complete, 110, .6, NAN, 1e9);
    add(f, "lora", TRIAL_nan, 40, NAN, NAN, 1e9);
    add(f, "lora", TRIAL_pruned, 20, NAN, NAN, 1e9);
    struct report *r = build(f);
    struct run_cost k = cell_run_cost(r, report_leader(r));
    assert_near(k.setup_s, 10, "set-up");
    assert_near(k.train_s + k.eval_s + k.setup_s, k.total_s, "sum");
    assert_near(k.usd, 100 * 2 * .0001, "run");
    struct decision_cost d = decision_cost(r);
    assert_int_equal(d.trials[DECISION_COMPLETE], 2);
    assert_int_equal(d.trials[DECISION_FAILED], 1);
    assert_int_equal(d.trials[DECISION_PRUNED], 1);
    assert_near(d.usd[DECISION_FAILED], 40 * 2 * .0001, "failed");
    double seconds, runs;
    assert_near(decision_usd(r, &seconds), 280 * 2 * .0001, "decision");
    assert_near(seconds, 280, "seconds");
    assert_near(refresh_usd(r, report_leader(r), &runs), 12 * k.usd, "refresh");
    report_free(r);
}

/* X: 100 TFLOPS, 100 GB/s. 6e12 FLOPs at half of the median share .7: 171 ms; bytes: 10 x
 * (4e6 + 2e5 + 2e6) at .7 of the bandwidth: .9 ms; 10 launches of 5 ms; set-up 60 s. */
static void roofline_is_what_the_hand_finds(void **state)
{
    struct bench *f = *state;
    add(f, "lora", TRIAL_complete, 110, .8, NAN, 9e9);
    add(f, "lora", TRIAL_complete, 110, .6, NAN, 9e9);
    struct report *r = build(f);
    struct gpu_cost g;
    struct calibration k = calibrate_method(r, report_leader(r), NULL);
    assert_int_equal(k.runs, 2);
    assert_near(k.share.low, .8, "cheap end is the best share");
    assert_near(k.share.high, .6, "dear end is the worst");
    predict_gpu(r, report_leader(r), &r->catalog.gpus[0], &g);
    double base = 60 + .06 / .35 + 10 * .005, low = 30 + .06 / .8,
           high = 180 + .06 / .06 + 10 * .02;
    assert_near(g.train_s.base, base, "base");
    assert_near(g.train_s.low, low, "low");
    assert_near(g.train_s.high, high, "high");
    assert_false(g.memory_bound);
    assert_near(g.run_usd.low, low * 2 / 3600, "low price");
    assert_near(g.run_usd.base, base * 4 / 3600, "median price");
    assert_near(g.run_usd.high, high * 6 / 3600, "high price");
    /* one interruption in 8 h loses 300 s and 180 s */
    assert_near(g.spot_usd.base, base * (1 + 480.0 / 28800) / 3600, "spot");
    assert_int_equal(g.fit, FIT_TIGHT); /* 9 of 10 GB */
    report_free(r);
}

/* A run on X pays for X, and its own share of X's peak, .4, carries over whole; a GPU
 * that the catalogue does not know pays for its threads. */
static void runs_on_a_gpu_calibrate_it(void **state)
{
    struct bench *f = *state;
    struct gpu_cost g;
    f->device = "Fast 10GB, sm_99";
    add(f, "lora", TRIAL_complete, 110, .8, NAN, 9e9);
    struct report *r = build(f);
    const struct report_cell *c = report_leader(r);
    struct calibration k = calibrate_method(r, c, &r->catalog.gpus[0]);
    assert_true(k.own && k.runs == 1);
    assert_near(k.share.base, .4, "share of the GPU's peak");
    predict_gpu(r, c, &r->catalog.gpus[0], &g);
    assert_near(g.train_s.base, 60 + .06 / .4 + 10 * .005, "no carry-over");
    assert_near(cell_run_usd(r, c), 100 * 4.0 / 3600, "median price of X");
    report_free(r);
    f->device = "Faster 10";
    add(f, "full", TRIAL_complete, 110, .8, NAN, 9e9);
    r = build(f);
    assert_null(trial_gpu(r, &r->data.trials[1]));
    assert_true(
        isnan(trial_usd_per_hour(r, &r->data.trials[1]))); /* no core stands for it */
    report_free(r);
}

/* Where arithmetic takes no time the bytes of the updates decide: 62 MB at 70 GB/s. */
static void little_arithmetic_waits_for_memory(void **state)
{
    struct bench *f = *state;
    add(f, "head", TRIAL_complete, 110, 1.0, NAN, 11e9);
    struct report *r = build(f);
    struct gpu fast = r->catalog.gpus[0];
    struct gpu_cost g;
    fast.flops_s = 1e18;
    predict_gpu(r, report_leader(r), &fast, &g);
    assert_true(g.memory_bound);
    assert_near(g.train_s.base, 60 + 62e6 / 70e9 + .05, "memory");
    assert_int_equal(g.fit, FIT_NO);
    report_free(r);
}

/* Newest run 2026-11-18: a price of 1 May is 201 days old, whatever the clock says. */
static void ages_count_to_the_newest_run(void **state)
{
    struct bench *f = *state;
    add(f, "lora", TRIAL_complete, 110, .8, NAN, 1e9);
    setenv("PEFTLAB_NOW_MS", "1895000000000", 1);
    struct report *r = build(f);
    assert_int_equal(price_age_days(&r->catalog.prices[1], r->data.last_ms), 201);
    const json_t *cost = json_object_get(r->sections, "cost");
    assert_int_equal(json_get_int(cost, "stale_prices", -1), 1);
    report_free(r);
}

static char *page_of(const struct report *r)
{
    struct html h;
    html_init(&h);
    report_html(r, &h);
    return buf_detach(&h.out, NULL);
}

static void energy_is_shown_only_where_measured(void **state)
{
    struct bench *f = *state;
    add(f, "lora", TRIAL_complete, 110, .8, NAN, 1e9);
    struct report *r = build(f);
    char *page = page_of(r);
    assert_non_null(strstr(page, "Energy and CO₂ were not measured"));
    free(page);
    report_free(r);
    add(f, "full", TRIAL_complete, 110, .8, 7200, 1e9);
    r = build(f);
    page = page_of(r);
    assert_null(strstr(page, "were not measured"));
    assert_non_null(strstr(page, "<td class=\"num\">2</td><td class=\"num\">0.95</td>"));
    free(page);
    report_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpu_files_are_checked),
        cmocka_unit_test(builtin_files_are_good),
        cmocka_unit_test_setup_teardown(parts_add_up, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(roofline_is_what_the_hand_finds, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(runs_on_a_gpu_calibrate_it, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(little_arithmetic_waits_for_memory, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(ages_count_to_the_newest_run, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(energy_is_shown_only_where_measured, open_bench,
                                        close_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
