/* tracker/live/table_order.c - which trials of a table are asked for, and in which order.
 *
 * A filter is words that all must hold: a text that is somewhere in the row (any case), or
 * COLUMN and a comparison (= != < <= > >=) and a value: numbers as numbers, texts whole.
 * A row without the column does not match. Sorting puts what is missing or NaN last in
 * both directions. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/live/table_parts.h"
#include "tracker/view/view.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_WORDS = 32 };

static json_t *name_of(const struct table *t, const struct table_row *row)
{
    json_t *name = table_name(t, row);
    if (!json_is_null(name))
        return name;
    json_decref(name);
    return NULL;
}

/* A column's value of a row; the caller's, NULL: none. */
static json_t *value_of(const struct table *t, const struct table_row *row,
                        const char *column)
{
    int64_t at;
    if (str_eq(column, "name"))
        return name_of(t, row);
    if (str_eq(column, "id"))
        return json_integer(row->id);
    if (str_eq(column, "state"))
        return json_string(trial_state_name(row->state));
    if (str_eq(column, "seed"))
        return json_integer((json_int_t)row->seed);
    const struct table_column *c =
        strmap_get(t->by_name, column, strlen(column), &at) ? &t->columns[at] : NULL;
    if (c && c->has && c->has[row - t->rows])
        return json_number_or_word(c->numbers[row - t->rows]);
    json_t *v = json_object_get(row->values, column);
    return json_incref(v ? v : json_object_get(row->tags, column));
}

/* ---- the filter ---- */

enum sign { SIGN_NONE, SIGN_EQ, SIGN_NE, SIGN_LE, SIGN_GE, SIGN_LT, SIGN_GT };

struct word {
    enum sign sign;
    char *column, *text; /* text: small letters where there is no sign */
    bool is_number;
    double number;
};

