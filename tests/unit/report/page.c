/* The page and its JSON over stores of known truth: verdicts through the store, house
 * rules of the page, the same bytes twice, no gnuplot, hostile names. */
#include "tests/unit/report/fixture.h"

#include "lib/fs.h"
#include "report/plots/plot.h"

static struct report *build(struct store *s, const struct report_options *o)
{
    struct report *r = NULL;
    MUST(report_build(s, o, &r, err));
    return r;
}

static char *page_of(const struct report *r, size_t *size)
{
    struct html h;
    html_init(&h);
    report_html(r, &h);
    assert_false(buf_overflowed(&h.out));
    return buf_detach(&h.out, size);
}

static size_t occurrences(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

/* ---- the page ---- */

static void assert_page(const char *page, size_t size)
{
    static const char *const forbidden[] = {
        "src=", "@import",  "(null)", "num\">nan", "num\">-nan",  "NaN",     "$nan",
        "(nan", " nan to ", "QZ",     "#0102",     "javascript:", "url(http"};
    static const char *const pairs[][2] = {{"<table", "</table>"},
                                           {"<tr>", "</tr>"},
                                           {"<figure>", "</figure>"},
                                           {"<section", "</section>"},
                                           {"<details>", "</details>"},
                                           {"<svg", "</svg>"},
                                           {"<dl", "</dl>"}};
    assert_true(size < 1000000);
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
        if (strstr(page, forbidden[i]))
            fail_msg("the page holds '%s': %.80s", forbidden[i],
                     strstr(page, forbidden[i]));
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (strcmp(pairs[i][0], "<tr>") != 0)
            assert_int_equal(occurrences(page, pairs[i][0]),
                             occurrences(page, pairs[i][1]));
    assert_int_equal(occurrences(page, "<h1"), 1);
    assert_int_equal(occurrences(page, "<script"), 1);
    assert_non_null(strstr(page, "script-src 'sha256-"));
}

/* Each id once, or links and descriptions point to the wrong figure. */
static void assert_ids_unique(const char *page)
{
    for (const char *at = page; (at = strstr(at, " id=")); at++) {
        char word[128];
        const char *end = strchr(at + 5, at[4]);
        snprintf(word, sizeof word, "%.*s", (int)(end - at + 1), at);
        if (occurrences(page, word) != 1)
            fail_msg("%s is there %zu times", word, occurrences(page, word));
    }
}

static void page_follows_the_house_rules(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 3);
    struct report_options o = defaults();
    struct report *r = build(f->store, &o);
    size_t size;
    char *page = page_of(r, &size);
    assert_page(page, size);
    assert_ids_unique(page);
    assert_non_null(strstr(page, "at update 12 &lt;script&gt;"));
    assert_non_null(strstr(page, "Test CPU &lt;b&gt;2 GHz&lt;/b&gt; `id`"));
    assert_true(r->figure_count >= 6);
    assert_int_equal(occurrences(page, "<svg xmlns"), 2 * r->figure_count);
    assert_int_equal(occurrences(page, "role=\"img\" aria-l"), 2 * r->figure_count);
    for (size_t i = 0; i < r->figure_count; i++) {
        const struct figure *g = &r->figures[i];
        assert_non_null(g->svg);
        assert_non_null(g->svg_narrow);
        assert_true(occurrences(g->svg, "<path class=\"m") >= 3);
        assert_int_equal(occurrences(g->svg, "<path class=\"m"),
                         occurrences(g->svg, "</title></path>"));
        assert_true(occurrences(buf_str(&g->key.out), "<li>") >= 1);
        assert_non_null(strpbrk(g->takeaway, "0123456789"));
        assert_true(strlen(g->alt) > 40);
        assert_true(occurrences(buf_str(&g->table.out), "<tr>") >= 3);
    }
    char *lines = report_lines(r);
    assert_int_equal(occurrences(lines, "\n"), 4);
    free(lines);
    free(page);
    report_free(r);
}

static void same_store_same_bytes(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 3);
    struct report_options o = defaults();
    struct report *a = build(f->store, &o), *b = build(f->store, &o);
    size_t na, nb;
    char *pa = page_of(a, &na), *pb = page_of(b, &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(pa, pb, na);
    free(pa);
    free(pb);
    report_free(a);
    report_free(b);
}

