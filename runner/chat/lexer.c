/* runner/chat/lexer.c - a template's text to tokens; see syntax.h.
 *
 * White space is jinja2's with trim_blocks and lstrip_blocks: the newline behind a block
 * or comment goes, and so do blanks before one at the start of a line; a '-' at either
 * end takes all white space on its side, a '+' keeps it. Line ends become \n, and one at
 * the end of the template goes. */
#include "lib/mem.h"
#include "runner/chat/syntax.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define BRACKETS_MAX 256

struct lexer {
    const char *text;
    size_t len, pos;
    size_t placed; /* up to here `place` has counted */
    struct place place;
    struct arena *arena;
    struct tokens_read *out;
    struct err *err;
};

int syntax_error(struct err *err, struct place at, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    int rc = err_set(err, ERR_PARSE, "template: line %u, column %u: %s", at.line,
                     at.column, buf_str(&b));
    buf_release(&b);
    return rc;
}

/* Positions only grow, so that counting is linear. */
static struct place place_of(struct lexer *x, size_t pos)
{
    for (; x->placed < pos; x->placed++) {
        unsigned char c = (unsigned char)x->text[x->placed];
        if (c == '\n') {
            x->place.line++;
            x->place.column = 1;
        } else if ((c & 0xc0) != 0x80) {
            x->place.column++;
        }
    }
    return x->place;
}

static bool ahead(const struct lexer *x, size_t pos, const char *what)
{
    size_t n = strlen(what);
    return x->len - pos >= n && memcmp(x->text + pos, what, n) == 0;
}

static struct token *emit(struct lexer *x, enum token_kind kind, size_t pos)
{
    struct tokens_read *o = x->out;
    o->at = xgrow(o->at, &o->cap, o->n + 1, sizeof *o->at);
    o->at[o->n] = (struct token){.kind = kind, .at = place_of(x, pos)};
    return &o->at[o->n++];
}

static int emit_text(struct lexer *x, enum token_kind kind, size_t pos, const char *text,
                     size_t n)
{
    struct string *s = string_new(x->arena, text, n);
    struct token *t = emit(x, kind, pos);
    if (!s)
        return syntax_error(x->err, t->at, "the template is too large");
    t->value = value_string(s);
    return 0;
}

static size_t skip_space(const struct lexer *x, size_t pos)
{
    for (size_t next = pos; pos < x->len; pos = next)
        if (!char_is_space(utf8_next(x->text, x->len, &next)))
            break;
    return pos;
}

/* ---- between tags ------------------------------------------------------------------- */

/* Where the white space at the end of [begin, end) begins, not before `begin`. */
static size_t space_from(const struct lexer *x, size_t begin, size_t end)
{
    size_t last = begin;
    for (size_t pos = begin; pos < end;)
        if (!char_is_space(utf8_next(x->text, end, &pos)))
            last = pos;
    return last;
}

/* The end of the data before a tag at `tag`, whose third character may be a sign. */
static size_t data_end(const struct lexer *x, size_t begin, size_t tag, bool line_start)
{
    char sign = tag + 2 < x->len ? x->text[tag + 2] : 0;
    if (sign == '-')
        return space_from(x, begin, tag);
    if (sign == '+' || ahead(x, tag, "{{"))
        return tag;
    size_t line = tag;
    while (line > begin && x->text[line - 1] != '\n')
        line--;
    if ((line > begin || line_start) && space_from(x, line, tag) == line)
        return line;
    return tag;
}

static size_t find_tag(const struct lexer *x, size_t pos)
{
    for (; pos + 1 < x->len; pos++)
        if (x->text[pos] == '{' && strchr("{%#", x->text[pos + 1]) && x->text[pos + 1])
            return pos;
    return x->len;
}

/* Behind the end of a block or comment, whose last characters are at `pos` ("%}"); the
 * sign before them was seen. */
static size_t behind_end(const struct lexer *x, size_t pos, char sign)
{
    pos += 2;
    if (sign == '-')
        return skip_space(x, pos);
    if (sign != '+' && pos < x->len && x->text[pos] == '\n')
        pos++;
    return pos;
}

static int lex_comment(struct lexer *x)
{
    size_t begin = x->pos, content = begin + 2;
    if (content < x->len && (x->text[content] == '-' || x->text[content] == '+'))
        content++;
    size_t pos = content;
    while (pos < x->len && !ahead(x, pos, "#}"))
        pos++;
    if (pos == x->len)
        return syntax_error(x->err, place_of(x, begin),
                            "the comment does not end - '#}' is missing");
    char sign = pos > content ? x->text[pos - 1] : 0;
    x->pos = behind_end(x, pos, sign);
    return 0;
}

