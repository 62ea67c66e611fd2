/* sweep/samplers/sampler_space.c - what is drawn from: axes, the list of a discrete
 * space, the includes that come first; and how a draw becomes a configuration. */
#include "lib/json.h"
#include "lib/mem.h"
#include "sweep/samplers/sampler_parts.h"
#include <math.h>
#include <stdlib.h>

static int open_axes(struct sampler *s, struct err *err)
{
    const struct sweep_file *f = s->f;
    s->axes = xcalloc(f->param_count, sizeof *s->axes);
    for (size_t i = 0; i < f->param_count; i++) {
        if (f->params[i].kind == PARAM_CONSTANT)
            continue;
        struct sampler_axis *a = &s->axes[s->axis_count];
        int rc = distribution_init(&a->dist, &f->params[i], err);
        if (rc < 0)
            return err_context(err, "%s: ", conf_where(f->conf, f->params[i].path));
        a->param = i;
        a->key = rng_key(s->seed, f->params[i].name);
        sobol_axis_init(&a->sobol, s->axis_count++);
        if (json_get_bool(f->sampler, "shift", 0))
            a->shift = (uint32_t)(rng_uniform(&a->key, 0, 1) * 0x1p32);
    }
    return 0;
}

/* How many combinations the lists make; infinite with a range. */
static double product(const struct sampler *s)
{
    double n = 1;
    for (size_t i = 0; i < s->axis_count; i++)
        n *= s->axes[i].dist.family == DIST_CHOICE ? (double)s->axes[i].dist.count
                                                   : INFINITY;
    return n;
}

