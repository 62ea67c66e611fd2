/* tracker/exchange/import_fields.c - checked members of the objects that come in. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "tracker/exchange/import_parts.h"
#include <stdlib.h>
#include <string.h>

static const char *const wanted_names[] = {
    "a text", "a whole number from 0 on", "a number", "an object", "a list", "0 or 1"};

bool import_is(const json_t *v, enum wanted wanted)
{
    switch (wanted) {
    case TEXT:
        return json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v);
    case COUNT:
        return json_is_integer(v) && json_integer_value(v) >= 0;
    case NUMBER:
        return json_is_number(v);
    case OBJECT:
        return json_is_object(v);
    case LIST:
        return json_is_array(v);
    default:
        return json_is_integer(v) &&
               (json_integer_value(v) == 0 || json_integer_value(v) == 1);
    }
}

int import_check(const json_t *object, const struct field *f, size_t count,
                 const char *what, struct err *err)
{
    if (!json_is_object(object))
        return err_set(err, ERR_PARSE, "a %s must be an object", what);
    for (size_t i = 0; i < count; i++) {
        const json_t *v = json_object_get(object, f[i].name);
        if (!v || json_is_null(v)) {
            if (f[i].required)
                return err_set(err, ERR_PARSE, "the %s lacks '%s'", what, f[i].name);
        } else if (!import_is(v, f[i].wanted)) {
            return err_set(err, ERR_PARSE, "'%s' of the %s must be %s", f[i].name, what,
                           wanted_names[f[i].wanted]);
        }
    }
    return 0;
}

const char *import_text(const json_t *object, const char *key)
{
    return json_get_str(object, key, NULL);
}

const char *import_json(const json_t *object, const char *key, struct buf *out)
{
    const json_t *v = json_object_get(object, key);
    if (!v || json_is_null(v))
        return NULL;
    json_t *clean = secret_json(v);
    json_write(out, clean, 0);
    json_decref(clean);
    return buf_str(out);
}

struct arg import_count(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_integer(v) ? (struct arg)A_INT(json_integer_value(v))
                              : (struct arg){.type = ARG_NULL};
}

int import_value(const json_t *v, const char *key, double *out, struct err *err)
{
    if (json_as_number(v, out))
        return 0;
    char *clean = str_clean(key, strlen(key));
    int rc = err_set(err, ERR_PARSE,
                     "value of '%.200s' must be a number, \"NaN\", \"Infinity\" or "
                     "\"-Infinity\"",
                     clean);
    free(clean);
    return rc;
}

int import_check_state(const char *state, const char *what, struct err *err)
{
    if (trial_state_from_name(state) >= 0)
        return 0;
    char *clean = str_clean(state, strlen(state));
    int rc = err_set(err, ERR_PARSE,
                     "state '%.100s' of the %s is none of waiting, running, complete, "
                     "pruned, failed, oom, nan, timeout, preempted, stale, cancelled, "
                     "spared",
                     clean, what);
    free(clean);
    return rc;
}

int import_texts(struct store *s, const char *add, int64_t owner, const json_t *object,
                 const char *member, struct err *err)
{
    const char *key;
    json_t *v;
    int rc = 0;
    json_object_foreach(json_object_get(object, member), key, v)
    {
        if (rc >= 0)
            rc = store_check_name(str_eq(member, "tags") ? "the tag" : "the parameter",
                                  key, err);
        if (rc >= 0 && !import_is(v, TEXT))
            rc = err_set(err, ERR_PARSE, "a value in '%s' must be a text", member);
        const char *text = json_string_value(v);
        if (rc >= 0 && secret_value(key, text))
            text = SECRET_SHOWN;
        if (rc >= 0)
            rc = store_exec(s, add, ARGS(A_INT(owner), A_TEXT(key), A_TEXT(text)), err);
    }
    return rc < 0 ? rc : 0;
}
