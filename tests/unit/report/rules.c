/* The rules behind sections and their sentences: threats, next experiments, claims made
 * beforehand, what moves the score, the front, several sweeps in one report. */
#include "tests/unit/report/fixture.h"

#include "lib/fs.h"
#include "lib/str.h"
#include "report/cost/cost.h"
#include "report/evidence/experiments.h"
#include "report/evidence/front.h"
#include "report/evidence/importance.h"
#include "report/evidence/strength.h"
#include "report/page/verify.h"

static struct report *build(struct store *s, struct report_options o)
{
    struct report *r = NULL;
    MUST(report_build(s, &o, &r, err));
    return r;
}

static const char *takeaway(const struct report *r, const char *section, size_t i)
{
    return json_string_value(json_array_get(
        json_object_get(json_object_get(r->sections, section), "takeaways"), i));
}

/* The text of a threat; NULL: it does not apply. */
static const char *threat(const struct report *r, const char *id)
{
    const json_t *t;
    size_t i;
    json_array_foreach(
        json_object_get(json_object_get(r->sections, "threats"), "threats"), i, t)
    {
        if (str_eq(json_get_str(t, "id", ""), id))
            return json_get_str(t, "text", "");
    }
    return NULL;
}

/* ---- threats ---- */

static void threats_follow_the_evidence(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 1);
    struct report *r = build(f->store, defaults());
    assert_non_null(strstr(threat(r, "single_seed"), "a single seed"));
    assert_non_null(strstr(threat(r, "unequal_tuning"), "from 1 to 8 variants"));
    assert_non_null(threat(r, "one_machine"));
    assert_non_null(threat(r, "default_delta"));
    assert_non_null(threat(r, "no_service_levels"));
    assert_null(threat(r, "leakage"));
    assert_null(threat(r, "different_evaluation"));
    assert_null(threat(r, "unbridged_environments"));
    assert_null(threat(r, "same_split"));
    assert_null(threat(r, "one_situation"));
    /* worst first: the sentence of the section is that of the first that applies */
    const json_t *list =
        json_object_get(json_object_get(r->sections, "threats"), "threats");
    for (size_t i = 1; i < json_array_size(list); i++)
        assert_true(json_get_int(json_array_get(list, i), "level", 0) >=
                    json_get_int(json_array_get(list, i - 1), "level", 0));
    assert_non_null(strstr(takeaway(r, "threats", 0),
                           json_get_str(json_array_get(list, 0), "text", "")));
    report_free(r);
}

static void threats_follow_the_options(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 3);
    struct report_options o = defaults();
    o.select_metric = "test/macro_f1";
    o.delta = .5;
    struct report *r = build(f->store, o);
    assert_non_null(threat(r, "same_split"));
    assert_null(threat(r, "default_delta"));
    assert_null(threat(r, "few_seeds"));
    assert_null(threat(r, "single_seed"));
    report_free(r);
}

/* Trials whose environment is changed after the fact, as a new stack would. */
static void change_environment(struct report *r, size_t group, const char *key,
                               const char *value)
{
    for (size_t i = 0; i < r->data.count; i++)
        if (r->data.trials[i].group == group && r->data.trials[i].environment)
            json_object_set_new(r->data.trials[i].environment, key, json_string(value));
}

static void environments_and_hashes_are_compared(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 2);
    struct report *r = build(f->store, defaults());
    assert_int_equal(evidence_block_count(r, SIZE_MAX), 1);
    assert_int_equal(evidence_leaks(r), 0);
    assert_int_equal(evidence_test_files(r), 1);
    struct report_trial *t = &r->data.trials[0];
    json_t *hashes = json_object_get(t->environment, "sha256");
    json_object_set_new(hashes, "eval_data", json_string(trial_hash(t, "train_data")));
    assert_int_equal(evidence_leaks(r), 1);
    for (size_t i = 0; i < r->data.count; i++) {
        t = &r->data.trials[i];
        if (t->column == r->matrix.main_column && trial_is_good(t, &r->settings)) {
            json_object_set_new(json_object_get(t->environment, "sha256"), "test_data",
                                json_string("other"));
            break;
        }
    }
    assert_int_equal(evidence_test_files(r), 2);
    const struct report_cell *a = matrix_cell(&r->matrix, 1, 0),
                             *b = matrix_cell(&r->matrix, 1, 1);
    assert_true(cells_share_block(a, b));
    change_environment(r, 0, "backend", "cuda");
    for (size_t i = 0; i < a->count; i++)
        ((struct report_trial *)a->trials[i])->machine = 7;
    assert_false(cells_share_block(a, b));
    report_free(r);
}

/* ---- next experiments ---- */

static void value_is_the_unit_normal_loss(void **state)
{
    (void)state;
    assert_true(fabs(next_value(0, 1) - .3989422804) < 1e-9);
    assert_true(fabs(next_value(1, 1) - .0833154706) < 1e-9);
    assert_true(fabs(next_value(.02, .01) - .01 * .0084907020) < 1e-11);
    assert_true(next_value(1, .01) < 1e-12);
    assert_true(next_value(.1, 0) == 0 && next_value(NAN, 1) == 0);
    assert_true(next_value(.1, .3) > next_value(.1, .2)); /* more to learn, more worth */
}

