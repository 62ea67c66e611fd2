/* tracker/mlflow/search/search_list.c - the list behind IN, which MLflow reads as Python's literal:
 * texts in either quotes with backslash escapes, neighbours joined, a comma between and
 * perhaps behind. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/search/search_priv.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct list {
    const char *text;
    size_t size, at;
    struct buf entry, json;
};

static char peek(const struct list *l)
{
    return l->at < l->size ? l->text[l->at] : '\0';
}

static void skip_blanks(struct list *l)
{
    while (peek(l) && strchr(" \t\r\n\f", peek(l)))
        l->at++;
}

/* \n and the like; 0: not of these */
static char simple_escape(char c)
{
    static const char named[] = "\\'\"abfnrtv", meant[] = "\\'\"\a\b\f\n\r\t\v";
    const char *at = c ? strchr(named, c) : NULL;
    return at ? meant[at - named] : '\0';
}

/* Digits of a base, at most `most` of them. */
static int32_t escaped_number(struct list *l, int base, size_t most, size_t least)
{
    int32_t value = 0;
    size_t n = 0;
    for (; n < most && isxdigit((unsigned char)peek(l)); n++, l->at++) {
        const int digit =
            isdigit((unsigned char)peek(l)) ? peek(l) - '0' : (peek(l) | 32) - 'a' + 10;
        if (digit >= base)
            break;
        value = value > 0x110000 ? value : value * base + digit;
    }
    return n < least ? -1 : value;
}

/* Behind a backslash. false: no text of Python's. */
static bool read_escape(struct list *l)
{
    static const struct {
        char letter;
        size_t digits;
    } wide[] = {{'x', 2}, {'u', 4}, {'U', 8}};
    const char c = peek(l);
    int32_t value = -1;
    if (simple_escape(c)) {
        buf_char(&l->entry, simple_escape(c));
        l->at++;
        return true;
    }
    if (c == '\n' || c == '\0') {
        l->at += c == '\n';
        return c == '\n';
    }
    if (c >= '0' && c <= '7') {
        value = escaped_number(l, 8, 3, 1);
    } else {
        size_t i = 0;
        while (i < ARRAY_LEN(wide) && wide[i].letter != c)
            i++;
        if (i == ARRAY_LEN(wide)) {
            buf_char(&l->entry, '\\');
            return c != 'N'; /* names of letters are not known here */
        }
        l->at++;
        value = escaped_number(l, 16, wide[i].digits, wide[i].digits);
    }
    utf8proc_uint8_t letter[4];
    if (value <= 0 || !utf8proc_codepoint_valid(value))
        return false;
    buf_add(&l->entry, letter, (size_t)utf8proc_encode_char(value, letter));
    return true;
}

/* A quoted piece. */
static bool read_piece(struct list *l)
{
    const char quote = peek(l);
    l->at++;
    for (char c; (c = peek(l)) != quote;) {
        if (!c || c == '\n' || c == '\r')
            return false;
        l->at++;
        if (c != '\\')
            buf_char(&l->entry, c);
        else if (!read_escape(l))
            return false;
    }
    l->at++;
    return true;
}

static void put_entry(struct list *l)
{
    if (l->json.len > 1)
        buf_char(&l->json, ',');
    json_put_string(&l->json, buf_str(&l->entry), l->entry.len);
    buf_clear(&l->entry);
}

/* Pieces beside one another are one text. */
static bool read_entry(struct list *l)
{
    bool some = false;
    for (; peek(l) == '\'' || peek(l) == '"'; skip_blanks(l), some = true)
        if (!read_piece(l))
            return false;
    if (some)
        put_entry(l);
    return some;
}

static bool read_entries(struct list *l)
{
    for (bool some = false;; some = true) {
        skip_blanks(l);
        if (some && l->at == l->size)
            return true;
        if (!read_entry(l))
            return false;
        if (l->at < l->size && peek(l) != ',')
            return false;
        l->at += l->at < l->size;
    }
}

char *search_list_read(const char *text, size_t size, struct err *err)
{
    struct list l = {.text = text, .size = size, .entry = BUF_INIT, .json = BUF_INIT};
    buf_char(&l.json, '[');
    bool ok = read_entries(&l);
    buf_char(&l.json, ']');
    buf_release(&l.entry);
    if (ok)
        return buf_detach(&l.json, NULL);
    buf_release(&l.json);
    err_set(err, ERR_USAGE,
            "While parsing a list in the query, expected a non-empty list of "
            "string values, but got (%.*s)",
            (int)(size > 200 ? 200 : size), text);
    return NULL;
}
