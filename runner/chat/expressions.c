/* runner/chat/expressions.c - expressions of a template to nodes; see syntax.h.
 *
 * Precedence is jinja2's: choice, or, and, not, comparison, + -, ~, %, then signs, and
 * closest attributes, items, calls, filters and tests. */
#include "lib/mem.h"
#include "runner/chat/routine.h"
#include "runner/chat/syntax.h"
#include <string.h>

static uint32_t node_of(struct parser *p, enum node_kind kind, struct place at,
                        uint32_t a, uint32_t b)
{
    uint32_t n = parser_node(p, kind, at);
    NODE(p, n).a = a;
    NODE(p, n).b = b;
    return n;
}

/* ---- constants and brackets --------------------------------------------------------- */

static uint32_t constant(struct parser *p, struct place at, struct value v)
{
    uint32_t n = parser_node(p, N_CONST, at);
    NODE(p, n).value = v;
    return n;
}

/* Strings side by side are one. */
static uint32_t parse_strings(struct parser *p)
{
    const struct token *first = p->at++;
    if (p->at->kind != T_STRING)
        return constant(p, first->at, first->value);
    struct buf b = BUF_INIT;
    for (const struct token *t = first; t->kind == T_STRING; p->at = ++t)
        buf_add(&b, t->value.s->text, t->value.s->bytes);
    struct string *s = string_new(&p->j->arena, buf_str(&b), b.len);
    buf_release(&b);
    return s ? constant(p, first->at, value_string(s))
             : parse_fail(p, first->at, "the template is too large");
}

static uint32_t parse_word(struct parser *p)
{
    static const struct {
        const char *word;
        struct value v;
    } words[] = {
        {"true", {.kind = V_BOOL, .b = true}},
        {"True", {.kind = V_BOOL, .b = true}},
        {"false", {.kind = V_BOOL, .b = false}},
        {"False", {.kind = V_BOOL, .b = false}},
        {"none", {.kind = V_NONE}},
        {"None", {.kind = V_NONE}},
    };
    struct place at = p->at->at;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (parse_take_word(p, words[i].word))
            return constant(p, at, words[i].v);
    static const char *const magic[] = {"varargs", "kwargs", "caller"};
    for (size_t i = 0; p->macros && i < ARRAY_LEN(magic); i++)
        if (token_word(p, magic[i]))
            return parse_fail(p, at, "'%s' within a macro is not supported", magic[i]);
    return parse_name(p);
}

/* Items up to `end`; a dict's keys and values come in turn. */
static bool parse_items(struct parser *p, const char *end, bool pairs, uint32_t *first)
{
    struct node_list list = {0, 0};
    while (!token_is(p, end)) {
        uint32_t n;
        if (list.first && !parse_expect(p, ","))
            return false;
        if (token_is(p, end))
            break;
        if (!(n = parse_expression(p)))
            return false;
        node_list_add(p, &list, n);
        if (pairs) {
            if (!parse_expect(p, ":") || !(n = parse_expression(p)))
                return false;
            node_list_add(p, &list, n);
        }
    }
    p->at++;
    *first = list.first;
    return true;
}

static bool tuple_ends(const struct parser *p)
{
    return p->at->kind == T_VARIABLE_END || p->at->kind == T_BLOCK_END ||
           token_is(p, ")");
}

static uint32_t tuple_or_one(struct parser *p, bool choice, bool empty)
{
    struct place at = p->at->at;
    struct node_list list = {0, 0};
    bool comma = false;
    while (!tuple_ends(p)) {
        uint32_t n = choice ? parse_expression(p) : parse_without_choice(p);
        if (!n)
            return 0;
        node_list_add(p, &list, n);
        if (!parse_take(p, ","))
            break;
        comma = true;
    }
    if (!list.first && !empty)
        return parse_unexpected(p, "an expression");
    return comma || !list.first ? node_of(p, N_TUPLE, at, list.first, 0) : list.first;
}

