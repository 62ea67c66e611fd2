/* sweep/run/advance_more.c - trials that come while a sweep runs: a sampler's
 * suggestions, and what others have added to the store. */
#include "lib/json.h"
#include "lib/mem.h"
#include "sweep/run/advance.h"
#include "sweep/run/controller.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A suggestion that another one came to as well is passed over; so often at most. */
#define DUPLICATES_MAX 64

/* --- trials of the store --- */

static struct sweep_trial *new_trial(const struct trial_row *row)
{
    struct sweep_trial *t = xcalloc(1, sizeof *t);
    *t = (struct sweep_trial){.params = json_incref(row->params),
                              .resolved = json_incref(row->config),
                              .seed = row->seed,
                              .peak_bytes = row->predicted_bytes,
                              .seconds = row->predicted_s};
    snprintf(t->key, sizeof t->key, "%s", row->key);
    return t;
}

int advance_adopt(struct controller *c, int64_t id, enum trial_state state, int attempts)
{
    struct advance *a = &c->advance;
    struct trial_row row;
    int rc = store_get_trial(c->store, id, &row, c->err);
    if (rc < 0)
        return rc;
    struct sweep_trial *t = new_trial(&row);
    const uint64_t number = (uint64_t)row.number / c->file->seed_count;
    trial_row_release(&row);
    a->added = xgrow(a->added, &a->added_cap, a->added_count + 1, sizeof(void *));
    a->added[a->added_count++] = t;
    if (a->sampler && number >= a->next_number)
        a->next_number = number + 1;
    if (advance_needs_updates(c) || t->peak_bytes < 0)
        rc = controller_predict_one(c, t);
    if (rc < 0)
        return rc;
    controller_append(
        c, &(struct ctl_trial){.t = t, .id = id, .state = state, .attempts = attempts});
    advance_group_trial(c, c->count - 1);
    a->changed = true;
    return 0;
}

/* --- suggestions --- */

/* How the trials of a configuration ended, as the sampler sees it: what is parked with
 * numbers counts as pruned where it is; what diverged, ran out of memory or time or was
 * retired counts as pruned without a number, the last of all. What failed otherwise may
 * be no fault of the configuration, and is not shown. */
static void fill_outcome(const struct controller *c, const struct ctl_group *g,
                         struct curve *curve)
{
    bool failed = false, poor = false;
    for (size_t i = g->first; i != SIZE_MAX; i = c->trials[i].next_seed) {
        const enum trial_state s = c->trials[i].state;
        failed |= s == TRIAL_nan || s == TRIAL_oom; /* one seed is enough */
        poor |= s == TRIAL_timeout || s == TRIAL_cancelled;
    }
    if (failed || (poor && curve->state == CURVE_FAILED)) {
        curve->state = CURVE_PRUNED;
        curve->count = 0;
    } else if (curve->state == CURVE_WAITING && curve->count) {
        curve->state = CURVE_PRUNED;
    }
}

/* Means over the seeds that are complete; NaN: none is, or one of them is NaN. */
static double *mean_values(const struct controller *c, const struct ctl_group *g)
{
    const size_t n = c->file->objective_count;
    double *values = xcalloc(n, sizeof *values);
    size_t complete = 0;
    for (size_t i = g->first; i != SIZE_MAX; i = c->trials[i].next_seed) {
        const struct ctl_trial *t = &c->trials[i];
        if (t->state != TRIAL_complete || !t->values)
            continue;
        complete++;
        for (size_t k = 0; k < n; k++)
            values[k] += t->values[k];
    }
    for (size_t k = 0; k < n; k++)
        values[k] = complete ? values[k] / (double)complete : NAN;
    return values;
}

static struct sampler_trial *make_history(const struct controller *c,
                                          const struct curve *curves)
{
    const size_t count = c->advance.group_count;
    struct sampler_trial *h = xcalloc(count + 1, sizeof *h);
    for (size_t g = 0; g < count; g++) {
        double *values = mean_values(c, &c->advance.groups[g]);
        h[g] = (struct sampler_trial){.params =
                                          c->trials[c->advance.groups[g].first].t->params,
                                      .value = values[0],
                                      .values = values,
                                      .curve = curves[g]};
        fill_outcome(c, &c->advance.groups[g], &h[g].curve);
    }
    return h;
}

static void free_history(struct sampler_trial *h, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((double *)h[i].values);
    free(h);
}

/* All seeds of one suggestion into the store: 1, or 0 where it has them already. Also 1
 * when another controller has added its own meanwhile. */
static int add_configuration(struct controller *c, uint64_t number, json_t *params)
{
    const size_t seeds = c->file->seed_count;
    struct sweep_trial *t = xcalloc(seeds, sizeof *t);
    struct trial_row *rows = xcalloc(seeds, sizeof *rows);
    size_t added = 0;
    int rc = 0;
    for (size_t k = 0; k < seeds && rc == 0; k++) {
        rc =
            sweep_plan_trial(c->plan, c->hooks, params, c->file->seeds[k], &t[k], c->err);
        if (rc == 0)
            rc = controller_predict_one(c, &t[k]);
        rows[k] = controller_row(c, &t[k], (int64_t)(number * seeds + k));
    }
    if (rc == 0)
        rc = store_add_next(c->store, rows, seeds, &added, c->err);
    for (size_t k = 0; k < seeds; k++)
        json_decref(t[k].resolved);
    free(rows);
    free(t);
    return rc ? rc : added > 0;
}

static int suggest_new(struct controller *c, const struct sampler_history *h)
{
    struct advance *a = &c->advance;
    for (int i = 0; i < DUPLICATES_MAX; i++) {
        json_t *params;
        int rc = sampler_suggest(a->sampler, a->next_number, h, &params, c->err);
        if (rc <= 0)
            return rc;
        rc = add_configuration(c, a->next_number++, params);
        json_decref(params);
        if (rc)
            return rc;
    }
    return 0;
}

int advance_suggest(struct controller *c)
{
    struct advance *a = &c->advance;
    int rc = 0;
    if (a->group_count < a->groups_max) {
        struct curve *curves = advance_curves(c);
        const size_t count = a->group_count;
        struct sampler_trial *h = make_history(c, curves);
        rc = suggest_new(c, &(struct sampler_history){h, count});
        free_history(h, count);
        advance_free_curves(curves, count);
    }
    a->exhausted = rc == 0;
    if (rc > 0 && (rc = controller_refresh(c)) >= 0)
        rc = 1;
    return rc;
}
