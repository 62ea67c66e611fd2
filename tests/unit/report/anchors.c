/* The page leads to its answers: every link has its place, each question of questions.def
 * has an answer, docs/report.md lists the same; terms are linked once per section and
 * explained once. */
#include "tests/unit/report/fixture.h"

#include "lib/fs.h"
#include "report/page/glossary.h"

static char *page_of(struct store *s, const struct report_options *o)
{
    struct report *r = NULL;
    struct html h;
    MUST(report_build(s, o, &r, err));
    html_init(&h);
    report_html(r, &h);
    report_free(r);
    return buf_detach(&h.out, NULL);
}

static size_t occurrences(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

/* Of each href="#x" there is one id="x". Returns how many links there are. */
static size_t assert_links(const char *page)
{
    size_t n = 0;
    for (const char *at = page; (at = strstr(at, " href=\"#")); at++, n++) {
        char id[128];
        const char *name = at + 8;
        snprintf(id, sizeof id, "id=\"%.*s\"", (int)strcspn(name, "\""), name);
        if (occurrences(page, id) != 1)
            fail_msg("%s is there %zu times", id, occurrences(page, id));
    }
    return n;
}

static void every_link_has_its_place(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 3);
    struct report_options o = defaults();
    char *page = page_of(f->store, &o);
    assert_true(assert_links(page) > 20);
    free(page);
}

static const char *const questions[][2] = {
#define QUESTION(text, anchor) {text, anchor},
#include "report/page/questions.def"
#undef QUESTION
};

static void each_question_is_answered(void **state)
{
    struct fixture *f = *state;
    struct buf docs = BUF_INIT;
    fill_reviews(f->store, 3);
    struct report_options o = defaults();
    char *page = page_of(f->store, &o);
    MUST(fs_read("docs/report.md", 1 << 20, &docs, err));
    assert_int_equal(ARRAY_LEN(questions), 10);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        char link[256], row[256];
        snprintf(link, sizeof link, "<li><a href=\"#%s\">%s</a></li>", questions[i][1],
                 questions[i][0]);
        snprintf(row, sizeof row, "| %s (`#%s`) |", questions[i][0], questions[i][1]);
        if (occurrences(page, link) != 1)
            fail_msg("the page does not have %s", link);
        if (occurrences(buf_str(&docs), row) != 1)
            fail_msg("docs/report.md does not have %s", row);
    }
    assert_non_null(strstr(page, "From 100 to 400 training rows lora gained +0.1"));
    buf_release(&docs);
    free(page);
}

/* Without ranks there is no place that tells which, so nobody is sent there. */
static void what_is_not_there_is_not_linked(void **state)
{
    struct fixture *f = *state;
    fill_reviews(f->store, 3);
    struct report_options o = defaults();
    o.scope.group_by = json_pack("[s]", "max_train_samples");
    o.metric = "latency/p50_ms";
    char *page = page_of(f->store, &o);
    assert_links(page);
    assert_non_null(strstr(page, ">How sure?</a>"));
    assert_non_null(strstr(page, "One number of training rows was tried"));
    json_decref(o.scope.group_by);
    free(page);
}

/* ---- the glossary ---- */

static void terms_are_linked_once(void **state)
{
    (void)state;
    struct glossary g = {{false}};
    struct html section, page;
    html_init(&section);
    html_init(&page);
    html_raw(&section, "<p>The knee, the knees; p50 and p500, test/rank, ranks.</p>"
                       "<td>knee</td><p><code>alpha</code> <a href=\"#x\">alpha</a></p>");
    glossary_link(&g, &section, &page);
    assert_string_equal(
        buf_str(&page.out),
        "<p>The <a class=\"term\" href=\"#word-knee\">knee</a>, the knees; <a "
        "class=\"term\" href=\"#word-p50\">p50</a> and p500, test/rank, <a "
        "class=\"term\" "
        "href=\"#word-rank\">ranks</a>.</p><td>knee</td><p><code>alpha</code> <a "
        "href=\"#x\">alpha</a></p>");
    html_release(&page);
    html_init(&page);
    glossary_write(&g, &page);
    assert_int_equal(occurrences(buf_str(&page.out), "<dt id="), 3);
    assert_non_null(strstr(buf_str(&page.out), "<dt id=\"word-knee\">knee</dt><dd>"));
    assert_null(strstr(buf_str(&page.out), "alpha</dt>"));
    html_release(&section);
    html_release(&page);
}

int main(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)
    const struct CMUnitTest tests[] = {
        WITH_STORE(every_link_has_its_place),
        WITH_STORE(each_question_is_answered),
        WITH_STORE(what_is_not_there_is_not_linked),
        cmocka_unit_test(terms_are_linked_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
