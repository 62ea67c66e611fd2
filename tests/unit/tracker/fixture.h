/* tests/unit/tracker/fixture.h - a fresh store in a temporary folder, and trials to put
 * into it. */
#ifndef TESTS_TRACKER_UTIL_H
#define TESTS_TRACKER_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "tracker/store/store.h"
#include "tracker/worker/sink.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Succeeds or shows the message. */
#define OK(call)                                                                         \
    do {                                                                                 \
        struct err e_ = ERR_INIT, *err = &e_;                                            \
        int rc_ = (call);                                                                \
        if (rc_ < 0)                                                                     \
            fail_msg("%s: %s", #call, e_.msg);                                           \
    } while (0)
/* Fails with this code, and the message holds the words. */
#define FAILS(call, wanted, words)                                                       \
    do {                                                                                 \
        struct err e_ = ERR_INIT, *err = &e_;                                            \
        int rc_ = (call);                                                                \
        assert_int_equal(rc_, -(wanted));                                                \
        if (!strstr(e_.msg, words))                                                      \
            fail_msg("'%s' lacks '%s'", e_.msg, words);                                  \
    } while (0)

struct fixture {
    char dir[64];
    char *path;
    struct store *store;
};

static inline int fixture_open(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/peftlab-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = fs_join(f->dir, "s.db");
    OK(store_open(f->path, STORE_CREATE, &f->store, err));
    *state = f;
    return 0;
}

static inline int fixture_close(void **state)
{
    struct fixture *f = *state;
    unsetenv("PEFTLAB_NOW_MS");
    store_close(f->store);
    fs_remove_tree(f->dir, NULL);
    free(f->path);
    free(f);
    return 0;
}

static inline void set_clock(int64_t ms)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)ms);
    setenv("PEFTLAB_NOW_MS", text, 1);
}

static inline int64_t new_sweep(struct store *s, const char *name)
{
    int64_t experiment = 0, sweep = 0;
    json_t *file = json_pack("{s:s}", "method", "grid");
    OK(store_experiment(s, "tests", &experiment, err));
    OK(store_sweep(s, experiment, name, file, "/tmp", &sweep, err));
    json_decref(file);
    return sweep;
}

/* Trials 0..count-1: rank 2^(i % 3 + 2), seed i. Returns how many were new. */
static inline size_t add_trials(struct store *s, int64_t sweep, int count)
{
    size_t added = 0;
    int64_t experiment = 0;
    OK(store_experiment(s, "tests", &experiment, err));
    struct trial_row *rows = xcalloc((size_t)count, sizeof *rows);
    for (int i = 0; i < count; i++)
        rows[i] = (struct trial_row){
            .sweep = sweep,
            .experiment = experiment,
            .number = i,
            .key = i % 3 == 0   ? "k4"
                   : i % 3 == 1 ? "k8"
                                : "k16",
            .seed = (uint64_t)i,
            .base_dir = "/tmp",
            .config = json_pack("{s:s, s:i, s:i}", "method", "lora", "rank",
                                1 << (i % 3 + 2), "seed", i),
            .params = json_pack("{s:i}", "rank", 1 << (i % 3 + 2)),
            .predicted_bytes = -1,
            .predicted_s = NAN,
        };
    OK(store_add_trials(s, rows, (size_t)count, &added, err));
    for (int i = 0; i < count; i++) {
        json_decref(rows[i].config);
        json_decref(rows[i].params);
    }
    free(rows);
    return added;
}

static inline json_t *query_rows(struct store *s, const char *sql)
{
    struct err e = ERR_INIT;
    json_t *r = store_query(s, sql, NULL, 10000, &e);
    if (!r)
        fail_msg("%s: %s", sql, e.msg);
    json_t *rows = json_incref(json_object_get(r, "rows"));
    json_decref(r);
    return rows;
}

/* First cell of the first row. */
static inline int64_t query_int(struct store *s, const char *sql)
{
    json_t *rows = query_rows(s, sql);
    json_t *cell = json_array_get(json_array_get(rows, 0), 0);
    assert_true(json_is_integer(cell));
    int64_t v = json_integer_value(cell);
    json_decref(rows);
    return v;
}

static inline void assert_query_text(struct store *s, const char *sql, const char *wanted)
{
    json_t *rows = query_rows(s, sql);
    const char *got = json_string_value(json_array_get(json_array_get(rows, 0), 0));
    assert_non_null(got);
    assert_string_equal(got, wanted);
    json_decref(rows);
}

static inline struct run_claim claim_one(struct store *s, int64_t sweep, int64_t lease_ms)
{
    struct run_claim c = {0};
    struct err e = ERR_INIT;
    int rc = store_claim(s, sweep, 0, lease_ms, NULL, &c, &e);
    if (rc != 1)
        fail_msg("claim gave %d: %s", rc, e.msg);
    return c;
}

#endif
