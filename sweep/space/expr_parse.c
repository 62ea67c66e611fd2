/* sweep/space/expr_parse.c - tokens, and recursive descent into the node array. */
#include "lib/buf.h"
#include "lib/mem.h"
#include "sweep/space/expr.h"
#include "sweep/space/expr_node.h"
#include "sweep/space/value.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum token_kind {
    TOKEN_END,
    TOKEN_NUMBER,
    TOKEN_STRING,
    TOKEN_WORD,
    TOKEN_NOT_IN, /* `not in`, one operator whatever the space between */
    TOKEN_SIGN
};

struct parser {
    struct expr *e;
    const struct strmap *names;
    struct err *err;
    enum token_kind kind; /* the token ahead */
    const char *start;
    size_t len;
    int depth;
};

static int fail(struct parser *p, const char *what)
{
    return err_set(p->err, ERR_CONFIG, "expression '%.200s': %s at character %zu",
                   p->e->text, what, (size_t)(p->start - p->e->text) + 1);
}

static bool is_word_start(char c)
{
    return isalpha((unsigned char)c) || c == '_';
}

static size_t word_length(const char *s)
{
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_')
        n++;
    return n;
}

static size_t space_length(const char *s)
{
    return strspn(s, " \t\r\n");
}

/* Digits, a point, an exponent; the first character is a digit, or a point before one. */
static size_t number_length(const char *s)
{
    size_t n = strspn(s, "0123456789");
    if (s[n] == '.')
        n += 1 + strspn(s + n + 1, "0123456789");
    if (s[n] == 'e' || s[n] == 'E') {
        size_t sign = s[n + 1] == '+' || s[n + 1] == '-';
        size_t digits = strspn(s + n + 1 + sign, "0123456789");
        n += digits ? 1 + sign + digits : 0;
    }
    return n;
}

/* Length of `not in` when it starts here at a `not`, else 0. */
static size_t not_in_length(const char *s)
{
    size_t gap = space_length(s + 3);
    const char *second = s + 3 + gap;
    return gap && word_length(second) == 2 && !memcmp(second, "in", 2) ? 5 + gap : 0;
}

static size_t sign_length(const char *s)
{
    static const char *const twice[] = {"==", "!=", "<=", ">=", "//"};
    for (size_t i = 0; i < ARRAY_LEN(twice); i++)
        if (!strncmp(s, twice[i], 2))
            return 2;
    return strchr("+-*/%<>()[],", *s) ? 1 : 0;
}

static int string_token(struct parser *p)
{
    char quote = *p->start;
    size_t n = 1;
    while (p->start[n] && p->start[n] != quote)
        n += p->start[n] == '\\' && p->start[n + 1] ? 2 : 1;
    if (!p->start[n])
        return fail(p, "a text that is not closed");
    p->kind = TOKEN_STRING;
    p->len = n + 1;
    return 0;
}

/* Reads the next token behind the current one. */
static int advance(struct parser *p)
{
    const char *s = p->start + p->len;
    s += space_length(s);
    p->start = s;
    p->len = 0;
    if (!*s) {
        p->kind = TOKEN_END;
        return 0;
    }
    if (*s == '\'' || *s == '"')
        return string_token(p);
    if (isdigit((unsigned char)*s) || (*s == '.' && isdigit((unsigned char)s[1]))) {
        p->kind = TOKEN_NUMBER;
        p->len = number_length(s);
        if (is_word_start(s[p->len]) || s[p->len] == '.')
            return fail(p, "a number that goes on with letters");
    } else if (is_word_start(*s)) {
        p->kind = TOKEN_WORD;
        p->len = word_length(s);
        if (p->len == 3 && !memcmp(s, "not", 3) && not_in_length(s)) {
            p->kind = TOKEN_NOT_IN;
            p->len = not_in_length(s);
        }
    } else {
        p->kind = TOKEN_SIGN;
        p->len = sign_length(s);
        if (!p->len)
            return fail(p, *s == '='   ? "'=' is no operator (== compares)"
                           : *s == '.' ? "'.' is no operator"
                                       : "an unknown character");
    }
    return 0;
}

static bool ahead(const struct parser *p, const char *text)
{
    return (p->kind == TOKEN_WORD || p->kind == TOKEN_SIGN) && strlen(text) == p->len &&
           !memcmp(p->start, text, p->len);
}

static int expect(struct parser *p, const char *text)
{
    char what[64];
    snprintf(what, sizeof what, "expected '%s'", text);
    return ahead(p, text) ? advance(p) : fail(p, what);
}

