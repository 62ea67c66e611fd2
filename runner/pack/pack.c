/* runner/pack/pack.c - see pack.h. Tickets keep the turns in order. */
#include "runner/pack/pack.h"
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include <pthread.h>
#include <stdlib.h>

struct turn {
    void *memory;
    size_t bytes;
    bool taken;
};

struct shared_weight {
    char *key;
    struct cache_entry entry;
    int users;
};

struct pack {
    pthread_mutex_t lock; /* of all but weights */
    pthread_cond_t moved; /* a turn was given back, or the next ticket is served */
    struct turn *turns;
    int turn_count, taken;
    bool closed; /* who has the only turn */
    uint64_t next_ticket, serving;
    int members;

    pthread_mutex_t making; /* of weights; held while one is made */
    struct shared_weight *weights;
    size_t weight_count, weight_cap;
};

struct pack *pack_new(void)
{
    struct pack *p = xcalloc(1, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->making, NULL);
    pthread_cond_init(&p->moved, NULL);
    p->turn_count = pool_size();
    p->turns = xcalloc((size_t)p->turn_count, sizeof *p->turns);
    return p;
}

void pack_free(struct pack *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->turn_count; i++)
        mem_free_aligned(p->turns[i].memory);
    free(p->turns);
    free(p->weights);
    pthread_cond_destroy(&p->moved);
    pthread_mutex_destroy(&p->making);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void pack_sit(struct pack_seat *seat, struct pack *pack)
{
    *seat = (struct pack_seat){.pack = pack, .turn = -1};
    if (!pack)
        return;
    pthread_mutex_lock(&pack->lock);
    seat->most = ++pack->members;
    pthread_mutex_unlock(&pack->lock);
}

/* Turns that nobody will need soon hold no memory. */
static void trim(struct pack *p)
{
    int held = 0;
    for (int i = 0; i < p->turn_count; i++) {
        struct turn *t = &p->turns[i];
        held += t->taken;
        if (t->taken || ++held <= p->members)
            continue;
        mem_free_aligned(t->memory);
        *t = (struct turn){NULL, 0, false};
    }
}

void pack_rise(struct pack_seat *seat)
{
    struct pack *p = seat->pack;
    if (!p)
        return;
    pack_turn_give(seat);
    pthread_mutex_lock(&p->lock);
    p->members--;
    trim(p);
    pthread_mutex_unlock(&p->lock);
    seat->pack = NULL;
}

/* --- turns --- */

/* One that has enough memory, else the largest: it has least to grow. */
static int find_turn(const struct pack *p, size_t bytes)
{
    int best = -1;
    for (int i = 0; i < p->turn_count; i++) {
        const struct turn *t = &p->turns[i];
        if (t->taken)
            continue;
        const bool fits = t->bytes >= bytes;
        if (best < 0 ||
            (fits ? p->turns[best].bytes < bytes || t->bytes < p->turns[best].bytes
                  : t->bytes > p->turns[best].bytes))
            best = i;
    }
    return best;
}

static int grow(struct turn *t, size_t bytes, struct err *err)
{
    char text[32];
    if (t->bytes >= bytes)
        return 0;
    mem_free_aligned(t->memory);
    t->memory = mem_try_aligned(bytes);
    t->bytes = t->memory ? bytes : 0;
    return t->memory ? 0
                     : err_set(err, ERR_NOMEM, "no %s for activations",
                               str_bytes(text, sizeof text, (double)bytes));
}

int pack_turn_take(struct pack_seat *seat, size_t bytes, bool only, void **memory,
                   struct err *err)
{
    struct pack *p = seat->pack;
    const double asked = clock_mono_s();
    pthread_mutex_lock(&p->lock);
    const uint64_t ticket = p->next_ticket++;
    while (ticket != p->serving || p->closed || p->taken == p->turn_count ||
           (only && p->taken))
        pthread_cond_wait(&p->moved, &p->lock);
    p->serving++;
    const int at = find_turn(p, bytes);
    const int rc = grow(&p->turns[at], bytes, err);
    if (!rc) {
        p->turns[at].taken = true;
        p->taken++;
        p->closed = only;
        seat->turn = at;
        seat->most = p->members > seat->most ? p->members : seat->most;
        *memory = p->turns[at].memory;
        pool_alone(!only && p->members >= p->turn_count);
    }
    pthread_cond_broadcast(&p->moved);
    pthread_mutex_unlock(&p->lock);
    seat->waited_s += clock_mono_s() - asked;
    return rc;
}

void pack_turn_give(struct pack_seat *seat)
{
    struct pack *p = seat->pack;
    if (!p || seat->turn < 0)
        return;
    pthread_mutex_lock(&p->lock);
    p->turns[seat->turn].taken = false;
    p->taken--;
    p->closed = false;
    seat->turn = -1;
    pthread_cond_broadcast(&p->moved);
    pthread_mutex_unlock(&p->lock);
    pool_alone(false);
}

/* --- weights --- */

static struct shared_weight *find_weight(struct pack *p, const char *key)
{
    for (size_t i = 0; i < p->weight_count; i++)
        if (str_eq(p->weights[i].key, key))
            return &p->weights[i];
    return NULL;
}

int pack_weight_take(struct pack *p, const char *key, pack_make_fn *make, void *ctx,
                     struct cache_entry *out, struct err *err)
{
    int rc = 0;
    pthread_mutex_lock(&p->making);
    struct shared_weight *w = find_weight(p, key);
    if (!w) {
        struct shared_weight made = {.users = 0};
        rc = make(ctx, &made.entry, err);
        if (!rc) {
            made.key = xstrdup(key);
            p->weights =
                xgrow(p->weights, &p->weight_cap, p->weight_count + 1, sizeof made);
            w = &p->weights[p->weight_count++];
            *w = made;
        }
    }
    if (w) {
        w->users++;
        *out = w->entry;
    }
    pthread_mutex_unlock(&p->making);
    return rc;
}

void pack_weight_drop(struct pack *p, const char *key)
{
    pthread_mutex_lock(&p->making);
    struct shared_weight *w = find_weight(p, key);
    if (w && --w->users == 0) {
        cache_entry_release(&w->entry);
        free(w->key);
        *w = p->weights[--p->weight_count];
    }
    pthread_mutex_unlock(&p->making);
}

struct pack_bytes pack_bytes(struct pack *p)
{
    struct pack_bytes b = {0, 0};
    pthread_mutex_lock(&p->making);
    for (size_t i = 0; i < p->weight_count; i++)
        b.weights += p->weights[i].entry.bytes;
    pthread_mutex_unlock(&p->making);
    pthread_mutex_lock(&p->lock);
    for (int i = 0; i < p->turn_count; i++)
        b.turns += p->turns[i].bytes;
    pthread_mutex_unlock(&p->lock);
    return b;
}
