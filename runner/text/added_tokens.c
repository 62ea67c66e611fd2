/* runner/text/added_tokens.c - tokens that are cut out of the text before anything else,
 * leftmost and longest (tokenizers tokenizer/added_vocabulary.rs). */
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>

#define ADDED_MAX 100000

static int parse_one(const json_t *json, struct tokenizer *t, struct err *err)
{
    const char *content = json_get_str(json, "content", NULL);
    int64_t id = json_get_int(json, "id", -1), known;
    if (!content)
        return err_set(err, ERR_PARSE, "added token without 'content'");
    if (!*content)
        return 0; /* as tokenizers does */
    int rc = 0;
    if (!strmap_get(t->vocab.ids, content, strlen(content), &known))
        rc = vocab_add(&t->vocab, content, id, err);
    else if (known != id)
        rc = err_set(err, ERR_PARSE, "added token '%s' has id %lld, the vocabulary %lld",
                     content, (long long)id, (long long)known);
    if (rc < 0)
        return rc;
    struct added_tokens *a = &t->added;
    a->at = xgrow(a->at, &a->cap, a->n + 1, sizeof *a->at);
    a->at[a->n++] = (struct added_token){
        .content = xstrdup(content),
        .id = (int32_t)id,
        .special = json_get_bool(json, "special", 0),
        .single_word = json_get_bool(json, "single_word", 0),
        .lstrip = json_get_bool(json, "lstrip", 0),
        .rstrip = json_get_bool(json, "rstrip", 0),
        .normalized = json_get_bool(json, "normalized", 0),
    };
    return 0;
}

static int make_pattern(struct added_token *a, const struct tokenizer *t, struct err *err)
{
    struct text text = {0};
    int rc = text_from_utf8(&text, a->content, strlen(a->content), err);
    struct err trouble = ERR_INIT;
    if (rc >= 0 && a->normalized && t->normalizer.apply)
        t->normalizer.apply(t->normalizer.config, &text, &trouble);
    if (trouble.code)
        rc = err_set(err, trouble.code, "added token '%s': %s", a->content, trouble.msg);
    if (rc >= 0) {
        a->pattern = xmalloc((text.n + 1) * sizeof *a->pattern);
        a->length = text.n;
        for (size_t i = 0; i < text.n; i++)
            a->pattern[i] = text.at[i].cp;
    }
    text_release(&text);
    return rc;
}

static int by_pattern(const void *x, const void *y)
{
    const struct added_token *a = *(const struct added_token *const *)x;
    const struct added_token *b = *(const struct added_token *const *)y;
    for (size_t i = 0; i < a->length && i < b->length; i++)
        if (a->pattern[i] != b->pattern[i])
            return a->pattern[i] < b->pattern[i] ? -1 : 1;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return (a < b) - (a > b); /* of equal patterns the last one wins, so it comes first */
}

int added_tokens_parse(const json_t *json, struct tokenizer *t, struct err *err)
{
    struct added_tokens *a = &t->added;
    size_t n = json_array_size(json);
    if (n > ADDED_MAX)
        return err_set(err, ERR_PARSE, "more than %d added tokens", ADDED_MAX);
    for (size_t i = 0; i < n; i++) {
        int rc = parse_one(json_array_get(json, i), t, err);
        if (rc < 0)
            return rc;
    }
    for (int list = 0; list < 2; list++)
        a->sorted[list] = xcalloc(a->n + 1, sizeof *a->sorted[list]);
    for (size_t i = 0; i < a->n; i++) {
        int rc = make_pattern(&a->at[i], t, err);
        if (rc < 0)
            return rc;
        int list = a->at[i].normalized;
        if (a->at[i].length)
            a->sorted[list][a->count[list]++] = &a->at[i];
    }
    for (int list = 0; list < 2; list++)
        qsort(a->sorted[list], a->count[list], sizeof *a->sorted[list], by_pattern);
    return 0;
}

void added_tokens_release(struct added_tokens *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->at[i].content);
        free(a->at[i].pattern);
    }
    free(a->at);
    free(a->sorted[0]);
    free(a->sorted[1]);
}

/* First entry in [lo, hi) whose character k is at least cp; entries that end before k are
 * smaller. */
static size_t lower(const struct added_token *const *s, size_t lo, size_t hi, size_t k,
                    int32_t cp)
{
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s[mid]->length <= k || s[mid]->pattern[k] < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The longest pattern at the start of `at`, by narrowing a sorted range. */
static const struct added_token *longest_at(const struct added_token *const *s,
                                            size_t count, const struct place_char *at,
                                            size_t n)
{
    const struct added_token *best = NULL;
    size_t lo = 0, hi = count;
    for (size_t k = 0; k < n && lo < hi; k++) {
        lo = lower(s, lo, hi, k, at[k].cp);
        hi = lower(s, lo, hi, k, at[k].cp + 1);
        if (lo < hi && s[lo]->length == k + 1)
            best = s[lo];
    }
    return best;
}

void added_tokens_split(const struct added_tokens *a, int normalized,
                        const struct place_char *at, size_t n,
                        void (*each)(void *user, const struct match *m), void *user)
{
    size_t done = 0;
    for (size_t i = 0; i < n && a->count[normalized];) {
        const struct added_token *token =
            longest_at(a->sorted[normalized], a->count[normalized], at + i, n - i);
        if (!token) {
            i++;
            continue;
        }
        size_t begin = i, end = i + token->length;
        i = end;
        if (begin < done) /* a blank that the token before took */
            continue;
        if (token->single_word && ((begin > 0 && unicode_is_word(at[begin - 1].cp)) ||
                                   (end < n && unicode_is_word(at[end].cp))))
            continue;
        while (token->lstrip && begin > done && unicode_is_space(at[begin - 1].cp))
            begin--;
        while (token->rstrip && end < n && unicode_is_space(at[end].cp))
            end++;
        if (done < begin)
            each(user, &(struct match){NULL, done, begin});
        each(user, &(struct match){token, begin, end});
        done = end;
    }
    if (done < n)
        each(user, &(struct match){NULL, done, n});
}
