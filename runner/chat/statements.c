/* runner/chat/statements.c - tags of a template to nodes; see syntax.h. */
#include "lib/mem.h"
#include "runner/chat/syntax.h"
#include <stdlib.h>
#include <string.h>

struct tag {
    const char *name;
    uint32_t (*parse)(struct parser *p); /* at the token behind the name */
};

/* Tags that end or go on with a body; they belong to the tag around them. */
static const char *const inner[] = {"endfor", "elif",     "else",          "endif",
                                    "endset", "endmacro", "endgeneration", NULL};

static uint32_t parse_body(struct parser *p, const char *const *ends);

static uint32_t parse_output(struct parser *p)
{
    uint32_t n = parser_node(p, N_OUTPUT, p->at->at);
    p->at++;
    uint32_t what = parse_tuple(p, true);
    if (!what)
        return 0;
    NODE(p, n).a = what;
    if (p->at->kind != T_VARIABLE_END)
        return parse_unexpected(p, "'}}'");
    p->at++;
    return n;
}

static uint32_t parse_for(struct parser *p)
{
    static const char *const ends[] = {"endfor", "else", NULL}, *const end[] = {"endfor",
                                                                                NULL};
    uint32_t n = parser_node(p, N_FOR, p->at->at), what, body, otherwise = 0,
             condition = 0;
    uint32_t targets = parse_targets(p, false);
    if (!targets)
        return 0;
    if (!parse_take_word(p, "in"))
        return parse_unexpected(p, "'in'");
    if (!(what = parse_tuple(p, false)))
        return 0;
    if (parse_take_word(p, "if") && !(condition = parse_expression(p)))
        return 0;
    if (token_word(p, "recursive"))
        return parse_fail(p, p->at->at, "recursive loops are not supported");
    if (!parse_block_end(p))
        return 0;
    p->loops++;
    body = parse_body(p, ends);
    p->loops--;
    if (!body)
        return 0;
    if (parse_take_word(p, "else")) {
        if (!parse_block_end(p) || !(otherwise = parse_body(p, end)))
            return 0;
    }
    p->at++; /* endfor */
    struct node *x = &NODE(p, n);
    x->a = targets, x->b = what, x->c = body, x->d = condition, x->e = otherwise;
    return parse_block_end(p) ? n : 0;
}

/* From the condition on; an elif is an if in the place of else. */
static uint32_t parse_if(struct parser *p)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL}, *const end[] = {
                                                                           "endif", NULL};
    uint32_t first = 0, last = 0;
    for (;;) {
        uint32_t n = parser_node(p, N_IF, p->at->at), condition, body;
        if (!(condition = parse_tuple(p, false)) || !parse_block_end(p) ||
            !(body = parse_body(p, ends)))
            return 0;
        NODE(p, n).a = condition;
        NODE(p, n).b = body;
        if (last)
            NODE(p, last).c = n;
        else
            first = n;
        last = n;
        if (!parse_take_word(p, "elif"))
            break;
    }
    if (parse_take_word(p, "else")) {
        uint32_t body;
        if (!parse_block_end(p) || !(body = parse_body(p, end)))
            return 0;
        NODE(p, last).c = body;
    }
    p->at++; /* endif */
    return parse_block_end(p) ? first : 0;
}

/* A body whose loops are not those around it, since it is a function of its own. */
static uint32_t parse_own_body(struct parser *p, const char *const *ends)
{
    int loops = p->loops;
    p->loops = 0;
    uint32_t body = parse_body(p, ends);
    p->loops = loops;
    p->at += body != 0;
    return body && parse_block_end(p) ? body : 0;
}

static uint32_t parse_set(struct parser *p)
{
    static const char *const end[] = {"endset", NULL};
    struct place at = p->at->at;
    uint32_t targets = parse_targets(p, true), n, value;
    if (!targets)
        return 0;
    bool block = !parse_take(p, "=");
    n = parser_node(p, block ? N_SET_BLOCK : N_SET, at);
    if (!block) {
        value = parse_tuple(p, true);
        if (!value || !parse_block_end(p))
            return 0;
    } else {
        if (token_is(p, "|"))
            return parse_fail(p, p->at->at, "filters of a set block are not supported");
        if (!parse_block_end(p) || !(value = parse_own_body(p, end)))
            return 0;
    }
    NODE(p, n).a = targets;
    NODE(p, n).b = value;
    return n;
}

