/* runner/chat/strings.c - what Python's strings can do; see run.h.
 *
 * Upper and lower case are Unicode's; of the rules that look at the letters around, the
 * Greek final sigma is there. */
#include "lib/mem.h"
#include "runner/chat/run.h"
#include <string.h>
#include <utf8proc.h>

/* Start of the code point before `at`. */
static size_t before(const char *text, size_t at)
{
    do
        at--;
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80);
    return at;
}

static bool in_set(const char *text, size_t bytes, const struct string *set)
{
    size_t at = 0;
    if (!set)
        return char_is_space(utf8_next(text, bytes, &at));
    /* A whole character: UTF-8 has no character within another. */
    return memmem(set->text, set->bytes, text, bytes) != NULL;
}

int string_strip(struct run *r, struct value v, struct value chars, enum side side,
                 struct value *out)
{
    const struct string *s = v.s, *set = chars.kind == V_STRING ? chars.s : NULL;
    size_t begin = 0, end = s->bytes;
    if (chars.kind == V_UNDEFINED)
        return run_undefined(r, chars);
    if (!set && chars.kind != V_MISSING && chars.kind != V_NONE)
        return run_error(r, "the characters to strip are a str, not %s",
                         value_type(chars));
    while ((side & SIDE_LEFT) && begin < end) {
        size_t next = begin;
        utf8_next(s->text, end, &next);
        if (!in_set(s->text + begin, next - begin, set))
            break;
        begin = next;
    }
    while ((side & SIDE_RIGHT) && end > begin) {
        size_t last = before(s->text, end);
        if (!in_set(s->text + last, end - last, set))
            break;
        end = last;
    }
    int rc = run_work(r, s->bytes);
    *out = v;
    if (rc >= 0 && end - begin < s->bytes) {
        rc = run_string(r, s->text + begin, end - begin, out);
        out->safe = rc >= 0 && v.safe;
    }
    return rc;
}

/* ---- case --------------------------------------------------------------------------- */

static void put_char(struct buf *out, int32_t cp)
{
    utf8proc_uint8_t bytes[4];
    buf_add(out, bytes, (size_t)utf8proc_encode_char(cp, bytes));
}

static void put_capital(struct buf *out, int32_t cp, bool title)
{
    static const struct {
        int32_t cp;
        const char *upper, *title;
    } special[] = {
#define SPECIAL(cp, upper, title) {cp, upper, title},
#include "runner/chat/special_case.def"
#undef SPECIAL
    };
    for (size_t i = 0; cp >= 0xdf && i < ARRAY_LEN(special); i++)
        if (special[i].cp == cp) {
            buf_str_add(out, title ? special[i].title : special[i].upper);
            return;
        }
    put_char(out, title ? utf8proc_totitle(cp) : utf8proc_toupper(cp));
}

static bool is_cased(int32_t cp)
{
    return utf8proc_islower(cp) || utf8proc_isupper(cp) ||
           utf8proc_category(cp) == UTF8PROC_CATEGORY_LT;
}

/* Neither ends a word nor counts as its letter. */
static bool is_ignorable(int32_t cp)
{
    switch (utf8proc_category(cp)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return cp == '\'' || cp == '.' || cp == ':' || cp == 0xb7 || cp == 0x387 ||
               cp == 0x2018 || cp == 0x2019 || cp == 0x2024 || cp == 0x2027;
    }
}

/* A capital sigma in [begin, end) behind a letter and before none. */
static bool is_final_sigma(const struct string *s, size_t begin, size_t end)
{
    int32_t cp = 0;
    bool letter = false;
    while (begin > 0) {
        size_t at = begin = before(s->text, begin);
        cp = utf8_next(s->text, s->bytes, &at);
        if (!is_ignorable(cp)) {
            letter = is_cased(cp);
            break;
        }
    }
    while (letter && end < s->bytes) {
        cp = utf8_next(s->text, s->bytes, &end);
        if (!is_ignorable(cp))
            return !is_cased(cp);
    }
    return letter;
}

static void put_small(struct buf *out, const struct string *s, size_t begin, size_t end)
{
    size_t at = begin;
    int32_t cp = utf8_next(s->text, s->bytes, &at);
    if (cp == 0x130)
        buf_str_add(out, "i\xcc\x87");
    else if (cp == 0x3a3)
        put_char(out, is_final_sigma(s, begin, end) ? 0x3c2 : 0x3c3);
    else
        put_char(out, utf8proc_tolower(cp));
}

