/* Single runs on counted items: the tied set against the plain formula, and peft's
 * published results against what was computed from them by hand (19 of 62 not different
 * after Holm, 9 without adjustment, intervals of +/- 2.7 points). */
#include "tests/unit/report/fixture.h"

#include "lib/fs.h"
#include <dirent.h>

enum { ITEMS = 1319 };

struct result {
    const char *name;
    double accuracy, bytes, train_s;
};

static void add_result(struct filler *f, const struct result *x)
{
    const struct metric_point p[] = {
        {"test/accuracy", -1, x->accuracy}, {"mem/planned_bytes", -1, x->bytes},
        {"time/train_s", -1, x->train_s},   {"time/total_s", -1, x->train_s},
        {"data/test_rows", -1, ITEMS},
    };
    json_t *params = json_pack("{s:s}", "config", x->name);
    struct trial_row row = {.sweep = f->sweep,
                            .experiment = f->experiment,
                            .number = f->number++,
                            .key = (char *)x->name,
                            .base_dir = "/tmp",
                            .config = params,
                            .params = params,
                            .predicted_bytes = -1,
                            .predicted_s = NAN};
    size_t added;
    struct run_claim claim;
    MUST(store_add_trials(f->store, &row, 1, &added, err));
    MUST(store_claim(f->store, f->sweep, 0, 60000, NULL, &claim, err));
    MUST(store_log_metrics(f->store, claim.run, p, ARRAY_LEN(p), err));
    MUST(store_run_finish(f->store, claim.run, TRIAL_complete, 0, NULL, err));
    json_decref(params);
}

struct bench {
    char dir[64];
    char *path;
    struct filler f;
};

static int open_bench(void **state)
{
    struct bench *x = xcalloc(1, sizeof *x);
    json_t *file = json_object();
    strcpy(x->dir, "/tmp/peftlab-items-XXXXXX");
    assert_non_null(mkdtemp(x->dir));
    x->path = fs_join(x->dir, "s.db");
    MUST(store_open(x->path, STORE_CREATE, &x->f.store, err));
    MUST(store_experiment(x->f.store, "table", &x->f.experiment, err));
    MUST(store_sweep(x->f.store, x->f.experiment, "table", file, "/tmp", &x->f.sweep,
                     err));
    json_decref(file);
    *state = x;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *x = *state;
    store_close(x->f.store);
    fs_remove_tree(x->dir, NULL);
    free(x->path);
    free(x);
    return 0;
}

static struct report *build(struct bench *x)
{
    struct report_options o = {.delta = NAN,
                               .collapse = NAN,
                               .requests_per_day = NAN,
                               .core_usd_per_hour = REPORT_CORE_USD_PER_HOUR};
    struct report *r = NULL;
    MUST(report_build(x->f.store, &o, &r, err));
    return r;
}

static void assert_screening(const struct report *r, const char *words)
{
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    char *lines = report_lines(r);
    struct html h;
    assert_true(v->item_level);
    assert_non_null(strstr(lines, words));
    assert_non_null(strstr(lines, "how much seeds vary is unknown"));
    assert_null(strstr(lines, "is better than"));
    assert_non_null(strstr(lines, "Take "));
    json_t *decision = json_object_get(r->sections, "decision");
    assert_string_equal(json_get_str(decision, "confidence", ""), "screening only");
    for (size_t i = 0; i < v->ranked; i++) {
        const struct verdict_config *c = &v->configs[v->ranking[i]];
        if (c->mean > .4 && c->mean < .6) /* Wilson on 1,319 items */
            assert_true(fabs((c->ci.high - c->ci.low) / 2 - .027) < .0006);
    }
    html_init(&h);
    report_html(r, &h);
    assert_true(h.out.len < 1000000);
    html_release(&h);
    free(lines);
}

/* ---- a table of known counts ---- */

