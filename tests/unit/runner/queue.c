/* tests/unit/runner/queue.c - whose rows a batch takes: earliest deadline first, else in the
 * order of arrival; what is refused at once and what later; an adapter's share. Time is what
 * the test says it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/serve/queue.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEQUENCES = 4, TOKENS = 40 };

static struct shelf_entry adapters[3];

static struct queue make(void)
{
    return (struct queue){
        .options = {.most_rows = 100, .batch = extent_of(TOKENS, SEQUENCES, SEQUENCES)}};
}

/* `adapters`: whose rows they are, "001"; each of so many tokens. ctx: its name. */
static struct engine_request *request(const char *name, const char *whose, int32_t tokens)
{
    struct engine_request *r = xcalloc(1, sizeof *r);
    r->count = strlen(whose);
    r->rows = xcalloc(r->count, sizeof *r->rows);
    r->ctx = (void *)name;
    for (size_t i = 0; i < r->count; i++) {
        r->rows[i].adapter = &adapters[whose[i] - '0'];
        r->rows[i].example.n = tokens;
    }
    return r;
}

static int put(struct queue *q, struct engine_request *r, double now, double *retry)
{
    struct err err = ERR_INIT;
    double unused;
    const int rc = queue_put(q, r, now, retry ? retry : &unused, &err);
    assert_true(!rc || rc == -(int)ERR_BUSY);
    return rc;
}

static struct engine_request *put_one(struct queue *q, const char *name,
                                      const char *whose, double limit, double now)
{
    struct engine_request *r = request(name, whose, 5);
    r->limit_s = limit;
    assert_int_equal(put(q, r, now, NULL), 0);
    return r;
}

/* Takes a batch, and says which rows it has: "a0 a1 b0". Requests that are through are freed. */
static void takes(struct queue *q, const char *want)
{
    struct queue_pick picks[SEQUENCES];
    const size_t n = queue_take(q, picks);
    char got[200] = "";
    for (size_t i = 0; i < n; i++) {
        const size_t at = strlen(got);
        snprintf(got + at, sizeof got - at, "%s%s%zu", i ? " " : "",
                 (const char *)picks[i].request->ctx, picks[i].row);
    }
    assert_string_equal(got, want);
    for (size_t i = 0; i < n; i++)
        if (--picks[i].request->left == 0)
            engine_request_free(picks[i].request);
}

static void is_empty(const struct queue *q)
{
    assert_null(q->first);
    assert_null(q->last);
    assert_int_equal(q->rows, 0);
    assert_int_equal(q->tokens, 0);
}

static void test_first_come(void **state)
{
    (void)state;
    struct queue q = make();
    put_one(&q, "a", "01", 0, 0);
    put_one(&q, "b", "0", 0, 0);
    put_one(&q, "c", "012", 0, 0);
    assert_int_equal(q.rows, 6);
    assert_int_equal(q.tokens, 30);
    takes(&q, "a0 a1 b0 c0");
    takes(&q, "c1 c2");
    takes(&q, "");
    is_empty(&q);
}

static void test_a_full_batch_by_tokens(void **state)
{
    (void)state;
    struct queue q = make();
    struct engine_request *wide = request("b", "0", 38);
    put_one(&q, "a", "0", 0, 0);
    assert_int_equal(put(&q, wide, 0, NULL), 0);
    put_one(&q, "c", "0", 0, 0);
    takes(&q, "a0"); /* c may not overtake what does not fit */
    takes(&q, "b0");
    takes(&q, "c0");
    struct engine_request *huge = request("d", "0", 100);
    assert_int_equal(put(&q, huge, 0, NULL), 0);
    takes(&q, "d0"); /* refused by whoever runs it */
    is_empty(&q);
}

