/* runner/chat/filters.c - the filters that templates may use, with jinja2's meaning; see
 * routine.h. */
#include "lib/mem.h"
#include "runner/chat/run.h"
#include <stdlib.h>
#include <string.h>

/* What is filtered, as text. */
static int self_text(struct run *r, struct call *c)
{
    return value_to_string(r, c->self, &c->self);
}

static bool given(struct value v)
{
    return v.kind != V_MISSING && v.kind != V_NONE;
}

static int count_of(struct run *r, struct value v, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (!given(v))
        return 0;
    if (!value_is_int(v))
        return run_error(r, "an integer is wanted, not %s", value_type(v));
    *out = value_as_int(v);
    return 0;
}

/* ---- text --------------------------------------------------------------------------- */

static int filter_string(struct run *r, struct call *c, struct value *out)
{
    return value_to_string(r, c->self, out);
}

static int filter_safe(struct run *r, struct call *c, struct value *out)
{
    int rc = value_to_string(r, c->self, out);
    out->safe = rc >= 0;
    return rc;
}

static int filter_trim(struct run *r, struct call *c, struct value *out)
{
    int rc = self_text(r, c);
    return rc < 0 ? rc : string_strip(r, c->self, c->at[0], SIDE_BOTH, out);
}

static int letters(struct run *r, struct call *c, enum letters how, struct value *out)
{
    int rc = self_text(r, c);
    return rc < 0 ? rc : string_letters(r, c->self, how, out);
}

static int filter_upper(struct run *r, struct call *c, struct value *out)
{
    return letters(r, c, LETTERS_UPPER, out);
}

static int filter_lower(struct run *r, struct call *c, struct value *out)
{
    return letters(r, c, LETTERS_LOWER, out);
}

static int filter_capitalize(struct run *r, struct call *c, struct value *out)
{
    return letters(r, c, LETTERS_CAPITAL, out);
}

static int filter_replace(struct run *r, struct call *c, struct value *out)
{
    int64_t limit;
    int rc = count_of(r, c->at[2], -1, &limit);
    if (rc < 0 || (rc = self_text(r, c)) < 0 ||
        (rc = value_to_string(r, c->at[0], &c->at[0])) < 0 ||
        (rc = value_to_string(r, c->at[1], &c->at[1])) < 0)
        return rc;
    return string_replace(r, c->self, c->at[0], c->at[1], limit, out);
}

static int filter_tojson(struct run *r, struct call *c, struct value *out)
{
    struct json_style style = {.ascii = value_truth(c->at[0]),
                               .sorted = value_truth(c->at[3]),
                               .comma = given(c->at[1]) ? "," : ", ",
                               .colon = ": "};
    size_t mark = r->out->text.len;
    if (c->at[1].kind == V_STRING) {
        style.indent = c->at[1].s->text;
    } else if (given(c->at[1])) {
        int64_t n;
        if (count_of(r, c->at[1], 0, &n) < 0)
            return -ERR_PARSE;
        if (n > 64)
            return run_error(r, "an indent of more than 64");
        char *blanks = run_take(r, 65);
        if (!blanks)
            return -ERR_PARSE;
        memset(blanks, ' ', n > 0 ? (size_t)n : 0);
        style.indent = blanks;
    }
    if (given(c->at[2])) {
        const struct list *l = c->at[2].list;
        if ((c->at[2].kind != V_LIST && c->at[2].kind != V_TUPLE) || l->n != 2 ||
            l->at[0].kind != V_STRING || l->at[1].kind != V_STRING)
            return run_error(r, "separators are two str");
        style.comma = l->at[0].s->text;
        style.colon = l->at[1].s->text;
    }
    int rc = value_print_json(r, c->self, &style);
    return rc < 0 ? rc : run_cut(r, mark, out);
}

/* ---- one of several ----------------------------------------------------------------- */

