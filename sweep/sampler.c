/* sweep/sampler.c - the table of methods. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/sampler_parts.h"
#include <stdlib.h>

#define SAMPLER(name) extern const struct sampler_row sampler_##name;
#include "sweep/samplers.def"
#undef SAMPLER

static const struct sampler_row *const rows[] = {
#define SAMPLER(name) &sampler_##name,
#include "sweep/samplers.def"
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

int sampler_suggest(struct sampler *s, uint64_t number, const struct sampler_history *h,
                    json_t **params, struct err *err)
{
    static const struct sampler_history nothing = {NULL, 0};
    *params = NULL;
    return s->row->suggest(s, number, h ? h : &nothing, params, err);
}