struct keyed {
    double key;
    size_t row;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* The probability of a row: of the choices of the axes that it has. */
static double row_weight(const struct sampler *s, const struct space_row *row)
{
    double weight = 1;
    for (size_t i = 0; i < s->axis_count; i++) {
        size_t at = s->axes[i].param, c = 0;
        if (!row->original[at])
            continue;
        while (s->f->params[at].choices[c].value != row->chosen[at].value)
            c++;
        weight *= distribution_share(&s->axes[i].dist, c);
    }
    return weight;
}

/* Drawing without replacement by weight: in order of E / w with E exponential (Efraimidis
 * and Spirakis, 2006). E belongs to the row's content, not to its place. */
static void order_list(struct sampler *s, size_t count)
{
    struct keyed *keys = xcalloc(count + 1, sizeof *keys);
    for (size_t r = 0; r < count; r++) {
        double weight = row_weight(s, &s->list[r]);
        struct buf text = BUF_INIT;
        json_t *object = space_object(s->f, s->list[r].original, NULL);
        json_configuration(&text, object);
        struct philox_key key = rng_key(s->seed, buf_str(&text));
        json_decref(object);
        buf_release(&text);
        if (weight > 0)
            keys[s->list_count++] =
                (struct keyed){-log(fmax(rng_uniform(&key, 0, 0), 0x1p-54)) / weight, r};
    }
    qsort(keys, s->list_count, sizeof *keys, by_key);
    s->list_order = xcalloc(s->list_count + 1, sizeof *s->list_order);
    for (size_t i = 0; i < s->list_count; i++)
        s->list_order[i] = keys[i].row;
    free(keys);
}

static void keep(struct sampler *s, json_t *params)
{
    if (!space_is_new(s->seen, params)) {
        json_decref(params);
        return;
    }
    s->found = xgrow(s->found, &s->found_cap, s->found_count + 1, sizeof *s->found);
    s->found[s->found_count++] = params;
}

/* An include that no draw can match: it sets a range, or an axis to a value that is not
 * among its values. */
static bool is_fixed(const struct sweep_file *f, const struct sweep_entry *e)
{
    for (size_t i = 0; i < f->param_count; i++) {
        const struct sweep_param *p = &f->params[i];
        if (!e->by_param[i].value || p->kind == PARAM_CONSTANT)
            continue;
        bool possible = false;
        for (size_t c = 0; c < p->count; c++)
            possible = possible || p->choices[c].expr ||
                       json_equal(p->choices[c].value, e->by_param[i].value);
        if (!possible)
            return true;
    }
    return false;
}

static void release_env(const struct sweep_file *f, json_t **env)
{
    for (size_t i = 0; i < f->param_count; i++) {
        json_decref(env[i]);
        env[i] = NULL;
    }
}

static int keep_fixed(struct sampler *s, struct err *err)
{
    const struct sweep_file *f = s->f;
    json_t **env = xcalloc(f->param_count, sizeof *env);
    int rc = 0;
    for (size_t e = 0; e < f->include_count && rc == 0; e++) {
        if (!is_fixed(f, &f->includes[e]))
            continue;
        struct space_row row = space_new_row(f, &f->includes[e]);
        rc = space_settle(f, row.chosen, env, err);
        if (rc == 0)
            keep(s, space_object(f, env, row.extra));
        release_env(f, env);
        json_decref(row.extra);
        free(row.chosen);
    }
    free(env);
    s->fixed_count = s->found_count;
    return rc;
}

int sampler_open_draws(struct sampler *s, sampler_draw *draw, bool prefer_list,
                       struct err *err)
{
    size_t count = 0;
    s->seen = strmap_new();
    s->draw = draw;
    int rc = open_axes(s, err);
    if (rc == 0 && product(s) <= SAMPLER_LIST_MAX) {
        rc = space_list(s->f, &s->list, &count, err);
        if (rc == 0)
            order_list(s, count);
        if (rc == 0 && prefer_list)
            s->draw = draw_listed;
        s->list_rows = count;
    }
    return rc < 0 ? rc : keep_fixed(s, err);
}

void sampler_close_draws(struct sampler *s)
{
    for (size_t i = 0; i < s->axis_count; i++)
        distribution_release(&s->axes[i].dist);
    for (size_t i = 0; i < s->found_count; i++)
        json_decref(s->found[i]);
    if (s->list)
        space_list_free(s->f, s->list, s->list_rows);
    if (s->seen)
        strmap_free(s->seen);
    free(s->axes);
    free(s->list_order);
    free(s->found);
}

/* Includes extend what they match; then conditions and derived values once more. */
static int extend_all(struct sampler *s, struct space_row *row, json_t **env,
                      struct err *err)
{
    bool changed = false;
    for (size_t e = 0; e < s->f->include_count; e++)
        if (!is_fixed(s->f, &s->f->includes[e]) &&
            space_extends(s->f, &s->f->includes[e], row)) {
            space_extend(s->f, &s->f->includes[e], row);
            changed = true;
        }
    if (!changed)
        return 0;
    for (size_t i = 0; i < s->f->param_count; i++)
        if (s->f->params[i].kind != PARAM_CONSTANT && !env[i])
            row->chosen[i] = (struct sweep_choice){NULL, NULL};
    release_env(s->f, env);
    return space_settle(s->f, row->chosen, env, err);
}

int sampler_settle(struct sampler *s, const struct draw *d, json_t **params,
                   struct err *err)
{
    const struct sweep_file *f = s->f;
    json_t **env = xcalloc(f->param_count, sizeof *env);
    struct space_row row = {.chosen = d->chosen, .original = env};
    int rc = space_settle(f, d->chosen, env, err);
    if (rc == 0 && !space_excluded(f, env)) {
        rc = extend_all(s, &row, env, err);
        if (rc == 0) {
            *params = space_object(f, env, row.extra);
            rc = 1;
        }
    }
    json_decref(row.extra);
    release_env(f, env);
    free(env);
    return rc;
}

/* The next draw that is new. 0: nothing is left. */
static int find_next(struct sampler *s, struct draw *d, struct err *err)
{
    int misses = 0;
    while (misses < SAMPLER_REDRAWS_MAX) {
        json_t *params = NULL;
        size_t before = s->found_count;
        draw_clear(d, s->f);
        if (!s->draw(s, s->next_index++, d))
            return 0;
        int rc = sampler_settle(s, d, &params, err);
        if (rc < 0)
            return rc;
        if (rc > 0)
            keep(s, params);
        if (s->found_count > before)
            return 1;
        misses += s->draw != draw_listed;
        if (misses == SAMPLER_REDRAWS_MAX && s->list) { /* what is left is rare */
            s->draw = draw_listed;
            s->next_index = 0;
            misses = 0;
        }
    }
    if (s->found_count == s->fixed_count)
        return sweep_file_error(s->f, "exclude", err, "exclude rejects all of %d draws",
                                SAMPLER_REDRAWS_MAX);
    return 0;
}

int sampler_sequence(struct sampler *s, uint64_t number, json_t **params, struct err *err)
{
    struct draw d;
    int rc = 1;
    draw_init(&d, s->f);
    while (s->found_count <= number && rc == 1)
        rc = find_next(s, &d, err);
    draw_release(&d, s->f);
    if (rc == 1)
        *params = json_incref(s->found[number]);
    return rc;
}
