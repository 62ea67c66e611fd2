/* What a reader with a screen reader, low vision or a printer needs, as rules: contrast
 * of the colours of report.css in light and dark, headings in order, texts for pictures,
 * headers of tables, one script that the page's policy names, no network. */
#include "tests/unit/report/fixture.h"

#include "lib/fs.h"
#include "report/plots/plot.h"

/* ---- contrast (WCAG 2.2: 4.5 for text, 3 for graphics) ---- */

static double channel(int v)
{
    double c = v / 255.0;
    return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

static double luminance(const char *hex)
{
    unsigned r, g, b;
    if (sscanf(hex, "#%2x%2x%2x", &r, &g, &b) != 3)
        fail_msg("no colour: %.20s", hex);
    return 0.2126 * channel((int)r) + 0.7152 * channel((int)g) + 0.0722 * channel((int)b);
}

static double contrast(const char *a, const char *b)
{
    double x = luminance(a), y = luminance(b);
    return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}

/* "#rrggbb" of a property within the block that begins at `block`. */
static void colour_of(const char *block, const char *name, char out[8])
{
    char word[64];
    snprintf(word, sizeof word, "--%s: #", name);
    const char *at = strstr(block, word);
    if (!at)
        fail_msg("report.css has no --%s", name);
    snprintf(out, 8, "%.7s", at + strlen(word) - 1);
}

static void assert_contrast(const char *block, const char *front, const char *back,
                            double least, const char *mode)
{
    char a[8], b[8];
    colour_of(block, front, a);
    colour_of(block, back, b);
    if (contrast(a, b) < least)
        fail_msg("%s: --%s %s on --%s %s is %.2f to 1, below %.1f", mode, front, a, back,
                 b, contrast(a, b), least);
}

static void colours_can_be_read(void **state)
{
    (void)state;
    static const struct {
        const char *front, *back;
        double least;
    } pairs[] = {
        {"ink", "paper", 4.5},
        {"muted", "paper", 4.5},
        {"ink", "soft", 4.5},
        {"muted", "soft", 4.5},
        {"accent", "paper", 4.5},
        {"accent", "soft", 4.5},
        {"best", "best-bg", 4.5},
        {"tied", "tied-bg", 4.5},
        {"undecided", "undecided-bg", 4.5},
        {"failed", "failed-bg", 4.5},
        {"worse", "soft", 4.5},
        {"series-5", "paper", 3},
        {"series-6", "paper", 3},
    };
    struct buf css = BUF_INIT;
    MUST(fs_read("report/page/report.css", 1 << 20, &css, err));
    const char *dark = strstr(buf_str(&css), "prefers-color-scheme: dark");
    assert_non_null(dark);
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        assert_contrast(buf_str(&css), pairs[i].front, pairs[i].back, pairs[i].least,
                        "light");
        assert_contrast(dark, pairs[i].front, pairs[i].back, pairs[i].least, "dark");
    }
    for (size_t i = 0; i < 4; i++) { /* the fixed series, on either paper */
        char paper[8];
        colour_of(buf_str(&css), "paper", paper);
        assert_true(contrast(series_colour(i), paper) >= 3);
        colour_of(dark, "paper", paper);
        assert_true(contrast(series_colour(i), paper) >= 3);
    }
    assert_true(fabs(contrast("#000000", "#ffffff") - 21) < 1e-9);
    buf_release(&css);
}

/* ---- the page ---- */

static char *example_page(void)
{
    char dir[] = "/tmp/peftlab-access-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = fs_join(dir, "s.db");
    struct store *s;
    struct report *r = NULL;
    struct html h;
    struct report_options o = {.delta = NAN,
                               .collapse = NAN,
                               .requests_per_day = NAN,
                               .core_usd_per_hour = REPORT_CORE_USD_PER_HOUR};
    MUST(store_open(path, STORE_CREATE, &s, err));
    fill_reviews(s, 3);
    MUST(report_build(s, &o, &r, err));
    html_init(&h);
    report_html(r, &h);
    report_free(r);
    store_close(s);
    fs_remove_tree(dir, NULL);
    free(path);
    return buf_detach(&h.out, NULL);
}

/* h1 once and first; no level is left out on the way down. */
static void assert_headings(const char *page)
{
    int last = 0;
    for (const char *at = page; (at = strstr(at, "<h")); at++) {
        if (at[2] < '1' || at[2] > '6' || (at[3] != '>' && at[3] != ' '))
            continue;
        int level = at[2] - '0';
        if (level > last + 1)
            fail_msg("h%d follows h%d: %.60s", level, last, at);
        last = level;
    }
    assert_non_null(strstr(page, "<h1"));
    assert_null(strstr(strstr(page, "<h1") + 1, "<h1"));
}

/* Every `open` is followed by `needed` before `close`. */
static void assert_each_has(const char *page, const char *open, const char *close,
                            const char *needed)
{
    size_t n = 0;
    for (const char *at = page; (at = strstr(at, open)); at++, n++) {
        const char *end = strstr(at, close), *found = strstr(at, needed);
        if (!end || !found || found > end)
            fail_msg("%s without %s: %.120s", open, needed, at);
    }
    assert_true(n > 0);
}

static void assert_absent(const char *page, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(page, words[i]))
            fail_msg("the page has '%s'", words[i]);
}

static void page_is_accessible(void **state)
{
    (void)state;
    static const char *const forbidden[] = {
        "<script ", "javascript:", " onclick", " onload", "<img",
        "<iframe",  "<link",       "src=",     "@import", "url(http",
        "<object ", "<embed",      "<canvas",  "<form",   "autofocus"};
    char *page = example_page();
    assert_absent(page, forbidden, ARRAY_LEN(forbidden));
    assert_non_null(strstr(page, "<html lang=\"en\">"));
    assert_non_null(strstr(page, "<meta name=\"viewport\""));
    assert_non_null(strstr(page, "<main>"));
    assert_non_null(strstr(page, "<nav aria-label="));
    assert_headings(page);
    assert_each_has(page, "<figure>", "</figure>", "<figcaption>");
    assert_each_has(page, "<figure>", "</figure>", "<summary>Data behind the figure");
    assert_each_has(page, "<svg xmlns", ">", "role=\"img\"");
    assert_each_has(page, "<svg xmlns", ">", "aria-labelledby=");
    assert_each_has(page, "<svg xmlns", "</svg>", "<title id=");
    assert_each_has(page, "<svg xmlns", "</svg>", "<desc id=");
    assert_each_has(page, "<table", "</table>", "<th scope=\"col\"");
    assert_each_has(page, "<section", ">", "aria-labelledby=");
    assert_each_has(page, "class=\"scroll\"", ">", "tabindex=\"0\"");
    assert_null(strstr(page, "<th>"));
    free(page);
}

static void page_prints(void **state)
{
    (void)state;
    struct buf css = BUF_INIT;
    MUST(fs_read("report/page/report.css", 1 << 20, &css, err));
    const char *print = strstr(buf_str(&css), "@media print");
    assert_non_null(print);
    assert_non_null(strstr(buf_str(&css), "@page"));
    assert_non_null(strstr(print, "table-header-group"));
    /* What is folded stays so on paper, and its summary says what it is. */
    assert_null(strstr(print, "details-content"));
    assert_null(strstr(print, "summary"));
    assert_non_null(
        strstr(buf_str(&css), "@media screen and (prefers-color-scheme: dark)"));
    assert_non_null(strstr(buf_str(&css), ":focus-visible"));
    buf_release(&css);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colours_can_be_read),
        cmocka_unit_test(page_is_accessible),
        cmocka_unit_test(page_prints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
