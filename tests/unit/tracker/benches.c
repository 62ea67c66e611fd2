/* tests/unit/tracker/benches.c - what a bench puts into the store is what readers get. */
#include "tests/unit/tracker/fixture.h"
#include "tracker/view/served.h"

static int64_t new_bench(struct store *s, const char *model)
{
    json_t *file = json_pack("{s:s}", "model", model),
           *environment = json_pack("{s:i}", "cores", 2);
    const struct bench_about a = {.file = file,
                                  .base_dir = "/tmp",
                                  .model = model,
                                  .target = "engine",
                                  .method = "lora",
                                  .backend = "cpu",
                                  .machine = "a machine, 2 threads",
                                  .environment = environment,
                                  .limit_ms = 50};
    int64_t id = 0;
    OK(store_bench_begin(s, &a, &id, err));
    json_decref(file);
    json_decref(environment);
    return id;
}

static struct bench_setting no_numbers(enum bench_kind kind)
{
    struct bench_setting x = {.kind = kind, .adapters = 16, .popularity = "zipf 1.1"};
#define X(name) x.name = NAN;
    BENCH_SETTING_NUMBERS(X)
#undef X
    return x;
}

static void what_was_put_is_read(void **state)
{
    struct fixture *f = *state;
    const int64_t id = new_bench(f->store, "models/a"), other = new_bench(f->store, "b");
    struct bench_setting x = no_numbers(BENCH_adapters);
    struct bench_point p = {.kind = "open", .number = 3, .seed = 7, .sent = 100};
    const struct batch_seen seen[] = {{2, 48, 2, 1, 3, .25}, {1, 24, 1, 0, 3, .125}};
    OK(store_bench_setting(f->store, id, &x, err));
    x.rate = 120.5;
    x.fixed_s = .001;
    x.batches = 2;
    OK(store_bench_setting(f->store, id, &x, err)); /* replaced */
    p.load = 80;
    p.p99_ms = 12.5;
    p.p99_high_ms = NAN;
    p.generator_late = 1;
    OK(store_bench_point(f->store, id, &p, err));
    OK(store_bench_batches(f->store, id, 0, seen, 2, err));
    OK(store_bench_batches(f->store, id, 0, seen, 2, err));
    OK(store_bench_end(f->store, id, err));

    struct served_list l;
    OK(served_read(f->store, NULL, &l, err));
    assert_int_equal(l.count, 1); /* the other has not ended */
    const struct served *b = &l.benches[0];
    assert_int_equal(b->id, id);
    assert_string_equal(b->method, "lora");
    assert_string_equal(json_get_str(b->file, "model", ""), "models/a");
    assert_int_equal(b->setting_count, 1);
    assert_int_equal(b->settings[0].kind, BENCH_adapters);
    assert_string_equal(b->settings[0].popularity, "zipf 1.1");
    assert_true(b->settings[0].rate == 120.5 && isnan(b->settings[0].phi));
    assert_int_equal(b->settings[0].slots, 0);
    assert_true(served_times(&b->settings[0]).fixed_s == .001);
    assert_int_equal(b->point_count, 1);
    assert_true(b->points[0].p99_ms == 12.5 && isnan(b->points[0].p99_high_ms));
    assert_int_equal(b->points[0].seed, 7);
    assert_int_equal(b->points[0].generator_late, 1);

    struct batch_seen *back;
    size_t n;
    OK(served_batches(f->store, b, 0, &back, &n, err));
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++)
        assert_true(back[i].rows == seen[i].rows && back[i].tokens == seen[i].tokens &&
                    back[i].adapters == seen[i].adapters &&
                    back[i].cold == seen[i].cold && back[i].point == seen[i].point &&
                    back[i].seconds == seen[i].seconds);
    free(back);
    served_release(&l);

    OK(store_bench_end(f->store, other, err));
    OK(served_read(f->store, "elsewhere/a", &l, err)); /* by the last part of its path */
    assert_int_equal(l.count, 1);
    assert_int_equal(l.benches[0].id, id);
    served_release(&l);
    OK(served_read(f->store, "c", &l, err));
    assert_int_equal(l.count, 0);
    served_release(&l);
}

static void what_does_not_belong_is_refused(void **state)
{
    struct fixture *f = *state;
    struct bench_setting x = no_numbers(BENCH_base);
    FAILS(store_bench_setting(f->store, 99, &x, err), ERR_BUG, "FOREIGN KEY");
    const int64_t id = new_bench(f->store, "a");
    const struct batch_seen empty = {.rows = 0};
    FAILS(store_bench_batches(f->store, id, 0, &empty, 1, err), ERR_BUG, "CHECK");
    assert_int_equal(query_int(f->store, "SELECT count(*) FROM bench_batch_view"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        T(what_was_put_is_read),
        T(what_does_not_belong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
