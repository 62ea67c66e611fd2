/* sweep/run/controller.c - the loop of `sweep run`; controller.h tells its rule. */
#include "sweep/run/controller.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "sweep/pack.h"
#include "tracker/claims/attend.h"
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REST_MS               20
#define REFRESH_S             1.0
#define BUDGET_WAIT_S         0.25
#define STOP_GRACE_S          10.0
#define STARTS_WITHOUT_RESULT 4

/* All that runs, and `more`. In packs each process is taken to have a share of all. */
static int64_t bytes_with(const struct controller *c, const struct ctl_trial *more)
{
    const struct sweep_trial **all =
        xcalloc((size_t)c->child_count + 1, sizeof(struct sweep_trial *));
    int64_t sum = 0;
    size_t n = 0;
    for (int i = 0; i < c->child_count; i++)
        all[n++] = c->trials[c->children[i].trial].t;
    all[n++] = more->t;
    if (c->jobs > c->packs) {
        const struct pack_bytes_of b = sweep_pack_bytes(all, n, c->threads);
        sum = b.own + c->packs * (b.total - b.own);
    } else {
        for (size_t i = 0; i < n; i++)
            sum += sweep_alone_bytes(all[i]);
    }
    free(all);
    return sum;
}

static int refuse_too_large(struct controller *c, struct ctl_trial *t)
{
    char need[32], have[32], reason[160];
    snprintf(reason, sizeof reason, "needs %s, this machine allows %s: not started",
             str_bytes(need, sizeof need, (double)sweep_alone_bytes(t->t)),
             str_bytes(have, sizeof have, (double)c->memory_bytes));
    return controller_end_trial(c, t, TRIAL_oom, 71, reason);
}

static int start_child(struct controller *c, struct ctl_trial *t)
{
    char *dir = xasprintf("%s/trial-%lld", c->o->run_root, (long long)t->id);
    char *log = xasprintf("%s/output.log", dir);
    struct launch_job job = {.store = store_path(c->store),
                             .run_root = c->o->run_root,
                             .log = log,
                             .trial = t->id,
                             .until = t->until,
                             .evaluate = t->evaluate,
                             .threads = c->threads,
                             .packs = c->packs};
    struct ctl_child *child = &c->children[c->child_count];
    *child = (struct ctl_child){
        .trial = (size_t)(t - c->trials), .started = clock_mono_s(), .until = t->until};
    int rc = fs_mkdirs(dir, c->err);
    if (rc >= 0)
        rc = c->launcher->start(&job, child->handle, c->err);
    if (rc >= 0) {
        t->started = true;
        c->child_count++;
    }
    free(dir);
    free(log);
    return rc;
}

static void stop_starting(struct controller *c, const char *why)
{
    char line[BUDGET_WHY_MAX + 40];
    c->no_more = why;
    snprintf(line, sizeof line, "no further trials: %s", why);
    progress_note(c->progress, line);
}

/* The claim decides; asking before spares a child that could only end again. */
static int within_budget(struct controller *c, const struct ctl_trial *t)
{
    bool waits;
    if (clock_mono_s() < c->budget_wait)
        return 0;
    int rc =
        store_budget_allows(c->store, c->sweep, t->id, c->over_budget, &waits, c->err);
    if (rc == 0 && waits)
        c->budget_wait = clock_mono_s() + BUDGET_WAIT_S;
    else if (rc == 0)
        stop_starting(c, c->over_budget);
    return rc;
}

/* Fills the free places. A trial that does not fit beside the running ones waits for
 * them; the order is kept. */
static int start_more(struct controller *c)
{
    int rc = 0;
    while (rc >= 0 && !c->no_more && c->child_count < c->jobs) {
        struct ctl_trial *t;
        rc = advance_next(c, &t);
        if (rc < 0 || !t)
            break;
        rc = within_budget(c, t);
        if (rc <= 0)
            break;
        if (sweep_alone_bytes(t->t) > c->memory_bytes) {
            rc = refuse_too_large(c, t);
            if (rc >= 0)
                rc = controller_refresh(c);
        } else if (c->child_count && bytes_with(c, t) > c->memory_bytes) {
            break;
        } else {
            rc = start_child(c, t);
        }
    }
    return rc;
}