static int add_node(struct parser *p, enum node_kind kind)
{
    struct expr *e = p->e;
    if (e->count >= EXPR_NODES_MAX)
        return fail(p, "the expression is too long");
    e->nodes = xgrow(e->nodes, &e->cap, e->count + 1, sizeof *e->nodes);
    e->nodes[e->count] = (struct node){.kind = kind, .first = -1, .next = -1};
    return (int)e->count++;
}

static void add_child(struct parser *p, int parent, int child)
{
    struct node *nodes = p->e->nodes;
    int *link = &nodes[parent].first;
    while (*link >= 0)
        link = &nodes[*link].next;
    *link = child;
    nodes[parent].child_count++;
}

static int add_value(struct parser *p, json_t *value)
{
    int node = add_node(p, NODE_VALUE);
    if (node < 0)
        json_decref(value);
    else
        p->e->nodes[node].value = value;
    return node;
}

/* Every parse function returns the index of its node, or a negative error. */
static int parse_any(struct parser *p);
static int parse_unary(struct parser *p);

static int parse_number(struct parser *p)
{
    char *text = xstrndup(p->start, p->len);
    bool integer = p->len <= 18 && strspn(text, "0123456789") == p->len;
    double d = strtod(text, NULL);
    json_t *raw = integer ? json_integer(strtoll(text, NULL, 10)) : json_real(d);
    free(text);
    if (!raw)
        return fail(p, "a number that is too large");
    json_t *value = value_canon(raw);
    json_decref(raw);
    int node = add_value(p, value), rc = node < 0 ? node : advance(p);
    return rc < 0 ? rc : node;
}

