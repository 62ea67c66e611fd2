/* sweep/space/value.c - canonical values and their short text. */
#include "sweep/space/value.h"
#include "lib/json.h"
#include "lib/mem.h"
#include <math.h>
#include <string.h>

json_t *value_canon(const json_t *v)
{
    const char *key;
    json_t *item, *out;
    size_t i;
    switch (json_typeof(v)) {
    case JSON_REAL: {
        double d = json_real_value(v);
        bool whole = fabs(d) < 9007199254740992.0 && d == trunc(d);
        return whole ? json_integer((json_int_t)d) : json_real(d);
    }
    case JSON_ARRAY:
        out = json_array();
        json_array_foreach(v, i, item) json_array_append_new(out, value_canon(item));
        return out;
    case JSON_OBJECT:
        out = json_object();
        json_object_foreach((json_t *)v, key, item)
            json_object_set_new(out, key, value_canon(item));
        return out;
    default:
        return json_incref((json_t *)v);
    }
}

bool value_is_word(const json_t *v)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    const char *s = json_string_value(v);
    json_t *item;
    size_t i;
    for (i = 0; s && i < ARRAY_LEN(words); i++)
        if (!strcmp(s, words[i]))
            return true;
    json_array_foreach((json_t *)v, i, item) if (value_is_word(item)) return true;
    for (void *it = json_object_iter((json_t *)v); it;
         it = json_object_iter_next((json_t *)v, it))
        if (value_is_word(json_object_iter_value(it)))
            return true;
    return false;
}

bool value_is_expr(const json_t *v)
{
    return json_is_object(v) && json_object_size(v) == 1 && json_object_get(v, "expr");
}

void value_show(struct buf *out, const json_t *v)
{
    size_t i;
    json_t *item;
    if (json_is_string(v)) {
        buf_str_add(out, json_string_value(v));
    } else if (json_is_array(v)) {
        buf_char(out, '[');
        json_array_foreach(v, i, item)
        {
            if (i)
                buf_str_add(out, ", ");
            value_show(out, item);
        }
        buf_char(out, ']');
    } else {
        json_write(out, v, 0);
    }
}
