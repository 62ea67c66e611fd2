/* sweep/run/until.h - `until` in a running sweep: which seeds are held back, and what a
 * look at the results releases. The rule itself is in until_rule.h.
 *
 * All seeds that a configuration may get are trials of the store from the start. All but
 * the first UNTIL_FIRST of each are held: no free place gets them, and they do not count
 * in the configuration's curve. When all that is released has ended, a look is made; it
 * releases the next seed of some, or ends the sweep: then what was held is *spared*, a
 * state of its own, with the reason. Nothing of this is written down before: a new
 * controller makes the same looks at the same scores from the first round on (the scores
 * of a seed that was not released yet at that look are not seen), so it may be killed at
 * any time. What was spared and is released after all (the file asks for more now, or no
 * longer has `until`) waits again.
 *
 * With rungs or a stopping rule, a configuration that ended early with one of its seeds
 * gets no further ones. For sweep/run only. */
#ifndef SWEEP_RUN_UNTIL_H
#define SWEEP_RUN_UNTIL_H

#include <stdbool.h>
#include <stddef.h>

struct controller;
struct ctl_group;

/* Checks what goes with `until`. */
int until_open(struct controller *c);
/* Whether a further trial of the group is held back. */
bool until_holds(const struct controller *c, const struct ctl_group *g);
/* With nothing running: looks, as often as all that is released has ended. 1: more was
 * released, 0: the end. */
int until_settle(struct controller *c);
/* Trials that are held and not spared. */
size_t until_held(const struct controller *c);

#endif
