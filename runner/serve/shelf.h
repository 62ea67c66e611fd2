/* runner/serve/shelf.h - the adapters that a served base knows by name.
 *
 * A name is registered with its folder, which is looked at when it is first asked for; from
 * then on the adapter is resident, until others need its room. Residents take so many bytes
 * at most: what was used longest ago is closed first, unless it is pinned or a request for
 * it is not answered yet. A folder that cannot be opened says why at each request.
 *
 * Names are registered and forgotten by any thread (the lock is the shelf's own); taking and
 * closing residents is for the thread that runs batches. */
#ifndef RUNNER_SERVE_SHELF_H
#define RUNNER_SERVE_SHELF_H

#include "runner/serve/base.h"
#include <pthread.h>

struct shelf_entry {
    char *name, *dir;
    bool pinned, gone; /* gone: forgotten, there until nobody waits for it */
    bool pooled;       /* for vectors of texts; nobody's name (shelf_want_pooled) */
    double limit_s;    /* of requests that say none (queue.h); 0: none */
    int waiting;       /* rows of requests that are not answered yet */
    bool resident;
    struct guest guest; /* where it is resident, ... */
    struct shelf_entry *older,
        *newer; /* ... and residents that were used before, behind */
};

struct shelf_counts {
    int64_t loads, evictions;
    double load_s; /* of all loads */
    size_t resident, resident_bytes, known;
};

struct shelf {
    struct serve_base *base;
    pthread_mutex_t lock;
    struct shelf_entry **entries;
    size_t count, cap;
    struct strmap *by_name; /* where in `entries`; -1: forgotten */
    bool some_gone;
    struct shelf_entry *oldest, *newest; /* residents */
    size_t max_bytes;                    /* 0: no limit */
    int64_t batch;
    struct shelf_counts counts;
};

void shelf_init(struct shelf *s, struct serve_base *base, size_t max_bytes);
void shelf_release(struct shelf *s);
/* ERR_CONFIG: the name is taken, or no name; ERR_NOINPUT: there is no such folder. */
int shelf_add(struct shelf *s, const char *name, const char *dir, bool pinned,
              struct err *err);
/* False, in both: there is none by that name. */
bool shelf_limit(struct shelf *s, const char *name, double limit_s);
bool shelf_forget(struct shelf *s, const char *name);
/* By name, for `rows` rows that wait from now on; NULL: there is none. shelf_done when
 * their request is answered. */
struct shelf_entry *shelf_want(struct shelf *s, const char *name, int rows);
/* The same adapter, NULL: the base alone, for vectors of texts (guest_open_pooled): a
 * resident of its own, that comes with the first who wants it. */
struct shelf_entry *shelf_want_pooled(struct shelf *s, const char *name, int rows);
void shelf_done(struct shelf *s, struct shelf_entry *e, int rows);
/* Names in the order of their registration; the caller's list of texts that are its own. */
char **shelf_names(struct shelf *s, size_t *count);
void shelf_count(struct shelf *s, struct shelf_counts *out);

/* --- for the thread that runs batches --- */
/* Makes it resident, and the one that was used last. *loaded: it was not. */
int shelf_take(struct shelf *s, struct shelf_entry *e, bool *loaded, struct err *err);
/* Behind a batch: closes what there is no room for, and what is forgotten. */
void shelf_tidy(struct shelf *s);

#endif
