/* tests/unit/runner/serve/engine.c - requests whose rows go through several batches, and the
 * adapters of those that are answered; what memory does that is not there. On a tiny model
 * and two adapters of tests/golden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "runner/serve/engine.h"
#include <stdlib.h>
#include <string.h>

static const char *const adapters[][2] = {
    {"lora", "tests/golden/cases/bert-lora-qv/expected/adapter"},
    {"prefix", "tests/golden/cases/bert-prefix/expected/adapter"}};

enum { ROWS = 4, TOKENS = 5, BATCH = 2 };

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    int rc, in_use; /* adapters that were open when it was answered */
};

/* What an answer is made of: labels and their number are the adapter's. */
static void on_done(struct engine_request *r)
{
    struct answer *a = r->ctx;
    pthread_mutex_lock(&a->lock);
    a->rc = r->rc;
    for (size_t i = 0; i < r->count; i++) {
        const struct shelf_entry *e = r->rows[i].adapter;
        a->in_use += e->resident && e->guest.mould && r->rows[i].logits;
    }
    a->done = true;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
    engine_request_free(r);
}

static struct engine_request *request(struct shelf *shelf, struct answer *a)
{
    struct engine_request *r = xcalloc(1, sizeof *r);
    *r = (struct engine_request){
        .rows = xcalloc(ROWS, sizeof *r->rows), .count = ROWS, .done = on_done, .ctx = a};
    for (size_t i = 0; i < ROWS; i++) {
        r->rows[i].adapter = shelf_want(shelf, adapters[i / BATCH][0], 1);
        r->rows[i].example.n = TOKENS;
        r->rows[i].example.ids = xcalloc(TOKENS, sizeof(int32_t));
        for (int32_t k = 0; k < TOKENS; k++)
            r->rows[i].example.ids[k] = 3 + (int32_t)i + k;
    }
    return r;
}

/* A batch for the first adapter, one for the second, and room for neither. */
static void adapters_stay_until_the_answer(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct serve_base base;
    struct shelf shelf;
    struct engine *engine;
    struct shelf_counts counts;
    struct answer a = {.done = false};
    double retry_s;
    const struct serve_options o = {.most = extent_of(64, BATCH, BATCH)};
    const struct engine_options options = {.queue.most_rows = ROWS};
    pthread_mutex_init(&a.lock, NULL);
    pthread_cond_init(&a.changed, NULL);
    if (serve_base_open(&base, "tests/golden/models/bert", &o, &err))
        fail_msg("%s", err.msg);
    shelf_init(&shelf, &base, 1);
    for (size_t i = 0; i < ARRAY_LEN(adapters); i++)
        if (shelf_add(&shelf, adapters[i][0], adapters[i][1], false, &err))
            fail_msg("%s", err.msg);
    assert_int_equal(engine_start(&engine, &shelf, &options, &err), 0);
    assert_int_equal(engine_put(engine, request(&shelf, &a), &retry_s, &err), 0);
    pthread_mutex_lock(&a.lock);
    while (!a.done)
        pthread_cond_wait(&a.changed, &a.lock);
    pthread_mutex_unlock(&a.lock);
    engine_stop(engine);
    engine_free(engine);
    assert_int_equal(a.rc, 0);
    assert_int_equal(a.in_use, ROWS);
    shelf_count(&shelf, &counts);
    assert_int_equal(counts.resident, 0); /* then they go */
    assert_int_equal(counts.loads, 2);
    shelf_release(&shelf);
    serve_base_close(&base);
    pthread_mutex_destroy(&a.lock);
    pthread_cond_destroy(&a.changed);
}

static void *no_memory(void *device, size_t bytes)
{
    (void)device;
    (void)bytes;
    return NULL;
}

/* Of one adapter more, say: those that are open go on with what they have. */
static void memory_that_is_not_there(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct serve_base base;
    const struct serve_options o = {.most = extent_of(64, BATCH, BATCH)};
    if (serve_base_open(&base, "tests/golden/models/bert", &o, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(serve_base_workspace(&base, 1000, &err), 0);
    void *const batch = serve_base_batch(&base, 1000, &err), *const own =
                                                                 base.workspaces[0];
    const struct backend *const d = base.session.backend;
    struct backend full = *d;
    assert_non_null(batch);
    full.alloc = no_memory;
    base.session.backend = &full;
    assert_int_equal(serve_base_workspace(&base, 2000, &err), -ERR_NOMEM);
    assert_null(serve_base_batch(&base, 2000, &err));
    assert_ptr_equal(base.workspaces[0], own);
    assert_int_equal(base.workspace_bytes, 1000);
    assert_ptr_equal(serve_base_batch(&base, 1000, &err), batch);
    base.session.backend = d;
    assert_non_null(serve_base_batch(&base, 2000, &err));
    serve_base_close(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapters_stay_until_the_answer),
        cmocka_unit_test(memory_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
