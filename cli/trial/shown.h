/* cli/trial/shown.h - a training as somebody sees it who waits for it: a sink (tracker/worker/sink.h)
 * that hands everything on to another and shows what comes by.
 *
 * On a terminal a line with bar, loss, tokens/s, memory of the process and time left, which is
 * drawn again in place; elsewhere nothing. Evaluations are a line each, everywhere. */
#ifndef CLI_TRIAL_SHOWN_H
#define CLI_TRIAL_SHOWN_H

#include "tracker/worker/sink.h"
#include <stdio.h>

/* Takes `inner` over. */
struct sink *sink_shown(struct sink *inner, FILE *f);

#endif
