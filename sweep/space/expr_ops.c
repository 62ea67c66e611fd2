/* sweep/space/expr_ops.c - arithmetic, comparison and membership on canonical values.
 *
 * Integers are exact while they fit 64 bits and become doubles beyond; / always divides
 * as doubles. Whole results are integers again, as everywhere in a sweep file. */
#include "sweep/space/expr_ops.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "sweep/space/value.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_RESULT_MAX 4096
#define LIST_RESULT_MAX 1000

static int wrong_types(const char *op, const json_t *a, const json_t *b, struct err *err)
{
    struct buf text = BUF_INIT;
    value_show(&text, a);
    buf_str_add(&text, " and ");
    value_show(&text, b);
    int rc =
        err_set(err, ERR_CONFIG, "'%s' does not apply to %.200s", op, buf_str(&text));
    buf_release(&text);
    return rc;
}

static int number(double v, json_t **out, struct err *err)
{
    if (!isfinite(v))
        return err_set(err, ERR_CONFIG, "the result is not a finite number");
    json_t *real = json_real(v);
    *out = value_canon(real);
    json_decref(real);
    return 0;
}

static bool both_numbers(const json_t *a, const json_t *b)
{
    return json_is_number(a) && json_is_number(b);
}

static bool both_integers(const json_t *a, const json_t *b)
{
    return json_is_integer(a) && json_is_integer(b);
}

static int join_text(const json_t *a, const json_t *b, json_t **out, struct err *err)
{
    if (json_string_length(a) + json_string_length(b) > TEXT_RESULT_MAX)
        return err_set(err, ERR_CONFIG, "a text of more than %d bytes", TEXT_RESULT_MAX);
    *out = json_sprintf("%s%s", json_string_value(a), json_string_value(b));
    return *out ? 0 : wrong_types("+", a, b, err);
}

static int join_lists(const json_t *a, const json_t *b, json_t **out, struct err *err)
{
    if (json_array_size(a) + json_array_size(b) > LIST_RESULT_MAX)
        return err_set(err, ERR_CONFIG, "a list of more than %d values", LIST_RESULT_MAX);
    *out = json_copy((json_t *)a);
    json_array_extend(*out, (json_t *)b);
    return 0;
}

static int op_add(const json_t *a, const json_t *b, json_t **out, struct err *err)
{
    long long sum;
    if (json_is_string(a) && json_is_string(b))
        return join_text(a, b, out, err);
    if (json_is_array(a) && json_is_array(b))
        return join_lists(a, b, out, err);
    if (!both_numbers(a, b))
        return wrong_types("+", a, b, err);
    if (both_integers(a, b) &&
        !__builtin_add_overflow(json_integer_value(a), json_integer_value(b), &sum))
        return *out = json_integer(sum), 0;
    return number(json_number_value(a) + json_number_value(b), out, err);
}

static int op_subtract(const json_t *a, const json_t *b, json_t **out, struct err *err)
{
    long long difference;
    if (!both_numbers(a, b))
        return wrong_types("-", a, b, err);
    if (both_integers(a, b) &&
        !__builtin_sub_overflow(json_integer_value(a), json_integer_value(b),
                                &difference))
        return *out = json_integer(difference), 0;
    return number(json_number_value(a) - json_number_value(b), out, err);
}

static int op_multiply(const json_t *a, const json_t *b, json_t **out, struct err *err)
{
    long long product;
    if (!both_numbers(a, b))
        return wrong_types("*", a, b, err);
    if (both_integers(a, b) &&
        !__builtin_mul_overflow(json_integer_value(a), json_integer_value(b), &product))
        return *out = json_integer(product), 0;
    return number(json_number_value(a) * json_number_value(b), out, err);
}

static int check_divisor(const char *op, const json_t *a, const json_t *b,
                         struct err *err)
{
    if (!both_numbers(a, b))
        return wrong_types(op, a, b, err);
    if (json_number_value(b) == 0)
        return err_set(err, ERR_CONFIG, "division by zero");
    return 0;
}

static int op_divide(const json_t *a, const json_t *b, json_t **out, struct err *err)
{
    int rc = check_divisor("/", a, b, err);
    return rc < 0 ? rc : number(json_number_value(a) / json_number_value(b), out, err);
}

