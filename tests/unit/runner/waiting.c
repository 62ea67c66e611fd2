/* tests/unit/runner/waiting.c - which text gets the next slot: earliest deadline first, else in
 * the order of arrival; what is refused at once and what later; an adapter's share. Time is
 * what the test says it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/str.h"
#include "runner/serve/write/waiting.h"
#include <string.h>

enum { SLOTS = 4 };

static struct shelf_entry adapters[3];

/* A text takes two seconds. */
static struct waiting make(void)
{
    return (struct waiting){.most = 10, .slots = SLOTS, .text_s = 2};
}

static struct writer_request text(const char *name, int adapter, double limit_s)
{
    return (struct writer_request){
        .ctx = (void *)name, .adapter = &adapters[adapter], .limit_s = limit_s};
}

static int put(struct waiting *w, struct writer_request *r, size_t writing, double now)
{
    struct err err = ERR_INIT;
    double retry_s;
    const int rc = waiting_put(w, r, writing, now, &retry_s, &err);
    assert_true(!rc || rc == -(int)ERR_BUSY);
    return rc;
}

/* Of those that wait, with nobody writing. */
static void takes(struct waiting *w, const char *want)
{
    char got[100] = "";
    for (struct writer_request *r; (r = waiting_take(w, NULL, 0));)
        strcat(got, r->ctx);
    assert_string_equal(got, want);
    assert_int_equal(w->count, 0);
}

static void without_limits_as_they_come(void **state)
{
    (void)state;
    struct waiting w = make();
    struct writer_request a = text("a", 0, 0), b = text("b", 1, 0), c = text("c", 0, 0);
    assert_int_equal(put(&w, &a, 0, 1), 0);
    assert_int_equal(put(&w, &b, 0, 1), 0);
    assert_int_equal(put(&w, &c, 0, 2), 0);
    takes(&w, "abc");
    takes(&w, "");
}

static void the_earliest_deadline_first(void **state)
{
    (void)state;
    struct waiting w = make();
    struct writer_request slow = text("s", 0, 30), none = text("n", 0, 0),
                          soon = text("h", 1, 5), later = text("l", 1, 0);
    put(&w, &slow, 0, 0);   /* 30 */
    put(&w, &none, 0, 1);   /* as if it had said ten seconds: 11 */
    put(&w, &soon, 0, 2);   /* 7 */
    put(&w, &later, 0, 25); /* 35: not for ever behind those that say nothing */
    takes(&w, "hnsl");
    w.most_wait_s = 2; /* then that is what it stands for */
    none = text("n", 0, 0);
    soon = text("h", 1, 3);
    put(&w, &soon, 0, 0);
    put(&w, &none, 0, .5);
    takes(&w, "nh");
}

static void what_would_be_late_is_refused(void **state)
{
    (void)state;
    struct waiting w = make();
    struct writer_request a = text("a", 0, 1), b = text("b", 0, .4), c = text("c", 0, .6),
                          d = text("d", 0, .9), e = text("e", 0, 0);
    assert_int_equal(put(&w, &a, SLOTS - 1, 0), 0); /* there is a slot */
    /* One ahead of it, and all slots taken: half a second, or none where it goes first. */
    assert_int_equal(put(&w, &b, SLOTS, 0), -(int)ERR_BUSY);
    assert_int_equal(put(&w, &c, SLOTS, 0), 0);
    assert_int_equal(put(&w, &d, SLOTS, 0), -(int)ERR_BUSY); /* behind c */
    w.most_wait_s = 1.4;
    assert_int_equal(put(&w, &e, SLOTS, 0), -(int)ERR_BUSY);
    w.most_wait_s = 1.6;
    assert_int_equal(put(&w, &e, SLOTS, 0), 0);
    takes(&w, "cae");
}

static void a_free_slot_takes_whatever_comes(void **state)
{
    (void)state;
    struct waiting w = make();
    w.text_s = 1000; /* one slow text must not be the last that is ever measured */
    struct writer_request a = text("a", 0, 1e-6);
    assert_int_equal(put(&w, &a, SLOTS - 1, 0), 0);
    assert_null(waiting_take_late(&w, 1));
    takes(&w, "a");
}

static void too_many_are_refused(void **state)
{
    (void)state;
    struct waiting w = make();
    struct err err = ERR_INIT;
    double retry_s;
    w.most = 1;
    struct writer_request a = text("a", 0, 0), b = text("b", 0, 5);
    assert_int_equal(put(&w, &a, SLOTS, 0), 0);
    assert_int_equal(waiting_put(&w, &b, SLOTS, 0, &retry_s, &err), -(int)ERR_BUSY);
    assert_float_equal(retry_s, 1, 1e-12); /* until those five are through */
    takes(&w, "a");
}

static void whose_limit_has_passed_leaves(void **state)
{
    (void)state;
    struct waiting w = make();
    struct writer_request a = text("a", 0, 5), b = text("b", 0, 0), c = text("c", 1, 6),
                          d = text("d", 1, 8);
    w.text_s = 0;
    put(&w, &a, SLOTS, 0);
    put(&w, &b, SLOTS, -5); /* says nothing: it is never late */
    put(&w, &c, SLOTS, 0);
    put(&w, &d, SLOTS, 0);
    assert_null(waiting_take_late(&w, 5));
    struct writer_request *late = waiting_take_late(&w, 7);
    assert_ptr_equal(late, &a);
    assert_ptr_equal(late->after, &c);
    assert_null(c.after);
    takes(&w, "bd");
}

static void an_adapter_has_its_share(void **state)
{
    (void)state;
    struct waiting w = make();
    struct shelf_entry *busy[SLOTS] = {&adapters[0], &adapters[0]};
    struct writer_request a = text("a", 0, 0), b = text("b", 1, 0), c = text("c", 0, 0);
    w.share = .5;
    put(&w, &a, 2, 0);
    put(&w, &b, 2, 1);
    put(&w, &c, 2, 2);
    assert_ptr_equal(waiting_take(&w, busy, 2),
                     &b); /* two of four is what a's may have */
    busy[2] = &adapters[1];
    assert_ptr_equal(waiting_take(&w, busy, 3), &a); /* nobody else wants the place */
    w.share = .01;                                   /* one each has in any case */
    assert_ptr_equal(waiting_take(&w, busy + 2, 1), &c);
    takes(&w, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits_as_they_come),
        cmocka_unit_test(the_earliest_deadline_first),
        cmocka_unit_test(what_would_be_late_is_refused),
        cmocka_unit_test(a_free_slot_takes_whatever_comes),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(whose_limit_has_passed_leaves),
        cmocka_unit_test(an_adapter_has_its_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
