/* runner/text/split.c - pre-tokenisers that cut at matches: Split (text or regular
 * expression) and Digits (tokenizers pre_tokenizers/split.rs, digits.rs,
 * tokenizer/normalizer.rs). */
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/regex.h"
#include "runner/text/pipeline.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void add_cut(struct cuts *c, size_t begin, size_t end, bool match)
{
    c->at = xgrow(c->at, &c->cap, c->n + 1, sizeof *c->at);
    c->at[c->n++] = (struct cut){begin, end, match};
}

/* Words from cuts. Merging moves a border instead of adding a word. */
static void cuts_to_words(const struct cuts *c, enum split_behavior b, struct words *out)
{
    bool open = false; /* the next cut goes on with the last word */
    for (size_t i = 0; i < c->n; i++) {
        const struct cut *k = &c->at[i];
        const bool before = i > 0 && c->at[i - 1].match;
        bool join = false;
        if (b == SPLIT_REMOVED && k->match)
            continue;
        if (b == SPLIT_MERGED_WITH_PREVIOUS)
            join = k->match && i > 0 && !before;
        else if (b == SPLIT_MERGED_WITH_NEXT)
            join = open;
        else if (b == SPLIT_CONTIGUOUS)
            join = i > 0 && before == k->match;
        if (join && c->at[i - 1].begin < c->at[i - 1].end)
            out->at[out->n - 1].end = k->end;
        else
            words_add(out, k->begin, k->end);
        open = k->match && i + 1 < c->n && !c->at[i + 1].match;
    }
}

/* Byte offsets of the characters of a stretch, and its text. */
struct bytes {
    struct buf text;
    size_t *place;
    size_t cap;
};

static void bytes_fill(struct bytes *b, const struct place_char *at, size_t n)
{
    buf_clear(&b->text);
    b->place = xgrow(b->place, &b->cap, n + 1, sizeof *b->place);
    for (size_t i = 0; i < n; i++) {
        b->place[i] = b->text.len;
        utf8_append(&b->text, at + i, 1);
    }
    b->place[n] = b->text.len;
}

/* Matches of the expression in one word; empty ones cut too, unless they follow a match
 * at once. */
static void find_matches(const struct regex *r, const struct bytes *b, size_t n,
                         bool invert, struct cuts *out, struct err *err)
{
    size_t from = 0, done = 0, at = 0, begin, end; /* done, at: in characters */
    while (from <= b->text.len &&
           regex_search(r, buf_str(&b->text), b->text.len, from, &begin, &end, err) > 0) {
        while (b->place[at] < begin)
            at++;
        if (done < at)
            add_cut(out, done, at, invert);
        done = at;
        while (b->place[at] < end)
            at++;
        if (begin < end || !out->n || out->at[out->n - 1].match == invert)
            add_cut(out, done, at, !invert);
        done = at;
        /* behind an empty match goes on one character later */
        from = begin < end ? end : at < n ? b->place[at + 1] : b->text.len + 1;
    }
    if (done < n)
        add_cut(out, done, n, invert);
}

void cuts_find(const struct regex *r, const struct place_char *at, size_t n, bool invert,
               struct cuts *out, struct err *err)
{
    struct bytes bytes = {.text = BUF_INIT};
    out->n = 0;
    bytes_fill(&bytes, at, n);
    find_matches(r, &bytes, n, invert, out, err);
    buf_release(&bytes.text);
    free(bytes.place);
}

void words_split_regex(struct words *w, const struct regex *r, enum split_behavior b,
                       bool invert)
{
    struct words out = {.text = w->text, .err = w->err};
    struct cuts cuts = {0};
    for (size_t i = 0; i < w->n; i++) {
        const struct span s = w->at[i];
        cuts_find(r, w->text->at + s.begin, s.end - s.begin, invert, &cuts, w->err);
        for (size_t k = 0; k < cuts.n; k++) {
            cuts.at[k].begin += s.begin;
            cuts.at[k].end += s.begin;
        }
        cuts_to_words(&cuts, b, &out);
    }
    free(cuts.at);
    free(w->at);
    *w = out;
}

