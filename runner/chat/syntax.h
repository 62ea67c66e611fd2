/* runner/chat/syntax.h - tokens and nodes of a template (inside runner/chat).
 *
 * lexer.c cuts the text into tokens, with all white space control already done;
 * statements.c and expressions.c make nodes of them, in one array. Nodes name one another
 * by index; lists (arguments, bodies) hang together by `next`. Node 0 is "none". */
#ifndef RUNNER_CHAT_SYNTAX_H
#define RUNNER_CHAT_SYNTAX_H

#include "lib/err.h"
#include "lib/hash.h"
#include "runner/chat/jinja.h"
#include "runner/chat/value.h"

struct place {
    uint32_t line, column; /* from 1; columns in code points */
};

enum token_kind {
    T_END, /* of the template */
    T_DATA,
    T_VARIABLE_BEGIN,
    T_VARIABLE_END,
    T_BLOCK_BEGIN,
    T_BLOCK_END,
    T_NAME,
    T_STRING,
    T_INT,
    T_FLOAT,
    T_OPERATOR, /* `op` holds its characters */
};

struct token {
    enum token_kind kind;
    struct place at;
    char op[3];
    struct value value; /* data, name, string, number */
};

struct tokens_read {
    struct token *at;
    size_t n, cap;
};

/* Tokens of a text; ends with T_END. Strings lie in `a`. */
int jinja_lex(const char *text, size_t len, struct arena *a, struct tokens_read *out,
              struct err *err);
/* "template: line L, column C: ..." */
int syntax_error(struct err *err, struct place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

enum node_kind {
    N_NONE,
    /* statements: `next` is the one behind it */
    N_DATA,       /* value */
    N_OUTPUT,     /* a */
    N_FOR,        /* a: targets, b: what, c: body, d: condition, e: else */
    N_IF,         /* a: condition, b: body, c: else */
    N_SET,        /* a: targets, b: expression */
    N_SET_BLOCK,  /* a: targets, b: body */
    N_MACRO,      /* value: name, a: parameters (N_NAME; a: default), b: body */
    N_GENERATION, /* a: body */
    N_BREAK,
    N_CONTINUE,
    /* expressions */
    N_CONST,     /* value */
    N_NAME,      /* name */
    N_NS_TARGET, /* name, value: attribute; only as a target */
    N_LIST,      /* a: items */
    N_TUPLE,     /* a: items */
    N_DICT,      /* a: keys and values in turn */
    N_ATTRIBUTE, /* a: of what, value: name */
    N_ITEM,      /* a: of what, b: which */
    N_SLICE,     /* a: of what, b, c, d: start, stop, step */
    N_CALL,      /* a: what, b: arguments */
    N_KEYWORD,   /* an argument; value: its name, a: expression */
    N_FILTER,    /* a: of what, b: arguments, row */
    N_TEST,      /* the same, row */
    N_NOT,
    N_NEGATE,
    N_AND,
    N_OR,
    N_ADD,
    N_SUBTRACT,
    N_MODULO,
    N_CONCAT,   /* a: parts */
    N_COMPARE,  /* a: first, b: list of N_COMPARED */
    N_COMPARED, /* op: one of enum comparison, a: operand */
    N_CHOICE,   /* a if b else c */
};

enum comparison { C_EQ, C_NE, C_LT, C_LE, C_GT, C_GE, C_IN, C_NOT_IN };

struct node {
    uint8_t kind, op;
    struct place at;
    uint32_t next, a, b, c, d, e;
    uint32_t name; /* of variables: number in jinja.names */
    struct value value;
    const struct routine *row; /* of the table of filters or tests */
};

struct jinja {
    struct arena arena;
    struct node *nodes;
    size_t n, cap;
    struct strmap *names;          /* variables -> 0, 1, ... */
    const struct string **name_of; /* by number */
    size_t n_names, names_cap;
    uint32_t root;
    bool generation;
    char *text; /* the template, NUL-terminated */
};

/* Inside the parser. */
struct parser {
    struct jinja *j;
    const struct token *at; /* the current token; T_END stays */
    int nesting;            /* of brackets and blocks */
    int loops;              /* for loops around this place, within macro or generation */
    int macros;             /* macros around it */
    struct err *err;
};

#define NODE(p, index) ((p)->j->nodes[index])

/* All of these give the index of a node, 0 on error. */
uint32_t parser_node(struct parser *p, enum node_kind kind, struct place at);
uint32_t parse_expression(struct parser *p);
uint32_t parse_without_choice(struct parser *p); /* no "x if c else y" at its top */
/* "a" or "a, b": a tuple where there is a comma. */
uint32_t parse_tuple(struct parser *p, bool choice);
/* Names before `in` or `=`: a list by `next`; namespaces' attributes where allowed. */
uint32_t parse_targets(struct parser *p, bool attributes);
uint32_t parse_name(struct parser *p);
/* A list under way. */
struct node_list {
    uint32_t first, last;
};
void node_list_add(struct parser *p, struct node_list *list, uint32_t node);

bool token_is(const struct parser *p, const char *op); /* an operator */
bool token_word(const struct parser *p, const char *word);
bool parse_take(struct parser *p, const char *op); /* moves on if it is there */
bool parse_take_word(struct parser *p, const char *word);
bool parse_expect(struct parser *p, const char *op); /* false with a message */
bool parse_block_end(struct parser *p);
uint32_t parse_fail(struct parser *p, struct place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
uint32_t parse_unexpected(struct parser *p, const char *wanted);
bool parse_enter(struct parser *p); /* one level deeper; false with a message */

int parse_template(struct jinja *j, const struct token *tokens, struct err *err);

#endif
