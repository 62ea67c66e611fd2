/* runner/serve/shelf.c - see shelf.h. */
#include "runner/serve/shelf.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

void shelf_init(struct shelf *s, struct serve_base *base, size_t max_bytes)
{
    *s = (struct shelf){.base = base, .max_bytes = max_bytes, .by_name = strmap_new()};
    pthread_mutex_init(&s->lock, NULL);
}

static void unlink_entry(struct shelf *s, struct shelf_entry *e)
{
    *(e->older ? &e->older->newer : &s->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &s->newest) = e->older;
    e->older = e->newer = NULL;
}

static void link_newest(struct shelf *s, struct shelf_entry *e)
{
    e->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = e;
    s->newest = e;
}

static void close_guest(struct shelf *s, struct shelf_entry *e)
{
    if (!e->resident)
        return;
    s->counts.resident--;
    s->counts.resident_bytes -= e->guest.bytes;
    guest_close(&e->guest, s->base);
    unlink_entry(s, e);
    e->resident = false;
}

static void free_entry(struct shelf *s, struct shelf_entry *e)
{
    close_guest(s, e);
    free(e->name);
    free(e->dir);
    free(e);
}

void shelf_release(struct shelf *s)
{
    for (size_t i = 0; i < s->count; i++)
        free_entry(s, s->entries[i]);
    free(s->entries);
    strmap_free(s->by_name);
    pthread_mutex_destroy(&s->lock);
    *s = (struct shelf){0};
}

static struct shelf_entry *find(const struct shelf *s, const char *name)
{
    int64_t i;
    return strmap_get(s->by_name, name, strlen(name), &i) && i >= 0 ? s->entries[i]
                                                                    : NULL;
}

/* By a name that was given from outside. */
static struct shelf_entry *find_known(const struct shelf *s, const char *name)
{
    struct shelf_entry *e = find(s, name);
    return e && !e->pooled ? e : NULL;
}

static int add_new(struct shelf *s, const char *name, const char *dir, bool pinned,
                   struct err *err)
{
    if (find(s, name))
        return err_set(err, ERR_CONFIG, "there is an adapter '%s' already", name);
    struct shelf_entry *e = xcalloc(1, sizeof *e);
    *e = (struct shelf_entry){
        .name = xstrdup(name), .dir = dir ? xstrdup(dir) : NULL, .pinned = pinned};
    strmap_put(s->by_name, name, strlen(name), (int64_t)s->count);
    s->entries = xgrow(s->entries, &s->cap, s->count + 1, sizeof *s->entries);
    s->entries[s->count++] = e;
    return 0;
}

/* No adapter has a name with a control character. */
static char *name_pooled(const char *name)
{
    return xasprintf("\1%s", name);
}

static bool is_name(const char *name)
{
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            return false;
    return *name != '\0';
}

