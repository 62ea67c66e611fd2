/* sweep/run/controller.h - the state of `sweep run`; for controller*.c only.
 *
 * The rule that keeps it safe: the controller never claims work. It picks a trial that
 * the store shows as waiting (or preempted) and starts a child for it; the child claims
 * that one trial itself, keeps its lease alive and writes its end. So there is no moment
 * at which a kill -9 loses anything:
 *  - of the controller before, during or after a start: the store does not know of it;
 *    the kernel sends SIGTERM to the children, which end as preempted, and the next
 *    `sweep run` goes on;
 *  - of a child before its claim: the trial is still waiting; after it: the run's owner
 *    is gone, store_reap says stale and the trial waits again, up to 1 + retry.max
 *    losses;
 *  - two controllers may start a child for the same trial: one claim wins, the other
 *    child ends with status 75 and nothing is lost but its start.
 *
 * Only to record what no child can (a trial that does not fit, one that ends again and
 * again without a result, a time limit) the controller claims and ends a run itself, in
 * two short transactions. If it dies between them, the run is reaped like any other. */
#ifndef SWEEP_RUN_CONTROLLER_H
#define SWEEP_RUN_CONTROLLER_H

#include "lib/text_table.h"
#include "sweep/launch/launch.h"
#include "sweep/run/advance.h"
#include "sweep/sweep.h"
#include "tracker/claims/budget.h"

struct ctl_trial {
    const struct sweep_trial *t;
    int64_t id;
    enum trial_state state;
    int attempts;
    int starts;        /* children of this controller that ended without a result */
    double not_before; /* monotonic; a pause after such an end */
    double spent_s;    /* in children of this controller that have ended */
    bool started;      /* a child of ours runs */
    bool known_final;  /* counted and told */
    bool held;         /* until.h: not to be started (yet) */

    /* advance*.c; steps are updates */
    int64_t reached, sent;   /* parked there; sent as far (INT64_MAX: to its end) */
    int64_t until;           /* of the run that starts next, 0: to its end */
    bool evaluate;           /* and evaluate before it parks */
    size_t group, next_seed; /* SIZE_MAX: the last seed */
    struct curve_point *points;
    size_t point_count, point_cap;
    double *values; /* complete: of the objectives */
    enum trial_state seen_state;
    int seen_attempts;
};

struct ctl_child {
    size_t trial;
    char handle[LAUNCH_HANDLE_MAX];
    double started;
    double share;     /* of its run's updates that is done; 0: not known */
    int64_t until;    /* 0: to the end */
    double stop_sent; /* 0: not asked to stop */
    bool timed_out;
};

struct controller {
    struct sweep_plan *plan;
    const struct sweep_hooks *hooks;
    const struct sweep_file *file;
    const struct sweep_run_options *o;
    const struct launcher *launcher;
    struct store *store;
    struct err *err;
    int64_t sweep;
    int jobs;             /* trials at a time */
    int packs, threads;   /* processes that they run in, and the threads of each */
    int64_t memory_bytes; /* for all children together */

    struct ctl_trial *trials; /* in the plan's order, later ones behind */
    size_t count, trial_cap;
    size_t *by_id; /* indices, ordered by id */
    size_t by_id_cap;
    int64_t experiment;
    struct advance advance;
    struct ctl_child *children;
    struct launch_state *states; /* of the children, as of the last look */
    int child_count;
    double looked;

    struct sweep_labels labels;
    struct progress *progress;
    size_t done, done_before; /* final states; those at the start */
    size_t failures;
    double began, refreshed;
    double seen_s, seen_predicted_s; /* of trials that ended here */
    char over_budget[BUDGET_WHY_MAX];
    double budget_wait;  /* nothing is started before; what runs has reserved the rest */
    const char *no_more; /* why nothing new is started; NULL: it is */
    bool stop_requested; /* `sweep stop` */
    bool metrics_looked_at; /* of the first trial that came through */
    int signals;
};

/* controller_store.c: what the store says, and what the controller writes there. */
const char *controller_name(const struct controller *c); /* of the sweep */
const char *controller_experiment(const struct controller *c);
int controller_predict(struct controller *c);
int controller_predict_one(struct controller *c, struct sweep_trial *t);
struct trial_row controller_row(const struct controller *c, const struct sweep_trial *t,
                                int64_t number);
struct ctl_trial *controller_find(struct controller *c, int64_t id); /* NULL: unknown */
void controller_append(struct controller *c, const struct ctl_trial *t);
int controller_add(struct controller *c);
int controller_refresh(struct controller *c);
int controller_end_trial(struct controller *c, struct ctl_trial *t,
                         enum trial_state state, int exit_code, const char *reason);
void controller_told(struct controller *c, struct ctl_trial *t);
void controller_show(struct controller *c);
int controller_summary(struct controller *c);

/* controller_notes.c: what should be heard early, by its name. */
/* A trial has ended: whether it has what the sweep is judged by. */
void controller_note_metrics(struct controller *c, const struct ctl_trial *t);
/* Whether what is finished came from the command that the file has now. */
void controller_note_command(struct controller *c);
/* identity.c: ERR_CONFIG where a complete trial was made from other data or another
 * model than there are now. */
int controller_check_identity(struct controller *c);

#endif
