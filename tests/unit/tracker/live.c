/* What the page asks: the table with what varies and its groups, curves that lose no peak,
 * which trials changed between two looks, writes of many in one transaction. */
#include "tests/unit/tracker/fixture.h"
#include "tracker/live/changes.h"
#include "tracker/live/live.h"
#include "tracker/store/batch.h"
#include "tracker/store/labels.h"
#include "tracker/store/store_priv.h"

static void log_value(struct store *s, int64_t run, const char *key, int64_t step,
                      double v)
{
    const struct metric_point p = {key, step, v};
    OK(store_log_metrics(s, run, &p, 1, err));
}

static json_t *table(struct store *s, const struct live_query *q)
{
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT;
    if (live_trials(s, q, &text, &err) < 0)
        fail_msg("%s", err.msg);
    json_t *out = json_parse(buf_str(&text), text.len, "answer", &err);
    buf_release(&text);
    if (!out)
        fail_msg("%s", err.msg);
    return out;
}

/* Nine trials: three configurations, three seeds each; the first six are complete. */
static int64_t nine_trials(struct store *s)
{
    const int64_t sweep = new_sweep(s, "a");
    add_trials(s, sweep, 9);
    for (int i = 0; i < 6; i++) {
        struct run_claim c = claim_one(s, sweep, 60000);
        log_value(s, c.run, "eval/accuracy", -1, 0.5 + 0.01 * i);
        OK(store_run_finish(s, c.run, TRIAL_complete, 0, NULL, err));
    }
    return sweep;
}

static void the_table_says_what_varies(void **state)
{
    struct fixture *f = *state;
    const struct live_query q = {.sweep = nine_trials(f->store), .limit = 100};
    json_t *t = table(f->store, &q),
           *first = json_array_get(json_object_get(t, "rows"), 0);
    assert_int_equal(json_get_int(t, "total", 0), 9);
    assert_int_equal(json_array_size(json_object_get(t, "rows")), 9);
    json_t *varying = json_object_get(t, "varying");
    assert_string_equal(json_string_value(json_array_get(varying, 0)), "rank");
    assert_string_equal(json_string_value(json_array_get(varying, 1)), "seed");
    assert_int_equal(json_get_int(json_object_get(first, "values"), "rank", 0), 4);
    assert_true(json_get_num(json_object_get(first, "values"), "eval/accuracy", 0) == .5);
    json_decref(t);
}

static void filters_and_orders(void **state)
{
    struct fixture *f = *state;
    struct live_query q = {.sweep = nine_trials(f->store), .limit = 2};
    q.words = "state=complete rank>=8";
    q.sort = "eval/accuracy";
    json_t *t = table(f->store, &q), *rows = json_object_get(t, "rows");
    assert_int_equal(json_get_int(t, "total", 0), 4);
    assert_int_equal(json_array_size(rows), 2);
    const json_t *best = json_object_get(json_array_get(rows, 0), "values");
    assert_true(fabs(json_get_num(best, "eval/accuracy", 0) - .55) < 1e-12);
    json_decref(t);
    q.words = "rank>=8";
    q.sort = "name:desc"; /* "rank=8" */
    t = table(f->store, &q);
    const json_t *row = json_array_get(json_object_get(t, "rows"), 0);
    assert_string_equal(json_get_str(row, "name", ""), "rank=8");
    json_decref(t);
    q.sort = "none";
    struct buf text = BUF_INIT;
    FAILS(live_trials(f->store, &q, &text, err), ERR_USAGE, "no column 'none'");
}

static const json_t *group_metric(const json_t *t, size_t k)
{
    return json_object_get(
        json_object_get(json_array_get(json_object_get(t, "groups"), k), "metrics"),
        "eval/accuracy");
}

/* Whatever a filter leaves of a group, its numbers are those of all its seeds. */
static void groups_are_whole(void **state)
{
    struct fixture *f = *state;
    json_t *ids = json_pack("[i]", 2);
    struct live_query q = {
        .sweep = nine_trials(f->store), .limit = 100, .words = "seed<1"};
    for (int asked = 0; asked < 2; asked++) {
        json_t *t = table(f->store, &q), *groups = json_object_get(t, "groups");
        assert_int_equal(json_array_size(json_object_get(t, "rows")), 1);
        assert_int_equal(json_array_size(groups), 1);
        assert_int_equal(json_get_int(json_array_get(groups, 0), "n", 0), 3);
        assert_int_equal(json_get_int(group_metric(t, 0), "n", 0), 2);
        assert_true(fabs(json_get_num(group_metric(t, 0), "mean", 0) -
                         (asked ? .525 : .515)) < 1e-12);
        json_decref(t);
        q.words = NULL;
        q.ids = ids;
    }
    json_decref(ids);
}

