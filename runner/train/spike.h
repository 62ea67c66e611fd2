/* runner/train/spike.h - what a loss spike is, and what is done about one (`loss_spike`).
 *
 * The loss of an update is a spike where it lies more than SPIKE_DEVIATIONS robust standard
 * deviations above the median of the losses before it: the median absolute deviation times
 * 1.4826, which neither an earlier spike nor a few hard batches move (Leys et al. 2013, "Do
 * not use standard deviation around the mean, use absolute deviation around the median").
 * A hundredth of the median is the least that is assumed, so that a flat course has no
 * spikes by rounding. Looked at are the last SPIKE_WINDOW updates that were applied, and
 * none is called before there are SPIKE_LEAST of them. A loss or gradient norm that is not
 * finite always is one. It is seen before the update is applied.
 *
 *   none       it is told as an event, and training goes on; what is not finite ends it
 *   stop       training ends as failed
 *   skip       this update is left out: parameters and moments stay
 *   halve      the learning rate is halved from this update on, which is applied (left out
 *              where it is not finite)
 *   rollback   parameters, moments and the method's state go back to the last good point
 *              and the rate is halved; updates are counted on, so the batches from there to
 *              the spike are not met again (PaLM, Chowdhery et al. 2022, 5.1: restarted
 *              before the spike, batches around it left out, no spike came again there)
 *
 * A good point is a copy in memory, made every SPIKE_GOOD_EVERY updates of parameters whose
 * own loss has just been seen and is no spike; it does not depend on checkpoints, which
 * hold it and all of this state. SPIKE_IN_A_ROW spikes one after the other are no accident
 * of a batch: they end the training as `stop` does. Whoever ends so keeps the adapter of
 * the last good point. */
#ifndef RUNNER_TRAIN_SPIKE_H
#define RUNNER_TRAIN_SPIKE_H

#include "lib/err.h"
#include "runner/train/trace.h"

enum {
    SPIKE_WINDOW = 32,
    SPIKE_LEAST = 8,
    SPIKE_DEVIATIONS = 6,
    SPIKE_GOOD_EVERY = 10,
    SPIKE_IN_A_ROW = 10
};

/* Plain numbers: a piece of every checkpoint. */
struct spike_state {
    double window[SPIKE_WINDOW]; /* losses of updates that were applied, as a ring */
    int64_t applied;             /* of all updates; what Adam counts by */
    int64_t looked_at;           /* losses that went into the window */
    int64_t in_a_row, count;     /* spikes */
    double factor;               /* of the learning rate */
    int64_t good_update, good_applied; /* of the good point; -1: there is none */
};

struct spike_action {
    const char *name; /* of the option's choices */
    bool ends, halves, applies, goes_back;
};
/* NULL where there is none of the name (or `name` is NULL). */
const struct spike_action *spike_action_find(const char *name);
/* Is anything done, so that good points are kept? */
bool spike_acts(const struct spike_action *a);
/* ERR_CONFIG where updates may be left out of a method that counts on each. */
int spike_fits(const struct spike_action *a, bool counts_on_each, const char *method,
               struct err *err);

struct spikes {
    const struct spike_action *action;
    struct spike_state state;
};

void spikes_init(struct spikes *s, const struct spike_action *action);
/* Fills the part of *log that is about a spike; true where it is one. */
bool spikes_see(struct spikes *s, struct update_log *log);
/* The update was applied. */
void spikes_applied(struct spikes *s, const struct update_log *log);
/* "loss 9.1 lies 21.3 robust deviations above 2.3, the median of ..." */
void spike_text(const struct update_log *log, char *out, size_t size);

#endif