/* A child has ended and its trial has no final state: count it, and give up on a trial
 * whose children end again and again without one. */
static int ended_without_result(struct controller *c, struct ctl_trial *t,
                                const struct ctl_child *child, int status)
{
    char reason[256];
    if (child->timed_out) {
        snprintf(reason, sizeof reason, "stopped after budget.trial_timeout (%g s)",
                 c->file->trial_timeout_s);
        return controller_end_trial(c, t, TRIAL_timeout, status, reason);
    }
    if (child->stop_sent > 0 || t->state == TRIAL_running)
        return 0; /* we asked for it; or another controller's child has it */
    if (child->until && t->reached >= child->until) {
        t->starts = 0;
        return 0; /* parked */
    }
    if (t->state == TRIAL_preempted && !c->file->retry_preempted) {
        t->not_before = INFINITY; /* the next `run` goes on with it */
        return 0;
    }
    if (++t->starts >= STARTS_WITHOUT_RESULT + c->file->max_retries) {
        snprintf(reason, sizeof reason,
                 "%d processes ended without a result, the last with status %d; see "
                 "trial-%lld/output.log",
                 t->starts, status, (long long)t->id);
        return controller_end_trial(c, t, TRIAL_failed, status, reason);
    }
    t->not_before = clock_mono_s() + 0.25 * t->starts;
    return 0;
}

/* Asks after all children at once; states[i] is that of children[i]. */
static int look(struct controller *c)
{
    for (int i = 0; i < c->child_count; i++)
        c->states[i] = (struct launch_state){.handle = c->children[i].handle};
    return c->launcher->poll(c->states, (size_t)c->child_count, c->err);
}

static int child_ended(struct controller *c, const struct ctl_child *child, int status)
{
    struct ctl_trial *t = &c->trials[child->trial];
    t->started = false;
    t->spent_s += clock_mono_s() - child->started;
    int rc = controller_refresh(c);
    t = &c->trials[child->trial]; /* there may be more now */
    if (rc >= 0 && !trial_state_is_final(t->state)) {
        rc = ended_without_result(c, t, child, status);
        if (rc >= 0)
            rc = controller_refresh(c);
    }
    return rc;
}

static int poll_children(struct controller *c)
{
    const double now = clock_mono_s();
    if (!c->child_count || 1000 * (now - c->looked) < c->launcher->poll_ms)
        return 0;
    c->looked = now;
    int rc = look(c);
    /* From the end, since the last child moves into a place that gets free. */
    for (int i = c->child_count - 1; i >= 0 && rc >= 0; i--) {
        if (!c->states[i].ended)
            continue;
        const struct ctl_child child = c->children[i];
        c->children[i] = c->children[--c->child_count];
        rc = child_ended(c, &child, c->states[i].status);
    }
    return rc;
}

/* The store hears of it first, so that what is killed counts as stopped, not as lost. */
static void stop_child(struct controller *c, struct ctl_child *child, bool by_force)
{
    store_trial_stop(c->store, c->trials[child->trial].id, NULL);
    c->launcher->stop(child->handle, by_force);
    child->stop_sent = clock_mono_s();
}

static void stop_children(struct controller *c, bool by_force)
{
    for (int i = 0; i < c->child_count; i++)
        stop_child(c, &c->children[i], by_force);
}

/* Time limits of single trials; a child that does not end when asked is killed. */
static void check_times(struct controller *c)
{
    double now = clock_mono_s(), limit = c->file->trial_timeout_s;
    for (int i = 0; i < c->child_count; i++) {
        struct ctl_child *child = &c->children[i];
        const double spent = now - child->started + c->trials[child->trial].spent_s;
        if (limit > 0 && spent > limit && child->stop_sent == 0) {
            child->timed_out = true;
            stop_child(c, child, false);
        } else if (child->timed_out && now - child->stop_sent > STOP_GRACE_S) {
            stop_child(c, child, true);
        }
    }
}

