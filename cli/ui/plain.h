/* cli/ui/plain.h - what the page says without a script: the lists of experiments and
 * sweeps, the trials of one, a trial; with links between them (/plain?sweep=3). */
#ifndef CLI_UI_PLAIN_H
#define CLI_UI_PLAIN_H

#include "report/page/html.h"
#include "tracker/store/store.h"

/* The first that is not 0 is shown, else all. */
struct plain_query {
    int64_t trial, sweep, experiment;
};

int plain_write(struct store *s, const struct plain_query *q, struct html *out,
                struct err *err);

#endif
