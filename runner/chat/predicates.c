/* runner/chat/predicates.c - the tests behind `is`; see routine.h. */
#include "lib/mem.h"
#include "runner/chat/run.h"

static int answer(bool holds, struct value *out)
{
    *out = value_bool(holds);
    return 0;
}

/* Tests that only look at the value: name and condition. */
#define PREDICATES                                                                       \
    PREDICATE(boolean, v.kind == V_BOOL)                                                 \
    PREDICATE(defined, v.kind != V_UNDEFINED)                                            \
    PREDICATE(false, v.kind == V_BOOL && !v.b)                                           \
    PREDICATE(float, v.kind == V_FLOAT)                                                  \
    PREDICATE(integer, v.kind == V_INT)                                                  \
    PREDICATE(iterable, value_is_list(v) || v.kind == V_STRING || v.kind == V_DICT ||    \
                            v.kind == V_RANGE || v.kind == V_UNDEFINED)                  \
    PREDICATE(mapping, v.kind == V_DICT)                                                 \
    PREDICATE(none, v.kind == V_NONE)                                                    \
    PREDICATE(number, value_is_number(v))                                                \
    PREDICATE(sequence, v.kind == V_LIST || v.kind == V_TUPLE || v.kind == V_STRING ||   \
                            v.kind == V_DICT || v.kind == V_RANGE ||                     \
                            v.kind == V_UNDEFINED)                                       \
    PREDICATE(string, v.kind == V_STRING)                                                \
    PREDICATE(true, v.kind == V_BOOL && v.b)                                             \
    PREDICATE(undefined, v.kind == V_UNDEFINED)

#define PREDICATE(name, condition)                                                       \
    static int is_##name(struct run *r, struct call *c, struct value *out)               \
    {                                                                                    \
        struct value v = c->self;                                                        \
        (void)r;                                                                         \
        return answer(condition, out);                                                   \
    }
PREDICATES
#undef PREDICATE

static int compared(struct run *r, struct call *c, enum comparison op, struct value *out)
{
    bool holds = false;
    int rc = value_compared(r, op, c->self, c->at[0], &holds);
    *out = value_bool(holds);
    return rc;
}

static int is_eq(struct run *r, struct call *c, struct value *out)
{
    return compared(r, c, C_EQ, out);
}

static int is_ne(struct run *r, struct call *c, struct value *out)
{
    return compared(r, c, C_NE, out);
}

static int is_lt(struct run *r, struct call *c, struct value *out)
{
    return compared(r, c, C_LT, out);
}

static int is_le(struct run *r, struct call *c, struct value *out)
{
    return compared(r, c, C_LE, out);
}

static int is_gt(struct run *r, struct call *c, struct value *out)
{
    return compared(r, c, C_GT, out);
}

static int is_ge(struct run *r, struct call *c, struct value *out)
{
    return compared(r, c, C_GE, out);
}

static int is_in(struct run *r, struct call *c, struct value *out)
{
    return compared(r, c, C_IN, out);
}

const struct routine *jinja_test(const struct string *name)
{
    static const struct routine rows[] = {
#define PREDICATE(name, condition) {#name, "", 0, is_##name, 0},
        PREDICATES
#undef PREDICATE
        {"eq", "other", 1, is_eq, 0},
        {"equalto", "other", 1, is_eq, 0},
        {"ge", "other", 1, is_ge, 0},
        {"gt", "other", 1, is_gt, 0},
        {"greaterthan", "other", 1, is_gt, 0},
        {"in", "seq", 1, is_in, 0},
        {"le", "other", 1, is_le, 0},
        {"lessthan", "other", 1, is_lt, 0},
        {"lt", "other", 1, is_lt, 0},
        {"ne", "other", 1, is_ne, 0},
        {"==", "other", 1, is_eq, 0},
        {"!=", "other", 1, is_ne, 0},
    };
    return routine_in(rows, ARRAY_LEN(rows), name);
}
