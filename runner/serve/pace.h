/* runner/serve/pace.h - how long batches take, of late.
 *
 * A batch costs something by itself and something per token: seconds = a + b tokens, by
 * least squares over the batches that there were, where each counts a little less than the
 * one behind it. Neither is ever negative. While all batches had the same size the two
 * cannot be told apart, and time is in proportion to tokens. No clock is read here. */
#ifndef RUNNER_SERVE_PACE_H
#define RUNNER_SERVE_PACE_H

#include <stdint.h>

struct pace {
    double n, x, xx, y, xy; /* sums over batches; x: tokens, y: seconds */
};
void pace_note(struct pace *p, int64_t tokens, double seconds);
/* Seconds of so many tokens in so many batches; 0 while no batch was noted. */
double pace_of(const struct pace *p, double batches, int64_t tokens);

#endif