uint32_t parse_tuple(struct parser *p, bool choice)
{
    return tuple_or_one(p, choice, false);
}

static uint32_t parse_primary(struct parser *p)
{
    const struct token *t = p->at;
    uint32_t items;
    switch (t->kind) {
    case T_NAME:
        return parse_word(p);
    case T_STRING:
        return parse_strings(p);
    case T_INT:
    case T_FLOAT:
        p->at++;
        return constant(p, t->at, t->value);
    default:
        break;
    }
    if (parse_take(p, "(")) {
        items = tuple_or_one(p, true, true);
        return items && parse_expect(p, ")") ? items : 0;
    }
    if (parse_take(p, "["))
        return parse_items(p, "]", false, &items) ? node_of(p, N_LIST, t->at, items, 0)
                                                  : 0;
    if (parse_take(p, "{"))
        return parse_items(p, "}", true, &items) ? node_of(p, N_DICT, t->at, items, 0)
                                                 : 0;
    return parse_unexpected(p, "an expression");
}

/* ---- behind a primary --------------------------------------------------------------- */

static uint32_t parse_brackets(struct parser *p, uint32_t of, struct place at)
{
    uint32_t part[3] = {0, 0, 0}, n;
    int i = 0;
    for (; i < 3; i++) {
        if (!token_is(p, ":") && !token_is(p, "]") && !(part[i] = parse_expression(p)))
            return 0;
        if (i == 2 || !parse_take(p, ":"))
            break;
    }
    if (i == 0 && !part[0])
        return parse_unexpected(p, "an index");
    if (!parse_expect(p, "]"))
        return 0;
    n = node_of(p, i ? N_SLICE : N_ITEM, at, of, part[0]);
    NODE(p, n).c = part[1];
    NODE(p, n).d = part[2];
    return n;
}

static uint32_t parse_attribute(struct parser *p, uint32_t of, struct place at)
{
    const struct token *t = p->at;
    uint32_t n;
    if (t->kind == T_NAME) {
        n = node_of(p, N_ATTRIBUTE, at, of, 0);
        NODE(p, n).value = t->value;
    } else if (t->kind == T_INT) {
        n = node_of(p, N_ITEM, at, of, constant(p, t->at, t->value));
    } else {
        return parse_unexpected(p, "an attribute's name");
    }
    p->at++;
    return n;
}

/* Behind the '('; UINT32_MAX: failed. */
static uint32_t parse_arguments(struct parser *p)
{
    struct node_list list = {0, 0};
    size_t count = 0;
    bool named = false;
    while (!token_is(p, ")")) {
        uint32_t n;
        if (list.first && !parse_expect(p, ","))
            return UINT32_MAX;
        const struct token *t = p->at;
        if (token_is(p, ")"))
            break;
        bool keyword =
            t->kind == T_NAME && t[1].kind == T_OPERATOR && strcmp(t[1].op, "=") == 0;
        if (keyword)
            p->at += 2;
        if (!keyword && named) {
            parse_fail(p, t->at, "an argument by place behind one by name");
            return UINT32_MAX;
        }
        named |= keyword;
        if (!(n = parse_expression(p)))
            return UINT32_MAX;
        if (++count > ARGS_MAX) {
            parse_fail(p, t->at, "more than %d arguments", ARGS_MAX);
            return UINT32_MAX;
        }
        if (keyword) {
            n = node_of(p, N_KEYWORD, t->at, n, 0);
            NODE(p, n).value = t->value;
        }
        node_list_add(p, &list, n);
    }
    p->at++;
    return list.first;
}

static uint32_t parse_call(struct parser *p, uint32_t of, struct place at)
{
    uint32_t arguments = parse_arguments(p);
    return arguments == UINT32_MAX ? 0 : node_of(p, N_CALL, at, of, arguments);
}

