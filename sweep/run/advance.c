/* sweep/run/advance.c - opening, grouping, refreshing; advance.h tells the rules. */
#include "sweep/run/advance.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/run/controller.h"
#include "sweep/run/until.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int check_slices(const struct controller *c, bool promotes)
{
    const struct sweep_file *f = c->file;
    if (f->drives_command && (c->advance.slices > 1 || promotes))
        return sweep_file_error(
            f, promotes ? "early_terminate.type" : "interleave", c->err,
            "%s parks trials and lets them go on, which a program of "
            "your own cannot; successive_halving and median stop trials instead",
            promotes ? f->early_terminate : "interleave");
    if (c->advance.slices > 1 && promotes)
        return sweep_file_error(f, "interleave", c->err,
                                "early_terminate %s trains in rungs already; leave "
                                "interleave out",
                                f->early_terminate);
    return 0;
}

/* Stopping rules need numbers on the way. */
static int check_cadence(const struct controller *c)
{
    const struct sweep_file *f = c->file;
    for (size_t i = 0; i < c->plan->count && !f->drives_command; i++)
        if (json_get_int(c->plan->trials[i].resolved, "eval_steps", 0) <= 0)
            return sweep_file_error(
                f, "early_terminate", c->err,
                "%s judges trials while they run, but they are evaluated only at the "
                "end; add eval_steps: {value: N} to the parameters (N updates)",
                f->early_terminate);
    return 0;
}

static int check_rule(struct controller *c)
{
    const struct sweep_file *f = c->file;
    const char *resource = json_get_str(f->early, "resource", "step");
    if (!f->metric)
        return sweep_file_error(f, "early_terminate", c->err,
                                "early_terminate needs a metric to judge by");
    if (!str_in_list(resource, "step|epoch", '|'))
        return sweep_file_error(f, "early_terminate.resource", c->err,
                                "resource is step or epoch, not '%s'", resource);
    c->advance.in_epochs = str_eq(resource, "epoch") && !f->drives_command;
    int rc = pruner_init(&c->advance.pruner, f, 0, c->err);
    if (rc < 0)
        return rc;
    c->advance.with_rule = true;
    return c->advance.pruner.rule->promotes ? 0 : check_cadence(c);
}

static int open_sampler(struct controller *c)
{
    const struct sweep_file *f = c->file;
    struct advance *a = &c->advance;
    int rc = sampler_new(f, f->seeds[0], &a->sampler, c->err);
    if (rc < 0)
        return rc;
    if (!sampler_adapts(a->sampler)) {
        sampler_free(a->sampler);
        a->sampler = NULL;
        return 0;
    }
    if (!f->metric)
        return sweep_file_error(f, "method", c->err,
                                "method %s learns from a metric; the file names none",
                                f->method);
    if (!f->max_trials && !(f->max_wall_s > 0) && !sampler_is_finite(a->sampler))
        return sweep_file_error(f, "method", c->err,
                                "method %s needs budget.max_trials (or max_wall): it has "
                                "no end of its own",
                                f->method);
    a->groups_max = f->max_trials ? (size_t)f->max_trials / f->seed_count : SIZE_MAX;
    a->groups_max = a->groups_max ? a->groups_max : 1;
    a->next_number = c->plan->space.count;
    return 0;
}

int advance_open(struct controller *c)
{
    struct advance *a = &c->advance;
    a->slices = c->o->interleave ? c->o->interleave : c->file->interleave;
    a->slices = a->slices ? a->slices : 1;
    a->by_key = strmap_new();
    a->changed = true;
    int rc = c->file->early_terminate ? check_rule(c) : 0;
    if (rc >= 0)
        rc = check_slices(c, a->with_rule && a->pruner.rule->promotes);
    if (rc >= 0 && !sampler_enumerates(c->file))
        rc = open_sampler(c);
    return rc < 0 ? rc : until_open(c);
}

bool advance_needs_updates(const struct controller *c)
{
    return c->advance.slices > 1 || c->advance.with_rule;
}

int64_t advance_unit(const struct controller *c, const struct ctl_trial *t)
{
    return c->advance.in_epochs && t->t->updates_per_epoch > 0 ? t->t->updates_per_epoch
                                                               : 1;
}

/* Behind those that are held back already. */
static void hold(struct controller *c, struct ctl_group *g, size_t index)
{
    size_t *link = &g->held;
    while (*link != SIZE_MAX)
        link = &c->trials[*link].next_seed;
    *link = index;
    c->trials[index].held = true;
}

