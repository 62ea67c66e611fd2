/* runner/chat/parser.c - what statements and expressions are read by: the current token,
 * nodes, names, messages; see syntax.h. */
#include "lib/mem.h"
#include "runner/chat/syntax.h"
#include <string.h>

/* ---- tokens and nodes --------------------------------------------------------------- */

uint32_t parser_node(struct parser *p, enum node_kind kind, struct place at)
{
    struct jinja *j = p->j;
    j->nodes = xgrow(j->nodes, &j->cap, j->n + 1, sizeof *j->nodes);
    j->nodes[j->n] = (struct node){.kind = (uint8_t)kind, .at = at};
    return (uint32_t)j->n++;
}

void node_list_add(struct parser *p, struct node_list *list, uint32_t node)
{
    if (list->last)
        NODE(p, list->last).next = node;
    else
        list->first = node;
    list->last = node;
}

bool token_is(const struct parser *p, const char *op)
{
    return p->at->kind == T_OPERATOR && strcmp(p->at->op, op) == 0;
}

bool token_word(const struct parser *p, const char *word)
{
    return p->at->kind == T_NAME && string_is(p->at->value.s, word);
}

bool parse_take(struct parser *p, const char *op)
{
    bool is = token_is(p, op);
    p->at += is;
    return is;
}

bool parse_take_word(struct parser *p, const char *word)
{
    bool is = token_word(p, word);
    p->at += is;
    return is;
}

uint32_t parse_fail(struct parser *p, struct place at, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    syntax_error(p->err, at, "%s", buf_str(&b));
    buf_release(&b);
    return 0;
}

uint32_t parse_unexpected(struct parser *p, const char *wanted)
{
    const struct token *t = p->at;
    switch (t->kind) {
    case T_NAME:
        return parse_fail(p, t->at, "%s expected, not '%s'", wanted, t->value.s->text);
    case T_OPERATOR:
        return parse_fail(p, t->at, "%s expected, not '%s'", wanted, t->op);
    case T_STRING:
    case T_INT:
    case T_FLOAT:
        return parse_fail(p, t->at, "%s expected, not a constant", wanted);
    default:
        return parse_fail(p, t->at, "%s expected, but the tag ends", wanted);
    }
}

bool parse_expect(struct parser *p, const char *op)
{
    if (parse_take(p, op))
        return true;
    char wanted[8] = {'\'', op[0], '\''};
    parse_unexpected(p, wanted);
    return false;
}

bool parse_block_end(struct parser *p)
{
    if (p->at->kind != T_BLOCK_END) {
        parse_unexpected(p, "'%}'");
        return false;
    }
    p->at++;
    return true;
}

bool parse_enter(struct parser *p)
{
    if (++p->nesting <= JINJA_NESTING_MAX)
        return true;
    parse_fail(p, p->at->at, "more than %d levels in one another", JINJA_NESTING_MAX);
    return false;
}

/* ---- names and targets -------------------------------------------------------------- */

static uint32_t name_number(struct jinja *j, const struct string *s)
{
    int64_t number;
    if (strmap_get(j->names, s->text, s->bytes, &number))
        return (uint32_t)number;
    j->name_of = xgrow(j->name_of, &j->names_cap, j->n_names + 1, sizeof *j->name_of);
    j->name_of[j->n_names] = s;
    strmap_put(j->names, s->text, s->bytes, (int64_t)j->n_names);
    return (uint32_t)j->n_names++;
}

/* Words that are no variables. */
static bool is_reserved(const struct parser *p)
{
    static const char *const words[] = {"and",  "or",    "not",  "in",    "is",
                                        "if",   "else",  "true", "false", "none",
                                        "True", "False", "None"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (token_word(p, words[i]))
            return true;
    return false;
}

uint32_t parse_name(struct parser *p)
{
    if (p->at->kind != T_NAME || is_reserved(p))
        return parse_unexpected(p, "a name");
    uint32_t n = parser_node(p, N_NAME, p->at->at);
    NODE(p, n).name = name_number(p->j, p->at->value.s);
    p->at++;
    return n;
}

uint32_t parse_targets(struct parser *p, bool attributes)
{
    struct node_list list = {0, 0};
    do {
        uint32_t n = parse_name(p);
        if (!n)
            return 0;
        if (attributes && parse_take(p, ".")) {
            if (p->at->kind != T_NAME)
                return parse_unexpected(p, "an attribute's name");
            NODE(p, n).kind = N_NS_TARGET;
            NODE(p, n).value = p->at++->value;
        }
        node_list_add(p, &list, n);
    } while (parse_take(p, ","));
    return list.first;
}
