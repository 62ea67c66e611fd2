/* tracker/mlflow/calls/mlflow_fields.c - what requests say: types, what must be there. The messages
 * are those of MLflow's server. */
#include "tracker/mlflow/mlflow_inner.h"
#include "lib/str.h"
#include <math.h>
#include <stdio.h>

bool mlflow_as_int(const json_t *v, int64_t *out)
{
    if (json_is_integer(v)) {
        *out = json_integer_value(v);
        return true;
    }
    if (json_is_real(v)) {
        const double x = json_real_value(v);
        *out = fabs(x) < 9.2e18 ? (int64_t)x : 0;
        return x == floor(x) && fabs(x) < 9.2e18;
    }
    const char *text = json_string_value(v);
    *out = 0;
    return text && str_whole(text, out);
}

bool mlflow_as_number(const json_t *v, double *out)
{
    const char *text = json_string_value(v);
    return json_as_number(v, out) || (text && str_number(text, out));
}

const char *mlflow_text(const json_t *fields, const char *name)
{
    return json_get_str(fields, name, "");
}

static bool fits(const json_t *v, enum mlflow_kind kind)
{
    int64_t whole;
    double number;
    switch (kind) {
    case MLFLOW_TEXT:
        return json_is_string(v);
    case MLFLOW_INT:
        return mlflow_as_int(v, &whole);
    case MLFLOW_NUMBER:
        return mlflow_as_number(v, &number);
    case MLFLOW_LIST:
        return json_is_array(v);
    default:
        return true;
    }
}

static const char *python_type(const json_t *v)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "dict", [JSON_ARRAY] = "list",   [JSON_STRING] = "str",
        [JSON_INTEGER] = "int", [JSON_REAL] = "float",   [JSON_TRUE] = "bool",
        [JSON_FALSE] = "bool",  [JSON_NULL] = "NoneType"};
    return names[json_typeof(v)];
}

int mlflow_refuse_value(const char *where, const json_t *v, struct mlflow_error *e)
{
    struct buf text = BUF_INIT;
    json_write(&text, v, 0);
    mlflow_fail(
        e, MLFLOW_INVALID_PARAMETER_VALUE,
        "Invalid value %.300s for parameter '%s' supplied:  Hint: Value was of type "
        "'%s'. See the API docs for more information about request parameters.",
        buf_str(&text), where, python_type(v));
    buf_release(&text);
    return -1;
}

int mlflow_check_pairs(const char *list, const json_t *pairs, struct mlflow_error *e)
{
    static const char *const members[] = {"key", "value"};
    const json_t *pair;
    size_t i;
    json_array_foreach((json_t *)pairs, i, pair)
    {
        for (size_t m = 0; m < ARRAY_LEN(members); m++) {
            const json_t *v = json_object_get(pair, members[m]);
            char where[64];
            if (!v || json_is_null(v) || json_is_string(v))
                continue;
            snprintf(where, sizeof where, "%s[%zu].%s", list, i, members[m]);
            return mlflow_refuse_value(where, v, e);
        }
    }
    return 0;
}

int mlflow_check_fields(const struct mlflow_field *f, const json_t *fields,
                        struct mlflow_error *e)
{
    for (; f->name; f++) {
        const json_t *v = json_object_get(fields, f->name);
        if (!v && str_eq(f->name, "run_id"))
            v = json_object_get(fields, "run_uuid");
        const bool missing = !v || json_is_null(v) || str_eq(json_string_value(v), "");
        if (missing && f->required)
            return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                               "Missing value for required parameter '%s'. See the API "
                               "docs for more information about request parameters.",
                               f->name);
        if (!missing && !fits(v, f->kind))
            return mlflow_refuse_value(f->name, v, e);
    }
    return 0;
}
