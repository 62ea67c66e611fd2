/* tracker/view/served.h - what was measured of serving: the benches of a store, for those
 * that reckon with them (the report, advise).
 *
 * A bench holds for its base, methods, backend and machine, its `limit_ms` and its texts'
 * lengths. A setting says what a batch costs there:
 *
 *   seconds = fixed_s + token_s * tokens + row_s * rows + adapter_s * adapters
 *             + cold_s * cold
 *
 * (batch_times), up to which rate its limit is kept, and phi, that rate over the one of
 * the base alone. NaN: not known. Its batches as they ran (served_batches) are what an
 * event simulation draws from (lib/load/simulate.h); fewer than SERVED_DRAW_LEAST are too
 * few, and the fit counts. Only benches that came to their end are read, the newest first. */
#ifndef TRACKER_VIEW_SERVED_H
#define TRACKER_VIEW_SERVED_H

#include "tracker/store/benches.h"

enum { SERVED_DRAW_LEAST = 300 };

struct served {
    int64_t id, started_ms;
    const char *model, *target, *method, *backend, *machine; /* its row's */
    double limit_ms;
    const json_t *file, *environment; /* trees: its row's */
    struct bench_setting *settings;   /* in their order; owned, texts are the rows' */
    size_t setting_count;
    struct bench_point *points; /* in their order; owned, texts are the rows' */
    size_t point_count;
    json_t *row, *setting_rows, *point_rows; /* owned */
};

struct served_list {
    struct served *benches;
    size_t count;
};

/* model: as files name it (the last part of a path is enough); NULL: all. A store without
 * benches gives none. */
int served_read(struct store *s, const char *model, struct served_list *out,
                struct err *err);
void served_release(struct served_list *l);
/* What a batch costs in a setting. batches 0: not known. */
struct batch_times served_times(const struct bench_setting *x);
/* As they ran; the caller's. */
int served_batches(struct store *s, const struct served *b, int64_t setting,
                   struct batch_seen **out, size_t *count, struct err *err);

#endif
