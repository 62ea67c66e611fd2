/* Desks: every job is done and answered once, what fails takes nothing of its neighbours
 * along, what was answered as done is in the file, and a desk that closes answers all. */
#include "cli/ui/desk.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/store/store.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { ASKERS = 8, EACH = 100 };

struct written {
    int number;
    atomic_int *done, *failed;
};

static bool is_bad(int number)
{
    return number % 7 == 0;
}

static int write_one(struct store *s, void *ctx, struct err *err)
{
    const struct written *w = ctx;
    char name[32];
    int64_t id;
    snprintf(name, sizeof name, "e%d", w->number);
    const int rc = store_experiment(s, name, &id, err);
    return rc == 0 && is_bad(w->number) ? err_set(err, ERR_CONFIG, "bad") : rc;
}

static void written(void *ctx, int rc, const struct err *err)
{
    struct written *w = ctx;
    assert_int_equal(rc, is_bad(w->number) ? -ERR_CONFIG : 0);
    assert_true(rc == 0 || str_eq(err->msg, "bad"));
    atomic_fetch_add(rc < 0 ? w->failed : w->done, 1);
    free(w);
}

struct asker {
    struct desk *desk;
    int first;
    atomic_int *done, *failed;
};

static void *ask(void *arg)
{
    static const struct desk_job job = {write_one, written};
    const struct asker *a = arg;
    for (int i = 0; i < EACH; i++) {
        struct written *w = xmalloc(sizeof *w);
        *w = (struct written){a->first + i, a->done, a->failed};
        desk_ask(a->desk, &job, w);
    }
    return NULL;
}

static int count_names(struct store *s, void *ctx, struct err *err)
{
    json_t *r = store_query(s, "SELECT count(*) FROM experiment_view", NULL, 1, err);
    *(int *)ctx = (int)json_integer_value(
        json_array_get(json_array_get(json_object_get(r, "rows"), 0), 0));
    json_decref(r);
    return r ? 0 : err_code(err);
}

static void counted(void *ctx, int rc, const struct err *err)
{
    (void)ctx, (void)err;
    assert_int_equal(rc, 0);
}

static void refused(void *ctx, int rc, const struct err *err)
{
    (void)err;
    assert_int_equal(rc, -ERR_BUSY);
    *(int *)ctx = -1;
}

static void all_is_answered_once(void **state)
{
    static const struct desk_job count = {count_names, counted},
                                 late = {count_names, refused};
    char dir[] = "/tmp/peftlab-test-XXXXXX";
    struct asker askers[ASKERS];
    pthread_t threads[ASKERS];
    struct desk *writer = NULL, *reader = NULL;
    struct err err = ERR_INIT;
    atomic_int done = 0, failed = 0;
    int names = 0;
    (void)state;
    assert_non_null(mkdtemp(dir));
    char *path = fs_join(dir, "s.db");
    assert_int_equal(desk_open(&writer, path, DESK_WRITE, 1, &err), 0);
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){writer, i * EACH, &done, &failed};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
    }
    for (int i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    desk_close(writer);
    int bad = 0;
    for (int i = 0; i < ASKERS * EACH; i++)
        bad += is_bad(i);
    assert_int_equal(failed, bad);
    assert_int_equal(done, ASKERS * EACH - bad);
    assert_int_equal(desk_open(&reader, path, DESK_READ, 3, &err), 0);
    desk_ask(reader, &count, &names);
    desk_close(reader);
    assert_int_equal(names, done);
    desk_ask(writer, &late, &names);
    assert_int_equal(names, -1);
    desk_free(writer);
    desk_free(reader);
    fs_remove_tree(dir, NULL);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_is_answered_once)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