static void tell_stopping(struct controller *c)
{
    struct buf line = BUF_INIT;
    buf_str_add(&line, "stopping");
    for (int i = 0; i < c->child_count; i++)
        buf_printf(
            &line, "%s%lld",
            i ? ", "
              : ": waiting for what runs to save and end (once more: kill it): trial ",
            (long long)c->trials[c->children[i].trial].id);
    progress_note(c->progress, buf_str(&line));
    buf_release(&line);
}

static void check_signals(struct controller *c)
{
    int last, count = proc_signals(&last);
    if (count == c->signals)
        return;
    bool first = c->signals == 0;
    c->signals = count;
    c->no_more = strsignal(last);
    if (first)
        tell_stopping(c);
    stop_children(c, !first);
}

static void tell_finished(struct controller *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (!c->trials[i].known_final && !c->trials[i].held &&
            trial_state_is_final(c->trials[i].state))
            controller_told(c, &c->trials[i]);
}

static void rest(void)
{
    struct timespec pause = {0, REST_MS * 1000000L};
    nanosleep(&pause, NULL);
}

static bool all_over(const struct controller *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (!c->trials[i].known_final && c->trials[i].not_before < INFINITY &&
            !(c->trials[i].held && trial_state_is_final(c->trials[i].state)))
            return false;
    return true;
}

/* Until every trial has a final state (or is left for another time), or nothing new may
 * start and the children have ended. Trials that run under another controller are waited
 * for: should that one die, they go on here. */
static int loop(struct controller *c)
{
    double shown = 0;
    for (;;) {
        int rc = poll_children(c);
        if (rc >= 0 && clock_mono_s() - c->refreshed > REFRESH_S)
            rc = controller_refresh(c);
        if (rc < 0)
            return rc;
        check_signals(c);
        tell_finished(c);
        if (c->stop_requested && !c->no_more)
            stop_starting(c, "asked to by 'sweep stop'");
        check_times(c);
        if (!c->child_count && c->no_more)
            return 0;
        rc = start_more(c);
        const int more = rc < 0 || c->child_count ? rc : advance_settle(c);
        if (rc >= 0 && !c->child_count && !more && all_over(c))
            return 0;
        rc = rc < 0 ? rc : more < 0 ? more : 0;
        if (rc < 0)
            return rc;
        if (clock_mono_s() - shown > 0.2) {
            controller_show(c);
            shown = clock_mono_s();
        }
        rest();
    }
}

/* After an error of our own: the children are asked to end and waited for, so that none
 * outlives the controller. */
static void end_children(struct controller *c)
{
    double asked = clock_mono_s();
    bool forced = false;
    stop_children(c, false);
    while (c->child_count) {
        if (!forced && clock_mono_s() - asked > STOP_GRACE_S) {
            stop_children(c, true);
            forced = true;
        }
        if (look(c) < 0)
            return;
        for (int i = c->child_count - 1; i >= 0; i--)
            if (c->states[i].ended)
                c->children[i] = c->children[--c->child_count];
        rest();
    }
}

static int check_runnable(const struct sweep_file *f, int pack, struct err *err)
{
    if (sweep_pack_check(f, pack, err) < 0)
        return err_code(err);
    if (!f->names_model && !f->drives_command)
        return sweep_file_error(f, "parameters", err,
                                "no 'model' among the parameters: nothing to train; add "
                                "model: {value: DIR}");
    if (!launcher_find(f->executor))
        return sweep_file_error(f, "executor.type", err,
                                "executor %s is not available yet; use local",
                                f->executor);
    return 0;
}

/* What starts now; and what the file asks for and this version does not do. */
static void tell_start(struct controller *c)
{
    const struct sweep_file *f = c->file;
    text_print(c->o->out, "sweep %lld '%s': %zu trials, %d at a time, ",
               (long long)c->sweep, controller_name(c), advance_total(c), c->jobs);
    if (c->jobs > c->packs) /* packs */
        text_print(c->o->out, "%d in a process, %d thread%s for each process\n",
                   c->jobs / c->packs, c->threads, c->threads == 1 ? "" : "s");
    else
        text_print(c->o->out, "%d thread%s each\n", c->threads,
                   c->threads == 1 ? "" : "s");
    sweep_plan_words(c->plan, c->advance.slices, c->o->out);
    sweep_pack_words(c->plan, c->o->pack, c->jobs / c->packs, c->threads, c->o->out);
    if (f->max_gpu_hours > 0 && !f->gpus)
        fprintf(c->o->out, "note: budget.max_gpu_hours limits nothing, since trials hold "
                           "no GPU (executor.gpus)\n");
    if (f->max_usd > 0 && f->gpus && !(f->usd_per_gpu_hour > 0))
        fprintf(c->o->out, "note: budget.max_usd limits nothing without "
                           "budget.usd_per_gpu_hour\n");
    if (c->done_before)
        fprintf(c->o->out, "going on: %zu of %zu trials are finished\n", c->done_before,
                advance_total(c));
    controller_note_command(c);
    fflush(c->o->out);
}