/* Quotient and remainder as Python defines them for floats: the remainder takes the sign
 * of the divisor. */
static void divide_floor(double a, double b, double *quotient, double *remainder)
{
    double rest = fmod(a, b), q = (a - rest) / b;
    if (rest != 0 && (b < 0) != (rest < 0)) {
        rest += b;
        q -= 1;
    }
    double floor_q = floor(q);
    *quotient = q - floor_q > 0.5 ? floor_q + 1 : floor_q;
    *remainder = rest;
}

/* The same for integers; false when it must be done in doubles. */
static bool divide_floor_int(const json_t *a, const json_t *b, json_int_t *quotient,
                             json_int_t *remainder)
{
    if (!both_integers(a, b) || json_integer_value(b) == -1)
        return false; /* INT64_MIN / -1 does not fit */
    json_int_t x = json_integer_value(a), y = json_integer_value(b);
    *quotient = x / y;
    *remainder = x % y;
    if (*remainder != 0 && (*remainder < 0) != (y < 0)) {
        *quotient -= 1;
        *remainder += y;
    }
    return true;
}

static int op_floor_divide(const json_t *a, const json_t *b, json_t **out,
                           struct err *err)
{
    json_int_t quotient, remainder;
    double q, r;
    int rc = check_divisor("//", a, b, err);
    if (rc < 0)
        return rc;
    if (divide_floor_int(a, b, &quotient, &remainder))
        return *out = json_integer(quotient), 0;
    divide_floor(json_number_value(a), json_number_value(b), &q, &r);
    return number(q, out, err);
}

static int op_modulo(const json_t *a, const json_t *b, json_t **out, struct err *err)
{
    json_int_t quotient, remainder;
    double q, r;
    int rc = check_divisor("%", a, b, err);
    if (rc < 0)
        return rc;
    if (divide_floor_int(a, b, &quotient, &remainder))
        return *out = json_integer(remainder), 0;
    divide_floor(json_number_value(a), json_number_value(b), &q, &r);
    return number(r, out, err);
}

static int op_equal(const json_t *a, const json_t *b, json_t **out, struct err *err)
{
    (void)err;
    *out = json_boolean(json_equal(a, b));
    return 0;
}

static int op_unequal(const json_t *a, const json_t *b, json_t **out, struct err *err)
{
    (void)err;
    *out = json_boolean(!json_equal(a, b));
    return 0;
}

/* Order of two numbers or two texts (by code point, which UTF-8 keeps). */
static int order(const char *op, const json_t *a, const json_t *b, int *sign,
                 struct err *err)
{
    if (both_integers(a, b)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        *sign = (x > y) - (x < y);
    } else if (both_numbers(a, b)) {
        double x = json_number_value(a), y = json_number_value(b);
        *sign = (x > y) - (x < y);
    } else if (json_is_string(a) && json_is_string(b)) {
        *sign = strcmp(json_string_value(a), json_string_value(b));
    } else {
        return wrong_types(op, a, b, err);
    }
    return 0;
}

#define ORDER_OP(name, text, test)                                                       \
    static int name(const json_t *a, const json_t *b, json_t **out, struct err *err)     \
    {                                                                                    \
        int sign, rc = order(text, a, b, &sign, err);                                    \
        if (rc == 0)                                                                     \
            *out = json_boolean(sign test 0);                                            \
        return rc;                                                                       \
    }
ORDER_OP(op_less, "<", <)
ORDER_OP(op_less_equal, "<=", <=)
ORDER_OP(op_greater, ">", >)
ORDER_OP(op_greater_equal, ">=", >=)

static int contains(const char *op, const json_t *a, const json_t *b, bool *found,
                    struct err *err)
{
    size_t i;
    json_t *item;
    if (json_is_string(a) && json_is_string(b)) {
        *found = strstr(json_string_value(b), json_string_value(a)) != NULL;
        return 0;
    }
    if (!json_is_array(b))
        return wrong_types(op, a, b, err);
    *found = false;
    json_array_foreach(b, i, item) *found = *found || json_equal(a, item);
    return 0;
}

