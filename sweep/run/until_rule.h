/* sweep/run/until_rule.h - which configurations get a further seed, and when the question
 * is decided: the rule of `until`, without store and processes.
 *
 * It goes in rounds. A look is made when everything that was sent has ended; it sees the
 * scores of all complete trials and says "reached", or which configurations get one seed
 * more. So what is decided depends on scores alone: not on the number of workers, not on
 * who finishes first, and a sweep that was killed comes to the same by looking again from
 * the first round.
 *
 * Scores are taken as mean of the configuration + noise of one variance for all (pooled over
 * all, seeds count as noise). What is asked for:
 *   regret    expected regret of the best mean below `limit` (lib/stats/regret.h)
 *   chance    chance to lose more than `delta` below `limit`
 *   decided   every other configuration is worse than the best, or no more than delta
 *             apart from it, by Tukey and Kramer's intervals over all pairs. Look number
 *             l is made at level .05 / (l (l + 1)), which over all looks adds up to .05:
 *             the verdict holds however often it was looked.
 * Expected regret and chance are statements about the present posterior and need no such
 * correction (docs/sweep-file.md has what they are worth in simulation).
 *
 * Who gets a seed: the best mean, and each that is less than UNTIL_REACH standard errors
 * of the difference behind it, as long as it has seeds left. The others are dropped, but
 * come back if the best falls. For `decided` all get one that are neither shown worse nor
 * close enough: of those dropped it would never be shown. With 1 instead of 0.5 a lead of one s.d. among eight took
 * 25 trials instead of 22 for the same regret; one seed at a time, for the best or its
 * likeliest rival, took 28 and as many looks, which leaves workers idle (make
 * simulate-until; docs/sweep-file.md has the table). */
#ifndef SWEEP_RUN_UNTIL_RULE_H
#define SWEEP_RUN_UNTIL_RULE_H

#include "sweep/file/sweep_file.h"
#include <stdbool.h>
#include <stddef.h>

#define UNTIL_FIRST 2 /* seeds of each in the first round */
#define UNTIL_REACH 0.5
#define UNTIL_LEVEL 0.05 /* of `decided`, over all looks */

struct until_arm {
    const double *x; /* scores of its complete trials, higher is better */
    size_t n;
    size_t left; /* seeds that were not sent yet */
    bool out;    /* failed or ended early: it gets nothing more and is not chosen */
};

struct until_look {
    bool reached;
    size_t best;             /* count: none has a score */
    double expected, chance; /* of taking it now; NaN: not to be had yet */
    double delta;            /* the one that was gone by */
    size_t send_count; /* arms that get one seed more; none and not reached: spent */
};

/* `look` counts from 1; send[count] is filled. A NaN among scores takes its arm out. */
void until_look_at(const struct sweep_until *rule, const struct until_arm *arms,
                   size_t count, size_t look, bool minimize, size_t *send,
                   struct until_look *out);

#endif
