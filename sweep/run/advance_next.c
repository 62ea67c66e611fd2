/* sweep/run/advance_next.c - what a free place gets: plain, in slices, in rungs. */
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "sweep/run/advance.h"
#include "sweep/run/controller.h"
#include "sweep/run/until.h"
#include <math.h>
#include <stdint.h>
#include <stdio.h>

static bool may_start(const struct ctl_trial *t, double now)
{
    return (t->state == TRIAL_waiting || t->state == TRIAL_preempted) && !t->started &&
           !t->held && now >= t->not_before;
}

/* --- plain and in slices --- */

/* Slices that are done: the largest k with ceil(updates * k / slices) <= reached. */
static int64_t slices_done(const struct controller *c, const struct ctl_trial *t)
{
    return t->t->updates > 0 ? t->reached * c->advance.slices / t->t->updates : 0;
}

static int64_t slice_end(const struct controller *c, const struct ctl_trial *t)
{
    const int64_t n = c->advance.slices, k = slices_done(c, t) + 1;
    return k >= n || t->t->updates <= 0 ? 0 : (t->t->updates * k + n - 1) / n;
}

/* Least far first, then tried least often (as store_claim does), then the plan's
 * order. */
static struct ctl_trial *next_waiting(struct controller *c)
{
    struct ctl_trial *best = NULL;
    int64_t best_done = 0;
    const double now = clock_mono_s();
    const bool sliced = c->advance.slices > 1;
    for (size_t i = 0; i < c->count; i++) {
        struct ctl_trial *t = &c->trials[i];
        if (!may_start(t, now))
            continue;
        const int64_t done = sliced ? slices_done(c, t) : t->attempts;
        if (!best || done < best_done) {
            best = t;
            best_done = done;
        }
    }
    if (best) {
        best->until = sliced ? slice_end(c, best) : 0;
        best->evaluate = c->advance.sampler != NULL; /* which has to see something */
    }
    return best;
}

/* --- rungs --- */

static int64_t steps_of(const struct controller *c, const struct ctl_trial *t)
{
    int64_t steps;
    const int64_t target = c->advance.groups[t->group].target;
    return __builtin_mul_overflow(target, advance_unit(c, t), &steps) ? INT64_MAX : steps;
}

/* The last rung is the trial's own end, and so is one beyond it. */
static int64_t rung_end(const struct controller *c, const struct ctl_trial *t)
{
    const struct pruner *p = &c->advance.pruner;
    const int64_t steps = steps_of(c, t);
    int rungs,
        rung = p->rule->rung_of(p, t->group, c->advance.groups[t->group].target, &rungs);
    return rung + 1 >= rungs || steps >= t->t->updates ? 0 : steps;
}

static bool is_on_its_way(const struct controller *c, const struct ctl_trial *t)
{
    return c->advance.groups[t->group].target > 0 && !t->held &&
           !trial_state_is_final(t->state) &&
           (rung_end(c, t) == 0 || t->reached < steps_of(c, t));
}

/* Among those on their way, the farthest sent first. */
static struct ctl_trial *next_on_its_way(struct controller *c)
{
    struct ctl_trial *best = NULL;
    const double now = clock_mono_s();
    const struct ctl_group *groups = c->advance.groups;
    for (size_t i = 0; i < c->count; i++) {
        struct ctl_trial *t = &c->trials[i];
        if (may_start(t, now) && is_on_its_way(c, t) &&
            (!best || groups[t->group].target > groups[best->group].target))
            best = t;
    }
    if (best) {
        best->until = rung_end(c, best);
        best->evaluate = true;
    }
    return best;
}

static struct ctl_group *next_new_group(struct controller *c)
{
    for (size_t i = 0; i < c->advance.group_count; i++) {
        struct ctl_group *g = &c->advance.groups[i];
        if (g->target == 0 && !trial_state_is_final(c->trials[g->first].state))
            return g;
    }
    return NULL;
}