static void without_gnuplot_tables_stay(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 2);
    char *path = xstrdup(getenv("PATH"));
    setenv("PATH", "/nonexistent", 1);
    struct report_options o = defaults();
    struct report *r = build(f->store, &o);
    setenv("PATH", path, 1);
    size_t size;
    char *page = page_of(r, &size);
    assert_int_equal(occurrences(page, "<svg"), 0);
    assert_int_equal(occurrences(page, "\"notice\">No picture: gnuplot is not"),
                     r->figure_count);
    assert_true(occurrences(page, "Data behind the figure") == r->figure_count);
    free(path);
    free(page);
    report_free(r);
}

/* ---- verdicts of known truth ---- */

static const char *word_of_group(const struct report *r, const char *group, size_t column)
{
    for (size_t g = 0; g < r->matrix.groups; g++)
        if (!strcmp(r->data.groups.items[g].label, group))
            return cell_word_text(matrix_cell(&r->matrix, column, g)->word);
    return "no such group";
}

static void matrix_tells_the_truth(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 8);
    struct report_options o = defaults();
    struct report *r = build(f->store, &o);
    assert_int_equal(r->matrix.columns, 2);
    assert_string_equal(r->data.columns.items[0].label, "100 rows");
    assert_string_equal(r->data.columns.items[r->matrix.main_column].label, "400 rows");
    assert_int_equal(r->matrix.groups, 6);
    assert_string_equal(word_of_group(r, "head", 1), "worse");
    assert_string_equal(word_of_group(r, "prefix", 1), "worse");
    assert_string_not_equal(word_of_group(r, "lora", 1), "worse");
    assert_string_not_equal(word_of_group(r, "full", 1), "worse");
    const struct verdict *v = r->matrix.verdicts[1];
    for (size_t g = 0; g < r->matrix.groups; g++) {
        const struct verdict_config *c = &v->configs[g];
        if (!strcmp(r->data.groups.items[g].label, "lora"))
            assert_int_equal(c->variants_tried, 8);
        if (!strcmp(r->data.groups.items[g].label, "full"))
            assert_int_equal(c->n_failed, 1);
    }
    report_free(r);
}

static void single_seeds_are_screening(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 1);
    struct report_options o = defaults();
    struct report *r = build(f->store, &o);
    size_t size;
    char *page = page_of(r, &size), *lines = report_lines(r);
    assert_page(page, size);
    assert_non_null(strstr(page, "screening only"));
    assert_non_null(strstr(lines, "Cannot tell"));
    assert_non_null(strstr(lines, "at least 3 seeds"));
    free(page);
    free(lines);
    report_free(r);
}

/* A table as `peftlab import` leaves it: parameters config and learning_rate, metrics
 * select and score. */
static void store_table(struct store *s, const char *file)
{
    struct buf text = BUF_INIT;
    char *path = fs_join("tests/golden/verdicts", file), *save = NULL;
    struct filler f = {.store = s};
    json_t *sweep = json_object();
    MUST(store_experiment(s, file, &f.experiment, err));
    MUST(store_sweep(s, f.experiment, file, sweep, "/tmp", &f.sweep, err));
    MUST(fs_read(path, 1 << 20, &text, err));
    strtok_r(text.data, "\n", &save);
    for (char *line; (line = strtok_r(NULL, "\n", &save));) {
        char config[64], state[16], select[32], score[32];
        double rate;
        int seed;
        assert_int_equal(sscanf(line, "%63[^,],%lf,%d,%15[^,],%31[^,],%31s", config,
                                &rate, &seed, state, select, score),
                         6);
        json_t *params = json_pack("{s:s, s:f}", "config", config, "learning_rate", rate);
        char *key = xasprintf("%s%g", config, rate);
        struct trial_row row = {.sweep = f.sweep,
                                .experiment = f.experiment,
                                .number = f.number++,
                                .key = key,
                                .seed = (uint64_t)seed,
                                .base_dir = "/tmp",
                                .config = params,
                                .params = params,
                                .predicted_bytes = -1,
                                .predicted_s = NAN};
        size_t added;
        struct run_claim claim;
        MUST(store_add_trials(s, &row, 1, &added, err));
        MUST(store_claim(s, f.sweep, 0, 60000, NULL, &claim, err));
        struct metric_point p[] = {{"select", -1, strtod(select, NULL)},
                                   {"score", -1, strtod(score, NULL)}};
        MUST(store_log_metrics(s, claim.run, p, 2, err));
        bool good = !strcmp(state, "complete");
        MUST(store_run_finish(s, claim.run, good ? TRIAL_complete : TRIAL_nan, 0, NULL,
                              err));
        json_decref(params);
        free(key);
    }
    json_decref(sweep);
    free(path);
    buf_release(&text);
}

