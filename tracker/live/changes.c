/* tracker/live/changes.c - see changes.h. */
#include "tracker/live/changes.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include "tracker/store/store_priv.h"
#include <stdlib.h>
#include <string.h>

enum { VERSION, TRIALS, TAGS, SWEEPS, NEXT_KEY, LAST_STEP, LAST_EVENT, EVENTS };
static const char *const sql[] = {
    [VERSION] = "PRAGMA data_version",
    [TRIALS] = "SELECT t.id, t.sweep, t.run, t.state = 'running', t.state, t.attempts, "
               "t.note, r.heartbeat_ms, r.ended_ms, r.state FROM trial_view AS t LEFT "
               "JOIN run_view AS r ON r.id = t.run ORDER BY t.id",
    [TAGS] = "SELECT trial, key, value FROM tag_view",
    [SWEEPS] = "SELECT id, stopped, note, budget_json, file_json FROM sweep ORDER BY id",
    [NEXT_KEY] = "SELECT min(key) FROM metric WHERE run = ?1 AND key > ?2",
    [LAST_STEP] = "SELECT max(step) FROM metric WHERE run = ?1 AND key = ?2",
    [LAST_EVENT] = "SELECT ifnull(max(id), 0) FROM event",
    [EVENTS] = "SELECT DISTINCT trial FROM event_view WHERE id > ?1",
};

struct print {
    int64_t id, sweep, run;
    bool runs;
    uint64_t hash;
};

struct prints {
    struct print *items; /* by id */
    size_t count, cap;
};

struct live_changes {
    struct prints trials, sweeps;
    int64_t event;
    bool looked;
};

int64_t live_version(struct store *s, struct err *err)
{
    int64_t version = 0;
    const int rc = store_int(s, sql[VERSION], NULL, &version, err);
    return rc < 0 ? rc : version;
}

struct live_changes *live_changes_new(void)
{
    return xcalloc(1, sizeof(struct live_changes));
}

void live_changes_free(struct live_changes *c)
{
    if (!c)
        return;
    free(c->trials.items);
    free(c->sweeps.items);
    free(c);
}

/* ---- fingerprints ---- */

static uint64_t mix(uint64_t hash, const void *data, size_t n)
{
    const uint64_t both[2] = {hash, hash64(data, n)};
    return hash64(both, sizeof both);
}

static uint64_t mix_columns(uint64_t hash, sqlite3_stmt *stmt, int from)
{
    for (int i = from; i < sqlite3_column_count(stmt); i++) {
        const void *text = sqlite3_column_text(stmt, i);
        hash = mix(hash, text ? text : "", (size_t)sqlite3_column_bytes(stmt, i));
    }
    return hash;
}

static struct print *add_print(struct prints *p, int64_t id)
{
    p->items = xgrow(p->items, &p->cap, p->count + 1, sizeof *p->items);
    p->items[p->count] = (struct print){.id = id};
    return &p->items[p->count++];
}

