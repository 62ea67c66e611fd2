/* tracker/mlflow/search/search_words.c - a filter cut into words as sqlparse 0.6 cuts it; see
 * search_priv.h. */
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/mlflow_inner.h"
#include "tracker/mlflow/search/search_priv.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

/* What the cutting needs to know of the whole text: where a quoted piece that begins at i
 * ends. An escaped or doubled quote does not end it, unless nothing else would; so the
 * ends are found from the back, for each kind of quote once. */
struct cutter {
    const char *text;
    size_t size;
    uint32_t
        *ends[3]; /* per row of quotes: of a piece that goes on at i; 0: it never ends */
};
static const struct {
    char quote;
    bool backslash;
    enum search_word_kind kind;
} quotes[] = {
    {'\'', true, WORD_STRING}, {'"', true, WORD_SYMBOL}, {'`', false, WORD_TICKED}};

static uint32_t *quote_ends(const char *text, size_t size, char quote, bool backslash)
{
    uint32_t *ends = xcalloc(size + 3, sizeof *ends);
    for (size_t i = size; i-- > 0;) {
        const bool here = text[i] == quote, twin = i + 1 < size && text[i + 1] == quote;
        if (twin && (here || (backslash && text[i] == '\\')))
            ends[i] = ends[i + 2];
        if (ends[i] == 0)
            ends[i] = here ? (uint32_t)i + 1 : ends[i + 1];
    }
    return ends;
}

static size_t quoted(struct cutter *c, size_t i, enum search_word_kind *kind)
{
    for (size_t q = 0; q < ARRAY_LEN(quotes); q++) {
        if (c->text[i] != quotes[q].quote)
            continue;
        if (!c->ends[q])
            c->ends[q] =
                quote_ends(c->text, c->size, quotes[q].quote, quotes[q].backslash);
        *kind = quotes[q].kind;
        return c->ends[q][i + 1] ? c->ends[q][i + 1] - i : 0;
    }
    return 0;
}

/* ---- letters ---- */

static int32_t letter_at(const struct cutter *c, size_t i, size_t *size)
{
    utf8proc_int32_t letter = -1;
    utf8proc_ssize_t n = i < c->size
                             ? utf8proc_iterate((const utf8proc_uint8_t *)c->text + i,
                                                (utf8proc_ssize_t)(c->size - i), &letter)
                             : 0;
    *size = n > 0 ? (size_t)n : 1;
    return n > 0 ? letter : -1;
}

/* [A-ZÀ-Ü] in any case */
static bool is_first(int32_t letter)
{
    return letter < 0x80
               ? letter >= 0 && isalpha(letter)
               : (letter >= 0xc0 && letter <= 0xdc) || (letter >= 0xe0 && letter <= 0xfc);
}

/* Python's \s */
static bool is_space(int32_t letter)
{
    if (letter < 0x80)
        return (letter >= 9 && letter <= 13) || (letter >= 0x1c && letter <= 0x20);
    return letter == 0x85 || letter == 0x2028 || letter == 0x2029 ||
           utf8proc_category(letter) == UTF8PROC_CATEGORY_ZS;
}

/* Bytes of letters of words from i on, of '$' and '#' too where `wide`. */
static size_t word_run(const struct cutter *c, size_t i, bool wide)
{
    size_t from = i, size;
    for (;;) {
        int32_t letter = letter_at(c, i, &size);
        if (!mlflow_is_word(letter) && !(wide && (letter == '$' || letter == '#')))
            return i - from;
        i += size;
    }
}

static size_t space_run(const struct cutter *c, size_t i)
{
    size_t from = i, size;
    while (is_space(letter_at(c, i, &size)))
        i += size;
    return i - from;
}

static size_t digits(const struct cutter *c, size_t i)
{
    size_t n = 0;
    while (i + n < c->size && isdigit((unsigned char)c->text[i + n]))
        n++;
    return n;
}

static char byte_at(const struct cutter *c, size_t i)
{
    return i < c->size ? c->text[i] : '\0';
}

/* ---- numbers ---- */

