/* runner/chat/value.h - what a template computes with (inside runner/chat).
 *
 * Python's values as far as templates see them. All of them are immutable but namespaces,
 * and live in the arena of one rendering (constants in that of the template), so nothing
 * is counted or freed singly. Strings are UTF-8 with their length in code points. */
#ifndef RUNNER_CHAT_VALUE_H
#define RUNNER_CHAT_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory that is given back as a whole; NULL beyond `max`. */
struct arena {
    struct arena_block *blocks;
    size_t used, max;
};
void *arena_take(struct arena *a, size_t bytes); /* zeroed, 16-byte aligned */
void arena_release(struct arena *a);

enum value_kind {
    V_MISSING, /* an argument that was not given; never seen by a template */
    V_UNDEFINED,
    V_NONE,
    V_BOOL,
    V_INT,
    V_FLOAT,
    V_STRING,
    V_LIST,     /* the first of four that are a struct list */
    V_TUPLE,    /* printed with round brackets, unequal to lists */
    V_VIEW,     /* dict.items(): a length, but no items by number */
    V_ITERATOR, /* what map and select give: no length, always true, gone after one use */
    V_DICT,
    V_RANGE,
    V_NAMESPACE,
    V_MACRO,
    V_FUNCTION, /* a row of functions.c */
    V_METHOD,
    V_LOOP,
};

struct string {
    size_t bytes, chars;
    char text[]; /* with a NUL behind it that does not count */
};

struct value {
    uint8_t kind; /* enum value_kind */
    bool safe;    /* of a string: from |safe, what is added to it is escaped */
    uint8_t of;   /* of what is undefined: kind of the thing that lacks it */
    union {
        bool b;
        int64_t i;
        double d;
        const struct string *s; /* string; name of what is undefined, or NULL */
        struct list *list;
        struct dict *dict; /* also the attributes of a namespace */
        const struct range *range;
        const struct macro *macro;
        const struct routine *function;
        const struct bound_method *method;
        const struct loop *loop;
    };
};

struct list {
    size_t n;
    bool used; /* an iterator that was gone through */
    struct value at[];
};
struct dict { /* in order of insertion */
    size_t n, cap;
    struct pair {
        struct value key, value;
    } * at;
};
struct range {
    int64_t start, stop, step, n;
};
struct bound_method {
    struct value self;
    const struct routine *row;
};

static inline struct value value_none(void)
{
    return (struct value){.kind = V_NONE};
}
static inline struct value value_bool(bool b)
{
    return (struct value){.kind = V_BOOL, .b = b};
}
static inline struct value value_int(int64_t i)
{
    return (struct value){.kind = V_INT, .i = i};
}
static inline struct value value_float(double d)
{
    return (struct value){.kind = V_FLOAT, .d = d};
}
static inline struct value value_string(const struct string *s)
{
    return (struct value){.kind = V_STRING, .s = s};
}
static inline bool value_is_list(struct value v)
{
    return v.kind >= V_LIST && v.kind <= V_ITERATOR;
}
/* Of bool and int; Python's True is 1. */
static inline bool value_is_int(struct value v)
{
    return v.kind == V_BOOL || v.kind == V_INT;
}
static inline bool value_is_number(struct value v)
{
    return value_is_int(v) || v.kind == V_FLOAT;
}
static inline int64_t value_as_int(struct value v)
{
    return v.kind == V_BOOL ? v.b : v.i;
}
static inline double value_as_float(struct value v)
{
    return v.kind == V_FLOAT ? v.d : (double)value_as_int(v);
}
const char *value_type(struct value v); /* "str", "list": Python's name, for messages */
bool value_truth(struct value v);

/* ---- strings ------------------------------------------------------------------------ */

/* NULL when the arena is full. Text must be UTF-8. */
struct string *string_new(struct arena *a, const char *text, size_t bytes);
size_t utf8_chars(const char *text, size_t bytes);
/* Byte offset of code point `i` (up to chars). */
size_t string_offset(const struct string *s, size_t i);
bool string_is(const struct string *s, const char *text);
/* Python's str.isspace of one character. */
bool char_is_space(int32_t cp);
/* The code point at *at, which moves behind it. */
int32_t utf8_next(const char *text, size_t bytes, size_t *at);

/* Narrows [*begin, *end) to what str.strip() leaves; begin kept where only `right`. */
void utf8_strip(const char *text, size_t *begin, size_t *end, bool right);

#endif
