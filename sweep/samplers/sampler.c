/* sweep/samplers/sampler.c - the table of methods. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "sweep/samplers/sampler_parts.h"
#include <stdlib.h>

#define SAMPLER(name) extern const struct sampler_row sampler_##name;
#include "sweep/samplers/samplers.def"
#undef SAMPLER

static const struct sampler_row *const rows[] = {
#define SAMPLER(name) &sampler_##name,
#include "sweep/samplers/samplers.def"
#undef SAMPLER
};

size_t sampler_rows(const struct sampler_row *const **out)
{
    *out = rows;
    return ARRAY_LEN(rows);
}

const struct sampler_row *sampler_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i]->name, name))
            return rows[i];
    return NULL;
}

bool sampler_enumerates(const struct sweep_file *f)
{
    const struct sampler_row *row = sampler_find(f->method);
    return row && row->enumerates;
}

void sampler_say_drawn(const struct sweep_file *f, size_t count, FILE *out)
{
    text_print(out, "%s: %zu configurations, drawn from the seed alone\n", f->method,
               count);
}

int sampler_new(const struct sweep_file *f, uint64_t seed, struct sampler **out,
                struct err *err)
{
    struct sampler *s = xcalloc(1, sizeof *s);
    s->row = sampler_find(f->method);
    s->f = f;
    s->seed = (uint64_t)json_get_int(f->sampler, "seed", (int64_t)seed);
    int rc = s->row ? s->row->open(s, err)
                    : sweep_file_error(f, "method", err, "no method '%s'", f->method);
    if (rc < 0) {
        sampler_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    if (s->row)
        s->row->close(s);
    free(s);
}

bool sampler_adapts(const struct sampler *s)
{
    return s->row->adapts;
}

bool sampler_is_finite(const struct sampler *s)
{
    return s->list_order || s->row->enumerates;
}

uint64_t sampler_startup(const struct sweep_file *f)
{
    return (uint64_t)json_get_int(f->sampler, "startup", 10);
}

int sampler_suggest(struct sampler *s, uint64_t number, const struct sampler_history *h,
                    json_t **params, struct err *err)
{
    static const struct sampler_history nothing = {NULL, 0};
    *params = NULL;
    return s->row->suggest(s, number, h ? h : &nothing, params, err);
}

/* Without results tpe is random for its startup; then it waits for them. */
static uint64_t plan_size(const struct sweep_file *f, const struct sampler *s)
{
    uint64_t limit = UINT64_MAX;
    if (f->max_trials)
        limit = (uint64_t)f->max_trials / f->seed_count;
    if (f->max_trials && limit < 1)
        limit = 1;
    if (sampler_adapts(s) && sampler_startup(f) < limit)
        limit = sampler_startup(f);
    return limit;
}

int sweep_space_sample(const struct sweep_file *f, struct sweep_space *out,
                       struct err *err)
{
    struct sampler *s;
    *out = (struct sweep_space){0};
    int rc = sampler_new(f, f->seeds[0], &s, err);
    if (rc < 0)
        return rc;
    uint64_t limit = plan_size(f, s);
    size_t cap = 0;
    if (limit == UINT64_MAX && !sampler_is_finite(s)) {
        sampler_free(s);
        return sweep_file_error(f, "method", err,
                                "method %s needs budget.max_trials: it has no end of its "
                                "own",
                                f->method);
    }
    if (limit > SPACE_ROWS_MAX && !sampler_is_finite(s)) {
        sampler_free(s);
        return sweep_file_error(f, "budget.max_trials", err, "more than %d trials",
                                SPACE_ROWS_MAX);
    }
    for (rc = 1; rc == 1 && out->count < limit;) {
        json_t *params;
        rc = sampler_suggest(s, out->count, NULL, &params, err);
        if (rc == 1) {
            out->combinations =
                xgrow(out->combinations, &cap, out->count + 1, sizeof(json_t *));
            out->combinations[out->count++] = params;
        }
    }
    out->raw = out->unique_raw = out->after_exclude = out->count;
    out->product = (double)out->count;
    sampler_free(s);
    if (rc < 0)
        sweep_space_release(out);
    return rc < 0 ? rc : 0;
}