/* P(range of k standard normal values > w) by Simpson's rule on the textbook integral. */
static double range_tail(double w, int k)
{
    const int steps = 4000;
    double sum = 0, h = 16.0 / steps;
    for (int i = 0; i <= steps; i++) {
        double z = -8 + h * i, in = (erf(z / sqrt(2)) - erf((z - w) / sqrt(2))) / 2;
        sum += (i == 0 || i == steps ? 1
                : i % 2              ? 4
                                     : 2) *
               exp(-z * z / 2) * pow(in, k - 1);
    }
    return 1 - k * sum * h / 3 / sqrt(2 * M_PI);
}

/* How many of `n` counts differ from the best in all pairs at once. */
static size_t different(const int *right, size_t n)
{
    size_t out = 0;
    for (size_t i = 1; i < n; i++) {
        double pool = (right[0] + right[i]) / (2.0 * ITEMS);
        double z =
            (right[0] - right[i]) / (double)ITEMS / sqrt(2 * pool * (1 - pool) / ITEMS);
        out += range_tail(z * sqrt(2), (int)n) < .05;
    }
    return out;
}

static void tied_set_holds_for_all_pairs(void **state)
{
    struct bench *x = *state;
    int right[40];
    char name[16], words[64];
    for (int i = 0; i < 40; i++) {
        right[i] = 700 - 4 * i;
        snprintf(name, sizeof name, "c%02d", i);
        add_result(&x->f, &(struct result){name, right[i] / (double)ITEMS,
                                           1e9 + 1e7 * ((i * 7) % 40), 900});
    }
    struct report *r = build(x);
    size_t same = 39 - different(right, 40);
    assert_true(same > 5 && same < 35); /* or the test shows nothing */
    assert_int_equal(r->matrix.verdicts[0]->tied_count - 1, same);
    snprintf(words, sizeof words, "%zu of 39 others do not differ", same);
    assert_screening(r, words);
    report_free(r);
}

/* ---- peft's own results, where they are (PEFTLAB_PEFT_RESULTS names the folder) ---- */

static void add_file(struct bench *x, const char *dir, const char *file)
{
    char *path = fs_join(dir, file);
    json_t *o = json_read_file(path, NULL), *t = json_object_get(o, "train_info"),
           *metrics = json_object_get(t, "metrics");
    const json_t *last = json_array_get(metrics, json_array_size(metrics) - 1);
    assert_non_null(last);
    add_result(&x->f, &(struct result){file, json_get_num(last, "test accuracy", NAN),
                                       json_get_num(t, "accelerator_memory_max", NAN),
                                       json_get_num(t, "train_time", NAN)});
    json_decref(o);
    free(path);
}

static void peft_results_agree_with_what_was_computed(void **state)
{
    struct bench *x = *state;
    const char *dir = getenv("PEFTLAB_PEFT_RESULTS");
    struct dirent **files;
    int n = dir ? scandir(dir, &files, NULL, alphasort) : 0;
    if (n <= 0)
        skip();
    for (int i = 0; i < n; i++) {
        if (strstr(files[i]->d_name, ".json"))
            add_file(x, dir, files[i]->d_name);
        free(files[i]);
    }
    free(files);
    struct report *r = build(x);
    assert_string_equal(r->settings.metric, "test/accuracy");
    assert_int_equal(r->matrix.groups, 63);
    const struct verdict *v = r->matrix.verdicts[r->matrix.main_column];
    size_t raw = 0;
    for (size_t i = 0; i < 62; i++)
        raw += !(v->pairs[i].p < .05);
    assert_int_equal(raw, 9);
    assert_int_equal(v->tied_count - 1, 24); /* 19 by Holm over the best's pairs alone */
    assert_screening(r, "24 of 62 others");
    report_free(r);
}

int main(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, open_bench, close_bench)
    const struct CMUnitTest tests[] = {
        WITH_STORE(tied_set_holds_for_all_pairs),
        WITH_STORE(peft_results_agree_with_what_was_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
