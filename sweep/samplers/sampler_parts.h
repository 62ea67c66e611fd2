/* sweep/samplers/sampler_parts.h - what the rows in sweep/samplers/ share; for
 * sweep/sampler*.c and sweep/samplers/ only.
 *
 * A row fills one choice per drawn parameter; sampler_settle makes a configuration of
 * them (when, expr, exclude, include). The methods that do not adapt go through
 * sampler_sequence: draws 0, 1, 2, ... without those that are excluded or came before. */
#ifndef SWEEP_SAMPLERS_SAMPLER_PARTS_H
#define SWEEP_SAMPLERS_SAMPLER_PARTS_H

#include "lib/rng.h"
#include "sweep/samplers/sampler.h"
#include "sweep/samplers/sobol_points.h"
#include "sweep/space/distribution.h"
#include "sweep/space/space_parts.h"

#define SAMPLER_REDRAWS_MAX 1000
#define SAMPLER_LIST_MAX    100000.0 /* largest discrete space drawn from a list */

/* A parameter that is drawn: an axis or a range. */
struct sampler_axis {
    size_t param;
    struct distribution dist;
    struct philox_key key; /* of the seed and the name */
    struct sobol_axis sobol;
    uint32_t shift;
};

/* The choices of one draw; [param_count] each. */
struct draw {
    struct sweep_choice *chosen;
    json_t **owned; /* drawn values of ranges */
};

/* Fills d for this index; 0 when there is no such draw. */
typedef int sampler_draw(struct sampler *s, uint64_t index, struct draw *d);

struct sampler {
    const struct sampler_row *row;
    const struct sweep_file *f;
    uint64_t seed;
    struct sweep_space grid; /* grid only */

    struct sampler_axis *axes;
    size_t axis_count;
    struct space_row *list; /* discrete space: all rows, NULL: too many, or ranges */
    size_t list_rows, *list_order, list_count; /* in the order of the draws */

    sampler_draw *draw; /* of the sequence */
    uint64_t next_index;
    json_t **found; /* the sequence so far, the fixed ones first */
    size_t found_count, found_cap, fixed_count;
    struct strmap *seen;
};

/* Axes, the list, and the includes that come first. `draw`: of the sequence, where there
 * is no list or `prefer_list` is not wanted. */
int sampler_open_draws(struct sampler *s, sampler_draw *draw, bool prefer_list,
                       struct err *err);
void sampler_close_draws(struct sampler *s);

void draw_init(struct draw *d, const struct sweep_file *f);
void draw_clear(struct draw *d, const struct sweep_file *f);
void draw_release(struct draw *d, const struct sweep_file *f);
/* The value of an axis: by its index, or for ranges the number itself. */
void draw_choice(struct sampler *s, struct draw *d, const struct sampler_axis *a,
                 size_t choice);
void draw_number(struct sampler *s, struct draw *d, const struct sampler_axis *a,
                 double value);
void draw_quantile(struct sampler *s, struct draw *d, const struct sampler_axis *a,
                   double u); /* 0 < u < 1 */
sampler_draw draw_random, draw_listed;

/* 1 with a new reference, 0 when it is excluded, or a negative error. */
int sampler_settle(struct sampler *s, const struct draw *d, json_t **params,
                   struct err *err);
int sampler_sequence(struct sampler *s, uint64_t number, json_t **params,
                     struct err *err);

#endif
