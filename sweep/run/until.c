/* sweep/run/until.c - see until.h. */
#include "sweep/run/until.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/run/controller.h"
#include "sweep/run/until_rule.h"
#include <math.h>
#include <stdlib.h>

int until_open(struct controller *c)
{
    const struct sweep_file *f = c->file;
    if (f->until.goal && c->advance.sampler)
        return sweep_file_error(f, "until", c->err,
                                "method %s adds configurations as results come, until "
                                "decides among those that are there; use one of them",
                                f->method);
    return 0;
}

bool until_holds(const struct controller *c, const struct ctl_group *g)
{
    return c->file->until.goal && g->released >= UNTIL_FIRST;
}

size_t until_held(const struct controller *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++)
        n += c->trials[i].held;
    return n;
}

/* --- what a look sees --- */

/* Whether seeds of it ended early or in a way that is its own fault. */
static bool is_out(const struct controller *c, const struct ctl_group *g)
{
    size_t lost = 0, count = 0;
    for (size_t i = g->first; i != SIZE_MAX; i = c->trials[i].next_seed) {
        const enum trial_state s = c->trials[i].state;
        if (s == TRIAL_pruned || s == TRIAL_nan || s == TRIAL_oom)
            return true;
        lost += s != TRIAL_complete;
        count++;
    }
    return g->stopped || 2 * lost > count;
}

static void arm_of(const struct controller *c, const struct ctl_group *g,
                   struct until_arm *arm)
{
    const double sign = c->file->maximize ? 1 : -1;
    double *x = NULL;
    size_t cap = 0;
    *arm = (struct until_arm){.out = is_out(c, g)};
    for (size_t i = g->first; i != SIZE_MAX; i = c->trials[i].next_seed) {
        const struct ctl_trial *t = &c->trials[i];
        if (t->state != TRIAL_complete || !t->values)
            continue;
        x = xgrow(x, &cap, arm->n + 1, sizeof *x);
        x[arm->n++] = sign * t->values[0];
    }
    for (size_t i = g->held; i != SIZE_MAX; i = c->trials[i].next_seed)
        arm->left++;
    arm->x = x;
}

static bool all_ended(const struct controller *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (!c->trials[i].held && !trial_state_is_final(c->trials[i].state))
            return false;
    return true;
}

/* --- what comes of it --- */

/* The next seed of a group joins its others. */
static int release(struct controller *c, size_t group)
{
    struct ctl_group *g = &c->advance.groups[group];
    struct ctl_trial *t = &c->trials[g->held];
    const size_t index = g->held;
    g->held = t->next_seed;
    t->next_seed = SIZE_MAX;
    t->held = false;
    c->trials[g->last].next_seed = index;
    g->last = index;
    g->released++;
    c->advance.changed = true;
    if (t->state == TRIAL_spared) {
        t->state = TRIAL_waiting;
        return store_unspare(c->store, c->sweep, c->err);
    }
    if (trial_state_is_final(t->state)) { /* by an earlier controller */
        c->done += !t->known_final;
        c->done_before += !t->known_final;
        t->known_final = true;
    }
    return 0;
}

static void say_goal(const struct sweep_file *f, double delta, struct buf *out)
{
    if (f->until.goal == UNTIL_REGRET)
        buf_printf(out, "until regret %g", f->until.limit);
    else if (f->until.goal == UNTIL_CHANCE)
        buf_printf(out, "until chance %g to lose more than %g", f->until.limit, delta);
    else
        buf_printf(out, "until decided (differences up to %g do not matter)", delta);
}

static void say_best(struct controller *c, const struct until_look *l, struct buf *out)
{
    if (l->best >= c->advance.group_count) {
        buf_printf(out, "no trial has %s", c->file->metric);
        return;
    }
    const struct ctl_group *g = &c->advance.groups[l->best];
    const bool seeds = c->labels.seeds;
    c->labels.seeds = false;
    buf_str_add(out, "take ");
    sweep_label(&c->labels, c->trials[g->first].t->params, 0, out);
    c->labels.seeds = seeds;
    if (isfinite(l->expected))
        buf_printf(out, ", expected regret %.2g", l->expected);
    if (isfinite(l->chance))
        buf_printf(out, ", chance to lose more than %g: %.2g %%", l->delta,
                   100 * l->chance);
}

/* What was held is spared; what an earlier, wider sweep had begun of it is left. */
static int end_here(struct controller *c, const struct until_look *l)
{
    struct advance *a = &c->advance;
    struct buf text = BUF_INIT;
    say_goal(c->file, l->delta, &text);
    buf_printf(&text, ": %s after %zu trials of at most %zu, %zu look%s; ",
               l->reached ? "reached" : "not reached with these seeds",
               c->count - until_held(c), c->count, a->looks, a->looks == 1 ? "" : "s");
    say_best(c, l, &text);
    a->said = buf_detach(&text, NULL);
    int rc = store_spare(c->store, c->sweep, a->said, c->err);
    if (rc >= 0)
        rc = controller_refresh(c);
    for (size_t i = 0; i < c->count; i++)
        if (c->trials[i].held)
            c->trials[i].not_before = INFINITY;
    return rc < 0 ? rc : 0;
}

static void tell_look(struct controller *c, const struct until_look *l)
{
    struct buf line = BUF_INIT;
    buf_printf(&line, "look %zu, after %zu trials: ", c->advance.looks,
               c->count - until_held(c) - l->send_count);
    say_best(c, l, &line);
    buf_printf(&line, "; %zu further", l->send_count);
    progress_note(c->progress, buf_str(&line));
    buf_release(&line);
}

/* 1: more was released, 0: the end. */
static int look(struct controller *c)
{
    struct advance *a = &c->advance;
    const size_t count = a->group_count;
    struct until_arm *arms = xcalloc(count + 1, sizeof *arms);
    size_t *send = xcalloc(count + 1, sizeof *send);
    struct until_look l;
    int rc = 0;
    for (size_t i = 0; i < count; i++)
        arm_of(c, &a->groups[i], &arms[i]);
    until_look_at(&c->file->until, arms, count, ++a->looks, !c->file->maximize, send, &l);
    for (size_t i = 0; i < l.send_count && rc >= 0; i++)
        rc = release(c, send[i]);
    if (rc >= 0 && l.send_count && !all_ended(c)) {
        tell_look(c, &l);
        rc = controller_refresh(c);
    }
    if (rc >= 0)
        rc = l.send_count ? 1 : end_here(c, &l);
    for (size_t i = 0; i < count; i++)
        free((double *)arms[i].x);
    free(arms);
    free(send);
    return rc;
}

int until_settle(struct controller *c)
{
    int rc = 0;
    if (!c->file->until.goal || c->advance.said)
        return 0;
    if (!all_ended(c))
        return 1;
    while (all_ended(c) && !c->advance.said && rc >= 0)
        rc = look(c);
    return rc;
}
