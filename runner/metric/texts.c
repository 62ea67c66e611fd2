/* runner/metric/texts.c - texts that a model wrote, against what they should be.
 *
 * Both are compared as words: casefolded, cut at white space. exact_match: the same words
 * in the same order. rouge_l (Lin 2004): F1 of the longest common subsequence of words
 * over both lengths, without a stemmer; 0 where one of them has no word. */
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/metric/metric.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct words {
    char *text;
    char **items;
    size_t count, cap;
};

static bool is_space(utf8proc_int32_t c)
{
    return (c >= 9 && c <= 13) || utf8proc_category(c) == UTF8PROC_CATEGORY_ZS ||
           c == 0x85 || c == 0x2028 || c == 0x2029;
}

/* Zero bytes between words, of a folded copy. */
static struct words words_of(const char *text)
{
    struct words w = {0};
    utf8proc_uint8_t *folded = NULL;
    utf8proc_map((const utf8proc_uint8_t *)text, 0, &folded,
                 UTF8PROC_NULLTERM | UTF8PROC_CASEFOLD);
    w.text = xstrdup(folded ? (const char *)folded : text); /* NULL: no UTF-8 */
    free(folded);
    const size_t length = strlen(w.text);
    bool inside = false;
    for (size_t at = 0; at < length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((utf8proc_uint8_t *)w.text + at,
                                              (utf8proc_ssize_t)(length - at), &c);
        n = n < 1 ? 1 : n;
        const bool space = c >= 0 && is_space(c);
        if (!space && !inside) {
            w.items = xgrow(w.items, &w.cap, w.count + 1, sizeof *w.items);
            w.items[w.count++] = w.text + at;
        }
        if (space)
            memset(w.text + at, 0, (size_t)n);
        inside = !space;
        at += (size_t)n;
    }
    return w;
}

static void release(struct words *w)
{
    free(w->text);
    free(w->items);
}

static size_t common_subsequence(const struct words *a, const struct words *b)
{
    size_t *row = xcalloc(b->count + 1, sizeof *row);
    for (size_t i = 0; i < a->count; i++) {
        size_t diagonal = 0;
        for (size_t j = 0; j < b->count; j++) {
            const size_t above = row[j + 1];
            if (str_eq(a->items[i], b->items[j]))
                row[j + 1] = diagonal + 1;
            else
                row[j + 1] = above > row[j] ? above : row[j];
            diagonal = above;
        }
    }
    const size_t longest = row[b->count];
    free(row);
    return longest;
}

struct metric_text text_compare(const char *ours, const char *reference)
{
    struct words a = words_of(ours), b = words_of(reference);
    const size_t common = common_subsequence(&a, &b);
    const struct metric_text t = {
        .exact = common == a.count && common == b.count,
        .rouge_l = common ? 2.0 * (double)common / (double)(a.count + b.count) : 0};
    release(&a);
    release(&b);
    return t;
}

double texts_exact_match(const struct metric_rows *r)
{
    size_t same = 0;
    for (size_t i = 0; i < r->text_count; i++)
        same += r->texts[i].exact;
    return r->text_count ? (double)same / (double)r->text_count : NAN;
}

double texts_rouge_l(const struct metric_rows *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->text_count; i++)
        sum += r->texts[i].rouge_l;
    return r->text_count ? sum / (double)r->text_count : NAN;
}
