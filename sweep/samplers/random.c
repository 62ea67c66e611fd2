/* sweep/samplers/random.c - independent draws; a discrete space without replacement. */
#include "sweep/samplers/sampler_parts.h"

static int open_random(struct sampler *s, struct err *err)
{
    return sampler_open_draws(s, draw_random, true, err);
}

static int suggest(struct sampler *s, uint64_t number, const struct sampler_history *h,
                   json_t **params, struct err *err)
{
    (void)h;
    return sampler_sequence(s, number, params, err);
}

const struct sampler_row sampler_random = {.name = "random",
                                           .say = sampler_say_drawn,
                                           .help = "independent draws",
                                           .open = open_random,
                                           .suggest = suggest,
                                           .close = sampler_close_draws};