static int op_in(const json_t *a, const json_t *b, json_t **out, struct err *err)
{
    bool found;
    int rc = contains("in", a, b, &found, err);
    if (rc == 0)
        *out = json_boolean(found);
    return rc;
}

static int op_not_in(const json_t *a, const json_t *b, json_t **out, struct err *err)
{
    bool found;
    int rc = contains("not in", a, b, &found, err);
    if (rc == 0)
        *out = json_boolean(!found);
    return rc;
}

static const struct expr_binary binaries[] = {
    {"or", LEVEL_OR, NULL},
    {"and", LEVEL_AND, NULL},
    {"==", LEVEL_COMPARE, op_equal},
    {"!=", LEVEL_COMPARE, op_unequal},
    {"<", LEVEL_COMPARE, op_less},
    {"<=", LEVEL_COMPARE, op_less_equal},
    {">", LEVEL_COMPARE, op_greater},
    {">=", LEVEL_COMPARE, op_greater_equal},
    {"in", LEVEL_COMPARE, op_in},
    {"not in", LEVEL_COMPARE, op_not_in},
    {"+", LEVEL_SUM, op_add},
    {"-", LEVEL_SUM, op_subtract},
    {"*", LEVEL_PRODUCT, op_multiply},
    {"/", LEVEL_PRODUCT, op_divide},
    {"//", LEVEL_PRODUCT, op_floor_divide},
    {"%", LEVEL_PRODUCT, op_modulo},
};

const struct expr_binary *expr_binary_find(const char *text, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(binaries); i++)
        if (strlen(binaries[i].text) == len && !memcmp(binaries[i].text, text, len))
            return &binaries[i];
    return NULL;
}

int expr_negate(const json_t *a, json_t **out, struct err *err)
{
    json_t *zero = json_integer(0);
    int rc = json_is_number(a) ? op_subtract(zero, a, out, err)
                               : err_set(err, ERR_CONFIG, "'-' applies to numbers only");
    json_decref(zero);
    return rc;
}

/* The extreme of the arguments, or of the one list given; want is the sign that wins. */
static int extreme(const char *name, int want, json_t *const *args, size_t count,
                   json_t **out, struct err *err)
{
    bool list = count == 1 && json_is_array(args[0]);
    size_t n = list ? json_array_size(args[0]) : count;
    json_t *best = NULL;
    for (size_t i = 0; i < n; i++) {
        json_t *v = list ? json_array_get(args[0], i) : args[i];
        int sign = want, rc = best ? order(name, v, best, &sign, err) : 0;
        if (rc < 0)
            return rc;
        if (!best || (long)sign * want > 0)
            best = v;
    }
    if (!best)
        return err_set(err, ERR_CONFIG, "%s of an empty list", name);
    *out = json_incref(best);
    return 0;
}

static int call_min(json_t *const *args, size_t count, json_t **out, struct err *err)
{
    return extreme("min", -1, args, count, out, err);
}

static int call_max(json_t *const *args, size_t count, json_t **out, struct err *err)
{
    return extreme("max", 1, args, count, out, err);
}

/* round(x) goes to the nearest integer, ties to even; round(x, n) to n decimals, by the
 * exact binary value, as Python does. */
static int call_round(json_t *const *args, size_t count, json_t **out, struct err *err)
{
    if (!json_is_number(args[0]) || (count == 2 && !json_is_integer(args[1])))
        return err_set(err, ERR_CONFIG, "round takes a number and a count of decimals");
    json_int_t decimals = count == 2 ? json_integer_value(args[1]) : 0;
    if (decimals < 0 || decimals > 20)
        return err_set(err, ERR_CONFIG, "round takes 0 to 20 decimals");
    if (json_is_integer(args[0]))
        return *out = json_incref(args[0]), 0;
    char text[400];
    snprintf(text, sizeof text, "%.*f", (int)decimals, json_real_value(args[0]));
    return number(strtod(text, NULL), out, err);
}

static const struct expr_function functions[] = {
    {"min", 1, 100, call_min},
    {"max", 1, 100, call_max},
    {"round", 1, 2, call_round},
};

const struct expr_function *expr_function_find(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (strlen(functions[i].name) == len && !memcmp(functions[i].name, name, len))
            return &functions[i];
    return NULL;
}
