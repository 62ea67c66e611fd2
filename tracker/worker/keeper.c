/* tracker/worker/keeper.c - see keeper.h. */
#include "tracker/worker/keeper.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "tracker/store/store.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { MIN_PAUSE_MS = 100 };

struct keeper {
    pthread_t thread;
    bool started;
    char *path;
    int64_t run, lease_ms;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;  /* CLOCK_MONOTONIC */
    bool end;
    double last_sign_s;
};

/* Waits for the next beat. False: the end has come, or the trainer hangs. */
static bool wait_for_beat(struct keeper *k)
{
    int64_t pause = k->lease_ms / 3 > MIN_PAUSE_MS ? k->lease_ms / 3 : MIN_PAUSE_MS;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(pause % 1000) * 1000000;
    until.tv_sec += pause / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&k->lock);
    int rc = 0;
    while (!k->end && rc == 0)
        rc = pthread_cond_timedwait(&k->wake, &k->lock, &until);
    bool go_on = !k->end && clock_mono_s() - k->last_sign_s < KEEPER_PATIENCE_S;
    pthread_mutex_unlock(&k->lock);
    return go_on;
}

static void *keep(void *arg)
{
    struct keeper *k = arg;
    struct store *s = NULL;
    while (wait_for_beat(k))
        if (s || store_open(k->path, 0, &s, NULL) == 0)
            store_heartbeat(s, k->run, k->lease_ms, NULL, NULL);
    store_close(s);
    return NULL;
}

struct keeper *keeper_new(const char *store_path, int64_t run, int64_t lease_ms)
{
    struct keeper *k = xcalloc(1, sizeof *k);
    pthread_condattr_t attr;
    sigset_t all, before;
    k->path = xstrdup(store_path);
    k->run = run;
    k->lease_ms = lease_ms;
    k->last_sign_s = clock_mono_s();
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&k->wake, &attr);
    pthread_condattr_destroy(&attr);
    sigfillset(&all); /* signals are the trainer's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    k->started = pthread_create(&k->thread, NULL, keep, k) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return k;
}

void keeper_sign(struct keeper *k)
{
    pthread_mutex_lock(&k->lock);
    k->last_sign_s = clock_mono_s();
    pthread_mutex_unlock(&k->lock);
}

void keeper_free(struct keeper *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&k->lock);
    k->end = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
    if (k->started)
        pthread_join(k->thread, NULL);
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->lock);
    free(k->path);
    free(k);
}
