/* runner/serve/write/waiting.c - see waiting.h. */
#include "runner/serve/write/waiting.h"

/* How long a text waits for a slot that so many are ahead of. */
static double wait_s(const struct waiting *w, size_t ahead)
{
    return ahead < w->slots
               ? 0
               : (double)(ahead - w->slots + 1) * w->text_s / (double)w->slots;
}

int waiting_put(struct waiting *w, struct writer_request *r, size_t writing, double now_s,
                double *retry_s, struct err *err)
{
    r->put_s = now_s;
    r->rank_s = now_s + (r->limit_s > 0       ? r->limit_s
                         : w->most_wait_s > 0 ? w->most_wait_s
                                              : WAITING_PATIENCE_S);
    struct writer_request **at = &w->first;
    size_t ahead = writing;
    for (; *at && (*at)->rank_s <= r->rank_s; at = &(*at)->after)
        ahead++;
    const double wait = *retry_s = wait_s(w, ahead);
    if (w->count + writing >= w->most + w->slots)
        return err_set(err, ERR_BUSY, "%zu texts wait, which takes %.3g s", w->count,
                       *retry_s = wait_s(w, w->count + writing));
    if (w->most_wait_s > 0 && wait > w->most_wait_s)
        return err_set(err, ERR_BUSY, "%zu texts are ahead, which takes %.3g s", ahead,
                       wait);
    if (r->limit_s > 0 && wait > r->limit_s)
        return err_set(err, ERR_BUSY,
                       "%zu texts are ahead, which takes %.3g s; its limit is %.3g s",
                       ahead, wait, r->limit_s);
    r->at_once = ahead < w->slots;
    r->after = *at;
    *at = r;
    w->count++;
    return 0;
}

static struct writer_request *unlink_at(struct waiting *w, struct writer_request **at)
{
    struct writer_request *r = *at;
    *at = r->after;
    r->after = NULL;
    w->count--;
    return r;
}

/* Has its adapter as many slots as it may while others wait? */
static bool has_its_share(const struct waiting *w, const struct writer_request *r,
                          struct shelf_entry *const *busy, size_t n_busy)
{
    size_t own = 0;
    for (size_t i = 0; i < n_busy; i++)
        own += busy[i] == r->adapter;
    return own && (double)(own + 1) > w->share * (double)w->slots;
}

struct writer_request *waiting_take(struct waiting *w, struct shelf_entry *const *busy,
                                    size_t n_busy)
{
    struct writer_request **at = &w->first;
    while (w->share > 0 && *at && has_its_share(w, *at, busy, n_busy))
        at = &(*at)->after;
    if (!*at)
        at = &w->first;
    return *at ? unlink_at(w, at) : NULL;
}

struct writer_request *waiting_take_late(struct waiting *w, double now_s)
{
    struct writer_request *late = NULL, **end = &late, **at = &w->first;
    while (*at && (*at)->rank_s < now_s) {
        if ((*at)->limit_s > 0 && !(*at)->at_once) {
            *end = unlink_at(w, at);
            end = &(*end)->after;
        } else {
            at = &(*at)->after;
        }
    }
    return late;
}