/* ---- Split ------------------------------------------------------------------------- */

struct split {
    struct regex *regex;
    enum split_behavior behavior;
    bool invert;
};

static void split_apply(const void *config, struct words *w)
{
    const struct split *s = config;
    words_split_regex(w, s->regex, s->behavior, s->invert);
}

static void split_release(void *config)
{
    struct split *s = config;
    regex_free(s->regex);
    free(s);
}

/* In Oniguruma's expressions \s is White_Space; PCRE2's has U+180E too. */
static char *from_oniguruma(const char *pattern)
{
    struct buf b = BUF_INIT;
    for (const char *p = pattern; *p; p++) {
        if (*p == '\\' && (p[1] == 's' || p[1] == 'S'))
            buf_printf(&b, "\\%c{White_Space}", *++p == 's' ? 'p' : 'P');
        else if (*p == '\\' && p[1])
            buf_add(&b, p++, 2);
        else
            buf_add(&b, p, 1);
    }
    return buf_detach(&b, NULL);
}

static char *escaped(const char *text)
{
    struct buf b = BUF_INIT;
    for (const char *p = text; *p; p++)
        buf_printf(&b, "%s%c", ispunct((unsigned char)*p) ? "\\" : "", *p);
    return buf_detach(&b, NULL);
}

static int behavior_of(const json_t *json, enum split_behavior *out, struct err *err)
{
    static const char *const names[] = {
        [SPLIT_REMOVED] = "Removed",
        [SPLIT_ISOLATED] = "Isolated",
        [SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
        [SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
        [SPLIT_CONTIGUOUS] = "Contiguous",
    };
    const char *name = json_get_str(json, "behavior", "");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i], name)) {
            *out = (enum split_behavior)i;
            return 0;
        }
    return err_set(err, ERR_PARSE, "pre_tokenizer: Split: behavior '%.50s' is not known",
                   name);
}

int pattern_parse(const json_t *json, const char *what, struct regex **out,
                  struct err *err)
{
    const json_t *pattern = json_object_get(json, "pattern");
    const char *regex = json_get_str(pattern, "Regex", NULL);
    const char *text = json_get_str(pattern, "String", NULL);
    if (!regex && !text)
        return err_set(err, ERR_PARSE, "%s: 'pattern' must have 'Regex' or 'String'",
                       what);
    char *full = regex ? from_oniguruma(regex) : escaped(text);
    int rc = regex_new(full, out, err);
    free(full);
    return rc < 0 ? err_context(err, "%s: ", what) : 0;
}

int split_pre_tokenizer(const json_t *json, struct pre_tokenizer *out, struct err *err)
{
    struct split *s = xcalloc(1, sizeof *s);
    *out = (struct pre_tokenizer){s, split_apply, split_release};
    s->invert = json_get_bool(json, "invert", 0);
    int rc = behavior_of(json, &s->behavior, err);
    return rc < 0 ? rc : pattern_parse(json, "pre_tokenizer: Split", &s->regex, err);
}

/* ---- Digits ------------------------------------------------------------------------ */

static void digits_one_by_one(const void *config, struct words *w)
{
    (void)config;
    words_split(w, unicode_is_numeric, true);
}

static void digits_together(const void *config, struct words *w)
{
    (void)config;
    struct words out = {.text = w->text, .err = w->err};
    for (size_t i = 0; i < w->n; i++) {
        size_t begin = w->at[i].begin;
        for (size_t j = begin + 1; j < w->at[i].end; j++)
            if (unicode_is_numeric(w->text->at[j].cp) !=
                unicode_is_numeric(w->text->at[j - 1].cp)) {
                words_add(&out, begin, j);
                begin = j;
            }
        words_add(&out, begin, w->at[i].end);
    }
    free(w->at);
    *w = out;
}

int digits_pre_tokenizer(const json_t *json, struct pre_tokenizer *out, struct err *err)
{
    (void)err;
    const bool each = json_get_bool(json, "individual_digits", 0);
    *out = (struct pre_tokenizer){NULL, each ? digits_one_by_one : digits_together, NULL};
    return 0;
}