/* ---- within tags -------------------------------------------------------------------- */

static int32_t hex_escape(const struct lexer *x, size_t pos, size_t digits)
{
    int32_t v = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = pos + i < x->len ? x->text[pos + i] : 0;
        if (!isxdigit((unsigned char)c))
            return -1;
        v = v * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
        if (v > 0x10ffff)
            return -1;
    }
    return v;
}

static void add_char(struct buf *b, int32_t cp)
{
    utf8proc_uint8_t bytes[4];
    buf_add(b, bytes, (size_t)utf8proc_encode_char(cp, bytes));
}

/* One escape; x->pos is at the character behind the backslash and moves behind it all.
 * An escape that Python does not know keeps its backslash. */
static int lex_escape(struct lexer *x, struct buf *b)
{
    static const char named[] = "ntr\\'\"abfv", means[] = "\n\t\r\\'\"\a\b\f\v";
    char c = x->text[x->pos++];
    const char *at = c ? strchr(named, c) : NULL;
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (at) {
        buf_char(b, means[at - named]);
    } else if (digits) {
        int32_t cp = hex_escape(x, x->pos, digits);
        if (cp < 0 || (cp >= 0xd800 && cp < 0xe000))
            return syntax_error(x->err, place_of(x, x->pos),
                                "an escape \\%c wants %zu hexadecimal digits of a "
                                "character",
                                c, digits);
        add_char(b, cp);
        x->pos += digits;
    } else if (c >= '0' && c <= '7') {
        int v = c - '0';
        for (int i = 0;
             i < 2 && x->pos < x->len && x->text[x->pos] >= '0' && x->text[x->pos] <= '7';
             i++)
            v = v * 8 + (x->text[x->pos++] - '0');
        add_char(b, v);
    } else if (c == 'N') {
        return syntax_error(x->err, place_of(x, x->pos),
                            "escapes by a character's name (\\N) are not supported");
    } else if (c != '\n') {
        buf_char(b, '\\');
        buf_char(b, c);
    }
    return 0;
}

static int lex_string(struct lexer *x)
{
    size_t begin = x->pos;
    char quote = x->text[x->pos++];
    struct buf b = BUF_INIT;
    int rc = 0;
    while (rc >= 0 && x->pos < x->len && x->text[x->pos] != quote) {
        char c = x->text[x->pos++];
        if (c != '\\')
            buf_char(&b, c);
        else if (x->pos < x->len)
            rc = lex_escape(x, &b);
    }
    if (rc >= 0 && x->pos >= x->len)
        rc = syntax_error(x->err, place_of(x, begin), "the string does not end");
    x->pos++;
    if (rc >= 0)
        rc = emit_text(x, T_STRING, begin, buf_str(&b), b.len);
    buf_release(&b);
    return rc;
}

static size_t digits_from(const struct lexer *x, size_t pos)
{
    while (pos < x->len && isdigit((unsigned char)x->text[pos]))
        pos++;
    return pos;
}

/* Where the fraction and exponent of a number end; `pos` where there are none. */
static size_t float_end(const struct lexer *x, size_t pos)
{
    size_t end = pos, more;
    if (pos < x->len && x->text[pos] == '.' && (more = digits_from(x, pos + 1)) > pos + 1)
        end = more;
    if (end < x->len && (x->text[end] | 32) == 'e') {
        size_t sign =
            end + 1 < x->len && strchr("+-", x->text[end + 1]) && x->text[end + 1] ? 1
                                                                                   : 0;
        more = digits_from(x, end + 1 + sign);
        if (more > end + 1 + sign)
            end = more;
    }
    return end;
}

static int lex_number(struct lexer *x)
{
    size_t begin = x->pos, end = digits_from(x, begin), whole = end;
    if (begin == 0 || x->text[begin - 1] != '.')
        end = float_end(x, end);
    struct token *t = emit(x, end > whole ? T_FLOAT : T_INT, begin);
    x->pos = end;
    if (end - begin > 300 || (end == whole && end - begin > 1 && x->text[begin] == '0'))
        return syntax_error(x->err, t->at, "this is not a number");
    char text[304];
    memcpy(text, x->text + begin, end - begin);
    text[end - begin] = 0;
    errno = 0;
    if (end > whole)
        t->value = value_float(strtod(text, NULL));
    else
        t->value = value_int(strtoll(text, NULL, 10));
    if (end == whole && errno)
        return syntax_error(x->err, t->at, "the number is too large");
    return 0;
}

