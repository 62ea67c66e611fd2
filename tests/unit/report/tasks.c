/* Tasks with trials of their own: files, what stands for a task on a base, ways to serve
 * them, by single requests and by the batches of a bench. */
#include "tests/unit/report/fixture.h"

#include "report/plots/plot.h"
#include "report/service/task_plans.h"
#include "tracker/view/served.h"

/* ---- the file ---- */

static void bad_tasks_are_told_where(void **state)
{
    static const char *const cases[][2] = {
        {"tasks:\n  - {name: a, requests_per_s: 1}\n  - {name: a, requests_per_s: 1}\n",
         "line 3"},
        {"tasks:\n  - {name: a, requests_per_s: 1, data: x}\n"
         "  - {name: b, requests_per_s: 1}\n",
         "to every task or to none"},
        {"tasks: [{name: a, requests_per_s: 1, metric: eval/thing}]\n",
         "better high or low"},
        {"tasks: [{name: a, requests_per_s: 1, latency_p99: 4}]\n",
         "did you mean 'latency_p99_ms'"},
        {"tasks: [{requests_per_s: 1}]\n", "lacks 'name'"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sla *s = NULL;
        struct err e = ERR_INIT;
        assert_int_equal(
            sla_parse(cases[i][0], strlen(cases[i][0]), "t.yaml", false, &s, &e),
            -ERR_CONFIG);
        if (!strstr(e.msg, cases[i][1]))
            fail_msg("'%s' lacks '%s'", e.msg, cases[i][1]);
        assert_null(s);
    }
}

static void limits_are_the_tasks_or_the_services(void **state)
{
    static const char text[] =
        "latency_p99_ms: 90\ntasks:\n"
        "  - {name: a, requests_per_s: 1, data: x.jsonl, latency_p99_ms: 20}\n"
        "  - {name: b, requests_per_s: 3, data: y.jsonl}\n";
    struct sla *s = NULL;
    (void)state;
    MUST(sla_parse(text, strlen(text), "t.yaml", false, &s, err));
    assert_true(sla_by_task(s));
    assert_true(sla_task_number(s, &s->tasks[0], "latency_p99_ms") == 20);
    assert_true(sla_task_number(s, &s->tasks[1], "latency_p99_ms") == 90);
    assert_true(isnan(sla_task_number(s, &s->tasks[1], "quality_floor")));
    sla_free(s);
}

static void paths_end_in_whole_parts(void **state)
{
    (void)state;
    assert_true(path_ends_in("/a/b/c.jsonl", "c.jsonl"));
    assert_true(path_ends_in("/a/b/c.jsonl", "b/c.jsonl"));
    assert_true(path_ends_in("c.jsonl", "c.jsonl"));
    assert_false(path_ends_in("/a/bc.jsonl", "c.jsonl"));
    assert_false(path_ends_in("c.jsonl", "a/c.jsonl"));
    assert_false(path_ends_in("c.jsonl", ""));
}

/* ---- a store: two bases, three tasks ---- */

static const struct {
    const char *model, *data, *method;
    double score; /* of seed 1; the others .01 off */
} tried[] = {
    {"m/small", "d/a.jsonl", "lora", .80}, {"m/small", "d/a.jsonl", "full", .90},
    {"m/small", "d/b.jsonl", "lora", .70}, {"m/small", "d/c.jsonl", "lora", .40},
    {"m/large", "d/a.jsonl", "lora", .85}, {"m/large", "d/b.jsonl", "lora", .50},
    {"m/large", "d/c.jsonl", "lora", .75}, {"m/large", "d/other.jsonl", "lora", .99},
};

static void add(struct store *s, int64_t experiment, int64_t sweep, size_t which,
                int seed)
{
    json_t *params =
        json_pack("{s:s, s:s, s:s}", "model", tried[which].model, "train_data",
                  tried[which].data, "method", tried[which].method);
    char *key = xasprintf("k%zu", which);
    struct trial_row row = {.sweep = sweep,
                            .experiment = experiment,
                            .number = (int)which * 3 + seed,
                            .key = key,
                            .seed = (uint64_t)seed,
                            .base_dir = "/tmp",
                            .config = params,
                            .params = params,
                            .predicted_bytes = -1,
                            .predicted_s = NAN};
    const bool large = strstr(tried[which].model, "large");
    const double ms = large ? 40 : 10, score = tried[which].score + .01 * (seed - 1);
    size_t added;
    struct run_claim claim;
    MUST(store_add_trials(s, &row, 1, &added, err));
    MUST(store_claim(s, sweep, 0, 60000, NULL, &claim, err));
    MUST(log_method(s, claim.run, tried[which].method, err));
    const struct metric_point p[] = {
        {"test/macro_f1", -1, score},
        {"eval/macro_f1", -1, score},
        {"latency/p50_ms", -1, ms},
        {"latency/p95_ms", -1, ms * 1.2},
        {"latency/p99_ms", -1, ms * 1.3},
        {"latency/requests", -1, 400},
        {"latency/merged_p50_ms", -1, ms * .8},
        {"latency/merged_p95_ms", -1, ms * .9},
        {"latency/merged_p99_ms", -1, ms},
        {"latency/merged_requests", -1, 400},
        {"throughput/tokens_per_s", -1, 2400},
        {"throughput/samples_per_s", -1, 100},
        {"time/total_s", -1, 30},
        {"size/adapter_bytes", -1, 1 << 20},
        {"mem/weights_bytes", -1, large ? 500 << 20 : 100 << 20},
    };
    MUST(store_log_metrics(s, claim.run, p, ARRAY_LEN(p), err));
    MUST(store_run_finish(s, claim.run, TRIAL_complete, 0, NULL, err));
    json_decref(params);
    free(key);
}

static int open_tasks(void **state)
{
    open_store(state);
    struct fixture *f = *state;
    int64_t experiment, sweep;
    json_t *file = json_object();
    MUST(store_experiment(f->store, "tasks", &experiment, err));
    MUST(store_sweep(f->store, experiment, "tasks", file, "/tmp", &sweep, err));
    json_decref(file);
    for (size_t i = 0; i < ARRAY_LEN(tried); i++)
        for (int seed = 0; seed < 3; seed++)
            add(f->store, experiment, sweep, i, seed);
    return 0;
}

static struct report *judged(struct fixture *f, const char *extra)
{
    char *text = xasprintf(
        "latency_p99_ms: 200\nreplica_usd_per_hour: 1\n%s"
        "tasks:\n"
        "  - {name: a, data: a.jsonl, requests_per_s: 4, quality_floor: 0.6}\n"
        "  - {name: b, data: b.jsonl, requests_per_s: 2, quality_floor: 0.4}\n"
        "  - {name: c, data: d/c.jsonl, requests_per_s: 1, quality_floor: 0.6}\n",
        extra);
    struct report *r = with_sla(f, text);
    free(text);
    return r;
}

static size_t base_named(const struct report *r, const char *name)
{
    const struct tasks *t = &r->task_plans->tasks;
    size_t b = 0;
    while (b < t->base_count && strcmp(t->bases[b].name, name) != 0)
        b++;
    assert_true(b < t->base_count);
    return b;
}

static const struct task_plan *plan_named(const struct report *r, const char *name)
{
    const struct task_plans *p = r->task_plans;
    for (size_t i = 0; i < p->count; i++)
        if (!strcmp(task_plan_name(p, &p->plans[i]), name))
            return &p->plans[i];
    return NULL;
}

static bool says(const struct report *r, const char *words)
{
    return section_says(r, "tasks", words);
}

static const char *method_of(const struct report_cell *c)
{
    return json_get_str(c->trials[0]->params, "method", "");
}

static void each_task_has_its_best_on_each_base(void **state)
{
    struct report *r = judged(*state, "");
    const struct tasks *t = &r->task_plans->tasks;
    const size_t small = base_named(r, "small"), large = base_named(r, "large");
    assert_int_equal(t->base_count, 2);
    /* What changes the base is no way to share it, but one to have a model of one's own. */
    assert_string_equal(method_of(tasks_at(t, 0, small)->shared.cell), "lora");
    assert_string_equal(method_of(tasks_at(t, 0, small)->own.cell), "full");
    assert_true(fabs(tasks_at(t, 0, small)->shared.quality.measured - .80) < 1e-9);
    /* One-sided 95 % of three seeds .01 apart: 2.92 x .01 / sqrt(3). */
    assert_true(fabs(tasks_at(t, 0, small)->shared.quality.lower - (.80 - .01686)) <
                1e-4);
    assert_int_equal(task_word(&tasks_at(t, 2, small)->shared), SLA_BREAKS);
    assert_int_equal(task_word(&tasks_at(t, 2, large)->shared), SLA_MEETS);
    assert_int_equal(task_best_base(r, t, 0), large); /* both meet, this is better */
    assert_int_equal(task_best_base(r, t, 1), small);
    assert_true(task_tokens(&t->sla->tasks[0], tasks_at(t, 0, small)->shared.cell) == 24);
    assert_int_equal(
        task_trial(r, &t->sla->tasks[0], tasks_at(t, 0, small)->shared.cell)->seed, 2);
    assert_true(says(r,
                     "small is good enough for 2 of 3 tasks, which may share it: a and "
                     "b; below their floor there: c."));
    assert_true(says(r, "large is good enough for 3 of 3 tasks"));
    report_free(r);
}

static void without_a_bench_plans_are_predictions(void **state)
{
    struct report *r = judged(*state, "");
    assert_null(r->services);
    const struct task_plan *shared = plan_named(r, "one shared base, large"),
                           *merged = plan_named(r, "merged, a model per task, large"),
                           *several = plan_named(r, "several bases"),
                           *small = plan_named(r, "one shared base, small");
    assert_true(shared && merged && several && small);
    assert_false(shared->measured);
    assert_true(shared->services[0].known && shared->services[0].bench == 0);
    assert_int_equal(shared->latency, SLA_AT_RISK); /* never better, being predicted */
    assert_int_equal(small->quality, SLA_BREAKS);
    /* 21 requests per s at the peak: one replica does 25 at most by requests of 40 ms. */
    assert_true(shared->replicas >= 2 && shared->replicas <= 3);
    assert_int_equal(merged->replicas, 3);
    assert_true(fabs(merged->usd_per_month - 3 * 730) < 1e-6);
    assert_true(fabs(shared->services[0].memory_bytes - (503 << 20)) < 1);
    assert_true(fabs(merged->services[0].memory_bytes - (500 << 20)) < 1);
    assert_int_equal(several->count, 2);
    assert_true(shared->first == &shared->services[0]);
    assert_int_equal(shared->services[0].first_percentile, QUEUE_P99);
    assert_true(shared->first_factor >= 1);
    assert_true(says(r, "by single requests, one by one: predicted"));
    report_free(r);
}

/* ---- with a bench ---- */

/* 2 ms and 1 ms a row: 500 / 17 batches of 32 a second, 941 requests. */
static void add_bench(struct store *s, const char *model)
{
    json_t *file = json_pack("{s:s}", "model", model), *none = json_object();
    const struct bench_about a = {.file = file,
                                  .base_dir = "/tmp",
                                  .model = model,
                                  .target = "engine",
                                  .method = "lora",
                                  .backend = "cpu",
                                  .machine = "m",
                                  .environment = none,
                                  .limit_ms = 50};
    struct bench_setting x = {
        .kind = BENCH_adapters, .adapters = 16, .popularity = "uniform"};
    struct bench_point p = {.kind = "open"};
    struct batch_seen seen[400];
    int64_t id;
#define X(name) x.name = NAN;
    BENCH_SETTING_NUMBERS(X)
#undef X
#define X(name) p.name = NAN;
    BENCH_POINT_NUMBERS(X)
#undef X
    for (int i = 0; i < 400; i++)
        seen[i] = (struct batch_seen){.rows = 1 + i % 32,
                                      .tokens = 24 * (1 + i % 32),
                                      .adapters = 1,
                                      .seconds = .002 + .001 * (1 + i % 32)};
    x.fixed_s = .002;
    x.row_s = .001;
    x.token_s = x.adapter_s = x.cold_s = 0;
    x.batches = 400;
    x.rate = 700;
    x.phi = .93;
    x.phi_low = .91;
    x.phi_high = .95;
    p.load = 490;
    p.share = .7;
    p.p99_ms = 20;
    p.simulated_p99_ms = 19;
    MUST(store_bench_begin(s, &a, &id, err));
    MUST(store_bench_setting(s, id, &x, err));
    MUST(store_bench_point(s, id, &p, err));
    MUST(store_bench_batches(s, id, 0, seen, 400, err));
    MUST(store_bench_end(s, id, err));
    json_decref(file);
    json_decref(none);
}

static void a_bench_makes_them_measured(void **state)
{
    struct fixture *f = *state;
    add_bench(f->store, "models/large");
    struct report *r = judged(f, "");
    const struct task_plan *shared = plan_named(r, "one shared base, large"),
                           *small = plan_named(r, "one shared base, small"),
                           *merged = plan_named(r, "merged, a model per task, large");
    const struct task_service *s = &shared->services[0];
    assert_true(shared->measured && s->bench == 1);
    assert_true(fabs(s->error - .05) < 1e-9); /* 19 ms of 20 */
    assert_int_equal(shared->latency, SLA_MEETS);
    assert_int_equal(shared->overall, SLA_MEETS);
    assert_int_equal(shared->replicas, 1);
    /* Batches grow with the load, so nearly all of the 941 fit under 200 ms. */
    assert_true(s->capacity_per_s > 850 && s->capacity_per_s < 945);
    /* What would have been said without the bench: requests of 40 ms, one by one. 200 ms are
     * four of them and one's own; the wait of M/D/1 is that long for 1 % at 57 % of the 25. */
    assert_true(s->predicted_per_s > 13 && s->predicted_per_s < 15.5);
    assert_true(shared == &r->task_plans->plans[0]); /* the best */
    assert_false(small->measured);                   /* of another base */
    assert_false(merged->measured);                  /* nothing merged was measured */
    for (size_t i = 0; i < 3; i++) {                 /* a lone request takes 3 ms */
        assert_true(s->tasks[i].latency[QUEUE_P50].measured >= 3 - 1e-9);
        assert_true(s->tasks[i].latency[QUEUE_P99].measured < 12);
    }
    assert_true(says(r, "Take one shared base, large (1 replica, $730 a month, meets)"));
    assert_true(says(r, "by batches of bench 1, within 5 %"));
    const json_t *surface =
        json_object_get(json_object_get(r->sections, "tasks"), "surface");
    assert_int_equal(json_array_size(surface), 1);
    assert_true(json_get_num(json_array_get(surface, 0), "phi", NAN) == .93);
    assert_true(json_get_num(json_array_get(surface, 0), "simulated_p99_ms", NAN) == 19);
    struct html h;
    html_init(&h);
    report_html(r, &h);
    /* How they are served goes first. */
    const char *lead =
        strstr(buf_str(&h.out), "class=\"lead\">Take one shared base, large");
    assert_non_null(lead);
    assert_true(lead < strstr(buf_str(&h.out), "id=\"tasks\""));
    assert_non_null(strstr(buf_str(&h.out), "What one replica was measured to carry"));
    assert_non_null(strstr(buf_str(&h.out), "Response times at the peak: one shared"));
    html_release(&h);
    report_free(r);
}

static void the_surface_is_drawn(void **state)
{
    static const struct {
        enum bench_kind kind;
        int64_t adapters, slots;
        const char *popularity;
        double rate;
    } rows[] = {
        {BENCH_base, 0, 0, "uniform", 1000},
        {BENCH_adapters, 1, 0, "uniform", 980},
        {BENCH_adapters, 16, 0, "uniform", 950},
        {BENCH_adapters, 1000, 0, "uniform", 900},
        {BENCH_adapters, 16, 4, "zipf 1.1", 870},
        {BENCH_adapters, 1000, 4, "zipf 1.1", 640},
        {BENCH_adapters, 1000, 16, "zipf 1.1", 700},
        {BENCH_merged, 1, 0, "uniform", 990},
    };
    struct fixture *f = *state;
    add_bench(f->store, "large");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bench_setting x = {.number = (int64_t)i + 1,
                                  .kind = rows[i].kind,
                                  .adapters = rows[i].adapters,
                                  .slots = rows[i].slots,
                                  .popularity = rows[i].popularity};
#define X(name) x.name = NAN;
        BENCH_SETTING_NUMBERS(X)
#undef X
        x.rate = rows[i].rate;
        x.rate_low = x.rate * .95;
        x.rate_high = x.rate * 1.05;
        MUST(store_bench_setting(f->store, 1, &x, err));
    }
    struct report *r = judged(f, "");
    const struct figure *drawn = NULL;
    for (size_t i = 0; i < r->figure_count; i++)
        if (!strcmp(r->figures[i].plot->name, "surface"))
            drawn = &r->figures[i];
    assert_non_null(drawn);
    assert_non_null(drawn->svg);
    assert_string_equal(drawn->takeaway,
                        "One replica keeps its limit at up to 980 requests per s with 1 "
                        "adapter (uniform) and at 640 with 1000 adapters (zipf 1.1, room "
                        "for 4), the base alone at 1000.");
    assert_non_null(strstr(buf_str((struct buf *)&drawn->key.out), "room for 16"));
    report_free(r);
}