/* Processes, and trials in each. */
static void take_places(struct controller *c)
{
    const struct sweep_run_options *o = c->o;
    int threads;
    sweep_jobs(c->file, 1, &threads); /* of one process for all */
    const int pack = sweep_pack_choose(c->plan, o->pack, threads, c->memory_bytes);
    c->packs = sweep_jobs(c->file, o->jobs ? o->jobs : pack > 1, &c->threads);
    c->jobs = c->packs * pack;
    if (pack > 1)
        c->launcher = &launcher_pack;
    c->children = xcalloc((size_t)c->jobs, sizeof *c->children);
    c->states = xcalloc((size_t)c->jobs, sizeof *c->states);
}

static int begin(struct controller *c)
{
    int count = 0, rc = controller_check_identity(c);
    if (rc >= 0)
        rc = advance_open(c);
    if (rc >= 0)
        rc = controller_predict(c);
    if (rc >= 0)
        take_places(c);
    if (rc >= 0)
        rc = controller_add(c);
    if (rc >= 0) {
        store_attend(c->store, c->sweep);
        rc = advance_begin(c);
    }
    if (rc >= 0 && !c->file->until.goal)
        rc = store_unspare(c->store, c->sweep, c->err);
    if (rc >= 0 && c->o->retry_failed)
        rc = store_retry(c->store, c->sweep, &count, c->err);
    if (rc >= 0)
        rc = controller_refresh(c);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < c->count; i++)
        if (trial_state_is_final(c->trials[i].state) && !c->trials[i].held) {
            c->trials[i].known_final = true;
            c->done++;
        }
    c->done_before = c->done;
    tell_start(c);
    proc_catch_signals();
    c->progress = progress_new(c->o->out, "trials");
    return 0;
}

static int finish(struct controller *c)
{
    int last, rc = controller_refresh(c);
    progress_end(c->progress);
    c->progress = NULL;
    if (rc < 0)
        return rc;
    rc = controller_summary(c);
    if (rc && c->no_more)
        fprintf(c->o->out, "the same command goes on where this one stopped\n");
    if (c->signals && proc_signals(&last))
        return 128 + last;
    return rc;
}

int sweep_run(struct sweep_plan *plan, const struct sweep_hooks *hooks,
              struct store *store, const struct sweep_run_options *o, struct err *err)
{
    const struct sweep_file *f = plan->file;
    int rc = check_runnable(f, o->pack, err);
    if (rc < 0)
        return rc;
    struct controller c = {.plan = plan,
                           .hooks = hooks,
                           .file = f,
                           .o = o,
                           .store = store,
                           .err = err,
                           .launcher = launcher_find(f->executor),
                           .count = plan->count,
                           .began = clock_mono_s()};
    if (f->max_trials && (size_t)f->max_trials < c.count && !f->until.goal)
        c.count = (size_t)f->max_trials;
    c.memory_bytes = sweep_memory_bytes(f);
    sweep_labels_init(&c.labels, f, plan->space.combinations, plan->space.count,
                      f->seed_count > 1);
    rc = begin(&c);
    if (rc >= 0)
        rc = loop(&c);
    if (rc >= 0)
        rc = finish(&c);
    else
        end_children(&c);
    if (c.launcher->end)
        c.launcher->end();
    progress_end(c.progress);
    sweep_labels_release(&c.labels);
    advance_release(&c);
    free(c.trials);
    free(c.by_id);
    free(c.children);
    free(c.states);
    return rc;
}
