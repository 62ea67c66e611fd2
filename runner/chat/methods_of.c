/* runner/chat/methods_of.c - methods of strings and dicts; see routine.h.
 *
 * Python has more of them: those are known by name, so that a template that uses one is
 * told so instead of finding it undefined. */
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/chat/run.h"
#include <string.h>

static int wants_text(struct run *r, struct value v)
{
    if (v.kind == V_STRING)
        return 0;
    return v.kind == V_UNDEFINED ? run_undefined(r, v)
                                 : run_error(r, "a str is wanted, not %s", value_type(v));
}

/* ---- strings ------------------------------------------------------------------------ */

static bool has_end(const struct string *s, const struct string *part, bool begin)
{
    return part->bytes <= s->bytes &&
           memcmp(begin ? s->text : s->text + s->bytes - part->bytes, part->text,
                  part->bytes) == 0;
}

/* The part may be a tuple: any of them. */
static int has_any_end(struct run *r, struct call *c, bool begin, struct value *out)
{
    struct value part = c->at[0];
    bool holds = false;
    int rc = 0;
    if (part.kind == V_TUPLE) {
        for (size_t i = 0; i < part.list->n && !holds && rc >= 0; i++)
            if ((rc = wants_text(r, part.list->at[i])) >= 0 &&
                (rc = run_work(r, part.list->at[i].s->bytes)) >= 0)
                holds = has_end(c->self.s, part.list->at[i].s, begin);
    } else if ((rc = wants_text(r, part)) >= 0) {
        holds = has_end(c->self.s, part.s, begin);
        rc = run_work(r, part.s->bytes);
    }
    *out = value_bool(holds);
    return rc;
}

static int str_startswith(struct run *r, struct call *c, struct value *out)
{
    return has_any_end(r, c, true, out);
}

static int str_endswith(struct run *r, struct call *c, struct value *out)
{
    return has_any_end(r, c, false, out);
}

static int str_strip(struct run *r, struct call *c, struct value *out)
{
    return string_strip(r, c->self, c->at[0], SIDE_BOTH, out);
}

static int str_lstrip(struct run *r, struct call *c, struct value *out)
{
    return string_strip(r, c->self, c->at[0], SIDE_LEFT, out);
}

static int str_rstrip(struct run *r, struct call *c, struct value *out)
{
    return string_strip(r, c->self, c->at[0], SIDE_RIGHT, out);
}

static int str_upper(struct run *r, struct call *c, struct value *out)
{
    return string_letters(r, c->self, LETTERS_UPPER, out);
}

static int str_lower(struct run *r, struct call *c, struct value *out)
{
    return string_letters(r, c->self, LETTERS_LOWER, out);
}

static int str_capitalize(struct run *r, struct call *c, struct value *out)
{
    return string_letters(r, c->self, LETTERS_CAPITAL, out);
}

static int limit_of(struct run *r, struct value v, int64_t *out)
{
    *out = -1;
    if (v.kind == V_MISSING)
        return 0;
    if (!value_is_int(v))
        return run_error(r, "an integer is wanted, not %s", value_type(v));
    *out = value_as_int(v) < 0 ? -1 : value_as_int(v);
    return 0;
}

static int str_split(struct run *r, struct call *c, struct value *out)
{
    int64_t limit;
    int rc = limit_of(r, c->at[1], &limit);
    if (rc >= 0 && c->at[0].kind != V_MISSING && c->at[0].kind != V_NONE)
        rc = wants_text(r, c->at[0]);
    return rc < 0 ? rc : string_split(r, c->self, c->at[0], limit, out);
}

static int str_replace(struct run *r, struct call *c, struct value *out)
{
    int64_t limit;
    int rc = limit_of(r, c->at[2], &limit);
    if (rc < 0 || (rc = wants_text(r, c->at[0])) < 0 ||
        (rc = wants_text(r, c->at[1])) < 0)
        return rc;
    return string_replace(r, c->self, c->at[0], c->at[1], limit, out);
}

/* ---- dicts -------------------------------------------------------------------------- */

static int dict_get(struct run *r, struct call *c, struct value *out)
{
    const struct pair *pair;
    int rc = dict_find(r, c->self.dict, c->at[0], &pair);
    *out = c->at[1].kind == V_MISSING ? value_none() : c->at[1];
    if (rc >= 0 && pair)
        *out = pair->value;
    return rc;
}

static int view(struct run *r, struct call *c, bool keys, bool values, struct value *out)
{
    *out = dict_list(r, c->self.dict, keys, values);
    return out->kind == V_VIEW ? 0 : -ERR_PARSE;
}

static int dict_items(struct run *r, struct call *c, struct value *out)
{
    return view(r, c, true, true, out);
}

static int dict_keys(struct run *r, struct call *c, struct value *out)
{
    return view(r, c, true, false, out);
}

static int dict_values(struct run *r, struct call *c, struct value *out)
{
    return view(r, c, false, true, out);
}

/* What Python has besides; nothing here changes a value. */
static const char str_others[] =
    "casefold|center|count|encode|expandtabs|find|format|format_map|index|isalnum|"
    "isalpha|isascii|isdecimal|isdigit|isidentifier|islower|isnumeric|isprintable|"
    "isspace|istitle|isupper|join|ljust|maketrans|partition|removeprefix|removesuffix|"
    "rfind|rindex|rjust|rpartition|rsplit|splitlines|swapcase|title|translate|zfill";
static const char dict_others[] = "clear|copy|fromkeys|pop|popitem|setdefault|update";
static const char list_others[] =
    "append|clear|copy|count|extend|index|insert|pop|remove|reverse|sort";

const struct routine *jinja_method(uint8_t kind, const struct string *name, bool *known)
{
    static const struct routine rows[] = {
        {"capitalize", "", 0, str_capitalize, V_STRING},
        {"endswith", "end", 1, str_endswith, V_STRING},
        {"lower", "", 0, str_lower, V_STRING},
        {"lstrip", "chars", 0, str_lstrip, V_STRING},
        {"replace", "old new count", 2, str_replace, V_STRING},
        {"rstrip", "chars", 0, str_rstrip, V_STRING},
        {"split", "sep maxsplit", 0, str_split, V_STRING},
        {"startswith", "start", 1, str_startswith, V_STRING},
        {"strip", "chars", 0, str_strip, V_STRING},
        {"upper", "", 0, str_upper, V_STRING},
        {"get", "key default", 1, dict_get, V_DICT},
        {"items", "", 0, dict_items, V_DICT},
        {"keys", "", 0, dict_keys, V_DICT},
        {"values", "", 0, dict_values, V_DICT},
    };
    const char *others = kind == V_STRING  ? str_others
                         : kind == V_DICT  ? dict_others
                         : kind == V_LIST  ? list_others
                         : kind == V_TUPLE ? "count|index"
                                           : "";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].of == kind && string_is(name, rows[i].name))
            return &rows[i];
    *known = str_in_list(name->text, others, '|');
    return NULL;
}
