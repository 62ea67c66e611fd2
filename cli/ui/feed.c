/* cli/ui/feed.c - see feed.h. */
#include "cli/ui/feed.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "tracker/live/changes.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { KEPT = 256, MOST_IDS = 2000, MOST_LISTENERS = 256, MOST_MISSED = 1 << 18 };
#define LOOK_S 0.2
#define PING_S 15.0

struct ui_feed {
    struct store *store;
    struct live_changes *changes;
    bool based; /* the thread's: it has looked since somebody listens */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ends_now;
    bool ends, stopped;
    int64_t change;
    json_t *kept[KEPT]; /* by number modulo KEPT; NULL: not known */
    struct server_call *listeners[MOST_LISTENERS];
    size_t listener_count;
};

/* ---- events ---- */

static void put_event(struct buf *out, int64_t change, const json_t *what)
{
    json_t *data = what ? json_deep_copy(what)
                        : json_pack("{s:b, s:[], s:[]}", "all", 1, "trials", "sweeps");
    json_object_set_new(data, "change", json_integer(change));
    buf_printf(out, "id: %lld\nevent: change\ndata: ", (long long)change);
    json_write(out, data, 0);
    buf_str_add(out, "\n\n");
    json_decref(data);
}

/* Under the lock. Who does not take it is let go. */
static void send_all(struct ui_feed *f, const char *text, size_t size)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->listener_count; i++)
        if (server_stream_put(f->listeners[i], text, size))
            f->listeners[kept++] = f->listeners[i];
        else
            server_stream_end(f->listeners[i]);
    f->listener_count = kept;
}

/* Under the lock; what: NULL where it is not known. Taken over. */
static void add_change(struct ui_feed *f, json_t *what)
{
    struct buf text = BUF_INIT;
    json_t **place = &f->kept[++f->change % KEPT];
    json_decref(*place);
    *place = what;
    put_event(&text, f->change, what);
    send_all(f, buf_str(&text), text.len);
    buf_release(&text);
}

static bool is_nothing(const json_t *what)
{
    return !json_array_size(json_object_get(what, "trials")) &&
           !json_array_size(json_object_get(what, "sweeps"));
}

/* ---- the thread ---- */

static bool is_heard(struct ui_feed *f)
{
    pthread_mutex_lock(&f->lock);
    const bool heard = f->listener_count > 0;
    pthread_mutex_unlock(&f->lock);
    return heard;
}

/* The store was written: who listens hears what. Nobody: whoever comes hears "all". */
static void look(struct ui_feed *f, bool heard)
{
    json_t *what =
        heard && f->based ? live_changes_look(f->changes, f->store, NULL) : NULL;
    f->based &= heard;
    pthread_mutex_lock(&f->lock);
    if (what && is_nothing(what)) {
        json_decref(what);
    } else {
        if (json_array_size(json_object_get(what, "trials")) > MOST_IDS) {
            json_decref(what);
            what = NULL;
        }
        add_change(f, what);
    }
    pthread_mutex_unlock(&f->lock);
}

/* What later looks are compared with, once somebody listens. What was written since
 * `version` may be in it already, so nobody would hear of it. */
static void look_first(struct ui_feed *f, int64_t *version)
{
    json_t *nothing = live_changes_look(f->changes, f->store, NULL);
    const int64_t now = live_version(f->store, NULL);
    f->based = nothing != NULL;
    json_decref(nothing);
    if (now != *version) {
        pthread_mutex_lock(&f->lock);
        add_change(f, NULL);
        pthread_mutex_unlock(&f->lock);
    }
    *version = now;
}

static void ping(struct ui_feed *f)
{
    static const char text[] = ": ping\n\n";
    pthread_mutex_lock(&f->lock);
    send_all(f, text, sizeof text - 1);
    pthread_mutex_unlock(&f->lock);
}

/* False: it ends. */
static bool rest(struct ui_feed *f, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    const double at = (double)until.tv_nsec / 1e9 + seconds;
    until.tv_sec += (time_t)at;
    until.tv_nsec = (long)((at - (double)(time_t)at) * 1e9);
    pthread_mutex_lock(&f->lock);
    while (!f->ends && pthread_cond_timedwait(&f->ends_now, &f->lock, &until) == 0)
        ;
    const bool goes_on = !f->ends;
    pthread_mutex_unlock(&f->lock);
    return goes_on;
}

