/* sweep/labels.c - short names of trials, made of what tells them apart. */
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "sweep/space/value.h"
#include "sweep/sweep.h"
#include <stdlib.h>
#include <string.h>

#define VALUE_SHOWN 40

static bool is_known(const struct sweep_labels *l, const char *key)
{
    for (size_t i = 0; i < l->count; i++)
        if (!strcmp(l->keys[i], key))
            return true;
    return false;
}

/* Computed from other parameters, and by no include set otherwise. */
static bool is_derived(const struct sweep_file *f, const char *key)
{
    int64_t i;
    if (!f || !strmap_get(f->names, key, strlen(key), &i) ||
        f->params[i].kind != PARAM_CONSTANT || !f->params[i].choices[0].expr)
        return false;
    for (size_t e = 0; e < f->include_count; e++)
        if (f->includes[e].by_param[i].value)
            return false;
    return true;
}

/* What `one` has and `other` has otherwise or not at all. */
static void add_differences(struct sweep_labels *l, const struct sweep_file *f,
                            size_t *cap, const json_t *one, const json_t *other)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)one, key, value)
    {
        const json_t *there = json_object_get(other, key);
        if ((there && json_equal(there, value)) || is_known(l, key) || is_derived(f, key))
            continue;
        l->keys = xgrow(l->keys, cap, l->count + 1, sizeof *l->keys);
        l->keys[l->count++] = key;
    }
}

void sweep_labels_init(struct sweep_labels *l, const struct sweep_file *f,
                       json_t *const *params, size_t count, bool seeds)
{
    size_t cap = 0;
    *l = (struct sweep_labels){.seeds = seeds};
    for (size_t i = 1; i < count; i++) {
        add_differences(l, f, &cap, params[i], params[0]);
        add_differences(l, f, &cap, params[0], params[i]);
    }
}

void sweep_labels_release(struct sweep_labels *l)
{
    free(l->keys);
    *l = (struct sweep_labels){0};
}

static void show_value(struct buf *out, const json_t *value)
{
    struct buf text = BUF_INIT;
    value_show(&text, value);
    char *clean = str_clean(buf_str(&text), text.len);
    int cut = VALUE_SHOWN - 2;
    while (strlen(clean) > VALUE_SHOWN && cut > 0 && (clean[cut] & 0xC0) == 0x80)
        cut--; /* not within a character */
    if (strlen(clean) > VALUE_SHOWN)
        buf_printf(out, "%.*s..", cut, clean);
    else
        buf_str_add(out, clean);
    free(clean);
    buf_release(&text);
}

void sweep_label(const struct sweep_labels *l, const json_t *params, uint64_t seed,
                 struct buf *out)
{
    const char *key;
    json_t *value;
    size_t start = out->len;
    json_object_foreach((json_t *)params, key, value)
    {
        if (!is_known(l, key) || (l->seeds && str_eq(key, "seed"))) /* said at the end */
            continue;
        if (out->len > start)
            buf_char(out, ' ');
        if (strcmp(key, "method"))
            buf_printf(out, "%s=", key);
        if (json_is_string(value) && secret_value(key, json_string_value(value)))
            buf_str_add(out, SECRET_SHOWN);
        else
            show_value(out, value);
    }
    if (l->seeds || out->len == start)
        buf_printf(out, "%sseed=%llu", out->len > start ? " " : "",
                   (unsigned long long)seed);
}