static void experiments_are_ranked_by_value_per_dollar(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 2);
    struct report *r = build(f->store, defaults());
    size_t n;
    struct next *x = next_experiments(r, &n);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        assert_true(x[i].value >= r->settings.rules.delta / 1000 && x[i].usd > 0);
        assert_true(fabs(x[i].rate - x[i].value / x[i].usd) < 1e-9 * x[i].rate);
        assert_true(i == 0 || x[i].rate <= x[i - 1].rate);
        if (x[i].kind == NEXT_SEEDS) {
            const struct verdict_pair *p =
                verdict_find(r->matrix.verdicts[x[i].column], x[i].group, x[i].rival);
            assert_int_equal(p->word, VERDICT_UNDECIDED);
            assert_int_equal(x[i].trials, 2 * x[i].seeds);
        }
    }
    assert_non_null(strstr(takeaway(r, "next", 0), "per dollar"));
    free(x);
    report_free(r);
}

/* ---- claims ---- */

static void claims_are_held_against_trials(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 8);
    struct report *r = build(f->store, defaults());
    bool memory = false, outside = false;
    for (size_t i = 0; i < r->claims.count; i++) {
        const struct claim *c = &r->claims.items[i];
        /* lora plans 64 MiB and full 402: the claim holds */
        if (str_eq(c->prior->id, "lora-less-memory")) {
            memory = true;
            assert_int_equal(c->word, PRIOR_AGREES);
            assert_true(c->pair.diff < 0);
            assert_false(c->quality);
        }
        if (str_eq(c->prior->id, "much-data-full-leads")) { /* from 10,000 rows on */
            outside = true;
            assert_int_equal(c->word, PRIOR_OUTSIDE);
        }
    }
    assert_true(memory && outside);
    assert_non_null(strstr(takeaway(r, "priors", 0), "within their scope"));
    report_free(r);
}

/* ---- what moves the score, the front ---- */

static void importance_finds_what_was_put_in(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 8);
    struct report *r = build(f->store, defaults());
    struct importance m;
    assert_true(importance_of(r, &m));
    assert_true(m.anova);
    assert_int_equal(m.factors, 3);
    assert_int_equal(m.count, 7);                 /* 3 effects, 3 pairs, 1 of three */
    assert_string_equal(m.bars[0].name, "alpha"); /* .02 against .004 and .012 */
    assert_true(m.bars[0].ci.low > 0 && m.bars[0].ci.high < 1);
    report_free(r);
}

static void front_follows_the_truth(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 8);
    struct report *r = build(f->store, defaults());
    size_t n, knees = 0;
    struct front_point *p = pareto_front(r, front_axis_find("memory"), &n);
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++) {
        const char *name = r->data.groups.items[p[i].cell->group].label;
        knees += p[i].knee;
        if (str_eq(name, "full") || str_eq(name, "prefix")) /* dear, or bad */
            assert_true(p[i].probability < .5);
        if (str_eq(name, "head")) /* the leanest by far */
            assert_true(p[i].on_front && p[i].probability > .99);
    }
    assert_int_equal(knees, 1);
    free(p);
    report_free(r);
}

/* ---- a page that can be checked ---- */

static void changed_pages_are_told(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 2);
    struct report *r = build(f->store, defaults());
    struct html h;
    struct verification v;
    html_init(&h);
    report_html(r, &h);
    MUST(verify_page(h.out.data, h.out.len, f->store, &v, err));
    assert_true(v.data && v.page && v.store == 1);
    assert_string_equal(v.rows_sha256, r->data.rows_sha256);
    verification_release(&v);
    for (size_t i = 3; i < h.out.len; i += h.out.len / 40) { /* any byte */
        char was = h.out.data[i];
        struct err e = ERR_INIT;
        h.out.data[i] = was == '~' ? '!' : '~';
        int rc = verify_page(h.out.data, h.out.len, NULL, &v, &e);
        assert_true(rc < 0 || !v.page);
        verification_release(&v);
        h.out.data[i] = was;
    }
    html_release(&h);
    report_free(r);
}

/* ---- several sweeps ---- */

static void several_sweeps_make_columns(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 2);
    struct filler more = {.store = f->store};
    json_t *file = json_object();
    MUST(store_experiment(f->store, "tickets", &more.experiment, err));
    MUST(store_sweep(f->store, more.experiment, "tickets", file, "/tmp", &more.sweep,
                     err));
    json_decref(file);
    for (int64_t seed = 0; seed < 2; seed++)
        for (size_t m = 0; m < 2; m++) {
            json_t *p = params_of(&truths[m], 400, 1e-3);
            json_object_set_new(p, "train_data", json_string("data/tickets.jsonl"));
            add_trial(&more, &truths[m], p, 400, seed, 0, 0, TRIAL_complete, NULL);
        }
    struct report_options o = defaults();
    json_t *both = json_pack("[s, s]", "reviews", "tickets");
    o.scope.sweeps = both;
    struct report *r = build(f->store, o);
    assert_string_equal(r->data.title, "sweeps reviews and tickets");
    assert_int_equal(r->matrix.columns, 3);
    size_t named = 0;
    for (size_t c = 0; c < 3; c++)
        named += strstr(r->data.columns.items[c].label, "tickets.jsonl") != NULL;
    assert_int_equal(named, 1);
    report_free(r);
    json_decref(both);
}

int main(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)
    const struct CMUnitTest tests[] = {
        WITH_STORE(threats_follow_the_evidence),
        WITH_STORE(threats_follow_the_options),
        WITH_STORE(environments_and_hashes_are_compared),
        cmocka_unit_test(value_is_the_unit_normal_loss),
        WITH_STORE(experiments_are_ranked_by_value_per_dollar),
        WITH_STORE(claims_are_held_against_trials),
        WITH_STORE(importance_finds_what_was_put_in),
        WITH_STORE(front_follows_the_truth),
        WITH_STORE(changed_pages_are_told),
        WITH_STORE(several_sweeps_make_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