static void test_earliest_deadline_first(void **state)
{
    (void)state;
    struct queue q = make();
    put_one(&q, "never", "0", 0, 0);
    put_one(&q, "late", "0", .9, 0);
    put_one(&q, "soon", "00", .25, .125);
    put_one(&q, "same", "0", .375, 0); /* as soon as the one before: behind it */
    put_one(&q, "first", "0", .05, .2);
    takes(&q, "first0 soon0 soon1 same0");
    takes(&q, "late0 never0");
    put_one(&q, "patient", "0", 0, 10);
    put_one(&q, "long", "0", QUEUE_PATIENCE_S + 5, 10);
    put_one(&q, "next", "0", 0, 10.5);
    takes(&q, "patient0 next0 long0"); /* without a limit is not for ever */
    q.options.most_wait_s = .1;
    put_one(&q, "c", "0", .2, 20);
    put_one(&q, "d", "0", 0, 20); /* ranked by the server's limit */
    takes(&q, "d0 c0");
    is_empty(&q);
}

static void test_back_to_its_place(void **state)
{
    (void)state;
    struct queue q = make();
    struct queue_pick picks[SEQUENCES];
    put_one(&q, "a", "00", 0, 0);
    put_one(&q, "b", "00", 0, 0);
    put_one(&q, "c", "0", 0, 0);
    assert_int_equal(queue_take(&q, picks), 4);
    for (size_t i = 4; i-- > 1;)
        queue_put_back(&q, &picks[i]);
    assert_int_equal(q.rows, 4);
    assert_int_equal(q.tokens, 20);
    picks[0].request->left--;
    put_one(&q, "urgent", "0", .1, 0);
    takes(&q, "urgent0 a1 b0 b1");
    takes(&q, "c0");
    is_empty(&q);
}

static void test_refused_at_once(void **state)
{
    (void)state;
    struct queue q = make();
    double retry = -1;
    q.options.most_rows = 3;
    struct engine_request *more = request("b", "00", 5), *one = request("c", "0", 5);
    put_one(&q, "a", "00", .01, 0);
    assert_int_equal(put(&q, more, 0, &retry), -(int)ERR_BUSY);
    assert_true(retry >= 0);
    assert_int_equal(q.rows, 2);
    /* A batch takes 10 ms, and 1 ms for each token. */
    pace_note(&q.pace, 10, .02);
    pace_note(&q.pace, 20, .03);
    one->limit_s = .024;
    assert_int_equal(put(&q, one, 0, &retry), -(int)ERR_BUSY); /* 15 tokens: 25 ms */
    assert_true(fabs(retry - .02) < 1e-9); /* what is ahead of it: 10 tokens */
    one->limit_s = .026;
    assert_int_equal(put(&q, one, 0, &retry), 0);
    takes(&q, "a0 a1 c0");
    engine_request_free(more);

    q.options.most_rows = 100;
    q.options.most_wait_s = .031;
    put_one(&q, "a", "0000", 0, 0);
    put_one(&q, "b", "0", 0, 0); /* behind 20 tokens: 30 ms */
    struct engine_request *c = request("c", "0", 5), *d = request("d", "0", 5);
    assert_int_equal(put(&q, c, 0, &retry),
                     -(int)ERR_BUSY); /* 25 in two batches: 45 ms */
    assert_true(fabs(retry - .045) < 1e-9);
    d->limit_s = .02; /* nothing is ahead of one that is in a hurry */
    assert_int_equal(put(&q, d, 0, &retry), 0);
    takes(&q, "d0 a0 a1 a2");
    takes(&q, "a3 b0");
    engine_request_free(c);
    is_empty(&q);
    struct engine_request *e = request("e", "0", 5), *f = request("f", "0", 5);
    e->limit_s = f->limit_s = .001; /* too little, but nothing waits: it tells the pace */
    assert_int_equal(put(&q, e, 0, &retry), 0);
    assert_int_equal(put(&q, f, 0, &retry), -(int)ERR_BUSY);
    takes(&q, "e0");
    engine_request_free(f);
    is_empty(&q);
}

