/* cli/ui/feed.h - who looks at the page hears what changes (server-sent events).
 *
 * A thread looks five times a second whether the store was written (for nothing, while
 * nobody writes), and where somebody listens, which trials and sweeps that changed
 * (tracker/live/changes.h). Each change has a number; answers of the API carry that of
 * the last one that was seen before they were made, so that a page knows whether what it
 * has is up to date.
 *
 *   id: N
 *   event: change
 *   data: {"change": N, "trials": [ids], "sweeps": [ids]}
 *
 * "all": true stands there where what changed is not known any more, or is too much.
 * Who comes back with Last-Event-ID (or since=N) gets what was missed. A comment every 15
 * seconds keeps connections open; a reader that is too slow is let go and comes back. */
#ifndef CLI_UI_FEED_H
#define CLI_UI_FEED_H

#include "lib/err.h"
#include "lib/net/server.h"
#include <stdint.h>

struct ui_feed;

int feed_start(struct ui_feed **out, const char *store, struct err *err);
int64_t feed_change(struct ui_feed *f);
/* Takes the call over. since below 0: from now on. */
void feed_listen(struct ui_feed *f, struct server_call *call, int64_t since);
/* Ends all streams; who asks afterwards is refused. */
void feed_stop(struct ui_feed *f);
void feed_free(struct ui_feed *f); /* stopped; NULL is fine */

#endif
