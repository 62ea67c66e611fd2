/* lib/load/generator.h - sends what is planned to a target, and says how long it took.
 *
 * Open loop: each request at its intended time, whatever has become of those before.
 * Latency counts from the intended time, never from when the generator got round to it;
 * how late it was itself is recorded (sent - intended), so that a point at which the
 * generator was the bottleneck can be told and left out. Closed loop: so many clients,
 * each asking again once it is answered; it gives a capacity, never an answer about
 * latency under load.
 *
 * The target has the clock: a real one, or that of a simulated server, for which an hour
 * costs nothing and every run is the same. */
#ifndef LIB_LOAD_GENERATOR_H
#define LIB_LOAD_GENERATOR_H

#include "lib/load/schedule.h"
#include <stdbool.h>

struct load_record {
    double intended_s, sent_s, done_s; /* from the beginning; done_s is set last */
    double queue_s, run_s;             /* as the server says; NaN: it does not */
    double first_s;                    /* the first piece of an answer in pieces; NaN */
    uint32_t adapter, text;
    uint32_t tokens, pieces;      /* of the request; of the answer */
    bool done, ok, refused, cold; /* ok: answered; refused: it said no, in time */
};

struct load_target {
    double (*now)(struct load_target *t); /* seconds; monotonic */
    /* Never waits. The target sets the record's done, ok and the rest, by load_answer. */
    void (*send)(struct load_target *t, struct load_record *r);
    /* Lets answers come in until that time, or until there is one. */
    void (*wait)(struct load_target *t, double until_s);
    double begin_s; /* of the run, on its clock; the generator's */
    /* An open loop ends where a request waits for longer: the rate cannot be kept, and what
     * is not sent yet would only make it last. Those stay not done. 0: it does not. */
    double give_up_s;
};

/* In `wait` or by another thread (then it writes the record before its `done`). */
void load_answer(struct load_target *t, struct load_record *r, bool ok, bool refused);

/* A record for each planned request; after the last one answers are waited for drain_s at
 * most, what is open then stays not done. */
void load_open_loop(struct load_target *t, const struct planned_request *plan,
                    size_t count, double drain_s, struct load_record *records);
/* Clients in a circle over the plan's requests until `duration_s` is over; returns how many
 * records were used, of `most`. */
size_t load_closed_loop(struct load_target *t, const struct planned_request *plan,
                        size_t count, size_t clients, double duration_s,
                        struct load_record *records, size_t most);

#endif
