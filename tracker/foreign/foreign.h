/* tracker/foreign/foreign.h - trials out of the files of other trackers.
 *
 * A format is a row of formats.def: its name, `is` (does this path look like it? by names
 * and first bytes, never by reading all of it), and `read`, which fills a struct
 * foreign_run (tracker/foreign/foreign_run.h) for each run it finds and hands it to
 * foreign_give. That makes an object of tracker/exchange/exchange.h of it, so that
 * import_object stays the only way into the store: idempotent, and all of a path or nothing.
 *
 * What cannot come along (media, histograms, readings of the machine) is counted by
 * foreign_left_out, for one message when all is done. A run that somebody is writing
 * just now is left out too (found_is_growing) unless it is wanted as far as it has come. Damage is counted
 * the same way: what can be read is taken.
 *
 * Files come from elsewhere: a reader checks lengths before it believes them, and errors
 * name the file. */
#ifndef TRACKER_FOREIGN_FOREIGN_H
#define TRACKER_FOREIGN_FOREIGN_H

#include "tracker/exchange/exchange.h"

enum { FOREIGN_MAX_RUNS = 1 << 16 }; /* of one path */

/* One import. left_out: {what: how many}, in the order of their first appearance. */
struct foreign {
    struct import *in;
    const char *experiment; /* that all trials join; NULL: as the source says */
    json_t *left_out;
    bool running; /* runs that go on are wanted too (foreign_goes_on) */
};
void foreign_left_out(struct foreign *f, const char *what, size_t count);

struct foreign_format {
    const char *name;
    bool (*is)(const char *path);
    int (*read)(struct foreign *f, const char *path, struct err *err);
};
/* foreign_is_ID and foreign_read_ID of each row */
#define FOREIGN(id, name, what)                                                          \
    bool foreign_is_##id(const char *path);                                              \
    int foreign_read_##id(struct foreign *f, const char *path, struct err *err);
#include "tracker/foreign/formats.def"
#undef FOREIGN

const struct foreign_format *foreign_find(const char *name); /* NULL: none */
const struct foreign_format *foreign_look(const char *path); /* by `is`; NULL: none */

#endif