static struct print *find_print(struct prints *p, int64_t id)
{
    size_t low = 0, high = p->count;
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (p->items[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < p->count && p->items[low].id == id ? &p->items[low] : NULL;
}

static int read_trials(struct store *s, struct prints *out, struct err *err)
{
    sqlite3_stmt *stmt;
    int rc = store_statement(s, sql[TRIALS], NULL, &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0) {
        struct print *p = add_print(out, sqlite3_column_int64(stmt, 0));
        p->sweep = sqlite3_column_int64(stmt, 1);
        p->run = sqlite3_column_int64(stmt, 2);
        p->runs = sqlite3_column_int(stmt, 3);
        p->hash = mix_columns(0, stmt, 2);
    }
    store_done(stmt);
    return rc;
}

/* Tags of a trial come in whatever order: their prints are summed. */
static int read_tags(struct store *s, struct prints *trials, struct err *err)
{
    sqlite3_stmt *stmt;
    int rc = store_statement(s, sql[TAGS], NULL, &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0) {
        struct print *p = find_print(trials, sqlite3_column_int64(stmt, 0));
        if (p)
            p->hash += mix_columns(1, stmt, 1);
    }
    store_done(stmt);
    return rc;
}

static int read_progress(struct store *s, struct print *p, struct err *err)
{
    int64_t key = 0, step = 0;
    int rc;
    for (;;) {
        int64_t next = 0;
        rc = store_int(s, sql[NEXT_KEY], ARGS(A_INT(p->run), A_INT(key)), &next, err);
        if (rc <= 0 || !next)
            return rc < 0 ? rc : 0;
        key = next;
        rc = store_int(s, sql[LAST_STEP], ARGS(A_INT(p->run), A_INT(key)), &step, err);
        if (rc < 0)
            return rc;
        p->hash = mix(p->hash, &(int64_t[2]){key, step}, 2 * sizeof step);
    }
}

static int read_sweeps(struct store *s, struct prints *out, struct err *err)
{
    sqlite3_stmt *stmt;
    int rc = store_statement(s, sql[SWEEPS], NULL, &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0) {
        struct print *p = add_print(out, sqlite3_column_int64(stmt, 0));
        p->sweep = p->id;
        p->hash = mix_columns(0, stmt, 1);
    }
    store_done(stmt);
    return rc;
}

static int read_all(struct store *s, struct live_changes *now, struct err *err)
{
    int rc = read_trials(s, &now->trials, err);
    if (rc >= 0)
        rc = read_tags(s, &now->trials, err);
    for (size_t i = 0; i < now->trials.count && rc >= 0; i++)
        if (now->trials.items[i].runs && now->trials.items[i].run)
            rc = read_progress(s, &now->trials.items[i], err);
    if (rc >= 0)
        rc = read_sweeps(s, &now->sweeps, err);
    if (rc >= 0)
        rc = store_int(s, sql[LAST_EVENT], NULL, &now->event, err);
    return rc;
}

/* ---- what differs ---- */

static void add_number(json_t *list, json_t *seen, int64_t id)
{
    char name[24];
    snprintf(name, sizeof name, "%lld", (long long)id);
    if (json_object_get(seen, name))
        return;
    json_object_set_new(seen, name, json_true());
    json_array_append_new(list, json_integer(id));
}

struct news {
    json_t *trials, *sweeps, *seen_trials, *seen_sweeps;
};

static void tell(struct news *n, const struct print *p, bool is_sweep)
{
    if (!is_sweep)
        add_number(n->trials, n->seen_trials, p->id);
    if (p->sweep)
        add_number(n->sweeps, n->seen_sweeps, p->sweep);
}

/* Both by id. */
static void compare(const struct prints *old, const struct prints *now, bool sweeps,
                    struct news *n)
{
    size_t i = 0, k = 0;
    while (i < old->count || k < now->count) {
        const struct print *a = i < old->count ? &old->items[i] : NULL,
                           *b = k < now->count ? &now->items[k] : NULL;
        const bool both = a && b && a->id == b->id;
        if (both && a->hash == b->hash) {
            i++;
            k++;
            continue;
        }
        const bool take_old = a && (!b || a->id <= b->id),
                   take_new = b && (!a || b->id <= a->id);
        tell(n, take_new ? b : a, sweeps);
        i += take_old;
        k += take_new;
    }
}

static int add_events(struct store *s, int64_t since, struct prints *trials,
                      struct news *n, struct err *err)
{
    sqlite3_stmt *stmt;
    int rc = store_statement(s, sql[EVENTS], ARGS(A_INT(since)), &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0) {
        const struct print *p = find_print(trials, sqlite3_column_int64(stmt, 0));
        if (p)
            tell(n, p, false);
    }
    store_done(stmt);
    return rc;
}

static void take_over(struct live_changes *c, struct live_changes *now)
{
    free(c->trials.items);
    free(c->sweeps.items);
    *c = *now;
    c->looked = true;
}

json_t *live_changes_look(struct live_changes *c, struct store *s, struct err *err)
{
    struct live_changes now = {0};
    struct news n = {json_array(), json_array(), json_object(), json_object()};
    int rc = read_all(s, &now, err);
    if (rc >= 0 && c->looked) {
        compare(&c->trials, &now.trials, false, &n);
        compare(&c->sweeps, &now.sweeps, true, &n);
        if (now.event > c->event)
            rc = add_events(s, c->event, &now.trials, &n, err);
    }
    json_t *out =
        rc >= 0 ? json_pack("{s:O, s:O}", "trials", n.trials, "sweeps", n.sweeps) : NULL;
    if (rc >= 0) {
        take_over(c, &now);
    } else {
        free(now.trials.items);
        free(now.sweeps.items);
    }
    json_decref(n.trials);
    json_decref(n.sweeps);
    json_decref(n.seen_trials);
    json_decref(n.seen_sweeps);
    return out;
}
