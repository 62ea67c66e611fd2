/* lib/load/simulate.h - a server of many adapters as an event simulation: what latency a
 * plan of requests would meet, without running anything.
 *
 * The server does what runner/serve/engine.h does: one batch at a time, each of what is
 * there when it begins, first come, first served, up to so many rows and tokens; `wait_s`
 * for company where asked. An adapter is loaded for the first batch that needs it, and
 * behind a batch those used longest ago give way, down to `slots`.
 *
 * How long a batch takes is drawn from batches that were measured: of those that the
 * fitted times hold to be closest one is chosen, and what it took beyond its own fit
 * is added to the fit of the batch at hand (a faster one scales it). So the spread, stalls too, is the machine's own,
 * and sizes in between are no problem. With no batches the fit alone counts.
 *
 * The same plan gives the same requests as a run that was measured, so the two can be
 * compared point by point; a fixed seed gives the same result each time. */
#ifndef LIB_LOAD_SIMULATE_H
#define LIB_LOAD_SIMULATE_H

#include "lib/load/batch_times.h"
#include "lib/load/generator.h"

struct simulated_server {
    struct batch_times times;
    const struct batch_seen *seen; /* NULL: none */
    size_t seen_count;
    int32_t max_rows, max_tokens;
    double wait_s;
    size_t slots;      /* most adapters that stay loaded; 0: all */
    size_t loaded;     /* adapters below this number are loaded at the beginning */
    double overhead_s; /* of each request, outside of queue and batch */
    uint64_t seed;
};

/* A record for each planned request, all answered. tokens: of each text. */
void load_simulate(const struct simulated_server *s, const struct planned_request *plan,
                   size_t count, const int32_t *tokens, struct load_record *records);

#endif
