/* sweep/samplers/tpe.c - random until enough trials have finished, then
 * sweep/samplers/parzen.h, one parameter after the other.
 *
 * What a step or a logarithm says well enough keeps its scale; other distributions
 * (normal, beta, rounded logarithms that reach 0) are searched on the scale of their own
 * distribution function, on which they are uniform. */
#include "lib/json.h"
#include "lib/mem.h"
#include "sweep/samplers/parzen.h"
#include "sweep/samplers/sampler_parts.h"
#include <math.h>
#include <stdlib.h>

#define REDRAWS_MAX 100

struct scale {
    struct tpe_domain domain;
    bool share; /* x is the distribution's share */
};

static struct scale scale_of(const struct distribution *d)
{
    struct scale unit = {{.low = 0, .high = 1}, true};
    double low = d->log ? exp(d->low) : d->low, high = d->log ? exp(d->high) : d->high;
    if (d->family == DIST_CHOICE)
        return (struct scale){{.choices = d->count, .share = d->share}, false};
    if (d->family == DIST_INT)
        return (struct scale){{.low = low, .high = high, .step = 1}, false};
    if (d->family != DIST_UNIFORM)
        return unit;
    if (d->q > 0) {
        low = nearbyint(low / d->q) * d->q;
        high = nearbyint(high / d->q) * d->q;
        if (d->log && !(low - d->q / 2 > 0))
            return unit;
    }
    return (struct scale){{.low = low, .high = high, .step = d->q, .log = d->log}, false};
}

static double in_unit(double u)
{
    return fmin(fmax(u, 0x1p-54), 1 - 0x1p-53);
}

/* Which choice the trial had; false: none of them. */
static bool observed_choice(const struct sampler *s, size_t param, const json_t *params,
                            const json_t *value, double *out)
{
    const struct sweep_file *f = s->f;
    const struct sweep_param *p = &f->params[param];
    bool found = false;
    for (size_t c = 0; c < p->count && !found; c++) {
        json_t *v = NULL;
        if (p->choices[c].expr) {
            json_t **env = xcalloc(f->param_count, sizeof *env);
            for (size_t i = 0; i < f->param_count; i++)
                env[i] = json_object_get(params, f->params[i].name);
            if (expr_eval(p->choices[c].expr, env, &v, NULL) != 0)
                v = NULL;
            free(env);
        } else {
            v = json_incref(p->choices[c].value);
        }
        found = v && json_equal(v, value);
        json_decref(v);
        *out = (double)c;
    }
    return found;
}

/* The trial's place on the parameter's scale; false when it has none there. */
static bool observe(const struct sampler *s, const struct sampler_axis *a,
                    const struct scale *scale, const json_t *params, double *x)
{
    const json_t *v = json_object_get(params, s->f->params[a->param].name);
    if (!v)
        return false;
    if (scale->domain.choices)
        return observed_choice(s, a->param, params, v, x);
    if (!json_is_number(v))
        return false;
    *x = json_number_value(v);
    if (scale->share)
        *x = in_unit(distribution_cdf(&a->dist, *x));
    return *x >= scale->domain.low && *x <= scale->domain.high;
}

static void fit(const struct sampler *s, const struct sampler_axis *a,
                const struct scale *scale, const struct sampler_history *h,
                const size_t *side, size_t n, struct tpe_kernels *out)
{
    double *values = xcalloc(n + 1, sizeof *values);
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += observe(s, a, scale, h->trials[side[i]].params, &values[count]);
    tpe_kernels_init(out, &scale->domain, values, count);
    free(values);
}

/* The best of the candidates. A redraw has fewer of them, down to one: where few values
 * are possible the best of many would be the same excluded one again. */
static double search(const struct sampler *s, const struct sampler_axis *a,
                     const struct tpe_domain *d, const struct tpe_kernels *l,
                     const struct tpe_kernels *g, uint64_t number, unsigned attempt)
{
    uint64_t candidates = (uint64_t)json_get_int(s->f->sampler, "candidates", 24);
    uint64_t tried = attempt < 32 ? candidates >> attempt : 0;
    double best = 0, most = -INFINITY;
    for (uint64_t c = 0; c < tried || c == 0; c++) {
        uint64_t at = 2 + 2 * (attempt * candidates + c); /* 0, 1: random, shift */
        double x = tpe_draw(l, d, in_unit(rng_uniform(&a->key, number, at)),
                            in_unit(rng_uniform(&a->key, number, at + 1)));
        double score = tpe_log_density(l, d, x, false) - tpe_log_density(g, d, x, false);
        if (score > most || c == 0) {
            most = score;
            best = x;
        }
    }
    return best;
}