static void the_table_has_no_secrets(void **state)
{
    struct fixture *f = *state;
    static const char secret[] = "abcdefgh12345678";
    struct live_query q = {.sweep = nine_trials(f->store), .limit = 100};
    struct buf text = BUF_INIT;
    /* As a store has it that others wrote; ours hides while writing, too. */
    OK(store_script(f->store,
                    "INSERT INTO tag (trial, key, value) VALUES (1, 'hub_token', "
                    "'abcdefgh12345678'), (1, 'repository', "
                    "'https://ana:abcdefgh12345678@host/x'); UPDATE trial SET note = "
                    "'with HF_TOKEN=abcdefgh12345678' WHERE id = 1",
                    err));
    OK(live_trials(f->store, &q, &text, err));
    assert_non_null(strstr(buf_str(&text), "https://ana:[redacted]@host/x"));
    assert_null(strstr(buf_str(&text), secret));
    buf_release(&text);
    q.words = secret; /* nor is it found */
    json_t *t = table(f->store, &q);
    assert_int_equal(json_get_int(t, "total", -1), 0);
    json_decref(t);
}

static void intervals_say_how_far_they_hold(void **state)
{
    struct fixture *f = *state;
    const struct live_query q = {.sweep = nine_trials(f->store), .limit = 100};
    json_t *t = table(f->store, &q);
    assert_int_equal(json_array_size(json_object_get(t, "groups")), 3);
    const json_t *m = group_metric(t, 0); /* seeds 0 and 3: .50 and .53 */
    assert_true(fabs(json_get_num(m, "mean", 0) - .515) < 1e-12);
    assert_int_equal(json_get_int(m, "n", 0), 2);
    assert_string_equal(json_get_str(m, "holds", ""), "any look"); /* three repeated */
    const double wide = json_get_num(m, "high", 0) - json_get_num(m, "low", 0);
    json_decref(t);
    OK(store_spare(f->store, q.sweep, "enough", err));
    t = table(f->store, &q);
    m = group_metric(t, 0);
    assert_string_equal(json_get_str(m, "holds", ""), "final");
    assert_true(fabs(json_get_num(m, "high", 0) - (.515 + 12.7062 * .015)) < 1e-4);
    assert_true(wide > 0);
    json_decref(t);
}

/* A sawtooth with one spike up and one down; and NaN. */
static void a_thinned_curve_keeps_its_peaks(void **state)
{
    struct fixture *f = *state;
    const int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    struct run_claim c = claim_one(f->store, sweep, 600000);
    enum { N = 5000 };
    struct metric_point *p = xcalloc(N, sizeof *p);
    for (int i = 0; i < N; i++)
        p[i] = (struct metric_point){"loss", i,
                                     i == 1234   ? 9
                                     : i == 3210 ? -9
                                     : i == 4000 ? NAN
                                                 : (i % 10) / 10.0};
    OK(store_log_metrics(f->store, c.run, p, N, err));
    const struct live_window w = {.points = 100, .to = LIVE_ALL_STEPS};
    struct err err = ERR_INIT;
    json_t *curves = live_curves(f->store, &c.trial, 1, "loss", &w, &err);
    json_t *one = json_array_get(curves, 0), *points = json_object_get(one, "points"), *q;
    assert_int_equal(json_get_int(one, "n", 0), N);
    assert_true(json_array_size(points) >= 100 && json_array_size(points) <= 110);
    int seen = 0;
    int64_t last = -1;
    size_t i;
    json_array_foreach(points, i, q)
    {
        const json_t *v = json_array_get(q, 1);
        const int64_t step = json_integer_value(json_array_get(q, 0));
        assert_true(step > last);
        last = step;
        seen += json_number_value(v) == 9 || json_number_value(v) == -9 ||
                (json_is_string(v) && step == 4000);
    }
    assert_int_equal(seen, 3);
    assert_int_equal(last, N - 1);
    json_decref(curves);
    const struct live_window part = {.points = 100, .from = 4990, .to = 4994};
    curves = live_curves(f->store, &c.trial, 1, "loss", &part, &err);
    assert_int_equal(
        json_array_size(json_object_get(json_array_get(curves, 0), "points")), 5);
    json_decref(curves);
    json_t *keys = live_keys(f->store, &c.trial, 1, &err);
    assert_int_equal(json_array_size(keys), 1);
    json_decref(keys);
    free(p);
}