/* (?![_A-ZÀ-Ü]) */
static bool may_end(const struct cutter *c, size_t i)
{
    size_t size;
    int32_t letter = letter_at(c, i, &size);
    return letter != '_' && !is_first(letter);
}

/* -?\d+(\.\d+)?E-?\d+ */
static size_t with_exponent(const struct cutter *c, size_t i)
{
    size_t from = i, n;
    i += byte_at(c, i) == '-';
    if ((n = digits(c, i)) == 0)
        return 0;
    i += n;
    if (byte_at(c, i) == '.' && (n = digits(c, i + 1)) > 0)
        i += 1 + n;
    if (byte_at(c, i) != 'e' && byte_at(c, i) != 'E')
        return 0;
    i++;
    i += byte_at(c, i) == '-';
    n = digits(c, i);
    return n ? i + n - from : 0;
}

/* -?(\d+\.\d*|\.\d+) and -?\d+, each not before a letter: what is too long gives digits back. */
static size_t without_exponent(const struct cutter *c, size_t i)
{
    const size_t from = i, sign = byte_at(c, i) == '-', whole = digits(c, i + sign);
    i += sign + whole;
    if (byte_at(c, i) == '.') {
        size_t least = whole ? 0 : 1, n = digits(c, i + 1);
        for (size_t k = n + 1; k-- > least;)
            if (may_end(c, i + 1 + k))
                return i + 1 + k - from;
    }
    for (size_t k = whole; k > 0; k--)
        if (may_end(c, from + sign + k))
            return sign + k;
    return 0;
}

static bool is_hexadecimal(const struct cutter *c, size_t i)
{
    i += byte_at(c, i) == '-';
    return byte_at(c, i) == '0' && (byte_at(c, i + 1) | 32) == 'x' &&
           isxdigit((unsigned char)byte_at(c, i + 2));
}

/* ---- names and keywords ---- */

static bool same_word(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && strncasecmp(text, word, size) == 0;
}

/* Keywords wherever they stand; and those that matter here elsewhere. */
static const char *const always[] = {"CASE", "IN", "VALUES", "USING", "FROM", "AS"};
static const char *const keywords[] = {"AND", "OR",   "NOT",       "IS",        "NULL",
                                       "ASC", "DESC", "PARAMETER", "PARAMETERS"};

static bool listed(const char *const *list, size_t count, const char *text, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (same_word(text, size, list[i]))
            return true;
    return false;
}

/* Two words with blanks between, which are one: bytes of both, 0: they do not stand there. */
static size_t both(const struct cutter *c, size_t i, const char *first,
                   const char *second)
{
    size_t a = word_run(c, i, false);
    if (!same_word(c->text + i, a, first))
        return 0;
    size_t blanks = space_run(c, i + a), b = word_run(c, i + a + blanks, false);
    return blanks && same_word(c->text + i + a + blanks, b, second) ? a + blanks + b : 0;
}

static size_t compare_word(const struct cutter *c, size_t i)
{
    static const char *const likes[] = {"LIKE", "ILIKE", "RLIKE", "REGEXP"};
    size_t n = word_run(c, i, false);
    for (size_t k = 0; k < ARRAY_LEN(likes); k++) {
        if (same_word(c->text + i, n, likes[k]))
            return n;
        size_t with_not = both(c, i, "NOT", likes[k]);
        if (with_not)
            return with_not;
    }
    return 0;
}

static size_t name_or_keyword(const struct cutter *c, size_t i,
                              enum search_word_kind *kind)
{
    size_t letters, n = word_run(c, i, false);
    const bool first = is_first(letter_at(c, i, &letters));
    *kind = WORD_KEYWORD;
    if (listed(always, ARRAY_LEN(always), c->text + i, n))
        return n;
    *kind = WORD_NAME;
    const size_t dot = i + n + space_run(c, i + n);
    if (first && ((byte_at(c, dot) == '.' && digits(c, dot + 1) == 0) ||
                  (i > 0 && c->text[i - 1] == '.') || byte_at(c, i + n) == '('))
        return n;
    size_t two = both(c, i, "NOT", "NULL"), compare = compare_word(c, i);
    if (two || compare) {
        *kind = two ? WORD_KEYWORD : WORD_COMPARE;
        return two ? two : compare;
    }
    n = word_run(c, i, true);
    if (listed(keywords, ARRAY_LEN(keywords), c->text + i, n))
        *kind = WORD_KEYWORD;
    return n;
}