static int filter_default(struct run *r, struct call *c, struct value *out)
{
    bool empty = value_truth(c->at[1]) && !value_truth(c->self);
    *out = c->self;
    if (c->self.kind != V_UNDEFINED && !empty)
        return 0;
    *out = c->at[0];
    return given(*out) || out->kind == V_NONE ? 0 : run_string(r, "", 0, out);
}

static int filter_length(struct run *r, struct call *c, struct value *out)
{
    int64_t n = 0;
    int rc = value_length(r, c->self, &n);
    *out = value_int(n);
    return rc;
}

static int end_of(struct run *r, struct call *c, bool last, struct value *out)
{
    struct list *items;
    if (last && c->self.kind == V_ITERATOR)
        return run_error(r, "a generator has no last item");
    int rc = value_items(r, c->self, &items);
    *out = (struct value){.kind = V_UNDEFINED};
    if (rc >= 0 && items->n)
        *out = items->at[last ? items->n - 1 : 0];
    return rc;
}

static int filter_first(struct run *r, struct call *c, struct value *out)
{
    return end_of(r, c, false, out);
}

static int filter_last(struct run *r, struct call *c, struct value *out)
{
    return end_of(r, c, true, out);
}

/* ---- lists and dicts ---------------------------------------------------------------- */

static int filter_list(struct run *r, struct call *c, struct value *out)
{
    struct list *items;
    int rc = value_items(r, c->self, &items);
    *out = (struct value){.kind = V_LIST, .list = items};
    return rc;
}

static int filter_items(struct run *r, struct call *c, struct value *out)
{
    static const struct dict nothing;
    if (c->self.kind != V_DICT && c->self.kind != V_UNDEFINED)
        return run_error(r, "items of %s, which is no mapping", value_type(c->self));
    *out = dict_list(r, c->self.kind == V_DICT ? c->self.dict : &nothing, true, true);
    if (out->kind != V_VIEW)
        return -ERR_PARSE;
    out->kind = V_ITERATOR;
    return 0;
}

/* What `of` has under "a.b.0". */
static int path_of(struct run *r, struct value of, struct value path, struct value *out)
{
    int rc = 0;
    if (path.kind != V_STRING)
        return value_item(r, of, path, out);
    const char *at = path.s->text, *end = at + path.s->bytes;
    *out = of;
    for (bool more = true; more && rc >= 0;) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        size_t n = (size_t)((dot ? dot : end) - at);
        struct value key;
        if (n > 0 && n < 18 && strspn(at, "0123456789") >= n)
            key = value_int(strtoll(at, NULL, 10));
        else
            rc = run_string(r, at, n, &key);
        if (rc >= 0)
            rc = value_item(r, *out, key, out);
        more = dot != NULL;
        at = more ? dot + 1 : end;
    }
    return rc;
}

static int filter_join(struct run *r, struct call *c, struct value *out)
{
    struct list *items;
    struct value by = c->at[0];
    int rc =
        by.kind == V_MISSING ? run_string(r, "", 0, &by) : value_to_string(r, by, &by);
    if (rc >= 0)
        rc = value_items(r, c->self, &items);
    size_t mark = r->out->text.len;
    for (size_t i = 0; rc >= 0 && i < items->n; i++) {
        struct value item = items->at[i];
        if (given(c->at[1]))
            rc = path_of(r, items->at[i], c->at[1], &item);
        if (rc >= 0 && i)
            rc = value_print(r, by);
        if (rc >= 0)
            rc = value_print(r, item);
    }
    return rc < 0 ? rc : run_cut(r, mark, out);
}

/* ---- dictsort ----------------------------------------------------------------------- */

struct sorted {
    struct value key, pair;
    size_t i;
};
struct order {
    struct run *r;
    bool reverse;
};

/* Stable: equal ones stay as they were. */
static int by_order(const void *a, const void *b, void *user)
{
    const struct sorted *x = a, *y = b;
    const struct order *o = user;
    int c = 0;
    value_compare(o->r, x->key, y->key, &c);
    c = o->reverse ? -c : c;
    return c ? c : (x->i > y->i) - (x->i < y->i);
}

