/* lib/secret/secret_text.c - secrets within texts; see secret.h.
 *
 * The text is gone through word by word, a word being letters, digits, '_', '-' and '.'.
 * What follows a word says what it is: '=' or ':' make it a name, "://" the scheme of an
 * address, a blank behind "--word" a flag. */
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/secret/secret_parts.h"
#include "lib/str.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const char *from; /* not yet copied */
    struct buf out;
    size_t hidden;
};

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_-.", c));
}

static void hide(struct scan *s, const char *value, size_t n)
{
    buf_add(&s->out, s->from, (size_t)(value - s->from));
    buf_str_add(&s->out, SECRET_SHOWN);
    s->from = value + n;
    s->hidden++;
}

/* Of a value at `v`: behind its opening quote, which may have a backslash; *n its length. */
static const char *value_at(const char *v, bool in_address, size_t *n)
{
    const char *quote = v + (*v == '\\');
    if (*quote == '"' || *quote == '\'') {
        const char close[] = {*quote, *v == '\\' ? '\\' : '\0', '\0'};
        *n = strcspn(quote + 1, close);
        return quote + 1;
    }
    *n = strcspn(v, in_address ? " \t\r\n\"'&#" : " \t\r\n\"'");
    return v;
}

/* "Bearer", "Basic": the word behind it is the value. */
static bool is_scheme(const char *v, size_t n)
{
    return (n == 6 && !strncasecmp(v, "bearer", n)) ||
           (n == 5 && (!strncasecmp(v, "basic", n) || !strncasecmp(v, "token", n)));
}

/* Prose has colons too ("unexpected token: name"). */
static bool looks_random(const char *v, size_t n)
{
    bool digit = false;
    for (size_t i = 0; i < n; i++)
        digit |= isdigit((unsigned char)v[i]) != 0;
    return digit && n >= 8;
}

/* Hides the value at `v` if it is one; where to go on. */
static const char *take_value(struct scan *s, enum secret_kind kind, const char *v,
                              bool in_address, bool only_random)
{
    size_t n;
    const char *value = value_at(v, in_address, &n), *begin = value;
    if (is_scheme(value, n) && value[n] == ' ') {
        value += n + 1;
        n = strcspn(value, " \t\r\n\"'\\");
        only_random = false;
    }
    if (!secret_value_of(kind, value, n) || (only_random && !looks_random(value, n)))
        return begin;
    hide(s, value, n);
    return value + n;
}

/* Behind "https:" is "//": hides the user's part, or of it what follows the first ':'. */
static const char *take_address(struct scan *s, const char *authority)
{
    const size_t n = strcspn(authority, "/?# \t\r\n\"'");
    const char *at = authority + n;
    while (at > authority && *at != '@')
        at--;
    if (*at != '@')
        return authority;
    const char *colon = memchr(authority, ':', (size_t)(at - authority));
    const char *secret = colon ? colon + 1 : authority;
    const size_t length = (size_t)(at - secret);
    if (colon ? secret_value_of(SECRET_any, secret, length)
              : length >= 20 || secret_has_form(secret, length))
        hide(s, secret, length);
    return at;
}

static const char *skip(const char *p, const char *set)
{
    return p + strspn(p, set);
}

/* A word of n characters; where to go on, at its end or behind. */
static const char *take_word(struct scan *s, const char *word, size_t n, bool in_address)
{
    const char *end = word + n;
    if (!strncmp(end, "://", 3))
        return take_address(s, end + 3);
    if (secret_has_form(word, n)) {
        hide(s, word, n);
        return end;
    }
    const char *mark = end + (*end == '\\');
    const bool closed = *mark == '"' || *mark == '\'';
    mark = skip(mark + closed, " \t");
    const char *next = skip(mark, " \t\r\n,"), *item = next + (*next == '\\');
    item += *item == '"' || *item == '\'';
    const bool named = *mark == '=' || *mark == ':';
    const bool listed =
        word[0] == '-' && next > end && *item != '-' && (!closed || *mark == ',');
    const bool bearer = n == 6 && !strncasecmp(word, "bearer", n) && *end == ' ';
    if (!named && !listed && !bearer)
        return end;
    const enum secret_kind kind = secret_kind_of(word, n);
    if (kind == SECRET_none)
        return end;
    if (named) {
        const char *v = skip(mark + 1, " \t");
        const bool quoted = *v == '"' || *v == '\'' || *v == '\\';
        const bool prose = *mark == ':' && !quoted && kind != SECRET_any;
        return take_value(s, kind, v, in_address, prose);
    }
    if (bearer)
        return take_value(s, kind, end + 1, false, true);
    return take_value(s, kind, next, false, false);
}

static bool may_hold_one(const char *text)
{
    return strpbrk(text, "=:") || strstr(text, "--") || strlen(text) >= 20;
}

char *secret_text(const char *text)
{
    struct scan s = {.from = text, .out = BUF_INIT};
    if (!text || !may_hold_one(text))
        return NULL;
    bool in_address = false;
    for (const char *p = text; *p;) {
        size_t n = 0;
        while (in_word(p[n]))
            n++;
        if (isspace((unsigned char)*p))
            in_address = false;
        in_address |= *p == '?' || *p == '&';
        p = n ? take_word(&s, p, n, in_address) : p + 1;
    }
    if (!s.hidden) {
        buf_release(&s.out);
        return NULL;
    }
    buf_str_add(&s.out, s.from);
    return buf_detach(&s.out, NULL);
}

/* Is there a word that may name one, or be one? */
static bool names_one(const char *text)
{
    for (const char *p = text; *p;) {
        size_t n = 0;
        while (in_word(p[n]))
            n++;
        const bool number = isdigit((unsigned char)*p) || *p == '.';
        if (n && !number &&
            (!strncmp(p + n, "://", 3) || secret_has_form(p, n) ||
             secret_kind_of(p, n) != SECRET_none))
            return true;
        p += n ? n : 1;
    }
    return false;
}

char *secret_json_text(const char *text)
{
    const char *begin = skip(text, " \t\r\n");
    if (*begin != '{' && *begin != '[')
        return secret_text(text);
    if (!names_one(begin))
        return NULL;
    json_t *tree = json_parse(text, strlen(text), "text", NULL);
    if (!tree)
        return secret_text(text);
    json_t *clean = secret_json(tree);
    struct buf out = BUF_INIT;
    if (clean != tree)
        json_write(&out, clean, 0);
    json_decref(tree);
    json_decref(clean);
    return out.len ? buf_detach(&out, NULL) : NULL;
}
