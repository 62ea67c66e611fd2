/* tracker/live/changes.h - which trials and sweeps have changed between two looks at a
 * store that others write.
 *
 * A look makes a fingerprint of every trial: state, attempts, newest run and its sign of
 * life, note, tags, and of a running one how far each of its series is. It takes a few
 * statements over all trials (some 20 ms for ten thousand), so ask live_version first,
 * which costs nothing: it changes whenever another connection has committed. */
#ifndef TRACKER_LIVE_CHANGES_H
#define TRACKER_LIVE_CHANGES_H

#include "lib/err.h"
#include "tracker/store/store.h"
#include <jansson.h>

/* Of this store's connection; negative: an error. */
int64_t live_version(struct store *s, struct err *err);

struct live_changes;
struct live_changes *live_changes_new(void);
void live_changes_free(struct live_changes *c);
/* {"trials": [ids], "sweeps": [ids]} that are new, gone or other than at the last look;
 * the first look finds nothing. NULL: an error, and the next look tells it all. */
json_t *live_changes_look(struct live_changes *c, struct store *s, struct err *err);

#endif
