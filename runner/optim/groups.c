/* runner/optim/groups.c - see groups.h. */
#include "runner/optim/groups.h"
#include "lib/mem.h"
#include <stdlib.h>
#include <string.h>

#define ALIGN 16 /* floats of 64 bytes */

static int by_group(const void *a, const void *b)
{
    const struct param *x = *(struct param *const *)a, *y = *(struct param *const *)b;
    if (x->no_decay != y->no_decay)
        return x->no_decay - y->no_decay;
    if (x->lr_ratio != y->lr_ratio)
        return x->lr_ratio < y->lr_ratio ? -1 : 1;
    if (x->rounded != y->rounded)
        return x->rounded - y->rounded;
    return strcmp(x->name, y->name);
}

static bool is_of(const struct param_group *g, const struct param *p)
{
    return g->decay != p->no_decay && g->lr_ratio == p->lr_ratio &&
           g->rounded == p->rounded;
}

/* *n of them, sorted; the caller's. */
static struct param **trainable(const struct params *all, size_t *n)
{
    struct param **list = xcalloc(all->count + 1, sizeof *list);
    *n = 0;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i]->trainable)
            list[(*n)++] = all->items[i];
    qsort(list, *n, sizeof *list, by_group);
    return list;
}

struct list {
    struct param_group *items;
    size_t count, cap;
};

static struct param_group *open_group(struct list *l, const struct param *p, size_t at)
{
    l->items = xgrow(l->items, &l->cap, l->count + 1, sizeof *l->items);
    struct param_group *g = &l->items[l->count++];
    *g = (struct param_group){.offset = at,
                              .decay = !p->no_decay,
                              .rounded = p->rounded,
                              .table = p->table,
                              .lr_ratio = p->lr_ratio};
    return g;
}

/* `padded` floats from `at` on, of which the first `elements` are the parameter's. */
static void add_param(struct list *l, const struct param *p, bool alone, size_t at,
                      size_t padded, size_t elements)
{
    struct param_group *g = l->count ? &l->items[l->count - 1] : NULL;
    if (!g || alone || !is_of(g, p))
        g = open_group(l, p, at);
    while (padded) {
        if (g->count == VECTOR_MAX)
            g = open_group(l, p, at);
        const size_t room = VECTOR_MAX - g->count, take = padded < room ? padded : room,
                     own = elements < take ? elements : take;
        g->count += take;
        g->elements += own;
        at += take;
        padded -= take;
        elements -= own;
    }
}

struct param_group *groups_plan(const struct optimizer *o, const struct params *params,
                                size_t *count, size_t *floats)
{
    size_t n, at = 0;
    struct param **list = trainable(params, &n);
    struct list groups = {0};
    for (size_t i = 0; i < n; i++) {
        const size_t elements = (size_t)param_size(list[i]),
                     padded = (elements + ALIGN - 1) / ALIGN * ALIGN;
        list[i]->offset = at * sizeof(float);
        list[i]->bytes = padded * sizeof(float);
        add_param(&groups, list[i], o->per_tensor, at, padded, elements);
        at += padded;
    }
    free(list);
    *floats = at;
    *count = groups.count;
    return groups.items;
}
