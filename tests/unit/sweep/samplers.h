/* tests/unit/sweep/samplers.h - for tests of samplers: a sampler from the text of a sweep
 * file, its suggestions as text, and a history that grows. */
#ifndef TESTS_SWEEP_SAMPLERS_H
#define TESTS_SWEEP_SAMPLERS_H

#include "lib/json.h"
#include "lib/mem.h"
#include "sweep/samplers/sampler.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static inline struct sweep_file *parse(const char *text)
{
    struct err err = ERR_INIT;
    struct sweep_file *f;
    if (sweep_file_parse(text, strlen(text), "test", false, NULL, 0, NULL, &f, &err) < 0)
        fail_msg("%s", err.msg);
    return f;
}

static inline struct sampler *open_sampler(const struct sweep_file *f, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct sampler *s;
    if (sampler_new(f, seed, &s, &err) < 0)
        fail_msg("%s", err.msg);
    return s;
}

/* Canonical text of a suggestion; "" when nothing is left. Owned. */
static inline char *suggest(struct sampler *s, uint64_t number,
                            const struct sampler_history *h)
{
    struct err err = ERR_INIT;
    json_t *params;
    int rc = sampler_suggest(s, number, h, &params, &err);
    if (rc < 0)
        fail_msg("%s", err.msg);
    struct buf text = BUF_INIT;
    if (rc == 1)
        json_canonical(&text, params);
    json_decref(params);
    return buf_detach(&text, NULL);
}

/* ---- A history that grows ---- */

struct tried {
    struct sampler_trial trials[400];
    size_t count;
};

static inline void add(struct tried *t, json_t *params, enum curve_state state,
                       double value)
{
    t->trials[t->count] = (struct sampler_trial){
        .params = params, .value = value, .curve = {.number = t->count, .state = state}};
    t->count++;
}

static inline struct sampler_history history(const struct tried *t)
{
    return (struct sampler_history){t->trials, t->count};
}

static inline void forget(struct tried *t)
{
    for (size_t i = 0; i < t->count; i++)
        json_decref((json_t *)t->trials[i].params);
    t->count = 0;
}

static inline double number_of(const json_t *p, const char *key)
{
    return json_get_num(p, key, NAN);
}

#endif
