/* runner/data/bins.c - see bins.h. */
#include "runner/data/bins.h"
#include "lib/mem.h"
#include <stdbool.h>
#include <stdlib.h>

#define NONE UINT32_MAX

/* Bins by the room that they have: a queue for each room, and a tree over the rooms that
 * have one, to find the least that is enough. Node 1 is the root, 2 i and 2 i + 1 are
 * below i, the leaves are the rooms. */
struct rooms {
    bool *any;
    size_t leaves;
    uint32_t *first, *last; /* of the queue of a room; NONE */
    uint32_t *next;         /* of a bin: the one behind it */
};

static void rooms_init(struct rooms *r, size_t capacity, size_t bins)
{
    *r = (struct rooms){.leaves = 1};
    while (r->leaves <= capacity)
        r->leaves *= 2;
    r->any = xcalloc(2 * r->leaves, sizeof *r->any);
    r->first = xmalloc((capacity + 1) * sizeof *r->first);
    r->last = xmalloc((capacity + 1) * sizeof *r->last);
    r->next = xmalloc((bins + 1) * sizeof *r->next);
    for (size_t i = 0; i <= capacity; i++)
        r->first[i] = r->last[i] = NONE;
}

static void rooms_release(struct rooms *r)
{
    free(r->any);
    free(r->first);
    free(r->last);
    free(r->next);
}

static void rooms_mark(struct rooms *r, size_t room, bool any)
{
    size_t i = r->leaves + room;
    r->any[i] = any;
    while (i /= 2)
        r->any[i] = r->any[2 * i] || r->any[2 * i + 1];
}

static void rooms_put(struct rooms *r, size_t room, uint32_t bin)
{
    r->next[bin] = NONE;
    if (r->first[room] == NONE)
        r->first[room] = bin;
    else
        r->next[r->last[room]] = bin;
    r->last[room] = bin;
    rooms_mark(r, room, true);
}

/* The least room from `need` on that a bin has; 0: none. */
static size_t rooms_find(const struct rooms *r, size_t need)
{
    size_t i = r->leaves + need;
    if (r->any[i])
        return need;
    while (i > 1 && (i % 2 || !r->any[i + 1])) /* up, until there is one to the right */
        i /= 2;
    if (i == 1)
        return 0;
    for (i++; i < r->leaves;)
        i = r->any[2 * i] ? 2 * i : 2 * i + 1;
    return i - r->leaves;
}

static uint32_t rooms_take(struct rooms *r, size_t room)
{
    const uint32_t bin = r->first[room];
    r->first[room] = r->next[bin];
    if (r->first[room] == NONE)
        rooms_mark(r, room, false);
    return bin;
}

struct item {
    uint32_t row;
    int32_t length;
};

static int longest_first(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

/* The bin of every item, which are sorted; returns how many bins there are. */
static size_t fill(const struct item *items, size_t n, int32_t capacity, uint32_t *bin_of)
{
    struct rooms rooms;
    size_t count = 0;
    rooms_init(&rooms, (size_t)capacity, n);
    for (size_t i = 0; i < n; i++) {
        const size_t need = (size_t)items[i].length;
        size_t room = rooms_find(&rooms, need);
        bin_of[i] = room ? rooms_take(&rooms, room) : (uint32_t)count++;
        room = (room ? room : (size_t)capacity) - need;
        if (room)
            rooms_put(&rooms, room, bin_of[i]);
    }
    rooms_release(&rooms);
    return count;
}

void bins_pack(struct bins *b, const int32_t *lengths, size_t rows, int32_t capacity)
{
    struct item *items = xcalloc(rows + 1, sizeof *items);
    uint32_t *bin_of = xcalloc(rows + 1, sizeof *bin_of);
    size_t n = 0;
    for (size_t i = 0; i < rows; i++)
        if (lengths[i] > 0)
            items[n++] =
                (struct item){(uint32_t)i, lengths[i] < capacity ? lengths[i] : capacity};
    qsort(items, n, sizeof *items, longest_first);
    b->count = fill(items, n, capacity, bin_of);
    b->rows = xcalloc(n + 1, sizeof *b->rows);
    b->ends = xcalloc(b->count + 1, sizeof *b->ends);
    for (size_t i = 0; i < n; i++) /* sizes, then where each begins */
        b->ends[bin_of[i]]++;
    for (size_t k = 0, at = 0; k < b->count; k++) {
        const uint32_t size = b->ends[k];
        b->ends[k] = (uint32_t)at;
        at += size;
    }
    for (size_t i = 0; i < n; i++)
        b->rows[b->ends[bin_of[i]]++] = items[i].row;
    free(items);
    free(bin_of);
}

void bins_release(struct bins *b)
{
    free(b->rows);
    free(b->ends);
    *b = (struct bins){NULL, NULL, 0};
}