/* The last step lies in the last part, however far it is. */
static void steps_may_be_any_number(void **state)
{
    struct fixture *f = *state;
    const int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 1);
    struct run_claim c = claim_one(f->store, sweep, 600000);
    const struct metric_point p[] = {{"a", 0, 1},
                                     {"a", 5, -1},
                                     {"a", 6, -2},
                                     {"a", INT64_MAX - 1, 3},
                                     {"a", INT64_MAX, 2}};
    OK(store_log_metrics(f->store, c.run, p, ARRAY_LEN(p), err));
    for (int quick = 0; quick < 2; quick++) {
        const struct live_window w = {.points = 2, .to = LIVE_ALL_STEPS, .quick = quick};
        struct err err = ERR_INIT;
        json_t *curves = live_curves(f->store, &c.trial, 1, "a", &w, &err),
               *points = json_object_get(json_array_get(curves, 0), "points"), *q;
        struct buf steps = BUF_INIT;
        size_t i;
        json_array_foreach(points, i, q)
        {
            buf_printf(&steps, "%s%lld", i ? " " : "",
                       (long long)json_integer_value(json_array_get(q, 0)));
        }
        assert_string_equal(buf_str(&steps),
                            quick ? "0 9223372036854775806 9223372036854775807"
                                  : "0 6 9223372036854775806 9223372036854775807");
        buf_release(&steps);
        json_decref(curves);
    }
}

static json_t *look(struct live_changes *c, struct store *s)
{
    struct err err = ERR_INIT;
    json_t *news = live_changes_look(c, s, &err);
    if (!news)
        fail_msg("%s", err.msg);
    return news;
}

static void assert_news(struct live_changes *c, struct store *s, const char *wanted)
{
    struct buf text = BUF_INIT;
    json_t *news = look(c, s);
    json_write(&text, news, 0);
    assert_string_equal(buf_str(&text), wanted);
    buf_release(&text);
    json_decref(news);
}

static void each_change_is_found_once(void **state)
{
    struct fixture *f = *state;
    struct store *reader;
    struct live_changes *c = live_changes_new();
    const char nothing[] = "{\"trials\": [], \"sweeps\": []}";
    const int64_t sweep = new_sweep(f->store, "a");
    add_trials(f->store, sweep, 2);
    OK(store_open(f->path, STORE_READ_ONLY, &reader, err));
    assert_news(c, reader, nothing);
    const int64_t version = live_version(reader, NULL);
    assert_int_equal(live_version(reader, NULL), version);
    struct run_claim claim = claim_one(f->store, sweep, 60000);
    assert_true(live_version(reader, NULL) != version);
    assert_news(c, reader, "{\"trials\": [1], \"sweeps\": [1]}");
    assert_news(c, reader, nothing);
    log_value(f->store, claim.run, "loss", 7, 1);
    assert_news(c, reader, "{\"trials\": [1], \"sweeps\": [1]}");
    OK(store_tag(f->store, 2, "owner", "ana", err));
    assert_news(c, reader, "{\"trials\": [2], \"sweeps\": [1]}");
    OK(store_log_event(f->store, claim.run, "note", "x", err));
    assert_news(c, reader, "{\"trials\": [1], \"sweeps\": [1]}");
    OK(store_sweep_stop(f->store, sweep, true, err));
    assert_news(c, reader, "{\"trials\": [], \"sweeps\": [1]}");
    assert_news(c, reader, nothing);
    store_close(reader);
    live_changes_free(c);
}

static int add_experiment(struct store *s, void *ctx, struct err *err)
{
    int64_t id;
    const int rc = store_experiment(s, ctx, &id, err);
    return rc == 0 && !strcmp(ctx, "bad") ? err_set(err, ERR_CONFIG, "said to be bad")
                                          : rc;
}

static void a_batch_keeps_what_did_not_fail(void **state)
{
    struct fixture *f = *state;
    char names[][4] = {"one", "bad", "two"};
    struct store_job jobs[3];
    for (size_t i = 0; i < 3; i++)
        jobs[i] = (struct store_job){.work = add_experiment, .ctx = names[i]};
    store_batch(f->store, jobs, 3);
    assert_int_equal(jobs[0].rc, 0);
    assert_int_equal(jobs[1].rc, -ERR_CONFIG);
    assert_string_equal(jobs[1].err.msg, "said to be bad");
    assert_int_equal(jobs[2].rc, 0);
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM experiment_view"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)
        T(the_table_says_what_varies),      T(filters_and_orders),
        T(intervals_say_how_far_they_hold), T(a_thinned_curve_keeps_its_peaks),
        T(steps_may_be_any_number),         T(each_change_is_found_once),
        T(a_batch_keeps_what_did_not_fail), T(groups_are_whole),
        T(the_table_has_no_secrets),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
