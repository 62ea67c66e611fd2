/* sweep/labels.c - short names of trials, made of what tells them apart. */
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/sweep.h"
#include "sweep/value.h"
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

/* A key tells trials apart when some trial has it with another value than the first
 * trial, or only one of the two has it. */
void sweep_labels_init(struct sweep_labels *l, const struct sweep_plan *p)
{
    const char *key;
    json_t *value;
    size_t cap = 0;
    *l = (struct sweep_labels){.seeds = p->file->seed_count > 1};
    const json_t *first = p->count ? p->trials[0].params : NULL;
    for (size_t i = 0; i < p->count; i++) {
        const json_t *params = p->trials[i].params;
        if (i && params == p->trials[i - 1].params)
            continue;
        /* Both ways: what this trial has otherwise, and what only the first has. */
        for (int pass = 0; pass < 2; pass++) {
            const json_t *one = pass ? first : params, *other = pass ? params : first;
            json_object_foreach((json_t *)one, key, value)
            {
                const json_t *there = json_object_get(other, key);
                if ((there && json_equal(there, value)) || is_known(l, key))
                    continue;
                l->keys = xgrow(l->keys, &cap, l->count + 1, sizeof *l->keys);
                l->keys[l->count++] = key;
            }
        }
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

void sweep_label(const struct sweep_labels *l, const struct sweep_trial *t,
                 struct buf *out)
{
    const char *key;
    json_t *value;
    size_t start = out->len;
    json_object_foreach(t->params, key, value)
    {
        if (!is_known(l, key))
            continue;
        if (out->len > start)
            buf_char(out, ' ');
        if (strcmp(key, "method"))
            buf_printf(out, "%s=", key);
        show_value(out, value);
    }
    if (l->seeds || out->len == start)
        buf_printf(out, "%sseed=%llu", out->len > start ? " " : "",
                   (unsigned long long)t->seed);
}
