/* tracker/claims/attend.h - whether somebody runs a sweep: who does so holds a lock as long as
 * he lives, and who watches asks for it.
 *
 * The lock is one byte of "FILE-lock" per sweep, shared (several controllers may run one
 * sweep), and of the open file (F_OFD_SETLK), so that it ends with the store's connection or
 * its process, however that ends, and nothing is left behind. */
#ifndef TRACKER_CLAIMS_ATTEND_H
#define TRACKER_CLAIMS_ATTEND_H

#include "tracker/store/store.h"

/* Until the store is closed. Where it cannot be locked nobody hears of it. */
void store_attend(struct store *s, int64_t sweep);
bool store_is_attended(const struct store *s, int64_t sweep);

#endif