/* Looking takes a tenth of the time at most, however large the store. */
static void *watch(void *arg)
{
    struct ui_feed *f = arg;
    int64_t version = -1;
    double pinged = clock_mono_s(), pause = LOOK_S;
    while (rest(f, pause)) {
        const double begin = clock_mono_s();
        const int64_t now = live_version(f->store, NULL);
        const bool heard = is_heard(f);
        if (now >= 0 && now != version && version >= 0)
            look(f, heard);
        version = now;
        if (heard && !f->based)
            look_first(f, &version);
        if (begin - pinged >= PING_S) {
            ping(f);
            pinged = begin;
        }
        const double spent = clock_mono_s() - begin;
        pause = 10 * spent > LOOK_S ? 10 * spent : LOOK_S;
    }
    return NULL;
}

int feed_start(struct ui_feed **out, const char *path, struct err *err)
{
    struct ui_feed *f = xcalloc(1, sizeof *f);
    int rc = store_open(path, STORE_READ_ONLY, &f->store, err);
    f->changes = live_changes_new();
    f->change = clock_wall_ms(); /* larger than any of an earlier start */
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->ends_now, NULL);
    if (rc == 0 && pthread_create(&f->thread, NULL, watch, f) != 0)
        rc = err_set(err, ERR_DEVICE, "no thread could be started");
    if (rc == 0) {
        *out = f;
        return 0;
    }
    f->stopped = true;
    store_close(f->store);
    f->store = NULL;
    feed_free(f);
    return rc;
}

int64_t feed_change(struct ui_feed *f)
{
    pthread_mutex_lock(&f->lock);
    const int64_t change = f->change;
    pthread_mutex_unlock(&f->lock);
    return change;
}

/* ---- listeners ---- */

/* Under the lock. Pages that went away are noticed when something is sent to them; here
 * where they are in the way of others. */
static void drop_gone(struct ui_feed *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->listener_count; i++)
        if (server_call_left(f->listeners[i]))
            server_stream_end(f->listeners[i]);
        else
            f->listeners[kept++] = f->listeners[i];
    f->listener_count = kept;
}

/* What was missed, else the number alone. */
static void put_missed(struct ui_feed *f, int64_t since, struct buf *out)
{
    json_t *nothing = json_pack("{s:[], s:[]}", "trials", "sweeps");
    bool known = since < 0 || (since <= f->change && f->change - since < KEPT);
    for (int64_t n = since + 1; since >= 0 && known && n <= f->change; n++) {
        put_event(out, n, f->kept[n % KEPT]);
        known = out->len <= MOST_MISSED; /* more is asked for again as a whole */
    }
    if (!known)
        buf_clear(out);
    if (!known || !out->len)
        put_event(out, f->change, known ? nothing : NULL);
    json_decref(nothing);
}

void feed_listen(struct ui_feed *f, struct server_call *call, int64_t since)
{
    struct buf text = BUF_INIT;
    pthread_mutex_lock(&f->lock);
    if (f->listener_count == MOST_LISTENERS)
        drop_gone(f);
    const bool open = !f->ends, room = f->listener_count < MOST_LISTENERS;
    if (open && room) {
        put_missed(f, since, &text);
        buf_str_add(&text, "retry: 1000\n\n");
        server_call_put(call, "X-Accel-Buffering", "no");
        server_stream_begin(call, 200, "text/event-stream");
        server_stream_put(call, buf_str(&text), text.len);
        f->listeners[f->listener_count++] = call;
    }
    pthread_mutex_unlock(&f->lock);
    buf_release(&text);
    if (!open || !room)
        server_reply_error(call, 503,
                           open ? "too many pages listen" : "the server is stopping");
}

void feed_stop(struct ui_feed *f)
{
    if (f->stopped)
        return;
    pthread_mutex_lock(&f->lock);
    f->ends = true;
    pthread_cond_broadcast(&f->ends_now);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    for (size_t i = 0; i < f->listener_count; i++)
        server_stream_end(f->listeners[i]);
    f->listener_count = 0;
    f->stopped = true;
}

void feed_free(struct ui_feed *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < KEPT; i++)
        json_decref(f->kept[i]);
    live_changes_free(f->changes);
    store_close(f->store);
    pthread_cond_destroy(&f->ends_now);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