/* "rank>=8": at its first sign. */
static struct word read_word(const char *text, size_t n)
{
    static const struct {
        const char *text;
        enum sign sign;
    } signs[] = {{"!=", SIGN_NE}, {"<=", SIGN_LE}, {">=", SIGN_GE},
                 {"=", SIGN_EQ},  {"<", SIGN_LT},  {">", SIGN_GT}};
    struct word w = {.text = xstrndup(text, n)};
    const size_t at = strcspn(w.text, "=<>!");
    const bool compares = at && w.text[at];
    for (size_t i = 0; compares && !w.sign && i < ARRAY_LEN(signs); i++) {
        const size_t length = strlen(signs[i].text);
        if (strncmp(w.text + at, signs[i].text, length))
            continue;
        char *value = xstrdup(w.text + at + length);
        w.sign = signs[i].sign;
        w.column = xstrndup(w.text, at);
        free(w.text);
        w.text = value;
        w.is_number = str_number(value, &w.number);
    }
    for (char *c = w.text; !w.sign && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return w;
}

static bool compare_number(enum sign sign, double a, double b)
{
    switch (sign) {
    case SIGN_EQ:
        return a == b;
    case SIGN_NE:
        return a != b;
    case SIGN_LE:
        return a <= b;
    case SIGN_GE:
        return a >= b;
    case SIGN_LT:
        return a < b;
    default:
        return a > b;
    }
}

static bool holds_for(const struct word *w, const json_t *v)
{
    double x;
    if (!v)
        return false;
    if (w->is_number && json_as_number(v, &x))
        return compare_number(w->sign, x, w->number);
    if (w->sign != SIGN_EQ && w->sign != SIGN_NE)
        return false;
    struct buf other = BUF_INIT;
    if (!json_is_string(v))
        json_write(&other, v, 0);
    const char *text = json_is_string(v) ? json_string_value(v) : buf_str(&other);
    const bool same = strcasecmp(text, w->text) == 0;
    buf_release(&other);
    return same == (w->sign == SIGN_EQ);
}

/* All texts of a row in small letters, made once. */
static const char *text_of(const struct table *t, struct table_row *row)
{
    const char *key;
    json_t *v;
    if (row->text)
        return row->text;
    struct buf out = BUF_INIT;
    json_t *name = name_of(t, row);
    buf_printf(&out, "%lld %s %s %s", (long long)row->id,
               name ? json_string_value(name) : "", trial_state_name(row->state),
               row->note ? row->note : "");
    json_decref(name);
    json_object_foreach(row->values, key, v) if (json_is_string(v))
        buf_printf(&out, " %s", json_string_value(v));
    json_object_foreach(row->tags, key, v)
        buf_printf(&out, " %s %s", key, json_string_value(v));
    row->text = buf_detach(&out, NULL);
    for (char *c = row->text; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return row->text;
}

static bool holds(const struct word *w, const struct table *t, struct table_row *row)
{
    if (!w->sign)
        return strstr(text_of(t, row), w->text) != NULL;
    json_t *v = value_of(t, row, w->column);
    const bool yes = holds_for(w, v);
    json_decref(v);
    return yes;
}

static size_t read_words(const char *text, struct word *words)
{
    size_t n = 0;
    while (text && n < MOST_WORDS) {
        text += strspn(text, " \t");
        const size_t length = strcspn(text, " \t");
        if (!length)
            break;
        words[n++] = read_word(text, length);
        text += length;
    }
    return n;
}

/* By row, the caller's; NULL: all are asked for. */
static bool *asked_rows(const struct table *t)
{
    const json_t *ids = t->query->ids;
    if (!ids)
        return NULL;
    bool *asked = xcalloc(t->count + 1, sizeof *asked);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const struct table_row *row =
            table_row_of(t, json_integer_value(json_array_get(ids, i)));
        if (row)
            asked[row - t->rows] = true;
    }
    return asked;
}

/* ---- the order ---- */

struct sorted {
    size_t row;
    json_t *value;
    double number; /* NaN: none */
    bool is_number;
};

static int rank_of(const struct sorted *s)
{
    return s->is_number ? 0 : s->value ? 1 : 2;
}

static int by_value(const void *a, const void *b, void *direction)
{
    const struct sorted *x = a, *y = b;
    int order = rank_of(x) - rank_of(y); /* what is missing stays last */
    if (!order && x->is_number)
        order = (x->number > y->number) - (x->number < y->number);
    else if (!order && x->value)
        order = strcmp(json_string_value(x->value) ? json_string_value(x->value) : "",
                       json_string_value(y->value) ? json_string_value(y->value) : "");
    else if (order)
        return order;
    order *= *(const int *)direction;
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static void sort_rows(const struct table *t, const char *column, int direction,
                      size_t *order, size_t count)
{
    struct sorted *all = xcalloc(count + 1, sizeof *all);
    for (size_t i = 0; i < count; i++) {
        struct sorted *s = &all[i];
        *s = (struct sorted){.row = order[i],
                             .value = value_of(t, &t->rows[order[i]], column)};
        s->is_number = s->value && json_as_number(s->value, &s->number);
        if (s->is_number && isnan(s->number)) {
            json_decref(s->value);
            *s = (struct sorted){.row = order[i]};
        }
    }
    qsort_r(all, count, sizeof *all, by_value, &direction);
    for (size_t i = 0; i < count; i++) {
        order[i] = all[i].row;
        json_decref(all[i].value);
    }
    free(all);
}

/* Best first where a metric's direction is known, else rising. */
static int sort_by_query(const struct table *t, size_t *order, size_t count,
                         struct err *err)
{
    int given;
    int64_t column;
    char *key = view_sort_key(t->query->sort, &given);
    const bool known = strmap_get(t->by_name, key, strlen(key), &column),
               own = str_in_list(key, "id|name|state|seed", '|');
    int rc = 0;
    if (known || own)
        sort_rows(t, key,
                  given                                                    ? given
                  : known && t->columns[column].better == DIRECTION_HIGHER ? -1
                                                                           : 1,
                  order, count);
    else
        rc = err_set(err, ERR_USAGE, "sort: there is no column '%s'", key);
    free(key);
    return rc;
}

size_t *table_choose(struct table *t, size_t *count, struct err *err)
{
    struct word words[MOST_WORDS];
    const size_t n = read_words(t->query->words, words);
    size_t *order = xcalloc(t->count + 1, sizeof *order);
    bool *asked = asked_rows(t);
    *count = 0;
    for (size_t i = 0; i < t->count; i++) {
        bool yes = !asked || asked[i];
        for (size_t w = 0; w < n && yes; w++)
            yes = holds(&words[w], t, &t->rows[i]);
        if (yes)
            order[(*count)++] = i;
    }
    free(asked);
    for (size_t w = 0; w < n; w++) {
        free(words[w].column);
        free(words[w].text);
    }
    if (!t->query->sort || sort_by_query(t, order, *count, err) == 0)
        return order;
    free(order);
    return NULL;
}