void advance_group_trial(struct controller *c, size_t index)
{
    struct advance *a = &c->advance;
    struct ctl_trial *t = &c->trials[index];
    int64_t group;
    t->next_seed = SIZE_MAX;
    if (strmap_get(a->by_key, t->t->key, strlen(t->t->key), &group)) {
        t->group = (size_t)group;
        if (until_holds(c, &a->groups[group])) {
            hold(c, &a->groups[group], index);
            return;
        }
        c->trials[a->groups[group].last].next_seed = index;
    } else {
        group = (int64_t)a->group_count;
        strmap_put(a->by_key, t->t->key, strlen(t->t->key), group);
        a->groups =
            xgrow(a->groups, &a->group_cap, a->group_count + 1, sizeof *a->groups);
        a->groups[a->group_count++] =
            (struct ctl_group){.first = index, .held = SIZE_MAX, .judged = -1};
    }
    a->groups[group].last = index;
    a->groups[group].released++;
    t->group = (size_t)group;
}

int advance_begin(struct controller *c)
{
    struct advance *a = &c->advance;
    for (size_t i = 0; i < c->count; i++)
        advance_group_trial(c, i);
    if (!a->with_rule)
        return 0;
    pruner_release(&a->pruner);
    return pruner_init(&a->pruner, c->file, sweep_plan_resource(c->plan), c->err);
}

void advance_release(struct controller *c)
{
    struct advance *a = &c->advance;
    if (a->with_rule)
        pruner_release(&a->pruner);
    sampler_free(a->sampler);
    if (a->by_key)
        strmap_free(a->by_key);
    for (size_t i = 0; i < a->added_count; i++) {
        json_decref(a->added[i]->params);
        json_decref(a->added[i]->resolved);
        free(a->added[i]);
    }
    free(a->added);
    free(a->said);
    free(a->groups);
    for (size_t i = 0; i < c->count && c->trials; i++) {
        free(c->trials[i].points);
        free(c->trials[i].values);
    }
}

/* How far trials were sent and have parked: it stands in their runs. */
static int read_slices(struct controller *c)
{
    json_t *bind = json_pack("[I]", (json_int_t)c->sweep), *row;
    json_t *result = store_query(
        c->store,
        "SELECT trial, max(CASE WHEN exit_code = 0 AND state IN ('preempted', 'pruned') "
        "THEN until_step END), max(ifnull(until_step, 9223372036854775807)) "
        "FROM run_view WHERE trial IN (SELECT id FROM trial_view WHERE sweep = ?1) "
        "GROUP BY trial",
        bind, SPACE_ROWS_MAX, c->err);
    size_t i;
    json_decref(bind);
    if (!result)
        return err_code(c->err);
    json_array_foreach(json_object_get(result, "rows"), i, row)
    {
        struct ctl_trial *t =
            controller_find(c, json_integer_value(json_array_get(row, 0)));
        if (!t)
            continue;
        t->reached = json_integer_value(json_array_get(row, 1));
        t->sent = json_integer_value(json_array_get(row, 2));
    }
    json_decref(result);
    return 0;
}

/* Where the rule had sent each configuration before this controller was there. */
static void take_up_targets(struct controller *c)
{
    struct advance *a = &c->advance;
    for (size_t i = 0; i < c->count; i++) {
        const struct ctl_trial *t = &c->trials[i];
        struct ctl_group *g = &a->groups[t->group];
        int64_t unit = advance_unit(c, t);
        int64_t target = t->sent != INT64_MAX ? t->sent / unit
                         : a->began           ? 0
                                              : a->pruner.s.max;
        g->target = target > g->target ? target : g->target;
    }
}

int advance_refresh(struct controller *c)
{
    struct advance *a = &c->advance;
    const bool rungs = a->with_rule && a->pruner.rule->promotes;
    int rc = rungs || a->slices > 1 ? read_slices(c) : 0;
    if (rc >= 0 && rungs)
        take_up_targets(c);
    if (rc >= 0 && (a->with_rule || a->sampler || c->file->until.goal))
        rc = advance_read_curves(c);
    if (rc >= 0 && a->with_rule && !rungs)
        rc = advance_judge(c);
    a->began = true;
    return rc;
}

size_t advance_total(const struct controller *c)
{
    const struct advance *a = &c->advance;
    if (!a->sampler || a->exhausted || a->groups_max == SIZE_MAX)
        return c->count - until_held(c);
    size_t all = a->groups_max * c->file->seed_count;
    return all > c->count ? all : c->count;
}