/* #ab, ##ab, @ab: names of other kinds of SQL. */
static size_t marked_name(const struct cutter *c, size_t i)
{
    const char mark = byte_at(c, i);
    const size_t marks = mark == '#' && byte_at(c, i + 1) == '#' ? 2 : 1;
    size_t first, n = word_run(c, i + marks, false);
    const bool named = is_first(letter_at(c, i + marks, &first));
    return (mark == '#' || mark == '@') && named && n > first ? marks + n : 0;
}

/* [a b] where no word and no bracket stands before. */
static size_t bracketed(const struct cutter *c, size_t i)
{
    size_t before = i, size;
    while (before > 0 && ((unsigned char)c->text[--before] & 0xc0) == 0x80)
        ;
    if (i > 0 && (mlflow_is_word(letter_at(c, before, &size)) || c->text[i - 1] == ']' ||
                  c->text[i - 1] == ')'))
        return 0;
    size_t n = strcspn(c->text + i + 1, "[]");
    return n && byte_at(c, i + 1 + n) == ']' ? n + 2 : 0;
}

static enum search_word_kind mark_kind(char c)
{
    static const char marks[] = "*.()[]";
    static const enum search_word_kind kinds[] = {
        WORD_STAR, WORD_DOT, WORD_OPEN, WORD_CLOSE, WORD_OPEN_SQUARE, WORD_CLOSE_SQUARE};
    const char *at = c ? strchr(marks, c) : NULL;
    return at ? kinds[at - marks] : WORD_OTHER;
}

/* The word at i: its bytes. */
static size_t cut(struct cutter *c, size_t i, enum search_word_kind *kind)
{
    size_t size, n;
    int32_t letter = letter_at(c, i, &size);
    *kind = WORD_SPACE;
    if ((n = space_run(c, i)) > 0)
        return n;
    if ((n = quoted(c, i, kind)) > 0)
        return n;
    *kind = WORD_OTHER;
    if (byte_at(c, i) == '-' && byte_at(c, i + 1) == '-')
        return strcspn(c->text + i, "\r\n");
    if (is_hexadecimal(c, i))
        return 3;
    *kind = WORD_NUMBER;
    if ((n = with_exponent(c, i)) > 0 || (n = without_exponent(c, i)) > 0)
        return n;
    if (mlflow_is_word(letter))
        return name_or_keyword(c, i, kind);
    *kind = WORD_NAME;
    if ((n = marked_name(c, i)) > 0)
        return n;
    *kind = WORD_TICKED;
    if (letter == '[' && (n = bracketed(c, i)) > 0)
        return n;
    *kind = WORD_COMPARE;
    if ((n = strspn(c->text + i, "<>=~!")) > 0)
        return n;
    *kind = mark_kind(byte_at(c, i));
    return size;
}

void search_words_init(struct search_words *w, const char *text, size_t size)
{
    struct cutter c = {.text = text, .size = size};
    *w = (struct search_words){.text = text};
    for (size_t i = 0; i <= size;) {
        struct search_word word = {.kind = WORD_END, .at = (uint32_t)i};
        if (i < size)
            word.size = (uint32_t)cut(&c, i, &word.kind);
        w->list = xgrow(w->list, &w->cap, w->count + 1, sizeof *w->list);
        w->list[w->count++] = word;
        if (word.kind == WORD_END)
            break;
        i += word.size;
    }
    w->count--;
    for (size_t q = 0; q < ARRAY_LEN(c.ends); q++)
        free(c.ends[q]);
}

void search_words_release(struct search_words *w)
{
    free(w->list);
    *w = (struct search_words){0};
}

bool search_word_is(const struct search_words *w, size_t i, const char *word)
{
    return same_word(w->text + w->list[i].at, w->list[i].size, word);
}

size_t search_words_solid(const struct search_words *w, size_t i)
{
    while (i < w->count && w->list[i].kind == WORD_SPACE)
        i++;
    return i;
}
