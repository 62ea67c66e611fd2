/* runner/data/assumed.c - see assumed.h. */
#include "runner/data/assumed.h"
#include "lib/mem.h"
#include "lib/str.h"

struct dataset *dataset_assumed(const char *path, int64_t count, int32_t length)
{
    struct dataset *d = xcalloc(1, sizeof *d);
    d->path = xstrdup(path);
    d->count = (size_t)count;
    d->longest = length;
    d->total_tokens = (size_t)count * (size_t)length;
    return d;
}

void labels_assume(struct labels *l, size_t count)
{
    l->names = xcalloc(count, sizeof *l->names);
    l->count = count;
    for (size_t i = 0; i < count; i++)
        l->names[i] = xasprintf("%zu", i);
}