static int lex_operator(struct lexer *x, char *brackets, size_t *depth)
{
    static const char *const known[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                        "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                        ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    size_t i = 0;
    while (i < ARRAY_LEN(known) && !ahead(x, x->pos, known[i]))
        i++;
    if (i == ARRAY_LEN(known)) {
        size_t at = x->pos;
        int32_t cp = utf8_next(x->text, x->len, &at);
        return syntax_error(x->err, place_of(x, x->pos),
                            "unexpected character U+%04X '%.*s'", (unsigned)cp,
                            (int)(at - x->pos), x->text + x->pos);
    }
    struct token *t = emit(x, T_OPERATOR, x->pos);
    memcpy(t->op, known[i], strlen(known[i]) + 1);
    x->pos += strlen(known[i]);
    char c = t->op[0];
    if (strchr("([{", c)) {
        if (*depth == BRACKETS_MAX)
            return syntax_error(x->err, t->at, "more than %d brackets in one another",
                                BRACKETS_MAX);
        brackets[(*depth)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (strchr(")]}", c)) {
        if (*depth == 0 || brackets[--*depth] != c)
            return syntax_error(x->err, t->at, "'%c' closes nothing", c);
    }
    return 0;
}

static int lex_one(struct lexer *x, char *brackets, size_t *depth)
{
    unsigned char c = (unsigned char)x->text[x->pos];
    if (isalpha(c) || c == '_') {
        size_t begin = x->pos;
        while (x->pos < x->len &&
               (isalnum((unsigned char)x->text[x->pos]) || x->text[x->pos] == '_'))
            x->pos++;
        return emit_text(x, T_NAME, begin, x->text + begin, x->pos - begin);
    }
    if (isdigit(c))
        return lex_number(x);
    if (c == '"' || c == '\'')
        return lex_string(x);
    return lex_operator(x, brackets, depth);
}

/* A tag from its first brace to behind its end. */
static int lex_tag(struct lexer *x, bool block)
{
    const char *end = block ? "%}" : "}}";
    size_t begin = x->pos, depth = 0;
    char brackets[BRACKETS_MAX];
    emit(x, block ? T_BLOCK_BEGIN : T_VARIABLE_BEGIN, begin);
    x->pos += 2;
    if (x->pos < x->len && (x->text[x->pos] == '-' || x->text[x->pos] == '+'))
        x->pos++;
    for (;;) {
        x->pos = skip_space(x, x->pos);
        if (x->pos >= x->len)
            return syntax_error(x->err,
                                place_of(x, x->placed > begin ? x->placed : begin),
                                "the tag does not end - '%s' is missing", end);
        char sign = x->text[x->pos];
        bool sign_end = (sign == '-' || (block && sign == '+')) && x->pos + 1 < x->len &&
                        ahead(x, x->pos + 1, end);
        if (depth == 0 && (sign_end || ahead(x, x->pos, end))) {
            emit(x, block ? T_BLOCK_END : T_VARIABLE_END, x->pos);
            x->pos += sign_end;
            if (block)
                x->pos = behind_end(x, x->pos, sign_end ? sign : 0);
            else
                x->pos = sign_end ? skip_space(x, x->pos + 2) : x->pos + 2;
            return 0;
        }
        int rc = lex_one(x, brackets, &depth);
        if (rc < 0)
            return rc;
    }
}

static int lex_all(struct lexer *x)
{
    bool line_start = true;
    int rc = 0;
    while (rc >= 0 && x->pos < x->len) {
        size_t tag = find_tag(x, x->pos);
        size_t end = tag < x->len ? data_end(x, x->pos, tag, line_start) : tag;
        if (end > x->pos)
            rc = emit_text(x, T_DATA, x->pos, x->text + x->pos, end - x->pos);
        x->pos = tag;
        if (rc < 0 || tag == x->len)
            break;
        rc = x->text[tag + 1] == '#' ? lex_comment(x)
                                     : lex_tag(x, x->text[tag + 1] == '%');
        line_start = x->pos > 0 && x->text[x->pos - 1] == '\n';
    }
    emit(x, T_END, x->len);
    return rc;
}

/* \r\n and \r become \n; one line end at the end goes. Gives the new length. */
static size_t normal_lines(char *to, const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n')
            continue;
        to[n++] = text[i] == '\r' ? '\n' : text[i];
    }
    return n > 0 && to[n - 1] == '\n' ? n - 1 : n;
}

int jinja_lex(const char *text, size_t len, struct arena *a, struct tokens_read *out,
              struct err *err)
{
    char *copy = xmalloc(len + 1);
    struct lexer x = {.text = copy, .place = {1, 1}, .arena = a, .out = out, .err = err};
    x.len = normal_lines(copy, text, len);
    copy[x.len] = 0;
    int rc = lex_all(&x);
    free(copy);
    return rc;
}
