/* sweep/samplers/sampler_draw.c - single draws: from the distributions, or from the list
 * of a discrete space. */
#include "lib/json.h"
#include "lib/mem.h"
#include "sweep/samplers/sampler_parts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void draw_init(struct draw *d, const struct sweep_file *f)
{
    d->chosen = xcalloc(f->param_count, sizeof *d->chosen);
    d->owned = xcalloc(f->param_count, sizeof *d->owned);
    draw_clear(d, f);
}

/* Constants alone. */
void draw_clear(struct draw *d, const struct sweep_file *f)
{
    for (size_t i = 0; i < f->param_count; i++) {
        json_decref(d->owned[i]);
        d->owned[i] = NULL;
        d->chosen[i] = f->params[i].kind == PARAM_CONSTANT
                           ? f->params[i].choices[0]
                           : (struct sweep_choice){NULL, NULL};
    }
}

void draw_release(struct draw *d, const struct sweep_file *f)
{
    for (size_t i = 0; i < f->param_count; i++)
        json_decref(d->owned[i]);
    free(d->owned);
    free(d->chosen);
}

void draw_choice(struct sampler *s, struct draw *d, const struct sampler_axis *a,
                 size_t choice)
{
    d->chosen[a->param] = s->f->params[a->param].choices[choice];
}

void draw_number(struct sampler *s, struct draw *d, const struct sampler_axis *a,
                 double value)
{
    (void)s;
    d->owned[a->param] = distribution_value(&a->dist, value);
    d->chosen[a->param] = (struct sweep_choice){d->owned[a->param], NULL};
}

void draw_quantile(struct sampler *s, struct draw *d, const struct sampler_axis *a,
                   double u)
{
    if (a->dist.family == DIST_CHOICE)
        draw_choice(s, d, a, distribution_choice(&a->dist, u));
    else
        draw_number(s, d, a, distribution_quantile(&a->dist, u));
}

int draw_random(struct sampler *s, uint64_t index, struct draw *d)
{
    for (size_t i = 0; i < s->axis_count; i++)
        draw_quantile(s, d, &s->axes[i],
                      fmax(rng_uniform(&s->axes[i].key, index, 0), 0x1p-54));
    return 1;
}

int draw_listed(struct sampler *s, uint64_t index, struct draw *d)
{
    if (index >= s->list_count)
        return 0;
    const struct space_row *row = &s->list[s->list_order[index]];
    memcpy(d->chosen, row->chosen, s->f->param_count * sizeof *d->chosen);
    return 1;
}