static void memory_availability_and_price_are_asked(void **state)
{
    struct fixture *f = *state;
    add_bench(f->store, "large");
    struct report *r =
        judged(f, "replica_memory_mib: 502\navailability: 0.999\n"
                  "replica_availability: 0.9\nbudget_usd_per_month: 2000\n");
    const struct task_plan *shared = plan_named(r, "one shared base, large");
    assert_int_equal(shared->memory.word, SLA_BREAKS); /* 503 MiB */
    assert_true(
        says(r, "A replica of large has room for 2 adapters like these in 502 MiB"));
    /* One is needed: 1 - .1^n >= .999 takes three. */
    assert_int_equal(shared->replicas, 3);
    assert_true(fabs(shared->availability.measured - .999) < 1e-9);
    assert_int_equal(shared->price.word, SLA_BREAKS); /* 2,190 */
    assert_int_equal(shared->overall, SLA_BREAKS);
    report_free(r);
}

static void what_must_stay_or_be_merged_limits_the_ways(void **state)
{
    struct report *r = judged(*state, "base_untouched: true\n");
    assert_null(plan_named(r, "merged, a model per task, small"));
    assert_non_null(plan_named(r, "one shared base, small"));
    assert_string_equal(
        method_of(tasks_at(&r->task_plans->tasks, 0, base_named(r, "small"))->own.cell),
        "lora");
    report_free(r);
    r = judged(*state, "serve: merged\n");
    assert_null(plan_named(r, "one shared base, small"));
    assert_null(plan_named(r, "several bases"));
    assert_non_null(plan_named(r, "merged, a model per task, small"));
    report_free(r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_tasks, close_store)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_tasks_are_told_where),
        cmocka_unit_test(limits_are_the_tasks_or_the_services),
        cmocka_unit_test(paths_end_in_whole_parts),
        T(each_task_has_its_best_on_each_base),
        T(without_a_bench_plans_are_predictions),
        T(a_bench_makes_them_measured),
        T(the_surface_is_drawn),
        T(memory_availability_and_price_are_asked),
        T(what_must_stay_or_be_merged_limits_the_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