/* Numbers of pairs are in pairs.json (tests/unit/report/verdict.c compares them). */
static bool is_compared(const json_t *wanted, const char *key)
{
    static const char *const keys[] = {"a",    "b",       "test",
                                       "diff", "verdict", "equal_effort_diff"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (!strcmp(key, keys[i]))
            return true;
    return !json_object_get(wanted, "verdict");
}

static void compare_verdicts(const json_t *wanted, const json_t *got, const char *where)
{
    const char *key;
    json_t *v;
    size_t i;
    if (json_is_object(wanted)) {
        json_object_foreach((json_t *)wanted, key, v) if (is_compared(wanted, key))
            compare_verdicts(v, json_object_get(got, key), key);
    } else if (json_is_array(wanted)) {
        assert_int_equal(json_array_size(wanted), json_array_size(got));
        json_array_foreach((json_t *)wanted, i, v)
            compare_verdicts(v, json_array_get(got, i), where);
    } else if (json_is_number(wanted)) {
        double w = json_number_value(wanted);
        if (!json_is_number(got) ||
            fabs(json_number_value(got) - w) > 1e-9 + 1e-8 * fabs(w))
            fail_msg("%s: %.12g, not %.12g", where, json_number_value(got), w);
    } else if (!json_equal(wanted, got)) {
        fail_msg("%s differs", where);
    }
}

static void golden_tables_through_the_store(void **state)
{
    struct fixture *f = *state;
    json_t *cases = json_read_file("tests/golden/verdicts/verdicts.json", NULL), *c;
    size_t i;
    assert_int_equal(json_array_size(cases), 12);
    json_array_foreach(cases, i, c)
    {
        const json_t *input = json_object_get(c, "input");
        const char *file = json_get_str(input, "file", "");
        store_table(f->store, file);
        struct report_options o = defaults();
        o.scope.experiments = json_pack("[s]", file);
        o.scope.group_by = json_pack("[s]", "config");
        o.metric = "score";
        o.select_metric = "select";
        o.goal = "maximize";
        o.delta = json_get_num(input, "delta", NAN);
        o.collapse = json_get_num(input, "collapsed_at_or_below", NAN);
        struct report *r = build(f->store, &o);
        json_t *got = report_json(r);
        size_t size;
        char *page = page_of(r, &size);
        assert_page(page, size);
        compare_verdicts(json_object_get(c, "expected"), json_object_get(got, "verdicts"),
                         file);
        free(page);
        json_decref(got);
        json_decref(o.scope.group_by);
        json_decref((json_t *)o.scope.experiments);
        report_free(r);
    }
    json_decref(cases);
}

/* ---- bad input ---- */

static void wrong_words_are_told(void **state)
{
    struct fixture *f = *state;
    struct report *r = NULL;
    struct report_options o = defaults();
    struct err e = ERR_INIT;
    assert_int_equal(report_build(f->store, &o, &r, &e), -ERR_NOINPUT); /* empty */
    fill_reviews(f->store, 1);
    e = (struct err)ERR_INIT;
    o.metric = "test/macro_f2";
    assert_int_equal(report_build(f->store, &o, &r, &e), -ERR_CONFIG);
    assert_non_null(strstr(e.msg, "did you mean 'test/macro_f1'?"));
    e = (struct err)ERR_INIT;
    o = defaults();
    json_t *names = json_pack("[s]", "revews");
    o.scope.experiments = names;
    assert_int_equal(report_build(f->store, &o, &r, &e), -ERR_NOINPUT);
    assert_non_null(strstr(e.msg, "did you mean 'reviews'?"));
    json_decref(names);
}

static void price_files_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"{\"prices\": []}", 0},
        {"[{\"gpu\": \"T4\", \"usd_per_gpu_hour\": 1, \"read_on\": \"2026-02-28\", "
         "\"source\": \"s\"}]",
         0},
        {"[{\"gpu\": \"T4\", \"usd_per_gpu_hour\": 1, \"read_on\": \"2026-02-31\", "
         "\"source\": \"s\"}]",
         -ERR_CONFIG},
        {"[{\"gpu\": \"T4\", \"usd_per_gpu_hour\": 0, \"read_on\": \"2026-02-28\", "
         "\"source\": \"s\"}]",
         -ERR_CONFIG},
        {"[{\"gpu\": \"T4\", \"usd_per_gpu_hour\": 1, \"read_on\": \"2026-02-28\"}]",
         -ERR_CONFIG},
        {"[7]", -ERR_CONFIG},
        {"{\"prices\": 7}", -ERR_CONFIG},
        {"{", -ERR_PARSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct catalog c = {0};
        struct err e = ERR_INIT;
        assert_int_equal(
            catalog_parse_prices(cases[i].text, strlen(cases[i].text), "p", &c, &e),
            cases[i].code);
        catalog_release(&c);
    }
    struct catalog c;
    MUST(catalog_load(NULL, NULL, &c, err));
    assert_true(c.gpu_count >= 12 && c.price_count >= 50);
    struct price_range h100 = catalog_range(&c, "H100 SXM");
    assert_true(h100.low == 1.99 && h100.high == 12.29 && h100.base > 3 && h100.base < 5);
    for (size_t i = 0; i < c.price_count; i++) { /* every price names a known GPU */
        size_t k = 0;
        while (k < c.gpu_count && strcmp(c.gpus[k].name, c.prices[i].gpu) != 0)
            k++;
        assert_true(k < c.gpu_count);
    }
    catalog_release(&c);
}