static uint32_t parse_postfix(struct parser *p, uint32_t n)
{
    while (n) {
        struct place at = p->at->at;
        if (parse_take(p, "."))
            n = parse_attribute(p, n, at);
        else if (parse_take(p, "["))
            n = parse_brackets(p, n, at);
        else if (parse_take(p, "("))
            n = parse_call(p, n, at);
        else
            break;
    }
    return n;
}

static uint32_t parse_filter(struct parser *p, uint32_t of)
{
    const struct token *t = p->at;
    uint32_t n, arguments = 0;
    if (t->kind != T_NAME)
        return parse_unexpected(p, "a filter's name");
    const struct routine *row = jinja_filter(t->value.s);
    if (!row)
        return parse_fail(p, t->at, "filter '%s' is not supported", t->value.s->text);
    p->at++;
    if (parse_take(p, "(") && (arguments = parse_arguments(p)) == UINT32_MAX)
        return 0;
    n = node_of(p, N_FILTER, t->at, of, arguments);
    NODE(p, n).row = row;
    return n;
}

/* An argument without brackets may follow a test: "is divisibleby 3". */
static bool argument_follows(const struct parser *p)
{
    return p->at->kind == T_STRING || p->at->kind == T_INT || p->at->kind == T_FLOAT ||
           token_is(p, "[") || token_is(p, "{") ||
           (p->at->kind == T_NAME && !token_word(p, "else") && !token_word(p, "or") &&
            !token_word(p, "and"));
}

static uint32_t parse_test(struct parser *p, uint32_t of)
{
    bool negated = parse_take_word(p, "not");
    const struct token *t = p->at;
    uint32_t n, arguments = 0;
    if (t->kind != T_NAME)
        return parse_unexpected(p, "a test's name");
    const struct routine *row = jinja_test(t->value.s);
    if (!row)
        return parse_fail(p, t->at, "test '%s' is not supported", t->value.s->text);
    p->at++;
    if (parse_take(p, "(")) {
        if ((arguments = parse_arguments(p)) == UINT32_MAX)
            return 0;
    } else if (argument_follows(p)) {
        if (token_word(p, "is"))
            return parse_fail(p, p->at->at, "tests cannot be chained by 'is'");
        if (!(arguments = parse_postfix(p, parse_primary(p))))
            return 0;
    }
    n = node_of(p, N_TEST, t->at, of, arguments);
    NODE(p, n).row = row;
    return negated ? node_of(p, N_NOT, t->at, n, 0) : n;
}

static uint32_t parse_filters(struct parser *p, uint32_t n)
{
    while (n) {
        if (parse_take(p, "|"))
            n = parse_filter(p, n);
        else if (parse_take_word(p, "is"))
            n = parse_test(p, n);
        else if (token_is(p, "("))
            n = parse_postfix(p, n);
        else
            break;
    }
    return n;
}

/* ---- operators ---------------------------------------------------------------------- */

static uint32_t parse_signed(struct parser *p, bool filters)
{
    struct place at = p->at->at;
    uint32_t n;
    if (!parse_enter(p))
        return 0;
    if (parse_take(p, "-")) {
        n = parse_signed(p, false);
        n = n ? node_of(p, N_NEGATE, at, n, 0) : 0;
    } else if (token_is(p, "+")) {
        return parse_fail(p, at, "a '+' before an expression is not supported");
    } else {
        n = parse_primary(p);
    }
    n = parse_postfix(p, n);
    if (filters)
        n = parse_filters(p, n);
    p->nesting--;
    return n;
}

static uint32_t parse_modulo(struct parser *p)
{
    static const char *const others[] = {"*", "/", "//", "**"};
    uint32_t n = parse_signed(p, true), right;
    for (struct place at = p->at->at; n && parse_take(p, "%"); at = p->at->at) {
        if (!(right = parse_signed(p, true)))
            return 0;
        n = node_of(p, N_MODULO, at, n, right);
    }
    for (size_t i = 0; n && i < ARRAY_LEN(others); i++)
        if (token_is(p, others[i]))
            return parse_fail(p, p->at->at, "operator '%s' is not supported", others[i]);
    return n;
}