static void test_late_is_not_run(void **state)
{
    (void)state;
    struct queue q = make();
    put_one(&q, "a", "00", 0, 0); /* no limit: never late */
    struct engine_request *b = put_one(&q, "b", "0", .5, 0),
                          *c = put_one(&q, "c", "00000", .6, 0);
    put_one(&q, "d", "0", .9, 0);
    assert_null(queue_take_late(&q, .5)); /* at its limit it is in time */
    takes(&q, "b0 c0 c1 c2");
    (void)b;
    struct engine_request *late = queue_take_late(&q, .7);
    assert_ptr_equal(late, c); /* what of it ran is of no use either */
    assert_null(late->after);
    assert_int_equal(late->next, 3);
    assert_int_equal(late->left, 2);
    assert_int_equal(q.rows, 3);
    engine_request_free(c);
    c = put_one(&q, "c", "0", .1, .7);
    late = queue_take_late(&q, 5);
    assert_ptr_equal(late, c);
    assert_string_equal(late->after->ctx, "d");
    assert_null(late->after->after);
    engine_request_free(late->after);
    engine_request_free(late);
    takes(&q, "a0 a1");
    is_empty(&q);
}

static void test_share(void **state)
{
    (void)state;
    struct queue q = make();
    q.options.share = .5;
    put_one(&q, "a", "0000000", 0, 0);
    put_one(&q, "b", "1", 0, 0);
    put_one(&q, "c", "2", 0, 0);
    takes(&q, "a0 a1 b0 c0"); /* two of four */
    takes(&q, "a2 a3 a4 a5"); /* nobody else is there: no place stays empty */
    put_one(&q, "b", "10", 0, 0);
    takes(&q, "a6 b0 b1");
    struct engine_request *wide = request("a", "00", 15);
    assert_int_equal(put(&q, wide, 0, NULL), 0);
    put_one(&q, "b", "1", 0, 0);
    takes(&q, "a0 b0 a1"); /* 20 of 40 tokens are its share */
    q.options.share = .01; /* one row it may always have */
    put_one(&q, "a", "00", 0, 0);
    put_one(&q, "b", "11", 0, 0);
    put_one(&q, "c", "22", 0, 0);
    takes(&q, "a0 b0 c0 a1");
    takes(&q, "b1 c1");
    is_empty(&q);
}

static void test_pace(void **state)
{
    (void)state;
    struct pace p = {0};
    assert_true(pace_of(&p, 3, 100) == 0);
    pace_note(&p, 10, .1);
    pace_note(&p, 10, .1);
    assert_true(fabs(pace_of(&p, 3, 100) - 1) < 1e-12); /* one size: by tokens */
    for (int i = 1; i < 200; i++)
        pace_note(&p, i % 20 + 1, .05 + .002 * (i % 20 + 1));
    assert_true(fabs(pace_of(&p, 2, 100) - .3) < 1e-3);
    for (int i = 1; i < 400; i++) /* faster of late */
        pace_note(&p, i % 20 + 1, .01 + .001 * (i % 20 + 1));
    assert_true(fabs(pace_of(&p, 1, 10) - .02) < 1e-3);
    struct pace down = {0}; /* larger ones took less time: a mean, nothing negative */
    pace_note(&down, 10, .3);
    pace_note(&down, 20, .1);
    assert_true(pace_of(&down, 1, 1000) > .1 && pace_of(&down, 1, 1000) < .3);
    struct pace steep = {0}; /* more than in proportion: no negative cost of a batch */
    pace_note(&steep, 10, .1);
    pace_note(&steep, 20, .4);
    assert_true(pace_of(&steep, 100, 0) == 0 && pace_of(&steep, 1, 10) > .1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_come),
        cmocka_unit_test(test_a_full_batch_by_tokens),
        cmocka_unit_test(test_earliest_deadline_first),
        cmocka_unit_test(test_back_to_its_place),
        cmocka_unit_test(test_refused_at_once),
        cmocka_unit_test(test_late_is_not_run),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