/* Asks the rule once. 1: it has sent something, 0: it waits. */
static int ask_rule(struct controller *c)
{
    struct advance *a = &c->advance;
    struct ctl_group *fresh = next_new_group(c);
    if (!fresh && a->sampler && !a->exhausted) {
        int rc = advance_suggest(c);
        if (rc < 0)
            return rc;
        fresh = next_new_group(c);
    }
    struct pruner_move move;
    struct curve *curves = advance_curves(c);
    pruner_next(&a->pruner, curves, a->group_count, !fresh, &move);
    advance_free_curves(curves, a->group_count);
    if (move.action == PRUNER_RUN)
        a->groups[move.index].target = move.resource;
    else if (move.action == PRUNER_START && fresh)
        fresh->target = move.resource;
    else
        a->changed = false;
    return a->changed;
}

static int next_by_rungs(struct controller *c, struct ctl_trial **out)
{
    int rc = 1;
    while (!(*out = next_on_its_way(c)) && c->advance.changed && rc > 0)
        rc = ask_rule(c);
    return rc < 0 ? rc : 0;
}

/* --- both --- */

static bool in_rungs(const struct controller *c)
{
    return c->advance.with_rule && c->advance.pruner.rule->promotes;
}

/* A sampler has more to say, and a place for it. In slices a new configuration is the
 * least far, so it comes before all that have begun, and learns from where they are;
 * without a number of configurations it would never come to an end. */
static bool wants_suggestion(const struct controller *c, const struct ctl_trial *next)
{
    const struct advance *a = &c->advance;
    if (!a->sampler || a->exhausted)
        return false;
    return !next || (a->slices > 1 && a->groups_max != SIZE_MAX && slices_done(c, next));
}

int advance_next(struct controller *c, struct ctl_trial **out)
{
    int rc = 1;
    if (in_rungs(c))
        return next_by_rungs(c, out);
    while (wants_suggestion(c, *out = next_waiting(c)) && rc > 0)
        rc = advance_suggest(c);
    return rc < 0 ? rc : 0;
}

/* A list of configurations ends, so a rule made for an endless stream may leave all of
 * them at some rung. Then the best of the highest one goes on to its end. */
static bool send_best_on(struct controller *c)
{
    struct advance *a = &c->advance;
    const double sign = c->file->maximize ? -1 : 1;
    struct curve *curves = advance_curves(c);
    size_t best = SIZE_MAX;
    double best_value = NAN;
    bool complete = false;
    for (size_t i = 0; i < a->group_count; i++) {
        const struct curve *r = &curves[i];
        const double value = sign * curve_at(r, r->reached);
        complete |= r->state == CURVE_COMPLETE;
        if (r->state != CURVE_WAITING || r->reached == 0 || isnan(value) ||
            (best != SIZE_MAX &&
             (r->reached < curves[best].reached ||
              (r->reached == curves[best].reached && value >= best_value))))
            continue;
        best = i;
        best_value = value;
    }
    advance_free_curves(curves, a->group_count);
    if (complete || best == SIZE_MAX)
        return false;
    a->groups[best].target = a->pruner.s.max;
    return true;
}

static bool is_left_for_later(const struct ctl_trial *t)
{
    return t->not_before == INFINITY;
}

/* Nothing runs and the rule has nothing to send: those parked at a rung end there. */
static int settle_rungs(struct controller *c)
{
    if (!in_rungs(c) || c->advance.changed)
        return c->advance.sampler && !c->advance.exhausted;
    for (size_t i = 0; i < c->count; i++)
        if (c->trials[i].state == TRIAL_running ||
            (is_on_its_way(c, &c->trials[i]) && !is_left_for_later(&c->trials[i])))
            return 1;
    if (send_best_on(c))
        return 1;
    for (size_t i = 0; i < c->count; i++) {
        const struct ctl_trial *t = &c->trials[i];
        char reason[160];
        if (trial_state_is_final(t->state) || is_left_for_later(t) || t->held ||
            c->advance.groups[t->group].target == 0)
            continue;
        snprintf(reason, sizeof reason,
                 "%s: not among the best 1/%lld after %lld updates",
                 c->file->early_terminate, (long long)c->advance.pruner.s.eta,
                 (long long)t->reached);
        int rc = store_trial_end(c->store, t->id, TRIAL_pruned, reason, c->err);
        if (rc < 0)
            return rc;
    }
    return controller_refresh(c);
}

int advance_settle(struct controller *c)
{
    int rc = settle_rungs(c);
    return rc ? rc : until_settle(c);
}
