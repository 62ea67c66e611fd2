/* SLA files: what is refused and where, the rule of the words (tests/golden/sla), and
 * verdicts with their sentences over a store of known truth. */
#include "tests/unit/report/fixture.h"

#include "lib/fs.h"
#include "report/cost/cost.h"
#include "report/plots/plot.h"
#include "report/service/sla_parts.h"

/* ---- the file ---- */

static struct sla *parse(const char *text)
{
    struct sla *s = NULL;
    MUST(sla_parse(text, strlen(text), "sla.yaml", false, &s, err));
    return s;
}

static void bad_files_are_told_where(void **state)
{
    static const char *const cases[][2] = {
        {"latency_p99: 5\n", "did you mean 'latency_p99_ms'"},
        {"a: 1\nlatency_p99_ms: 5\n", "line 1"},
        {"name: x\nlatency_p99_ms: -5\n", "line 2"},
        {"latency_p99_ms: fast\n", "latency_p99_ms"},
        {"availability: 1.5\n", "availability"},
        {"requests_per_s: 3\ntasks: [{name: a, requests_per_s: 1}]\n", "add up to 1"},
        {"requests_per_s: 3\npeak_requests_per_s: 2\n", "below the mean"},
        {"peak_requests_per_s: 2\n", "needs the mean"},
        {"tasks: []\n", "1..1000"},
        {"tasks: 4\n", "tasks"},
        {"tasks: [{name: a}]\n", "lacks 'requests_per_s'"},
        {"tasks:\n  - {name: a, requests_per_s: 1}\n  - {name: b, rate: 1}\n", "line 3"},
        {"tasks: [3]\n", "mapping"},
        {"base_untouched: true\nserve: merged\n", "one of the two must go"},
        {"preset: llama3-8b\n", "preset"},
        {"- 1\n", "mapping"},
        {"name: [\n", "sla.yaml"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sla *s = NULL;
        struct err e = ERR_INIT;
        int rc = sla_parse(cases[i][0], strlen(cases[i][0]), "sla.yaml", false, &s, &e);
        if (rc != -ERR_CONFIG && rc != -ERR_PARSE)
            fail_msg("'%s' gives %d", cases[i][0], rc);
        if (!strstr(e.msg, cases[i][1]))
            fail_msg("'%s' lacks '%s'", e.msg, cases[i][1]);
        assert_null(s);
    }
}

static void loads_and_presets_are_filled(void **state)
{
    (void)state;
    struct sla *s = parse("tasks: [{name: a, requests_per_s: 2}, {name: b, "
                          "requests_per_s: 0.5}]\npreset: llama3.1-8b-interactive\n"
                          "tpot_p99_ms: 20\n");
    assert_int_equal(s->task_count, 2);
    assert_string_equal(s->tasks[1].name, "b");
    assert_true(s->mean_per_s == 2.5 && s->peak_per_s == 7.5 && s->peak_assumed);
    assert_true(sla_number(s, "ttft_p99_ms") == 500); /* of the preset */
    assert_true(sla_number(s, "tpot_p99_ms") == 20);  /* one's own goes first */
    assert_true(isnan(sla_number(s, "latency_p99_ms")));
    assert_false(sla_flag(s, "base_untouched"));
    sla_free(s);
    s = parse("requests_per_s: 4\npeak_requests_per_s: 4\nbase_untouched: true\n");
    assert_true(s->peak_per_s == 4 && !s->peak_assumed);
    assert_true(sla_flag(s, "base_untouched"));
    sla_free(s);
    assert_true(isnan(sla_number(NULL, "requests_per_s")));
}

/* ---- the rule ---- */

static json_t *golden(const char *name)
{
    const char *dir = getenv("PEFTLAB_GOLDEN");
    char *path = fs_join(dir ? dir : "tests/golden/sla", name);
    json_t *cases = json_read_file(path, NULL);
    free(path);
    return cases;
}

static void words_follow_the_rule(void **state)
{
    json_t *cases = golden("verdicts.json"), *row;
    size_t i;
    (void)state;
    if (!cases && getenv("PEFTLAB_GOLDEN"))
        skip(); /* a folder of other cases */
    assert_true(json_array_size(cases) > 0);
    json_array_foreach(cases, i, row)
    {
        struct sla_check c = {.limit = json_get_num(row, "limit", NAN),
                              .lower = json_get_num(row, "lower", NAN),
                              .upper = json_get_num(row, "upper", NAN),
                              .more_is_better = json_get_bool(row, "more_is_better", 0),
                              .predicted = json_get_bool(row, "predicted", 0)};
        sla_decide(&c);
        const char *name = json_get_str(row, "name", "?");
        if (strcmp(sla_words[c.word], json_get_str(row, "word", "")) != 0)
            fail_msg("%s: %s", name, sla_words[c.word]);
        double margin = json_get_num(row, "margin", NAN);
        bool same = isnan(margin)   ? isnan(c.margin)
                    : isinf(margin) ? margin == c.margin
                                    : fabs(margin - c.margin) < 1e-12;
        if (!same)
            fail_msg("%s: margin %g", name, c.margin);
    }
    json_decref(cases);
}

/* Of a share the allowance counts: .9999 of a limit of .99 uses a hundredth of it. */
static void shares_are_judged_by_their_allowance(void **state)
{
    static const struct {
        double limit, value, margin;
        enum sla_word word;
    } rows[] = {
        {.99, .9999, .99, SLA_MEETS}, {.99, .99, 0, SLA_MEETS},
        {.99, .98, -1, SLA_BREAKS},   {.5, .9, .8, SLA_MEETS},
        {1, 1, 0, SLA_MEETS},         {1, .999, -.001, SLA_BREAKS},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sla_check c = {.limit = rows[i].limit,
                              .lower = rows[i].value,
                              .upper = rows[i].value,
                              .more_is_better = true,
                              .ceiling = 1};
        sla_decide(&c);
        assert_true(fabs(c.margin - rows[i].margin) < 1e-9);
        assert_int_equal(c.word, rows[i].word);
    }
}

/* ---- over a store ---- */

static int open_reviews(void **state)
{
    open_store(state);
    struct fixture *f = *state;
    fill_reviews(f->store, 5);
    return 0;
}

static const struct sla_verdict *verdict_of(const struct report *r, const char *group)
{
    for (size_t g = 0; g < r->matrix.groups; g++)
        if (!strcmp(r->data.groups.items[g].label, group))
            return &r->services[g];
    fail_msg("no group %s", group);
    return NULL;
}

static const struct sla_check *check_of(const struct sla_verdict *v, const char *key)
{
    for (size_t i = 0; i < v->count; i++)
        if (!strcmp(v->checks[i].key, key))
            return &v->checks[i];
    fail_msg("no check %s", key);
    return NULL;
}

static void assert_word(const struct report *r, const char *group, const char *key,
                        enum sla_word word)
{
    const struct sla_check *c = check_of(verdict_of(r, group), key);
    if (c->word != word)
        fail_msg("%s, %s: %s (%g: %g to %g)", group, key, sla_words[c->word], c->measured,
                 c->lower, c->upper);
}

/* Truths: lora .64 at 4.9 ms, head .45, full 402 MiB, all with 200 requests. */
static void verdicts_tell_the_truth(void **state)
{
    struct report *r = with_sla(
        *state, "requests_per_s: 10\npeak_requests_per_s: 40\nlatency_p50_ms: 8\n"
                "latency_p95_ms: 100\nlatency_p99_ms: 200\nquality_floor: 0.55\n"
                "memory_limit_mib: 300\nbase_untouched: true\nbudget_usd_per_month: "
                "1000\nttft_p99_ms: 5\navailability: 0.99\nreplica_availability: 0.9\n"
                "replicas: 4\n");
    assert_word(r, "lora", "quality_floor", SLA_MEETS);
    assert_word(r, "head", "quality_floor", SLA_BREAKS);
    assert_word(r, "lora", "latency_p50_ms", SLA_MEETS);
    assert_word(r, "lora", "latency_p95_ms", SLA_MEETS);
    assert_word(r, "lora", "latency_p99_ms", SLA_UNKNOWN); /* 200 requests, 299 needed */
    assert_word(r, "lora", "memory_limit_mib", SLA_MEETS);
    assert_word(r, "full", "memory_limit_mib", SLA_BREAKS);
    assert_word(r, "lora", "base_untouched", SLA_MEETS);
    assert_word(r, "full", "base_untouched", SLA_BREAKS);
    assert_word(r, "lora", "budget_usd_per_month", SLA_MEETS);
    assert_word(r, "lora", "ttft_p99_ms", SLA_UNKNOWN);
    assert_word(r, "lora", "availability", SLA_MEETS); /* 1 of 4: .9999 */
    assert_int_equal(verdict_of(r, "lora")->overall, SLA_UNKNOWN);
    assert_int_equal(verdict_of(r, "full")->overall, SLA_BREAKS);
    assert_true(verdict_of(r, "lora")->replicas == 4);
    report_free(r);
}

/* By what was logged of the method, not by its name; nothing logged is nothing known. */
static void base_by_facts(void **state)
{
    (void)state;
    struct method_facts facts = {.name = "any"};
    struct report_trial t = {.method = &facts}, foreign = {.method = NULL};
    const struct report_trial *trials[] = {&t}, *others[] = {&foreign};
    struct report_cell cell = {.trials = trials, .count = 1},
                       other = {.trials = others, .count = 1};
    for (int change = 0; change < BASE_CHANGE_COUNT; change++) {
        facts.changes_base = (enum base_change)change;
        assert_int_equal(sla_changes_base(&cell, false), change != BASE_none);
        assert_int_equal(sla_changes_base(&cell, true), 1);
    }
    assert_int_equal(sla_changes_base(&other, false), -1);
}

/* A limit close to the service time breaks at a low load; replicas are as many as the
 * peak needs; twice the peak on the same replicas is slower. */
static void replicas_follow_the_load(void **state)
{
    struct report *a = with_sla(*state, "requests_per_s: 100\npeak_requests_per_s: 400\n"
                                        "latency_p95_ms: 20\n"),
                  *b = with_sla(*state, "requests_per_s: 100\npeak_requests_per_s: 800\n"
                                        "latency_p95_ms: 20\n"),
                  *c = with_sla(*state, "requests_per_s: 100\npeak_requests_per_s: 800\n"
                                        "latency_p95_ms: 20\nreplicas: 4\n");
    const struct sla_verdict *va = verdict_of(a, "lora"), *vb = verdict_of(b, "lora"),
                             *vc = verdict_of(c, "lora");
    assert_true(va->replicas == ceil(400 / va->load_per_s));
    assert_true(vb->replicas == ceil(800 / vb->load_per_s));
    assert_true(va->load_per_s == vb->load_per_s);
    assert_word(a, "lora", "latency_p95_ms", SLA_MEETS);
    assert_word(b, "lora", "latency_p95_ms", SLA_MEETS);
    assert_word(c, "lora", "latency_p95_ms", SLA_BREAKS); /* 200 per s each: overloaded */
    assert_true(va->first && va->first->break_per_s >= 400);
    assert_true(vc->first && vc->first->break_per_s < 800);
    assert_true(va->first->break_low_per_s < va->first->break_per_s);
    report_free(a);
    report_free(b);
    report_free(c);
}

static const char *takeaway(const struct report *r, const char *section, size_t i)
{
    const json_t *list =
        json_object_get(json_object_get(r->sections, section), "takeaways");
    const char *text = json_string_value(json_array_get(list, i));
    return text ? text : "";
}

static void assert_says(const struct report *r, size_t i, const char *words)
{
    if (!strstr(takeaway(r, "sla", i), words))
        fail_msg("'%s' lacks '%s'", takeaway(r, "sla", i), words);
}

static void sentences_follow_the_words(void **state)
{
    struct report *r = with_sla(*state, "quality_floor: 0.55\n");
    assert_says(r, 0, "meets all 1 constraint with its 95 % bounds");
    assert_says(r, 0, "limit 0.550");
    report_free(r);
    r = with_sla(*state, "quality_floor: 0.55\nlatency_p99_ms: 100\n");
    assert_says(r, 0, "Cannot tell");
    assert_says(r, 0, "1 unknown");
    report_free(r);
    r = with_sla(*state, "quality_floor: 0.99\nrequests_per_s: 1\nlatency_p95_ms: 50\n");
    assert_says(r, 0, "breaks 1 of 2 constraints; first quality");
    assert_says(r, 1, "times the planned peak of 3 (assumed: 3 times the mean)");
    assert_says(r, 2, "Of 6 configurations 0 meet everything");
    report_free(r);
    r = with_sla(*state, "requests_per_s: 1\nlatency_p50_ms: 0.5\n");
    assert_says(r, 0, "breaks 1 of 1 constraint; first response time at peak, p50");
    assert_says(r, 1, "No load is low enough");
    report_free(r);
}

static void page_shows_the_section(void **state)
{
    struct report *r = with_sla(*state, "requests_per_s: 20\nlatency_p95_ms: 50\n"
                                        "name: <script>alert(1)</script>\n");
    struct html h;
    html_init(&h);
    report_html(r, &h);
    const char *page = buf_str(&h.out);
    assert_non_null(strstr(page, "<section id=\"sla\""));
    assert_null(strstr(page, "<script>alert"));
    bool drawn = false;
    for (size_t i = 0; i < r->figure_count; i++)
        drawn |= !strcmp(r->figures[i].plot->name, "load") && r->figures[i].svg;
    assert_true(drawn);
    html_release(&h);
    report_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_are_told_where),
        cmocka_unit_test(loads_and_presets_are_filled),
        cmocka_unit_test(words_follow_the_rule),
        cmocka_unit_test(shares_are_judged_by_their_allowance),
        cmocka_unit_test(base_by_facts),
        cmocka_unit_test_setup_teardown(verdicts_tell_the_truth, open_reviews,
                                        close_store),
        cmocka_unit_test_setup_teardown(replicas_follow_the_load, open_reviews,
                                        close_store),
        cmocka_unit_test_setup_teardown(sentences_follow_the_words, open_reviews,
                                        close_store),
        cmocka_unit_test_setup_teardown(page_shows_the_section, open_reviews,
                                        close_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
