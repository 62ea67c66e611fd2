/* sweep/samplers/grid.c - every combination, in the order of sweep/space/space.h. */
#include "sweep/samplers/sampler_parts.h"

static int open_grid(struct sampler *s, struct err *err)
{
    return sweep_space_expand(s->f, &s->grid, err);
}

static int suggest(struct sampler *s, uint64_t number, const struct sampler_history *h,
                   json_t **params, struct err *err)
{
    (void)h;
    (void)err;
    if (number >= s->grid.count)
        return 0;
    *params = json_incref(s->grid.combinations[number]);
    return 1;
}

static void close_grid(struct sampler *s)
{
    sweep_space_release(&s->grid);
}

const struct sampler_row sampler_grid = {.name = "grid",
                                         .help = "all combinations",
                                         .enumerates = true,
                                         .open = open_grid,
                                         .suggest = suggest,
                                         .close = close_grid};
