/* tracker/foreign/wandb_items.c - items of W&B's records: names and values. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/foreign/wandb_parts.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ITEM_KEY = 1, ITEM_NESTED = 2, ITEM_JSON = 16, ROW_STEP = 2 };

void wandb_row_clear(struct wandb_row *row)
{
    for (size_t i = 0; i < row->count; i++)
        free(row->items[i].key);
    row->count = 0;
    row->step = -1;
}

static bool is_text(const struct wandb_item *item, const char *text)
{
    return item->length == strlen(text) && !memcmp(item->json, text, item->length);
}

/* Numbers, Python's words for those that are none, true and false. */
static void read_number(struct wandb_item *item)
{
    static const struct {
        const char *text;
        double value;
    } words[] = {{"true", 1},
                 {"false", 0},
                 {"NaN", NAN},
                 {"Infinity", INFINITY},
                 {"-Infinity", -INFINITY},
                 {"\"NaN\"", NAN},
                 {"\"Infinity\"", INFINITY},
                 {"\"-Infinity\"", -INFINITY}};
    char digits[64], *end = digits;
    for (size_t i = 0; i < ARRAY_LEN(words) && !item->number; i++)
        if (is_text(item, words[i].text)) {
            item->number = true;
            item->value = words[i].value;
        }
    if (item->number || item->length == 0 || item->length >= sizeof digits ||
        !(isdigit((unsigned char)item->json[0]) || item->json[0] == '-'))
        return;
    memcpy(digits, item->json, item->length);
    digits[item->length] = '\0';
    item->value = strtod(digits, &end);
    item->number = *end == '\0' && end > digits;
}

static void add_part(struct buf *key, size_t *parent, const struct pb_field *f)
{
    if (key->len > 0) {
        *parent = key->len;
        buf_char(key, '.');
    }
    buf_add(key, f->data, f->length);
}

static struct wandb_item *new_item(struct wandb_row *row, char *key)
{
    row->items = xgrow(row->items, &row->cap, row->count + 1, sizeof *row->items);
    row->items[row->count] = (struct wandb_item){.key = key};
    return &row->items[row->count++];
}

/* Older versions write {"nested": {"a": 1}} as one value. */
static void add_members(struct wandb_row *row, const char *prefix, const json_t *object)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)object, key, v)
    {
        char *name = xasprintf("%s.%s", prefix, key);
        if (json_is_object(v)) {
            add_members(row, name, v);
            free(name);
            continue;
        }
        struct wandb_item *item = new_item(row, name);
        item->parent = strlen(prefix);
        item->value = json_is_true(v);
        item->number = json_is_boolean(v) || json_as_number(v, &item->value);
    }
}

static void read_item(struct wandb_row *row, struct pb message)
{
    struct pb_field f;
    struct buf key;
    struct wandb_item item = {0};
    size_t flat = 0;
    buf_init(&key, 1 << 20);
    while (pb_next(&message, &f)) {
        if (f.type != PB_BYTES)
            continue;
        if (f.number == ITEM_NESTED || (f.number == ITEM_KEY && f.length > 0))
            add_part(&key, &item.parent, &f);
        if (f.number == ITEM_JSON) {
            item.json = (const char *)f.data;
            item.length = f.length;
        }
    }
    flat = strlen(buf_str(&key));
    item.key = buf_detach(&key, NULL);
    if (!item.key)
        item.key = xstrdup("");
    if (item.parent > flat)
        item.parent = 0;
    read_number(&item);
    item.dropped = flat == 0;
    *new_item(row, NULL) = item;
}

void wandb_row_expand(struct wandb_row *row)
{
    const size_t count = row->count; /* those that are made need no look */
    for (size_t i = 0; i < count; i++) {
        const struct wandb_item item = row->items[i];
        json_t *object = item.length > 0 && item.json[0] == '{'
                             ? foreign_json(item.json, item.length)
                             : NULL;
        if (object && json_object_size(object) > 0) {
            add_members(row, item.key, object);
            row->items[i].dropped = true;
        }
        json_decref(object);
    }
}

void wandb_row_read(struct wandb_row *row, struct pb message, uint32_t field)
{
    struct pb_field f, inner;
    wandb_row_clear(row);
    while (pb_next(&message, &f)) {
        if (f.number == field && f.type == PB_BYTES)
            read_item(row, pb_within(&f));
        else if (field == 1 && f.number == ROW_STEP && f.type == PB_BYTES)
            for (struct pb step = pb_within(&f); pb_next(&step, &inner);)
                row->step = inner.number == 1 ? pb_int(&inner) : row->step;
    }
    for (size_t i = 0; i < row->count; i++) {
        struct wandb_item *item = &row->items[i];
        if (str_eq(item->key, "_step") && item->number && item->value >= 0 &&
            item->value < 9e15)
            row->step = (int64_t)item->value;
    }
}

void wandb_row_drop_media(struct wandb_row *row, struct foreign *f)
{
    for (size_t i = 0; i < row->count; i++) {
        const size_t n = row->items[i].parent;
        if (n == 0 || !str_eq(row->items[i].key + n, "._type") || row->items[i].dropped)
            continue;
        for (size_t k = 0; k < row->count; k++)
            row->items[k].dropped |=
                !strncmp(row->items[k].key, row->items[i].key, n + 1);
        if (f)
            foreign_left_out(f, "media", 1);
    }
}