static int filter_dictsort(struct run *r, struct call *c, struct value *out)
{
    bool by_value = c->at[1].kind == V_STRING && string_is(c->at[1].s, "value");
    if (c->self.kind != V_DICT)
        return c->self.kind == V_UNDEFINED
                   ? run_undefined(r, c->self)
                   : run_error(r, "dictsort of %s", value_type(c->self));
    if (given(c->at[1]) && !by_value &&
        !(c->at[1].kind == V_STRING && string_is(c->at[1].s, "key")))
        return run_error(r, "dictsort: by is 'key' or 'value'");
    struct value pairs = dict_list(r, c->self.dict, true, true);
    size_t n = c->self.dict->n;
    struct sorted *at = pairs.kind == V_VIEW ? run_take(r, (n + 1) * sizeof *at) : NULL;
    int rc = at ? 0 : -ERR_PARSE, order;
    for (size_t i = 0; i < n && rc >= 0; i++) {
        at[i] =
            (struct sorted){pairs.list->at[i].list->at[by_value], pairs.list->at[i], i};
        if (at[i].key.kind == V_STRING && !value_truth(c->at[0]))
            rc = string_letters(r, at[i].key, LETTERS_LOWER, &at[i].key);
        /* What has an order with the first has one with all. */
        if (rc >= 0)
            rc = value_compare(r, at[0].key, at[i].key, &order);
    }
    if (rc < 0)
        return rc;
    qsort_r(at, n, sizeof *at, by_order, &(struct order){r, value_truth(c->at[2])});
    for (size_t i = 0; i < n; i++)
        pairs.list->at[i] = at[i].pair;
    *out = (struct value){.kind = V_LIST, .list = pairs.list};
    return run_work(r, 0);
}

/* ---- map, select -------------------------------------------------------------------- */

/* A routine over many items: its row, and its arguments without the first `skip`. */
struct applied {
    const struct routine *row;
    const char *what;
    struct call *fresh;
};

static int apply_to(struct run *r, const struct applied *a, const struct call *c,
                    size_t skip, struct value item, struct value *out)
{
    *a->fresh = (struct call){.self = item};
    for (size_t i = skip; i < c->n; i++)
        a->fresh->at[a->fresh->n++] = c->at[i];
    for (size_t i = 0; i < c->n_named; i++) {
        a->fresh->named[i] = c->named[i];
        a->fresh->name[i] = c->name[i];
    }
    a->fresh->n_named = c->n_named;
    return routine_run(r, a->row, a->what, a->fresh, out);
}

/* The routine that argument `i` names; row NULL where there is no such argument. */
static int applied_init(struct run *r, const struct call *c, size_t i, const char *what,
                        const struct routine *(*find)(const struct string *),
                        struct applied *out)
{
    *out = (struct applied){.what = what};
    if (i >= c->n)
        return 0;
    if (c->at[i].kind != V_STRING)
        return run_error(r, "the name of a %s is a str, not %s", what,
                         value_type(c->at[i]));
    if (!(out->row = find(c->at[i].s)))
        return run_error(r, "%s '%s' is not supported", what, c->at[i].s->text);
    out->fresh = run_take(r, sizeof *out->fresh);
    return out->fresh ? 0 : -ERR_PARSE;
}

/* Items for map and select, which take whatever is false for nothing. */
static int items_or_none(struct run *r, struct value v, struct list **out)
{
    if (value_truth(v))
        return value_items(r, v, out);
    return (*out = run_list(r, 0)) ? 0 : -ERR_PARSE;
}

