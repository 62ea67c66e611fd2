/* sweep/run/advance_judge.c - curves from the store, and what stopping rules make of
 * them. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "sweep/run/advance.h"
#include "sweep/run/controller.h"
#include <math.h>
#include <stdlib.h>

/* --- reading --- */

static json_t *ask_trial(struct controller *c, const char *sql, const struct ctl_trial *t,
                         const char *key)
{
    json_t *bind = json_pack("[I, s]", (json_int_t)t->id, key);
    json_t *result = store_query(c->store, sql, bind, SPACE_ROWS_MAX, c->err);
    json_decref(bind);
    return result;
}

static double number(const json_t *v)
{
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* A point in the rule's unit. W&B's rule counts reports; of several points of one epoch
 * the last stands. */
static void add_point(const struct controller *c, struct ctl_trial *t, int64_t step,
                      double value)
{
    const struct advance *a = &c->advance;
    if (a->with_rule && a->pruner.rule->counts_reports)
        step = (int64_t)t->point_count + 1;
    else
        step /= advance_unit(c, t);
    if (t->point_count && t->points[t->point_count - 1].step >= step)
        t->point_count--;
    t->points = xgrow(t->points, &t->point_cap, t->point_count + 1, sizeof *t->points);
    t->points[t->point_count++] = (struct curve_point){step, value};
}

static int read_values(struct controller *c, struct ctl_trial *t)
{
    const struct sweep_file *f = c->file;
    t->values = xrealloc(t->values, (f->objective_count + 1) * sizeof *t->values);
    for (size_t k = 0; k < f->objective_count; k++) {
        json_t *result =
            ask_trial(c, "SELECT value FROM summary_view WHERE trial = ?1 AND key = ?2",
                      t, f->objectives[k].name);
        if (!result)
            return err_code(c->err);
        t->values[k] =
            number(json_array_get(json_array_get(json_object_get(result, "rows"), 0), 0));
        json_decref(result);
    }
    return 0;
}

static int read_curve(struct controller *c, struct ctl_trial *t)
{
    size_t i, before = t->point_count;
    json_t *row, *result = ask_trial(c,
                                     "SELECT step, value FROM series_view WHERE trial = "
                                     "?1 AND key = ?2 ORDER BY step",
                                     t, c->file->metric);
    if (!result)
        return err_code(c->err);
    t->point_count = 0;
    json_array_foreach(json_object_get(result, "rows"), i, row) add_point(
        c, t, json_integer_value(json_array_get(row, 0)), number(json_array_get(row, 1)));
    json_decref(result);
    int rc = t->state == TRIAL_complete ? read_values(c, t) : 0;
    const struct curve_point *last =
        t->point_count ? &t->points[t->point_count - 1] : NULL;
    if (t->state == TRIAL_complete && rc == 0 && t->t->updates > 0 &&
        (!last || last->step < t->t->updates / advance_unit(c, t)))
        add_point(c, t, t->t->updates, t->values[0]);
    c->advance.changed |= t->point_count != before;
    return rc;
}

int advance_read_curves(struct controller *c)
{
    int rc = 0;
    for (size_t i = 0; i < c->count && rc >= 0; i++) {
        struct ctl_trial *t = &c->trials[i];
        const bool moved = t->state != t->seen_state || t->attempts != t->seen_attempts;
        if (!moved && t->state != TRIAL_running)
            continue;
        c->advance.changed |= moved;
        rc = read_curve(c, t);
        t->seen_state = t->state;
        t->seen_attempts = t->attempts;
    }
    return rc;
}

/* --- the curve of a configuration --- */

static bool has_failed(enum trial_state s)
{
    return trial_state_is_final(s) && s != TRIAL_complete && s != TRIAL_pruned;
}

/* One seed that diverged fails them all; those that failed otherwise are left out as long
 * as others are there. */
static enum curve_state state_of(const struct controller *c, const struct ctl_group *g)
{
    size_t counts[TRIAL_STATE_COUNT] = {0}, count = 0, failed = 0;
    bool started = false;
    for (size_t i = g->first; i != SIZE_MAX; i = c->trials[i].next_seed) {
        const struct ctl_trial *t = &c->trials[i];
        counts[t->state]++;
        failed += has_failed(t->state);
        started |= t->started;
        count++;
    }
    if (counts[TRIAL_nan] || failed == count)
        return CURVE_FAILED;
    if (started || counts[TRIAL_running])
        return CURVE_RUNNING;
    if (counts[TRIAL_complete] + failed == count)
        return CURVE_COMPLETE;
    return counts[TRIAL_complete] + counts[TRIAL_pruned] + failed == count
               ? CURVE_PRUNED
               : CURVE_WAITING;
}

static struct curve group_curve(const struct controller *c, size_t group)
{
    const struct ctl_group *g = &c->advance.groups[group];
    struct curve out = {.number = group,
                        .state = state_of(c, g),
                        .target = g->target,
                        .reached = INT64_MAX};
    struct curve *seeds = NULL;
    size_t count = 0, cap = 0, longest = 0;
    for (size_t i = g->first; i != SIZE_MAX; i = c->trials[i].next_seed) {
        const struct ctl_trial *t = &c->trials[i];
        if (has_failed(t->state))
            continue;
        seeds = xgrow(seeds, &cap, count + 1, sizeof *seeds);
        seeds[count++] = (struct curve){.points = t->points, .count = t->point_count};
        longest = t->point_count > longest ? t->point_count : longest;
        const int64_t reached = t->reached / advance_unit(c, t);
        if (t->state != TRIAL_complete && reached < out.reached)
            out.reached = reached;
    }
    if (out.reached > g->target)
        out.reached = g->target;
    struct curve_point *points = xcalloc(longest + 1, sizeof *points);
    out.count = curve_mean(seeds, count, points);
    out.points = points;
    free(seeds);
    return out;
}

struct curve *advance_curves(const struct controller *c)
{
    struct curve *curves = xcalloc(c->advance.group_count + 1, sizeof *curves);
    for (size_t i = 0; i < c->advance.group_count; i++)
        curves[i] = group_curve(c, i);
    return curves;
}

void advance_free_curves(struct curve *curves, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((struct curve_point *)curves[i].points);
    free(curves);
}

/* --- stopping --- */

static size_t reporting_seeds(const struct controller *c, const struct ctl_group *g)
{
    size_t n = 0;
    for (size_t i = g->first; i != SIZE_MAX; i = c->trials[i].next_seed)
        n += c->trials[i].point_count > 0;
    return n;
}

static int stop_trial(struct controller *c, size_t index, const char *reason)
{
    struct err gone = ERR_INIT;
    if (store_trial_end(c->store, c->trials[index].id, TRIAL_pruned, reason, &gone) < 0 &&
        gone.code != ERR_NOINPUT) /* it may just have ended by itself */
        return err_set(c->err, gone.code, "%s", gone.msg);
    for (int i = 0; i < c->child_count; i++)
        if (c->children[i].trial == index) {
            c->launcher->stop(c->children[i].handle, false);
            c->children[i].stop_sent = clock_mono_s();
        }
    return 0;
}

static int stop_group(struct controller *c, struct ctl_group *g,
                      const struct curve_point *at)
{
    char reason[256];
    const bool reports = c->advance.pruner.rule->counts_reports;
    snprintf(reason, sizeof reason, "%s: %s %.6g at %s %lld", c->file->early_terminate,
             c->file->metric, at->value,
             reports                ? "report"
             : c->advance.in_epochs ? "epoch"
                                    : "step",
             (long long)at->step);
    int rc = 0;
    g->stopped = true;
    for (size_t i = g->first; i != SIZE_MAX && rc >= 0; i = c->trials[i].next_seed)
        if (!trial_state_is_final(c->trials[i].state))
            rc = stop_trial(c, i, reason);
    return rc;
}

/* Looks at the points that are new. When another seed begins to report, the mean starts
 * over at its first steps, and is judged from there. */
static int judge_group(struct controller *c, struct curve *curves, size_t group)
{
    struct ctl_group *g = &c->advance.groups[group];
    const size_t seeds = reporting_seeds(c, g), count = curves[group].count;
    if (seeds != g->judged_seeds)
        g->judged = -1;
    g->judged_seeds = seeds;
    if (!c->advance.began && count)
        g->judged = curves[group].points[count - 1].step;
    for (size_t k = 0; k < count; k++) {
        const struct curve_point *at = &curves[group].points[k];
        if (at->step <= g->judged)
            continue;
        g->judged = at->step;
        curves[group].count = k + 1;
        const bool stop =
            pruner_judge(&c->advance.pruner, curves, c->advance.group_count, group);
        curves[group].count = count;
        if (!stop)
            continue;
        curves[group].state = CURVE_PRUNED;
        return stop_group(c, g, at);
    }
    return 0;
}

int advance_judge(struct controller *c)
{
    int rc = 0;
    if (!c->advance.changed)
        return 0;
    struct curve *curves = advance_curves(c);
    for (size_t g = 0; g < c->advance.group_count && rc >= 0; g++)
        if (!c->advance.groups[g].stopped &&
            (curves[g].state == CURVE_RUNNING || curves[g].state == CURVE_WAITING))
            rc = judge_group(c, curves, g);
    c->advance.changed = false;
    advance_free_curves(curves, c->advance.group_count);
    return rc;
}
