/* tracker/live/table_answer.c - a table as the text of its answer; see live.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/live/table_parts.h"
#include <string.h>

static json_t *columns_json(const struct table *t)
{
    static const char *const ways[] = {
        [DIRECTION_LOWER] = "low", [DIRECTION_HIGHER] = "high"};
    json_t *list = json_array();
    for (size_t i = 0; i < t->column_count; i++) {
        const struct table_column *c = &t->columns[i];
        if (c->present)
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b, s:s?, s:b}",
                                                  "name", c->name, "key", c->key, "kind",
                                                  table_kind_names[c->kind], "varies",
                                                  table_varies(t, c), "better",
                                                  ways[c->better], "main", c->main));
    }
    return list;
}

/* Parameters, and the method where it is none. The seed is the trial's, also where a sweep
 * has it among its parameters. */
static bool tells_apart(const struct table_column *c)
{
    return (c->kind == COLUMN_KIND_PARAM && !str_eq(c->key, "seed")) ||
           (c->kind == COLUMN_KIND_FIELD && str_eq(c->key, "method"));
}

static bool seeds_vary(const struct table *t)
{
    for (size_t i = 1; i < t->count; i++)
        if (t->rows[i].seed != t->rows[0].seed)
            return true;
    return false;
}

static void put_varying(const struct table *t, json_t *out)
{
    json_t *varying = json_array(), *constant = json_object();
    for (size_t i = 0; i < t->column_count; i++) {
        const struct table_column *c = &t->columns[i];
        if (!tells_apart(c) || !c->present)
            continue;
        if (table_varies(t, c))
            json_array_append_new(varying, json_string(c->name));
        else
            json_object_set(constant, c->name, c->first);
    }
    if (seeds_vary(t))
        json_array_append_new(varying, json_string("seed"));
    json_object_set_new(out, "varying", varying);
    json_object_set_new(out, "constant", constant);
}

/* "lora rank=8": what tells a trial apart, unless it was given a name. */
json_t *table_name(const struct table *t, const struct table_row *row)
{
    const char *given = json_get_str(row->tags, "mlflow.runName", NULL);
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < t->column_count && !given; i++) {
        const struct table_column *c = &t->columns[i];
        const json_t *v = json_object_get(row->values, c->name);
        if (!tells_apart(c) || !table_varies(t, c) || !v)
            continue;
        buf_str_add(&text, text.len ? " " : "");
        if (!str_eq(c->key, "method"))
            buf_printf(&text, "%s=", c->name);
        if (json_is_string(v))
            buf_str_add(&text, json_string_value(v));
        else
            json_write(&text, v, 0);
    }
    json_t *name = given      ? json_string(given)
                   : text.len ? json_string(buf_str(&text))
                              : json_null();
    buf_release(&text);
    return name;
}

static void put_name(struct buf *out, const char *text)
{
    json_put_string(out, text, strlen(text));
}

/* The fields and parameters are small objects; numbers of metrics, which are most of an
 * answer, go from their columns into the text. */
static void put_values(const struct table *t, const struct table_row *row,
                       struct buf *out)
{
    const size_t at = (size_t)(row - t->rows);
    bool any = json_object_size(row->values) > 0;
    json_write(out, row->values, 0);
    out->data[--out->len] = '\0'; /* its last brace */
    for (size_t i = 0; i < t->column_count; i++) {
        const struct table_column *c = &t->columns[i];
        if (!c->has || !c->has[at])
            continue;
        buf_str_add(out, any ? ", " : "");
        put_name(out, c->name);
        buf_str_add(out, ": ");
        json_put_double(out, table_rounded(c->numbers[at]));
        any = true;
    }
    buf_char(out, '}');
}

static void put_row(const struct table *t, const struct table_row *row, struct buf *out)
{
    json_t *name = table_name(t, row);
    buf_printf(out, "{\"id\": %lld, \"name\": ", (long long)row->id);
    json_write(out, name, 0);
    buf_printf(out, ", \"state\": \"%s\", \"seed\": %llu, \"group\": ",
               trial_state_name(row->state), (unsigned long long)row->seed);
    put_name(out, row->key);
    buf_str_add(out, ", \"sweep\": ");
    if (row->sweep)
        buf_printf(out, "%lld", (long long)row->sweep);
    else
        buf_str_add(out, "null");
    if (row->tags) {
        buf_str_add(out, ", \"tags\": ");
        json_write(out, row->tags, 0);
    }
    if (row->note) {
        buf_str_add(out, ", \"note\": ");
        put_name(out, row->note);
    }
    buf_str_add(out, ", \"values\": ");
    put_values(t, row, out);
    buf_char(out, '}');
    json_decref(name);
}

void table_answer(const struct table *t, const size_t *order, size_t count,
                  struct buf *out)
{
    const size_t first =
                     (size_t)t->query->offset < count ? (size_t)t->query->offset : count,
                 left = count - first,
                 n = (size_t)t->query->limit < left ? (size_t)t->query->limit : left;
    json_t *head = json_pack("{s:I}", "total", (json_int_t)count);
    put_varying(t, head);
    json_object_set(head, "objectives", t->objectives);
    json_object_set_new(head, "columns", columns_json(t));
    json_write(out, head, 0);
    out->data[--out->len] = '\0';
    buf_str_add(out, ", \"groups\": ");
    table_groups(t, order, count, out);
    buf_str_add(out, ", \"rows\": [");
    for (size_t i = 0; i < n; i++) {
        buf_str_add(out, i ? ", " : "");
        put_row(t, &t->rows[order[first + i]], out);
    }
    buf_str_add(out, "]}");
    json_decref(head);
}
