/* sweep/samplers/sobol.c - one dimension per drawn parameter, in order of declaration.
 * Without a shift point 0 is the lower end of every range; a distribution that has none
 * is asked for the middle of the first cell instead. */
#include "sweep/samplers/sampler_parts.h"

static int draw_sobol(struct sampler *s, uint64_t index, struct draw *d)
{
    for (size_t i = 0; i < s->axis_count; i++) {
        const struct sampler_axis *a = &s->axes[i];
        uint32_t bits = sobol_bits(&a->sobol, index) ^ a->shift;
        bool endless = a->dist.family == DIST_NORMAL || a->dist.family == DIST_BETA;
        draw_quantile(s, d, a, endless && !bits ? 0x1p-33 : bits * 0x1p-32);
    }
    return index >> 32 == 0;
}

static int open_sobol(struct sampler *s, struct err *err)
{
    return sampler_open_draws(s, draw_sobol, false, err);
}

static int suggest(struct sampler *s, uint64_t number, const struct sampler_history *h,
                   json_t **params, struct err *err)
{
    (void)h;
    return sampler_sequence(s, number, params, err);
}

const struct sampler_row sampler_sobol = {.name = "sobol",
                                          .say = sampler_say_drawn,
                                          .help = "a low-discrepancy sequence",
                                          .open = open_sobol,
                                          .suggest = suggest,
                                          .close = sampler_close_draws};