int shelf_add(struct shelf *s, const char *name, const char *dir, bool pinned,
              struct err *err)
{
    if (!is_name(name))
        return err_set(err, ERR_CONFIG,
                       "an adapter needs a name without control characters");
    if (!fs_is_dir(dir))
        return err_set(err, ERR_NOINPUT, "adapter '%s': no folder '%s'", name, dir);
    pthread_mutex_lock(&s->lock);
    const int rc = add_new(s, name, dir, pinned, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

bool shelf_limit(struct shelf *s, const char *name, double limit_s)
{
    pthread_mutex_lock(&s->lock);
    struct shelf_entry *e = find_known(s, name);
    if (e)
        e->limit_s = limit_s;
    pthread_mutex_unlock(&s->lock);
    return e != NULL;
}

static void forget(struct shelf *s, struct shelf_entry *e)
{
    e->gone = s->some_gone = true;
    strmap_put(s->by_name, e->name, strlen(e->name), -1);
}

bool shelf_forget(struct shelf *s, const char *name)
{
    char *pooled_name = name_pooled(name);
    pthread_mutex_lock(&s->lock);
    struct shelf_entry *e = find_known(s, name), *pooled = find(s, pooled_name);
    if (e)
        forget(s, e);
    if (pooled)
        forget(s, pooled);
    pthread_mutex_unlock(&s->lock);
    free(pooled_name);
    return e != NULL;
}

struct shelf_entry *shelf_want(struct shelf *s, const char *name, int rows)
{
    pthread_mutex_lock(&s->lock);
    struct shelf_entry *e = find_known(s, name);
    if (e)
        e->waiting += rows;
    pthread_mutex_unlock(&s->lock);
    return e;
}

/* Under the lock. */
static struct shelf_entry *add_pooled(struct shelf *s, const char *name,
                                      const char *pooled)
{
    const struct shelf_entry *e = name ? find_known(s, name) : NULL;
    if (name && !e)
        return NULL;
    add_new(s, pooled, e ? e->dir : NULL, false, NULL);
    struct shelf_entry *out = s->entries[s->count - 1];
    out->pooled = true;
    out->limit_s = e ? e->limit_s : 0;
    return out;
}

struct shelf_entry *shelf_want_pooled(struct shelf *s, const char *name, int rows)
{
    char *pooled = name_pooled(name ? name : "");
    pthread_mutex_lock(&s->lock);
    struct shelf_entry *e = find(s, pooled);
    if (!e)
        e = add_pooled(s, name, pooled);
    if (e)
        e->waiting += rows;
    pthread_mutex_unlock(&s->lock);
    free(pooled);
    return e;
}

void shelf_done(struct shelf *s, struct shelf_entry *e, int rows)
{
    pthread_mutex_lock(&s->lock);
    e->waiting -= rows;
    pthread_mutex_unlock(&s->lock);
}

char **shelf_names(struct shelf *s, size_t *count)
{
    pthread_mutex_lock(&s->lock);
    char **out = xcalloc(s->count + 1, sizeof *out);
    *count = 0;
    for (size_t i = 0; i < s->count; i++)
        if (!s->entries[i]->gone && !s->entries[i]->pooled)
            out[(*count)++] = xstrdup(s->entries[i]->name);
    pthread_mutex_unlock(&s->lock);
    return out;
}

void shelf_count(struct shelf *s, struct shelf_counts *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->counts;
    out->known = 0;
    for (size_t i = 0; i < s->count; i++)
        out->known += !s->entries[i]->gone && !s->entries[i]->pooled;
    pthread_mutex_unlock(&s->lock);
}

int shelf_take(struct shelf *s, struct shelf_entry *e, bool *loaded, struct err *err)
{
    *loaded = !e->resident;
    if (e->resident) {
        unlink_entry(s, e);
        link_newest(s, e);
        return 0;
    }
    const double begin = clock_mono_s();
    const int rc = (e->pooled ? guest_open_pooled : guest_open)(
        &e->guest, s->base, e->dir, e->pooled ? e->name + 1 : e->name, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&s->lock);
    e->resident = true;
    link_newest(s, e);
    s->counts.loads++;
    s->counts.load_s += clock_mono_s() - begin;
    s->counts.resident++;
    s->counts.resident_bytes += e->guest.bytes;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* Of those that may be closed the one that was used longest ago. */
static struct shelf_entry *find_oldest(const struct shelf *s)
{
    struct shelf_entry *e = s->oldest;
    while (e && (e->pinned || e->waiting))
        e = e->newer;
    return e;
}

static void free_gone(struct shelf *s)
{
    size_t kept = 0;
    s->some_gone = false;
    strmap_free(s->by_name);
    s->by_name = strmap_new();
    for (size_t i = 0; i < s->count; i++) {
        struct shelf_entry *e = s->entries[i];
        if (e->gone && !e->waiting) {
            free_entry(s, e);
            continue;
        }
        s->some_gone |= e->gone;
        if (!e->gone)
            strmap_put(s->by_name, e->name, strlen(e->name), (int64_t)kept);
        s->entries[kept++] = e;
    }
    s->count = kept;
}

void shelf_tidy(struct shelf *s)
{
    pthread_mutex_lock(&s->lock);
    s->batch++;
    if (s->some_gone)
        free_gone(s);
    struct shelf_entry *e;
    while (s->max_bytes && s->counts.resident_bytes > s->max_bytes &&
           (e = find_oldest(s))) {
        close_guest(s, e);
        s->counts.evictions++;
    }
    pthread_mutex_unlock(&s->lock);
}