static int filter_map(struct run *r, struct call *c, struct value *out)
{
    struct list *items, *l;
    struct applied a;
    struct value path = {0}, preset = {0};
    int rc = items_or_none(r, c->self, &items);
    for (size_t i = 0; c->n == 0 && i < c->n_named; i++) {
        if (string_is(c->name[i], "attribute"))
            path = c->named[i];
        else if (string_is(c->name[i], "default"))
            preset = c->named[i];
        else
            return run_error(r, "filter 'map' takes no argument '%s'", c->name[i]->text);
    }
    if (c->n == 0 && path.kind == V_MISSING)
        return run_error(r, "filter 'map' wants a filter's name or attribute=");
    if (rc < 0 || (rc = applied_init(r, c, 0, "filter", jinja_filter, &a)) < 0)
        return rc;
    if (!(l = run_list(r, items->n)))
        return -ERR_PARSE;
    for (size_t i = 0; i < l->n && rc >= 0; i++) {
        if (a.row)
            rc = apply_to(r, &a, c, 1, items->at[i], &l->at[i]);
        else
            rc = path_of(r, items->at[i], path, &l->at[i]);
        if (!a.row && preset.kind != V_MISSING && l->at[i].kind == V_UNDEFINED)
            l->at[i] = preset;
    }
    *out = (struct value){.kind = V_ITERATOR, .list = l};
    return rc;
}

/* attribute: the first argument says of what the test is. */
static int chosen(struct run *r, struct call *c, bool attribute, bool keep,
                  struct value *out)
{
    struct list *items, *l;
    struct applied a;
    size_t n = 0;
    int rc = items_or_none(r, c->self, &items);
    if (attribute && c->n == 0)
        return run_error(r, "the name of an attribute is missing");
    if (rc < 0 || (rc = applied_init(r, c, attribute, "test", jinja_test, &a)) < 0)
        return rc;
    if (!(l = run_list(r, items->n)))
        return -ERR_PARSE;
    for (size_t i = 0; i < items->n && rc >= 0; i++) {
        struct value what = items->at[i], holds;
        if (attribute)
            rc = path_of(r, items->at[i], c->at[0], &what);
        holds = what;
        if (rc >= 0 && a.row)
            rc = apply_to(r, &a, c, (size_t)attribute + 1, what, &holds);
        if (rc >= 0 && value_truth(holds) == keep)
            l->at[n++] = items->at[i];
    }
    l->n = n;
    *out = (struct value){.kind = V_ITERATOR, .list = l};
    return rc;
}

static int filter_select(struct run *r, struct call *c, struct value *out)
{
    return chosen(r, c, false, true, out);
}

static int filter_reject(struct run *r, struct call *c, struct value *out)
{
    return chosen(r, c, false, false, out);
}

static int filter_selectattr(struct run *r, struct call *c, struct value *out)
{
    return chosen(r, c, true, true, out);
}

static int filter_rejectattr(struct run *r, struct call *c, struct value *out)
{
    return chosen(r, c, true, false, out);
}

const struct routine *jinja_filter(const struct string *name)
{
    static const struct routine rows[] = {
        {"capitalize", "", 0, filter_capitalize, 0},
        {"count", "", 0, filter_length, 0},
        {"d", "default_value boolean", 0, filter_default, 0},
        {"default", "default_value boolean", 0, filter_default, 0},
        {"dictsort", "case_sensitive by reverse", 0, filter_dictsort, 0},
        {"first", "", 0, filter_first, 0},
        {"items", "", 0, filter_items, 0},
        {"join", "d attribute", 0, filter_join, 0},
        {"last", "", 0, filter_last, 0},
        {"length", "", 0, filter_length, 0},
        {"list", "", 0, filter_list, 0},
        {"lower", "", 0, filter_lower, 0},
        {"map", "*", 0, filter_map, 0},
        {"reject", "*", 0, filter_reject, 0},
        {"rejectattr", "*", 0, filter_rejectattr, 0},
        {"replace", "old new count", 2, filter_replace, 0},
        {"safe", "", 0, filter_safe, 0},
        {"select", "*", 0, filter_select, 0},
        {"selectattr", "*", 0, filter_selectattr, 0},
        {"string", "", 0, filter_string, 0},
        {"tojson", "ensure_ascii indent separators sort_keys", 0, filter_tojson, 0},
        {"trim", "chars", 0, filter_trim, 0},
        {"upper", "", 0, filter_upper, 0},
    };
    return routine_in(rows, ARRAY_LEN(rows), name);
}