static uint32_t parse_concat(struct parser *p)
{
    struct place at = p->at->at;
    struct node_list list = {0, 0};
    uint32_t n = parse_modulo(p);
    if (!n || !token_is(p, "~"))
        return n;
    node_list_add(p, &list, n);
    while (parse_take(p, "~")) {
        if (!(n = parse_modulo(p)))
            return 0;
        node_list_add(p, &list, n);
    }
    return node_of(p, N_CONCAT, at, list.first, 0);
}

static uint32_t parse_sum(struct parser *p)
{
    uint32_t n = parse_concat(p), right;
    while (n && (token_is(p, "+") || token_is(p, "-"))) {
        const struct token *t = p->at++;
        if (!(right = parse_concat(p)))
            return 0;
        n = node_of(p, t->op[0] == '+' ? N_ADD : N_SUBTRACT, t->at, n, right);
    }
    return n;
}

static bool take_comparison(struct parser *p, uint8_t *op)
{
    static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};
    for (uint8_t i = 0; i < ARRAY_LEN(signs); i++)
        if (parse_take(p, signs[i])) {
            *op = i;
            return true;
        }
    *op = C_IN;
    if (parse_take_word(p, "in"))
        return true;
    *op = C_NOT_IN;
    bool is = token_word(p, "not") && p->at[1].kind == T_NAME &&
              string_is(p->at[1].value.s, "in");
    p->at += is ? 2 : 0;
    return is;
}

static uint32_t parse_comparison(struct parser *p)
{
    uint32_t n = parse_sum(p), operand;
    struct node_list list = {0, 0};
    struct place at = p->at->at, first = at;
    uint8_t op;
    while (n && take_comparison(p, &op)) {
        if (!(operand = parse_sum(p)))
            return 0;
        operand = node_of(p, N_COMPARED, at, operand, 0);
        NODE(p, operand).op = op;
        node_list_add(p, &list, operand);
        at = p->at->at;
    }
    return n && list.first ? node_of(p, N_COMPARE, first, n, list.first) : n;
}

static uint32_t parse_not(struct parser *p)
{
    struct place at = p->at->at;
    if (!parse_take_word(p, "not"))
        return parse_comparison(p);
    if (!parse_enter(p))
        return 0;
    uint32_t n = parse_not(p);
    p->nesting--;
    return n ? node_of(p, N_NOT, at, n, 0) : 0;
}

static uint32_t parse_and(struct parser *p)
{
    uint32_t n = parse_not(p), right;
    for (struct place at = p->at->at; n && parse_take_word(p, "and"); at = p->at->at) {
        if (!(right = parse_not(p)))
            return 0;
        n = node_of(p, N_AND, at, n, right);
    }
    return n;
}

uint32_t parse_without_choice(struct parser *p)
{
    uint32_t n = parse_and(p), right;
    for (struct place at = p->at->at; n && parse_take_word(p, "or"); at = p->at->at) {
        if (!(right = parse_and(p)))
            return 0;
        n = node_of(p, N_OR, at, n, right);
    }
    return n;
}

uint32_t parse_expression(struct parser *p)
{
    if (!parse_enter(p))
        return 0;
    uint32_t n = parse_without_choice(p);
    for (struct place at = p->at->at; n && parse_take_word(p, "if"); at = p->at->at) {
        uint32_t condition = parse_without_choice(p), otherwise = 0;
        if (!condition ||
            (parse_take_word(p, "else") && !(otherwise = parse_expression(p))))
            return 0;
        n = node_of(p, N_CHOICE, at, n, condition);
        NODE(p, n).c = otherwise;
    }
    p->nesting--;
    return n;
}
