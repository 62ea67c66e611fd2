/* cli/serve/bench/bench_cases.c - the settings of a bench file: points x popularities x slots. */
#include "cli/serve/bench/bench_file.h"
#include "lib/mem.h"
#include <stdlib.h>

static bool is_same(const struct bench_case *a, const struct bench_case *b)
{
    return a->kind == b->kind && a->adapters == b->adapters &&
           a->popularity == b->popularity && a->slots == b->slots;
}

int bench_file_cases(const struct bench_file *b, size_t adapters, struct bench_case **out,
                     size_t *count, struct err *err)
{
    const size_t each = b->popularity_count * b->slot_count;
    struct bench_case *list = xcalloc(b->point_count * each, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < b->point_count * each; i++) {
        struct bench_case c = b->points[i / each];
        c.adapters = c.adapters ? c.adapters : adapters;
        c.popularity =
            &b->popularities[c.adapters > 1 ? i / b->slot_count % b->popularity_count
                                            : 0];
        c.slots = b->slots[i % b->slot_count];
        c.slots = c.slots < c.adapters ? c.slots : 0;
        if (c.adapters > adapters) {
            free(list);
            return err_set(err, ERR_CONFIG, "points: %zu adapters, there are %zu",
                           c.adapters, adapters);
        }
        size_t k = 0;
        while (k < n && !is_same(&list[k], &c))
            k++;
        if (k == n)
            list[n++] = c;
    }
    *out = list;
    *count = n;
    return 0;
}
