/* runner/graph/state.c - see state.h. */
#include "runner/graph/state.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <assert.h>
#include <stdlib.h>

int states_add(struct states *s, const char *name, enum dtype dtype, int32_t rows,
               int32_t cols)
{
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(s->items[i].name, name)) {
            assert(s->items[i].rows == rows && s->items[i].cols == cols);
            return (int)i;
        }
    s->items = xgrow(s->items, &s->cap, s->count + 1, sizeof *s->items);
    s->items[s->count] = (struct state){xstrdup(name), dtype, rows, cols, s->bytes, NULL};
    s->bytes += mem_round_up((size_t)rows * (size_t)cols * dtype_bytes(dtype));
    return (int)s->count++;
}

void states_release(struct states *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->items[i].name);
    free(s->items);
    *s = (struct states){0};
}