/* One parameter of the next trial. */
static void draw_axis(struct sampler *s, const struct sampler_axis *a,
                      const struct sampler_history *h, const struct tpe_split *split,
                      uint64_t number, unsigned attempt, struct draw *d)
{
    struct scale scale = scale_of(&a->dist);
    struct tpe_kernels l, g;
    if (scale.domain.choices == 1 ||
        (!scale.domain.choices && !(scale.domain.high > scale.domain.low))) {
        draw_quantile(s, d, a, 0.5);
        return;
    }
    fit(s, a, &scale, h, split->below, split->n_below, &l);
    fit(s, a, &scale, h, split->above, split->n - split->n_below, &g);
    double x = search(s, a, &scale.domain, &l, &g, number, attempt);
    if (scale.domain.choices)
        draw_choice(s, d, a, (size_t)x);
    else
        draw_number(s, d, a,
                    scale.share ? distribution_quantile(&a->dist, in_unit(x)) : x);
    tpe_kernels_release(&l);
    tpe_kernels_release(&g);
}

static struct strmap *known_of(const struct sampler_history *h)
{
    struct strmap *seen = strmap_new();
    for (size_t i = 0; i < h->count; i++)
        space_is_new(seen, h->trials[i].params);
    return seen;
}

/* A discrete space of which little is left: the first of the list that is new. */
static int first_untried(struct sampler *s, struct strmap *seen, struct draw *d,
                         json_t **params, struct err *err)
{
    for (uint64_t i = 0; i < s->list_count; i++) {
        draw_clear(d, s->f);
        draw_listed(s, i, d);
        int rc = sampler_settle(s, d, params, err);
        if (rc < 0 || (rc == 1 && space_is_new(seen, *params)))
            return rc;
        json_decref(*params);
        *params = NULL;
    }
    return 0;
}

static int suggest_next(struct sampler *s, uint64_t number,
                        const struct sampler_history *h, const struct tpe_split *split,
                        json_t **params, struct err *err)
{
    struct strmap *seen = known_of(h);
    struct draw d;
    int rc = 0;
    draw_init(&d, s->f);
    for (unsigned attempt = 0; attempt < REDRAWS_MAX && rc == 0; attempt++) {
        draw_clear(&d, s->f);
        for (size_t i = 0; i < s->axis_count; i++)
            draw_axis(s, &s->axes[i], h, split, number, attempt, &d);
        rc = sampler_settle(s, &d, params, err);
        if (rc == 1 && !space_is_new(seen, *params)) {
            json_decref(*params);
            *params = NULL;
            rc = 0;
        }
    }
    if (rc == 0)
        rc = s->list ? first_untried(s, seen, &d, params, err)
                     : sampler_sequence(s, number, params, err);
    draw_release(&d, s->f);
    strmap_free(seen);
    return rc;
}

static int open_tpe(struct sampler *s, struct err *err)
{
    return sampler_open_draws(s, draw_random, true, err);
}

static int suggest(struct sampler *s, uint64_t number, const struct sampler_history *h,
                   json_t **params, struct err *err)
{
    struct tpe_split split;
    tpe_split(h, s->f->objectives, s->f->objective_count, &split);
    bool early = number < s->fixed_count || split.n < sampler_startup(s->f);
    int rc = early ? sampler_sequence(s, number, params, err)
                   : suggest_next(s, number, h, &split, params, err);
    tpe_split_release(&split);
    return rc;
}

static void say(const struct sweep_file *f, size_t count, FILE *out)
{
    fprintf(out,
            "tpe: the first %zu configurations are drawn at random; once %llu are "
            "finished, each further one is chosen by the results so far",
            count, (unsigned long long)sampler_startup(f));
    if (f->max_trials)
        fprintf(out, ", up to %zu configurations in all",
                (size_t)f->max_trials / f->seed_count);
    putc('\n', out);
}

const struct sampler_row sampler_tpe = {.name = "tpe",
                                        .help = "learns from results",
                                        .adapts = true,
                                        .say = say,
                                        .open = open_tpe,
                                        .suggest = suggest,
                                        .close = sampler_close_draws};