static int parse_string(struct parser *p)
{
    struct buf text = BUF_INIT;
    for (size_t i = 1; i + 1 < p->len; i++) {
        char c = p->start[i];
        if (c == '\\') {
            c = p->start[++i];
            if (!strchr("\\'\"nt", c)) {
                buf_release(&text);
                return fail(p, "an unknown escape in a text");
            }
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        buf_char(&text, c);
    }
    json_t *value = json_stringn(buf_str(&text), text.len);
    buf_release(&text);
    if (!value)
        return fail(p, "a text that is not UTF-8");
    int node = add_value(p, value), rc = node < 0 ? node : advance(p);
    return rc < 0 ? rc : node;
}

/* What stands between brackets, up to `close`, as children of `node`. */
static int parse_items(struct parser *p, int node, const char *close)
{
    while (!ahead(p, close)) {
        int item = parse_any(p);
        if (item < 0)
            return item;
        add_child(p, node, item);
        if (!ahead(p, close)) {
            int rc = expect(p, ",");
            if (rc < 0)
                return rc;
        }
    }
    int rc = advance(p);
    return rc < 0 ? rc : node;
}

static int parse_call(struct parser *p, const char *name, size_t len)
{
    const struct expr_function *f = expr_function_find(name, len);
    if (!f)
        return fail(p, "only min, max and round can be called,");
    int node = add_node(p, NODE_CALL), rc = node < 0 ? node : advance(p);
    if (rc < 0)
        return rc;
    p->e->nodes[node].function = f;
    rc = parse_items(p, node, ")");
    if (rc < 0)
        return rc;
    size_t count = (size_t)p->e->nodes[node].child_count;
    if (count < f->min_args || count > f->max_args)
        return fail(p, "a wrong number of arguments");
    return node;
}

static bool is_reserved(const char *word, size_t len)
{
    static const char *const words[] = {"and", "or", "not", "in", "if", "else"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strlen(words[i]) == len && !memcmp(words[i], word, len))
            return true;
    return false;
}

/* A word that is no parameter: a constant, or a text that needs no quotes. */
static json_t *bare_word(const char *word, size_t len)
{
    static const struct {
        const char *text;
        int kind;
    } constants[] = {{"true", 1},  {"True", 1}, {"false", 0},
                     {"False", 0}, {"null", 2}, {"None", 2}};
    for (size_t i = 0; i < ARRAY_LEN(constants); i++)
        if (strlen(constants[i].text) == len && !memcmp(constants[i].text, word, len))
            return constants[i].kind == 2 ? json_null() : json_boolean(constants[i].kind);
    return json_stringn(word, len);
}

static int parse_word(struct parser *p)
{
    const char *word = p->start;
    size_t len = p->len;
    int64_t index;
    if (is_reserved(word, len))
        return fail(p, "expected a value");
    int rc = advance(p);
    if (rc < 0)
        return rc;
    if (ahead(p, "("))
        return parse_call(p, word, len);
    if (!strmap_get(p->names, word, len, &index))
        return add_value(p, bare_word(word, len));
    int node = add_node(p, NODE_NAME);
    if (node >= 0)
        p->e->nodes[node].index = index;
    return node;
}

static int parse_primary(struct parser *p)
{
    switch (p->kind) {
    case TOKEN_NUMBER:
        return parse_number(p);
    case TOKEN_STRING:
        return parse_string(p);
    case TOKEN_WORD:
        return parse_word(p);
    default:
        break;
    }
    if (ahead(p, "[")) {
        int node = add_node(p, NODE_LIST), rc = node < 0 ? node : advance(p);
        return rc < 0 ? rc : parse_items(p, node, "]");
    }
    if (!ahead(p, "("))
        return fail(p, "expected a value");
    int rc = advance(p), node = rc < 0 ? rc : parse_any(p);
    rc = node < 0 ? node : expect(p, ")");
    return rc < 0 ? rc : node;
}

static int enter(struct parser *p)
{
    return ++p->depth > EXPR_DEPTH_MAX ? fail(p, "the expression is nested too deeply")
                                       : 0;
}

static int parse_prefix(struct parser *p, enum node_kind kind,
                        int (*operand)(struct parser *))
{
    int rc = enter(p);
    if (rc == 0)
        rc = advance(p);
    int child = rc < 0 ? rc : operand(p);
    int node = child < 0 ? child : add_node(p, kind);
    if (node >= 0)
        add_child(p, node, child);
    p->depth--;
    return node;
}

static int parse_unary(struct parser *p)
{
    if (ahead(p, "-"))
        return parse_prefix(p, NODE_NEGATE, parse_unary);
    if (!ahead(p, "+"))
        return parse_primary(p);
    int rc = enter(p);
    if (rc == 0)
        rc = advance(p);
    int node = rc < 0 ? rc : parse_unary(p);
    p->depth--;
    return node;
}

static int parse_level(struct parser *p, enum expr_level level);

static int parse_not(struct parser *p)
{
    return parse_level(p, LEVEL_NOT);
}

static const struct expr_binary *operator_ahead(const struct parser *p)
{
    if (p->kind == TOKEN_NOT_IN)
        return expr_binary_find("not in", 6);
    return p->kind == TOKEN_WORD || p->kind == TOKEN_SIGN
               ? expr_binary_find(p->start, p->len)
               : NULL;
}

/* Operators of this level, left to right, over operands that bind tighter. */
static int parse_level(struct parser *p, enum expr_level level)
{
    if (level == LEVEL_UNARY)
        return parse_unary(p);
    if (level == LEVEL_NOT && ahead(p, "not"))
        return parse_prefix(p, NODE_NOT, parse_not);
    int left = parse_level(p, level + 1);
    for (int times = 0; left >= 0; times++) {
        const struct expr_binary *b = operator_ahead(p);
        if (!b || b->level != level)
            break;
        if (times && level == LEVEL_COMPARE)
            return fail(p, "comparisons do not chain; join them with 'and'");
        int rc = advance(p), right = rc < 0 ? rc : parse_level(p, level + 1);
        int node = right < 0 ? right : add_node(p, NODE_BINARY);
        if (node < 0)
            return node;
        p->e->nodes[node].binary = b;
        add_child(p, node, left);
        add_child(p, node, right);
        left = node;
    }
    return left;
}

static int parse_any(struct parser *p)
{
    int rc = enter(p);
    if (rc < 0)
        return rc;
    int value = parse_level(p, LEVEL_OR);
    if (value >= 0 && ahead(p, "if")) {
        int node = add_node(p, NODE_CONDITION);
        rc = node < 0 ? node : advance(p);
        int condition = rc < 0 ? rc : parse_level(p, LEVEL_OR);
        rc = condition < 0 ? condition : expect(p, "else");
        int otherwise = rc < 0 ? rc : parse_any(p);
        if (otherwise < 0)
            return otherwise;
        add_child(p, node, value);
        add_child(p, node, condition);
        add_child(p, node, otherwise);
        value = node;
    }
    p->depth--;
    return value;
}

int expr_parse(const char *text, const struct strmap *names, struct expr **out,
               struct err *err)
{
    if (strlen(text) > EXPR_TEXT_MAX)
        return err_set(err, ERR_CONFIG, "an expression of more than %d bytes",
                       EXPR_TEXT_MAX);
    struct expr *e = xcalloc(1, sizeof *e);
    e->text = xstrdup(text);
    struct parser p = {.e = e, .names = names, .err = err, .start = e->text};
    int rc = advance(&p);
    if (rc == 0)
        rc = e->root = parse_any(&p);
    if (rc >= 0 && p.kind != TOKEN_END)
        rc = fail(&p, "expected an operator or the end");
    if (rc < 0) {
        expr_free(e);
        return rc;
    }
    *out = e;
    return 0;
}
