/* lib/net/server_links.c - see server_links.h. */
#include "lib/net/server_links.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include <math.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

/* --- under the lock --- */

static void take_off(struct server_links *l, struct server_link *k)
{
    if (!k->owes)
        return;
    *(k->before ? &k->before->after : &l->first) = k->after;
    *(k->after ? &k->after->before : &l->last) = k->before;
    k->owes = false;
    l->count--;
}

static void put_last(struct server_links *l, struct server_link *k)
{
    k->since_s = clock_mono_s();
    k->owes = true;
    k->before = l->last;
    k->after = NULL;
    *(l->last ? &l->last->after : &l->first) = k;
    l->last = k;
    l->count++;
}

static void cut_first(struct server_links *l)
{
    struct server_link *k = l->first;
    take_off(l, k);
    shutdown(k->fd, SHUT_RDWR);
}

/* --- the thread --- */

static void *watch(void *ctx)
{
    struct server_links *l = ctx;
    pthread_mutex_lock(&l->lock);
    while (!l->ends) {
        const double until = l->first ? l->first->since_s + l->limit_s : INFINITY;
        const struct timespec at = {(time_t)until, (long)((until - floor(until)) * 1e9)};
        if (!l->first)
            pthread_cond_wait(&l->changed, &l->lock);
        else if (until > clock_mono_s())
            pthread_cond_timedwait(&l->changed, &l->lock, &at);
        else
            cut_first(l);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

bool links_start(struct server_links *l, size_t most, double limit_s)
{
    pthread_condattr_t clock;
    *l = (struct server_links){.most = most, .limit_s = limit_s};
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &clock);
    pthread_condattr_destroy(&clock);
    return pthread_create(&l->thread, NULL, watch, l) == 0;
}

void links_stop(struct server_links *l)
{
    pthread_mutex_lock(&l->lock);
    l->ends = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
}

/* --- connections --- */

struct server_link *link_open(struct server_links *l, int fd)
{
    struct server_link *k = xcalloc(1, sizeof *k);
    k->fd = fd;
    link_owes(l, k);
    return k;
}

void link_close(struct server_links *l, struct server_link *k)
{
    link_paid(l, k);
    free(k);
}

void link_paid(struct server_links *l, struct server_link *k)
{
    pthread_mutex_lock(&l->lock);
    take_off(l, k);
    pthread_mutex_unlock(&l->lock);
}

void link_owes(struct server_links *l, struct server_link *k)
{
    pthread_mutex_lock(&l->lock);
    take_off(l, k);
    put_last(l, k);
    if (l->count > l->most)
        cut_first(l);
    if (l->count == 1)
        pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}