static void svg_is_cleaned(void **state)
{
    (void)state;
    char one[] = "a<b> & `id`", two[] = "two", *labels[] = {one, two};
    const char *raw = "<?xml?>\n<svg \n viewBox=\"0 0 10 20\"\n>\n<title>x</title>\n"
                      "<g fill=\"rgb(  1,   2,   3)\" id='p'><use xlink:href='#p'/>"
                      "<circle id='gpPt1' r='1'/>\n<circle id='gpPt2' r='2'/>\n"
                      "<use xlink:href='#gpPt2'/>"
                      "<rect fill=\"#010206\" stroke=\"#0072B2\"/><text>QZ0ZQ QZ1ZQ "
                      "QZ7ZQ</text></g>\n<g a=\"b\">\n</g>\n</svg>";
    const struct plot plot = {"p", "s", "T", NULL};
    char alt[] = "D";
    struct figure f = {.plot = &plot, .alt = alt, .labels = labels, .label_count = 2};
    html_init(&f.marks);
    figure_mark(&f, 3, 0, 5, 5, 5, "m <%d>", 7);
    char *svg = svg_clean(raw, "f3", &f);
    assert_non_null(strstr(svg, "<title id=\"f3t\">T</title>"));
    assert_non_null(strstr(svg, "fill=\"var(--ink)\" id='f3p'"));
    assert_non_null(strstr(svg, "xlink:href='#f3p'"));
    assert_non_null(strstr(svg, "fill=\"var(--paper)\" stroke=\"#0072b2\""));
    assert_non_null(strstr(svg, "a&lt;b&gt; &amp; `id` two QZ7ZQ"));
    assert_null(strstr(svg, "<?xml"));
    assert_null(strstr(svg, "<g a="));
    assert_null(strstr(svg, "gpPt1"));
    assert_non_null(strstr(svg, "id='f3gpPt2'"));
    assert_non_null(strstr(svg, "<path class=\"m\" data-c=\"3\" d=\"M-5 0h10v10h-10z\">"
                                "<title>m &lt;7&gt;</title></path>\n</svg>"));
    free(svg);
    assert_null(svg_clean("no picture", "f", &f));
    assert_null(svg_clean("<svg viewBox=\"0 0 1 1\"", "f", &f));
    html_release(&f.marks);
}

int main(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)
    const struct CMUnitTest tests[] = {
        WITH_STORE(page_follows_the_house_rules),
        WITH_STORE(same_store_same_bytes),
        WITH_STORE(without_gnuplot_tables_stay),
        WITH_STORE(matrix_tells_the_truth),
        WITH_STORE(single_seeds_are_screening),
        WITH_STORE(golden_tables_through_the_store),
        WITH_STORE(wrong_words_are_told),
        cmocka_unit_test(price_files_are_checked),
        cmocka_unit_test(svg_is_cleaned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
