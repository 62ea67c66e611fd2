/* runner/graph/state.c - see state.h. */
#include "runner/graph/state.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <assert.h>
#include <stdlib.h>

struct state *states_find(const struct states *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(s->items[i].name, name))
            return &s->items[i];
    return NULL;
}

size_t states_bytes(const struct state *s)
{
    return mem_round_up((size_t)s->rows * (size_t)s->cols * dtype_bytes(s->dtype));
}

int states_add(struct states *s, const char *name, enum dtype dtype, int32_t rows,
               int32_t cols)
{
    const struct state *there = states_find(s, name);
    if (there) {
        assert(there->rows == rows && there->cols == cols);
        return (int)(there - s->items);
    }
    s->items = xgrow(s->items, &s->cap, s->count + 1, sizeof *s->items);
    s->items[s->count] =
        (struct state){xstrdup(name), dtype, rows, cols, s->bytes, false};
    s->bytes += states_bytes(&s->items[s->count]);
    return (int)s->count++;
}

void states_release(struct states *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->items[i].name);
    free(s->items);
    *s = (struct states){0};
}
