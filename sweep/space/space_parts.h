/* sweep/space/space_parts.h - the steps by which choices become a combination
 * (sweep/space/space.h), for the grid and for what samplers draw; for sweep/space*.c and
 * sweep/sampler*.c only. */
#ifndef SWEEP_SPACE_SPACE_PARTS_H
#define SWEEP_SPACE_SPACE_PARTS_H

#include "lib/hash.h"
#include "sweep/space/space.h"

/* A combination on its way: what was chosen, what it came to, what includes added. All
 * arrays have one place per parameter. */
struct space_row {
    struct sweep_choice *chosen; /* borrowed values; NULL: not chosen */
    json_t **original;           /* owned; NULL: absent */
    json_t *extra;               /* from includes; NULL: none */
};

/* Steps (b) and (c): drops what its `when` excludes, computes what is derived. `env` is
 * empty before. */
int space_settle(const struct sweep_file *f, const struct sweep_choice *chosen,
                 json_t **env, struct err *err);
bool space_excluded(const struct sweep_file *f, json_t *const *env);
json_t *space_object(const struct sweep_file *f, json_t *const *env, const json_t *extra);
/* True when the same canonical text was not there before; remembers it. */
bool space_is_new(struct strmap *seen, const json_t *combination);

/* How many combinations step (b) leaves at least, counted without building any; beyond
 * the limit it stops counting. */
double space_least_size(const struct sweep_file *f, double limit);

/* Step (e): whether the entry's values on every axis it names are those of the row, what
 * it then adds, and the new combination it makes otherwise. */
bool space_extends(const struct sweep_file *f, const struct sweep_entry *e,
                   const struct space_row *r);
void space_extend(const struct sweep_file *f, const struct sweep_entry *e,
                  struct space_row *r);
struct space_row space_new_row(const struct sweep_file *f, const struct sweep_entry *e);

/* All rows after step (d), in order; ranges are not among the axes. */
int space_list(const struct sweep_file *f, struct space_row **rows, size_t *count,
               struct err *err);
void space_list_free(const struct sweep_file *f, struct space_row *rows, size_t count);

#endif