int string_letters(struct run *r, struct value v, enum letters how, struct value *out)
{
    const struct string *s = v.s;
    struct buf *b = &r->out->text;
    size_t mark = b->len;
    int rc = run_work(r, 4 * s->bytes);
    for (size_t at = 0; at < s->bytes && rc >= 0;) {
        size_t begin = at;
        int32_t cp = utf8_next(s->text, s->bytes, &at);
        if (how == LETTERS_UPPER || (how == LETTERS_CAPITAL && begin == 0)) {
            put_capital(b, cp, how == LETTERS_CAPITAL);
        } else {
            put_small(b, s, begin, at);
            /* A sigma looks at what may be the rest of the text. */
            rc = cp == 0x3a3 ? run_work(r, s->bytes) : 0;
        }
    }
    rc = rc < 0 ? rc : run_cut(r, mark, out);
    out->safe = rc >= 0 && v.safe;
    return rc;
}

/* ---- replace and split -------------------------------------------------------------- */

/* An empty `old` stands before every character and at the end. */
static void insert_between(struct buf *b, const struct string *s,
                           const struct string *new, int64_t limit)
{
    size_t at = 0;
    for (; limit != 0 && at < s->bytes; limit--) {
        size_t begin = at;
        utf8_next(s->text, s->bytes, &at);
        buf_add(b, new->text, new->bytes);
        buf_add(b, s->text + begin, at - begin);
    }
    buf_add(b, s->text + at, s->bytes - at);
    if (limit != 0)
        buf_add(b, new->text, new->bytes);
}

int string_replace(struct run *r, struct value v, struct value old, struct value new,
                   int64_t limit, struct value *out)
{
    const struct string *s = v.s;
    struct buf *b = &r->out->text;
    size_t mark = b->len;
    const char *from = s->text, *end = s->text + s->bytes, *hit;
    int rc = run_work(r, s->bytes);
    if (old.s->bytes == 0) {
        insert_between(b, s, new.s, limit);
    } else {
        for (; rc >= 0 && limit != 0 &&
               (hit = memmem(from, (size_t)(end - from), old.s->text, old.s->bytes));
             from = hit + old.s->bytes, limit--) {
            buf_add(b, from, (size_t)(hit - from));
            buf_add(b, new.s->text, new.s->bytes);
            rc = run_work(r, new.s->bytes);
        }
        buf_add(b, from, (size_t)(end - from));
    }
    rc = rc < 0 ? rc : run_cut(r, mark, out);
    out->safe = rc >= 0 && v.safe;
    return rc;
}

/* Where the next piece ends and the rest begins; false: it is the last. */
static bool next_piece(const char *from, const char *end, const struct string *by,
                       const char **stop, const char **rest)
{
    if (by) {
        *stop = memmem(from, (size_t)(end - from), by->text, by->bytes);
        *rest = *stop ? *stop + by->bytes : end;
        return *stop != NULL;
    }
    for (size_t at = 0, n = (size_t)(end - from); at < n;) {
        size_t begin = at;
        if (char_is_space(utf8_next(from, n, &at))) {
            *stop = from + begin;
            *rest = from + at;
            return true;
        }
    }
    return false;
}

static const char *skip_spaces(const char *from, const char *end)
{
    size_t n = (size_t)(end - from), at = 0, next = 0;
    for (; at < n; at = next)
        if (!char_is_space(utf8_next(from, n, &next)))
            break;
    return from + at;
}

int string_split(struct run *r, struct value v, struct value by, int64_t limit,
                 struct value *out)
{
    const struct string *s = v.s, *mark = by.kind == V_STRING ? by.s : NULL;
    const char *end = s->text + s->bytes, *stop, *rest;
    size_t n = 0;
    struct list *l = NULL;
    int rc = run_work(r, s->bytes);
    if (mark && mark->bytes == 0)
        return run_error(r, "the separator is empty");
    /* Once to count, once to cut. */
    for (int pass = 0; pass < 2 && rc >= 0; pass++) {
        const char *from = mark ? s->text : skip_spaces(s->text, end);
        size_t i = 0;
        for (int64_t left = limit; rc >= 0 && (mark || from < end); from = rest, left--) {
            bool more = left != 0 && next_piece(from, end, mark, &stop, &rest);
            if (!more)
                stop = rest = end;
            else if (!mark)
                rest = skip_spaces(rest, end);
            if (l) {
                rc = run_string(r, from, (size_t)(stop - from), &l->at[i]);
                l->at[i].safe = v.safe;
            }
            i++;
            if (!more)
                break;
        }
        n = i;
        if (pass == 0 && !(l = run_list(r, n)))
            rc = -ERR_PARSE;
    }
    *out = (struct value){.kind = V_LIST, .list = l};
    return rc;
}
