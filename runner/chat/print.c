/* runner/chat/print.c - values as text (Python's str, repr and json.dumps), and from
 * JSON; see run.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/chat/run.h"
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- str and repr ------------------------------------------------------------------- */

/* repr() of a float: the shortest digits, with an exponent below 1e-4 and from 1e16 on. */
static void put_float(struct buf *out, double v, const char *nan, const char *inf)
{
    char text[40];
    if (!isfinite(v)) {
        buf_printf(out, "%s%s", v < 0 ? "-" : "", isnan(v) ? nan : inf);
        return;
    }
    for (int digits = fabs(v) < DBL_MIN ? 0 : 14; digits <= 16; digits++) {
        snprintf(text, sizeof text, "%.*e", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    char *e = strchr(text, 'e');
    int exponent = (int)strtol(e + 1, NULL, 10);
    while (e > text && e[-1] == '0' && memchr(text, '.', (size_t)(e - text)))
        e--;
    int places = (int)(e - text) - (text[0] == '-') - 2; /* digits behind the first */
    if (places < 0)
        places = 0;
    if (exponent < -4 || exponent >= 16) {
        if (e > text && e[-1] == '.')
            e--;
        buf_printf(out, "%.*se%c%02d", (int)(e - text), text, exponent < 0 ? '-' : '+',
                   abs(exponent));
    } else {
        int fixed = places - exponent;
        buf_printf(out, "%.*f", fixed < 1 ? 1 : fixed, v);
    }
}

static bool is_printable(int32_t cp)
{
    switch (utf8proc_category(cp)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    case UTF8PROC_CATEGORY_ZS:
        return cp == ' ';
    default:
        return true;
    }
}

static void put_repr(struct buf *out, const struct string *s)
{
    bool single = memchr(s->text, '\'', s->bytes) && !memchr(s->text, '"', s->bytes);
    char quote = single ? '"' : '\'';
    buf_char(out, quote);
    for (size_t at = 0; at < s->bytes;) {
        size_t begin = at;
        int32_t cp = utf8_next(s->text, s->bytes, &at);
        if (cp == quote || cp == '\\')
            buf_printf(out, "\\%c", (char)cp);
        else if (cp == '\n' || cp == '\t' || cp == '\r')
            buf_str_add(out, cp == '\n' ? "\\n" : cp == '\t' ? "\\t" : "\\r");
        else if (is_printable(cp))
            buf_add(out, s->text + begin, at - begin);
        else
            buf_printf(out,
                       cp < 0x100     ? "\\x%02x"
                       : cp < 0x10000 ? "\\u%04x"
                                      : "\\U%08x",
                       (unsigned)cp);
    }
    buf_char(out, quote);
}

static int put_value(struct run *r, struct value v);

static int put_items(struct run *r, struct value v)
{
    struct buf *out = &r->out->text;
    int rc = 0;
    buf_str_add(out, v.kind == V_TUPLE ? "(" : v.kind == V_VIEW ? "dict_view([" : "[");
    for (size_t i = 0; i < v.list->n && rc >= 0; i++) {
        buf_str_add(out, i ? ", " : "");
        rc = put_value(r, v.list->at[i]);
    }
    if (v.kind == V_TUPLE)
        buf_str_add(out, v.list->n == 1 ? ",)" : ")");
    else
        buf_str_add(out, v.kind == V_VIEW ? "])" : "]");
    return rc;
}

static int put_pairs(struct run *r, const struct dict *d)
{
    struct buf *out = &r->out->text;
    int rc = 0;
    buf_char(out, '{');
    for (size_t i = 0; i < d->n && rc >= 0; i++) {
        buf_str_add(out, i ? ", " : "");
        rc = put_value(r, d->at[i].key);
        buf_str_add(out, ": ");
        if (rc >= 0)
            rc = put_value(r, d->at[i].value);
    }
    buf_char(out, '}');
    return rc;
}

/* repr(), which is str() for all but strings and what is undefined. */
static int put_value(struct run *r, struct value v)
{
    struct buf *out = &r->out->text;
    int rc = run_work(r, v.kind == V_STRING ? v.s->bytes : 0);
    if (rc < 0)
        return rc;
    if (++r->depth > JINJA_DEPTH_MAX)
        return run_error(r, "values more than %d levels in one another", JINJA_DEPTH_MAX);
    switch (v.kind) {
    case V_UNDEFINED:
        buf_str_add(out, "Undefined");
        break;
    case V_NONE:
        buf_str_add(out, "None");
        break;
    case V_BOOL:
        buf_str_add(out, v.b ? "True" : "False");
        break;
    case V_INT:
        buf_printf(out, "%" PRId64, v.i);
        break;
    case V_FLOAT:
        put_float(out, v.d, "nan", "inf");
        break;
    case V_STRING:
        buf_str_add(out, v.safe ? "Markup(" : "");
        put_repr(out, v.s);
        buf_str_add(out, v.safe ? ")" : "");
        break;
    case V_LIST:
    case V_TUPLE:
    case V_VIEW:
        rc = put_items(r, v);
        break;
    case V_DICT:
        rc = put_pairs(r, v.dict);
        break;
    case V_RANGE:
        buf_printf(out, "range(%" PRId64 ", %" PRId64, v.range->start, v.range->stop);
        if (v.range->step != 1)
            buf_printf(out, ", %" PRId64, v.range->step);
        buf_char(out, ')');
        break;
    default:
        rc = run_error(r, "%s cannot be printed", value_type(v));
    }
    r->depth--;
    return rc;
}

int value_print(struct run *r, struct value v)
{
    if (v.kind == V_UNDEFINED)
        return 0;
    if (v.kind != V_STRING)
        return put_value(r, v);
    buf_add(&r->out->text, v.s->text, v.s->bytes);
    return run_work(r, v.s->bytes);
}

int value_to_string(struct run *r, struct value v, struct value *out)
{
    size_t mark = r->out->text.len;
    *out = v;
    if (v.kind == V_STRING)
        return 0;
    int rc = value_print(r, v);
    return rc < 0 ? rc : run_cut(r, mark, out);
}

void escape_html(struct buf *out, const char *text, size_t bytes)
{
    static const char signs[] = "&<>'\"";
    static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    for (size_t i = 0; i < bytes; i++) {
        const char *at = text[i] ? strchr(signs, text[i]) : NULL;
        if (at)
            buf_str_add(out, names[at - signs]);
        else
            buf_char(out, text[i]);
    }
}

/* ---- json.dumps --------------------------------------------------------------------- */

static void json_text(struct run *r, const struct string *s, const struct json_style *st)
{
    struct buf *out = &r->out->text;
    size_t mark = out->len;
    json_put_string(out, s->text, s->bytes);
    if (!st->ascii || s->chars == s->bytes || out->overflow)
        return;
    /* Escape what is beyond ASCII, in pairs of surrogates where needed. */
    char *copy = xstrndup(out->data + mark, out->len - mark);
    size_t n = out->len - mark;
    out->len = mark;
    for (size_t at = 0; at < n;) {
        int32_t cp = utf8_next(copy, n, &at);
        if (cp < 0x80)
            buf_char(out, (char)cp);
        else if (cp < 0x10000)
            buf_printf(out, "\\u%04x", (unsigned)cp);
        else
            buf_printf(out, "\\u%04x\\u%04x", 0xd7c0 + ((unsigned)cp >> 10),
                       0xdc00 + ((unsigned)cp & 0x3ff));
    }
    free(copy);
}

static void json_break(struct run *r, const struct json_style *st, int level)
{
    if (!st->indent)
        return;
    buf_char(&r->out->text, '\n');
    for (int i = 0; i < level; i++)
        buf_str_add(&r->out->text, st->indent);
}

static int json_value(struct run *r, struct value v, const struct json_style *st,
                      int level);

static int json_list(struct run *r, const struct list *l, const struct json_style *st,
                     int level)
{
    struct buf *out = &r->out->text;
    int rc = 0;
    buf_char(out, '[');
    for (size_t i = 0; i < l->n && rc >= 0; i++) {
        buf_str_add(out, i ? st->comma : "");
        json_break(r, st, level + 1);
        rc = json_value(r, l->at[i], st, level + 1);
    }
    if (l->n)
        json_break(r, st, level);
    buf_char(out, ']');
    return rc;
}

static int json_key(struct run *r, struct value key, const struct json_style *st)
{
    struct buf *out = &r->out->text;
    if (key.kind == V_STRING) {
        json_text(r, key.s, st);
        return 0;
    }
    if (key.kind != V_NONE && !value_is_number(key))
        return run_error(r, "a key of JSON is text, not %s", value_type(key));
    buf_char(out, '"');
    int rc = json_value(r, key, st, 0);
    buf_char(out, '"');
    return rc;
}

/* Pairs by key; the order was checked before. */
static int by_key(const void *a, const void *b, void *user)
{
    int order = 0;
    value_compare(user, ((const struct pair *)a)->key, ((const struct pair *)b)->key,
                  &order);
    return order;
}

static int sorted_pairs(struct run *r, const struct dict *d, struct pair **out)
{
    struct pair *at = run_take(r, (d->n + 1) * sizeof *at);
    int order;
    if (!at)
        return -ERR_PARSE;
    for (size_t i = 0; i < d->n; i++)
        if (value_compare(r, d->at[0].key, d->at[i].key, &order) < 0)
            return -ERR_PARSE;
    if (d->n)
        memcpy(at, d->at, d->n * sizeof *at);
    qsort_r(at, d->n, sizeof *at, by_key, r);
    *out = at;
    return 0;
}

static int json_dict(struct run *r, const struct dict *d, const struct json_style *st,
                     int level)
{
    struct buf *out = &r->out->text;
    struct pair *at = d->at;
    int rc = st->sorted ? sorted_pairs(r, d, &at) : 0;
    buf_char(out, '{');
    for (size_t i = 0; i < d->n && rc >= 0; i++) {
        buf_str_add(out, i ? st->comma : "");
        json_break(r, st, level + 1);
        rc = json_key(r, at[i].key, st);
        buf_str_add(out, st->colon);
        if (rc >= 0)
            rc = json_value(r, at[i].value, st, level + 1);
    }
    if (d->n)
        json_break(r, st, level);
    buf_char(out, '}');
    return rc;
}

static int json_value(struct run *r, struct value v, const struct json_style *st,
                      int level)
{
    struct buf *out = &r->out->text;
    int rc = run_work(r, v.kind == V_STRING ? v.s->bytes : 0);
    if (rc < 0 || out->overflow)
        return rc;
    if (level > JINJA_DEPTH_MAX / 4)
        return run_error(r, "values more than %d levels in one another",
                         JINJA_DEPTH_MAX / 4);
    switch (v.kind) {
    case V_UNDEFINED:
        return v.s ? run_undefined(r, v) : run_error(r, "an undefined value has no JSON");
    case V_NONE:
        buf_str_add(out, "null");
        return 0;
    case V_BOOL:
        buf_str_add(out, v.b ? "true" : "false");
        return 0;
    case V_INT:
        buf_printf(out, "%" PRId64, v.i);
        return 0;
    case V_FLOAT:
        put_float(out, v.d, "NaN", "Infinity");
        return 0;
    case V_STRING:
        json_text(r, v.s, st);
        return 0;
    case V_LIST:
    case V_TUPLE:
        return json_list(r, v.list, st, level);
    case V_DICT:
        return json_dict(r, v.dict, st, level);
    default:
        return run_error(r, "%s has no JSON", value_type(v));
    }
}

int value_print_json(struct run *r, struct value v, const struct json_style *style)
{
    return json_value(r, v, style, 0);
}

/* ---- from JSON ---------------------------------------------------------------------- */

static int list_from_json(struct run *r, const json_t *json, struct value *out)
{
    size_t n = json_array_size(json);
    struct list *l = run_list(r, n);
    int rc = l ? 0 : -ERR_PARSE;
    for (size_t i = 0; i < n && rc >= 0; i++)
        rc = value_from_json(r, json_array_get(json, i), &l->at[i]);
    *out = (struct value){.kind = V_LIST, .list = l};
    return rc;
}

static int dict_from_json(struct run *r, const json_t *json, struct value *out)
{
    struct dict *d = run_take(r, sizeof *d);
    size_t n = json_object_size(json);
    if (!d || !(d->at = run_take(r, (n + 1) * sizeof *d->at)))
        return -ERR_PARSE;
    d->cap = n + 1;
    for (void *it = json_object_iter((json_t *)json); it;
         it = json_object_iter_next((json_t *)json, it)) {
        struct pair *p = &d->at[d->n];
        int rc = run_string(r, json_object_iter_key(it), json_object_iter_key_len(it),
                            &p->key);
        if (rc >= 0)
            rc = value_from_json(r, json_object_iter_value(it), &p->value);
        if (rc < 0)
            return rc;
        d->n++; /* a JSON object has a key once */
    }
    *out = (struct value){.kind = V_DICT, .dict = d};
    return 0;
}

int value_from_json(struct run *r, const json_t *json, struct value *out)
{
    switch (json ? json_typeof(json) : JSON_NULL) {
    case JSON_OBJECT:
        return dict_from_json(r, json, out);
    case JSON_ARRAY:
        return list_from_json(r, json, out);
    case JSON_STRING:
        return run_string(r, json_string_value(json), json_string_length(json), out);
    case JSON_INTEGER:
        *out = value_int(json_integer_value(json));
        return 0;
    case JSON_REAL:
        *out = value_float(json_real_value(json));
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = value_bool(json_is_true(json));
        return 0;
    default:
        *out = value_none();
        return 0;
    }
}