static uint32_t parse_parameters(struct parser *p)
{
    struct node_list list = {0, 0};
    while (!token_is(p, ")")) {
        uint32_t one, preset = 0;
        if (list.first && !parse_expect(p, ","))
            return UINT32_MAX;
        if (token_is(p, ")"))
            break;
        if (!(one = parse_name(p)))
            return UINT32_MAX;
        if (parse_take(p, "=") && !(preset = parse_expression(p)))
            return UINT32_MAX;
        if (!preset && list.last && NODE(p, list.last).a) {
            parse_fail(p, NODE(p, one).at, "a parameter without default behind one with");
            return UINT32_MAX;
        }
        NODE(p, one).a = preset;
        node_list_add(p, &list, one);
    }
    p->at++;
    return list.first;
}

static uint32_t parse_macro(struct parser *p)
{
    static const char *const end[] = {"endmacro", NULL};
    uint32_t name = parse_name(p), parameters, body;
    if (!name || !parse_expect(p, "("))
        return 0;
    p->macros++;
    parameters = parse_parameters(p);
    if (parameters == UINT32_MAX || !parse_block_end(p) ||
        !(body = parse_own_body(p, end)))
        return 0;
    p->macros--;
    struct node *x = &NODE(p, name); /* its own node becomes the macro */
    x->kind = N_MACRO;
    x->value = value_string(p->j->name_of[x->name]);
    x->a = parameters, x->b = body;
    return name;
}

static uint32_t parse_generation(struct parser *p)
{
    static const char *const end[] = {"endgeneration", NULL};
    uint32_t n = parser_node(p, N_GENERATION, p->at->at);
    if (!parse_block_end(p))
        return 0;
    p->j->generation = true;
    uint32_t body = parse_own_body(p, end);
    NODE(p, n).a = body;
    return body ? n : 0;
}

static uint32_t parse_jump(struct parser *p, enum node_kind kind)
{
    uint32_t n = parser_node(p, kind, p->at[-1].at);
    if (p->loops == 0)
        return parse_fail(p, NODE(p, n).at, "'%s' is not within a loop",
                          kind == N_BREAK ? "break" : "continue");
    return parse_block_end(p) ? n : 0;
}

static uint32_t parse_break(struct parser *p)
{
    return parse_jump(p, N_BREAK);
}

static uint32_t parse_continue(struct parser *p)
{
    return parse_jump(p, N_CONTINUE);
}

static const struct tag tags[] = {
    {"for", parse_for},
    {"if", parse_if},
    {"set", parse_set},
    {"macro", parse_macro},
    {"break", parse_break},
    {"continue", parse_continue},
    {"generation", parse_generation},
};

static bool is_one_of(const struct parser *p, const char *const *words)
{
    for (; *words; words++)
        if (token_word(p, *words))
            return true;
    return false;
}

static uint32_t parse_tag(struct parser *p)
{
    if (p->at->kind != T_NAME)
        return parse_unexpected(p, "the name of a tag");
    for (size_t i = 0; i < ARRAY_LEN(tags); i++)
        if (parse_take_word(p, tags[i].name))
            return tags[i].parse(p);
    if (is_one_of(p, inner))
        return parse_fail(p, p->at->at, "'%s' has nothing that it could end here",
                          p->at->value.s->text);
    return parse_fail(
        p, p->at->at,
        "tag '%s' is not supported - for, if, set, macro, break, continue and "
        "generation are",
        p->at->value.s->text);
}

/* Statements up to a tag of `ends` (NULL: the end of the template), whose name is the
 * next token then. An empty body is an empty N_DATA, so that 0 means failed. */
static uint32_t parse_body(struct parser *p, const char *const *ends)
{
    struct node_list list = {0, 0};
    struct place begin = p->at->at;
    if (!parse_enter(p))
        return 0;
    node_list_add(p, &list, parser_node(p, N_DATA, begin));
    NODE(p, list.first).value = value_string(p->j->name_of[0]); /* "" */
    for (;;) {
        uint32_t n;
        if (p->at->kind == T_END) {
            if (ends)
                return parse_fail(
                    p, begin, "the block that begins here is not ended by '%s'", ends[0]);
            break;
        } else if (p->at->kind == T_DATA) {
            n = parser_node(p, N_DATA, p->at->at);
            NODE(p, n).value = p->at++->value;
        } else if (p->at->kind == T_VARIABLE_BEGIN) {
            n = parse_output(p);
        } else {
            p->at++;
            if (ends && is_one_of(p, ends))
                break;
            n = parse_tag(p);
        }
        if (!n)
            return 0;
        node_list_add(p, &list, n);
    }
    p->nesting--;
    return list.first;
}

int parse_template(struct jinja *j, const struct token *tokens, struct err *err)
{
    struct parser p = {.j = j, .at = tokens, .err = err};
    parser_node(&p, N_NONE, (struct place){1, 1});
    j->root = parse_body(&p, NULL);
    return j->root ? 0 : err_code(err);
}
